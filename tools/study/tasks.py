"""What the study computes: each task is one training, or one optimum, with all it depends on.

The training images come in three blocks of 20 000: the assignment trains on block 0. For the runs
on few images they come in thirty blocks of 2000. All images outside of a run's block are *held
out*: unlike the validation images, they neither train it nor end it. A seed decides the order of
the images: for the logistic run without shuffling the one order of the training set, for all others
the generator that shuffles. Runs of one seed begin with the same order, so that they can be
compared seed by seed.
"""

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
from task2a import pre_process_images
from task3a import NUM_CLASSES, one_hot_encode
from task4 import LAMBDAS, squared_norm
from tools.study import single_runs
from tools.study.single_runs import reorder, train_up_to, validation_history
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
CONTINUED = (UNPENALISED, PENALISED[0], UNSHUFFLED)

# Of the runs without early stopping: 7.5 times as many as the run of task 3 has.
LONG_EPOCHS = 400
LONG_SEEDS = 3
FEW_IMAGES = 2000
FEW_IMAGES_BLOCKS = range(10)
FEW_IMAGES_EPOCHS = 1000
TEMPLATE_SEEDS = 3
# At which the run of λ = 1 keeps its weights, with seed 0.
EARLY_STEP = 248
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
    kind : {"run", "continued", "long", "few images", "templates", "optimum"}
        An early-stopped run; the curves of one without early stopping; the last weights of such a
        run; the same with `FEW_IMAGES` training images; early-stopped runs on each of the `BLOCKS`,
        whose weights are compared as images; the minimum of J.
    configuration : str
        One of `CONFIGURATIONS`, or of ``softmax lambda=…`` for an optimum.
    seed, block : int
    epochs : int
        How many epochs a run has, or the most if it is stopped early.
    """

    kind: Literal["run", "continued", "long", "few images", "templates", "optimum"]
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
    """Load the images of a split that a model is about, their targets, and their places in it."""
    images, labels = mnist.load_split(split)
    places = np.arange(len(images))
    if model == "softmax":
        return pre_process_images(images), one_hot_encode(labels, NUM_CLASSES), places
    chosen = np.isin(labels[:, 0], task2.DIGITS)
    targets = (labels[chosen] == task2.DIGITS[0]).astype(np.float32)
    return pre_process_images(images[chosen]), targets, places[chosen]


def split_images(model: str, block: int, size: int = NUM_TRAIN) -> tuple[Data, Images]:
    """Give training and validation images of a block, and the images that it holds out.

    Parameters
    ----------
    model : {"logistic", "softmax"}
    block : int >= 0
    size : int, default=20000
        How many of MNIST's training images are a block.
    """
    X, Y, places = load_images(model, "train")
    X_val, Y_val, _ = load_images(model, "t10k")
    here = places // size == block
    return (X[here], Y[here], X_val, Y_val), (X[~here], Y[~here])


def make_trainer(task: Task, data: Data) -> BaseTrainer:
    """Make the trainer of a task; without early stopping if it is a continued one."""
    patience = None if task.kind == "continued" else PATIENCE
    settings: Any = {"patience": patience, "seed": task.seed}
    if task.configuration in LAMBDA_OF:
        return task3.make_trainer(data, l2_reg_lambda=LAMBDA_OF[task.configuration], **settings)
    # The continued run without shuffling is that of the report, in the order of the file.
    if task.configuration == UNSHUFFLED and task.kind == "run":
        data = reorder(data, np.random.default_rng(task.seed).permutation(len(data[0])))
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
    with threadpool_limits(1):
        if task.kind == "templates":
            return compare_templates(task)
        model = task.configuration.partition(" ")[0]
        size = FEW_IMAGES if task.kind == "few images" else NUM_TRAIN
        data, held_out = split_images(model, task.block, size)
        if task.kind == "optimum":
            return optimum(float(task.configuration.partition("=")[2]), data, held_out)
        trainer = make_trainer(task, data)
        if task.kind in ("long", "few images"):
            last_step = task.epochs * trainer.batches_per_epoch - 1
            train_up_to(trainer, last_step)
            return {"stop_step": last_step, **score_all(trainer, held_out)}
        trainer.records_train_accuracy = task.kind == "continued"
        trainer.train(task.epochs)
        if task.kind == "continued":
            history = validation_history(trainer).reset_index()
            return {str(name): column.to_numpy() for name, column in history.items()}
        result: Result = {"stop_step": trainer.stop_step, "best_step": trainer.best_step}
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


def compare_templates(task: Task) -> Result:
    """Train on each of the `BLOCKS`, and compare the weights as images.

    Returns
    -------
    dict of str to float
        Correlations between blocks: "added_correlation", of what training adds to the templates
        after `EARLY_STEP`, and "added_detail_correlation", of its fine detail.
    """
    early, kept = [], []
    for block in BLOCKS:
        data, _ = split_images("softmax", block)
        begun = make_trainer(task, data)
        train_up_to(begun, EARLY_STEP)
        early.append(begun.model.w[:-1].T)
        trainer = make_trainer(task, data)
        trainer.records_train_accuracy = False
        trainer.train(task.epochs)
        kept.append(trainer.model.w[:-1].T)
    added = np.subtract(kept, early)
    return {
        "added_correlation": single_runs.mean_correlation(added),
        "added_detail_correlation": single_runs.mean_correlation(single_runs.fine_detail(added)),
    }


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
    tasks += [Task("continued", name, 0, 0, min(epochs, LONG_EPOCHS)) for name in CONTINUED]
    tasks += [
        Task("long", name, seed, 0, min(epochs, LONG_EPOCHS))
        for name in LAMBDA_OF
        for seed in range(min(seeds, LONG_SEEDS))
    ]
    tasks += [
        Task("templates", UNPENALISED, seed, 0, epochs)
        for seed in range(min(seeds, TEMPLATE_SEEDS))
    ]
    tasks += [
        # An epoch has a tenth of the steps.
        Task("few images", name, 0, block, min(10 * epochs, FEW_IMAGES_EPOCHS))
        for name in LAMBDA_OF
        for block in FEW_IMAGES_BLOCKS
    ]
    tasks += [
        Task("run", name, seed, block, epochs)
        for name in CONFIGURATIONS
        for block in (BLOCKS if name in LAMBDA_OF else BLOCKS[:1])
        for seed in range(seeds)
    ]
    return tasks
