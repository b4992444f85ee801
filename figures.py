"""Figures of a run: losses, accuracies, early stopping. Their looks live in `report.mplstyle`.

Matplotlib is imported by the functions that need it: a training that draws nothing does not have to
wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from trainer import COMPLETE, BaseTrainer
from utils import atomic_path, plot_loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE_FILE = Path(__file__).resolve().parent / "report.mplstyle"
STEPS_TO_AVERAGE = 10


def use_style() -> None:
    """Let all figures look as `report.mplstyle` says."""
    import matplotlib.style

    matplotlib.style.use(STYLE_FILE)


def new_figure(ylabel: str, xlabel: str = "gradient steps") -> tuple[Figure, Axes]:
    """Make a figure and let its axes be the current ones.

    Parameters
    ----------
    ylabel, xlabel : str

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : matplotlib.axes.Axes
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    return figure, axes


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure to a file, as a whole or not at all.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path
        Its ending tells the format.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with atomic_path(path) as temporary:
        figure.savefig(temporary)


def limit_y(axes: Axes, ylim: tuple[float, float], values: Iterable[float]) -> None:
    """Set the limits of the y axis if they hold what the curves come to.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    ylim : pair of float
        The limits that suit the assignment's runs.
    values : iterable of float
        Where the curves end. If one lies outside, as for another data set, all curves are shown
        as a whole.
    """
    if all(ylim[0] <= value <= ylim[1] for value in values):
        axes.set_ylim(ylim)


def mark_early_stop(axes: Axes, trainer: BaseTrainer) -> None:
    """Mark the step whose weights were kept and, if there was one, the early stop.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    trainer : BaseTrainer
        After its run, with at least one validation.
    """
    best_step = trainer.summary()["best_step"]
    axes.axvline(
        best_step,
        color="0.45",
        linestyle=(0, (1, 1.5)),
        label=f"best validation loss, step {best_step}",
    )
    if trainer.ended == "early stop":
        axes.axvline(
            trainer.stop_step,
            color="0.2",
            linestyle=(0, (6, 2)),
            linewidth=1,
            label=f"early stop, step {trainer.stop_step}",
        )


def mark_cut_short(figure: Figure, trainers: Iterable[BaseTrainer]) -> None:
    """Say above a figure which of its runs were interrupted or diverged.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    trainers : iterable of BaseTrainer
        The runs that it shows.
    """
    names: dict[str, list[str]] = {}
    for trainer in trainers:
        if trainer.ended not in COMPLETE:
            end = f"{trainer.ended} at step {trainer.stop_step}"
            names.setdefault(end, []).append(trainer.name)
    if names:
        notes = [f"{end}: {', '.join(runs)}" for end, runs in names.items()]
        figure.suptitle("\n".join(notes), color="0.35", fontsize="medium")


def figure_losses(trainer: BaseTrainer, ylim: tuple[float, float]) -> Figure:
    """Draw training and validation loss of a run against gradient steps.

    Parameters
    ----------
    trainer : BaseTrainer
        After its run, with at least one validation.
    ylim : pair of float
        Limits of the y axis, see `limit_y`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure("cross-entropy loss")
    plot_loss(trainer.train_history["loss"], "training", STEPS_TO_AVERAGE)
    plot_loss(trainer.val_history["loss"], "validation")
    summary = trainer.summary()
    limit_y(axes, ylim, (summary["train_loss"], summary["val_loss"]))
    mark_early_stop(axes, trainer)
    mark_cut_short(figure, [trainer])
    axes.legend(loc="best")
    return figure


def figure_accuracies(trainer: BaseTrainer, ylim: tuple[float, float]) -> Figure:
    """Draw training and validation accuracy of a run against gradient steps.

    Parameters
    ----------
    trainer : BaseTrainer
        After its run, with at least one validation.
    ylim : pair of float
        Limits of the y axis, see `limit_y`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure("accuracy")
    plot_loss(trainer.train_history["accuracy"], "training")
    plot_loss(trainer.val_history["accuracy"], "validation")
    summary = trainer.summary()
    limit_y(axes, ylim, (summary["train_accuracy"], summary["val_accuracy"]))
    mark_early_stop(axes, trainer)
    mark_cut_short(figure, [trainer])
    axes.legend(loc="lower right")
    return figure


def figure_val_accuracies(trainers: Collection[BaseTrainer], ylim: tuple[float, float]) -> Figure:
    """Draw the validation accuracies of several runs against gradient steps.

    Parameters
    ----------
    trainers : collection of BaseTrainer
        After their runs, with at least one validation each. The end of each is marked.
    ylim : pair of float
        Limits of the y axis, see `limit_y`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure("validation accuracy")
    for trainer in trainers:
        accuracies = trainer.val_history["accuracy"]
        plot_loss(accuracies, trainer.name)
        last = max(accuracies)
        axes.plot(last, accuracies[last], "k|", markersize=12)
    axes.plot([], [], "k|", markersize=8, label="end of the run")
    limit_y(axes, ylim, (trainer.summary()["val_accuracy"] for trainer in trainers))
    mark_cut_short(figure, trainers)
    axes.legend(loc="lower right")
    return figure
