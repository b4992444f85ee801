"""What a single run shows: its history, its weights, and the images that make a dip."""

from __future__ import annotations

import numpy as np
import pytest

import task2
from tools.study import single_runs


def test_a_history_has_losses_and_accuracies_of_each_validation(binary_data):
    trainer = task2.make_trainer(binary_data, shuffle=True)
    trainer.train(1)
    history = single_runs.validation_history(trainer)
    assert history.index.tolist() == [0, 6, 12, 18, 24, 30]
    for part, parts in (("train", trainer.train_history), ("val", trainer.val_history)):
        assert history[f"{part}_accuracy"].to_dict() == parts["accuracy"]
    assert history.val_loss.to_dict() == trainer.val_history["loss"]
    losses = list(trainer.train_history["loss"].values())
    assert history.train_loss[0] == losses[0]
    assert history.train_loss[12] == pytest.approx(np.mean(losses[7:13]))


def test_training_up_to_a_step_gives_the_weights_of_the_run(binary_data):
    seen = []
    trainer = task2.make_trainer(binary_data, shuffle=True, patience=None)
    trainer.after_step = lambda trainer: seen.append(trainer.model.w)
    trainer.train(2)
    again = task2.make_trainer(binary_data, shuffle=True)
    single_runs.train_up_to(again, 40)
    np.testing.assert_array_equal(again.model.w, seen[40])


def test_the_mean_after_each_batch_is_over_the_epochs_from_3_on(binary_data):
    X, Y, X_val, Y_val = binary_data
    data = X, Y, X_val[:100], Y_val[:100]
    trainer = task2.make_trainer(data, shuffle=False, patience=None)
    accuracies = []

    def validate(trainer):
        outputs = trainer.model.forward(trainer.X_val)
        accuracies.append(trainer.accuracy(trainer.Y_val, outputs))

    trainer.after_step = validate
    trainer.train(5)
    fresh = task2.make_trainer(data, shuffle=False, patience=None)
    expected = np.reshape(accuracies, (5, 31))[3:].mean(axis=0)
    # A processor may round the product of several models differently: one image in one epoch.
    np.testing.assert_allclose(single_runs.mean_after_each_batch(fresh, 5), expected, atol=5.1e-3)


@pytest.mark.parametrize("target", [0, 1])
def test_the_validation_images_of_one_target_are_all_of_it(binary_data, target):
    X, Y, X_val, Y_val = single_runs.validate_on(binary_data, target)
    assert X is binary_data[0]
    assert Y is binary_data[1]
    assert np.all(Y_val == target)
    assert len(X_val) == len(Y_val) == np.count_nonzero(binary_data[3] == target)


@pytest.fixture
def weights(rng):
    return rng.normal(scale=0.01, size=(785, 1)).astype(np.float32)


