"""Compares what a solution returned with the right result, and explains the difference."""

import contextlib
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from tools.check import WIDTH
from tools.check.folders import is_2020
from tools.check.mistakes import (
    GRADIENT_OVER_CLASSES,
    LOSS_OVER_CLASSES,
    NONE,
    PREPROCESSING_OF_2020,
    Case,
    Mistakes,
)
from tools.check.numpy_names import restore_numpy

# Relative to the largest value. Code in float32 is right, too.
TOLERANCE = 1e-4
# What the current check has to say although it passes: advice, and other things worth knowing.
ADVICE: list[str] = []
NOTES: list[str] = []

ONE_ELEMENT = "NumPy 2.4 does not convert an array of one element: use Y[i, 0] or Y.item()"
RIGHT_IN_2020 = {PREPROCESSING_OF_2020, LOSS_OVER_CLASSES, GRADIENT_OVER_CLASSES}


def layout(**parts: str) -> str:
    """Lay out texts, each with its name in front."""
    wrapper = textwrap.TextWrapper(WIDTH, subsequent_indent=" " * 10)
    return "\n".join(wrapper.fill(f"{name:10}{text}") for name, text in parts.items() if text)


def missing(why: str) -> NoReturn:
    """End a check whose subject is missing."""
    pytest.skip(why)


def wrong(called: str, returned: str, expected: str, hint: str = "") -> NoReturn:
    """Fail a check: what was called, what came back, what was expected, and a hint."""
    text = layout(called=called, returned=returned, expected=expected, hint=hint)
    pytest.fail(text, pytrace=False)


def advise(called: str, returned: str, expected: str, hint: str) -> None:
    """Add advice to the verdict of the current check."""
    ADVICE.append(layout(called=called, returned=returned, expected=expected, hint=hint))


def as_floats(called: str, returned: Any) -> Any:
    """Convert what was returned to an array of floats, or fail the check; None becomes NaN."""
    restore_numpy()
    with contextlib.suppress(TypeError, ValueError):
        if np.asarray(returned).dtype.kind in "biufO":
            return np.asarray(returned).astype(float)
    wrong(called, f"{type(returned).__name__} {returned!r:.60}", "numbers")


def require_result(called: str, returned: Any, given: Any = None) -> Any:
    """Return what was returned; the check is missing if that is None or what was given."""
    as_floats(called, returned)
    if returned is None:
        missing(f"{called} returns None")
    if np.array_equal(returned, given):
        missing(f"{called} returns its argument unchanged, as the starter code does")
    return returned


def agree(returned: Any, expected: Any) -> bool:
    """Tell whether two arrays or numbers are the same up to rounding in float32."""
    if np.shape(returned) != np.shape(expected) or np.asarray(returned).dtype.kind not in "biuf":
        return False
    scale = np.max(np.abs(expected), initial=0, where=np.isfinite(expected))
    return np.allclose(returned, expected, rtol=0, atol=TOLERANCE * scale, equal_nan=True)


def require(
    called: str,
    returned: Any,
    expected: Any,
    mistakes: Mistakes = NONE,
    case: Case | None = None,
    hint: str = "",
) -> None:
    """Fail the check unless a solution returned what is expected.

    Parameters
    ----------
    called : str
        What was called, in words.
    returned : object
    expected : ndarray, float or sequence of float
    mistakes : mapping of str to callable, optional
        Hints, and functions that compute the results of the mistakes.
    case : Case, optional
        What these functions take: the inputs of the check.
    hint : str, optional
        The hint if a check knows the mistake from what a second call returned.
    """
    if returned is None:
        missing(f"{called} returns None")
    found, right = as_floats(called, returned), np.asarray(expected, dtype=float)
    if right.ndim == 0 and found.ndim and found.size == 1:
        advise(called, describe(found), describe(right), f"expected a float; {ONE_ELEMENT}")
        found = found.reshape(())
    if agree(found, right):
        return
    hint = hint or (find_mistake(found, right, mistakes, case) if case else "")
    if hint in RIGHT_IN_2020 and is_2020(Path.cwd()):
        advise(called, *compare(found, right), "this is right by the text of 2020 only")
        return
    wrong(called, *compare(found, right), hint)


def find_mistake(found: Any, right: Any, mistakes: Mistakes, case: Case) -> str:
    """Find the mistake that gives the result of a solution; the hint is empty if none does."""
    case = replace(case, right=right, returned=found)
    with np.errstate(all="ignore"):
        for hint, compute in mistakes.items():
            results = compute(case)
            alternatives = results if isinstance(results, tuple) else (results,)
            if any(agree(found, result) for result in alternatives):
                return hint.format(N=case.N)
    return ""


def compare(found: Any, right: Any) -> tuple[str, str]:
    """Describe two arrays or numbers; for large arrays, the place where they differ most."""
    if found.shape != right.shape or right.size <= 3:
        return describe(found), describe(right)
    difference = np.nan_to_num(np.abs(found - right), nan=np.inf)
    place = np.unravel_index(np.argmax(difference), right.shape)
    off = np.count_nonzero(difference > TOLERANCE * np.max(np.abs(right)))
    at = f"at {[*map(int, place)]}"
    description = f"{found[place]:.6g} {at}; {off} of {right.size} values are off"
    return description, f"{right[place]:.6g} {at}"


def describe(array: Any) -> str:
    """Describe an array, or a number."""
    values = ", ".join(f"{value:.7g}" for value in np.ravel(array)[:3])
    if array.ndim == 0:
        return values
    return f"array of shape {array.shape}" + (f": {values}" if array.size <= 3 else "")
