"""Evaluates one model at several weights in one pass over the samples."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.linear import Floats, stack_weights

# Images that are evaluated at once: few enough that their logits stay in the processor's cache.
BLOCK_SIZE = 2500


def evaluate(
    model: Any,
    weights: Mapping[int, Floats],
    X: Floats,
    Y: NDArray,
    *measures: Callable[[NDArray, Floats], float],
) -> list[dict[int, float]]:
    """Compute the mean of each measure over all samples, for each of several weights.

    One product with M weights side by side takes far less time than M products: it waits for the
    images in memory once (see `numerics.linear`).

    Parameters
    ----------
    model : BinaryModel or SoftmaxModel
        Left as it is.
    weights : mapping of step to ndarray of shape (D, K), float
    X : ndarray of shape (N, D), float
    Y : ndarray of shape (N, K)
    *measures : callable
        ``measure(targets, outputs)`` gives a mean over samples, such as a loss or an accuracy.

    Returns
    -------
    list of dict
        For each measure, ``{step: mean}``.
    """
    if not weights:
        return [{} for _ in measures]
    stack = copy.copy(model)
    stack.w = stack_weights(weights.values())
    sums = np.zeros((len(measures), len(weights)))
    for start in range(0, len(X), BLOCK_SIZE):
        X_block = X[start : start + BLOCK_SIZE]
        Y_block = np.asfortranarray(Y[start : start + BLOCK_SIZE])
        for m, outputs in enumerate(stack.forward(X_block)):
            sums[:, m] += [len(X_block) * measure(Y_block, outputs) for measure in measures]
    means = (sums / len(X)).tolist()
    return [dict(zip(weights, values, strict=True)) for values in means]
