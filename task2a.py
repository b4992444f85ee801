"""Task 2a: preprocessing, the logistic model, its loss and its gradient check.

Functions and methods raise a ValueError if an argument does not have the documented shape or dtype.
"""

import numpy as np

from common.arguments import (
    NUMBERS,
    Array,
    Floats,
    check_matrix,
    check_range,
    check_targets_and_outputs,
)
from common.gradient_check import check_gradient
from common.linear import logits, weight_gradient
from utils import load_binary_dataset

DIGITS = (2, 3)  # of task 2: digit 2 has target 1, digit 3 has target 0
IMAGE_SIZE = 784


def pre_process_images(X: Array) -> Floats:
    """Scale pixels to -1…1 and append the column of ones of the bias trick.

    Parameters
    ----------
    X : ndarray of shape (N, 784), integers or floats, values 0 to 255

    Returns
    -------
    ndarray of shape (N, 785), float32, values -1 to 1
        The last column is one, so that the last row of ``w`` is the bias.

    Raises
    ------
    ValueError
        If the shape or dtype is another, or a pixel is NaN or outside 0…255.
    """
    check_matrix("X", X, IMAGE_SIZE, NUMBERS)
    check_range("X", X, 0, 255)
    processed = np.empty((len(X), IMAGE_SIZE + 1), dtype=np.float32)
    pixels = processed[:, :IMAGE_SIZE]
    np.divide(X, np.float32(127.5), out=pixels, casting="same_kind")
    pixels -= 1
    processed[:, IMAGE_SIZE] = 1
    return processed


def sigmoid(z: Floats) -> Floats:
    """Compute 1 / (1 + exp(-z)) without overflow."""
    # exp of a negative number cannot overflow: use exp(-z) for z >= 0 and exp(z) for z < 0.
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def cross_entropy_loss(targets: Array, outputs: Floats) -> float:
    """Compute the mean logistic loss C(w) = -1/N Σₙ yⁿ ln ŷⁿ + (1 - yⁿ) ln(1 - ŷⁿ).

    Parameters
    ----------
    targets : ndarray of shape (N, 1), values 0 or 1
        The targets y.
    outputs : ndarray of shape (N, 1), float, values 0 to 1
        The probabilities ŷ.

    Returns
    -------
    float
        Always finite: an output of 0 counts as the smallest normal number of its dtype, and one of
        1 as the largest number below 1. Summed in float64.
    """
    check_targets_and_outputs(targets, outputs, 1)
    float_info = np.finfo(outputs.dtype)
    ln_y = np.log(np.maximum(outputs, float_info.tiny))
    ln_not_y = np.log(np.maximum(1 - outputs, float_info.epsneg))
    return float(-np.mean(targets * ln_y + (1 - targets) * ln_not_y, dtype=np.float64))


class BinaryModel:
    """Logistic regression: ŷ = sigmoid(X w).

    Attributes
    ----------
    w : ndarray of shape (785, 1), float32, zero at first
        May be replaced by any float array of this shape; results follow its dtype.
    grad : ndarray of the shape of `w`, or None before `backward`
    """

    def __init__(self) -> None:
        self.w: Floats = np.zeros((IMAGE_SIZE + 1, 1), dtype=np.float32)
        self.grad: Floats | None = None

    def forward(self, X: Floats) -> Floats:
        """Compute the outputs ŷ = sigmoid(X w) of X [N, 785]: [N, 1], values 0 to 1."""
        return sigmoid(logits(X, self.w))

    def backward(self, X: Floats, outputs: Floats, targets: Array) -> None:
        """Set `grad` to ∂C/∂w = -1/N Σₙ (yⁿ - ŷⁿ) xⁿ (task 1a).

        Parameters
        ----------
        X : ndarray of shape (N, 785), float
        outputs : ndarray of shape (N, 1), float
            What `forward` returned for `X`.
        targets : ndarray of shape (N, 1), values 0 or 1
        """
        check_targets_and_outputs(targets, outputs, 1)
        check_matrix("X", X, len(self.w), rows=len(outputs))
        self.grad = weight_gradient(X, (outputs - targets) / len(X))  # X.T @ (ŷ − y) / N

    def zero_grad(self) -> None:
        """Forget the gradient. Part of the starter code; `backward` does not need it."""
        self.grad = None


def gradient_approximation_test(model: BinaryModel, X: Floats, Y: Array) -> float:
    """Check `backward` against central differences of the loss for every weight, in float64.

    Parameters
    ----------
    model : BinaryModel
    X : ndarray of shape (N, 785), float
    Y : ndarray of shape (N, 1), values 0 or 1

    Returns
    -------
    float
        The largest relative error over all weights, see `common.gradient_check`.

    Raises
    ------
    AssertionError
        If it is above 1e-6. The message names the worst weight, and what mistake would explain it.
    """
    __tracebackhide__ = True  # pytest shows the message instead of this function.
    return check_gradient(model, X, Y, cross_entropy_loss)


def main() -> None:
    """Check this file as the course does, on real images, and the gradient on twenty of them."""
    images, Y, _, _ = load_binary_dataset(*DIGITS)
    X = pre_process_images(images)
    assert X.shape == (len(images), IMAGE_SIZE + 1), f"X has the shape {X.shape}"
    assert (X.min(), X.max()) == (-1, 1), f"pixels are from {X.min()} to {X.max()}"
    assert np.all(X[:, -1] == 1), "the last column of X is not all ones"
    print("pre_process_images: pixels are from -1 to 1, the last column is all ones")

    model = BinaryModel()
    outputs = model.forward(X)
    assert np.all(outputs == 0.5), "outputs are not 0.5, though all weights are zero"
    loss = cross_entropy_loss(Y, outputs)
    assert np.isclose(loss, np.log(2)), f"the loss is {loss}, not ln 2, though all weights are zero"
    print("forward, cross_entropy_loss: with zero weights, outputs are 0.5 and the loss is ln 2")

    rng = np.random.default_rng(0)
    for name, w in (("zero", model.w), ("random", rng.normal(scale=0.05, size=model.w.shape))):
        model.w = w
        error = gradient_approximation_test(model, X[:20], Y[:20])
        print(f"backward: with {name} weights, the largest relative error is {error:.1e}")


if __name__ == "__main__":
    main()
