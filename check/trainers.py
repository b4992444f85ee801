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

KEEP = (
    "keep w.copy() at each new best validation loss, and give it back to the model at the end;"
    " without the copy, w -= … changes what was kept"
)


def make_trainer(kind: Kind, monkeypatch: pytest.MonkeyPatch, trainer: type, *data: Array) -> Any:
    """Make a trainer whose model, loss and accuracy are right, with weights of zero."""
    model = build(right_model(kind, load(kind.models, kind.model)))
    model.w = np.zeros((data[0].shape[1], kind.K))
    # The starter code's validation_step reads globals that only its script defines.
    right: dict[str, Any] = dict(zip(("X_train", "Y_train", "X_val", "Y_val"), data, strict=True))
    right |= {"cross_entropy_loss": kind.loss, "calculate_accuracy": kind.accuracy}
    for name, value in right.items():
        for module in (kind.trainers, kind.models):
            monkeypatch.setattr(f"{module}.{name}", value, raising=False)
    return trainer(model, kind.learning_rate, BATCH, False, *data)


def small_trainer(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Array]]:
    """Make a trainer with a few random samples; and its data, and its weights."""
    trainer = load(kind.trainers, kind.trainer)
    X, Y, w = kind.samples(5 * BATCH)
    X_val, Y_val, _ = kind.samples(BATCH, seed=1)
    data = [X, Y, X_val, Y_val]
    made = make_trainer(kind, monkeypatch, trainer, *(part.copy() for part in data))
    made.model.w = w.copy()
    return made, [*data, w]


def require_step(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for a step, and for the loss before it."""
    trainer, (X, Y, _, _, w) = small_trainer(kind, monkeypatch)
    X, Y = X[:BATCH], Y[:BATCH]
    outputs = kind.activation(X @ w)
    right = -kind.learning_rate * X.T @ (outputs - Y) / BATCH
    loss = kind.loss(Y, outputs)
    loss_after = kind.loss(Y, kind.activation(X @ (w + right)))
    called = f"{kind.trainers}.{kind.trainer}(…).train_step(X_batch, Y_batch)"
    returned = trainer.train_step(X.copy(), Y.copy())
    step = np.asarray(trainer.model.w) - w
    if not np.any(step) and (returned is None or np.all(np.equal(returned, 0))):
        missing(f"{called} does not change w, as in the starter code")
    mistakes = {
        "w has not changed: w ← w − η grad belongs into train_step, for self.model": 0 * right,
        "w goes up the gradient; a step is w − η grad": -right,
        "the learning rate is missing; a step is w − η grad": right / kind.learning_rate,
        "the gradient is a mean already; here it is divided by the batch size": right / BATCH,
    }
    require(f"{called}: the change of model.w", step, right, mistakes)
    if returned is None:
        raise WrongAnswer(called, "None", f"{loss:.7g}", "return the loss of the batch")
    hint = "that is the loss after the update; expected is the one before it"
    # Whether a loss may be an array of one element, the checks of the losses say.
    require(called, np.squeeze(returned), loss, {hint: loss_after})


def require_validation(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for the loss and both accuracies of the present weights."""
    trainer, (X, Y, X_val, Y_val, w) = small_trainer(kind, monkeypatch)
    train_loss, loss = (kind.loss(y, kind.activation(x @ w)) for x, y in ((X, Y), (X_val, Y_val)))
    train, val = (kind.accuracy(x, y, trainer.model) for x, y in ((X, Y), (X_val, Y_val)))
    names = "loss, accuracy_train, accuracy_val"
    called = f"{kind.trainers}.{kind.trainer}(…).validation_step()"
    returned = trainer.validation_step()
    if returned is None:
        missing(f"{called} gives None, as BaseTrainer's does")
    if not isinstance(returned, tuple | list) or len(returned) != 3:
        raise WrongAnswer(called, f"{returned!r:.60}", f"a tuple: {names}")
    mistakes = {
        "first comes the accuracy on the training set, then the other one": (loss, val, train),
        "the loss is not that of the validation set, but of the other": (train_loss, train, val),
        "these accuracies are in percent; expected are fractions": (loss, 100 * train, 100 * val),
    }
    found = [np.squeeze(value) for value in returned]
    require(f"{called}: {names}", found, (loss, train, val), mistakes)


def require_early_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask where the run of task 2 stops, and whether the best weights are kept."""
    data = (*load_digits("train", 20_000), *load_digits("t10k", 10_000))
    weights: list[Array] = []
    base = load(LOGISTIC.trainers, LOGISTIC.trainer)

    class Trainer(base):  # type: ignore[misc, valid-type]
        def train_step(self, X_batch: Array, Y_batch: Array) -> Any:
            loss = super().train_step(X_batch, Y_batch)
            weights.append(np.array(self.model.w))
            return loss

    trainer = make_trainer(LOGISTIC, monkeypatch, Trainer, *data)
    returned: Any = None
    try:
        returned = trainer.train(EPOCHS)
    except Exception:
        # Some leave their loop by an exception. Whether that was the reason, the step shows.
        if len(weights) != STOP_STEP + 1:
            raise
    if not weights or not np.any(weights[-1]):
        missing("task2.LogisticTrainer(…).train(…) does not change w")
    last = len(weights) - 1
    called = f"task2.LogisticTrainer(…).train({EPOCHS}), digits 2 and 3, not shuffled"
    expected = f"stopped at step {STOP_STEP}, counted from 0, with the weights of step {BEST_STEP}"
    if last != STOP_STEP:
        hint = stop_hint(last, EPOCHS * (len(data[0]) // BATCH))
        raise WrongAnswer(called, f"went on to step {last}", expected, hint)
    kept = [*vars(trainer).values(), *vars(trainer.model).values()]
    kept += returned if isinstance(returned, tuple) else [returned]
    if not any(agree(getattr(one, "w", one), weights[BEST_STEP]) for one in kept):
        which = f"those of step {last}" if agree(trainer.model.w, weights[-1]) else "other weights"
        raise WrongAnswer(called, f"stopped at step {last} with {which}", expected, KEEP)


def stop_hint(last: int, steps: int) -> str:
    """Say what it looks like that a run ended with a step."""
    rule = f"the best loss comes at step {BEST_STEP}, and is 10 validations old at {STOP_STEP}"
    if last + 1 == steps:
        return "nothing has stopped it: early stopping is not there, or its condition is never met"
    if (last - STOP_STEP) % STEPS_PER_VALIDATION:
        return f"{rule}; stop there, not at the end of the epoch"
    return f"{rule}; a validation comes every {STEPS_PER_VALIDATION} steps"


def load_digits(split: str, count: int) -> tuple[Array, Array]:
    """Read the digits 2 and 3, preprocessed: X [N, 785], and 1 for a 2, 0 for a 3, [N, 1]."""
    files = (DATA_DIR / f"{split}-{name}-ubyte.gz" for name in ("images-idx3", "labels-idx1"))
    images, labels = (np.frombuffer(gzip.decompress(f.read_bytes()), np.uint8) for f in files)
    labels = labels[8:][:count]
    chosen = np.isin(labels, (2, 3))
    X = images[16:].reshape(-1, 784)[:count][chosen] / 127.5 - 1
    return np.hstack([X, np.ones((len(X), 1))]), (labels[chosen, np.newaxis] == 2).astype(int)
