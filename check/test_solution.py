"""The checks. Each has inputs of its own, which are right, so that a mistake fails one of them.

Run with ``python -m pytest check --solution DIR`` or, for several folders, ``python -m check``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from check.models import (
    require_accuracy,
    require_finite,
    require_gradient,
    require_l2_gradient,
    require_loss,
    require_one_hot,
    require_outputs,
    require_preprocessing,
)
from check.oracles import LOGISTIC, SOFTMAX
from check.trainers import require_early_stopping, require_step, require_validation


def for_both(check: Callable[..., None], *arguments: Any) -> None:
    """Check both models; missing if one is, unless the other one fails."""
    skipped = None
    for kind in (LOGISTIC, SOFTMAX):
        try:
            check(kind, *arguments)
        except pytest.skip.Exception as reason:
            skipped = skipped or reason
    if skipped:
        raise skipped


def test_preprocessing() -> None:
    """Pixels become -1…1, and a column of ones is there, last or first."""
    require_preprocessing()


def test_logistic_outputs() -> None:
    """The model's ``forward`` gives 1 / (1 + exp(-X w))."""
    require_outputs(LOGISTIC)


def test_logistic_loss() -> None:
    """The loss is the mean over the batch, a float."""
    require_loss(LOGISTIC)


def test_logistic_gradient() -> None:
    """The gradient agrees with central differences."""
    require_gradient(LOGISTIC)


def test_logistic_accuracy() -> None:
    """The accuracy is the fraction that is right; 0.5 counts as 1."""
    require_accuracy(LOGISTIC)


def test_one_hot() -> None:
    """Labels become rows with a single 1."""
    require_one_hot()


def test_softmax_outputs() -> None:
    """The model's ``forward`` gives exp(X w), divided by its sum over the classes."""
    require_outputs(SOFTMAX)


def test_softmax_loss() -> None:
    """The loss is the mean over the batch, a float."""
    require_loss(SOFTMAX)


def test_softmax_gradient() -> None:
    """The gradient agrees with central differences."""
    require_gradient(SOFTMAX)


def test_l2_gradient() -> None:
    """With λ, the gradient grows by 2λw."""
    require_l2_gradient()


def test_softmax_accuracy() -> None:
    """The accuracy is the fraction that is right."""
    require_accuracy(SOFTMAX)


def test_large_logits() -> None:
    """Logits of thousands make neither outputs nor losses NaN."""
    for_both(require_finite)


def test_train_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is w ← w − η grad, and returns the loss before it."""
    for_both(require_step, monkeypatch)


def test_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """It returns the loss and both accuracies of the present weights."""
    for_both(require_validation, monkeypatch)


def test_early_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run of task 2 stops at step 1038, and the best weights are kept."""
    require_early_stopping(monkeypatch)
