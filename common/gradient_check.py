"""Compares a model's gradient with central differences of its cost, weight by weight.

The relative error of a weight is |grad - difference|, divided by the larger of the two, but at
least by one percent of the largest gradient: next to a gradient of zero, the error of the
difference alone would count as 100 %.
"""

from typing import Any

import numpy as np

from common.arguments import Array, Floats, Measure

# The truncation error of a central difference grows with ε², its rounding error with 1/ε. This ε
# keeps both small in float64 for losses around 1.
EPSILON = 1e-4
TOLERANCE = 1e-6
SMALLEST_SCALE = 0.01
# A mistake explains a wrong gradient if it leaves at most this part of the difference unexplained.
LARGEST_MISFIT = 1e-3


def check_gradient(
    model: Any, X: Array, Y: Array, loss: Measure, l2_reg_lambda: float = 0.0
) -> float:
    """Compare `model.backward` with (J(w + ε) - J(w - ε)) / 2ε for every weight, in float64.

    Parameters
    ----------
    model : BinaryModel or SoftmaxModel
        Its weights are the same afterwards; its `grad` is the one that was checked.
    X : ndarray of shape (N, D), float
    Y : ndarray of shape (N, K), values 0 to 1
    loss : callable
        ``loss(Y, outputs)`` gives C(w).
    l2_reg_lambda : float, default=0
        The λ of J(w) = C(w) + λ Σ w², the cost that `model.backward` differentiates.

    Returns
    -------
    float
        The largest relative error over all weights.

    Raises
    ------
    AssertionError
        If the shape of the gradient differs from that of the weights, or the relative error of a
        weight is above 1e-6. The message says how many weights are off, which of them has the
        largest absolute difference, and, if one fits, what mistake would explain it.
    """
    __tracebackhide__ = True  # pytest shows the message instead of this function.
    X = X.astype(np.float64)
    original_w = model.w
    w = model.w = original_w.astype(np.float64)
    try:
        model.backward(X, model.forward(X), Y)
        grad = model.grad
        if np.shape(grad) != w.shape:
            what = "is None" if grad is None else f"has shape {np.shape(grad)}"
            raise AssertionError(f"grad {what} after backward; expected {w.shape}, the shape of w")
        approximation = central_differences(model, X, Y, loss, l2_reg_lambda)
    finally:
        model.w = original_w
    difference = np.abs(grad - approximation)
    size = np.maximum(np.abs(grad), np.abs(approximation))
    scale = np.maximum(size, SMALLEST_SCALE * size.max())
    off = ~(difference < TOLERANCE * scale)  # NaN is off, too.
    if off.any():
        # Not the largest relative error: that is often one of a gradient next to zero.
        worst = np.unravel_index(np.argmax(difference), w.shape)
        if off[:-1].any():
            hint = explain(grad, approximation, w, l2_reg_lambda, len(X))
        else:
            hint = "all of them are in the last row of w, the bias"
        message = (
            f"{off.sum()} of {w.size} weights {'is' if off.sum() == 1 else 'are'} off, most of all"
            f" w{[int(i) for i in worst]}: backward gives {grad[worst]:.6g}, central differences"
            f" give {approximation[worst]:.6g}; the difference is {difference[worst]:.3g}"
        )
        if hint:
            message += f"; {hint}"
        raise AssertionError(message)
    return float((difference / scale).max())


def central_differences(
    model: Any, X: Floats, Y: Array, loss: Measure, l2_reg_lambda: float
) -> Floats:
    """Compute (J(w + ε) - J(w - ε)) / 2ε for every weight; `model.w` is the same afterwards."""
    w = model.w
    differences = np.empty_like(w)
    for index in np.ndindex(*w.shape):
        weight = w[index]
        costs = []
        for shifted in (weight + EPSILON, weight - EPSILON):
            w[index] = shifted
            costs.append(loss(Y, model.forward(X)) + l2_reg_lambda * np.sum(w**2))
        w[index] = weight
        differences[index] = (costs[0] - costs[1]) / (2 * EPSILON)
    return differences


def explain(grad: Floats, approximation: Floats, w: Floats, l2_reg_lambda: float, N: int) -> str:
    """Name the mistake that explains a wrong gradient of N samples, or return an empty string."""
    penalty = 2 * l2_reg_lambda * w
    loss = approximation - penalty
    of_loss, of_penalty = "the gradient of the loss", "the gradient 2λw of the penalty λ Σ w²"
    large = f"is {N} times too large: its 1/N is missing"
    small = f"is {N} times too small: it is divided by N once too often"
    mistakes = {
        "the gradient has the wrong sign": -approximation,
        f"the gradient {large}": N * approximation,
        f"the gradient {small}": approximation / N,
        f"{of_loss} has the wrong sign": penalty - loss,
        f"{of_loss} {large}": N * loss + penalty,
        f"{of_penalty} has the wrong sign": loss - penalty,
        f"{of_penalty} is missing": loss,
        f"{of_penalty} is half of what it should be: a factor 2 is missing": loss + penalty / 2,
        f"{of_penalty} {small}": loss + penalty / N,
    }
    largest_misfit = LARGEST_MISFIT * np.abs(grad - approximation).max()
    for mistake, mistaken in mistakes.items():
        if np.abs(grad - mistaken).max() < largest_misfit:
            return f"it looks as if {mistake}"
    return ""
