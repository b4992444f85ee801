"""The checks. Each has inputs of its own, which are right, so that a mistake fails one of them.

Run with ``python -m pytest check --solution DIR`` or, for several folders, ``python -m check``.
"""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np
import pytest

from check.answers import agree, missing, require, shown, wrong
from check.child import DATA_DIR, build, load, takes_lambda
from check.oracles import LOGISTIC, SOFTMAX, Array, Kind, central_differences, right_model
from numerics.gradient_check import explain

N = 100
BATCH = 128
# The run of task 2: validations are every 6 steps, and the best loss of all comes at step 978.
EPOCHS, BEST_STEP, STOP_STEP, STEPS_PER_VALIDATION = 40, 978, 1038, 6

OVERFLOW = (
    "it is right for float pixels, but these are uint8, as in the data set, and since NumPy 2"
    " 2 * X then is uint8, too: 200 becomes 144. Convert first: X.astype(float)"
)
PIXELS = {
    "pixels are divided by 128: 255 becomes 0.992; divided by 127.5 it becomes 1": (128, 1),
    "pixels become 0 to 1; expected are -1 to 1: X / 127.5 - 1": (255, 0),
    "pixels stay 0 to 255; expected are -1 to 1: X / 127.5 - 1": (1, 0),
}


def test_preprocessing() -> None:
    """Pixels, uint8 as in the data set, become -1…1, and a column of ones is there."""
    pixels = np.random.default_rng(0).integers(0, 256, (N, 784), dtype=np.uint8)
    pre_process_images = load("task2a", "pre_process_images")
    returned = pre_process_images(pixels.copy())
    if np.shape(returned) == pixels.shape and np.array_equal(returned, pixels):
        missing("task2a.pre_process_images gives X as it was, as the starter code does")
    # The course leaves open at which end the ones are.
    is_first = np.shape(returned) == (N, 785) and np.all(np.asarray(returned)[:, 0] == 1)

    def processed(scale: float, shift: float) -> Array:
        X = np.pad(pixels / scale - shift, ((0, 0), (0, 1)), constant_values=1)
        return np.roll(X, int(is_first), axis=1)

    right = processed(127.5, 1)
    mistakes = {hint: processed(*how) for hint, how in PIXELS.items()}
    mistakes["the column of ones of the bias trick is not there"] = pixels / 127.5 - 1
    if not agree(returned, right) and agree(pre_process_images(pixels.astype(float)), right):
        mistakes[OVERFLOW] = returned
    require(f"task2a.pre_process_images(X), X {shown(pixels)}", returned, right, mistakes)


NO_SUM = (
    "the outputs of a sample do not add up to 1: divide exp(X w) by its sum over the classes,"
    " axis=1, not axis=0"
)


def require_outputs(kind: Kind) -> None:
    """Ask for the outputs of a model."""
    X, _, w = kind.samples(N)
    logits = X @ w
    model = build(load(kind.models, kind.model))
    model.w = w.copy()
    returned = model.forward(X.copy())
    sign = "the sign of X w is wrong, or the outputs are those of the other class"
    mistakes = {
        "these are the logits X w, without the activation": logits,
        sign: kind.activation(-logits),
    }
    is_matrix = np.shape(returned) == logits.shape
    if kind is SOFTMAX and is_matrix and not agree(np.sum(returned, axis=-1), np.ones(N)):
        mistakes[NO_SUM] = returned
    called = f"{kind.models}.{kind.model}().forward(X), X of shape {X.shape}, w of {w.shape}"
    require(called, returned, kind.activation(logits), mistakes)


def test_logistic_outputs() -> None:
    """The model's ``forward`` gives 1 / (1 + exp(-X w))."""
    require_outputs(LOGISTIC)


LOSSES = {
    "the losses are summed; expected is their mean: divide by the batch size": N,
    "ln ŷ is negative: the loss has a minus in front": -1,
    "the mean is over classes, too; divide by the batch size only": 1 / 10,
    "it is divided by the batch size once too often": 1 / N,
}


