"""The measures of how much an accuracy jumps, and how much of that repeats with the epoch."""

from __future__ import annotations

import math

import numpy as np
import pytest

from study import fluctuations

STEPS_PER_EPOCH = 31
STEPS = np.arange(0, 1039, 6)


def history(values, steps=STEPS):
    return dict(zip(steps.tolist(), np.broadcast_to(values, steps.shape).tolist(), strict=True))


def trend():
    return 0.97 + 0.002 * np.log1p(STEPS) - 0.0001 * np.log1p(STEPS) ** 2


def test_periodicity_of_a_curve_that_repeats_in_every_epoch_is_1(rng):
    profile = rng.normal(0, 0.001, STEPS_PER_EPOCH)
    curve = trend() + profile[STEPS % STEPS_PER_EPOCH]
    assert fluctuations.epoch_periodicity(history(curve), STEPS_PER_EPOCH) == pytest.approx(
        1, abs=1e-9
    )


def test_periodicity_of_noise_is_0_on_average_and_scatters_as_documented(rng):
    shares = [
        fluctuations.epoch_periodicity(history(trend() + rng.normal(0, 0.001, len(STEPS))), 31)
        for _ in range(1000)
    ]
    later = STEPS[STEPS >= 3 * STEPS_PER_EPOCH]
    m, p = len(later) - (STEPS_PER_EPOCH + 2), STEPS_PER_EPOCH - 1
    assert np.std(shares) == pytest.approx(math.sqrt(2 * p / (m * (m + p + 2))), rel=0.12)
    assert abs(np.mean(shares)) < 4 * np.std(shares) / math.sqrt(len(shares))


def test_periodicity_is_the_share_of_the_variance(rng):
    shares = []
    for _ in range(100):
        profile = rng.normal(0, 0.003, STEPS_PER_EPOCH)
        curve = profile[STEPS % STEPS_PER_EPOCH] + rng.normal(0, 0.004, len(STEPS))
        shares.append(fluctuations.epoch_periodicity(history(curve), STEPS_PER_EPOCH))
    assert np.mean(shares) == pytest.approx(9 / 25, abs=0.05)


def test_periodicity_of_another_period_is_not_counted(rng):
    profile = rng.normal(0, 0.001, 29)
    curve = history(trend() + profile[STEPS % 29])
    assert fluctuations.epoch_periodicity(curve, 29) == pytest.approx(1, abs=1e-9)
    assert fluctuations.epoch_periodicity(curve, STEPS_PER_EPOCH) < 0.5


def test_periodicity_ignores_the_first_epochs_and_the_trend(rng):
    curve = rng.normal(0, 0.001, len(STEPS))
    steep = np.where(STEPS < 3 * STEPS_PER_EPOCH, -0.5, 0) + trend()
    assert fluctuations.epoch_periodicity(history(curve + steep), STEPS_PER_EPOCH) == pytest.approx(
        fluctuations.epoch_periodicity(history(curve), STEPS_PER_EPOCH), abs=1e-9
    )


@pytest.mark.parametrize(
    "curve",
    [
        {},
        {0: 0.5},
        history(0.9),
        history(trend()),
        history(np.sin(STEPS[:45]), STEPS[:45]),
    ],
    ids=["empty", "one value", "constant", "trend only", "too short"],
)
def test_periodicity_without_an_answer_is_nan(curve):
    assert math.isnan(fluctuations.epoch_periodicity(curve, STEPS_PER_EPOCH))


def test_mean_absolute_change_is_that_of_epochs_3_to_9():
    jumps = np.where(np.arange(len(STEPS)) % 2, 0.95, 0.96)
    assert fluctuations.mean_absolute_change(history(jumps), STEPS_PER_EPOCH) == pytest.approx(0.01)
    outside = (STEPS < 3 * STEPS_PER_EPOCH) | (STEPS >= 10 * STEPS_PER_EPOCH)
    wild = np.where(outside, STEPS % 5, jumps)
    assert fluctuations.mean_absolute_change(history(wild), STEPS_PER_EPOCH) == pytest.approx(0.01)
    assert math.isnan(fluctuations.mean_absolute_change({0: 0.1, 6: 0.9}, STEPS_PER_EPOCH))


def test_dip_depths_compare_each_validation_with_its_neighbours():
    depths = fluctuations.dip_depths({0: 0.5, 6: 0.9, 12: 0.8, 18: 0.94})
    assert depths == pytest.approx({6: -0.25, 12: 0.12})
    assert fluctuations.dip_depths({0: 0.5, 6: 0.9}) == {}


def test_deepest_dip_is_that_of_epochs_3_to_9():
    curve = history(0.9)
    curve |= {30: 0.1, 300: 0.6, 360: 0.2}  # step 300 alone belongs to these epochs
    assert fluctuations.deepest_dip(curve, STEPS_PER_EPOCH) == pytest.approx(0.3)
    assert math.isnan(fluctuations.deepest_dip({0: 0.5}, STEPS_PER_EPOCH))
