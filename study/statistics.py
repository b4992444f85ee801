"""Differences between runs, with intervals that account for seeds and images.

Which images a run has right depends on its seed and on the images it is scored on. An interval from
resampled seeds alone says how a mean over other seeds would scatter, for just these images; it
leaves out that other images would give another difference. Owen's pigeonhole bootstrap (2007)
resamples both: a table of seeds × images gets its rows and its columns drawn with replacement,
independently of each other.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.stats
from numpy.typing import NDArray

NUM_RESAMPLES = 10_000
CONFIDENCE = 0.95
SIGNIFICANT = 1 - CONFIDENCE


class Difference(NamedTuple):
    """A mean difference of accuracy, with its 95 % interval, as fractions of all images.

    Attributes
    ----------
    mean : float
    low, high : float
        From resampled seeds and images; from resampled images if there is a single seed.
    significantly_lower : int
        The number of seeds for which the accuracy is lower with p < 0.05 by McNemar's test.
    """

    mean: float
    low: float
    high: float
    significantly_lower: int


def difference(right: NDArray[np.bool_], right_other: NDArray[np.bool_]) -> Difference:
    """Estimate how much more accurate some runs are than others with the same seeds.

    Parameters
    ----------
    right, right_other : ndarray of shape (seeds, images), bool
        Which image each run has right.

    Returns
    -------
    Difference

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if right.shape != right_other.shape:
        raise ValueError(
            f"right has shape {right.shape} and right_other {right_other.shape}; expected the same"
            " [seeds, images]"
        )
    table = right.astype(np.float32) - right_other
    low, high = quantiles(pigeonhole(table, np.random.default_rng(0)))
    tests = [mcnemar(ours, others) for ours, others in zip(right, right_other, strict=True)]
    gained, lost, p = np.array(tests).T
    return Difference(
        mean=float(table.mean(dtype=np.float64)),
        low=low,
        high=high,
        significantly_lower=int(np.count_nonzero((p < SIGNIFICANT) & (lost > gained))),
    )


def pigeonhole(
    table: NDArray[np.floating], rng: np.random.Generator, num_resamples: int = NUM_RESAMPLES
) -> NDArray[np.float64]:
    """Resample rows and columns of a table, and give the mean of each resampled table.

    Parameters
    ----------
    table : ndarray of shape (R, C), float
    rng : numpy.random.Generator
    num_resamples : int > 0

    Returns
    -------
    ndarray of shape (num_resamples,)
    """
    R, C = table.shape
    # Most images are alike: all runs have them right. How often each kind is drawn is enough.
    kinds, counts = np.unique(table, axis=1, return_counts=True)
    rows = rng.multinomial(R, np.full(R, 1 / R), size=num_resamples) / R
    means = np.empty(num_resamples)
    for i, weights in enumerate(rows):
        means[i] = (weights @ kinds) @ rng.multinomial(C, counts / C) / C
    return means


def quantiles(resampled: NDArray[np.floating]) -> tuple[float, float]:
    """Cut the same share off both ends of resampled values."""
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def seed_interval(differences: NDArray[np.floating]) -> tuple[float, float]:
    """Estimate the 95 % interval of a mean over seeds by Student's t; NaN for a single seed."""
    if len(differences) < 2:
        return math.nan, math.nan
    found = scipy.stats.ttest_1samp(differences, 0).confidence_interval(CONFIDENCE)
    return float(found.low), float(found.high)


def mcnemar(right: NDArray[np.bool_], right_other: NDArray[np.bool_]) -> tuple[int, int, float]:
    """Test whether two runs are equally accurate, image by image (McNemar's exact test).

    Parameters
    ----------
    right, right_other : ndarray of shape (images,), bool

    Returns
    -------
    gained, lost : int
        Images that only the first run has right, and that only the other has right.
    p : float
        The probability of counts that differ as much or more, were both equally accurate.
    """
    gained = int(np.count_nonzero(right & ~right_other))
    lost = int(np.count_nonzero(right_other & ~right))
    if gained + lost == 0:
        return 0, 0, 1.0
    return gained, lost, float(scipy.stats.binomtest(gained, gained + lost).pvalue)
