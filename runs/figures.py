"""Figures of runs. Their style is in `style.mplstyle`.

Figures are not registered with pyplot, so the user's own backend, settings and current axes stay as
they are; ``plt.figure(figure)`` registers one.
"""

import contextlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from common.arguments import Floats
from common.numbers import number
from mnist import IMAGE_SHAPE
from trainer import BaseTrainer
from utils import plot_loss

Figures = Mapping[str, Figure]  # by file name

STYLE_FILE = Path(__file__).resolve().parent / "style.mplstyle"
# The same quantity has the same colour in all figures.
TRAINING, VALIDATION = "#0072B2", "#D55E00"
STEPS = "gradient steps"
WIDTH, HEIGHT = 6.2, 2.5  # inches
# Both marks of a run are grey: one dotted, one dashed.
BEST_STEP: dict[str, Any] = {"color": "0.45", "linestyle": (0, (1, 1.5))}
EARLY_STOP: dict[str, Any] = {"color": "0.2", "linestyle": (0, (6, 2)), "linewidth": 1}
# The smallest λ with a colour of its own.
SMALLEST_LAMBDA = 1e-4


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """Draw and save in the style of `style.mplstyle`, whatever the user's matplotlibrc says.

    Functions that draw or save figures use it as a decorator.
    """
    with matplotlib.style.context(["default", STYLE_FILE]):
        yield


def new_figure(ylabel: str, xlabel: str = STEPS, height: float = HEIGHT) -> tuple[Figure, Axes]:
    """Make a figure with one pair of axes; the height is in inches."""
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if xlabel == STEPS:
        axes.xaxis.set_major_formatter(lambda step, position: number(step, ",.0f"))
    return figure, axes


def color_of(l2_reg_lambda: float) -> tuple[float, ...] | str:
    """Choose the colour of a λ: black for 0; otherwise, the larger λ, the lighter the colour."""
    if l2_reg_lambda == 0:
        return "black"
    lightness = 1 - math.log(l2_reg_lambda) / math.log(SMALLEST_LAMBDA)
    return matplotlib.colormaps["plasma"](0.78 * min(max(lightness, 0), 1))


def label_point(
    axes: Axes, x: float, y: float, text: str, color: Any = "0.15", offset: float = -1
) -> None:
    """Write text to the right of a point; the vertical offset is in typographic points."""
    alignment = "center"
    if offset > 0:
        alignment = "bottom"
    if offset < 0:
        alignment = "top"
    axes.annotate(
        text,
        (x, y),
        xytext=(4, offset),
        textcoords="offset points",
        verticalalignment=alignment,
        color=color,
    )


def legend_above(figure: Figure) -> None:
    """Put the legend above the axes, where it hides no line."""
    figure.legend(loc="outside upper center", ncols=3, frameon=False)


def limit_y(axes: Axes, ylim: tuple[float, float], values: Iterable[float]) -> None:
    """Set the limits of the y axis if these values, where the curves end, are within them.

    The limits suit the assignment's runs; for other data the curves are shown completely.
    """
    if all(ylim[0] <= value <= ylim[1] for value in values):
        axes.set_ylim(ylim)


def add_note(figure: Figure, text: str) -> None:
    """Add a line of text below the axes."""
    lines = [line for line in (figure.get_supxlabel(), text) if line]
    figure.supxlabel("\n".join(lines), color="0.35", fontsize="medium")


def note_incomplete_runs(figure: Figure, trainers: Iterable[BaseTrainer]) -> None:
    """Note below the axes which runs were interrupted or diverged."""
    for trainer in trainers:
        if trainer.ended in ("interrupted", "diverged"):
            add_note(figure, f"{trainer.ended} at step {trainer.stop_step}: {trainer.name}")


