"""Compares a model's gradient with central differences of its cost, weight by weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.linear import Floats

# The error of a central difference has a part that grows with ε² and a part of rounding that grows
# with 1/ε. In float64, with losses around 1, this ε keeps both near 1e-10.
EPSILON = 1e-4
TOLERANCE = 1e-6
# A relative error says nothing where the gradient is zero. So no weight's error is taken relative
# to less than this part of the largest gradient.
SMALLEST_SCALE = 0.01


def check_gradient(
    model: Any, X: NDArray, Y: NDArray, cost: Callable[[Any, Floats, NDArray], float]
) -> float:
    """Compare `model.backward` with (J(w + ε) - J(w - ε)) / 2ε for every weight, in float64.

    Parameters
    ----------
    model : BinaryModel or SoftmaxModel
        Its weights are the same afterwards; its `grad` is the one that was checked.
    X : ndarray of shape (N, D), float
    Y : ndarray of shape (N, K), values 0 to 1
    cost : callable
        ``cost(model, X, Y)`` gives J(w), the cost whose gradient `model.backward` claims to be.

    Returns
    -------
    float
        The largest relative error over all weights.

    Raises
    ------
    AssertionError
        If the largest relative error is above 1e-6; names the weight.
    """
    X = X.astype(np.float64)
    original_w = model.w
    w = model.w = original_w.astype(np.float64)
    try:
        model.backward(X, model.forward(X), Y)
        grad = model.grad
        approximation = np.empty_like(grad)
        for weight in np.ndindex(*w.shape):
            value = w[weight]
            w[weight] = value + EPSILON
            cost_above = cost(model, X, Y)
            w[weight] = value - EPSILON
            cost_below = cost(model, X, Y)
            w[weight] = value
            approximation[weight] = (cost_above - cost_below) / (2 * EPSILON)
    finally:
        model.w = original_w
    size = np.maximum(np.abs(grad), np.abs(approximation))
    error = np.abs(grad - approximation) / np.maximum(size, SMALLEST_SCALE * size.max())
    worst = np.unravel_index(np.argmax(error), error.shape)
    # Written so that NaN fails, too.
    if not error[worst] <= TOLERANCE:
        raise AssertionError(
            f"the gradient is wrong, most of all for w{[int(i) for i in worst]}: backward gives"
            f" {grad[worst]:.9g}, central differences give {approximation[worst]:.9g}, a relative"
            f" error of {error[worst]:.1e}; expected at most {TOLERANCE:g}"
        )
    return float(error[worst])
