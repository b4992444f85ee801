"""Refuses arguments that make no sense, with one line: the argument, what it was, what is expected.

NumPy would broadcast some of them without a word: targets of shape (N,) against outputs of shape
(N, 1) make N² differences.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

INTEGER = (int, np.integer)
REAL = (*INTEGER, float, np.floating)


def check_positive(name: str, value: float, *, whole: bool = False) -> None:
    """Raise a ValueError unless a setting is a positive finite number, and whole if it has to."""
    if whole and not isinstance(value, INTEGER):
        raise ValueError(f"{name} is {value!r}; expected a positive integer")
    if not isinstance(value, REAL) or not 0 < value < math.inf:
        raise ValueError(f"{name} is {value!r}; expected a positive number")


def check_rng(rng: object) -> None:
    """Raise a ValueError unless `rng` is a `numpy.random.Generator` or None."""
    if not isinstance(rng, np.random.Generator | None):
        raise ValueError(f"rng is {rng!r}; expected a numpy.random.Generator")


def check_batches(batch_size: int, N: int, fewest: int) -> None:
    """Raise a ValueError unless N samples make at least so many batches."""
    check_positive("batch_size", batch_size, whole=True)
    if N // batch_size < fewest:
        raise ValueError(
            f"batch_size is {batch_size}, which makes {N // batch_size} batches of the {N} training"
            f" samples; expected at least {fewest}"
        )


def misfit(name: str, array: NDArray, expected: str) -> ValueError:
    """Make the error for an array of another dtype or shape than expected."""
    return ValueError(f"{name} is {array.dtype} of shape {array.shape}; expected {expected}")


def check_samples(X: Floats, w: Floats) -> None:
    """Raise a ValueError unless samples X [N, D] fit weights w [D, K] or [M, D, K], all float."""
    if w.ndim not in (2, 3) or w.dtype.kind != "f":
        raise misfit("w", w, "float of [D, K]")
    if X.ndim != 2 or X.shape[1] != w.shape[-2] or X.dtype.kind != "f":
        raise misfit("X", X, f"float of [N, {w.shape[-2]}], to fit w")


def check_outputs(targets: NDArray, outputs: Floats, num_outputs: int | None = None) -> None:
    """Raise a ValueError unless outputs [N, K], float, and targets [N, K] belong together.

    Parameters
    ----------
    targets : ndarray of shape (N, K), numbers
    outputs : ndarray of shape (N, K), float
    num_outputs : int, optional
        The K that is expected; at least 2 by default.
    """
    K = outputs.shape[1] if outputs.ndim == 2 else 0
    if (K < 2 if num_outputs is None else num_outputs != K) or outputs.dtype.kind != "f":
        columns = "K], K at least 2" if num_outputs is None else f"{num_outputs}]"
        raise misfit("outputs", outputs, f"float of [N, {columns}")
    if targets.shape != outputs.shape or targets.dtype.kind not in "fiub":
        raise misfit("targets", targets, f"numbers of {list(outputs.shape)}, as outputs")
    if not len(targets):
        raise misfit("targets", targets, "at least one sample")


def check_dataset(part: str, X: Floats, Y: NDArray, w: Floats) -> None:
    """Raise a ValueError unless X_`part` and Y_`part` fit each other and the weights w [D, K]."""
    for name, array in (("X", X), ("Y", Y)):
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name}_{part} is a {type(array).__name__}; expected an ndarray")
    D, K = w.shape
    if X.ndim != 2 or X.shape[1] != D or X.dtype.kind != "f" or len(X) == 0:
        raise misfit(f"X_{part}", X, f"float of [N, {D}], N at least 1")
    if Y.shape != (len(X), K) or Y.dtype.kind not in "fiub":
        raise misfit(f"Y_{part}", Y, f"numbers of [{len(X)}, {K}]")
    if not np.isfinite(X.sum(dtype=np.float64)):
        raise ValueError(f"X_{part} has infinite or NaN values; expected finite ones")
    if not (Y.min() >= 0 and Y.max() <= 1):
        raise ValueError(f"Y_{part} has values from {Y.min()} to {Y.max()}; expected 0 to 1")
