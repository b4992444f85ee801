"""Options of the command lines, and what turns their text into numbers."""

from __future__ import annotations

from cli.errors import EXIT_ERROR, program

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import mnist


def number(
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


POSITIVE_INT = number(int, "an integer from 1 up", lambda value: value >= 1)
NATURAL = number(int, "an integer from 0 up", lambda value: value >= 0)
POSITIVE = number(float, "a finite number above 0", lambda value: 0 < value < math.inf)
NON_NEGATIVE = number(float, "a finite number from 0 up", lambda value: 0 <= value < math.inf)
DIGIT = number(int, "a digit from 0 to 9", lambda value: value in range(10))

Options = Mapping[str, Mapping[str, Any]]

DATA_OPTIONS: Options = {
    "--data-dir": {
        "type": Path,
        "default": mnist.DATA_DIR,
        "metavar": "DIR",
        "help": "folder with the four IDX files of a data set in MNIST's layout, plain or .gz"
        " (default: the repository's MNIST)",
    },
    "--seed": {
        "type": NATURAL,
        "default": 0,
        "metavar": "N",
        "help": "seed of everything random (default: %(default)s)",
    },
    "--quiet": {"action": "store_true", "help": "print nothing but errors"},
}
TRAINING_OPTIONS: Options = {
    "--epochs": {
        "type": POSITIVE_INT,
        "default": 500,
        "metavar": "N",
        "help": "the most epochs to train (default: %(default)s)",
    },
    "--learning-rate": {
        "type": POSITIVE,
        "metavar": "RATE",
        "help": "step size of gradient descent (default: %(default)s)",
    },
    "--batch-size": {
        "type": POSITIVE_INT,
        "default": 128,
        "metavar": "N",
        "help": "samples in a batch (default: %(default)s)",
    },
    "--patience": {
        "type": POSITIVE_INT,
        "default": 10,
        "metavar": "N",
        "help": "stop when the best validation loss is N validations old (default: %(default)s)",
    },
}
OUTPUT_OPTIONS: Options = {
    "--figures": {
        "type": Path,
        "default": Path("figures"),
        "metavar": "DIR",
        "help": "folder for the figures (default: %(default)s)",
    },
    "--weights": {
        "type": Path,
        "default": Path("weights"),
        "metavar": "DIR",
        "help": "folder for the trained weights (default: %(default)s)",
    },
    "--show": {"action": "store_true", "help": "open the figures in windows, too"},
}
DIGITS_OPTION: Options = {
    "--digits": {
        "type": DIGIT,
        "nargs": 2,
        "default": (2, 3),
        "metavar": ("ONE", "ZERO"),
        "help": "the digit of target 1 and the digit of target 0 (default: 2 3)",
    },
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and whose options cannot be shortened."""

    def __init__(self, description: str | None, epilog: str | None = None) -> None:
        super().__init__(program(), description=description, epilog=epilog, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Print the message to standard error and end with exit code 2."""
        self.exit(EXIT_ERROR, f"{self.prog}: error: {message}\n")


def make_parser(description: str | None, *groups: Options, **defaults: object) -> Parser:
    """Make a parser out of groups of options.

    Parameters
    ----------
    description : str
        What ``--help`` says first.
    *groups : mapping of option to the arguments of ``add_argument``
    **defaults
        Defaults of options that differ from task to task.

    Returns
    -------
    Parser
    """
    parser = Parser(description)
    for group in groups:
        for option, arguments in group.items():
            parser.add_argument(option, **arguments)
    parser.set_defaults(**defaults)
    return parser
