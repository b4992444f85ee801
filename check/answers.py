"""Compares what a solution returned with what is right, and says what went wrong."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import pytest

# Code in float32 is right, too.
TOLERANCE = 1e-4
WIDTH = 71


class WrongAnswer(pytest.fail.Exception):  # type: ignore[name-defined]
    """A check has failed: what was called, what came back, what was expected, and a hint."""

    def __init__(self, called: str, returned: str, expected: str, hint: str = "") -> None:
        parts = {"called": called, "returned": returned, "expected": expected, "hint": hint}
        super().__init__(layout(parts), pytrace=False)


def layout(parts: Mapping[str, str]) -> str:
    """Lay out texts, each with its name in front."""
    wrapper = textwrap.TextWrapper(WIDTH, subsequent_indent=" " * 10)
    return "\n".join(wrapper.fill(f"{name:10}{text}") for name, text in parts.items() if text)


def missing(why: str) -> NoReturn:
    """End a check: what it would check is not there."""
    pytest.skip(f"missing: {why}")


def agree(returned: Any, expected: Any) -> bool:
    """Tell whether two arrays or numbers are the same up to rounding in float32."""
    if np.shape(returned) != np.shape(expected):
        return False
    scale = np.max(np.abs(expected), initial=0)
    return np.allclose(returned, expected, rtol=0, atol=TOLERANCE * scale)


def require(
    called: str, returned: Any, expected: Any, mistakes: Mapping[str, Any] | None = None,
    hint: str = "",
) -> None:  # fmt: skip
    """Raise a WrongAnswer unless a solution returned what is expected.

    Parameters
    ----------
    called : str
        What was called, in words.
    returned : object
    expected : ndarray, float or sequence of float
    mistakes : mapping of str to ndarray or float, optional
        Hints, and what those return whom they help.
    hint : str, optional
        For everybody else.
    """
    __tracebackhide__ = True
    if returned is None:
        missing(f"{called} gives None, as the starter code does")
    found, right = np.asarray(returned), np.asarray(expected)
    if found.dtype.kind not in "fiub":
        raise WrongAnswer(called, f"{type(returned).__name__} {returned!r:.60}", shown(right))
    if agree(found, right):
        return
    hints = [hint for hint, wrong in (mistakes or {}).items() if agree(found, wrong)]
    hints += [hint or shape_hint(found, right)]
    texts = [shown(found), shown(right)]
    if found.shape == right.shape and right.size > 3:
        difference = np.nan_to_num(np.abs(found - right.astype(float)), nan=np.inf)
        place = np.unravel_index(np.argmax(difference), right.shape)
        off = np.count_nonzero(difference > TOLERANCE * np.max(np.abs(right)))
        texts = [f"{a[place]:.6g} at {[*map(int, place)]}" for a in (found, right)]
        texts[0] += f"; {off} of {right.size} values are off"
    raise WrongAnswer(called, texts[0], texts[1], hints[0])


def shown(array: Any) -> str:
    """Describe an array, or a number."""
    array = np.asarray(array)
    if array.size > 3:
        return f"{array.dtype} of shape {array.shape}"
    values = ", ".join(f"{value:.7g}" for value in array.ravel())
    return values if array.ndim == 0 else f"array of shape {array.shape}: {values}"


def shape_hint(found: Any, right: Any) -> str:
    """Say what a wrong shape looks like."""
    if right.ndim == 0 and found.size == 1:
        return (
            "a float is expected, not an array of one element: take the sum over all axes, or"
            f" .item(). The value is {'right' if agree(found.item(), right) else 'off, too'}"
        )
    if found.shape == right.shape[:1]:
        return (
            f"with a dimension lost, targets of shape {right.shape} minus this would be of shape"
            f" {np.broadcast_shapes(right.shape, found.shape)}"
        )
    return "" if np.isfinite(found).all() else "there are values that are NaN or infinite"
