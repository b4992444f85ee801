"""How figures and numbers look, and what the figures of a run say besides its curves."""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
import pytest

import task2
import task4
from output.numbers import number
from plots import color_of, figure_run, figure_val_accuracies
from plots.display import claim, show_table
from runs.training import train_all

LOSSES, ACCURACIES = (0, 0.2), (0.9, 1)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def good_run(binary_data):
    trainer = task2.make_trainer(binary_data, shuffle=True)
    trainer.train(5)
    return trainer


@pytest.fixture(scope="module")
def interrupted_run(binary_data):
    trainer = task2.make_trainer(binary_data, shuffle=False)
    trainer.after_step = lambda trainer: trainer.stop_step == 20
    trainer.train(5)
    assert (trainer.ended, trainer.stop_step) == ("interrupted", 20)
    return trainer


def test_a_complete_run_has_no_note_and_the_limits_of_the_assignment(good_run):
    for figure, limits in (
        (figure_run(good_run, "loss", LOSSES), LOSSES),
        (figure_run(good_run, "accuracy", ACCURACIES), ACCURACIES),
        (figure_val_accuracies([good_run], ACCURACIES), ACCURACIES),
    ):
        assert figure.get_supxlabel() == ""
        assert figure.axes[0].get_ylim() == limits


def test_only_figures_that_show_an_interrupted_run_say_so(good_run, interrupted_run):
    note = "interrupted at step 20: not shuffled"
    assert figure_run(interrupted_run, "loss", LOSSES).get_supxlabel() == note
    assert figure_run(interrupted_run, "accuracy", ACCURACIES).get_supxlabel() == note
    both = figure_val_accuracies([good_run, interrupted_run], ACCURACIES)
    assert both.get_supxlabel() == note
    assert figure_val_accuracies([good_run], ACCURACIES).get_supxlabel() == ""


def test_the_figures_of_task_4_say_which_runs_were_interrupted(full_data):
    trainers = task4.make_trainers(full_data, [0.1])
    for trainer in trainers.values():
        trainer.after_step = lambda trainer: trainer.stop_step == 40
    train_all(list(trainers.values()), 1)
    figures = task4.draw(trainers)
    assert figures["task4b_softmax_weight.png"].get_supxlabel() == (
        "interrupted at step 40: λ = 0, λ = 0.1"
    )
    assert figures["task4c_l2_reg_accuracy.png"].get_supxlabel() == (
        "interrupted at step 40: λ = 0.1"
    )


@pytest.mark.parametrize("limits", [(0, 0.01), (0.5, 1)])
def test_limits_that_would_hide_the_end_of_a_curve_give_way(good_run, limits):
    axes = figure_run(good_run, "loss", limits).axes[0]
    losses = [*good_run.train_history["loss"].values(), *good_run.val_history["loss"].values()]
    bottom, top = axes.get_ylim()
    assert bottom < min(good_run.val_history["loss"].values())
    assert top > max(losses[:10]) / 2
    assert (bottom, top) != limits


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (-0.07, "+.2f", "−0.07"),
        (0.5, "+.2f", "+0.50"),
        (20000, ",", "20\u202f000"),
        (1234567, ",", "1\u202f234\u202f567"),
        (0.976, ".2%", "97.60\u202f%"),
        (7.84e-9, ".1e", "7.8 × 10⁻⁹"),
        (-1.25e12, ".2e", "−1.25 × 10¹²"),
        (1038, "", "1038"),
        (float("nan"), ".0%", "–"),
    ],
)
def test_numbers_are_set_as_in_print(value, spec, text):
    assert number(value, spec) == text


def test_each_lambda_has_a_colour_of_its_own_and_a_larger_one_is_lighter():
    red, green, blue = 0.299, 0.587, 0.114
    shades = [color_of(value) for value in (1e-5, 0.001, 0.01, 0.1, 1)]
    greys = [red * r + green * g + blue * b for r, g, b, _ in shades]
    assert greys == sorted(greys)
    assert min(b - a for a, b in itertools.pairwise(greys)) > 0.05
    # Lighter than the background's grey would be too light to read.
    assert max(greys) < 0.7
    assert color_of(0) == "black"
    assert color_of(1e-9) == color_of(1e-5)


def test_the_end_of_each_penalised_run_is_named_beside_it(small_runs):
    (axes,) = figure_val_accuracies(small_runs, ACCURACIES).axes
    assert [text.get_text() for text in axes.texts] == [trainer.name for trainer in small_runs]


@pytest.fixture
def small_runs(full_data):
    X, Y, X_val, Y_val = full_data
    data = X[:1000], Y[:1000], X_val[:100], Y_val[:100]
    trainers = list(task4.make_trainers(data, [0.1, 0.01]).values())[1:]
    train_all(trainers, 1)
    return trainers


def test_a_claim_that_does_not_hold_is_replaced():
    assert claim(True, "It falls.") == "It falls."
    assert claim(False, "It falls.") == "This run does not show it."
    assert claim(None, "It falls.", "It rises.") == "It rises."


def test_a_table_has_its_first_column_flush_left(capsys):
    show_table([["run", "loss"], ["λ = 0", "0.3"]])
    shown = capsys.readouterr().out
    assert "| run | loss |" in shown
    assert "|:---|---:|" in shown
