"""What is asked of trainers: their model, loss and accuracy are right here."""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np
import pytest

from check.answers import WrongAnswer, agree, missing, require
from check.child import DATA_DIR, build, load
from check.oracles import LOGISTIC, Array, Kind, right_model

BATCH = 128
# The run of task 2: validations are every 6 steps, and the best loss of all comes at step 978.
EPOCHS, BEST_STEP, STOP_STEP, STEPS_PER_VALIDATION = 40, 978, 1038, 6


def make_trainer(kind: Kind, monkeypatch: pytest.MonkeyPatch, trainer: type, *data: Array) -> Any:
    """Make a trainer whose model, loss and accuracy are right, with weights of zero."""
    # The starter code's validation_step reads globals that only its script defines.
    right: dict[str, Any] = dict(zip(("X_train", "Y_train", "X_val", "Y_val"), data, strict=True))
    right |= {"cross_entropy_loss": kind.loss, "calculate_accuracy": kind.accuracy}
    model = build(right_model(kind, load(kind.models, kind.model)))
    for name, value in right.items():
        monkeypatch.setattr(f"{kind.trainers}.{name}", value, raising=False)
    monkeypatch.setattr(f"{kind.models}.cross_entropy_loss", kind.loss, raising=False)
    model.w = np.zeros((data[0].shape[1], kind.K))
    return trainer(model, kind.learning_rate, BATCH, False, *data)


def synthetic_trainer(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Array]]:
    """Make a trainer with a few random samples; and its data, and its weights."""
    X_train, Y_train, w = kind.samples(5 * BATCH)
    X_val, Y_val, _ = kind.samples(BATCH, seed=1)
    data = [X_train, Y_train, X_val, Y_val]
    trainer = make_trainer(
        kind, monkeypatch, load(kind.trainers, kind.trainer), *(part.copy() for part in data)
    )
    trainer.model.w = w.copy()
    return trainer, [*data, w]


def require_step(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for a step, and for the loss before it."""
    trainer, (X, Y, _, _, w) = synthetic_trainer(kind, monkeypatch)
    X, Y = X[:BATCH], Y[:BATCH]
    outputs = kind.activation(X @ w)
    grad = X.T @ (outputs - Y) / BATCH
    loss = kind.loss(Y, outputs)
    called = f"{kind.trainers}.{kind.trainer}(…).train_step(X_batch, Y_batch)"
    returned = trainer.train_step(X.copy(), Y.copy())
    step = np.asarray(trainer.model.w) - w
    if not np.any(step) and (returned is None or np.all(np.equal(returned, 0))):
        missing(f"{called} does not change w, as in the starter code")
    right = -kind.learning_rate * grad
    factor = float(np.vdot(step, right) / np.vdot(right, right)) if step.shape == w.shape else 0
    mistakes = {
        "w has not changed: w ← w − η grad belongs into train_step, for self.model": 0 * right,
        "w goes up the gradient; a step is w − η grad, with a minus": -right,
        "the learning rate is missing: a step is w − η grad": -grad,
        "the gradient is divided by the batch size again: it is a mean already": right / BATCH,
        f"the step is {factor:.4g} times as long as η grad": factor * right,
    }
    require(f"{called}: how it changes model.w", step, right, mistakes)
    if returned is None:
        raise WrongAnswer(called, "None", f"{loss:.7g}", "return the loss of the batch")
    after = kind.loss(Y, kind.activation(X @ (w + right)))
    hint = "that is the loss after the step; the loss of a step is the one before its update"
    # Whether a loss is an array of one element, the checks of the losses say.
    require(called, np.squeeze(returned), loss, {hint: after})


def require_validation(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for the loss and both accuracies of the present weights."""
    trainer, (X_train, Y_train, X_val, Y_val, w) = synthetic_trainer(kind, monkeypatch)
    model = trainer.model
    expected = (
        kind.loss(Y_val, kind.activation(X_val @ w)),
        kind.accuracy(X_train, Y_train, model),
        kind.accuracy(X_val, Y_val, model),
    )
    called = f"{kind.trainers}.{kind.trainer}(…).validation_step()"
    returned = trainer.validation_step()
    names = "loss, accuracy_train, accuracy_val"
    if returned is None:
        missing(f"{called} gives None, as BaseTrainer's does")
    if not isinstance(returned, tuple | list) or len(returned) != 3:
        raise WrongAnswer(called, f"{returned!r:.60}", f"a tuple of three: {names}")
    loss, train, val = expected
    mistakes = {
        "the accuracies are swapped: first that of the training set": (loss, val, train),
        "the loss is that of the training set; expected the validation set's": (
            kind.loss(Y_train, kind.activation(X_train @ w)), train, val),
        "the accuracies are in percent; expected fractions": (loss, 100 * train, 100 * val),
    }  # fmt: skip
    found = [np.squeeze(value) for value in returned]
    require(f"{called}: {names}", found, expected, mistakes)


def load_digits(split: str, count: int) -> tuple[Array, Array]:
    """Read the digits 2 and 3, preprocessed: X [N, 785], and 1 for a 2, 0 for a 3, [N, 1]."""
    images, labels = (
        np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=offset)
        for path, offset in (
            (DATA_DIR / f"{split}-images-idx3-ubyte.gz", 16),
            (DATA_DIR / f"{split}-labels-idx1-ubyte.gz", 8),
        )
    )
    labels = labels[:count]
    chosen = np.isin(labels, (2, 3))
    X = images.reshape(-1, 784)[:count][chosen] / 127.5 - 1
    return np.hstack([X, np.ones((len(X), 1))]), (labels[chosen, np.newaxis] == 2).astype(int)


