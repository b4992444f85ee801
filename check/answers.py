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
# What the present check has to say though it passes: advice, and other things worth knowing.
ADVICE: list[str] = []
NOTES: list[str] = []


def missing(why: str) -> NoReturn:
    """End a check: what it would check is not there."""
    pytest.skip(f"missing: {why}")


def wrong(called: str, returned: str, expected: str, hint: str = "") -> NoReturn:
    """Fail a check: what was called, what came back, what was expected, and a hint."""
    pytest.fail(
        layout(called=called, returned=returned, expected=expected, hint=hint), pytrace=False
    )


def advise(called: str, returned: str, expected: str, hint: str) -> None:
    """Say what is worth knowing though no text of the course asks for it."""
    ADVICE.append(layout(called=called, returned=returned, expected=expected, hint=hint))


def filled(called: str, returned: Any) -> Any:
    """Give what was returned; missing if it is None or nothing but zeros, which is never right."""
    number = np.asarray(returned)
    if returned is None or (number.dtype.kind in "bif" and number.size and not number.any()):
        found = "None" if returned is None else "0"
        missing(f"{called} gives {found}, as the starter code does")
    return returned


def layout(**parts: str) -> str:
    """Lay out texts, each with its name in front."""
    wrapper = textwrap.TextWrapper(WIDTH, subsequent_indent=" " * 10)
    return "\n".join(wrapper.fill(f"{name:10}{text}") for name, text in parts.items() if text)


def agree(returned: Any, expected: Any) -> bool:
    """Tell whether two arrays or numbers are the same up to rounding in float32."""
    if np.shape(returned) != np.shape(expected) or np.asarray(returned).dtype.kind not in "biuf":
        return False
    scale = np.max(np.abs(expected), initial=0)
    return np.allclose(returned, expected, rtol=0, atol=TOLERANCE * scale)


def require(
    called: str,
    returned: Any,
    expected: Any,
    mistakes: Mapping[str, Any],
    allowed: Mapping[str, Any] | None = None,
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
    allowed : mapping of str to ndarray or float, optional
        The same for what is worth an advice only.
    """
    __tracebackhide__ = True
    right = np.asarray(expected)
    found: Any
    try:
        np.asarray(returned, dtype=float)
    except (TypeError, ValueError):
        found = f"{type(returned).__name__} {' '.join(repr(returned).split())}"
        wrong(called, f"{found:.60}", shown(right))
    found = np.asarray(returned)
    if found.dtype == object:
        found = found.astype(float)
    if right.ndim == 0 and found.ndim and found.size == 1:
        advise(called, shown(found), shown(right), ONE_ELEMENT)
        found = found.reshape(())
    if agree(found, right):
        return
    if fits := [hint for hint, value in (allowed or {}).items() if agree(found, value)]:
        advise(called, *compared(found, right), fits[0])
        return
    hint = next((hint for hint, mistake in mistakes.items() if agree(found, mistake)), "")
    wrong(called, *compared(found, right), hint or hint_of_shapes(found.shape, right.shape))


ONE_ELEMENT = (
    "a float is expected, not an array of one element, which since NumPy 2.4 is no longer taken for"
    " a number: take the sum over all axes, or .item()"
)


def hint_of_shapes(found: tuple[int, ...], right: tuple[int, ...]) -> str:
    """Say what it looks like that a shape is another one than expected; empty if nothing."""
    if found == right:
        return ""
    if not right:
        return "a single float is expected: the losses of the samples, added up and divided by N"
    if found == right[:1]:
        return f"a dimension is lost: {found}, not {right}; with it, broadcasting makes (N, N)"
    return "it is transposed" if found == right[::-1] else ""


def compared(found: Any, right: Any) -> tuple[str, str]:
    """Describe two arrays, or numbers; of large ones the place where they differ most."""
    if found.shape != right.shape or right.size <= 3:
        return shown(found), shown(right)
    difference = np.nan_to_num(np.abs(found - right.astype(float)), nan=np.inf)
    place = np.unravel_index(np.argmax(difference), right.shape)
    off = np.count_nonzero(difference > TOLERANCE * np.max(np.abs(right)))
    at = f"at {[*map(int, place)]}"
    return (
        f"{found[place]:.6g} {at}; {off} of {right.size} values are off",
        f"{right[place]:.6g} {at}",
    )


def shown(array: Any) -> str:
    """Describe an array, or a number."""
    array = np.asarray(array)
    if array.size > 3:
        return f"{array.dtype} of shape {array.shape}"
    values = ", ".join(f"{value:.7g}" for value in array.ravel())
    return values if array.ndim == 0 else f"array of shape {array.shape}: {values}"
