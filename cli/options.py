"""Options of the command lines, and what turns their text into numbers."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import mnist
from cli.errors import EXIT_ERROR, program
from utils import BATCH_SIZE, EPOCHS, PATIENCE, SEED


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


POSITIVE_INT = number_parser(int, "an integer from 1 up", lambda value: value >= 1)
NATURAL = number_parser(int, "an integer from 0 up", lambda value: value >= 0)
POSITIVE = number_parser(float, "a finite number above 0", lambda value: 0 < value < math.inf)
NON_NEGATIVE = number_parser(
    float, "a finite number from 0 up", lambda value: 0 <= value < math.inf
)
DIGIT = number_parser(int, "a digit from 0 to 9", lambda value: value in range(mnist.NUM_CLASSES))

# Options by name, with the arguments of `Parser.add_argument`.
Options = Mapping[str, Mapping[str, Any]]

DATA_OPTIONS: Options = {
    "--data-dir": {"type": Path, "default": mnist.DATA_DIR, "help": "folder of IDX files"},
    "--seed": {"type": NATURAL, "default": SEED, "help": "seed of everything random"},
    "--quiet": {"action": "store_true", "help": "print nothing but errors"},
}
TRAINING_OPTIONS: Options = {
    "--epochs": {"type": POSITIVE_INT, "default": EPOCHS, "help": "the most epochs to train"},
    "--learning-rate": {"type": POSITIVE, "help": "step size of gradient descent"},
    "--batch-size": {"type": POSITIVE_INT, "default": BATCH_SIZE, "help": "samples in a batch"},
    "--patience": {
        "type": POSITIVE_INT,
        "default": PATIENCE,
        "help": "stop when the best validation loss is so many validations old",
    },
}
OUTPUT_OPTIONS: Options = {
    "--figures": {"type": Path, "default": "figures", "help": "folder for the figures"},
    "--weights": {"type": Path, "default": "weights", "help": "folder for the trained weights"},
    "--show": {"action": "store_true", "help": "open the figures in windows, too"},
}
DIGITS_OPTION: Options = {
    "--digits": {"type": DIGIT, "nargs": 2, "help": "the digits of target 1 and target 0"}
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
                dest = name.lstrip("-").replace("-", "_")
                own_default = {"default": defaults[dest]} if dest in defaults else {}
                self.add_argument(name, **arguments, **own_default)

    def add_argument(self, *names: str, **arguments: Any) -> argparse.Action:
        """Add an argument as ever, with its default at the end of its help."""
        default = arguments.get("default")
        if default not in (None, argparse.SUPPRESS):
            shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
            arguments["help"] += f" (default: {shown})"
        return super().add_argument(*names, **arguments)

    def parse_args(self, *args: Any, **kwargs: Any) -> argparse.Namespace:  # type: ignore[override]
        """Parse the arguments."""
        parsed: argparse.Namespace = super().parse_args(*args, **kwargs)
        parsed.defaults = {name: self.get_default(name) for name in vars(parsed)}
        return parsed

    def error(self, message: str) -> NoReturn:
        """Print the message to standard error and end with exit code 2."""
        self.exit(EXIT_ERROR, f"{self.prog}: error: {message}\n")