def require_early_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask where the run of task 2 stops, and whether the best weights are kept."""
    X_train, Y_train = load_digits("train", 20_000)
    X_val, Y_val = load_digits("t10k", 10_000)
    weights: list[Array] = []
    base = load(LOGISTIC.trainers, LOGISTIC.trainer)

    class Trainer(base):  # type: ignore[misc, valid-type]
        def train_step(self, X_batch: Array, Y_batch: Array) -> Any:
            loss = super().train_step(X_batch, Y_batch)
            weights.append(np.array(self.model.w))
            return loss

    trainer = make_trainer(LOGISTIC, monkeypatch, Trainer, X_train, Y_train, X_val, Y_val)
    start = trainer.model.w.copy()
    called = f"task2.LogisticTrainer(…).train({EPOCHS}), digits 2 and 3, not shuffled"
    returned: Any = None
    try:
        returned = trainer.train(EPOCHS)
    except NotImplementedError:
        raise
    except Exception:
        # Some leave their loop by an exception; whether that was the reason, the step shows.
        if len(weights) != STOP_STEP + 1:
            raise
    if not weights or agree(weights[-1], start):
        missing("task2.LogisticTrainer: its train does not change w")
    last = len(weights) - 1
    steps = EPOCHS * (len(X_train) // BATCH)
    expected = (
        f"stops at step {STOP_STEP}, counted from 0, and keeps the weights of step {BEST_STEP}"
    )
    if last != STOP_STEP:
        late = last - STOP_STEP
        if last + 1 == steps:
            hint = (
                "nothing has stopped it: early stopping is missing, or its condition is never met"
            )
        elif late % STEPS_PER_VALIDATION == 0:
            number, when = abs(late) // STEPS_PER_VALIDATION, "late" if late > 0 else "early"
            hint = (
                f"that is {number} validation{'s' * (number > 1)} too {when}: the best loss comes"
                f" at step {BEST_STEP}, and 10 validations later is step {STOP_STEP}"
            )
        else:
            hint = (
                f"validations are every {STEPS_PER_VALIDATION} steps; the first one for which the"
                f" best loss is 10 validations old is at step {STOP_STEP}, within an epoch"
            )
        raise WrongAnswer(called, f"went on to step {last}", expected, hint)
    kept = [*vars(trainer).values(), *vars(trainer.model).values()]
    kept += returned if isinstance(returned, tuple) else [returned]
    if not any(agree(getattr(one, "w", one), weights[BEST_STEP]) for one in kept):
        of_last = agree(trainer.model.w, weights[-1])
        hint = (
            "keep a copy of w at each new best validation loss, and give it back to the model at"
            " the end; without .copy(), w -= … changes what was kept"
        )
        found = f"the weights of step {last}" if of_last else "other weights"
        raise WrongAnswer(called, f"stopped at step {last} with {found}", expected, hint)
