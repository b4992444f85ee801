"""The tables of the report: of the runs that it makes, and of the stored evidence."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.arguments import Floats
from common.numbers import number
from task4 import squared_norm
from tools.study import evidence, single_runs, statistics
from tools.study.tasks import LAMBDA_OF, PENALISED, SHUFFLED, UNPENALISED, UNSHUFFLED
from trainer import BaseTrainer

DEEP_DIP = 0.01
ACCURACIES = ("train_accuracy", "val_accuracy")
# What readers call a quantity. The last word says how its numbers are written (`format_cell`).
HEADINGS = {
    "train_loss": "training loss",
    "val_loss": "validation loss",
    "train_accuracy": "training accuracy",
    "val_accuracy": "validation accuracy",
    "held_out_accuracy": "held-out accuracy",
    "gap": "gap, points",
    "norm": "‖w‖²",
    "stop_step": "last step",
    "periodicity": "share that repeats",
    "mean_change": "mean change of the accuracy",
    "deepest_dip": "deepest dip of the accuracy",
}


def tabulate(title: str, rows: Mapping | pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Arrange rows in a table whose first column has their names.

    Parameters
    ----------
    title : str
        The heading of the names.
    rows : mapping of str to mapping of str to number or str
        By the names of the rows.
    *columns : str
        Which quantities, if not all. They get their `HEADINGS`. The "gap" is computed here.
    """
    frame = pd.DataFrame.from_dict(dict(rows), orient="index")
    if "gap" in columns:
        frame["gap"] = 100 * (frame.train_accuracy - frame.val_accuracy)
    chosen = frame[list(columns or frame)].rename(columns=HEADINGS)
    return chosen.rename_axis(title).reset_index()


def settings(
    trainers: Mapping[str, BaseTrainer], digits: Sequence[int], num_epochs: int
) -> pd.DataFrame:
    """Tabulate data and settings, a column for each model, by its heading.

    Parameters
    ----------
    trainers : mapping of str to BaseTrainer
    digits : pair of int
        What the model with a single output tells apart: target 1 and target 0.
    num_epochs : int
        The most.
    """
    one, zero = digits
    tasks = {1: f"{one} (target 1) or {zero} (target 0)", 10: "ten digits"}
    columns = {
        heading: {
            "tells apart": tasks[trainer.model.w.shape[1]],
            "order of the images": "shuffled" if trainer.shuffle_dataset else "that of the file",
            "pixels": "[0, 255] → [−1, 1]",
            "training images": number(len(trainer.X_train), ","),
            "validation images": number(len(trainer.X_val), ","),
            "weights, all zero at first": " × ".join(map(str, trainer.model.w.shape)),
            "learning rate": trainer.learning_rate,
            "batch size": trainer.batch_size,
            "steps in an epoch": trainer.batches_per_epoch,
            "steps between validations": trainer.steps_per_validation,
            "patience, in validations": trainer.patience,
            "epochs, at most": num_epochs,
        }
        for heading, trainer in trainers.items()
    }
    return pd.DataFrame(columns).rename_axis("setting").reset_index()


def gradient_checks(checks: Iterable[tuple[str, int, float]]) -> pd.DataFrame:
    """Tabulate gradient checks: what was checked, how many weights, the largest difference."""
    rows = [(name, count, number(error, ".1e")) for name, count, error in checks]
    return pd.DataFrame(rows, columns=["gradient of", "weights", "largest relative difference"])