@house_style()
def figure_run(trainer: BaseTrainer, quantity: str, ylim: tuple[float, float]) -> Figure:
    """Draw training and validation loss or accuracy of a run against gradient steps.

    Parameters
    ----------
    trainer : BaseTrainer
        After its run, with at least one validation.
    quantity : {"loss", "accuracy"}
    ylim : pair of float
        Limits of the y axis, see `limit_y`.
    """
    is_loss = quantity == "loss"
    figure, axes = new_figure("cross-entropy loss" if is_loss else "accuracy")
    train = trainer.train_history[quantity]
    val = trainer.val_history[quantity]
    # The training loss is averaged over the batches between two validations.
    averaged = trainer.steps_per_validation if is_loss else 1
    plot_loss(train, "training", averaged, axes=axes)
    plot_loss(val, "validation", axes=axes)
    # The line widths distinguish the two in grey.
    training_line, validation_line = axes.lines
    training_line.set_linewidth(0.9)
    validation_line.set_linewidth(1.8)
    if not is_loss:
        steps = [step for step in train if step in val]
        train_values = [train[step] for step in steps]
        val_values = [val[step] for step in steps]
        axes.fill_between(steps, train_values, val_values, color="0.85", linewidth=0, label="gap")
    legend_above(figure)

    summary = trainer.summary()
    limit_y(axes, ylim, (summary[f"train_{quantity}"], summary[f"val_{quantity}"]))
    best_step = summary["best_step"]
    marks = [axes.axvline(best_step, label=f"best step, {number(best_step, ',')}", **BEST_STEP)]
    if trainer.ended == "early stop":
        early_stop = f"early stop, step {number(trainer.stop_step, ',')}"
        marks.append(axes.axvline(trainer.stop_step, label=early_stop, **EARLY_STOP))
    # This corner is free of curves.
    axes.legend(handles=marks, loc="upper right" if is_loss else "lower right")
    note_incomplete_runs(figure, [trainer])
    return figure


def plot_val_accuracy(axes: Axes, trainer: BaseTrainer, **style: Any) -> None:
    """Draw the validation accuracies of a run, with a bar at their end."""
    steps = list(trainer.val_history["accuracy"])
    accuracies = list(trainer.val_history["accuracy"].values())
    (line,) = axes.plot(steps, accuracies, label=trainer.name, **style)
    axes.plot(steps[-1], accuracies[-1], "|", color=line.get_color(), markersize=12)


@house_style()
def figure_val_accuracies(trainers: Collection[BaseTrainer], ylim: tuple[float, float]) -> Figure:
    """Draw the validation accuracies of several runs, named in a legend, against gradient steps.

    Parameters
    ----------
    trainers : collection of BaseTrainer
        After their runs, with at least one validation each.
    ylim : pair of float
        Limits of the y axis, see `limit_y`.
    """
    figure, axes = new_figure("validation accuracy")
    # The first colour is that of training.
    axes.set_prop_cycle(matplotlib.rcParams["axes.prop_cycle"][1:])
    for trainer in trainers:
        plot_val_accuracy(axes, trainer)
    axes.plot([], [], "|", color="0.15", markersize=8, label="end of the run")
    legend_above(figure)
    limit_y(axes, ylim, [trainer.summary()["val_accuracy"] for trainer in trainers])
    note_incomplete_runs(figure, trainers)
    return figure


@house_style()
def figure_val_accuracies_by_lambda(
    trainers: Collection[BaseTrainer], ylim: tuple[float, float]
) -> Figure:
    """Draw the validation accuracies of runs with different λ against gradient steps (task 4c).

    Parameters
    ----------
    trainers : collection of BaseTrainer
        After their runs, with at least one validation each. Each curve has its name at its end.
    ylim : pair of float
        Limits of the y axis, see `limit_y`.
    """
    figure, axes = new_figure("validation accuracy")
    for position, trainer in enumerate(trainers):
        color = color_of(trainer.model.l2_reg_lambda)
        plot_val_accuracy(axes, trainer, color=color, linestyle=("-", "--")[position % 2])
        step, accuracy = list(trainer.val_history["accuracy"].items())[-1]
        label_point(axes, step, accuracy, trainer.name, color)
    # Room for the name of the longest run.
    longest = max(trainer.stop_step for trainer in trainers)
    axes.set_xlim(-0.02 * longest, 1.16 * longest)
    limit_y(axes, ylim, [trainer.summary()["val_accuracy"] for trainer in trainers])
    note_incomplete_runs(figure, trainers)
    return figure


