"""The softmax run in plain NumPy: float64, every formula as a textbook has it."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.work import Run, Settings, numpy_kernel, train
from utils import Data


def softmax(z: NDArray) -> NDArray:
    """Compute the softmax of each row of z [N, K]."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(Y: NDArray, outputs: NDArray) -> float:
    """Compute the mean softmax loss; both arguments are [N, K]."""
    return float(-np.mean(np.sum(Y * np.log(outputs), axis=1)))


def accuracy(Y: NDArray, outputs: NDArray) -> float:
    """Compute the fraction of rows whose largest output is where Y [N, K] has its one."""
    return float(np.mean(outputs.argmax(axis=1) == Y.argmax(axis=1)))


class NumpyModel:
    """See `benchmarks.work.Rival`."""

    def __init__(self, data: Data, settings: Settings) -> None:
        self.X_train, self.Y_train, self.X_val, self.Y_val = (
            part.astype(np.float64) for part in data
        )
        self.learning_rate = settings.learning_rate
        self.w = np.zeros((self.X_train.shape[1], self.Y_train.shape[1]))
        self.kernel = numpy_kernel()

    def make_steps(self, batches: NDArray[np.int64]) -> list[float]:
        losses = []
        for batch in batches:
            X, Y = self.X_train[batch], self.Y_train[batch]
            outputs = softmax(X @ self.w)
            losses.append(cross_entropy(Y, outputs))
            gradient = X.T @ (outputs - Y) / len(X)
            self.w = self.w - self.learning_rate * gradient
        return losses

    def validate(self) -> tuple[float, float, float]:
        outputs_val = softmax(self.X_val @ self.w)
        outputs_train = softmax(self.X_train @ self.w)
        return (
            cross_entropy(self.Y_val, outputs_val),
            accuracy(self.Y_val, outputs_val),
            accuracy(self.Y_train, outputs_train),
        )

    def copy_weights(self) -> NDArray:
        return self.w.copy()


def run(data: Data, settings: Settings) -> tuple[NDArray, Run]:
    """Make the run; see `benchmarks.work.train`."""
    return train(NumpyModel(data, settings), len(data[0]), settings)
