"""The tables of the report: of the runs that it makes, and of the stored evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from numerics.arguments import Floats
from output.numbers import number
from runs.summary import summary
from study import evidence, fluctuations, single_runs, statistics, templates
from study.tasks import LAMBDA_OF, PENALISED, SHUFFLED, UNPENALISED, UNSHUFFLED
from task4 import squared_norm
from trainer import BaseTrainer

DEEP_DIP = 0.01


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
            "learning rate": number(trainer.learning_rate, "g"),
            "batch size": number(trainer.batch_size),
            "steps in an epoch": number(trainer.batches_per_epoch),
            "steps between validations": number(trainer.steps_per_validation),
            "patience, in validations": number(trainer.patience),
            "epochs, at most": number(num_epochs),
        }
        for heading, trainer in trainers.items()
    }
    return pd.DataFrame(columns).rename_axis("setting").reset_index()


def gradient_checks(checks: Iterable[tuple[str, int, float]]) -> pd.DataFrame:
    """Tabulate gradient checks: what was checked, how many weights, the largest difference."""
    rows = [(name, number(count), number(error, ".1e")) for name, count, error in checks]
    return pd.DataFrame(rows, columns=["gradient of", "weights", "largest relative difference"])


def kept_and_last(trainer: BaseTrainer) -> pd.DataFrame:
    """Tabulate the validations at the step that was kept and at the end of a run."""
    losses = trainer.val_history["loss"]
    steps = {"the lowest loss": min(losses, key=losses.__getitem__), trainer.ended: max(losses)}
    rows = [
        {
            "validation": what,
            "step": step,
            "epoch": step // trainer.batches_per_epoch,
            "validation loss": losses[step],
        }
        for what, step in steps.items()
    ]
    return pd.DataFrame(rows)


def deep_dips(trainers: Iterable[BaseTrainer]) -> pd.DataFrame:
    """Tabulate the dips of the validation accuracy of more than a point, from epoch 3 on."""
    rows = []
    for trainer in trainers:
        first = fluctuations.FIRST_EPOCH * trainer.batches_per_epoch
        depths = fluctuations.dip_depths(trainer.val_history["accuracy"])
        steps = [step for step, depth in depths.items() if depth > DEEP_DIP and step >= first]
        batches = sorted({step % trainer.batches_per_epoch for step in steps})
        distances = sorted(set(np.diff(steps).tolist()))
        rows.append(
            {
                "dips of more than a point": trainer.name,
                "number": len(steps),
                "steps between them": listed(distances),
                "right after batch": listed(batches),
            }
        )
    return pd.DataFrame(rows)


def listed(values: Sequence[int]) -> str:
    """Write numbers one after the other; a dash if there are none."""
    return ", ".join(number(value) for value in values) or "–"


def around_batch(profiles: Mapping[str, NDArray], batch: int) -> pd.DataFrame:
    """Tabulate accuracies right before and right after a batch of the epoch.

    Parameters
    ----------
    profiles : mapping of str to ndarray of shape (batches_per_epoch,)
        Validation accuracies after each batch, by the images they are of.
    batch : int > 0
    """
    rows = [
        {
            "validation images": name,
            f"after batch {batch - 1}, accuracy": profile[batch - 1],
            f"after batch {batch}, accuracy": profile[batch],
        }
        for name, profile in profiles.items()
    ]
    return pd.DataFrame(rows)


def depths(profiles: Mapping[str, NDArray], batches: Sequence[int]) -> pd.DataFrame:
    """Tabulate how far the accuracy after some batches lies from the median of all batches."""
    rows = [
        {"order of the training images": name}
        | {
            f"after batch {batch}, points": -100 * fluctuations.depth_at(profile, batch)
            for batch in batches
        }
        | {"lowest, points": -100 * (np.median(profile) - profile.min())}
        for name, profile in profiles.items()
    ]
    return pd.DataFrame(rows)


def halves(trainer: BaseTrainer) -> pd.DataFrame:
    """Tabulate a run at half time and at its end: means of the ten validations before."""
    train, val = trainer.train_history, trainer.val_history
    middle = min(val["loss"], key=lambda step: abs(step - trainer.stop_step / 2))
    rows = []
    for when, step in (("half time", middle), ("its end", trainer.stop_step)):
        train_accuracy = single_runs.mean_near(train["accuracy"], step)
        val_accuracy = single_runs.mean_near(val["accuracy"], step)
        rows.append(
            {
                "the run at": when,
                "step": step,
                "training accuracy": train_accuracy,
                "validation accuracy": val_accuracy,
                "gap, points": 100 * (train_accuracy - val_accuracy),
                "validation loss": single_runs.mean_near(val["loss"], step),
            }
        )
    return pd.DataFrame(rows)


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
    columns = {
        name: {
            "correlation with class mean minus overall mean": number(
                templates.class_mean_correlation(w, X, Y), ".3f"
            ),
            "roughness (0 constant, 1 white noise)": number(templates.roughness(w[:-1].T), ".3f"),
            "part of the squared errors that the class shares": number(
                templates.share_of_class(errors[name], Y), ".0%"
            ),
        }
        for name, w in weights.items()
    }
    return pd.DataFrame(columns).rename_axis("weights as images").reset_index()


def accuracies(trainers: Iterable[BaseTrainer]) -> pd.DataFrame:
    """Tabulate the accuracies of the kept weights, the gap between them, and the last step."""
    rows = []
    for trainer in trainers:
        kept = summary(trainer)
        rows.append(
            {
                "run": trainer.name,
                "training accuracy": kept["train_accuracy"],
                "validation accuracy": kept["val_accuracy"],
                "gap, points": 100 * (kept["train_accuracy"] - kept["val_accuracy"]),
                "‖w‖²": number(squared_norm(trainer.model.w), "#.3g"),
                "last step": kept["stop_step"],
            }
        )
    return pd.DataFrame(rows)


# --- of the stored evidence ------------------------------------------------------------------


def without_early_stopping(*kept_steps: int) -> pd.DataFrame:
    """Tabulate the validation losses of the continued runs: medians of 25 validations each.

    Parameters
    ----------
    *kept_steps : int
        The step that early stopping keeps, of the two runs of task 2 and of that of task 3.
    """
    names = {UNSHUFFLED: "not shuffled", SHUFFLED: "shuffled", UNPENALISED: "softmax, λ = 0"}
    histories, rows = evidence.read_histories(), []
    for (configuration, name), kept in zip(names.items(), kept_steps, strict=True):
        curve = single_runs.smooth(histories[configuration].val_loss)
        rows.append(
            {
                "medians of 25 validations": name,
                "kept step": kept,
                "its loss": curve[kept],
                "lowest around step": curve.idxmin(),
                "lowest loss": curve.min(),
                "cost in loss": curve[kept] - curve.min(),
                "last loss": curve.iloc[-1],
            }
        )
    return pd.DataFrame(rows)


def points(mean: float, low: float, high: float, spec: str = "+.2f", unit: str = "") -> str:
    """Write a difference with its interval: ``−0.07 (−0.13 to −0.01)``."""
    return f"{number(mean, spec)}{unit} ({number(low, spec)} to {number(high, spec)})"


def orders(trainer: BaseTrainer) -> pd.DataFrame:
    """Tabulate what shuffling changes: one run, the means over the seeds, and their difference.

    Parameters
    ----------
    trainer : LogisticTrainer
        The report's run without shuffling, in the order of the file.
    """
    accuracy, length = trainer.val_history["accuracy"], trainer.batches_per_epoch
    of_file = summary(trainer) | {
        "periodicity": fluctuations.epoch_periodicity(accuracy, length),
        "mean_change": fluctuations.mean_absolute_change(accuracy, length),
        "deepest_dip": fluctuations.deepest_dip(accuracy, length),
    }
    # By the columns of the evidence.
    names = {
        "periodicity": "share that repeats",
        "mean_change": "mean change of the accuracy",
        "deepest_dip": "deepest dip of the accuracy",
        "stop_step": "last step",
        "train_accuracy": "training accuracy",
        "val_accuracy": "validation accuracy",
    }
    table = evidence.read_table("runs").pivot(
        index=["block", "seed"], columns="configuration", values=list(names)
    )
    rows = []
    for column, name in names.items():
        fixed, shuffled = table[column, UNSHUFFLED], table[column, SHUFFLED]
        factor, spec, unit = (
            (1, ".0f", "steps") if column == "stop_step" else (100, ".2%", "points")
        )
        change = (factor * (shuffled - fixed)).dropna()
        low, high = statistics.seed_interval(change.to_numpy())
        values = [of_file[column], fixed.mean(), shuffled.mean()]
        cells = [number(value, spec) for value in values]
        cells.append(points(change.mean(), low, high, f"+{spec}".replace("%", "f"), f" {unit}"))
        rows.append([name, *cells])
    headings = ["runs of task 2", "file", "fixed", "shuffled"]
    return pd.DataFrame(rows, columns=[*headings, "shuffled minus fixed (95 % interval)"])


def minimum_and_end() -> pd.DataFrame:
    """Tabulate the continued softmax run at its minimum and end: medians of 25 validations."""
    history = evidence.read_histories()[UNPENALISED]
    window = single_runs.VALIDATIONS_TO_AVERAGE
    medians = history.rolling(window, center=True).median().dropna()
    steps = {"minimum": medians.val_loss.idxmin(), "end": medians.index[-1]}
    rows = [
        {
            "continued run": when,
            "around step": step,
            "training loss": medians.train_loss[step],
            "validation loss": medians.val_loss[step],
            "training accuracy": medians.train_accuracy[step],
            "validation accuracy": medians.val_accuracy[step],
            "gap, points": 100 * (medians.train_accuracy[step] - medians.val_accuracy[step]),
        }
        for when, step in steps.items()
    ]
    return pd.DataFrame(rows)


def against_no_penalty() -> pd.DataFrame:
    """Tabulate the accuracy of each λ minus that of λ = 0, over the seeds, with 95 % intervals.

    For the smallest λ on all three blocks of training images, for the others on the assignment's.
    """
    table = evidence.read_table("differences")
    table = table[table.kind == "run"]
    weakest = PENALISED[0]
    models = [(weakest, 0), (weakest, 1), (weakest, 2), *((name, 0) for name in PENALISED[1:])]
    rows = []
    for configuration, block in models:
        row = {
            "λ, minus λ = 0": f"λ = {LAMBDA_OF[configuration]:g}",
            "trained on": ("first block", "second block", "third block")[block],
        }
        for part, heading in (("val", "validation"), ("held_out", "held-out")):
            place = {"configuration": configuration, "block": block, "images": part}
            [found] = table[(table[list(place)] == pd.Series(place)).all(axis=1)].to_dict("records")
            mean, low, high = (100 * found[key] for key in ("mean", "low", "high"))
            row[f"{heading} (95 % interval)"] = points(mean, low, high, "+.3f")
        rows.append(row)
    return pd.DataFrame(rows)


def name_of(l2_reg_lambda: float) -> str:
    """Write a λ of the optima; small powers of ten as such."""
    power = number(l2_reg_lambda, ".0e")
    is_small_power = power.startswith("1 ") and l2_reg_lambda < 1e-3
    return "λ = " + (power.partition(" × ")[2] if is_small_power else f"{l2_reg_lambda:g}")


def optima_of_block_0() -> pd.DataFrame:
    """Read the minima of J for the assignment's training images, by λ, from the smallest."""
    optima = evidence.read_table("optima")
    return optima[optima.block == 0].sort_values("l2_reg_lambda").set_index("l2_reg_lambda")


