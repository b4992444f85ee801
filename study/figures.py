"""Figures of the stored evidence, for the report and for the study's command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from numpy.typing import NDArray

from plots import TRAINING, VALIDATION, legend_above, new_figure
from plots.numbers import number
from study import evidence
from study.runs import LAMBDA_OF, UNPENALISED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The mean of so many validations: the batches of a fifth of an epoch scatter widely.
VALIDATIONS_TO_AVERAGE = 25


def figure_continued(history: pd.DataFrame, best_step: int, stop_step: int) -> Figure:
    """Draw training and validation loss of a continued run, its minimum, and the early stop.

    Parameters
    ----------
    history : pandas.DataFrame
        As `evidence.read_continued` gives it.
    best_step, stop_step : int
        Of the same run with early stopping.
    """
    figure, axes = new_figure("cross-entropy loss")
    window = min(VALIDATIONS_TO_AVERAGE, len(history) // 4 + 1)
    train = history.train_loss.rolling(window, center=True).mean()
    axes.plot(history.index, train, color=TRAINING, label="training")
    axes.plot(history.index, history.val_loss, "-", color=VALIDATION, label="validation")
    losses: dict[int, float] = dict(zip(history.index, history.val_loss, strict=True))
    minimum = min(losses, key=losses.__getitem__)
    axes.plot(minimum, losses[minimum], "kv", label=f"minimum, step {number(minimum, ',')}")
    if best_step in losses:
        axes.plot(best_step, losses[best_step], "ko", label=f"kept, step {number(best_step, ',')}")
    axes.axvline(stop_step, color="0.2", linestyle=(0, (6, 2)), linewidth=1)
    # The steep start would take all of the height.
    late = history.val_loss[history.index > min(stop_step, history.index[-1]) / 4]
    low, high = min(train.min(), late.min()), late.max()
    axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    axes.annotate(
        f"early stop, step {number(stop_step, ',')}",
        (stop_step, 0.97),
        xycoords=("data", "axes fraction"),
        xytext=(4, 0),
        textcoords="offset points",
        va="top",
    )
    legend_above(figure, columns=4)
    return figure


def figure_after_batches(profiles: Mapping[str, NDArray]) -> Figure:
    """Draw the validation accuracy after each batch of an epoch.

    Parameters
    ----------
    profiles : mapping of str to ndarray of shape (batches_per_epoch,)
        Means over the epochs, by the names of the runs.
    """
    figure, axes = new_figure("validation accuracy", xlabel="batch of the epoch")
    for position, (name, profile) in enumerate(profiles.items(), start=1):
        axes.plot(profile, f"C{position}{' os^'[position]}-", markersize=4, label=name)
    legend_above(figure)
    return figure


def over_lambda(
    axes: Axes, runs: pd.DataFrame, optima: pd.DataFrame, column: str, color: str, label: str
) -> None:
    """Draw a column against λ: filled marks for early-stopped runs, a line for the optima."""
    early = runs[runs.configuration != UNPENALISED].groupby("l2_reg_lambda")[column].mean()
    axes.plot(optima.l2_reg_lambda, optima[column], "-", color=color, label=f"{label}, optimum")
    axes.plot(early.index, early, "o:", color=color, label=f"{label}, early stop")
    plain = runs.loc[runs.configuration == UNPENALISED, column].mean()
    axes.axhline(plain, color=color, linestyle=(0, (1, 3)), linewidth=1)


def with_lambda(runs: pd.DataFrame) -> pd.DataFrame:
    """Select the softmax runs of block 0, with their λ as a column."""
    chosen = runs[runs.configuration.isin(LAMBDA_OF) & (runs.block == 0)]
    return chosen.assign(l2_reg_lambda=chosen.configuration.map(LAMBDA_OF))


def figure_over_lambda(runs: pd.DataFrame, optima: pd.DataFrame) -> Figure:
    """Draw losses and accuracies against λ, of early-stopped models and of the optima.

    Parameters
    ----------
    runs, optima : pandas.DataFrame
        Tables of the evidence. Of the runs, means over the seeds are drawn.
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(6.2, 2.7))
    runs, optima = with_lambda(runs), optima.sort_values("l2_reg_lambda")
    for axes, quantity in ((left, "loss"), (right, "accuracy")):
        over_lambda(axes, runs, optima, f"train_{quantity}", "0.7", "training")
        over_lambda(axes, runs, optima, f"val_{quantity}", VALIDATION, "validation")
        axes.set(xscale="log", xlabel="λ", ylabel=quantity)
    left.set(ylabel="cross-entropy loss", yscale="log")
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter("{x:g}")
    left.set_yticks([0.1, 0.2, 0.5, 1], minor=False)
    left.set_yticks([0.3, 0.4, 0.7], minor=True)
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False
    )
    return figure


def draw(folder: Path) -> dict[str, Figure]:
    """Draw the figures of a study's evidence, by file name."""
    runs, optima = evidence.read_table("runs", folder), evidence.read_table("optima", folder)
    run = runs.query("configuration == @UNPENALISED and block == 0 and seed == 0").iloc[0]
    history = evidence.read_continued(folder)[UNPENALISED]
    return {
        "study_continued.png": figure_continued(history, run.best_step, run.stop_step),
        "study_over_lambda.png": figure_over_lambda(runs, optima),
    }
