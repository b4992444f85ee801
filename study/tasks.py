"""What the study computes: each task is one training, or one optimum, with all it depends on.

The training images come in three blocks of 20 000: the assignment trains on block 0. The 40 000
images outside of a run's block are *held out*: unlike the validation images, they neither train it
nor end it. A seed decides the order of the images: for the logistic run without shuffling the one
order of the training set, for all others the generator that shuffles. Runs of one seed begin with
the same order, so that they can be compared seed by seed.
"""

from __future__ import annotations

import functools
import hashlib
import os
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import mnist
import task2
import task3
from numerics.arguments import Floats
from numerics.linear import evaluate
from study.fluctuations import deepest_dip, epoch_periodicity, mean_absolute_change
from study.templates import class_mean_correlation, roughness
from task2a import pre_process_images
from task3a import NUM_CLASSES, one_hot_encode
from task4 import LAMBDAS, squared_norm
from trainer import BaseTrainer
from utils import NUM_TRAIN, Data

ROOT = Path(__file__).resolve().parents[1]
# They talk and draw, and decide no result.
WITHOUT_EFFECT = ("cli", "output", "plots")

NUM_BLOCKS = 3
SHUFFLED, UNSHUFFLED = "logistic shuffled", "logistic unshuffled"
LAMBDA_OF = {f"softmax lambda={value:g}": value for value in sorted({0.0, *LAMBDAS})}
CONFIGURATIONS = (*LAMBDA_OF, SHUFFLED, UNSHUFFLED)
UNPENALISED, *PENALISED = LAMBDA_OF

AVERAGED_STEPS = 250
TOLERANCE = 1e-6
# Where the optima are looked for, and for which λ on the other blocks, too.
OTHER_BLOCKS_LAMBDA = 0.001
GRID = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001, 0.00003, 0.00001)

Result = dict[str, Any]
Images = tuple[Floats, NDArray]


class Task(NamedTuple):
    """One result of the study, with all that it depends on besides code and data.

    Attributes
    ----------
    kind : {"run", "continued", "averaged", "optimum"}
        An early-stopped run; one without early stopping; the mean of a run's weights over its
        last steps; the minimum of J.
    configuration : str
        One of `CONFIGURATIONS`, or of ``softmax lambda=…`` for an optimum.
    seed, block : int
    epochs : int
        The most epochs of a run.
    data_dir : str
    """

    kind: Literal["run", "continued", "averaged", "optimum"]
    configuration: str
    seed: int
    block: int
    epochs: int
    data_dir: str = str(mnist.DATA_DIR)


@functools.cache
def fingerprint(data_dir: str) -> str:
    """Compute a checksum of all that decides a result besides its task.

    Returns
    -------
    str
        A SHA-256 of NumPy's version, of every module that this one imports directly or indirectly,
        and of all images and labels.
    """
    finder = ModuleFinder([str(ROOT)])
    finder.run_script(__file__)
    checksum = hashlib.sha256(np.__version__.encode())
    for name, module in sorted(finder.modules.items()):
        file = getattr(module, "__file__", None)
        if file and name.partition(".")[0] not in WITHOUT_EFFECT:
            checksum.update(Path(file).read_bytes())
    for split in ("train", "t10k"):
        for array in mnist.load_split(split, data_dir=data_dir):
            checksum.update(array.tobytes())
    return checksum.hexdigest()


@functools.cache
def load_images(model: str, data_dir: str) -> tuple[Images, Images]:
    """Load all 60 000 training images, and the validation images, for a model."""
    parts = []
    for split, count in (("train", NUM_BLOCKS * NUM_TRAIN), ("t10k", None)):
        images, labels = mnist.load_split(split, count, data_dir)  # type: ignore[arg-type]
        if model == "softmax":
            targets = one_hot_encode(labels, NUM_CLASSES)
        else:
            # All images stay where they are, so that blocks are the same for both models.
            targets = np.where(np.isin(labels, task2.DIGITS), labels == task2.DIGITS[0], np.nan)
        parts.append((pre_process_images(images), targets.astype(np.float32)))
    return parts[0], parts[1]


