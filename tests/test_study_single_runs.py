"""What a single run shows: crossing curves, weights on the way, images that make a dip."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import task2
from study import fluctuations, single_runs


class Run:
    """The histories of a run that was never made."""

    batches_per_epoch = 3

    def __init__(self, train_losses, val_losses):
        self.train_history = {"loss": dict(enumerate(train_losses)), "accuracy": {0: 0.5, 3: 0.9}}
        self.val_history = {"loss": val_losses, "accuracy": {0: 0.4, 3: 0.7}}


@pytest.mark.parametrize(
    ("train_losses", "step"),
    [
        ([9, 9, 9, 1, 1, 1, 1, 1, 1], 5),  # from the epoch of steps 3 to 5 on
        ([1, 1, 1, 9, 9, 9, 1, 1, 1], 8),  # below, above, below
        ([1, 1, 1, 1, 1, 1, 1, 1, 1], 2),
        ([9, 9, 9, 9, 9, 9, 9, 9, 9], None),
    ],
)
def test_crossing_is_the_step_from_which_the_training_loss_stays_below(train_losses, step):
    assert single_runs.crossing_step(Run(train_losses, {2: 5.0, 5: 5.0, 8: 5.0})) == step


def test_gap_is_between_means_of_the_last_validations():
    run = Run([1], {0: 1.0})
    assert single_runs.gap_near(run, 3) == pytest.approx((0.5 + 0.9) / 2 - (0.4 + 0.7) / 2)
    assert single_runs.gap_near(run, 2) == pytest.approx(0.5 - 0.4)


def test_a_smooth_curve_ignores_spikes_and_follows_the_trend():
    losses = pd.Series(np.abs(np.arange(200) - 120.0), index=6 * np.arange(200))
    spiked = losses.copy()
    spiked.iloc[::6] += 1000
    # At the tip of a V the median is flat.
    assert abs(single_runs.smooth(losses).idxmin() - 6 * 120) <= 6 * 6
    assert abs(single_runs.smooth(spiked).idxmin() - 6 * 120) <= 6 * 6
    assert single_runs.smooth(spiked).max() < losses.max() + 20
    assert len(single_runs.smooth(losses[:3])) == 3


def test_what_early_stopping_saves_and_costs():
    curve = pd.Series([5.0, 3.0, 1.0, 1.5, 2.0], index=[0, 10, 20, 30, 40])
    found = single_runs.early_stopping(curve, kept=10, stop=14)
    assert found == (20, 1.0, 3.0, pytest.approx(1 - 15 / 21), 2.0, 1.0, True)
    assert not single_runs.early_stopping(curve, kept=20, stop=39).is_better_at_the_end


def test_weights_after_a_step_are_those_of_the_run(binary_data):
    seen = []
    trainer = task2.make_trainer(binary_data, shuffle=True, patience=10**6)
    trainer.after_step = lambda trainer: seen.append(trainer.model.w)
    trainer.train(2)
    again = task2.make_trainer(binary_data, shuffle=True, patience=10**6)
    np.testing.assert_array_equal(single_runs.weights_after(again, 40), seen[40])


def test_accuracy_after_each_batch_has_that_of_each_validation(binary_data):
    trainer = task2.make_trainer(binary_data, shuffle=False, patience=10**6)
    trainer.train(3)
    fresh = task2.make_trainer(binary_data, shuffle=False, patience=10**6)
    accuracies = single_runs.accuracy_after_each_batch(fresh, 3)
    assert accuracies.shape == (3, 31)
    for step, accuracy in trainer.val_history["accuracy"].items():
        assert accuracies.ravel()[step] == accuracy


@pytest.fixture
def weights(rng):
    return rng.normal(scale=0.01, size=(785, 1)).astype(np.float32)


def test_images_of_a_batch_are_sorted_by_their_loss_for_each_target(binary_data, weights):
    X, Y = binary_data[:2]
    outputs = 1 / (1 + np.exp(-X.astype(np.float64) @ weights))
    loss = -np.log(np.where(Y == 1, outputs, 1 - outputs))[:, 0]
    found = single_runs.images_by_loss(binary_data, weights, 3, 50)
    assert sorted(np.concatenate([*found.values()])) == list(range(150, 200))
    for target, images in found.items():
        assert np.all(Y[images, 0] == target)
        assert np.all(np.diff(loss[images]) > -1e-6)


def test_the_experiments_move_what_they_say(binary_data, weights):
    X, Y = binary_data[:2]
    experiments = single_runs.dip_experiments(binary_data, weights, 18, 9, 10, 128)

    def places(images):
        """Where each image of the experiment stands in the file."""
        of_file = {image.tobytes(): place for place, image in enumerate(X)}
        return np.array([of_file[image.tobytes()] for image in images])

    for name, count, same_digits in (
        ("file", 0, True),
        ("moved", 10, True),
        ("spread", 10, True),
        ("shares", 5, False),
    ):
        X_moved, Y_moved, *rest = experiments[name]
        order = places(X_moved)
        assert sorted(order) == list(range(len(X)))
        np.testing.assert_array_equal(Y_moved, Y[order])
        assert all(part is of_file for part, of_file in zip(rest, binary_data[2:], strict=True))
        changed = np.flatnonzero(order != np.arange(len(X)))
        assert len(changed) == 2 * count
        assert np.count_nonzero(changed // 128 == 18) == count
        assert np.array_equal(Y_moved, Y) == same_digits
    others = set(np.flatnonzero(places(experiments["spread"][0]) != np.arange(len(X))) // 128)
    assert len(others - {18}) == 10


def test_a_dip_is_measured_from_the_median_of_the_batches():
    assert fluctuations.depth_at(np.array([0.97, 0.9, 0.98, 0.97, 0.96]), 1) == pytest.approx(0.07)
