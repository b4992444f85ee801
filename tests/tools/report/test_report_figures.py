"""What the study's figures draw: the data of each curve by its name, marks, limits, words."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.colors import same_color

from runs.figures import TRAINING, VALIDATION
from tools.report import evidence_figures


def beside(axes):
    """Give the place and the colour of each text that stands beside a point."""
    return {text.get_text(): (tuple(text.xy), text.get_color()) for text in axes.texts}


def curve_through(axes, x, y):
    """Give the only line of several points that has this one, as {x: y}, and its look."""
    lines = [line for line in axes.lines if len(line.get_xdata()) > 2]
    (found,) = [line for line in lines if [x, y] in line.get_xydata().tolist()]
    return dict(found.get_xydata()), found


@pytest.fixture
def early_and_optima():
    """Make quantities of early-stopped models and of optima, by λ."""
    columns = ["train_loss", "val_loss", "train_accuracy", "val_accuracy"]
    early = {
        0.0: [0.28, 0.30, 0.94, 0.92],
        0.01: [0.33, 0.35, 0.91, 0.89],
        0.1: [0.52, 0.54, 0.86, 0.85],
        1.0: [1.2, 1.3, 0.79, 0.80],
    }
    optima = {
        0.001: [0.2, 0.28, 0.96, 0.94],
        0.01: [0.31, 0.33, 0.915, 0.895],
        1.0: [1.1, 1.15, 0.81, 0.82],
    }
    return (
        pd.DataFrame.from_dict(early, orient="index", columns=columns),
        pd.DataFrame.from_dict(optima, orient="index", columns=columns),
    )


def panels(figure, quantity):
    return [axes for axes in figure.axes if axes.get_ylabel().endswith(quantity)]


@pytest.mark.parametrize("quantity", ["loss", "accuracy"])
@pytest.mark.parametrize("part", ["train", "val"])
def test_losses_and_accuracies_over_lambda_are_those_of_the_tables(
    early_and_optima, part, quantity
):
    models, optima = early_and_optima
    figure = evidence_figures.figure_over_lambda(models, optima)
    color = VALIDATION if part == "val" else TRAINING
    column = f"{part}_{quantity}"
    unpenalised, early = models[column][0.0], models[column].drop(0.0).to_dict()
    for axes in panels(figure, quantity):
        assert (axes.get_xlabel(), axes.get_xscale()) == ("λ", "log")
        curve, line = curve_through(axes, 1.0, optima[column][1.0])
        assert curve == optima[column].to_dict()
        assert line.get_xdata().tolist() == [0.001, 0.01, 1]
        circles, early_line = curve_through(axes, 1.0, early[1.0])
        assert circles == pytest.approx(early)
        assert (early_line.get_marker(), line.get_marker()) == ("o", "s")
        across = [line for line in axes.lines if len(set(line.get_ydata())) == 1]
        (dotted,) = [line for line in across if line.get_ydata()[0] == pytest.approx(unpenalised)]
        for each in (line, early_line, dotted):
            assert same_color(each.get_color(), color)
        # In grey, the thin lines are training's.
        assert (line.get_linewidth() < 1) == (part == "train")


def test_accuracy_comes_first_and_half_a_point_of_it_can_be_seen(early_and_optima):
    figure = evidence_figures.figure_over_lambda(*early_and_optima)
    whole, closer, loss = figure.axes
    assert loss.get_yticks().tolist() == [0.1, 0.2, 0.3, 0.5, 1]
    assert panels(figure, "accuracy") == [whole, closer]
    assert closer.get_xlim() == pytest.approx((8e-6, 0.04))
    bottom, top = closer.get_ylim()
    assert bottom < early_and_optima[1].val_accuracy.max() < top
    figure.canvas.draw()
    height = closer.get_window_extent().height / figure.dpi  # inches
    assert 0.005 / (top - bottom) * height > 0.2


def test_the_lines_over_lambda_are_named(early_and_optima):
    figure = evidence_figures.figure_over_lambda(*early_and_optima)
    (legend,) = figure.legends
    looks = {
        text.get_text(): (handle.get_marker(), handle.get_linestyle())
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }
    assert looks == {
        "validation": ("None", "-"),
        "training": ("None", "-"),
        "minimum of J": ("s", "-"),
        "stopped early": ("o", ":"),
        "stopped early, λ = 0": ("None", "--"),
    }
    colors = [handle.get_color() for handle in legend.legend_handles[:2]]
    assert colors == [VALIDATION, TRAINING]