def split_images(model: str, block: int, data_dir: str) -> tuple[Data, Images]:
    """Give training and validation images of a block, and the images that it holds out."""
    (X, Y), (X_val, Y_val) = load_images(model, data_dir)
    in_block = np.arange(len(X)) // NUM_TRAIN == block
    wanted, wanted_val = ~np.isnan(Y[:, 0]), ~np.isnan(Y_val[:, 0])
    training, held_out = in_block & wanted, ~in_block & wanted
    data = X[training], Y[training], X_val[wanted_val], Y_val[wanted_val]
    return data, (X[held_out], Y[held_out])


def make_trainer(task: Task, data: Data) -> BaseTrainer:
    """Make the trainer of a task; without early stopping if it is a continued one."""
    patience = 10**9 if task.kind == "continued" else 10
    settings: dict[str, Any] = {"patience": patience, "seed": task.seed}
    if task.configuration in LAMBDA_OF:
        settings["l2_reg_lambda"] = LAMBDA_OF[task.configuration]
        return task3.make_trainer(data, **settings)
    shuffle = task.configuration == SHUFFLED
    # The continued run without shuffling is that of the report, in the order of the file.
    if not shuffle and task.kind == "run":
        X, Y, X_val, Y_val = data
        order = np.random.default_rng(task.seed).permutation(len(X))
        data = X[order], Y[order], X_val, Y_val
    return task2.make_trainer(data, shuffle=shuffle, **settings)


def compute(task: Task, expected_fingerprint: str) -> Result:
    """Compute the result of a task, with one BLAS thread.

    Returns
    -------
    dict of str to float, int or ndarray
        The same bits on every machine with the same type of processor.

    Raises
    ------
    FloatingPointError
        If a run diverges.
    RuntimeError
        If code, data or NumPy here are not those of the study.
    """
    if fingerprint(task.data_dir) != expected_fingerprint:
        raise RuntimeError("code, data or NumPy here differ from those of the study")
    model = task.configuration.partition(" ")[0]
    data, held_out = split_images(model, task.block, task.data_dir)
    with threadpool_limits(1):
        if task.kind == "optimum":
            return optimum(float(task.configuration.partition("=")[2]), data, held_out)
        trainer = make_trainer(task, data)
        if task.kind == "averaged":
            return averaged(trainer, task.epochs, held_out)
        trainer.records_train_accuracy = task.kind == "continued"
        trainer.train(task.epochs)
        kept = kept_run(trainer, held_out)
        return kept if task.kind == "run" else histories(trainer) | kept


def score_all(trainer: BaseTrainer, held_out: Images) -> Result:
    """Compute loss, accuracy and which images are right, for training, validation, held-out."""
    train, val = (trainer.X_train, trainer.Y_train), (trainer.X_val, trainer.Y_val)
    result: Result = {}
    for part, (X, Y) in (("train", train), ("val", val), ("held_out", held_out)):
        outputs = trainer.model.forward(X)
        result[f"{part}_loss"] = trainer.loss(Y, outputs)
        result[f"{part}_accuracy"] = trainer.accuracy(Y, outputs)
        if Y.shape[1] == 1:
            outputs, Y = np.hstack([outputs, 1 - outputs]), np.hstack([Y, 1 - Y])
        result[f"{part}_right"] = outputs.argmax(axis=1) == Y.argmax(axis=1)
    if trainer.Y_train.shape[1] > 1:
        result["roughness"] = roughness(trainer.model.w[:-1].T)
        result["correlation"] = class_mean_correlation(trainer.model.w, *train)
    return result | {"norm": squared_norm(trainer.model.w)}


def kept_run(trainer: BaseTrainer, held_out: Images) -> Result:
    """Describe a finished run by the weights that were kept."""
    result: Result = {"stop_step": trainer.stop_step, "best_step": trainer.best_step}
    if trainer.Y_train.shape[1] == 1:
        history = trainer.val_history["accuracy"], trainer.batches_per_epoch
        result["deepest_dip"] = deepest_dip(*history)
        result["mean_change"] = mean_absolute_change(*history)
        result["periodicity"] = epoch_periodicity(*history)
    return result | score_all(trainer, held_out)


