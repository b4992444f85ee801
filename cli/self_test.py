"""The lines of task2a and task3a: a check that passed or failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cli.errors import EXIT_ERROR
from numerics.gradient_check import SMALLEST_SCALE
from output.numbers import number, printable


class SelfTest:
    """Print a line for each check.

    Parameters
    ----------
    quiet : bool
        Whether to leave out the lines of those that passed.

    Attributes
    ----------
    exit_code : int
        0, or 2 once a check has failed.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.exit_code = 0

    def __call__(self, what: str, passed: bool | np.bool_) -> None:
        """Print that a check has passed or failed."""
        if not passed:
            self.exit_code = EXIT_ERROR
        if not passed or not self.quiet:
            print(printable(f"{'passed' if passed else 'failed'}: {what}"))

    def gradient(self, what: str, test: Callable[..., float], *arguments: Any) -> None:
        """Print what a gradient approximation test of a model finds.

        Parameters
        ----------
        what : str
        test : callable
            ``test(*arguments)`` gives the largest relative error or raises an AssertionError.
        *arguments
            A model, X and Y.
        """
        try:
            error = test(*arguments)
        except AssertionError as failure:
            self(f"{what}: {failure}", False)
        else:
            scale = f"denominator at least {number(SMALLEST_SCALE, '.0%')} of the largest gradient"
            self(f"{what}, largest relative error {number(error, '.1e')} ({scale})", True)
