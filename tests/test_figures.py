"""What the figures of a run say besides its curves."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

import task2
import task4
from numerics.threads import train_all
from plots import figure_run, figure_val_accuracies

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
        assert figure.get_suptitle() == ""
        assert figure.axes[0].get_ylim() == limits


def test_only_figures_that_show_an_interrupted_run_say_so(good_run, interrupted_run):
    note = "interrupted at step 20: not shuffled"
    assert figure_run(interrupted_run, "loss", LOSSES).get_suptitle() == note
    assert figure_run(interrupted_run, "accuracy", ACCURACIES).get_suptitle() == note
    both = figure_val_accuracies([good_run, interrupted_run], ACCURACIES)
    assert both.get_suptitle() == note
    assert figure_val_accuracies([good_run], ACCURACIES).get_suptitle() == ""


def test_the_figures_of_task_4_say_which_runs_were_interrupted(full_data):
    trainers = task4.make_trainers(full_data, [0.1])
    for trainer in trainers.values():
        trainer.after_step = lambda trainer: trainer.stop_step == 40
    train_all(list(trainers.values()), 1)
    figures = task4.draw(trainers)
    assert figures["task4b_softmax_weight.png"].get_suptitle() == (
        "interrupted at step 40: λ = 0, λ = 0.1"
    )
    assert figures["task4c_l2_reg_accuracy.png"].get_suptitle() == (
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
