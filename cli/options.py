"""Options of the command lines, and what turns their text into numbers."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import mnist
from cli.errors import EXIT_ERROR, program

Options = Mapping[str, Mapping[str, Any]]


def number_parser(
    kind: type[int] | type[float], expected: str, accepts: Callable[[Any], bool]
) -> Callable[[str], Any]:
    """Make a function for argparse that turns text into a number and refuses senseless ones.

    Parameters
    ----------
    kind : int or float
    expected : str
        What the error says is expected.
    accepts : callable
        Whether a number is a sensible one.

    Returns
    -------
    callable
    """

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not accepts(value):
            raise argparse.ArgumentTypeError(f"{text!r} given; expected {expected}")
        return value

    return parse


def option(
    kind: Callable[[str], Any],
    default: object,
    metavar: str | tuple[str, ...],
    text: str,
    shown: str = "%(default)s",
    **more: Any,
) -> dict[str, Any]:
    """State an option as arguments of ``add_argument``.

    Parameters
    ----------
    kind : callable
        Turns the text that was given into a value.
    default : object
    metavar : str or tuple of str
    text : str
        What ``--help`` says, followed by the default.
    shown : str
        The default, if it does not speak for itself.
    **more
        Further arguments of ``add_argument``.
    """
    text += f" (default: {shown})"
    return {"type": kind, "default": default, "metavar": metavar, "help": text, **more}


POSITIVE_INT = number_parser(int, "an integer from 1 up", lambda value: value >= 1)
NATURAL = number_parser(int, "an integer from 0 up", lambda value: value >= 0)
POSITIVE = number_parser(float, "a finite number above 0", lambda value: 0 < value < math.inf)
NON_NEGATIVE = number_parser(
    float, "a finite number from 0 up", lambda value: 0 <= value < math.inf
)
DIGIT = number_parser(int, "a digit from 0 to 9", lambda value: value in range(10))

DATA_OPTIONS: Options = {
    "--data-dir": option(
        Path, mnist.DATA_DIR, "DIR", "folder of IDX files, plain or .gz", "the repository's MNIST"
    ),
    "--seed": option(NATURAL, 0, "N", "seed of everything random"),
    "--quiet": {"action": "store_true", "help": "print nothing but errors"},
}
TRAINING_OPTIONS: Options = {
    "--epochs": option(POSITIVE_INT, 500, "N", "the most epochs to train"),
    "--learning-rate": option(POSITIVE, None, "RATE", "step size of gradient descent"),
    "--batch-size": option(POSITIVE_INT, 128, "N", "samples in a batch"),
    "--patience": option(
        POSITIVE_INT, 10, "N", "stop when the best validation loss is N validations old"
    ),
}
OUTPUT_OPTIONS: Options = {
    "--figures": option(Path, Path("figures"), "DIR", "folder for the figures"),
    "--weights": option(Path, Path("weights"), "DIR", "folder for the trained weights"),
    "--show": {"action": "store_true", "help": "open the figures in windows, too"},
}
DIGITS_OPTION: Options = {
    "--digits": option(
        DIGIT, [2, 3], ("ONE", "ZERO"), "the digits of target 1 and target 0", "2 3", nargs=2
    )
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and whose options cannot be shortened.

    The parsed arguments hold in `defaults` what all options would be without a command line.

    Parameters
    ----------
    description : str
        What ``--help`` says first.
    *groups : mapping of option to the arguments of ``add_argument``
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
                self.add_argument(name, **arguments)
        self.set_defaults(**defaults)

    def parse_args(self, *args: Any, **kwargs: Any) -> argparse.Namespace:  # type: ignore[override]
        """Parse the arguments."""
        parsed: argparse.Namespace = super().parse_args(*args, **kwargs)
        parsed.defaults = {name: self.get_default(name) for name in vars(parsed)}
        return parsed

    def error(self, message: str) -> NoReturn:
        """Print the message to standard error and end with exit code 2."""
        self.exit(EXIT_ERROR, f"{self.prog}: error: {message}\n")
