"""Measures of the templates agree with their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from study import templates


@pytest.fixture
def samples(rng):
    X = rng.normal(size=(300, 785))
    return X, np.eye(3)[rng.integers(0, 3, 300)]


def test_differences_are_class_means_minus_the_overall_mean(samples):
    X, Y = samples
    found = templates.class_mean_differences(X, Y)
    for k in range(3):
        np.testing.assert_allclose(found[k], X[Y[:, k] == 1].mean(axis=0) - X.mean(axis=0))


def test_correlation_is_1_for_multiples_of_the_differences_and_ignores_the_bias(samples, rng):
    X, Y = samples
    w = 3 * templates.class_mean_differences(X, Y).T
    w[-1] = 1e6
    assert templates.class_mean_correlation(w, X, Y) == pytest.approx(1)
    assert templates.class_mean_correlation(-w, X, Y) == pytest.approx(-1)
    assert abs(templates.class_mean_correlation(rng.normal(size=w.shape), X, Y)) < 0.1


def test_white_noise_has_a_roughness_of_1_and_a_slope_nearly_none(rng):
    assert templates.roughness(rng.normal(size=(50, 784))) == pytest.approx(1, abs=0.02)
    stripes = np.indices((28, 28))[0] % 2  # Rough from row to row, constant within each.
    for image in (stripes, stripes.T):
        assert templates.roughness(image.reshape(1, 784).astype(float)) == pytest.approx(1)
    slope = np.indices((28, 28)).sum(axis=0).reshape(1, 784).astype(float)
    assert templates.roughness(slope) < 0.01
    assert templates.roughness(5 * slope + 7) == pytest.approx(templates.roughness(slope))


def test_share_of_class_is_that_of_the_mean_errors(samples, rng):
    _, Y = samples
    of_class = rng.normal(size=(3, 3))
    assert templates.share_of_class(Y @ of_class, Y) == pytest.approx(1)
    noise = rng.normal(size=Y.shape)
    assert templates.share_of_class(noise, Y) < 0.05
    # As large as the class's own part, with a mean of zero in each class: a half.
    noise -= Y @ (Y.T @ noise / Y.sum(axis=0)[:, np.newaxis])
    noise *= np.linalg.norm(Y @ of_class) / np.linalg.norm(noise)
    assert templates.share_of_class(Y @ of_class + noise, Y) == pytest.approx(0.5)
