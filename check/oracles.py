"""What is right: SciPy's formulas and central differences, independent of our own models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, log_softmax, softmax, xlogy

Array = NDArray[Any]

EPSILON = 1e-4
NUM_FEATURES = 785


@dataclass(frozen=True)
class Kind:
    """One of the two models: where the course puts its parts, and SciPy's formulas of them.

    Attributes
    ----------
    models, model, trainers, trainer : str
        Modules and classes.
    K : int
        The number of outputs.
    learning_rate : float
    activation : callable
        ``activation(logits)`` gives the outputs ŷ, both [..., N, K].
    cost : callable
        ``cost(logits, targets)`` gives the mean loss, [...].
    loss : callable
        ``loss(targets, outputs)`` gives the mean loss, a float.
    classes : callable
        ``classes(outputs)`` gives the predicted classes, and of targets the right ones.
    """

    models: str
    model: str
    trainers: str
    trainer: str
    K: int
    learning_rate: float
    activation: Callable[[Array], Array]
    cost: Callable[[Array, Array], Array]
    loss: Callable[..., float]
    classes: Callable[[Array], Array]

    def accuracy(self, X: Array, targets: Array, model: Any, *_: Any) -> float:
        """Compute the fraction of right predictions; for use as ``calculate_accuracy``."""
        return float(np.mean(self.classes(model.forward(X)) == self.classes(targets)))

    def samples(self, N: int, seed: int = 0) -> tuple[Array, Array, Array]:
        """Make X [N, 785], float64, targets [N, K] and weights w [785, K]."""
        rng = np.random.default_rng(seed)
        X = rng.uniform(-1, 1, (N, NUM_FEATURES))
        X[:, -1] = 1
        targets = rng.integers(0, max(2, self.K), N)
        w = rng.normal(0, 0.05, (NUM_FEATURES, self.K))
        return X, targets[:, np.newaxis] if self.K == 1 else np.eye(self.K)[targets], w


def logistic_cost(logits: Array, targets: Array) -> Array:
    """Compute -1/N Σ y ln ŷ + (1 - y) ln(1 - ŷ) of logits [..., N, 1]."""
    losses = targets * log_expit(logits) + (1 - targets) * log_expit(-logits)
    return -losses.mean(axis=(-2, -1))


def softmax_cost(logits: Array, targets: Array) -> Array:
    """Compute -1/N Σ Σ y_k ln ŷ_k of logits [..., N, K]."""
    return -(targets * log_softmax(logits, axis=-1)).sum(axis=-1).mean(axis=-1)


def logistic_loss(targets: Array, outputs: Array, *_: Any) -> float:
    """Compute the mean logistic loss of outputs [N, 1]."""
    return -float(np.mean(xlogy(targets, outputs) + xlogy(1 - targets, 1 - outputs)))


def softmax_loss(targets: Array, outputs: Array, *_: Any) -> float:
    """Compute the mean softmax loss of outputs [N, K]."""
    return -float(np.mean(np.sum(xlogy(targets, outputs), axis=-1)))


LOGISTIC = Kind(
    "task2a",
    "BinaryModel",
    "task2",
    "LogisticTrainer",
    1,
    0.05,
    expit,
    logistic_cost,
    logistic_loss,
    lambda outputs: outputs >= 0.5,
)
SOFTMAX = Kind(
    "task3a",
    "SoftmaxModel",
    "task3",
    "SoftmaxTrainer",
    10,
    0.01,
    lambda logits: softmax(logits, axis=-1),
    softmax_cost,
    softmax_loss,
    lambda outputs: outputs.argmax(axis=-1),
)


def central_differences(kind: Kind, X: Array, targets: Array, w: Array) -> Array:
    """Compute (C(w + ε) - C(w - ε)) / 2ε for every weight, [785, K], in float64."""
    logits = X @ w
    differences = np.empty_like(w)
    for i, x in enumerate(X.T):
        # A weight w_ik adds x_i to the logit of class k: one matrix of logits for each k.
        shift = EPSILON * np.eye(kind.K)[:, np.newaxis, :] * x[:, np.newaxis]
        up, down = (kind.cost(logits + sign * shift, targets) for sign in (1, -1))
        differences[i] = (up - down) / (2 * EPSILON)
    return differences


def right_model(kind: Kind, base: type) -> type:
    """Make a class out of a solution's own model, with a forward and a backward that are right."""

    def forward(self: Any, X: Array) -> Array:
        return kind.activation(X @ self.w)

    def backward(self: Any, X: Array, outputs: Array, targets: Array) -> None:
        self.grad = X.T @ (outputs - targets) / len(X)

    def zero_grad(self: Any) -> None:
        self.grad = None

    return type(kind.model, (base,), {f.__name__: f for f in (forward, backward, zero_grad)})