def test_the_experiments_move_what_they_say(binary_data, weights):
    X, Y = binary_data[:2]
    experiments = single_runs.dip_experiments(binary_data, weights, 18, 9, 10, 128)
    outputs = 1 / (1 + np.exp(-X.astype(np.float64) @ weights))
    loss = -np.log(np.where(Y == 1, outputs, 1 - outputs))[:, 0]
    places_by_loss = np.argsort(loss)

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
        here = changed[changed // 128 == 18]
        assert len(changed) == 2 * count
        assert len(here) == count
        np.testing.assert_array_equal(Y_moved, Y)
        if count:
            # The hardest of the batch left, and the easiest of another batch came.
            digit = Y[here[0]]
            batch = np.arange(18 * 128, 19 * 128)
            stayed = np.setdiff1d(batch[Y[batch, 0] == digit], here)
            assert loss[here].min() > loss[stayed].max()
            for place in order[here]:
                easiest = places_by_loss[(places_by_loss // 128 == place // 128)]
                easiest = easiest[Y[easiest, 0] == digit]
                assert place in easiest[: 10 if name == "moved" else 1]
            assert name == "spread" or set(order[here] // 128) == {9}
    others = set(np.flatnonzero(places(experiments["spread"][0]) != np.arange(len(X))) // 128)
    assert len(others - {18}) == 10


def test_centred_pixels_have_a_mean_of_zero_over_the_training_images(binary_data, weights):
    X, Y, X_val, Y_val = binary_data
    centred = single_runs.dip_experiments(binary_data, weights, 18, 9, 10, 128)["centred"]
    np.testing.assert_allclose(centred[0][:, :-1].mean(axis=0), 0, atol=1e-5)
    # The order, the targets, what distinguishes two images and the column of ones are the same.
    for part, of_file in ((centred[0], X), (centred[2], X_val)):
        np.testing.assert_allclose(part[:5] - part[5:10], of_file[:5] - of_file[5:10], atol=1e-6)
        assert np.all(part[:, -1] == 1)
    assert centred[1] is Y
    assert centred[3] is Y_val
    # The validation images lose the mean of the training images, not their own.
    np.testing.assert_allclose(X_val - centred[2], (X - centred[0])[: len(X_val)], atol=1e-6)


# --- how much an accuracy jumps --------------------------------------------------------------

STEPS_PER_EPOCH = 31
STEPS = np.arange(0, 1039, 6)


# --- templates -------------------------------------------------------------------------------


@pytest.fixture
def samples(rng):
    X = rng.normal(size=(300, 785))
    return X, np.eye(3)[rng.integers(0, 3, 300)]


def test_differences_are_class_means_minus_the_overall_mean(samples):
    X, Y = samples
    found = single_runs.class_mean_differences(X, Y)
    for k in range(3):
        np.testing.assert_allclose(found[k], X[Y[:, k] == 1].mean(axis=0) - X.mean(axis=0))


def test_correlation_is_1_for_multiples_of_the_differences_and_ignores_the_bias(samples, rng):
    X, Y = samples
    w = 3 * single_runs.class_mean_differences(X, Y).T
    w[-1] = 1e6
    assert single_runs.class_mean_correlation(w, X, Y) == pytest.approx(1)
    assert single_runs.class_mean_correlation(-w, X, Y) == pytest.approx(-1)
    assert abs(single_runs.class_mean_correlation(rng.normal(size=w.shape), X, Y)) < 0.1


def test_white_noise_has_a_roughness_of_1_and_a_slope_nearly_none(rng):
    assert single_runs.roughness(rng.normal(size=(50, 784))) == pytest.approx(1, abs=0.02)
    stripes = np.indices((28, 28))[0] % 2  # Rough from row to row, constant within each.
    for image in (stripes, stripes.T):
        assert single_runs.roughness(image.reshape(1, 784).astype(float)) == pytest.approx(1)
    slope = np.indices((28, 28)).sum(axis=0).reshape(1, 784).astype(float)
    assert single_runs.roughness(slope) < 0.01
    assert single_runs.roughness(5 * slope + 7) == pytest.approx(single_runs.roughness(slope))


def test_models_that_share_half_of_the_variance_have_a_correlation_of_one_half(rng):
    shared, own = rng.normal(size=(1, 10, 784)), rng.normal(size=(3, 10, 784))
    assert single_runs.mean_correlation(shared + own) == pytest.approx(0.5, abs=0.03)
    assert single_runs.mean_correlation(shared + 0 * own) == pytest.approx(1)
    assert single_runs.mean_correlation(own) == pytest.approx(0, abs=0.03)


def test_models_are_compared_class_by_class(rng):
    digits = rng.normal(size=(10, 784))
    shifted = np.roll(digits, 1, axis=0)
    assert abs(single_runs.mean_correlation(np.array([digits, shifted]))) < 0.1
    assert single_runs.mean_correlation(np.array([digits, 3 * digits + 7])) == pytest.approx(1)


def test_fine_detail_is_the_pixel_without_the_mean_around_it(rng):
    images = rng.normal(size=(2, 3, 784))
    image = images[1, 2].reshape(28, 28)
    found = single_runs.fine_detail(images)[1, 2].reshape(28, 28)
    assert found[5, 20] == pytest.approx(image[5, 20] - image[4:7, 19:22].mean())
    slope = np.indices((28, 28)).sum(axis=0).reshape(1, 784).astype(float)
    inner = single_runs.fine_detail(slope).reshape(28, 28)[1:-1, 1:-1]
    np.testing.assert_allclose(inner, 0, atol=1e-12)
