"""The lines of task2a and task3a: a check that passed or failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cli import EXIT_ERROR
from numerics.gradient_check import SMALLEST_SCALE
from output.numbers import number, printable

Check = tuple[str, Any]  # what is checked, whether it passed


def gradient_check(what: str, test: Callable[..., float], *arguments: Any) -> Check:
    """Run a gradient approximation test, ``test(model, X, Y)``, and say what it finds."""
    try:
        error = number(test(*arguments), ".1e")
    except AssertionError as failure:
        return f"backward: {what}: {failure}", False
    scale = f"denominator at least {number(SMALLEST_SCALE, '.0%')} of the largest gradient"
    return f"backward: {what}, largest relative error {error} ({scale})", True


def print_checks(checks: Iterable[Check], quiet: bool) -> int:
    """Print a line for each check, or only for those that failed; give the exit code."""
    exit_code = 0
    for what, passed in checks:
        if not passed:
            exit_code = EXIT_ERROR
        if not passed or not quiet:
            print(printable(f"{'passed' if passed else 'failed'}: {what}"))
    return exit_code
