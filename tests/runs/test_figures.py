"""What is drawn: the data of each line by its name, marks, images, limits, words, colours."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pytest

import task2
import task3
import task4
from common.numbers import number
from runs.figures import (
    TRAINING,
    VALIDATION,
    color_of,
    figure_norms,
    figure_run,
    figure_templates,
    figure_val_accuracies,
    figure_val_accuracies_by_lambda,
)
from runs.script import save_figures, task_parser
from trainer import BaseTrainer

LOSSES, ACCURACIES = (0, 0.2), (0.9, 1)


def a_run(name="not shuffled", l2_reg_lambda=0.0, below=0.0, **changes):
    """Make what figures need of a run: nine steps, three validations, the second one the best."""
    run = {
        "name": name,
        "ended": "early stop",
        "stop_step": 8,
        "stop_epoch": 1,
        "best_step": 3,
        "best_loss": 0.1,
        "seconds": 0.5,
        "steps_per_validation": 3,
        "model": SimpleNamespace(l2_reg_lambda=l2_reg_lambda),
        "train_history": {
            "loss": dict(enumerate([0.9, 0.2, 0.1, 0.16, 0.12, 0.08, 0.15, 0.05, 0.1])),
            "accuracy": {0: 0.91, 3: 0.95, 6: 0.97},
        },
        "val_history": {
            "loss": {0: 0.4, 3: 0.1, 6: 0.11},
            "accuracy": {0: 0.92 - below, 3: 0.96 - below, 6: 0.93 - below},
        },
    }
    trainer = SimpleNamespace(**run | changes)
    trainer.summary = lambda: BaseTrainer.summary(trainer)
    return trainer


def line(axes, label):
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return found


def drawn(axes, label):
    """Give {x: y} of the line with this label."""
    return dict(line(axes, label).get_xydata())


def legend(figure):
    """Give the colour of each entry of the legend, by its text."""
    (found,) = figure.legends
    texts = [text.get_text() for text in found.get_texts()]
    colors = []
    for handle in found.legend_handles:
        is_line = hasattr(handle, "get_color")
        color = handle.get_color() if is_line else handle.get_facecolor()
        colors.append(matplotlib.colors.to_hex(color))
    return dict(zip(texts, colors, strict=True))


def beside(axes):
    """Give the place of each text that stands beside a point."""
    return {text.get_text(): text.xy for text in axes.texts}


def corners(axes):
    """Give the corners of the only shaded area, and its name."""
    (area,) = axes.collections
    return {tuple(map(float, np.round(xy, 9))) for xy in area.get_paths()[0].vertices}, area


def test_the_losses_of_a_run_are_drawn_under_their_names():
    figure = figure_run(a_run(), "loss", LOSSES)
    (axes,) = figure.axes
    assert drawn(axes, "training, mean of 3 steps") == pytest.approx({1: 0.4, 4: 0.12, 7: 0.1})
    assert drawn(axes, "validation") == {0: 0.4, 3: 0.1, 6: 0.11}
    spread = np.std([0.16, 0.12, 0.08])
    points, band = corners(axes)
    for y in (0.12 - spread, 0.12 + spread):
        assert (4, round(y, 9)) in points
    assert band.get_label() == "± one standard deviation"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("gradient steps", "cross-entropy loss")
    assert axes.get_ylim() == LOSSES
    assert axes.xaxis.get_major_formatter()(20000, 0) == "20\u202f000"
    assert list(legend(figure)) == [
        "training, mean of 3 steps",
        "± one standard deviation",
        "validation",
    ]


def test_the_accuracies_of_a_run_are_drawn_under_their_names_with_the_gap_between_them():
    run = a_run()
    figure = figure_run(run, "accuracy", ACCURACIES)
    (axes,) = figure.axes
    train, val = run.train_history["accuracy"], run.val_history["accuracy"]
    assert drawn(axes, "training") == train
    assert drawn(axes, "validation") == val
    points, gap = corners(axes)
    assert points == {*train.items(), *val.items()}
    assert gap.get_label() == "gap"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("gradient steps", "accuracy")
    assert axes.get_ylim() == ACCURACIES
    assert set(legend(figure)) == {"training", "validation", "gap"}


@pytest.mark.parametrize("quantity", ["loss", "accuracy"])
def test_training_and_validation_have_the_same_colours_everywhere(quantity):
    figure = figure_run(a_run(), quantity, LOSSES)
    colors = legend(figure)
    training = next(name for name in colors if name.startswith("training"))
    assert (colors[training], colors["validation"]) == (TRAINING.lower(), VALIDATION.lower())
    # In grey, the thin line is training's.
    (axes,) = figure.axes
    assert line(axes, training).get_linewidth() < line(axes, "validation").get_linewidth() / 1.5


@pytest.mark.parametrize("quantity", ["loss", "accuracy"])
def test_the_best_step_and_an_early_stop_are_marked_where_they_were(quantity):
    (axes,) = figure_run(a_run(), quantity, LOSSES).axes
    assert set(line(axes, "best step, 3").get_xdata()) == {3}
    assert set(line(axes, "early stop, step 8").get_xdata()) == {8}
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["best step, 3", "early stop, step 8"]
    (complete,) = figure_run(a_run(ended="last epoch"), quantity, LOSSES).axes
    assert [text.get_text() for text in complete.get_legend().get_texts()] == ["best step, 3"]


def test_validation_accuracies_of_runs_are_drawn_under_their_names():
    runs = [a_run("not shuffled"), a_run("shuffled", below=0.01)]
    figure = figure_val_accuracies(runs, ACCURACIES)
    (axes,) = figure.axes
    for run in runs:
        accuracies = run.val_history["accuracy"]
        assert drawn(axes, run.name) == accuracies
        color = line(axes, run.name).get_color()
        ends = [
            dict(mark.get_xydata())
            for mark in axes.lines
            if mark.get_marker() == "|" and mark.get_color() == color
        ]
        assert ends == [{6: accuracies[6]}]
    colors = legend(figure)
    assert list(colors) == ["not shuffled", "shuffled", "end of the run"]
    assert len({*colors.values(), TRAINING.lower()}) == 4
    assert len({line(axes, run.name).get_linestyle() for run in runs}) == 2
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("gradient steps", "validation accuracy")
    assert axes.get_ylim() == ACCURACIES


def test_a_figure_of_no_runs_is_empty():
    assert list(legend(figure_val_accuracies([], ACCURACIES))) == ["end of the run"]


def test_validation_accuracies_by_lambda_are_drawn_with_their_names_at_their_ends():
    runs = [a_run("λ = 1", 1.0, below=0.03), a_run("λ = 0.1", 0.1, below=0.004)]
    (axes,) = figure_val_accuracies_by_lambda(runs, ACCURACIES).axes
    for run in runs:
        assert drawn(axes, run.name) == run.val_history["accuracy"]
        color = color_of(run.model.l2_reg_lambda)
        assert line(axes, run.name).get_color() == color
        ends = [mark for mark in axes.lines if mark.get_marker() == "|"]
        (end,) = [mark for mark in ends if mark.get_color() == color]
        assert dict(end.get_xydata()) == {6: run.val_history["accuracy"][6]}
    assert len({line(axes, run.name).get_linestyle() for run in runs}) == 2
    assert beside(axes) == {run.name: (6, run.val_history["accuracy"][6]) for run in runs}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("gradient steps", "validation accuracy")
    assert axes.get_ylim() == ACCURACIES


@pytest.fixture
def weights(rng):
    return {"λ = 0": rng.normal(0, 2, (785, 3)), "λ = 1": rng.normal(0, 0.1, (785, 3))}


def test_each_template_is_upright_under_its_digit_and_beside_the_name_of_its_model(weights):
    figure = figure_templates(weights)
    images = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in images] == ["0", "1", "2", "", "", ""]
    assert [axes.get_ylabel() for axes in images] == ["λ = 0", "", "", "λ = 1", "", ""]
    expected = [(w, k) for w in weights.values() for k in range(3)]
    for axes, (w, k) in zip(images, expected, strict=True):
        (image,) = axes.images
        np.testing.assert_array_equal(image.get_array(), w[:784, k].reshape(28, 28))
        # The first row of pixels is the upper one, the first column the left one.
        assert (axes.get_xlim(), axes.get_ylim()) == ((-0.5, 27.5), (27.5, -0.5))
        assert (image.origin, image.get_extent()) == ("upper", [-0.5, 27.5, 27.5, -0.5])


def test_positive_weights_are_red_and_negative_blue_on_a_scale_for_each_row(weights):
    figure = figure_templates(weights)
    images = [axes.images[0] for axes in figure.axes if axes.images]
    bars = [axes for axes in figure.axes if not axes.images]
    for row, w in enumerate(weights.values()):
        largest = abs(w[:784]).max()
        for image in images[3 * row : 3 * row + 3]:
            assert image.get_clim() == (-largest, largest)
            (red, _, blue, _), white, (red_below, _, blue_below, _) = image.to_rgba(
                np.array([largest, 0, -largest])
            )
            assert red > 2 * blue
            assert min(white) > 0.95
            assert blue_below > 2 * red_below
        labels = [bars[row].yaxis.get_major_formatter()(value, 0) for value in (-largest, largest)]
        assert labels == [number(sign * largest, ".2g") for sign in (-1, 1)]
        assert bars[row].get_yticks() == pytest.approx([-largest, 0, largest])


def test_norms_are_drawn_over_lambda_with_their_values():
    norms = {1.0: 0.36, 0.0: 24.3, 0.01: 10.6}
    (axes,) = figure_norms(norms, [a_run("λ = 0"), a_run("λ = 1", 1.0)]).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("λ", "‖w‖²")
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.lines[0].get_xydata().tolist() == [[0.01, 10.6], [1, 0.36]]
    for value in (1.0, 0.01):
        (mark,) = [line for line in axes.lines if line.get_color() == color_of(value)]
        assert mark.get_xydata().tolist() == [[value, norms[value]]]
    assert any(set(line.get_ydata()) == {24.3} for line in axes.lines)
    assert beside(axes) == {"0.36": (1.0, 0.36), "10.6": (0.01, 10.6), "λ = 0: 24.3": (1, 24.3)}


def test_the_figures_of_task_2_are_of_its_runs_within_the_limits_of_the_assignment():
    runs = {"task2_not_shuffled": a_run(), "task2_shuffled": a_run("shuffled", below=0.01)}
    drawings = task2.draw(runs)
    for name, quantity, limits in (
        ("task2b_binary_train_loss.png", "loss", (0, 0.2)),
        ("task2c_binary_train_accuracy.png", "accuracy", (0.93, 0.99)),
    ):
        (axes,) = drawings.pop(name).axes
        assert drawn(axes, "validation") == a_run().val_history[quantity]
        assert axes.get_ylim() == limits
    (axes,) = drawings.pop("task2e_train_accuracy_shuffle_difference.png").axes
    for run in runs.values():
        assert drawn(axes, run.name) == run.val_history["accuracy"]
    assert drawings == {}
    assert len(task2.draw({"task2_not_shuffled": a_run()})) == 2
    assert task2.draw({}) == task2.draw({"task2_shuffled": a_run("shuffled")}) == {}


def test_the_figures_of_task_3_are_of_its_run_within_the_limits_of_the_assignment():
    run = a_run(
        best_loss=0.29,
        train_history={"loss": dict.fromkeys(range(9), 0.3), "accuracy": {0: 0.5, 3: 0.92, 6: 0.9}},
        val_history={"loss": {0: 2.3, 3: 0.29, 6: 0.4}, "accuracy": {0: 0.1, 3: 0.91, 6: 0.9}},
    )
    drawings = task3.draw({"task3_softmax": run})
    for name, quantity, limits in (
        ("task3b_softmax_train_loss.png", "loss", (0.2, 0.6)),
        ("task3c_softmax_train_accuracy.png", "accuracy", (0.89, 0.93)),
    ):
        (axes,) = drawings.pop(name).axes
        assert drawn(axes, "validation") == run.val_history[quantity]
        assert axes.get_ylim() == limits
    assert drawings == {}


def test_the_figures_of_task_4_are_of_its_runs(rng):
    lambdas = (0.0, 0.01, 1.0)
    runs = {f"task4_l2_{value:g}": a_run(f"λ = {value:g}", value) for value in lambdas}
    for run in runs.values():
        run.model.w = rng.normal(0, 1 + run.model.l2_reg_lambda, (785, 10))
    drawings = task4.draw(runs)
    images = [axes for axes in drawings.pop("task4b_softmax_weight.png").axes if axes.images]
    assert [axes.get_ylabel() for axes in images[::10]] == ["λ = 0", "λ = 1"]
    for axes, value in ((images[3], 0), (images[13], 1)):
        template = axes.images[0].get_array().ravel()
        np.testing.assert_array_equal(template, runs[f"task4_l2_{value}"].model.w[:784, 3])
    (axes,) = drawings.pop("task4c_l2_reg_accuracy.png").axes
    assert list(beside(axes)) == ["λ = 1", "λ = 0.01"]
    (axes,) = drawings.pop("task4e_l2_reg_norms.png").axes
    norms = {value: np.sum(runs[f"task4_l2_{value:g}"].model.w ** 2) for value in lambdas}
    places = list(beside(axes).values())
    for value in lambdas[1:]:
        assert (value, pytest.approx(norms[value])) in places
    assert [norms[0]] * 2 == pytest.approx(axes.lines[-1].get_ydata())
    assert drawings == {}


def every_figure(*runs):
    loss, *_ = runs
    weights = {run.name: np.eye(785, 2) for run in runs}
    return {
        "loss": figure_run(loss, "loss", LOSSES),
        "accuracy": figure_run(loss, "accuracy", ACCURACIES),
        "runs": figure_val_accuracies(runs, ACCURACIES),
        "by_lambda": figure_val_accuracies_by_lambda(runs, ACCURACIES),
        "templates": figure_templates(weights, runs),
        "norms": figure_norms({0: 3.0, 1: 2.0}, runs),
    }


def test_only_figures_that_show_an_interrupted_run_say_so():
    good, interrupted = a_run(), a_run("shuffled", ended="interrupted", stop_step=7)
    assert {figure.get_supxlabel() for figure in every_figure(good).values()} == {""}
    for name, figure in every_figure(interrupted, good).items():
        assert figure.get_supxlabel() == "interrupted at step 7: shuffled", name
    diverged = figure_norms(
        {1: 2.0}, [interrupted, a_run("a", ended="diverged"), a_run("b", ended="diverged")]
    )
    assert diverged.get_supxlabel() == (
        "interrupted at step 7: shuffled\ndiverged at step 8: a\ndiverged at step 8: b"
    )


@pytest.mark.parametrize("limits", [(0, 0.01), (0.5, 1)])
def test_limits_that_would_hide_the_end_of_a_curve_give_way(limits):
    (axes,) = figure_run(a_run(), "loss", limits).axes
    bottom, top = axes.get_ylim()
    assert bottom < 0.1
    assert top > 0.4
    assert (bottom, top) != limits


def saved(folder, run):
    args = task_parser("", learning_rate=1).parse_args(["--figures", str(folder)])
    figures = {f"{name}.png": figure for name, figure in every_figure(run).items()}
    return [path.read_bytes() for path in save_figures(figures, args)]


def test_a_matplotlibrc_of_ones_own_changes_nothing(tmp_path):
    """Neither dark colours nor LaTeX, which is not there."""
    usual = saved(tmp_path, a_run())
    own = {
        "text.usetex": True, "figure.facecolor": "black", "axes.facecolor": "black",
        "text.color": "white", "lines.linewidth": 5, "savefig.dpi": 30, "font.size": 20,
        "image.origin": "lower", "axes.prop_cycle": "cycler('color', ['1', '0.9'])",
    }  # fmt: skip
    with plt.rc_context(own):
        assert saved(tmp_path, a_run()) == usual
        assert own.items() <= {**plt.rcParams, "axes.prop_cycle": own["axes.prop_cycle"]}.items()


@pytest.fixture
def window_program(monkeypatch, tmp_path):
    """Let pyplot have a backend that, as those of windows and notebooks, is not Agg."""
    monkeypatch.chdir(tmp_path)
    before = plt.get_backend()
    plt.switch_backend("template")
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.extend(plt.get_fignums()))
    yield shown
    plt.close("all")
    plt.switch_backend(before)


def test_a_script_run_in_a_notebook_leaves_its_backend_settings_and_figures(window_program):
    users, settings = plt.figure().number, dict(plt.rcParams)
    assert task2.main(["--quiet", "--epochs", "1"]) == 0
    assert (plt.get_backend(), plt.get_fignums()) == ("template", [users])
    assert dict(plt.rcParams) == settings
    assert window_program == []


def test_show_opens_each_figure_in_a_window(window_program):
    assert task2.main(["--quiet", "--epochs", "1", "--show"]) == 0
    assert len(window_program) == 3


def test_each_lambda_has_a_colour_of_its_own_and_a_larger_one_is_lighter():
    red, green, blue = 0.299, 0.587, 0.114
    shades = [color_of(value) for value in (1e-4, 0.001, 0.01, 0.1, 1)]
    greys = [red * r + green * g + blue * b for r, g, b, _ in shades]
    assert greys == sorted(greys)
    assert min(b - a for a, b in itertools.pairwise(greys)) > 0.05
    # Lighter than the background's grey would be too light to read.
    assert max(greys) < 0.7
    assert color_of(0) == "black"
    assert color_of(1e-9) == color_of(1e-4)