@house_style()
def figure_templates(weights: Mapping[str, Floats], trainers: Iterable[BaseTrainer] = ()) -> Figure:
    """Draw the weights of each class as an image, with one row per model (task 4b).

    Parameters
    ----------
    weights : mapping of str to ndarray of shape (785, K), float
        By the label of the row.
    trainers : iterable of BaseTrainer, optional
        The runs that the weights are from.

    Returns
    -------
    matplotlib.figure.Figure
        Each row has its own scale, symmetric around zero: positive weights are red, negative blue.
    """
    num_classes = next(iter(weights.values())).shape[1]
    figure = Figure(figsize=(WIDTH, 0.6 * len(weights) + 0.2))
    grid = figure.subplots(len(weights), num_classes, squeeze=False)
    figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0, hspace=0.05)
    for k, axes in enumerate(grid[0]):
        axes.set_title(f"{k}")
    for row, (name, w) in zip(grid, weights.items(), strict=True):
        pixels = w[:-1]
        limit = abs(pixels).max()
        for k, axes in enumerate(row):
            template = pixels[:, k].reshape(IMAGE_SHAPE)
            image = axes.imshow(template, vmin=-limit, vmax=limit, cmap="RdBu_r")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(name)
        bar = figure.colorbar(
            image, ax=row, aspect=8, shrink=0.85, pad=0.01, ticks=[-limit, 0, limit]
        )
        bar.ax.yaxis.set_major_formatter(lambda value, position: number(value, ".2g"))
        # Inside the bar's ends, so that the labels of neighbouring bars stay apart.
        lowest, _, highest = bar.ax.get_yticklabels()
        lowest.set_verticalalignment("bottom")
        highest.set_verticalalignment("top")
    note_incomplete_runs(figure, trainers)
    return figure


@house_style()
def figure_norms(norms: Mapping[float, float], trainers: Iterable[BaseTrainer]) -> Figure:
    """Draw ‖w‖² of the finished models against λ (task 4e).

    Parameters
    ----------
    norms : mapping of λ to ‖w‖²
        λ = 0 has no place on a logarithmic axis: it becomes a horizontal line.
    trainers : iterable of BaseTrainer
        The runs that the models are from.
    """
    figure, axes = new_figure("‖w‖²", xlabel="λ", height=1.8)
    axes.set(xscale="log", yscale="log")
    penalised = {value: norm for value, norm in sorted(norms.items()) if value > 0}
    axes.plot(list(penalised), list(penalised.values()), "k-")
    for l2_reg_lambda, norm in penalised.items():
        axes.plot(
            l2_reg_lambda,
            norm,
            "o",
            color=color_of(l2_reg_lambda),
            markeredgecolor="black",
        )
        # Below the curve, to the left of the point.
        axes.annotate(
            number(norm, ".3g"),
            (l2_reg_lambda, norm),
            xytext=(-4, -4),
            textcoords="offset points",
            horizontalalignment="right",
            verticalalignment="top",
        )
    if 0 in norms:
        axes.axhline(norms[0], color=color_of(0), linestyle=(0, (1, 3)), linewidth=1)
        axes.annotate(
            f"λ = 0: {number(norms[0], '.3g')}",
            (1, norms[0]),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 3),
            textcoords="offset points",
            horizontalalignment="right",
        )
    axes.margins(x=0.12, y=0.35)
    note_incomplete_runs(figure, trainers)
    return figure
