"""The runs of the study: every configuration of tasks 2e and 4c, over seeds.

A seed decides the order in which a run sees the images: for the unshuffled runs of 2e the one
order of the training set, for all others the generator that shuffles. Runs of one seed begin with
the same order, so that configurations can be compared seed by seed.
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

import mnist
import task2
import task3
from task4 import LAMBDAS, squared_norm
from trainer import BaseTrainer
from utils import Data, load_full_mnist

SHUFFLED, UNSHUFFLED = LOGISTIC = ("logistic shuffled", "logistic unshuffled")
LAMBDA_OF = {f"softmax lambda={value:g}": value for value in sorted({0.0, *LAMBDAS})}
CONFIGURATIONS = (*LOGISTIC, *LAMBDA_OF)

# What decides the result of a run besides its settings.
SOURCES = [
    Path(__file__).resolve().parent / f"{module}.py"
    for module in (
        *("mnist/__init__", "numerics/checks", "numerics/evaluation", "numerics/linear"),
        *("study_runs", "task2", "task2a", "task3", "task3a", "task4", "trainer", "utils"),
    )
]
ONE_AT_A_TIME = threading.Lock()


class Run(NamedTuple):
    """One training, with all that its result depends on.

    Attributes
    ----------
    configuration : str
        One of `CONFIGURATIONS`.
    seed : int >= 0
    epochs : int > 0
        The most epochs to train.
    blas_threads : int > 0
    fingerprint : str
        The `fingerprint` of code and data.
    data_dir : str or None
        Where the process that makes the run finds the data; None for its repository's MNIST.
    """

    configuration: str
    seed: int
    epochs: int
    blas_threads: int
    fingerprint: str
    data_dir: str | None = None


class Result(NamedTuple):
    """What is kept of a run. Losses, accuracies and norm are those of the kept weights.

    Attributes
    ----------
    configuration : str
    seed : int
    stop_step, best_step : int
        The last step, and the one of the best validation, whose weights are kept.
    train_loss, val_loss : float
        The cross-entropy over all training and all validation images.
    train_accuracy, val_accuracy : float, 0 to 1
    norm : float
        ‖w‖².
    steps_per_epoch : int
    val_accuracies : dict of step to float
        The accuracies of all validations.
    """

    configuration: str
    seed: int
    stop_step: int
    best_step: int
    train_loss: float
    val_loss: float
    train_accuracy: float
    val_accuracy: float
    norm: float
    steps_per_epoch: int
    val_accuracies: dict[int, float]


@functools.cache
def load_data(model: str, data_dir: str | os.PathLike[str] | None) -> Data:
    """Load the images for a model, once in each process.

    Parameters
    ----------
    model : {"logistic", "softmax"}
    data_dir : path or None
        None for the repository's MNIST.

    Returns
    -------
    X_train, Y_train, X_val, Y_val : ndarrays
        As in `task2.load_data` or `task3.load_data`.
    """
    load = task2.load_data if model == "logistic" else task3.load_data
    return load(data_dir=data_dir or mnist.DATA_DIR)


@functools.cache
def fingerprint(data_dir: str | os.PathLike[str] | None = None) -> str:
    """Compute a checksum of all that decides a run's result besides its settings.

    Parameters
    ----------
    data_dir : path, optional
        The repository's MNIST by default.

    Returns
    -------
    str
        A SHA-256 of NumPy's version, of `SOURCES`, and of all images and labels.

    Raises
    ------
    ValueError, OSError
        If the data are not what they should be, see `mnist.load_split`.
    """
    checksum = hashlib.sha256(np.__version__.encode())
    for source in SOURCES:
        checksum.update(source.read_bytes())
    for array in load_full_mnist(data_dir or mnist.DATA_DIR):
        checksum.update(f"{array.shape}".encode())
        checksum.update(array.tobytes())
    return checksum.hexdigest()


def make_trainer(configuration: str, seed: int, data_dir: str | None = None) -> BaseTrainer:
    """Make the trainer of a run.

    Parameters
    ----------
    configuration : str
        One of `CONFIGURATIONS`.
    seed : int >= 0
    data_dir : str, optional
        The repository's MNIST by default.

    Returns
    -------
    BaseTrainer

    Raises
    ------
    ValueError
        If there is no such configuration.
    """
    if configuration in LAMBDA_OF:
        data = load_data("softmax", data_dir)
        return task3.make_trainer(data, l2_reg_lambda=LAMBDA_OF[configuration], seed=seed)
    if configuration not in LOGISTIC:
        expected = ", ".join(CONFIGURATIONS)
        raise ValueError(f"configuration is {configuration!r}; expected one of {expected}")
    X_train, Y_train, X_val, Y_val = load_data("logistic", data_dir)
    if configuration == UNSHUFFLED:
        order = np.random.default_rng(seed).permutation(len(X_train))
        X_train, Y_train = X_train[order], Y_train[order]
    data = (X_train, Y_train, X_val, Y_val)
    return task2.make_trainer(data, shuffle=configuration == SHUFFLED, seed=seed)


def groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Put those runs together that see the same batches: the softmax runs of a seed.

    Parameters
    ----------
    runs : sequence of Run

    Returns
    -------
    list of list of Run
        The largest groups first: begun last, they would keep one process busy after all others.
    """
    grouped: dict[Run, list[Run]] = {}
    for run in runs:
        model = "softmax" if run.configuration in LAMBDA_OF else run.configuration
        grouped.setdefault(run._replace(configuration=model), []).append(run)
    return sorted(grouped.values(), key=len, reverse=True)


def train(runs: Sequence[Run]) -> list[Result]:
    """Make the runs of a group.

    Parameters
    ----------
    runs : sequence of Run
        One of the `groups`, or a part of it.

    Returns
    -------
    list of Result
        Bit for bit the same on every machine with the same type of processor, for every part of a
        group.

    Raises
    ------
    FloatingPointError
        If a run diverges.
    RuntimeError
        If code, data or NumPy are not those that the runs are meant for.
    """
    # A Dask worker of several threads gets several runs at once, but a process has only one number
    # of BLAS threads.
    with ONE_AT_A_TIME, threadpool_limits(runs[0].blas_threads, user_api="blas"):
        if fingerprint(runs[0].data_dir) != runs[0].fingerprint:
            raise RuntimeError("code, data or NumPy here differ from those of the study")
        trainers = [make_trainer(run.configuration, run.seed, run.data_dir) for run in runs]
        for trainer in trainers:
            # Only that of the kept weights is wanted, and `result_of` computes it.
            trainer.records_train_accuracy = False
        for trainer in trainers:
            trainer.train(runs[0].epochs)
        return [result_of(run, trainer) for run, trainer in zip(runs, trainers, strict=True)]


def result_of(run: Run, trainer: BaseTrainer) -> Result:
    """Keep what the study needs of a finished run."""
    best_step = trainer.best_step
    assert best_step is not None  # The first step of every run is validated.
    outputs = trainer.model.forward(trainer.X_train)
    return Result(
        configuration=run.configuration,
        seed=run.seed,
        stop_step=trainer.stop_step,
        best_step=best_step,
        train_loss=float(trainer.loss(trainer.Y_train, outputs)),
        val_loss=trainer.best_loss,
        train_accuracy=float(trainer.accuracy(trainer.Y_train, outputs)),
        val_accuracy=trainer.val_history["accuracy"][best_step],
        norm=squared_norm(trainer.model.w),
        steps_per_epoch=len(trainer.X_train) // trainer.batch_size,
        val_accuracies=trainer.val_history["accuracy"],
    )