def require_loss(kind: Kind) -> None:
    """Ask for the loss of outputs that are given."""
    X, targets, w = kind.samples(N)
    outputs = kind.activation(X @ w)
    right = kind.loss(targets, outputs)
    mistakes = {hint: factor * right for hint, factor in LOSSES.items()}
    only_1 = -np.log(outputs[targets == 1]).sum() / N
    mistakes["only targets of 1 count; (1 - y) ln(1 - ŷ) is missing"] = only_1
    called = f"{kind.models}.cross_entropy_loss(targets, outputs), both of shape {outputs.shape}"
    loss = load(kind.models, "cross_entropy_loss")
    require(called, loss(targets.copy(), outputs.copy()), right, mistakes)


def test_logistic_loss() -> None:
    """The loss is the mean over the batch, a float."""
    require_loss(LOGISTIC)


def gradient(model: Any, X: Array, outputs: Array, targets: Array, w: Array) -> Array:
    """Call `backward` and get `grad`; missing where it is None or zero, as in the starter code."""
    model.w = w.copy()
    model.backward(X.copy(), outputs.copy(), targets.copy())
    if model.grad is None or not np.any(model.grad):
        found = "None" if model.grad is None else "zero"
        missing(f"{type(model).__name__}.grad is {found} after backward, as in the starter code")
    return np.array(model.grad)


def require_gradient(kind: Kind) -> None:
    """Ask for the gradient without a penalty, for outputs that are given."""
    X, targets, w = kind.samples(20)
    model = build(load(kind.models, kind.model))
    returned = gradient(model, X, kind.activation(X @ w), targets, w)
    right = central_differences(kind, X, targets, w)
    mistakes = {}
    if returned.shape == w.shape and np.isfinite(returned).all():
        mistakes[explain(returned, right, w, 0.0, len(X))] = returned
    called = f"{kind.models}.{kind.model}().backward(X, outputs, targets), then .grad"
    require(called, returned, right, mistakes)


def test_logistic_gradient() -> None:
    """The gradient agrees with central differences."""
    require_gradient(LOGISTIC)


def require_accuracy(kind: Kind) -> None:
    """Ask for the accuracy of a model whose outputs are right."""
    X, targets, w = kind.samples(N)
    calculate_accuracy = load(kind.trainers, "calculate_accuracy")
    model = build(right_model(kind, load(kind.models, kind.model)))
    model.w = w
    called = f"{kind.trainers}.calculate_accuracy(X, targets, model), {N} samples"
    right = kind.accuracy(X, targets, model)
    returned = calculate_accuracy(X.copy(), targets.copy(), model)
    if np.ndim(returned) == 0 and returned == 0:
        missing(f"{called}, gives 0, as the starter code does")
    mistakes = {
        "that is percent, or how many are right; expected is the fraction, 0 to 1": N * right,
        "that is the fraction of what is wrong": 1 - right,
    }
    require(called, returned, right, mistakes)
    if kind is LOGISTIC:
        X[:10], targets[:10] = 0, 1
        right = kind.accuracy(X, targets, model)
        called += ", 10 of them with an output of 0.5 and target 1"
        rule = "ŷ = 0.5 counts as 1: the rule is ŷ >= 0.5; > and np.round give 0"
        require(called, calculate_accuracy(X, targets, model), right, {rule: right - 0.1})


def test_logistic_accuracy() -> None:
    """The accuracy is the fraction that is right; 0.5 counts as 1."""
    require_accuracy(LOGISTIC)


def test_one_hot() -> None:
    """Labels become rows with a single 1, even if the last class is not among them."""
    Y = np.random.default_rng(0).integers(0, 9, (N, 1))
    one_hot_encode = load("task3a", "one_hot_encode")
    right = np.eye(10)[Y[:, 0]]
    mistakes = {
        "one column is expected for each of num_classes, even if Y lacks one": right[:, :9],
        "Y has two dimensions, so indexing with it gives three; use Y[:, 0]": np.eye(10)[Y],
    }
    called = f"task3a.one_hot_encode(Y, 10), Y of shape {Y.shape}, values 0 to 8"
    require(called, one_hot_encode(Y.copy(), 10), right, mistakes)


def test_softmax_outputs() -> None:
    """The model's ``forward`` gives exp(X w), divided by its sum over the classes."""
    require_outputs(SOFTMAX)


