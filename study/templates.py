"""Measures of templates: the softmax weights of each class as an image (task 4b)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnist import IMAGE_SHAPE
from numerics.arguments import Floats


def class_mean_differences(X: Floats, Y: Floats) -> Floats:
    """Compute *mean of the class minus mean of all samples* for each class.

    Parameters
    ----------
    X : ndarray of shape (N, D), float
    Y : ndarray of shape (N, K), one-hot

    Returns
    -------
    ndarray of shape (K, D)
    """
    return Y.T @ X / np.sum(Y, axis=0)[:, np.newaxis] - np.mean(X, axis=0)


def class_mean_correlation(w: Floats, X: Floats, Y: Floats) -> float:
    """Compare the templates with the `class_mean_differences` of the images.

    Parameters
    ----------
    w : ndarray of shape (785, K), float
    X : ndarray of shape (N, 785), float
    Y : ndarray of shape (N, K), one-hot

    Returns
    -------
    float, -1 to 1
        The correlation over the pixels, the bias left out, as a mean over the classes.
    """
    pairs = zip(w[:-1].T, class_mean_differences(X[:, :-1], Y), strict=True)
    return float(np.mean([np.corrcoef(template, mean)[0, 1] for template, mean in pairs]))


def roughness(images: Floats) -> float:
    """Measure how noisy images [M, 784] are.

    Returns
    -------
    float
        The mean squared difference of neighbouring pixels over twice the variance: 0 for constant
        images, 1 for white noise.
    """
    images = images.reshape(-1, *IMAGE_SHAPE)
    neighbours = [np.diff(images, axis=1).ravel(), np.diff(images, axis=2).ravel()]
    variance = np.mean(np.var(images, axis=(1, 2)))
    return float(np.mean(np.square(np.concatenate(neighbours))) / (2 * variance))


def share_of_class(errors: Floats, Y: NDArray) -> float:
    """Measure how much of the errors is the mean error of their class.

    Parameters
    ----------
    errors : ndarray of shape (N, K), float
        Such as yⁿ - ŷⁿ.
    Y : ndarray of shape (N, K), one-hot

    Returns
    -------
    float, 0 to 1
        The sum of the squares of the mean errors over that of the errors: 1 if samples of a class
        have the same error, whatever they look like.
    """
    of_class = Y.T @ errors / np.sum(Y, axis=0)[:, np.newaxis]
    return float(np.sum(np.square(Y @ of_class)) / np.sum(np.square(errors)))
