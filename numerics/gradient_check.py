"""Compares a model's gradient with central differences of its cost, weight by weight.

The relative error of a weight is |grad - difference|, divided by the larger of the two, but at
least by one percent of the largest of all gradients: where a gradient is zero, rounding alone would
make an error of 100 %.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.linear import Floats, stack_weights

Loss = Callable[[NDArray, Floats], float]

# The error of a central difference has a part that grows with ε² and a part of rounding that grows
# with 1/ε. In float64, with losses around 1, this ε keeps both near 1e-10.
EPSILON = 1e-4
TOLERANCE = 1e-6
SMALLEST_SCALE = 0.01
# Weights that are shifted at once, each up and down: few enough for the processor's cache.
STACK_SIZE = 20
# An explanation leaves at most this part of what it explains. Rounding leaves less, another mistake
# more.
LARGEST_MISFIT = 1e-3


def check_gradient(
    model: Any, X: NDArray, Y: NDArray, loss: Loss, l2_reg_lambda: float = 0.0
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
        The λ of J(w) = C(w) + λ Σ w², the cost whose gradient `model.backward` claims to be.

    Returns
    -------
    float
        The largest relative error over all weights. No error is taken relative to less than one
        percent of the largest gradient.

    Raises
    ------
    AssertionError
        If the gradient has another shape than the weights, or the relative error of a weight is
        above 1e-6. Says how many weights are off, which one has the largest absolute difference,
        both its values, and, where one fits, what mistake the gradient looks like.
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
    size = np.maximum(np.abs(grad), np.abs(approximation))
    if (bad := ~np.isfinite(size)).any():
        raise AssertionError(
            f"{bad.sum()} of {w.size} weights have a gradient that is not finite, such as"
            f" {values_of(np.argmax(bad), grad, approximation)}"
        )
    difference = np.abs(grad - approximation)
    error = difference / np.maximum(size, SMALLEST_SCALE * size.max())
    off = error > TOLERANCE
    if off.any():
        # Of those that are off: what counts there is the absolute difference. The largest relative
        # one is often a weight next to zero, whose sign is then an accident.
        worst = np.argmax(np.where(off, difference, 0))
        hint = "all of them are in the last row of w, the bias"
        if off[:-1].any():
            hint = explain(grad, approximation, w, l2_reg_lambda, len(X))
        raise AssertionError(
            f"{off.sum()} of {w.size} weights {'is' if off.sum() == 1 else 'are'} off, most of all"
            f" {values_of(worst, grad, approximation)}; the difference is"
            f" {difference.flat[worst]:.3g}" + (hint and f"; {hint}")
        )
    return float(error.max())


def values_of(index: np.intp, grad: Floats, approximation: Floats) -> str:
    """Name the weight with an index into the flat arrays, and both its gradients."""
    weight = [int(i) for i in np.unravel_index(index, grad.shape)]
    return (
        f"w{weight}: backward gives {grad.flat[index]:.6g}, central differences give"
        f" {approximation.flat[index]:.6g}"
    )


def central_differences(
    model: Any, X: Floats, Y: NDArray, loss: Loss, l2_reg_lambda: float
) -> NDArray[np.float64]:
    """Compute (J(w + ε) - J(w - ε)) / 2ε for every weight, as `check_gradient` describes them."""
    at_once = takes_stacks(model, X)
    shifted = copy.copy(model)
    differences = np.empty(model.w.size)
    for start in range(0, model.w.size, STACK_SIZE):
        numbers = np.arange(start, min(start + STACK_SIZE, model.w.size))
        rows, columns = np.unravel_index(numbers, model.w.shape)
        M = len(numbers)
        shifted.w = stack_weights([model.w] * (2 * M))
        shifted.w[np.arange(M), rows, columns] += EPSILON
        shifted.w[np.arange(M, 2 * M), rows, columns] -= EPSILON
        all_outputs = shifted.forward(X) if at_once else forward_one_by_one(shifted, X)
        costs = np.array([loss(Y, outputs) for outputs in all_outputs])
        if l2_reg_lambda:
            costs += l2_reg_lambda * np.sum(shifted.w**2, axis=(1, 2))
        differences[numbers] = (costs[:M] - costs[M:]) / (2 * EPSILON)
    return differences.reshape(model.w.shape)


def takes_stacks(model: Any, X: Floats) -> bool:
    """Try whether `forward` gives for two weights at once what it gives for each of them.

    The models of this project do. A `forward` that somebody wrote for one matrix of weights may
    refuse two, or mix them up.
    """
    pair = copy.copy(model)
    pair.w = stack_weights(np.random.default_rng(0).normal(scale=0.05, size=(2, *model.w.shape)))
    try:
        both = pair.forward(X)
    except Exception:
        return False
    each = forward_one_by_one(pair, X)
    return np.shape(both) == each.shape and np.allclose(both, each, rtol=1e-9, atol=0)


def forward_one_by_one(stack: Any, X: Floats) -> Floats:
    """Call `forward` for each of the weights in ``stack.w``."""
    model = copy.copy(stack)
    return np.array([model.forward(X) for model.w in stack.w])


def explain(grad: Floats, approximation: Floats, w: Floats, l2_reg_lambda: float, N: int) -> str:
    """Say what mistake a wrong gradient looks like.

    Fits grad = a ∂C/∂w + b w by least squares. A right gradient has a = 1 and b = 2λ.

    Returns
    -------
    str
        Empty if that does not explain the differences.
    """
    terms = np.stack([approximation - 2 * l2_reg_lambda * w, w], axis=-1).reshape(-1, 2)
    (a, b), *_ = np.linalg.lstsq(terms, grad.ravel(), rcond=None)
    misfit = np.abs(grad.ravel() - terms @ (a, b)).max()
    largest_misfit = LARGEST_MISFIT * np.abs(grad - approximation).max()
    if misfit > largest_misfit:
        return ""
    of_loss, of_penalty = describe_factor(a, N), ""
    if l2_reg_lambda and w.any():
        of_penalty = describe_factor(b / (2 * l2_reg_lambda), N)
    elif np.abs(b * w).max() > largest_misfit:
        of_penalty = f"is {b:.4g} w, but λ is 0"
    penalty = "the gradient 2λw of the penalty λ Σ w²"
    mistakes = {"the gradient of the loss": of_loss, penalty: of_penalty}
    if of_loss == of_penalty or not (l2_reg_lambda or of_penalty):
        mistakes = {"the gradient": of_loss}
    found = [f"{part} {mistake}" for part, mistake in mistakes.items() if mistake]
    return "it looks as if " + " and ".join(found) if found else ""


def describe_factor(factor: float, N: int) -> str:
    """Say what it means that a gradient of N samples is `factor` times the right one."""
    mistakes = {
        1: "",
        0: "is missing",
        -1: "has the wrong sign",
        N: f"is {N} times too large: its 1/N is missing",
        1 / N: f"is {N} times too small: it is divided by N once too often",
        1 / 2: "is half of what it should be: a factor 2 is missing",
        2: "is twice what it should be",
    }
    for right, mistake in mistakes.items():
        if abs(factor - right) <= LARGEST_MISFIT * abs(right or 1):
            return mistake
    return f"is {factor:.4g} times what it should be"