def test_softmax_loss() -> None:
    """The loss is the mean over the batch, a float."""
    require_loss(SOFTMAX)


def test_softmax_gradient() -> None:
    """The gradient agrees with central differences."""
    require_gradient(SOFTMAX)


PENALTIES = {
    "the gradient of λ Σ w² is 2λw; yours has λw": 1 / 2,
    "λ changes nothing in .grad: backward adds no 2λw, or a switch for it is off": 0,
    "2λw is divided by the batch size, but only the loss is a mean over the batch": 1 / N,
    "it is λw instead of 2λw, and divided by the batch size besides": 1 / (2 * N),
    "2λw is subtracted from the gradient of the loss; it is added": -1,
}


def test_l2_gradient() -> None:
    """With λ, the gradient grows by 2λw, whatever the gradient of the loss is."""
    model = load("task3a", "SoftmaxModel")
    if not takes_lambda(model):
        missing("task3a.SoftmaxModel takes no l2_reg_lambda")
    X, targets, w = SOFTMAX.samples(N)
    data = X, SOFTMAX.activation(X @ w), targets, w
    returned = gradient(build(model, 1.0), *data) - gradient(build(model, 0.0), *data)
    right = 2 * w
    mistakes = {hint: factor * right for hint, factor in PENALTIES.items()}
    without_bias = right * (np.arange(len(w)) < len(w) - 1)[:, np.newaxis]
    mistakes["the bias has no penalty; R(w) is over all weights, its row included"] = without_bias
    called = "task3a.SoftmaxModel(λ).backward(…): .grad for λ = 1, minus .grad for λ = 0"
    require(called, returned, right, mistakes)


def test_softmax_accuracy() -> None:
    """The accuracy is the fraction that is right."""
    require_accuracy(SOFTMAX)


NAN_SOFTMAX = (
    "exp of a large number is infinite, and inf / inf is NaN. Subtract from the logits of a sample"
    " their maximum first: softmax stays the same"
)
NAN_LOGISTIC = "exp of a large number is infinite; 1 / (1 + exp(-X w)) is finite all the same"
NAN_LOSS = (
    "where ŷ is rounded to 0 or 1, 0 · ln 0 is NaN. Keep ŷ away from both before the logarithm:"
    " np.clip(outputs, 1e-15, 1 - 1e-15)"
)


def require_finite(called: str, returned: Any, expected: str, hint: str) -> None:
    """Ask for finite values."""
    if returned is None:
        missing(f"{called}, gives None, as the starter code does")
    bad = ~np.isfinite(returned)
    if bad.any():
        example = shown(np.asarray(returned)[bad][0])
        found = f"{example} for {bad.sum()} of {bad.size} values"
        wrong(called, found, expected, hint)


def require_large_logits(kind: Kind) -> None:
    """Ask for finite outputs of large logits, and a finite loss of outputs that are 0 and 1."""
    X, _, w = kind.samples(N)
    X[:, 0] = np.where(X[:, 0] > 0, 1, -1)
    w[0] = 1000 * np.arange(1, kind.K + 1)
    logits = X @ w
    outputs = kind.activation(logits)
    model = build(load(kind.models, kind.model))
    model.w = w
    span = f"logits from {logits.min():.0f} to {logits.max():.0f}"
    called = f"{kind.models}.{kind.model}().forward(X), {span}"
    hint = NAN_LOGISTIC if kind is LOGISTIC else NAN_SOFTMAX
    require_finite(called, model.forward(X), "0 to 1", hint)
    # Each of them says with certainty what is right: its loss is 0.
    loss = load(kind.models, "cross_entropy_loss")
    called = f"{kind.models}.cross_entropy_loss(targets, outputs), outputs 0 and 1, all right"
    require_finite(called, loss(outputs.round(), outputs), "0", NAN_LOSS)


def test_large_logits() -> None:
    """Logits of thousands make neither outputs nor losses NaN."""
    for kind in (LOGISTIC, SOFTMAX):
        require_large_logits(kind)


