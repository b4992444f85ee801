"""What command lines share: options, a line for an error, an exit code, a step finished on Ctrl-C.

`cli.training` has the parts of a task script that trains.
"""

import argparse
import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import mnist
from numerics.gradient_check import SMALLEST_SCALE
from output.files import check_folder
from output.numbers import number, printable
from utils import BATCH_SIZE, EPOCHS, PATIENCE, SEED

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


def integer_from(smallest: int) -> Callable[[str], int]:
    """Make a function for argparse that takes integers from `smallest` up."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < smallest:
            expected = f"expected an integer from {smallest} up"
            raise argparse.ArgumentTypeError(f"{text!r} given; {expected}")
        return int(text)

    return parse


NATURAL, POSITIVE_INT = integer_from(0), integer_from(1)

# Options by name, with the arguments of `Parser.add_argument`. What else a number has to be, the
# functions that get it say.
Options = Mapping[str, Mapping[str, Any]]

DATA_OPTIONS: Options = {
    "--data-dir": {"type": Path, "default": mnist.DATA_DIR, "help": "folder of IDX files"},
    "--seed": {"type": NATURAL, "default": SEED, "help": "seed of everything random"},
    "--quiet": {"action": "store_true", "help": "print nothing but errors"},
}
TASK_OPTIONS: Options = {
    **DATA_OPTIONS,
    "--epochs": {"type": POSITIVE_INT, "default": EPOCHS, "help": "the most epochs to train"},
    "--learning-rate": {"type": float, "help": "step size of the descent (default: %(default)s)"},
    "--batch-size": {"type": POSITIVE_INT, "default": BATCH_SIZE, "help": "samples in a batch"},
    "--patience": {"type": POSITIVE_INT, "default": PATIENCE, "help": "validations without a gain"},
    "--figures": {"type": check_folder, "default": "figures", "help": "folder for the figures"},
    "--weights": {"type": check_folder, "default": "weights", "help": "folder for the weights"},
    "--show": {"action": "store_true", "help": "open the figures in windows, too"},
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and whose options cannot be shortened.

    The parsed arguments hold the parser itself, too.

    Parameters
    ----------
    description : str
        What ``--help`` says first.
    *groups : mapping of option to the arguments of ``add_argument``
        A default is added to its help.
    epilog : str, optional
        What it says last.
    **defaults
        Defaults of options that differ from task to task.
    """

    def __init__(
        self, description: str | None, *groups: Options, epilog: str | None = None, **defaults: Any
    ) -> None:
        super().__init__(program(), description=description, epilog=epilog, allow_abbrev=False)
        for group in groups:
            for name, arguments in group.items():
                default = " (default: %(default)s)" if "default" in arguments else ""
                self.add_argument(name, **{**arguments, "help": arguments["help"] + default})
        self.set_defaults(parser=self, **defaults)

    def error(self, message: str) -> NoReturn:
        """Print the message to standard error and end with exit code 2."""
        self.exit(EXIT_ERROR, f"{self.prog}: error: {message}\n")


def run(main: Callable[[], int]) -> NoReturn:
    """Run a command line and turn what goes wrong into one line and an exit code.

    Parameters
    ----------
    main : callable
        Returns the exit code.

    Raises
    ------
    SystemExit
        With that exit code; 2 after an error; 130 after Ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What a console cannot print must not cost the results.
        sys.stdout.reconfigure(errors="replace")
    code = EXIT_ERROR
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has seen enough. Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        fail("interrupted")
        code = EXIT_INTERRUPTED
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (ArithmeticError, AssertionError, ValueError) as error:
        fail(str(error))
    sys.exit(code)


def program() -> str:
    """Name the program as its user has called it: ``task2.py``, ``python -m report``."""
    path = Path(sys.argv[0])
    return f"python -m {path.parent.name}" if path.name == "__main__.py" else path.name


def fail(message: str) -> None:
    """Print an error as one line to standard error."""
    print(f"{program()}: error: {' '.join(message.split())}", file=sys.stderr)


@contextlib.contextmanager
def finish_step_on_ctrl_c() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C be asked for instead of raising; the second one raises as ever.

    Yields
    ------
    callable
        Tells whether Ctrl-C was pressed; for `after_step` of a trainer.
    """
    pressed = threading.Event()
    usual = signal.getsignal(signal.SIGINT)

    def first_ctrl_c(signal_number: int, frame: object) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, usual)

    # A command that was started with Ctrl-C ignored, by `nohup` for instance, goes on ignoring it.
    if usual is signal.default_int_handler:
        signal.signal(signal.SIGINT, first_ctrl_c)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, usual)


Check = tuple[str, Any]  # what is checked, whether it passed


def gradient_check(what: str, test: Callable[..., float], *arguments: Any) -> Check:
    """Run a gradient approximation test, ``test(model, X, Y)``, and say what it finds."""
    try:
        error = number(test(*arguments), ".1e")
    except AssertionError as failure:
        return f"backward: {what}: {failure}", False
    scale = f"denominator at least {number(SMALLEST_SCALE, '.0%')} of the largest gradient"
    return f"backward: {what}, largest relative error {error} ({scale})", True


def print_checks(checks: list[Check], quiet: bool) -> int:
    """Print a line for each check, or only for those that failed; give the exit code."""
    for what, passed in checks:
        if not (passed and quiet):
            print(printable(f"{'passed' if passed else 'failed'}: {what}"))
    return 0 if all(passed for _, passed in checks) else EXIT_ERROR
