"""What every rival shares: the order of the batches, and the record of the validations."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def index_batches(
    num_samples: int, batch_size: int, num_epochs: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Give the samples of each batch, in the order of the project's own run.

    Parameters
    ----------
    num_samples, batch_size, num_epochs : int > 0
        The last incomplete batch of each epoch is left out.
    seed : int

    Yields
    ------
    ndarray of shape (batch_size,), int64
    """
    rng = np.random.default_rng(seed)
    for _ in range(num_epochs):
        order = rng.permutation(num_samples)
        for start in range(0, num_samples - batch_size + 1, batch_size):
            yield order[start : start + batch_size]


class Validations:
    """The validations of one run, and the decision to stop it.

    Parameters
    ----------
    patience : int > 0
        How many validations old the best loss may become.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.history: list[tuple[int, float, float, float]] = []
        self.best_step, self.best_loss, self.best_accuracy = -1, math.inf, 0.0
        self.age = 0

    @property
    def improved(self) -> bool:
        """Whether the last validation is the best one, so that its weights should be kept."""
        return self.age == 0

    @property
    def should_stop(self) -> bool:
        """Whether the best validation is `patience` validations old."""
        return self.age == self.patience

    def add(self, step: int, loss: float, val_accuracy: float, train_accuracy: float) -> None:
        """Record a validation."""
        self.history.append((step, loss, val_accuracy, train_accuracy))
        self.age += 1
        if loss < self.best_loss:
            self.best_step, self.best_loss, self.best_accuracy = step, loss, val_accuracy
            self.age = 0

    def summary(self) -> dict[str, float]:
        """Give what has to be the same for everyone who does the same work."""
        return {
            "best_step": self.best_step,
            "best_loss": self.best_loss,
            "best_accuracy": self.best_accuracy,
            "last_loss": self.history[-1][1],
        }
