"""What the study computes: each task is one training, or one optimum, with all it depends on.

The training images come in three blocks of 20 000: the assignment trains on block 0. The 40 000
images outside of a run's block are *held out*: unlike the validation images, they neither train it
nor end it. A seed decides the order of the images: for the logistic run without shuffling the one
order of the training set, for all others the generator that shuffles. Runs of one seed begin with
the same order, so that they can be compared seed by seed.
"""

import collections
import functools
import hashlib
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import mnist
import task2
import task3
from common.arguments import Floats
from common.linear import evaluate
from task2a import pre_process_images
from task3a import NUM_CLASSES, one_hot_encode
from task4 import LAMBDAS, squared_norm
from tools.study import single_runs
from tools.study.single_runs import fluctuations, history_of, reordered
from trainer import BaseTrainer
from utils import EPOCHS, NUM_TRAIN, PATIENCE, Data

ROOT = Path(__file__).resolve().parents[2]
# Modules that print, draw and write files; they do not influence any result.
WITHOUT_EFFECT = ("common.command_line", "common.files", "common.numbers", "runs")

BLOCKS = range(3)
SHUFFLED, UNSHUFFLED = "logistic shuffled", "logistic unshuffled"
LAMBDA_OF = {f"softmax lambda={value:g}": value for value in sorted({0.0, *LAMBDAS})}
CONFIGURATIONS = (*LAMBDA_OF, SHUFFLED, UNSHUFFLED)
UNPENALISED, *PENALISED = LAMBDA_OF

