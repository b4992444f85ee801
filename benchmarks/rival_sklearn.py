"""What a user may pick instead of the softmax run: scikit-learn's `LogisticRegression`."""

from __future__ import annotations

import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from utils import Data


def train(data: Data, max_iter: int) -> dict[str, float]:
    """Fit a model without penalty by lbfgs, in a given number of iterations.

    Parameters
    ----------
    data : tuple of X_train, Y_train, X_val, Y_val
        As `task3.load_data` gives it.
    max_iter : int > 0

    Returns
    -------
    dict
        Seconds of the fit, and the validation accuracy of the fitted model.
    """
    X_train, Y_train, X_val, Y_val = data
    # The model has a bias of its own: it does not need the column of ones.
    X_train, X_val = np.ascontiguousarray(X_train[:, :-1]), np.ascontiguousarray(X_val[:, :-1])
    labels_train, labels_val = Y_train.argmax(axis=1), Y_val.argmax(axis=1)
    # C is 1/λ: infinite means no penalty.
    model = LogisticRegression(solver="lbfgs", C=np.inf, max_iter=max_iter)
    start = time.perf_counter()
    with warnings.catch_warnings():
        # The fit is meant to end before it has converged.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X_train, labels_train)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "compile_seconds": 0.0,
        "max_iter": max_iter,
        "best_accuracy": float(model.score(X_val, labels_val)),
    }


def find_max_iter(data: Data, accuracy: float) -> int:
    """Find by bisection how many iterations reach a validation accuracy.

    Parameters
    ----------
    data : tuple of X_train, Y_train, X_val, Y_val
    accuracy : float

    Returns
    -------
    int

    Raises
    ------
    RuntimeError
        If 512 iterations do not reach it.
    """
    too_few, enough = 0, 8
    while train(data, enough)["best_accuracy"] < accuracy:
        too_few, enough = enough, 2 * enough
        if enough > 512:
            raise RuntimeError(f"512 iterations do not reach a validation accuracy of {accuracy}")
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if train(data, middle)["best_accuracy"] < accuracy:
            too_few = middle
        else:
            enough = middle
    return enough
