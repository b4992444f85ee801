"""Measures of templates: the softmax weights of each class as an image (task 4b)."""

from __future__ import annotations

import numpy as np

from mnist import IMAGE_SHAPE
from numerics.checks import Floats


def class_mean_correlation(w: Floats, X: Floats, Y: Floats) -> float:
    """Compare the templates with *mean of the class minus mean of all images*.

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
    pixels = X[:, :-1]
    class_means = Y.T @ pixels / np.sum(Y, axis=0)[:, np.newaxis]
    differences = class_means - np.mean(pixels, axis=0)
    pairs = zip(w[:-1].T, differences, strict=True)
    return float(np.mean([np.corrcoef(template, mean)[0, 1] for template, mean in pairs]))


def roughness(w: Floats) -> float:
    """Measure how noisy the templates of w [785, K] are, the bias left out.

    Returns
    -------
    float
        The mean squared difference of neighbouring pixels over twice the variance: 0 for constant
        images, 1 for white noise.
    """
    templates = w[:-1].T.reshape(-1, *IMAGE_SHAPE)
    neighbours = [np.diff(templates, axis=1).ravel(), np.diff(templates, axis=2).ravel()]
    variance = np.mean(np.var(templates, axis=(1, 2)))
    return float(np.mean(np.square(np.concatenate(neighbours))) / (2 * variance))
