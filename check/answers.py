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
    """A check has failed.

    Parameters
    ----------
    called, returned, expected, hint : str
        A line each.
    """

    def __init__(self, called: str, returned: str, expected: str, hint: str = "") -> None:
        parts = {"called": called, "returned": returned, "expected": expected, "hint": hint}
        super().__init__(layout(parts), pytrace=False)


def layout(parts: Mapping[str, str]) -> str:
    """Lay out named texts in two columns."""
    lines = [
        textwrap.fill(" ".join(text.split()), WIDTH, initial_indent=f"{name:10}",
                      subsequent_indent=" " * 10)
        for name, text in parts.items() if text
    ]  # fmt: skip
    return "\n".join(lines)


def missing(why: str) -> NoReturn:
    """End a check: what it would check is not there."""
    pytest.skip(f"missing: {why}")


def agree(returned: Any, expected: Any) -> bool:
    """Tell whether two arrays or numbers are the same up to rounding in float32."""
    if np.shape(returned) != np.shape(expected):
        return False
    scale = np.max(np.abs(expected), initial=0)
    return np.allclose(returned, expected, rtol=TOLERANCE, atol=TOLERANCE * scale)


def require(
    called: str, returned: Any, expected: Any, mistakes: Mapping[str, Any] | None = None
) -> None:
    """End a check unless a solution returned what is expected.

    Parameters
    ----------
    called : str
        What was called, in words.
    returned : object
    expected : ndarray or float
    mistakes : mapping of str to ndarray or float, optional
        Hints, and what is returned by those whom they help.

    Raises
    ------
    WrongAnswer
    """
    __tracebackhide__ = True
    if returned is None:
        missing(f"{called} gives None, as the starter code does")
    array, right = np.asarray(returned), np.asarray(expected)
    if array.dtype.kind not in "fiub":
        raise WrongAnswer(called, f"{type(returned).__name__} {returned!r:.60}", shown(right))
    if agree(array, right):
        return
    hints = (hint for hint, wrong in (mistakes or {}).items() if agree(array, wrong))
    hint = next(hints, "") or shape_hint(array, right)
    raise WrongAnswer(called, *shown_both(array, right), hint)


def shown(array: Any) -> str:
    """Describe an array, or a number."""
    if np.ndim(array) == 0:
        return f"{array:.7g}"
    if np.size(array) == 1:
        return f"an array of shape {np.shape(array)}: {np.ravel(array)[0]:.7g}"
    return f"{array.dtype} of shape {array.shape}"


def shown_both(array: Any, right: Any) -> tuple[str, str]:
    """Describe two arrays, and where they differ most."""
    texts = shown(array), shown(right)
    if array.shape != right.shape or array.ndim == 0:
        return texts
    difference = np.abs(np.subtract(array, right, dtype=np.float64))
    off = ~(difference <= TOLERANCE * (np.abs(right) + np.max(np.abs(right))))
    place = np.unravel_index(np.argmax(np.where(off, np.nan_to_num(difference, nan=np.inf), -1)),
                             array.shape)  # fmt: skip
    at = ", ".join(map(str, place))
    found, wanted = (f"{text}, with {a[place]:.6g} at [{at}]" for text, a in
                     zip(texts, (array, right), strict=True))  # fmt: skip
    return f"{found}; {off.sum()} of {off.size} values are off", wanted


def shape_hint(array: Any, right: Any) -> str:
    """Say what a wrong shape looks like."""
    if right.ndim == 0 and array.size == 1:
        return (
            "the value is right, but it is an array of one element, not a float: sum over all axes,"
            " or return it with .item()"
            if agree(array.item(), right)
            else "it is an array of one element, and its value is off, too"
        )
    if right.ndim == 0 and array.ndim:
        return "a loss is one number, the mean over all samples"
    if array.shape == right.shape[:1]:
        return (
            f"it has lost a dimension: targets {right.shape} minus outputs {array.shape} would be"
            f" {np.broadcast_shapes(right.shape, array.shape)}"
        )
    if array.shape == right.shape[::-1]:
        return "it is transposed"
    if not np.isfinite(array).all():
        return "it has values that are NaN or infinite"
    return ""
