"""The tables of the report: of the runs that it makes, and of the stored evidence."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from common.numbers import number
from task4 import squared_norm
from tools.study import evidence, single_runs
from tools.study.tasks import (
    EARLY_STEP,
    FEW_IMAGES,
    LAMBDA_OF,
    LONG_EPOCHS,
    PENALISED,
    SHUFFLED,
    UNPENALISED,
    UNSHUFFLED,
)
from trainer import BaseTrainer

ACCURACIES = ("train_accuracy", "val_accuracy")
# What readers call a quantity. The last word says how its numbers are written (`format_cell`).
HEADINGS = {
    "train_loss": "training loss",
    "val_loss": "validation loss",
    "train_accuracy": "training accuracy",
    "val_accuracy": "validation accuracy",
    "held_out_accuracy": "held-out accuracy",
    "gap": "gap, points",
    "loss_gap": "loss gap",
    "norm": "‖w‖²",
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
        Which quantities, if not all. They get their `HEADINGS`. The "gap" between the accuracies,
        training minus validation, and the "loss_gap", the other way round, are computed here.
    """
    frame = pd.DataFrame.from_dict(dict(rows), orient="index")
    if "gap" in columns:
        gaps = 100 * (frame.train_accuracy - frame.val_accuracy)
        frame["gap"] = [number(gap, "+.1f") for gap in gaps]
    if "loss_gap" in columns:
        frame["loss_gap"] = [number(gap, "+.4f") for gap in frame.val_loss - frame.train_loss]
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
        What the model with a single output distinguishes: target 1 and target 0.
    num_epochs : int
        The most.
    """
    one, zero = digits
    tasks = {1: f"{one} (target 1) or {zero} (target 0)", 10: "ten digits"}
    columns = {
        heading: {
            "distinguishes": tasks[trainer.model.w.shape[1]],
            "order of the images": "shuffled" if trainer.shuffle_dataset else "that of the file",
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


def accuracies_around_batch(profiles: Mapping[str, NDArray], batch: int) -> pd.DataFrame:
    """Tabulate accuracies right before and right after a batch of the epoch, and after the next.

    Parameters
    ----------
    profiles : mapping of str to ndarray of shape (batches_per_epoch,)
        Validation accuracies after each batch, by the images they are of.
    batch : int > 0
    """
    moments = {
        batch - 1: f"before batch {batch}",
        batch: f"after batch {batch}",
        batch + 1: f"after batch {batch + 1}",
    }
    accuracies = pd.DataFrame(profiles).loc[list(moments)].map(number, spec=".2%")
    return tabulate("validation accuracy on", accuracies.rename(moments))


def dips_after_batches(profiles: Mapping[str, NDArray], batches: Sequence[int]) -> pd.DataFrame:
    """Tabulate how far the accuracy after some batches lies from the median of all batches."""
    accuracies = pd.DataFrame(profiles)
    points = 100 * (accuracies - accuracies.median())
    rows = points.loc[list(batches)].rename("after batch {}, points".format)
    rows.loc["lowest, points"] = points.min()
    return tabulate("training images", rows)


def half_way_and_end(trainer: BaseTrainer) -> pd.DataFrame:
    """Tabulate a run half-way and at its end: means of the ten validations before."""
    history = single_runs.validation_history(trainer)
    middle = min(history.index, key=lambda step: abs(step - trainer.stop_step / 2))
    means = {
        "half-way": history.loc[:middle].tail(10).mean(),
        "at the end": history.tail(10).mean(),
    }
    columns = (*ACCURACIES, "gap", "train_loss", "val_loss", "loss_gap")
    return tabulate("means of ten validations", pd.DataFrame(means), *columns)


def accuracies_and_norms(trainers: Iterable[BaseTrainer]) -> pd.DataFrame:
    """Tabulate the accuracies of the kept weights, the gap between them, and their norm."""
    rows = {
        trainer.name: {**trainer.summary(), "norm": number(squared_norm(trainer.model.w), "#.3g")}
        for trainer in trainers
    }
    return tabulate("best step of the run", rows, *ACCURACIES, "gap", "norm")


# --- of the stored evidence ------------------------------------------------------------------


def format_interval(mean: float, low: float, high: float, spec: str) -> str:
    """Write a mean with the ends of its interval: ``−0.07 (−0.13 to −0.01)``."""
    return f"{number(mean, spec)} ({number(low, spec)} to {number(high, spec)})"


def name_of(l2_reg_lambda: float) -> str:
    """Name a model by its λ: ``λ = 0.001``, ``λ = 10⁻⁵``."""
    return f"λ = {number(l2_reg_lambda, 'g').removeprefix('1 × ')}"


def differences_from_no_penalty() -> pd.DataFrame:
    """Tabulate the accuracy of each λ minus that of λ = 0, over the seeds, with 95 % intervals.

    For the smallest λ on all three blocks of training images and without early stopping, for the
    others on the assignment's training images.
    """
    found = evidence.read_table("differences").query("reference == @UNPENALISED")
    smallest = found.configuration == PENALISED[0]
    early: Any = found[(found.kind == "run") & ((found.block == 0) | smallest)]
    blocks = ("block 1", "block 2", "block 3")
    rows = []
    for (name, block), pair in early.groupby(["configuration", "block"]):
        rows.append([name_of(LAMBDA_OF[name]), blocks[block], *intervals(pair)])
    longer = found[(found.kind == "long") & smallest]
    place = f"block 1, {LONG_EPOCHS} epochs"
    rows.insert(len(blocks), [name_of(LAMBDA_OF[PENALISED[0]]), place, *intervals(longer)])
    headings = [f"{images} (95 % interval)" for images in ("validation", "held-out")]
    return pd.DataFrame(rows, columns=["minus λ = 0, points", "trained on", *headings])


def intervals(comparison: pd.DataFrame) -> list[str]:
    """Write a comparison on validation and held-out images, in points."""
    by_images = comparison.set_index("images").loc[list(evidence.PARTS)]
    in_points = (100 * by_images[["mean", "low", "high"]]).to_numpy()
    return [format_interval(mean, low, high, "+.3f") for mean, low, high in in_points]


def without_early_stopping(minima: Iterable[float]) -> pd.DataFrame:
    """Tabulate accuracies and norms of each λ after 400 epochs, and of some at the minimum of J.

    Parameters
    ----------
    minima : iterable of float
        Values of λ.
    """
    long, optima = evidence.means_by_lambda("long"), evidence.optima()
    rows = {
        f"{name_of(value)}, {LONG_EPOCHS} epochs": dict(long.loc[value]) for value in long.index
    }
    rows |= {f"{name_of(value)}, minimum of J": dict(optima.loc[value]) for value in minima}
    for row in rows.values():
        row["norm"] = number(row["norm"], "#.3g")
    return tabulate("model", rows, *ACCURACIES, "held_out_accuracy", "val_loss", "norm")


def few_images() -> pd.DataFrame:
    """Tabulate runs on 2000 images by λ: means over ten training sets."""
    means = evidence.means_by_lambda("few_images")
    rows = {name_of(value): means.loc[value] for value in means.index}
    title = f"{number(FEW_IMAGES, ',')} training images"
    return tabulate(title, rows, *ACCURACIES, "held_out_accuracy")


def templates_of_training_sets() -> pd.DataFrame:
    """Tabulate how alike the templates of three disjoint training sets are: means over seeds."""
    means = evidence.read_table("templates").mean(numeric_only=True)
    rows = [
        (f"added after step {EARLY_STEP}", number(means.added_correlation, ".2f")),
        ("its fine detail", number(means.added_detail_correlation, ".2f")),
    ]
    return pd.DataFrame(rows, columns=["weights of three training sets", "correlation"])


def held_out_accuracies() -> pd.DataFrame:
    """Tabulate early-stopped runs, means over the seeds, on all three kinds of images."""
    runs = evidence.read_table("runs").query("block == 0").groupby("configuration")
    means = runs.mean(numeric_only=True)
    names = {
        UNSHUFFLED: "logistic regression, not shuffled",
        SHUFFLED: "logistic regression, shuffled",
        UNPENALISED: "softmax regression, λ = 0",
    }
    rows = {name: means.loc[configuration] for configuration, name in names.items()}
    return tabulate("means over twenty seeds", rows, *ACCURACIES, "held_out_accuracy")


def minimum_and_end() -> pd.DataFrame:
    """Tabulate the continued softmax run at its minimum and end: medians of 25 validations."""
    history = evidence.read_histories()[UNPENALISED]
    window = single_runs.VALIDATIONS_TO_AVERAGE
    medians = history.rolling(window, center=True).median().dropna()
    steps = {"lowest loss": medians.val_loss.idxmin(), "end": medians.index[-1]}
    rows = {name: {"around step": step, **medians.loc[step]} for name, step in steps.items()}
    columns = ("around step", "train_loss", "val_loss", *ACCURACIES, "gap")
    return tabulate(f"{LONG_EPOCHS} epochs, one seed", rows, *columns)
