"""The right results: SciPy's formulas and central differences, independent of our own models."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax, xlogy

Array = NDArray[Any]

EPSILON = 1e-4
NUM_FEATURES = 785


@dataclass(frozen=True)
class Kind:
    """One of the two models: where the course puts its parts, and SciPy's formulas for them.

    Attributes
    ----------
    models, model, trainers, trainer : str
        Modules and classes.
    K : int
        The number of outputs: one for logistic regression.
    learning_rate : float
    """

    models: str
    model: str
    trainers: str
    trainer: str
    K: int
    learning_rate: float

    def activation(self, logits: Array) -> Array:
        """Compute the outputs ŷ of logits, both [..., N, K]."""
        return expit(logits) if self.K == 1 else softmax(logits, axis=-1)

    def loss(self, targets: Array, outputs: Array, *_: Any) -> Any:
        """Compute the mean loss [...] of outputs [..., N, K]; for use as ``cross_entropy_loss``."""
        terms = xlogy(targets, outputs)
        if self.K == 1:
            terms += xlogy(1 - targets, 1 - outputs)
        return -terms.sum(axis=-1).mean(axis=-1)

    def classes(self, outputs: Array) -> Array:
        """Get the predicted classes of outputs, or the true ones of targets."""
        return outputs >= 0.5 if self.K == 1 else outputs.argmax(axis=-1)

    def accuracy(self, X: Array, targets: Array, model: Any, *_: Any) -> float:
        """Compute the fraction of right predictions; for use as ``calculate_accuracy``."""
        return float(np.mean(self.classes(model.forward(X)) == self.classes(targets)))

    def samples(self, N: int, seed: int = 0) -> tuple[Array, Array, Array]:
        """Make X [N, 785], float64, targets [N, K] and weights w [785, K]."""
        rng = np.random.default_rng(seed)
        X = rng.uniform(-1, 1, (N, NUM_FEATURES))
        X[:, -1] = 1
        labels = rng.integers(0, max(2, self.K), N)
        w = rng.normal(0, 0.05, (NUM_FEATURES, self.K))
        return X, self.encode(labels), w

    def encode(self, labels: Array) -> Array:
        """Turn labels [N] into targets [N, K]."""
        return labels[:, np.newaxis] if self.K == 1 else np.eye(self.K)[labels]

    def predictable_samples(self, N: int) -> tuple[Array, Array, Array]:
        """Make samples of which seven in ten are predicted rightly, and half with certainty.

        On these, a wrong rule for the accuracy gives neither zero nor the right fraction. The first
        sample of some classes is also the one with the largest output.
        """
        X, _, w = self.samples(N)
        X[::2] *= 10
        certain = np.arange(self.K if self.K == 1 else self.K // 2)
        X[certain] = 50 * w.T[certain]
        labels = self.classes(self.activation(X @ w)).reshape(-1).astype(int)
        wrong = np.arange(N) % 10 >= 7
        labels[wrong] = (labels[wrong] + 1) % max(2, self.K)
        return X, self.encode(labels), w

    def gradient(self, X: Array, targets: Array, w: Array) -> Array:
        """Compute (C(w + ε) - C(w - ε)) / 2ε for every weight, [785, K], in float64."""
        # A weight w_ik adds x_i to the logits of class k: one matrix of logits for each weight.
        shift = EPSILON * X.T[:, np.newaxis, :, np.newaxis] * np.eye(self.K)[:, np.newaxis, :]
        up, down = (self.loss(targets, self.activation(X @ w + s)) for s in (shift, -shift))
        return (up - down) / (2 * EPSILON)

    def right_model(self, base: type) -> type:
        """Derive from a solution's own model one whose passes are right."""
        kind = self

        class RightModel(base):
            def forward(self, X: Array) -> Array:
                return kind.activation(X @ self.w)

            def backward(self, X: Array, outputs: Array, targets: Array) -> Array:
                self.grad = X.T @ (outputs - targets) / len(X)
                # Some trainers use what their own `backward` returns.
                return self.grad

        return RightModel


LOGISTIC = Kind("task2a", "BinaryModel", "task2", "LogisticTrainer", 1, 0.05)
SOFTMAX = Kind("task3a", "SoftmaxModel", "task3", "SoftmaxTrainer", 10, 0.01)


def batch_loader(X: Array, Y: Array, batch_size: int, *_: Any, **__: Any) -> Iterator[Any]:
    """Yield batches in the order of the data, without an incomplete one at the end."""
    for start in range(0, len(X) - batch_size + 1, batch_size):
        yield X[start : start + batch_size], Y[start : start + batch_size]