def make_trainer(kind: Kind, monkeypatch: pytest.MonkeyPatch, w: Array, *data: Array) -> Any:
    """Make a trainer whose model, loss and accuracy are right."""
    trainer = load(kind.trainers, kind.trainer)
    model = build(right_model(kind, load(kind.models, kind.model)))
    model.w = w
    # The starter code's validation_step reads globals that only its script defines.
    right: dict[str, Any] = dict(zip(("X_train", "Y_train", "X_val", "Y_val"), data, strict=True))
    right |= {"cross_entropy_loss": kind.loss, "calculate_accuracy": kind.accuracy}
    for name, value in right.items():
        for module in (kind.trainers, kind.models):
            monkeypatch.setattr(f"{module}.{name}", value, raising=False)
    return trainer(model, kind.learning_rate, BATCH, False, *data)


def small_trainer(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Array]]:
    """Make a trainer of a few random samples; give copies of its data and its weights, too."""
    X, Y, w = kind.samples(5 * BATCH)
    arrays = [w, X, Y, *kind.samples(BATCH, seed=1)[:2]]
    return make_trainer(kind, monkeypatch, *(array.copy() for array in arrays)), arrays


def require_step(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for a step, and for the loss before it."""
    trainer, (w, X, Y, _, _) = small_trainer(kind, monkeypatch)
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
    }
    require(f"{called}: the change of model.w", step, right, mistakes)
    if returned is None:
        wrong(called, "None", f"{loss:.7g}", "return the loss of the batch")
    hint = "that is the loss after the update; expected is the one before it"
    # Whether a loss may be an array of one element, the checks of the losses say.
    require(called, np.squeeze(returned), loss, {hint: loss_after})


def test_train_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is w ← w − η grad, and returns the loss before it."""
    for kind in (LOGISTIC, SOFTMAX):
        require_step(kind, monkeypatch)


def require_validation(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for the loss and both accuracies of the present weights."""
    trainer, (w, X, Y, X_val, Y_val) = small_trainer(kind, monkeypatch)
    train_loss, loss = (kind.loss(y, kind.activation(x @ w)) for x, y in ((X, Y), (X_val, Y_val)))
    train, val = (kind.accuracy(x, y, trainer.model) for x, y in ((X, Y), (X_val, Y_val)))
    names = "loss, accuracy_train, accuracy_val"
    called = f"{kind.trainers}.{kind.trainer}(…).validation_step()"
    returned = trainer.validation_step()
    if returned is None:
        missing(f"{called} gives None, as BaseTrainer's does")
    if not isinstance(returned, tuple | list) or len(returned) != 3:
        wrong(called, f"{returned!r:.60}", f"a tuple: {names}")
    found = [np.squeeze(value) for value in returned]
    mistakes = {
        "first comes the accuracy on the training set, then the other one": (loss, val, train),
        "the loss is not that of the validation set, but of the other": (train_loss, train, val),
    }
    require(f"{called}: {names}", found, (loss, train, val), mistakes)


def test_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """It returns the loss and both accuracies of the present weights."""
    for kind in (LOGISTIC, SOFTMAX):
        require_validation(kind, monkeypatch)


KEEP = (
    "keep w.copy() at each new best validation loss, and give it back to the model at the end;"
    " without the copy, w -= … changes what was kept"
)


def test_early_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run of task 2 stops at step 1038, and the best weights are kept."""
    data = (*load_digits("train", 20_000), *load_digits("t10k", 10_000))
    trainer = make_trainer(LOGISTIC, monkeypatch, np.zeros((785, 1)), *data)
    weights: list[Array] = []
    train_step = trainer.train_step

    def noting_step(*batch: Array) -> Any:
        loss = train_step(*batch)
        weights.append(np.array(trainer.model.w))
        return loss

    trainer.train_step = noting_step
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
        wrong(called, f"went on to step {last}", expected, hint)
    kept = [*vars(trainer).values(), *vars(trainer.model).values()]
    kept += returned if isinstance(returned, tuple) else [returned]
    if not any(agree(getattr(one, "w", one), weights[BEST_STEP]) for one in kept):
        which = f"those of step {last}" if agree(trainer.model.w, weights[-1]) else "other weights"
        wrong(called, f"stopped at step {last} with {which}", expected, KEEP)


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
