"""Refuses arguments that make no sense, with one line: the argument, what it was, what is expected.

NumPy would broadcast some of them without a word: targets of shape (N,) against outputs of shape
(N, 1) make N² differences.
"""

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.floating]
Measure = Callable[[Array, Floats], float]  # (targets, outputs) → mean, such as a loss

# What dtypes of these kinds are called.
FLOAT, INTEGERS, NUMBERS = "f", "iu", "fiub"
NAMES = {FLOAT: "float", INTEGERS: "integers", NUMBERS: "numbers"}


def check_positive(name: str, value: float, *, whole: bool = False, most: float = math.inf) -> None:
    """Raise a ValueError unless a setting is positive, at most `most`, and whole if it has to."""
    kind = Integral if whole else Real
    if not isinstance(value, kind) or not 0 < value < math.inf or value > most:
        expected = "a positive integer" if whole else "a positive number"
        up_to = f" up to {most}" if most < math.inf else ""
        raise ValueError(f"{name} is {value!r}; expected {expected}{up_to}")


def check_matrix(
    name: str, array: Array, columns: int, kinds: str = FLOAT, rows: int | None = None
) -> None:
    """Raise a ValueError unless an array has this shape, at least one row, and a fitting dtype."""
    fits = array.ndim == 2 and array.shape[1] == columns and len(array) > 0
    if not fits or rows not in (None, len(array)) or array.dtype.kind not in kinds:
        expected = f"{NAMES[kinds]} of [{rows or 'N'}, {columns}]"
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}; expected {expected}")


def check_range(name: str, array: Array, low: float, high: float) -> None:
    """Raise a ValueError unless all values, none of them NaN, are within these limits."""
    if not (array.min() >= low and array.max() <= high):
        found = f"{array.min()} to {array.max()}"
        raise ValueError(f"{name} has values from {found}; expected {low} to {high}")


def check_outputs(targets: Array, outputs: Floats, num_outputs: int | None = None) -> None:
    """Raise a ValueError unless outputs [N, K], float, and targets [N, K] belong together.

    Parameters
    ----------
    targets : ndarray of shape (N, K), numbers
    outputs : ndarray of shape (N, K), float
    num_outputs : int, optional
        The K that is expected; any K from 2 up by default.
    """
    K = num_outputs or max(2, outputs.shape[-1])
    check_matrix("outputs", outputs, K)
    check_matrix("targets", targets, K, NUMBERS, len(outputs))


def check_dataset(part: str, X: Floats, Y: Array, w: Floats) -> None:
    """Raise a ValueError unless X_`part` and Y_`part` fit each other and the weights w [D, K]."""
    D, K = w.shape
    check_matrix(f"X_{part}", X, D)
    check_matrix(f"Y_{part}", Y, K, NUMBERS, len(X))
    largest = float(np.finfo(X.dtype).max)
    check_range(f"X_{part}", X, -largest, largest)
    check_range(f"Y_{part}", Y, 0, 1)
