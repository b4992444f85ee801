"""Figures of a run: losses, accuracies, early stopping. Their looks live in `report.mplstyle`.

Matplotlib is imported by the functions that need it: a training that draws nothing does not have to
wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from trainer import BaseTrainer
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


def new_figure(
    ylabel: str, ylim: tuple[float, float] | None = None, xlabel: str = "gradient steps"
) -> tuple[Figure, Axes]:
    """Make a figure and let its axes be the current ones.

    Parameters
    ----------
    ylabel, xlabel : str
    ylim : pair of float, optional
        Lower and upper end of the y axis.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : matplotlib.axes.Axes
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if ylim is not None:
        axes.set_ylim(ylim)
    return figure, axes


def save_figure(figure: Figure, path: str | os.PathLike[str], note: str = "") -> None:
    """Write a figure to a file, as a whole or not at all.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path
        Its ending tells the format.
    note : str, optional
        A remark to put above the figure.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    if note:
        figure.suptitle(note, color="0.35", fontsize="medium")
    with atomic_path(path) as temporary:
        figure.savefig(temporary)


def mark_early_stop(axes: Axes, trainer: BaseTrainer) -> None:
    """Mark the step whose weights were kept and, if there was one, the early stop.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    trainer : BaseTrainer
        After its run.
    """
    if trainer.best_step is None:
        return
    axes.axvline(
        trainer.best_step,
        color="0.45",
        linestyle=(0, (1, 1.5)),
        label=f"best validation loss, step {trainer.best_step}",
    )
    if trainer.ended == "early stopping":
        axes.axvline(
            trainer.stop_step,
            color="0.2",
            linestyle=(0, (6, 2)),
            linewidth=1,
            label=f"early stop, step {trainer.stop_step}",
        )


def figure_losses(trainer: BaseTrainer, ylim: tuple[float, float]) -> Figure:
    """Draw training and validation loss of a run against gradient steps.

    Parameters
    ----------
    trainer : BaseTrainer
        After its run.
    ylim : pair of float
        Lower and upper end of the y axis.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure("cross-entropy loss", ylim)
    plot_loss(trainer.train_history["loss"], "training", STEPS_TO_AVERAGE)
    plot_loss(trainer.val_history["loss"], "validation")
    mark_early_stop(axes, trainer)
    axes.legend(loc="upper right")
    return figure


def figure_accuracies(trainer: BaseTrainer, ylim: tuple[float, float]) -> Figure:
    """Draw training and validation accuracy of a run against gradient steps.

    Parameters
    ----------
    trainer : BaseTrainer
        After its run.
    ylim : pair of float
        Lower and upper end of the y axis.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure("accuracy", ylim)
    plot_loss(trainer.train_history["accuracy"], "training")
    plot_loss(trainer.val_history["accuracy"], "validation")
    mark_early_stop(axes, trainer)
    axes.legend(loc="lower right")
    return figure


def figure_val_accuracies(trainers: Iterable[BaseTrainer], ylim: tuple[float, float]) -> Figure:
    """Draw the validation accuracies of several runs against gradient steps.

    Parameters
    ----------
    trainers : iterable of BaseTrainer
        After their runs. The end of each is marked.
    ylim : pair of float
        Lower and upper end of the y axis.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure("validation accuracy", ylim)
    for trainer in trainers:
        accuracies = trainer.val_history["accuracy"]
        plot_loss(accuracies, trainer.name)
        last = max(accuracies)
        axes.plot(last, accuracies[last], "k|", markersize=12)
    axes.plot([], [], "k|", markersize=8, label="end of the run")
    axes.legend(loc="lower right")
    return figure
