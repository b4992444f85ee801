"""What all command lines share: the parser, types of options, one-line errors, exit codes."""

import argparse
import io
import math
import os
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from common.errors import FileError, InputError
from common.numbers import printable

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and whose options cannot be abbreviated.

    Parameters
    ----------
    **settings
        Those of `argparse.ArgumentParser`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(prog=program(), allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Print the message as one line to standard error, and exit with code 2."""
        self.exit(EXIT_ERROR, f"{self.prog}: error: {one_line(message)}\n")


def positive_int(text: str) -> int:
    """Read an option that is a positive integer."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} given; expected a positive integer")
    return int(text)


def non_negative_int(text: str) -> int:
    """Read an option that is a non-negative integer."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} given; expected a non-negative integer")
    return int(text)


def positive_float(text: str) -> float:
    """Read an option that is a positive, finite number."""
    value = as_float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} given; expected a positive number")
    return value


def non_negative_float(text: str) -> float:
    """Read an option that is a non-negative, finite number."""
    value = as_float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} given; expected a non-negative number")
    return value


def digit(text: str) -> int:
    """Read an option that is a digit, one of two."""
    if not (len(text) == 1 and text in "0123456789"):
        expected = "expected two digits, such as --digits 4 9"
        raise argparse.ArgumentTypeError(f"{text!r} given; {expected}")
    return int(text)


def as_float(text: str) -> float:
    """Convert text to a float; what is not a number becomes NaN."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def run(main: Callable[[], int]) -> NoReturn:
    """Run a command line, and print errors that its user can fix as one line.

    Parameters
    ----------
    main : callable
        Returns the exit code.

    Raises
    ------
    SystemExit
        With that exit code; 2 after an `InputError` or a `FileError`; 130 after Ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Results must not be lost because a console cannot print a character.
        sys.stdout.reconfigure(errors="replace")
    code = EXIT_ERROR
    try:
        code = main()
        sys.stdout.flush()  # A closed pipe raises here, and not when Python exits.
    except BrokenPipeError:
        # The reader of the pipe, such as `head`, has closed it. Without this, Python would complain
        # when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        fail("interrupted")
        code = EXIT_INTERRUPTED
    except InputError as error:
        fail(name_option(error))
    except FileError as error:
        fail(str(error))
    sys.exit(code)


def name_option(error: InputError) -> str:
    """Give the message of an error, with the option that was typed in place of the parameter."""
    message = str(error)
    if error.argument is not None:
        option = "--" + error.argument.replace("_", "-")
        if option in [word.partition("=")[0] for word in sys.argv[1:]]:
            return option + message.removeprefix(error.argument)
    return message


def program() -> str:
    """Name the program as the user called it: ``task2.py``, ``python -m tools.report``."""
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        return f"python -m {path.parent.parent.name}.{path.parent.name}"
    return path.name


def fail(message: str) -> None:
    """Print an error as one line to standard error."""
    text = printable(one_line(message), sys.stderr)
    print(f"{program()}: error: {text}", file=sys.stderr)


def one_line(message: str) -> str:
    """Join the lines of a message, and make it `visible`."""
    return visible(" ".join(message.split()))


def visible(text: str) -> str:
    """Spell out what a terminal would not show: control characters, and bytes that are not UTF-8.

    The names of some files contain them.
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else character
        for character in text
    )
