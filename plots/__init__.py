"""Figures of runs. Their looks live in `style.mplstyle`.

Matplotlib is imported by the functions that need it: a training that draws nothing does not have to
wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mnist import IMAGE_SHAPE
from numerics.arguments import Floats
from output.numbers import number
from runs.summary import summary
from trainer import BaseTrainer
from utils import plot_loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE_FILE = Path(__file__).resolve().parent / "style.mplstyle"
# The same thing has the same colour in all figures.
TRAINING, VALIDATION = "C0", "C1"
STEPS = "gradient steps"
# The smallest λ that has a colour of its own.
SMALLEST_LAMBDA = 1e-5


def use_style() -> None:
    """Let all figures look as `style.mplstyle` says."""
    import matplotlib.style

    matplotlib.style.use(STYLE_FILE)


def new_figure(ylabel: str, xlabel: str = STEPS) -> tuple[Figure, Axes]:
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
    if xlabel == STEPS:
        axes.xaxis.set_major_formatter(lambda step, position: number(step, ",.0f"))
    return figure, axes


def color_of(l2_reg_lambda: float) -> tuple[float, ...] | str:
    """Give each λ its own colour: black for 0, then the lighter, the larger λ is."""
    import matplotlib

    if l2_reg_lambda == 0:
        return "black"
    shade = 1 - math.log(l2_reg_lambda) / math.log(SMALLEST_LAMBDA)
    return matplotlib.colormaps["viridis"](0.75 * min(max(shade, 0), 1))


def label_end(
    axes: Axes, x: float, y: float, text: str, color: Any = "0.15", points: float = -1
) -> None:
    """Write what a line is beside its end (x, y), so many points above it or, if < 0, below it."""
    side: dict[str, Any] = {"va": "top" if points < 0 else "bottom", "xytext": (4, points)}
    axes.annotate(text, (x, y), textcoords="offset points", color=color, **side)


def legend_above(figure: Figure, columns: int = 3) -> None:
    """Explain the lines above the figure, where the legend hides none of them."""
    figure.legend(loc="outside upper center", ncols=columns, frameon=False)


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
    best_step = summary(trainer)["best_step"]
    axes.axvline(
        best_step,
        color="0.45",
        linestyle=(0, (1, 1.5)),
        label=f"kept, step {number(best_step, ',')}",
    )
    if trainer.ended == "early stop":
        axes.axvline(
            trainer.stop_step,
            color="0.2",
            linestyle=(0, (6, 2)),
            linewidth=1,
            label=f"early stop, step {number(trainer.stop_step, ',')}",
        )


def add_note(figure: Figure, text: str) -> None:
    """Write a line below a figure, where no legend is."""
    lines = filter(None, [figure.get_supxlabel(), text])
    figure.supxlabel("\n".join(lines), color="0.35", fontsize="medium")


def mark_cut_short(figure: Figure, trainers: Iterable[BaseTrainer]) -> None:
    """Say below a figure which of its runs were interrupted or diverged.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    trainers : iterable of BaseTrainer
        The runs that it shows.
    """
    names: dict[str, list[str]] = {}
    for trainer in trainers:
        if trainer.ended in ("interrupted", "diverged"):
            end = f"{trainer.ended} at step {trainer.stop_step}"
            names.setdefault(end, []).append(trainer.name)
    for end, runs in names.items():
        add_note(figure, f"{end}: {', '.join(runs)}")


def figure_run(
    trainer: BaseTrainer, quantity: Literal["loss", "accuracy"], ylim: tuple[float, float]
) -> Figure:
    """Draw training and validation loss or accuracy of a run against gradient steps.

    Parameters
    ----------
    trainer : BaseTrainer
        After its run, with at least one validation.
    quantity : {"loss", "accuracy"}
    ylim : pair of float
        Limits of the y axis, see `limit_y`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure({"loss": "cross-entropy loss"}.get(quantity, quantity))
    # As many batches as lie between two validations.
    averaged = trainer.steps_per_validation if quantity == "loss" else 1
    plot_loss(trainer.train_history[quantity], "training", averaged)
    plot_loss(trainer.val_history[quantity], "validation")
    if quantity == "accuracy":
        both = trainer.train_history[quantity], trainer.val_history[quantity]
        steps = [step for step in both[0] if step in both[1]]
        train, val = ([history[step] for step in steps] for history in both)
        axes.fill_between(steps, train, val, color="0.85", linewidth=0, label="gap")
    kept = summary(trainer)
    limit_y(axes, ylim, (kept[f"train_{quantity}"], kept[f"val_{quantity}"]))
    mark_early_stop(axes, trainer)
    mark_cut_short(figure, [trainer])
    legend_above(figure)
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
    for position, trainer in enumerate(trainers):
        l2_reg_lambda = getattr(trainer.model, "l2_reg_lambda", None)
        # Training's colour is left out.
        color = f"C{position + 1}" if l2_reg_lambda is None else color_of(l2_reg_lambda)
        accuracies, style = trainer.val_history["accuracy"], ("-", "--")[position % 2]
        axes.plot(*zip(*accuracies.items(), strict=True), style, color=color, label=trainer.name)
        end = max(accuracies), accuracies[max(accuracies)]
        axes.plot(*end, "|", color=color, markersize=12)
        if l2_reg_lambda is not None:
            label_end(axes, *end, trainer.name)
    if l2_reg_lambda is None:
        axes.plot([], [], "|", color="0.15", markersize=8, label="end of the run")
        legend_above(figure)
    else:
        axes.margins(x=0.13)
    limit_y(axes, ylim, (summary(trainer)["val_accuracy"] for trainer in trainers))
    mark_cut_short(figure, trainers)
    return figure


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
    import matplotlib.pyplot as plt

    num_classes = next(iter(weights.values())).shape[1]
    figure, grid = plt.subplots(
        len(weights), num_classes, figsize=(6.2, 0.6 * len(weights) + 0.2), squeeze=False
    )
    figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)
    for k, axes in enumerate(grid[0]):
        axes.set_title(f"{k}")
    for row, (name, w) in zip(grid, weights.items(), strict=True):
        pixels = w[:-1]
        limit = abs(pixels).max()
        for k, axes in enumerate(row):
            image = axes.imshow(
                pixels[:, k].reshape(IMAGE_SHAPE), vmin=-limit, vmax=limit, cmap="RdBu_r"
            )
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(name)
        bar = figure.colorbar(image, ax=row, aspect=9, pad=0.01, ticks=[-limit, 0, limit])
        bar.ax.yaxis.set_major_formatter(lambda value, position: number(value, ".2g"))
    mark_cut_short(figure, trainers)
    return figure


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

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure("‖w‖²", xlabel="λ")
    axes.set(xscale="log", yscale="log")
    penalised = {value: norm for value, norm in sorted(norms.items()) if value > 0}
    if optima:
        optima = dict(sorted(optima.items()))
        axes.plot(*zip(*optima.items(), strict=True), "s--", color="0.45", markersize=4)
        label_end(axes, *next(iter(optima.items())), "minimum of J", points=1)
    axes.plot(list(penalised), list(penalised.values()), "k-")
    for l2_reg_lambda, norm in penalised.items():
        axes.plot(l2_reg_lambda, norm, "o", color=color_of(l2_reg_lambda), markeredgecolor="black")
        text = number(norm, ".3g")
        below_left: dict[str, Any] = {"ha": "right", "va": "top", "xytext": (-4, -5)}
        axes.annotate(text, (l2_reg_lambda, norm), textcoords="offset points", **below_left)
    if 0 in norms:
        axes.axhline(norms[0], color=color_of(0), linestyle=(0, (1, 3)), linewidth=1)
        place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "ha": "right"}
        axes.annotate(
            f"λ = 0, early stop: {number(norms[0], '.3g')}",
            (1, norms[0]),
            textcoords="offset points",
            xytext=(-4, 3),
            **place,
        )
    axes.margins(x=0.12, y=0.14)
    mark_cut_short(figure, trainers)
    return figure
