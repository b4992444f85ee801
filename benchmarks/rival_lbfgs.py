"""What a user of scikit-learn would rather take: `LogisticRegression`, which does other work."""

import time
import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from benchmarks.work import Run, Settings, numpy_kernel
from utils import Data

# Iterations over all training images, about as many as it takes to be as accurate as the run.
ITERATIONS = 50


def run(data: Data, settings: Settings) -> tuple[NDArray, Run]:
    """Fit the model without a penalty, and without early stopping."""
    X_train, Y_train, X_val, Y_val = data
    # The model has biases of its own: it does not need the column of ones.
    X_train = np.ascontiguousarray(X_train[:, :-1])
    X_val = np.ascontiguousarray(X_val[:, :-1])
    labels_train = Y_train.argmax(axis=1)
    labels_val = Y_val.argmax(axis=1)
    # C is 1/λ: infinite means no penalty.
    model = LogisticRegression(C=np.inf, max_iter=ITERATIONS)
    started_at = time.perf_counter()
    with warnings.catch_warnings():
        # The fit is meant to end before it has converged.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X_train, labels_train)
    seconds = time.perf_counter() - started_at
    loss = log_loss(labels_val, model.predict_proba(X_val))
    measured = Run(
        seconds=seconds,
        stop_step=ITERATIONS,
        best_loss=loss,
        last_loss=loss,
        accuracy=model.score(X_val, labels_val),
        kernel=numpy_kernel(),
    )
    return np.vstack([model.coef_.T, model.intercept_]), measured