CONTINUED_EPOCHS = 400
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
    """

    kind: Literal["run", "continued", "averaged", "optimum"]
    configuration: str
    seed: int
    block: int
    epochs: int = EPOCHS


@functools.cache
def fingerprint() -> str:
    """Compute a checksum of all that decides a result besides its task.

    Returns
    -------
    str
        A SHA-256 of NumPy's version, of every module that this one imports directly or indirectly,
        and of the checksums that the images and labels must have.
    """
    finder = ModuleFinder([str(ROOT)])
    finder.run_script(__file__)
    checksum = hashlib.sha256(np.__version__.encode())
    checksum.update((ROOT / "mnist" / "SHA256SUMS").read_bytes())
    for name, module in sorted(finder.modules.items()):
        file = getattr(module, "__file__", None)
        if file and not name.startswith(WITHOUT_EFFECT):
            checksum.update(Path(file).read_bytes())
    return checksum.hexdigest()


@functools.cache
def load_images(model: str, split: Literal["train", "t10k"]) -> tuple[Floats, NDArray, NDArray]:
    """Load the images of a split that a model is about, their targets, and their blocks."""
    images, labels = mnist.load_split(split)
    blocks = np.arange(len(images)) // NUM_TRAIN
    if model == "softmax":
        return pre_process_images(images), one_hot_encode(labels, NUM_CLASSES), blocks
    chosen = np.isin(labels[:, 0], task2.DIGITS)
    targets = (labels[chosen] == task2.DIGITS[0]).astype(np.float32)
    return pre_process_images(images[chosen]), targets, blocks[chosen]


def split_images(model: str, block: int) -> tuple[Data, Images]:
    """Give training and validation images of a block, and the images that it holds out."""
    X, Y, blocks = load_images(model, "train")
    X_val, Y_val, _ = load_images(model, "t10k")
    here = blocks == block
    return (X[here], Y[here], X_val, Y_val), (X[~here], Y[~here])


def make_trainer(task: Task, data: Data) -> BaseTrainer:
    """Make the trainer of a task; without early stopping if it is a continued one."""
    patience = 10**9 if task.kind == "continued" else PATIENCE
    settings: Any = {"patience": patience, "seed": task.seed}
    if task.configuration in LAMBDA_OF:
        return task3.make_trainer(data, l2_reg_lambda=LAMBDA_OF[task.configuration], **settings)
    # The continued run without shuffling is that of the report, in the order of the file.
    if task.configuration == UNSHUFFLED and task.kind == "run":
        data = reordered(data, np.random.default_rng(task.seed).permutation(len(data[0])))
    return task2.make_trainer(data, shuffle=task.configuration == SHUFFLED, **settings)


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
    if fingerprint() != expected_fingerprint:
        raise RuntimeError("code, data or NumPy here differ from those of the study")
    model = task.configuration.partition(" ")[0]
    data, held_out = split_images(model, task.block)
    with threadpool_limits(1):
        if task.kind == "optimum":
            return optimum(float(task.configuration.partition("=")[2]), data, held_out)
        trainer = make_trainer(task, data)
        if task.kind == "averaged":
            return averaged(trainer, task.epochs, held_out)
        trainer.records_train_accuracy = task.kind == "continued"
        trainer.train(task.epochs)
        result: Result = {"stop_step": trainer.stop_step, "best_step": trainer.best_step}
        if model == "logistic":
            result |= fluctuations(trainer.val_history["accuracy"], trainer.batches_per_epoch)
        if task.kind == "continued":
            history = history_of(trainer).reset_index()
            result |= {f"history_{name}": column.to_numpy() for name, column in history.items()}
        return result | score_all(trainer, held_out)


def classes(Y: NDArray) -> NDArray:
    """Give the class of each output, or of each target, of either model."""
    return Y.argmax(axis=1) if Y.shape[1] > 1 else Y[:, 0] >= 0.5


def score_all(trainer: BaseTrainer, held_out: Images) -> Result:
    """Compute loss, accuracy and which images are right, for training, validation, held-out."""
    train, val = (trainer.X_train, trainer.Y_train), (trainer.X_val, trainer.Y_val)
    result: Result = {}
    for part, (X, Y) in (("train", train), ("val", val), ("held_out", held_out)):
        outputs = trainer.model.forward(X)
        result[f"{part}_loss"] = trainer.loss(Y, outputs)
        result[f"{part}_accuracy"] = trainer.accuracy(Y, outputs)
        result[f"{part}_right"] = classes(outputs) == classes(Y)
    if trainer.Y_train.shape[1] > 1:
        result["roughness"] = single_runs.roughness(trainer.model.w[:-1].T)
        result["correlation"] = single_runs.class_mean_correlation(trainer.model.w, *train)
    return result | {"norm": squared_norm(trainer.model.w)}


def averaged(trainer: BaseTrainer, epochs: int, held_out: Images) -> Result:
    """Score the mean of a run's weights over its last steps, from which the noise is gone.

    The result has their own mean accuracies, too: "single_val_accuracy" and
    "single_held_out_accuracy".
    """
    recent: collections.deque[tuple[int, Floats]] = collections.deque(maxlen=AVERAGED_STEPS)

    def note_weights(trainer: BaseTrainer) -> None:
        recent.append((trainer.stop_step, trainer.model.w))

    trainer.records_train_accuracy, trainer.after_step = False, note_weights
    trainer.train(epochs)
    last = {step: w for step, w in recent if step > trainer.stop_step - AVERAGED_STEPS}
    result: Result = {"stop_step": trainer.stop_step}
    for part, images in (("val", (trainer.X_val, trainer.Y_val)), ("held_out", held_out)):
        [accuracies] = evaluate(trainer.model, last, *images, trainer.accuracy)
        result[f"single_{part}_accuracy"] = float(np.mean(list(accuracies.values())))
    mean = np.mean(list(last.values()), axis=0, dtype=np.float64)
    trainer.model.w = np.asfortranarray(mean, dtype=np.float32)
    return result | score_all(trainer, held_out)


def optimum(l2_reg_lambda: float, data: Data, held_out: Images) -> Result:
    """Minimise J with scikit-learn's lbfgs, in float64, the bias penalised as all weights."""
    from sklearn.linear_model import LogisticRegression

    X, Y = data[0].astype(np.float64), data[1]
    settings = {"fit_intercept": False, "tol": TOLERANCE, "max_iter": 20_000}
    fit = LogisticRegression(C=1 / (2 * l2_reg_lambda * len(X)), **settings).fit(X, classes(Y))
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


def tasks_of_study(seeds: int, epochs: int) -> list[Task]:
    """List the tasks of a study, the longest first."""
    optima = [(value, 0) for value in GRID[::-1]] + [(OTHER_BLOCKS_LAMBDA, k) for k in BLOCKS[1:]]
    tasks = [Task("optimum", f"softmax lambda={value:g}", 0, block) for value, block in optima]
    continued_epochs = min(epochs, CONTINUED_EPOCHS)
    tasks += [Task("continued", name, 0, 0, continued_epochs) for name in CONFIGURATIONS]
    tasks += [Task("averaged", name, 0, 0, epochs) for name in LAMBDA_OF]
    tasks += [
        Task("run", name, seed, block, epochs)
        for name in CONFIGURATIONS
        for block in (BLOCKS if name in LAMBDA_OF else BLOCKS[:1])
        for seed in range(seeds)
    ]
    return tasks
