"""Compares what a solution returned with what is right, and says what went wrong."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import pytest

from check import WIDTH

# Code in float32 is right, too.
TOLERANCE = 1e-4


def missing(why: str) -> NoReturn:
    """End a check: what it would check is not there."""
    pytest.skip(f"missing: {why}")


def wrong(called: str, returned: str, expected: str, hint: str = "") -> NoReturn:
    """Fail a check: what was called, what came back, what was expected, and a hint."""
    pytest.fail(
        layout(called=called, returned=returned, expected=expected, hint=hint), pytrace=False
    )


def layout(**parts: str) -> str:
    """Lay out texts, each with its name in front."""
    wrapper = textwrap.TextWrapper(WIDTH, subsequent_indent=" " * 10)
    return "\n".join(wrapper.fill(f"{name:10}{text}") for name, text in parts.items() if text)


def agree(returned: Any, expected: Any) -> bool:
    """Tell whether two arrays or numbers are the same up to rounding in float32."""
    same_shape = np.shape(returned) == np.shape(expected)
    scale = np.max(np.abs(expected), initial=0)
    return same_shape and np.allclose(returned, expected, rtol=0, atol=TOLERANCE * scale)


def require(called: str, returned: Any, expected: Any, mistakes: Mapping[str, Any]) -> None:
    """Fail unless a solution returned what is expected.

    Parameters
    ----------
    called : str
        What was called, in words.
    returned : object
    expected : ndarray, float or sequence of float
    mistakes : mapping of str to ndarray or float
        Hints, and what those return whom they help.
    """
    __tracebackhide__ = True
    if returned is None:
        missing(f"{called} gives None, as the starter code does")
    right = np.asarray(expected)
    try:
        np.asarray(returned, dtype=float)
    except (TypeError, ValueError):
        wrong(called, f"{type(returned).__name__} {returned!r:.60}", shown(right))
    found = np.asarray(returned)
    if agree(found, right):
        return
    hint = next((hint for hint, mistake in mistakes.items() if agree(found, mistake)), "")
    if right.ndim == 0 and found.ndim > 0 and found.size == 1:
        hint = (
            "a float is expected, not an array of one element: take the sum over all axes, or"
            f" .item(). The value is {'right' if agree(found.item(), right) else 'off, too'}"
        )
    elif right.ndim == 2 and found.shape == right.shape[:1]:
        hint = "a dimension is lost: [N], not [N, K]; targets minus this may be of shape [N, N]"
    texts = shown(found), shown(right)
    if found.shape == right.shape and right.size > 3:
        difference = np.nan_to_num(np.abs(found - right.astype(float)), nan=np.inf)
        place = np.unravel_index(np.argmax(difference), right.shape)
        off = np.count_nonzero(difference > TOLERANCE * np.max(np.abs(right)))
        at = f"at {[*map(int, place)]}"
        texts = (
            f"{found[place]:.6g} {at}; {off} of {right.size} values are off",
            f"{right[place]:.6g} {at}",
        )
    wrong(called, *texts, hint)


def shown(array: Any) -> str:
    """Describe an array, or a number."""
    array = np.asarray(array)
    if array.size > 3:
        return f"{array.dtype} of shape {array.shape}"
    values = ", ".join(f"{value:.7g}" for value in array.ravel())
    return values if array.ndim == 0 else f"array of shape {array.shape}: {values}"
