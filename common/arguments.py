"""Checks arguments: an `InputError` names the argument, its value, and what is expected.

NumPy would broadcast some of them silently: the difference of targets of shape (N,) and outputs of
shape (N, 1) has the shape (N, N).
"""

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import InputError

Array = NDArray[Any]
Floats = NDArray[np.floating]
Measure = Callable[[Array, Floats], float]  # (targets, outputs) → mean, such as a loss

# Codes of dtype kinds, and what messages call them.
FLOAT = "f"
INTEGERS = "iu"
NUMBERS = "fiub"
KIND_NAMES = {FLOAT: "float", INTEGERS: "integers", NUMBERS: "numbers"}


def check_positive(name: str, value: float, *, whole: bool = False, most: float = math.inf) -> None:
    """Check that a setting is positive, at most `most`, and an integer if `whole`."""
    kind = Integral if whole else Real
    if not isinstance(value, kind) or not 0 < value < math.inf or value > most:
        expected = "a positive integer" if whole else "a positive number"
        up_to = f" up to {most}" if most < math.inf else ""
        raise InputError(f"{name} is {value!r}; expected {expected}{up_to}", name)


def check_matrix(
    name: str, array: Array, columns: int, kinds: str = FLOAT, rows: int | None = None
) -> None:
    """Check that an array has this many columns, a dtype of these kinds, and at least one row."""
    fits = array.ndim == 2 and array.shape[1] == columns and len(array) > 0
    if not fits or rows not in (None, len(array)) or array.dtype.kind not in kinds:
        expected = f"{KIND_NAMES[kinds]} of [{rows or 'N'}, {columns}]"
        raise InputError(f"{name} is {array.dtype} of shape {array.shape}; expected {expected}")


def check_range(name: str, array: Array, low: float, high: float) -> None:
    """Check that all values are within these limits, and none is NaN."""
    if not (array.min() >= low and array.max() <= high):
        found = f"{array.min()} to {array.max()}"
        raise InputError(f"{name} has values from {found}; expected {low} to {high}")


def check_targets_and_outputs(
    targets: Array, outputs: Floats, num_outputs: int | None = None
) -> None:
    """Check that targets [N, K] and outputs [N, K], float, belong together.

    Parameters
    ----------
    targets : ndarray of shape (N, K), numbers
    outputs : ndarray of shape (N, K), float
    num_outputs : int, optional
        The expected K; by default, any K of at least 2.
    """
    if num_outputs is None:
        if outputs.ndim != 2 or outputs.shape[1] < 2:
            expected = "(N, K) with K of at least 2"
            raise InputError(f"outputs has the shape {outputs.shape}; expected {expected}")
        num_outputs = outputs.shape[1]
    check_matrix("outputs", outputs, num_outputs)
    check_matrix("targets", targets, num_outputs, NUMBERS, len(outputs))


def check_dataset(part: str, X: Floats, Y: Array, w: Floats) -> None:
    """Check that X_`part` and Y_`part` fit each other and the weights w [D, K]."""
    D, K = w.shape
    check_matrix(f"X_{part}", X, D)
    check_matrix(f"Y_{part}", Y, K, NUMBERS, len(X))
    if not np.isfinite(X).all():
        raise InputError(f"X_{part} contains NaN or infinity; expected finite numbers")
    check_range(f"Y_{part}", Y, 0, 1)
