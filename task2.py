"""Tasks 2b to 2e: the logistic model tells 2 from 3; loss, accuracy, early stopping, shuffling."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import mnist
from linear import Floats
from task2a import BinaryModel, cross_entropy_loss, pre_process_images
from trainer import BaseTrainer
from utils import Split, load_binary_dataset

DIGITS = (2, 3)


def accuracy(targets: NDArray, outputs: Floats) -> float | NDArray[np.float64]:
    """Compute the fraction of samples that are predicted right: 1 if and only if ŷ >= 0.5.

    Parameters
    ----------
    targets : ndarray of shape (N, 1), values 0 or 1
    outputs : ndarray of shape (N, 1) or (M, N, 1), float, values 0 to 1

    Returns
    -------
    float, or ndarray of shape (M,)
    """
    return np.mean((outputs >= 0.5) == targets, axis=(-2, -1))


def calculate_accuracy(X: Floats, targets: NDArray, model: BinaryModel) -> float:
    """Compute the fraction of samples that the model predicts right.

    Parameters
    ----------
    X : ndarray of shape (N, 785), float
    targets : ndarray of shape (N, 1), values 0 or 1
    model : BinaryModel

    Returns
    -------
    float, 0 to 1
    """
    return accuracy(targets, model.forward(X))


class LogisticTrainer(BaseTrainer):
    """Trains a `BinaryModel`."""

    model: BinaryModel
    loss = staticmethod(cross_entropy_loss)
    accuracy = staticmethod(accuracy)


def load_data(
    digits: tuple[int, int] = DIGITS, data_dir: str | os.PathLike[str] = mnist.DATA_DIR
) -> Split:
    """Load and preprocess the images of two digits.

    Parameters
    ----------
    digits : pair of int, 0 to 9
        The digit of target 1 and the digit of target 0.
    data_dir : path, default=the repository's ``data`` folder

    Returns
    -------
    X_train, Y_train, X_val, Y_val : ndarrays
        Images as [N, 785] float32, targets as [N, 1] float32.
    """
    X_train, Y_train, X_val, Y_val = load_binary_dataset(*digits, data_dir)
    return (
        pre_process_images(X_train),
        Y_train.astype(np.float32),
        pre_process_images(X_val),
        Y_val.astype(np.float32),
    )


def make_trainer(
    data: Split,
    *,
    shuffle: bool,
    learning_rate: float = 0.05,
    batch_size: int = 128,
    patience: int = 10,
    seed: int = 0,
    progress: bool = False,
    should_stop: Callable[[], bool] | None = None,
) -> LogisticTrainer:
    """Make the trainer of task 2 with a fresh model.

    Parameters
    ----------
    data : tuple of X_train, Y_train, X_val, Y_val
        As `load_data` gives it.
    shuffle : bool
    learning_rate, batch_size, patience, progress, should_stop
        As in `BaseTrainer`; the defaults are the assignment's.
    seed : int, default=0
        Seed of the order of the samples.

    Returns
    -------
    LogisticTrainer
    """
    return LogisticTrainer(
        BinaryModel(),
        learning_rate,
        batch_size,
        shuffle,
        *data,
        patience=patience,
        rng=np.random.default_rng(seed),
        name="shuffled" if shuffle else "not shuffled",
        progress=progress,
        should_stop=should_stop,
    )
