"""Figures of runs. Their style is in `style.mplstyle`.

No figure is one of pyplot's, so the user's own backend, settings and current axes stay as they are;
``plt.figure(figure)`` hands one over.
"""

import contextlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

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
# The same thing has the same colour in all figures.
TRAINING, VALIDATION = "#0072B2", "#D55E00"
STEPS = "gradient steps"
# Inches. Curves of one run have spikes and spread, which take height.
WIDTH, HEIGHT_OF_A_RUN = 6.2, 3.55
# The smallest λ that has a colour of its own.
SMALLEST_LAMBDA = 1e-5


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """Let what is drawn or saved look as `style.mplstyle` says, whatever the user's matplotlibrc.

    Functions that draw or save figures have it as their decorator.
    """
    with matplotlib.style.context(["default", STYLE_FILE]):
        yield


def new_figure(ylabel: str, xlabel: str = STEPS, height: float = 2.4) -> tuple[Figure, Axes]:
    """Make a figure so many inches high, with one pair of axes."""
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if xlabel == STEPS:
        axes.xaxis.set_major_formatter(lambda step, position: number(step, ",.0f"))
    return figure, axes


def color_of(l2_reg_lambda: float) -> tuple[float, ...] | str:
    """Give each λ its own colour: black for 0, then the lighter, the larger λ is."""
    if l2_reg_lambda == 0:
        return "black"
    shade = 1 - math.log(l2_reg_lambda) / math.log(SMALLEST_LAMBDA)
    return matplotlib.colormaps["viridis"](0.75 * min(max(shade, 0), 1))


def label_end(
    axes: Axes, x: float, y: float, text: str, color: Any = "0.15", points: float = -1
) -> None:
    """Write what a line is beside its end (x, y), so many points above it or, if < 0, below it."""
    where = "top" if points < 0 else "bottom" if points > 0 else "center"
    annotate(axes, text, (x, y), (4, points), va=where, color=color)


def annotate(axes: Axes, text: str, xy: Any, points: tuple[float, float], **look: Any) -> None:
    """Write beside a place of a figure, so many points to its right and above it."""
    axes.annotate(text, xy, xytext=points, textcoords="offset points", **look)


def legend_above(figure: Figure, columns: int = 3) -> None:
    """Explain the lines above the figure, where the legend hides none of them."""
    figure.legend(loc="outside upper center", ncols=columns, frameon=False)


def limit_y(axes: Axes, ylim: tuple[float, float], values: Iterable[float]) -> None:
    """Set the limits of the y axis, which suit the assignment's runs, if the values lie within.

    Otherwise, as for another data set, the curves that end in these values are shown as a whole.
    """
    if all(ylim[0] <= value <= ylim[1] for value in values):
        axes.set_ylim(ylim)


def mark_early_stop(
    axes: Axes, trainer: BaseTrainer, corner: Literal["upper right", "lower right"]
) -> None:
    """Mark the step that was kept and, if there was one, the early stop; a corner names both."""
    kept = trainer.summary()["best_step"]
    looks: dict[str, Any] = {"color": "0.45", "linestyle": (0, (1, 1.5))}
    marks = [axes.axvline(kept, label=f"kept, step {number(kept, ',')}", **looks)]
    if trainer.ended == "early stop":
        looks = {"color": "0.2", "linestyle": (0, (6, 2)), "linewidth": 1}
        label = f"early stop, step {number(trainer.stop_step, ',')}"
        marks.append(axes.axvline(trainer.stop_step, label=label, **looks))
    axes.legend(handles=marks, loc=corner)


def add_note(figure: Figure, text: str) -> None:
    """Write a line below a figure, where no legend is."""
    lines = filter(None, [figure.get_supxlabel(), text])
    figure.supxlabel("\n".join(lines), color="0.35", fontsize="medium")


def mark_cut_short(figure: Figure, trainers: Iterable[BaseTrainer]) -> None:
    """Say below a figure which of the runs that it shows were interrupted or diverged."""
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
    ylabel = "cross-entropy loss" if quantity == "loss" else "accuracy"
    figure, axes = new_figure(ylabel, height=HEIGHT_OF_A_RUN)
    train, val = trainer.train_history[quantity], trainer.val_history[quantity]
    # As many batches as lie between two validations.
    averaged = trainer.steps_per_validation if quantity == "loss" else 1
    plot_loss(train, "training", averaged, axes=axes)
    plot_loss(val, "validation", axes=axes)
    for line, width in zip(axes.lines, (0.9, 1.8), strict=True):
        line.set_linewidth(width)  # In grey, they tell one from the other.
    if quantity == "accuracy":
        steps = [step for step in train if step in val]
        lower, upper = ([history[step] for step in steps] for history in (train, val))
        axes.fill_between(steps, lower, upper, color="0.85", linewidth=0, label="gap")
    kept = trainer.summary()
    limit_y(axes, ylim, (kept[f"train_{quantity}"], kept[f"val_{quantity}"]))
    legend_above(figure)  # Of the curves; there is room for the marks in a corner without any.
    mark_early_stop(axes, trainer, "upper right" if quantity == "loss" else "lower right")
    mark_cut_short(figure, [trainer])
    return figure


