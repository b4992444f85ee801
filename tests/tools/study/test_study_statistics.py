"""Intervals cover what they say, and tests of differences agree with their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from tools.study import statistics


def simulated(rng, seeds, images, effect):
    """Draw two tables of right answers with the same luck of seeds and difficulty of images."""
    difficulty = rng.normal(1.5, 1.5, images)
    response = rng.normal(0, 0.6, images)  # to the change between both: images differ in it
    luck = rng.normal(0, 0.1, (seeds, 1))
    noise = rng.normal(0, 0.5, (2, seeds, images))
    shift = effect + response + rng.normal(0, 0.1, (seeds, 1))
    return difficulty + luck + shift + noise[0] > 0, difficulty + luck + noise[1] > 0


def true_difference(effect):
    ours = scipy.stats.norm.cdf((1.5 + effect) / math.hypot(1.5, 0.6, 0.1, 0.1, 0.5))
    return ours - scipy.stats.norm.cdf(1.5 / math.hypot(1.5, 0.1, 0.5))


def test_pigeonhole_intervals_cover_and_intervals_from_seeds_alone_do_not(rng):
    truth, simulations = true_difference(0.1), 200
    both = seeds_only = 0
    for _ in range(simulations):
        right, right_other = simulated(rng, 20, 400, 0.1)
        table = right.astype(np.float32) - right_other
        low, high = statistics.interval(statistics.pigeonhole(table, rng, num_resamples=300))
        both += low <= truth <= high
        by_seed = table.mean(axis=1)
        margin = scipy.stats.t.ppf(0.975, 19) * scipy.stats.sem(by_seed)
        seeds_only += abs(by_seed.mean() - truth) <= margin
    # 95 % are stated. Resampling both is known to be a little wide, never narrow.
    assert 0.92 <= both / simulations <= 0.995
    assert seeds_only / simulations < 0.8


def test_the_pigeonhole_variance_is_that_of_owens_formula(rng):
    seed, image = rng.normal(0, 0.02, (15, 1)), rng.normal(0, 0.3, (1, 500))
    table = (seed + image + rng.normal(0, 0.1, (15, 500))).astype(np.float32)
    resampled = statistics.pigeonhole(table, np.random.default_rng(1), num_resamples=4000)
    # The expected variance over resamples of rows, columns, and what is left.
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    rest = table - rows[:, None] - columns + table.mean()
    expected = rows.var() / 15 + columns.var() / 500 + rest.var() / (15 * 500)
    assert resampled.var() == pytest.approx(expected, rel=0.1)
    assert resampled.mean() == pytest.approx(table.mean(), abs=4 * math.sqrt(expected / 4000))


def test_difference_gives_the_mean_and_a_wider_interval_with_images(rng):
    right, right_other = simulated(rng, 20, 1000, 0.3)
    found = statistics.difference(right, right_other)
    assert found["mean"] == pytest.approx(right.mean() - right_other.mean())
    of_seeds = right.mean(axis=1) - right_other.mean(axis=1)
    low_seeds, high_seeds = scipy.stats.ttest_1samp(of_seeds, 0).confidence_interval(0.95)
    assert found["low"] < low_seeds < found["mean"] < high_seeds < found["high"]
    swapped = statistics.difference(right_other, right)
    assert (swapped["low"], swapped["high"]) == pytest.approx(
        (-found["high"], -found["low"]), abs=2e-3
    )
    assert statistics.difference(right, right_other) == found


def test_a_single_seed_has_an_interval_from_its_images_only(rng):
    right, right_other = simulated(rng, 1, 4000, 0.3)
    found = statistics.difference(right, right_other)
    table = right.astype(float) - right_other
    expected = 1.96 * table.std() / math.sqrt(table.size)
    assert found["high"] - found["low"] == pytest.approx(2 * expected, rel=0.1)


def test_difference_counts_the_seeds_that_are_significantly_lower(rng):
    right = np.ones((4, 200), bool)
    right_other = right.copy()
    right[0, :20] = right[1, :2] = right_other[2, :20] = right_other[3, :30] = False
    assert statistics.difference(right, right_other)["significantly_lower"] == 1
    assert statistics.difference(right_other, right)["significantly_lower"] == 2


def test_mcnemar_sums_binomial_probabilities_of_images_that_one_run_has_right(monkeypatch):
    monkeypatch.setattr(statistics, "pigeonhole", lambda *_: np.zeros(2))

    def is_lower(gained, lost):
        right, right_other = np.ones((2, 1, 50), bool)
        right_other[0, :gained] = False
        right[0, gained : gained + lost] = False
        return statistics.difference(right, right_other)["significantly_lower"] == 1

    for gained in range(5):
        for lost in range(16):
            p = scipy.stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1
            assert is_lower(gained, lost) == (p < 0.05 and lost > gained)
