"""Task 3a: one-hot encoding, the softmax model, its loss and its gradient check.

Functions and methods raise a ValueError if an argument does not have the documented shape or dtype.
"""

import numpy as np

from common.arguments import (
    INTEGERS,
    Array,
    Floats,
    check_matrix,
    check_range,
    check_targets_and_outputs,
)
from common.errors import InputError
from common.gradient_check import check_gradient
from common.linear import logits, weight_gradient
from mnist import NUM_CLASSES
from task2a import IMAGE_SIZE, pre_process_images
from utils import load_full_mnist


def one_hot_encode(Y: Array, num_classes: int) -> Floats:
    """Turn labels into rows with a single 1.

    Parameters
    ----------
    Y : ndarray of shape (N, 1), integers, values 0 to num_classes - 1
    num_classes : int > 0

    Returns
    -------
    ndarray of shape (N, num_classes), float32
        One in the column of the label, zero elsewhere.
    """
    check_matrix("Y", Y, 1, INTEGERS)
    check_range("Y", Y, 0, num_classes - 1)
    return np.eye(num_classes, dtype=np.float32)[Y[:, 0]]


def softmax(z: Floats) -> Floats:
    """Compute exp(z_k) / Σⱼ exp(z_j) over the last axis without overflow."""
    # A common shift of all logits cancels out; this one makes the largest exponent 0.
    e = z - z.max(axis=-1, keepdims=True)
    np.exp(e, out=e)
    e /= e.sum(axis=-1, keepdims=True)
    return e


def cross_entropy_loss(targets: Array, outputs: Floats) -> float:
    """Compute the mean softmax loss C(w) = -1/N Σₙ Σₖ yₖⁿ ln ŷₖⁿ.

    Parameters
    ----------
    targets : ndarray of shape (N, K), values 0 to 1
        The targets y, usually one-hot.
    outputs : ndarray of shape (N, K), float, values 0 to 1
        The probabilities ŷ.

    Returns
    -------
    float
        Always finite: an output rounded to 0 counts as the smallest normal number of its dtype.
        Summed in float64.
    """
    check_targets_and_outputs(targets, outputs)
    ln_y = np.log(np.maximum(outputs, np.finfo(outputs.dtype).tiny))
    return float(-(targets * ln_y).sum(dtype=np.float64) / len(targets))


class SoftmaxModel:
    """Softmax regression: ŷ = softmax(X w), with a penalty λ Σ w² of all weights, bias included.

    Parameters
    ----------
    l2_reg_lambda : float >= 0
        The weight λ of the penalty.

    Attributes
    ----------
    w : ndarray of shape (785, 10), float32, zero at first
        May be replaced by any float array of this shape; results follow its dtype.
    grad : ndarray of the shape of `w`, or None before `backward`
    """

    def __init__(self, l2_reg_lambda: float) -> None:
        if not 0 <= l2_reg_lambda < np.inf:
            raise InputError(f"l2_reg_lambda is {l2_reg_lambda!r}; expected a non-negative number")
        self.l2_reg_lambda = l2_reg_lambda
        self.w: Floats = np.zeros((IMAGE_SIZE + 1, NUM_CLASSES), dtype=np.float32)
        self.grad: Floats | None = None

    def forward(self, X: Floats) -> Floats:
        """Compute the outputs ŷ = softmax(X w) of X [N, 785]: [N, 10], values 0 to 1."""
        return softmax(logits(X, self.w))

    def backward(self, X: Floats, outputs: Floats, targets: Array) -> None:
        """Set `grad` to ∂J/∂w = -1/N Σₙ xⁿ (yⁿ - ŷⁿ)ᵀ + 2λw (tasks 1b and 4a).

        Parameters
        ----------
        X : ndarray of shape (N, 785), float
        outputs : ndarray of shape (N, 10), float
            What `forward` returned for `X`.
        targets : ndarray of shape (N, 10), values 0 to 1
        """
        check_targets_and_outputs(targets, outputs, self.w.shape[1])
        check_matrix("X", X, len(self.w), rows=len(outputs))
        self.grad = weight_gradient(X, (outputs - targets) / len(X))  # X.T @ (ŷ − y) / N
        if self.l2_reg_lambda:
            self.grad += 2 * self.l2_reg_lambda * self.w  # ∂/∂w of λ Σ w²

    def zero_grad(self) -> None:
        """Forget the gradient. Part of the starter code; `backward` does not need it."""
        self.grad = None


def gradient_approximation_test(model: SoftmaxModel, X: Floats, Y: Array) -> float:
    """Check `backward` as in task 2a, against central differences of J(w) = C(w) + λ Σ w²."""
    __tracebackhide__ = True  # pytest shows the message instead of this function.
    return check_gradient(model, X, Y, cross_entropy_loss, model.l2_reg_lambda)


def main() -> None:
    """Check this file as the course does, on real images, and the gradient on twenty of them."""
    images, labels, _, _ = load_full_mnist()
    X = pre_process_images(images)
    Y = one_hot_encode(labels, NUM_CLASSES)
    assert Y.shape == (len(labels), NUM_CLASSES), f"Y has the shape {Y.shape}"
    assert np.all(Y.sum(axis=1) == 1), "not every row of Y sums to 1"
    assert np.all(Y.argmax(axis=1) == labels[:, 0]), "the 1 of a row is not in the label's column"
    print("one_hot_encode: every row has a single 1, in the column of the label")

    outputs = SoftmaxModel(l2_reg_lambda=0.0).forward(X)
    assert np.allclose(outputs, 0.1), "outputs are not 0.1, though all weights are zero"
    loss = cross_entropy_loss(Y, outputs)
    assert np.isclose(loss, np.log(10)), f"the loss is {loss}, not ln 10, with zero weights"
    print("forward, cross_entropy_loss: with zero weights, outputs are 0.1 and the loss is ln 10")

    rng = np.random.default_rng(0)
    for l2_reg_lambda in (0.0, 0.1):
        model = SoftmaxModel(l2_reg_lambda)
        model.w = rng.normal(scale=0.05, size=model.w.shape)
        error = gradient_approximation_test(model, X[:20], Y[:20])
        print(f"backward: with lambda {l2_reg_lambda}, the largest relative error is {error:.1e}")


if __name__ == "__main__":
    main()