def plot_val_accuracy(axes: Axes, trainer: BaseTrainer, *style: str, **look: Any) -> None:
    """Draw the validation accuracies of a run, and mark their end."""
    steps, accuracies = zip(*trainer.val_history["accuracy"].items(), strict=True)
    (line,) = axes.plot(steps, accuracies, *style, label=trainer.name, **look)
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
    axes.set_prop_cycle(matplotlib.rcParams["axes.prop_cycle"][1:])  # The first is training's.
    for trainer in trainers:
        plot_val_accuracy(axes, trainer)
    axes.plot([], [], "|", color="0.15", markersize=8, label="end of the run")
    legend_above(figure)
    limit_y(axes, ylim, (trainer.summary()["val_accuracy"] for trainer in trainers))
    mark_cut_short(figure, trainers)
    return figure


@house_style()
def figure_val_accuracies_by_lambda(
    trainers: Collection[BaseTrainer], ylim: tuple[float, float]
) -> Figure:
    """Draw the validation accuracies of runs with other λ, as a whole and around the best (4c).

    Parameters
    ----------
    trainers : collection of BaseTrainer
        At least one, after their runs, with at least one validation each. The name of each stands
        at its end.
    ylim : pair of float
        Limits of the y axis of the whole, see `limit_y`. Above it, a second panel shows two
        hundredths around the best run.
    """
    figure, whole = new_figure("", height=2.7)
    rows = figure.add_gridspec(2)
    whole.set_subplotspec(rows[1])
    closer = figure.add_subplot(rows[0], sharex=whole)
    closer.tick_params(labelbottom=False)
    figure.supylabel("validation accuracy", fontsize="medium")
    kept = [trainer.summary()["val_accuracy"] for trainer in trainers]
    middle = round(max(kept), 2)
    limit_y(whole, ylim, kept)
    closer.set_ylim(middle - 0.01, middle + 0.01)
    for axes in (closer, whole):
        for position, trainer in enumerate(trainers):
            color = color_of(trainer.model.l2_reg_lambda)
            plot_val_accuracy(axes, trainer, ("-", "--")[position % 2], color=color)
            end = list(trainer.val_history["accuracy"].items())[-1]
            # A name stands where its curve ends close to no other.
            if (axes is closer) == (abs(end[1] - middle) < 0.01):
                label_end(axes, *end, trainer.name, points=0)
        axes.margins(x=0.13)
    mark_cut_short(figure, trainers)
    return figure


@house_style()
def figure_templates(weights: Mapping[str, Floats], trainers: Iterable[BaseTrainer] = ()) -> Figure:
    """Draw the weights of each class as an image, one row for each model (task 4b).

    Parameters
    ----------
    weights : mapping of str to ndarray of shape (785, K), float
        By what stands beside the row.
    trainers : iterable of BaseTrainer, optional
        The runs that they are from.

    Returns
    -------
    matplotlib.figure.Figure
        Each row has a scale of its own, symmetric around zero: red speaks for the digit, blue
        against it.
    """
    num_classes = next(iter(weights.values())).shape[1]
    figure = Figure(figsize=(WIDTH, 0.6 * len(weights) + 0.2))
    grid = figure.subplots(len(weights), num_classes, squeeze=False)
    figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)
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
        # The labels of one bar stay clear of those of the next.
        lowest, _, highest = bar.ax.get_yticklabels()
        lowest.set_verticalalignment("bottom")
        highest.set_verticalalignment("top")
    mark_cut_short(figure, trainers)
    return figure


@house_style()
def figure_norms(
    norms: Mapping[float, float],
    trainers: Iterable[BaseTrainer],
    optima: Mapping[float, float] | None = None,
) -> Figure:
    """Draw ‖w‖² of the finished models against λ (task 4e).

    Parameters
    ----------
    norms : mapping of λ to ‖w‖²
        λ = 0 has no place on a logarithmic axis and becomes a horizontal line.
    trainers : iterable of BaseTrainer
        The runs that they are from.
    optima : mapping of λ to ‖w‖², optional
        Of the models that minimise J, for comparison.
    """
    figure, axes = new_figure("‖w‖²", xlabel="λ", height=2.2)
    axes.set(xscale="log", yscale="log")
    penalised = {value: norm for value, norm in sorted(norms.items()) if value > 0}
    if optima:
        optima = dict(sorted(optima.items()))
        axes.plot(*zip(*optima.items(), strict=True), "s--", color="0.45", markersize=4)
        label_end(axes, *next(iter(optima.items())), "minimum of J", points=1)
    axes.plot(list(penalised), list(penalised.values()), "k-")
    for l2_reg_lambda, norm in penalised.items():
        axes.plot(l2_reg_lambda, norm, "o", color=color_of(l2_reg_lambda), markeredgecolor="black")
        place = l2_reg_lambda, norm
        annotate(axes, number(norm, ".3g"), place, (-4, -5), ha="right", va="top")
    if 0 in norms:
        axes.axhline(norms[0], color=color_of(0), linestyle=(0, (1, 3)), linewidth=1)
        text, right = f"λ = 0, early stop: {number(norms[0], '.3g')}", ("axes fraction", "data")
        annotate(axes, text, (1, norms[0]), (-4, 3), ha="right", xycoords=right)
    axes.margins(x=0.12, y=0.2)
    mark_cut_short(figure, trainers)
    return figure
