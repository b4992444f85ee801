"""Compares what a solution returned with what is right, and says what went wrong."""

import contextlib
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from tools.check import WIDTH
from tools.check.folders import is_2020

Hints = Mapping[str, Any]
NO_HINTS: Hints = {}

# Code in float32 is right, too.
TOLERANCE = 1e-4
# What the present check has to say though it passes: advice, and other things worth knowing.
ADVICE: list[str] = []
NOTES: list[str] = []

ONE_ELEMENT = "since NumPy 2.4 an array of one element is no number: take Y[i, 0] or Y.item()"


def layout(**parts: str) -> str:
    """Lay out texts, each with its name in front."""
    wrapper = textwrap.TextWrapper(WIDTH, subsequent_indent=" " * 10)
    return "\n".join(wrapper.fill(f"{name:10}{text}") for name, text in parts.items() if text)


def missing(why: str) -> NoReturn:
    """End a check: what it would check is not there."""
    pytest.skip(why)


def wrong(called: str, returned: str, expected: str, hint: str = "") -> NoReturn:
    """Fail a check: what was called, what came back, what was expected, and a hint."""
    text = layout(called=called, returned=returned, expected=expected, hint=hint)
    pytest.fail(text, pytrace=False)


def advise(called: str, returned: str, expected: str, hint: str) -> None:
    """Say what is worth knowing though no text of the course asks for it."""
    ADVICE.append(layout(called=called, returned=returned, expected=expected, hint=hint))


def numbers(called: str, returned: Any) -> Any:
    """Give what was returned as an array of floats, None as NaN; fails if it is something else."""
    with contextlib.suppress(TypeError, ValueError):
        if np.asarray(returned).dtype.kind in "biufO":
            return np.asarray(returned).astype(float)
    wrong(called, f"{type(returned).__name__} {returned!r:.60}", "numbers")


def filled(called: str, returned: Any, given: Any = None) -> Any:
    """Give what was returned; missing if it is None, 0 or what was given, as in starter code."""
    numbers(called, returned)
    if returned is None or not np.any(returned) or np.array_equal(returned, given):
        found = "None" if returned is None else "what it was given" if np.any(returned) else "0"
        missing(f"{called} gives {found}, as the starter code does")
    return returned


def agree(returned: Any, expected: Any) -> bool:
    """Tell whether two arrays or numbers are the same up to rounding in float32."""
    if np.shape(returned) != np.shape(expected) or np.asarray(returned).dtype.kind not in "biuf":
        return False
    scale = np.max(np.abs(expected), initial=0)
    return np.allclose(returned, expected, rtol=0, atol=TOLERANCE * scale)


def require(
    called: str, returned: Any, expected: Any, mistakes: Hints = NO_HINTS, of_2020: Any = np.nan
) -> None:
    """Fail unless a solution returned what is expected.

    Parameters
    ----------
    called : str
        What was called, in words.
    returned : object
    expected : ndarray, float or sequence of float
    mistakes : mapping of str to ndarray or float
        Hints, and what those return whom they help.
    of_2020 : ndarray or float, optional
        What the text of 2020 asks for; worth an advice only.
    """
    found, right = numbers(called, returned), np.asarray(expected, dtype=float)
    if right.ndim == 0 and found.ndim and found.size == 1:
        advise(called, shown(found), shown(right), f"a float is expected; {ONE_ELEMENT}")
        found = found.reshape(())
    if agree(found, right):
        return
    if is_2020(Path.cwd()) and agree(found, of_2020):
        advise(called, *compared(found, right), "that is right by the text of 2020 only")
        return
    hints = [hint for hint, mistake in mistakes.items() if agree(found, mistake)]
    if not hints:
        filled(called, returned)
    wrong(called, *compared(found, right), *hints[:1])


def compared(found: Any, right: Any) -> tuple[str, str]:
    """Describe two arrays, or numbers; of large ones the place where they differ most."""
    if found.shape != right.shape or right.size <= 3:
        return shown(found), shown(right)
    difference = np.nan_to_num(np.abs(found - right), nan=np.inf)
    place = np.unravel_index(np.argmax(difference), right.shape)
    off = np.count_nonzero(difference > TOLERANCE * np.max(np.abs(right)))
    at = f"at {[*map(int, place)]}"
    description = f"{found[place]:.6g} {at}; {off} of {right.size} values are off"
    return description, f"{right[place]:.6g} {at}"


def shown(array: Any) -> str:
    """Describe an array, or a number."""
    values = ", ".join(f"{value:.7g}" for value in np.ravel(array)[:3])
    if array.ndim == 0:
        return values
    return f"array of shape {array.shape}" + (f": {values}" if array.size <= 3 else "")
