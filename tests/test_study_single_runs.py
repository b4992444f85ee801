"""What a single run shows: its smooth curve, weights on the way, images that make a dip."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import task2
from study import fluctuations, single_runs


def test_a_smooth_curve_ignores_spikes_and_follows_the_trend():
    losses = pd.Series(np.abs(np.arange(200) - 120.0), index=6 * np.arange(200))
    spiked = losses.copy()
    spiked.iloc[::6] += 1000
    # At the tip of a V the median is flat.
    assert abs(single_runs.smooth(losses).idxmin() - 6 * 120) <= 6 * 6
    assert abs(single_runs.smooth(spiked).idxmin() - 6 * 120) <= 6 * 6
    assert single_runs.smooth(spiked).max() < losses.max() + 20
    assert len(single_runs.smooth(losses[:3])) == 3


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


def test_the_mean_after_each_batch_is_over_the_epochs_from_3_on(binary_data):
    settings = {"shuffle": False, "patience": 10**6}
    trainers = [task2.make_trainer(binary_data, **settings) for _ in range(2)]
    accuracies = single_runs.accuracy_after_each_batch(trainers[0], 5)
    found = single_runs.mean_after_each_batch(trainers[1], 5)
    np.testing.assert_allclose(found, (accuracies[3] + accuracies[4]) / 2)


@pytest.mark.parametrize("target", [0, 1])
def test_the_validation_images_of_one_target_are_all_of_it(binary_data, target):
    X, Y, X_val, Y_val = single_runs.of_target(binary_data, target)
    assert X is binary_data[0]
    assert Y is binary_data[1]
    assert np.all(Y_val == target)
    assert len(X_val) == len(Y_val) == np.count_nonzero(binary_data[3] == target)


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

    for name, count in (("file", 0), ("moved", 10), ("spread", 10)):
        X_moved, Y_moved, *rest = experiments[name]
        order = places(X_moved)
        assert sorted(order) == list(range(len(X)))
        np.testing.assert_array_equal(Y_moved, Y[order])
        assert all(part is of_file for part, of_file in zip(rest, binary_data[2:], strict=True))
        changed = np.flatnonzero(order != np.arange(len(X)))
        assert len(changed) == 2 * count
        assert np.count_nonzero(changed // 128 == 18) == count
        np.testing.assert_array_equal(Y_moved, Y)
    others = set(np.flatnonzero(places(experiments["spread"][0]) != np.arange(len(X))) // 128)
    assert len(others - {18}) == 10


def test_a_dip_is_measured_from_the_median_of_the_batches():
    assert fluctuations.depth_at(np.array([0.97, 0.9, 0.98, 0.97, 0.96]), 1) == pytest.approx(0.07)