def trained_to_the_end(lambdas: Iterable[float]) -> pd.DataFrame:
    """Tabulate models without a penalty, early-stopped and trained on, and some minima of J."""
    runs = evidence.read_table("runs").query("configuration == @UNPENALISED and block == 0")
    continued = evidence.read_table("continued").set_index("configuration")
    optima = optima_of_block_0()
    models = {
        "λ = 0, stopped early": runs.mean(numeric_only=True),
        "λ = 0, trained on": continued.loc[UNPENALISED],
    }
    models |= {f"minimum of J, {name_of(value)}": optima.loc[value] for value in lambdas}
    rows = [
        {
            "model": name,
            "training accuracy": model.train_accuracy,
            "validation accuracy": model.val_accuracy,
            "held-out accuracy": model.held_out_accuracy,
            "validation loss": model.val_loss,
        }
        for name, model in models.items()
    ]
    return pd.DataFrame(rows)


def averaged_weights(trainers: Iterable[BaseTrainer]) -> pd.DataFrame:
    """Tabulate what averaging the weights of the last 250 steps changes, by λ.

    Parameters
    ----------
    trainers : iterable of SoftmaxTrainer
        The report's runs: how far their J over all training images lies above its minimum.
    """
    averaged = evidence.read_table("averaged").set_index("configuration")
    optima, rows = optima_of_block_0(), []
    for trainer in trainers:
        value = trainer.model.l2_reg_lambda
        mean = averaged.loc[f"softmax lambda={value:g}"]
        row = {
            "last 250 steps": trainer.name,
            "single models, held-out accuracy": mean.single_held_out_accuracy,
            "their mean, held-out accuracy": mean.held_out_accuracy,
            "gain, points": 100 * (mean.held_out_accuracy - mean.single_held_out_accuracy),
            "J over its minimum": "–",
            "J of their mean": "–",
        }
        if value > 0:
            outputs = trainer.model.forward(trainer.X_train)
            loss = trainer.loss(trainer.Y_train, outputs)
            cost = loss + value * squared_norm(trainer.model.w)
            mean_cost = mean.train_loss + value * mean.norm
            row["J over its minimum"] = number(cost / optima.cost[value] - 1, "+.1%")
            row["J of their mean"] = number(mean_cost / optima.cost[value] - 1, "+.1%")
        rows.append(row)
    return pd.DataFrame(rows)
