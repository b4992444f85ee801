"""The softmax run in straightforward NumPy: float64, and each validation at its own step."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Validations, index_batches
from utils import Data


def softmax(z: NDArray) -> NDArray:
    """Compute the softmax of each row of `z`, of shape (N, K)."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(Y: NDArray, outputs: NDArray) -> float:
    """Compute the mean softmax loss; both arguments have the shape (N, K)."""
    return float(-np.mean(np.sum(Y * np.log(outputs), axis=1)))


def accuracy(Y: NDArray, outputs: NDArray) -> float:
    """Compute the fraction of rows whose largest output is where `Y` has its one."""
    return float(np.mean(outputs.argmax(axis=1) == Y.argmax(axis=1)))


def train(
    data: Data,
    num_epochs: int,
    *,
    learning_rate: float = 0.01,
    batch_size: int = 128,
    patience: int = 10,
    seed: int = 0,
) -> tuple[NDArray, dict[str, float]]:
    """Make the run of `task3.make_trainer` with λ = 0.

    Parameters
    ----------
    data : tuple of X_train, Y_train, X_val, Y_val
        As `task3.load_data` gives it.
    num_epochs, learning_rate, batch_size, patience, seed
        As in `task3.make_trainer`.

    Returns
    -------
    w : ndarray of shape (785, 10)
        The weights of the best validation.
    measured : dict
        Seconds of the training and of compilation, the last step, the validations' summary.
    """
    X_train, Y_train, X_val, Y_val = (part.astype(np.float64) for part in data)
    steps_per_validation = len(X_train) // batch_size // 5
    w = best_w = np.zeros((X_train.shape[1], Y_train.shape[1]))
    train_losses, validations = [], Validations(patience)

    start = time.perf_counter()
    for step, batch in enumerate(index_batches(len(X_train), batch_size, num_epochs, seed)):
        X, Y = X_train[batch], Y_train[batch]
        outputs = softmax(X @ w)
        train_losses.append(cross_entropy(Y, outputs))
        w = w - learning_rate * (X.T @ (outputs - Y)) / batch_size
        if step % steps_per_validation == 0:
            outputs = softmax(X_val @ w)
            validations.add(
                step,
                cross_entropy(Y_val, outputs),
                accuracy(Y_val, outputs),
                accuracy(Y_train, softmax(X_train @ w)),
            )
            if validations.improved:
                best_w = w
            if validations.should_stop:
                break
    seconds = time.perf_counter() - start
    return best_w, {
        "seconds": seconds,
        "compile_seconds": 0.0,
        "stop_step": step,
        **validations.summary(),
    }