def kept_and_last(trainer: BaseTrainer) -> pd.DataFrame:
    """Tabulate the validations at the step that was kept and at the end of a run."""
    losses, length = trainer.val_history["loss"], trainer.batches_per_epoch
    steps = {"the lowest loss": min(losses, key=losses.__getitem__), trainer.ended: max(losses)}
    rows = [(name, step, step // length, losses[step]) for name, step in steps.items()]
    return pd.DataFrame(rows, columns=["validation", "step", "epoch", "validation loss"])


def deep_dips(trainers: Iterable[BaseTrainer]) -> pd.DataFrame:
    """Tabulate the dips of the validation accuracy of more than a point, from epoch 3 on."""
    rows = {}
    for trainer in trainers:
        depths = single_runs.dip_depths(trainer.val_history["accuracy"])
        later = depths.loc[single_runs.FIRST_EPOCH * trainer.batches_per_epoch :]
        steps = later.index[later > DEEP_DIP]
        rows[trainer.name] = {
            "number": len(steps),
            "steps between them": listed(np.diff(steps)),
            "right after batch": listed(steps % trainer.batches_per_epoch),
        }
    return tabulate("dips of more than a point", rows)


def listed(values: Iterable[int]) -> str:
    """Write different numbers one after the other; a dash if there are none."""
    return ", ".join(map(str, sorted(set(values)))) or "–"


def around_batch(profiles: Mapping[str, NDArray], batch: int) -> pd.DataFrame:
    """Tabulate accuracies right before and right after a batch of the epoch.

    Parameters
    ----------
    profiles : mapping of str to ndarray of shape (batches_per_epoch,)
        Validation accuracies after each batch, by the images they are of.
    batch : int > 0
    """
    both = pd.DataFrame(profiles).loc[[batch - 1, batch]]
    return tabulate("validation images", both.rename("after batch {}, accuracy".format))


def depths(profiles: Mapping[str, NDArray], batches: Sequence[int]) -> pd.DataFrame:
    """Tabulate how far the accuracy after some batches lies from the median of all batches."""
    accuracies = pd.DataFrame(profiles)
    points = 100 * (accuracies - accuracies.median())
    rows = points.loc[list(batches)].rename("after batch {}, points".format)
    rows.loc["lowest, points"] = points.min()
    return tabulate("order of the training images", rows)


def halves(trainer: BaseTrainer) -> pd.DataFrame:
    """Tabulate a run at half time and at its end: means of the ten validations before."""
    history = single_runs.history_of(trainer)
    middle = min(history.index, key=lambda step: abs(step - trainer.stop_step / 2))
    steps = {"half time": middle, "its end": trainer.stop_step}
    means = {step: history.loc[:step].tail(10).mean() for step in steps.values()}
    rows = {name: {"step": step, **means[step]} for name, step in steps.items()}
    return tabulate("the run at", rows, "step", *ACCURACIES, "gap", "val_loss")


def template_measures(
    weights: Mapping[str, Floats], errors: Mapping[str, Floats], X: Floats, Y: Floats
) -> pd.DataFrame:
    """Tabulate how templates look, and how much of the errors is the mean error of their class.

    Parameters
    ----------
    weights : mapping of str to ndarray of shape (785, K)
    errors : mapping of str to ndarray of shape (N, K)
        The errors yⁿ - ŷⁿ of the models, by the same names.
    X : ndarray of shape (N, 785)
    Y : ndarray of shape (N, K), one-hot
    """
    columns = {}
    for name, w in weights.items():
        correlation = single_runs.class_mean_correlation(w, X, Y)
        share = single_runs.share_of_class(errors[name], Y)
        columns[name] = {
            "correlation with class mean minus overall mean": number(correlation, ".3f"),
            "roughness (0 constant, 1 white noise)": number(single_runs.roughness(w[:-1].T), ".3f"),
            "part of the squared errors that the class shares": number(share, ".0%"),
        }
    return pd.DataFrame(columns).rename_axis("weights as images").reset_index()


def accuracies(trainers: Iterable[BaseTrainer]) -> pd.DataFrame:
    """Tabulate the accuracies of the kept weights, the gap between them, and the last step."""
    rows = {
        trainer.name: {**trainer.summary(), "norm": number(squared_norm(trainer.model.w), "#.3g")}
        for trainer in trainers
    }
    return tabulate("run", rows, *ACCURACIES, "gap", "norm", "stop_step")


# --- of the stored evidence ------------------------------------------------------------------


def without_early_stopping(*kept_steps: int) -> pd.DataFrame:
    """Tabulate the validation losses of the continued runs: medians of 25 validations each.

    Parameters
    ----------
    *kept_steps : int
        The step that early stopping keeps, of the two runs of task 2 and of that of task 3.
    """
    names = {UNSHUFFLED: "not shuffled", SHUFFLED: "shuffled", UNPENALISED: "softmax, λ = 0"}
    histories, rows = evidence.read_histories(), {}
    for (configuration, name), kept in zip(names.items(), kept_steps, strict=True):
        curve = single_runs.smooth(histories[configuration].val_loss)
        rows[name] = {
            "kept step": kept,
            "its loss": curve[kept],
            "lowest around step": curve.idxmin(),
            "lowest loss": curve.min(),
            "cost in loss": curve[kept] - curve.min(),
            "last loss": curve.iloc[-1],
        }
    return tabulate("medians of 25 validations", rows)


def with_interval(estimate: Iterable, spec: str, unit: str = "") -> str:
    """Write a mean with the ends of its interval: ``−0.07 (−0.13 to −0.01)``."""
    mean, low, high = (number(value, spec) for value in estimate)
    return f"{mean}{unit} ({low} to {high})"


def orders(trainer: BaseTrainer) -> pd.DataFrame:
    """Tabulate what shuffling changes: one run, the means over the seeds, and their difference.

    Parameters
    ----------
    trainer : LogisticTrainer
        The report's run without shuffling, in the order of the file.
    """
    history = trainer.val_history["accuracy"], trainer.batches_per_epoch
    of_file = trainer.summary() | single_runs.fluctuations(*history)
    runs = evidence.read_table("runs").set_index(["configuration", "block", "seed"])
    jumps, rows = ("periodicity", "mean_change", "deepest_dip"), []
    for name in (*jumps, "stop_step", *ACCURACIES):
        fixed, shuffled = runs[name][UNSHUFFLED], runs[name][SHUFFLED]
        change = (shuffled - fixed).dropna()
        estimate = np.array([change.mean(), *statistics.seed_interval(change)])
        if name == "stop_step":
            spec, difference = ".0f", with_interval(estimate, "+.0f", " steps")
        else:
            spec, difference = ".2%", with_interval(100 * estimate, "+.2f", " points")
        values = [number(value, spec) for value in (of_file[name], fixed.mean(), shuffled.mean())]
        rows.append([HEADINGS[name], *values, difference])
    headings = ["runs of task 2", "file", "fixed", "shuffled"]
    return pd.DataFrame(rows, columns=[*headings, "shuffled minus fixed (95 % interval)"])


def minimum_and_end() -> pd.DataFrame:
    """Tabulate the continued softmax run at its minimum and end: medians of 25 validations."""
    history = evidence.read_histories()[UNPENALISED]
    window = single_runs.VALIDATIONS_TO_AVERAGE
    medians = history.rolling(window, center=True).median().dropna()
    steps = {"minimum": medians.val_loss.idxmin(), "end": medians.index[-1]}
    rows = {name: {"around step": step, **medians.loc[step]} for name, step in steps.items()}
    columns = ("around step", "train_loss", "val_loss", *ACCURACIES, "gap")
    return tabulate("continued run", rows, *columns)


def against_no_penalty() -> pd.DataFrame:
    """Tabulate the accuracy of each λ minus that of λ = 0, over the seeds, with 95 % intervals.

    For the smallest λ on all three blocks of training images, for the others on the assignment's.
    """
    runs = evidence.read_table("differences").query("kind == 'run' and reference == @UNPENALISED")
    chosen: Any = runs[(runs.block == 0) | (runs.configuration == PENALISED[0])]
    blocks = ("first block", "second block", "third block")
    rows = []
    for (name, block), found in chosen.groupby(["configuration", "block"]):
        in_points = 100 * found.set_index("images")[["mean", "low", "high"]]
        cells = [with_interval(in_points.loc[part], "+.3f") for part in evidence.PARTS]
        rows.append([f"λ = {LAMBDA_OF[name]:g}", blocks[block], *cells])
    intervals = ["validation (95 % interval)", "held-out (95 % interval)"]
    return pd.DataFrame(rows, columns=["λ, minus λ = 0", "trained on", *intervals])


def trained_to_the_end(lambdas: Iterable[float]) -> pd.DataFrame:
    """Tabulate models without a penalty, early-stopped and trained on, and some minima of J."""
    continued = evidence.read_table("continued").set_index("configuration")
    early, optima = evidence.early_stopped(), evidence.optima()
    rows = {"λ = 0, stopped early": early.loc[0], "λ = 0, trained on": continued.loc[UNPENALISED]}
    for value in lambdas:
        rows[f"minimum of J, λ = {number(value, 'g').removeprefix('1 × ')}"] = optima.loc[value]
    return tabulate("model", rows, *ACCURACIES, "held_out_accuracy", "val_loss")


def averaged_weights(trainers: Iterable[BaseTrainer]) -> pd.DataFrame:
    """Tabulate what averaging the weights of the last 250 steps changes, by λ.

    Parameters
    ----------
    trainers : iterable of SoftmaxTrainer
        The report's runs: how far their J over all training images lies above its minimum.
    """
    averaged = evidence.read_table("averaged").set_index("configuration")
    optima, rows = evidence.optima(), {}
    for trainer in trainers:
        value = trainer.model.l2_reg_lambda
        mean = averaged.loc[f"softmax lambda={value:g}"]
        # Without a penalty J has no minimum, and NaN is written as a dash.
        minimum = optima.cost.get(value, math.nan)
        loss = trainer.loss(trainer.Y_train, trainer.model.forward(trainer.X_train))
        cost = loss + value * squared_norm(trainer.model.w)
        mean_cost = mean.train_loss + value * mean.norm
        rows[trainer.name] = {
            "single models, held-out accuracy": mean.single_held_out_accuracy,
            "their mean, held-out accuracy": mean.held_out_accuracy,
            "gain, points": 100 * (mean.held_out_accuracy - mean.single_held_out_accuracy),
            "J over its minimum": number(cost / minimum - 1, "+.1%"),
            "J of their mean": number(mean_cost / minimum - 1, "+.1%"),
        }
    return tabulate("last 250 steps", rows)
