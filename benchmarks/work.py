"""The work that all rivals share: the batches, the validations, and early stopping."""

import math
import time
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from task3 import LEARNING_RATE
from utils import BATCH_SIZE, EPOCHS, PATIENCE, SEED, VALIDATIONS_PER_EPOCH

# How much the validation losses of those who do the same work may differ.
LOSS_TOLERANCE = 1e-4


class Settings(NamedTuple):
    """Settings of the softmax run, see `task3.make_trainer`; λ is 0."""

    num_epochs: int = EPOCHS
    learning_rate: float = LEARNING_RATE
    batch_size: int = BATCH_SIZE
    patience: int = PATIENCE
    seed: int = SEED


class Run(NamedTuple):
    """What a run has measured of itself.

    Attributes
    ----------
    seconds : float
        Duration of the training, without imports, reading of the images, and compilation.
    stop_step : int
    best_loss, last_loss : float
        The lowest and the last validation loss.
    accuracy : float
        Validation accuracy of the best weights.
    kernel : str
        What multiplies the matrices, see `numpy_kernel`.
    """

    seconds: float
    stop_step: int
    best_loss: float
    last_loss: float
    accuracy: float
    kernel: str


class Rival(Protocol):
    """A softmax model in another library."""

    kernel: str

    def make_steps(self, batches: NDArray[np.int64]) -> object:
        """Make a step for each row of `batches` [M, batch_size], and return the training losses."""

    def validate(self) -> tuple[float, float, float]:
        """Compute validation loss, validation accuracy and training accuracy."""

    def copy_weights(self) -> NDArray:
        """Return the current weights [785, 10]."""


def batches_between_validations(
    num_samples: int, settings: Settings
) -> Iterator[NDArray[np.int64]]:
    """Yield the samples of all batches up to the next validation, as the project's run takes them.

    Yields
    ------
    ndarray of shape (M, batch_size), int64
        M is 1 for the first validation, then a fifth of an epoch. Batches that are left over at the
        end of the last epoch come last.
    """
    rng = np.random.default_rng(settings.seed)
    batches: list[NDArray[np.int64]] = []
    step = 0
    for _ in range(settings.num_epochs):
        order = rng.permutation(num_samples)
        for start in range(0, num_samples - settings.batch_size + 1, settings.batch_size):
            batches.append(order[start : start + settings.batch_size])
            if step % steps_per_validation(num_samples, settings) == 0:
                yield np.array(batches)
                batches = []
            step += 1
    if batches:
        yield np.array(batches)


def steps_per_validation(num_samples: int, settings: Settings) -> int:
    """Compute the number of steps between two validations."""
    return num_samples // settings.batch_size // VALIDATIONS_PER_EPOCH


def train(rival: Rival, num_samples: int, settings: Settings) -> tuple[NDArray, Run]:
    """Train a rival until early stopping.

    Returns
    -------
    best_w : ndarray of shape (785, 10)
        The weights of the best validation.
    run : Run
    """
    train_losses = []
    history = []
    stop_step = -1
    best_loss = math.inf
    validations_since_best = 0
    started_at = time.perf_counter()
    for batches in batches_between_validations(num_samples, settings):
        train_losses.append(rival.make_steps(batches))
        stop_step += len(batches)
        if stop_step % steps_per_validation(num_samples, settings):
            break  # Only the last batches have no validation.
        loss, val_accuracy, train_accuracy = rival.validate()
        history.append((loss, val_accuracy, train_accuracy))
        if loss < best_loss:
            best_loss = loss
            accuracy = val_accuracy
            best_w = rival.copy_weights()
            validations_since_best = 0
        else:
            validations_since_best += 1
        if validations_since_best == settings.patience:
            break
    seconds = time.perf_counter() - started_at
    return best_w, Run(seconds, stop_step, best_loss, loss, accuracy, rival.kernel)


def numpy_kernel() -> str:
    """Name NumPy's BLAS and the kernel that it has picked for this processor."""
    libraries = [info for info in threadpool_info() if info["user_api"] == "blas"]
    # SciPy brings one of its own.
    [blas] = [info for info in libraries if "numpy" in info["filepath"]] or libraries
    architecture = blas.get("architecture", "unknown kernel")
    return f"{blas['internal_api']} {blas['version']}, {architecture}"
