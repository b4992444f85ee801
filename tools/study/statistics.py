"""Differences between runs, with intervals that account for seeds and images.

Which images a run has right depends on its seed and on the images it is scored on. An interval from
resampled seeds alone says how a mean over other seeds would scatter, for just these images; it
leaves out that other images would give another difference. Owen's pigeonhole bootstrap (2007)
resamples both: a table of seeds × images gets its rows and its columns drawn with replacement,
independently of each other.
"""

import numpy as np
import scipy.stats
from numpy.typing import NDArray

NUM_RESAMPLES = 10_000
CONFIDENCE = 0.95


def difference(right: NDArray[np.bool_], right_other: NDArray[np.bool_]) -> dict[str, float]:
    """Estimate how much more accurate some runs are than others with the same seeds.

    Parameters
    ----------
    right, right_other : ndarray of shape (seeds, images), bool
        Which image each run has right.

    Returns
    -------
    dict of str to float
        As fractions of all images: "mean", and "low" and "high" of its 95 % interval, from
        resampled seeds and images, or from resampled images if there is a single seed.
        "significantly_lower" counts the seeds for which the accuracy is lower with p < 0.05 by
        McNemar's exact test.
    """
    table = right.astype(np.float32) - right_other
    low, high = interval(pigeonhole(table, np.random.default_rng(0)))
    gained = np.count_nonzero(right & ~right_other, axis=1)
    lost = np.count_nonzero(right_other & ~right, axis=1)
    # Were both equally accurate, each image that only one has right would be a toss of a coin.
    p = 2 * scipy.stats.binom.cdf(gained, gained + lost, 0.5)
    return {
        "mean": float(table.mean(dtype=np.float64)),
        "low": low,
        "high": high,
        "significantly_lower": int(np.count_nonzero(p < 1 - CONFIDENCE)),
    }


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
    means = [(weights @ kinds) @ rng.multinomial(C, counts / C) / C for weights in rows]
    return np.array(means)


def interval(resampled: NDArray[np.floating]) -> tuple[float, float]:
    """Cut the same share off both ends of resampled values."""
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
