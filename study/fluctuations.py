"""How much an accuracy jumps, and how much of that repeats with the epoch (task 2e)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

# In its first epochs an accuracy rises by far more than it fluctuates.
FIRST_EPOCH = 3
# Fluctuations shrink as training goes on, so they are compared over epochs that all runs have.
LAST_EPOCH = 9
TREND_DEGREE = 2


def steps_and_values(
    accuracy: Mapping[int, float], first: float, end: float
) -> tuple[NDArray, ...]:
    """Cut the steps from `first` to before `end` out of a history, as two arrays."""
    chosen = {step: value for step, value in accuracy.items() if first <= step < end}
    return np.array(list(chosen)), np.array(list(chosen.values()))


def mean_absolute_change(accuracy: Mapping[int, float], steps_per_epoch: int) -> float:
    """Measure how much an accuracy jumps from one validation to the next.

    Parameters
    ----------
    accuracy : mapping of step to float
        A history with several validations in each epoch.
    steps_per_epoch : int > 0

    Returns
    -------
    float
        The mean of ``|change|`` in epochs 3 to 9, counted from 0: later than the steep rise at the
        start, and early enough for almost every run to get there. NaN for fewer than two
        validations.
    """
    first, end = FIRST_EPOCH * steps_per_epoch, (LAST_EPOCH + 1) * steps_per_epoch
    _, values = steps_and_values(accuracy, first, end)
    return float(np.abs(np.diff(values)).mean()) if len(values) > 1 else math.nan


def dip_depths(accuracy: Mapping[int, float]) -> dict[int, float]:
    """Measure at each validation how far an accuracy lies below the mean of its two neighbours.

    Parameters
    ----------
    accuracy : mapping of step to float

    Returns
    -------
    dict of step to float
        Positive where it dips; without the first and the last validation, which lack a neighbour.
    """
    values = np.array(list(accuracy.values()))
    depths = (values[:-2] + values[2:]) / 2 - values[1:-1]
    return dict(zip(list(accuracy)[1:-1], depths.tolist(), strict=True))


def deepest_dip(accuracy: Mapping[int, float], steps_per_epoch: int) -> float:
    """Find the deepest dip in epochs 3 to 9; NaN if there are fewer than three validations."""
    first, end = FIRST_EPOCH * steps_per_epoch, (LAST_EPOCH + 1) * steps_per_epoch
    depths = dip_depths({step: accuracy[step] for step in accuracy if first <= step < end})
    return max(depths.values(), default=math.nan)


def epoch_periodicity(accuracy: Mapping[int, float], steps_per_epoch: int) -> float:
    """Measure how much of an accuracy's fluctuation comes back at the same place of every epoch.

    Two least-squares fits are compared, over the validations from epoch 3 on. One is a trend, a
    parabola in the logarithm of the step. The other has in addition one free value for each phase,
    ``step % steps_per_epoch``. The result is the share of the variance around the trend that the
    phases explain: an adjusted R², in which each fit's sum of squares is divided by its degrees of
    freedom. Validations need not be at the same phases in each epoch.

    Parameters
    ----------
    accuracy : mapping of step to float
    steps_per_epoch : int > 0

    Returns
    -------
    float
        1 for a curve that repeats exactly. White noise gives 0 on average, whatever the number of
        phases, with a standard deviation of sqrt(2p / (m (m + p + 2))) for p phases less one and
        m validations more than free values: 0.06 for the unshuffled run of task 2e, but 0.3 for a
        run that stops a third as late. NaN if m is not positive or the trend leaves no variance.
    """
    steps, values = steps_and_values(accuracy, FIRST_EPOCH * steps_per_epoch, math.inf)
    if len(steps) == 0:
        return math.nan
    trend = np.vander(np.log1p(steps), TREND_DEGREE + 1)
    phases = (steps[:, np.newaxis] % steps_per_epoch == np.arange(steps_per_epoch)).astype(float)

    def variance_around(columns: NDArray) -> float:
        fit, _, rank, _ = np.linalg.lstsq(columns, values)
        degrees_of_freedom = len(values) - int(rank)
        squares = np.square(values - columns @ fit).sum()
        return float(squares / degrees_of_freedom) if degrees_of_freedom else math.nan

    around_trend = variance_around(trend)
    # A perfect trend leaves squares of rounding errors.
    if not around_trend > 1e-24:
        return math.nan
    return 1 - variance_around(np.hstack([trend, phases])) / around_trend


def depth_at(profile: NDArray, batch: int) -> float:
    """Measure how far the accuracy after a batch lies below the median of all batches."""
    return float(np.median(profile) - profile[batch])