def histories(trainer: BaseTrainer) -> Result:
    """Give the histories of a run at its validations, as arrays ``history_…``.

    The training loss is the mean over the batches since the validation before.
    """
    steps = np.array(list(trainer.val_history["loss"]))
    batch_losses = np.array(list(trainer.train_history["loss"].values()))
    starts = np.concatenate([[0], steps[:-1] + 1])
    sums = np.add.reduceat(batch_losses[: steps[-1] + 1], starts)
    found = {
        "step": steps,
        "train_loss": sums / np.diff(np.append(starts, steps[-1] + 1)),
        "val_loss": list(trainer.val_history["loss"].values()),
        "train_accuracy": list(trainer.train_history["accuracy"].values()),
        "val_accuracy": list(trainer.val_history["accuracy"].values()),
    }
    return {f"history_{name}": np.array(values) for name, values in found.items()}


def averaged(trainer: BaseTrainer, epochs: int, held_out: Images) -> Result:
    """Score the mean of a run's weights over its last steps, from which the noise is gone.

    The result has their own mean accuracies, too: "single_val_accuracy" and
    "single_held_out_accuracy".
    """
    state = trainer.rng.bit_generator.state
    trainer.records_train_accuracy = False
    start = np.zeros_like(trainer.model.w)
    trainer.train(epochs)
    stop = trainer.stop_step
    last: dict[int, Floats] = {}

    def note_weights(trainer: BaseTrainer) -> None:
        if trainer.stop_step > stop - AVERAGED_STEPS:
            last[trainer.stop_step] = trainer.model.w

    trainer.rng.bit_generator.state, trainer.model.w = state, start
    trainer.after_step = note_weights
    trainer.train(epochs)
    result: Result = {"stop_step": stop}
    validation = trainer.X_val, trainer.Y_val
    for part, images in (("val", validation), ("held_out", held_out)):
        [accuracies] = evaluate(trainer.model, last, *images, trainer.accuracy)
        result[f"single_{part}_accuracy"] = float(np.mean(list(accuracies.values())))
    trainer.model.w = np.asfortranarray(
        np.mean(list(last.values()), axis=0, dtype=np.float64), dtype=np.float32
    )
    return result | score_all(trainer, held_out)


def optimum(l2_reg_lambda: float, data: Data, held_out: Images) -> Result:
    """Minimise J with scikit-learn's lbfgs, in float64, the bias penalised as all weights."""
    from sklearn.linear_model import LogisticRegression

    X, Y = data[0].astype(np.float64), data[1]
    fit = LogisticRegression(
        C=1 / (2 * l2_reg_lambda * len(X)), fit_intercept=False, tol=TOLERANCE, max_iter=20_000
    ).fit(X, Y.argmax(axis=1))
    trainer = task3.make_trainer(data, l2_reg_lambda=l2_reg_lambda)
    model = trainer.model
    model.w = np.asfortranarray(fit.coef_.T)
    outputs = model.forward(X)
    model.backward(X, outputs, Y)
    return {
        "l2_reg_lambda": l2_reg_lambda,
        "iterations": int(fit.n_iter_[0]),
        "cost": trainer.loss(Y, outputs) + l2_reg_lambda * squared_norm(model.w),
        "gradient_norm": float(np.linalg.norm(model.grad)),
        **score_all(trainer, held_out),
    }


def tasks_of_study(
    seeds: int, epochs: int, continued_epochs: int, data_dir: str | os.PathLike[str]
) -> list[Task]:
    """List the tasks of a study, the longest first."""
    folder = str(Path(data_dir).resolve())
    tasks = [Task("optimum", f"softmax lambda={value:g}", 0, 0, 0, folder) for value in GRID[::-1]]
    for block in range(1, NUM_BLOCKS):
        name = f"softmax lambda={OTHER_BLOCKS_LAMBDA:g}"
        tasks.append(Task("optimum", name, 0, block, 0, folder))
    tasks += [Task("continued", name, 0, 0, continued_epochs, folder) for name in CONFIGURATIONS]
    tasks += [Task("averaged", name, 0, 0, epochs, folder) for name in LAMBDA_OF]
    tasks += [
        Task("run", name, seed, block, epochs, folder)
        for name in CONFIGURATIONS
        for block in range(NUM_BLOCKS)
        for seed in range(seeds)
        if block == 0 or name in LAMBDA_OF
    ]
    return tasks
