"""The checks. Each has inputs of its own, which are right, so that a mistake fails one of them.

Run with ``python -m pytest tools/check --solution DIR`` or, for several folders, ``python -m tools.check``.
"""

import functools
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.gradient_check import explain
from tools.check import PENALTIES
from tools.check.answers import NOTES, advise, agree, filled, layout, missing, require, shown, wrong
from tools.check.child import build, load, load_mnist, locate, switched_on, takes_lambda
from tools.check.folders import source
from tools.check.oracles import LOGISTIC, SOFTMAX, Array, Kind, batch_loader

N = 100
BATCH = 128
DATA = ("X_train", "Y_train", "X_val", "Y_val")
# The run of task 2 stops at step 1038, in epoch 33; with a patience of 20, in epoch 47.
EPOCHS, STOP_STEP, PATIENCE = 50, 1038, 10


def softmax() -> Kind:
    """Give the softmax model, with the modules in which a solution has it."""
    return replace(SOFTMAX, models=locate("task3a"), trainers=locate("task3"))


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> Kind:
    """Give the model that a check has in its name; a check of both has two names."""
    return softmax() if "softmax" in request.node.name else LOGISTIC


OVERFLOW = "pixels are uint8, in which 2 * 200 is 144; convert first: X.astype(float)"
PER_IMAGE = "each image is scaled by its own largest value; expected is X / 127.5 - 1 for all"


def test_preprocessing() -> None:
    """Pixels, uint8 as in the data set, become -1…1, and a column of ones is there."""
    rng = np.random.default_rng(0)
    # Most images are not as dark as a pixel can be, nor as bright.
    pixels = rng.integers(rng.integers(0, 100, (N, 1)), rng.integers(150, 257, (N, 1)), (N, 784))
    pixels[0, :2] = 0, 255
    pixels = pixels.astype(np.uint8)
    floats = pixels.astype(float)
    scaled = floats / 127.5 - 1
    pre_process_images = load("task2a", "pre_process_images")
    called = f"task2a.pre_process_images(X), X uint8 of shape {pixels.shape}"
    returned = filled(called, pre_process_images(pixels.copy()), given=pixels)
    # The course leaves open at which end the ones are.
    bias = 0 if np.ptp(np.asarray(returned)[:, 0]) == 0 else 784

    def with_bias(images: Array, value: float = 1) -> Array:
        return np.insert(images, bias, value, axis=1)

    mistakes = {
        "pixels are divided by 128, not by 127.5": with_bias(floats / 128 - 1),
        "the ones of the bias trick become -0.992: scale first": with_bias(scaled, 1 / 127.5 - 1),
        "the column of ones of the bias trick is not there": scaled,
    }
    brightest = (returned[:, 1:] if bias == 0 else returned[:, :784]).max(axis=1)
    if agree(brightest, np.full(N, brightest[0])):
        mistakes[PER_IMAGE] = returned
    if agree(pre_process_images(floats), with_bias(scaled)):
        mistakes = {OVERFLOW: returned}
    require(called, returned, with_bias(scaled), mistakes, of_2020=with_bias(floats / 255))


AXIS = "the outputs of a class add up to 1, not those of a sample: the sum is over axis=1, not 0"


def test_logistic_outputs(kind: Kind) -> None:
    """The model's ``forward`` gives the activation of X w."""
    X, _, w = kind.samples(N)
    model = build(load(kind.models, kind.model))
    model.w = w.copy()
    called = f"{kind.models}.{kind.model}().forward(X), X of shape {X.shape}, w of {w.shape}"
    returned = model.forward(X.copy())
    adds_up = np.ndim(returned) == 2 and agree(np.sum(returned, axis=0), np.ones(kind.K))
    require(called, returned, kind.activation(X @ w), {AXIS: returned} if adds_up else {})


# Hints, and how many times the right loss a loss is then.
LOSSES = {
    "the losses are summed; expected is their mean: divide by the batch size": N,
    "the mean is over classes, too; divide by the batch size only": 1 / 10,
    "the mean is over classes, and samples are summed: sum over axis 1, mean over axis 0": N / 10,
}
INTEGERS = "targets are integers, and so is np.zeros_like(targets): it cuts off what it is given"


def test_logistic_loss(kind: Kind) -> None:
    """The loss of given outputs is the mean over the batch, a float."""
    X, targets, w = kind.samples(N)
    outputs = kind.activation(X @ w)
    right = kind.loss(targets, outputs)
    called = f"{kind.models}.cross_entropy_loss(targets, outputs), both of shape {outputs.shape}"
    loss = load(kind.models, "cross_entropy_loss")
    returned = loss(targets.copy(), outputs.copy())
    mistakes = {hint: factor * right for hint, factor in LOSSES.items()}
    if agree(loss(1.0 * targets, outputs.copy()), right):
        mistakes = {INTEGERS: returned}
    require(called, returned, right, mistakes, of_2020=right / kind.K)


def gradient(model: Any, X: Array, outputs: Array, targets: Array, w: Array) -> Array:
    """Call `backward` and get `grad`; missing where it is None or zero, as in the starter code."""
    model.w = w.copy()
    model.backward(X.copy(), outputs.copy(), targets.copy())
    return np.array(filled(f"{type(model).__name__}.backward: .grad", model.grad))


def test_logistic_gradient(kind: Kind) -> None:
    """The gradient without a penalty agrees with central differences."""
    X, targets, w = kind.samples(20)
    model = build(load(kind.models, kind.model))
    returned = gradient(model, X, kind.activation(X @ w), targets, w)
    right = kind.gradient(X, targets, w)
    mistakes = {}
    if returned.shape == w.shape and np.isfinite(returned).all():
        mistakes[explain(returned, right, w, 0.0, len(X))] = returned
    called = f"{kind.models}.{kind.model}().backward(X, outputs, targets), then .grad"
    require(called, returned, right, mistakes, of_2020=right / kind.K)


def test_logistic_accuracy(kind: Kind) -> None:
    """The accuracy is the fraction that is right; of one output, 0.5 counts as 1."""
    X, targets, w = kind.samples(N)
    calculate_accuracy = load(kind.trainers, "calculate_accuracy")
    model = build(kind.right_model(load(kind.models, kind.model)))
    model.w = w
    called = f"{kind.trainers}.calculate_accuracy(X, targets, model), {N} samples"
    right = kind.accuracy(X, targets, model)
    returned = calculate_accuracy(X.copy(), targets.copy(), model)
    require(called, returned, right)
    if kind is LOGISTIC:
        # Ties of both targets, but not as many of each: no wrong rule gives the right fraction.
        X[:15], targets[:10], targets[10:15] = 0, 1, 0
        right = kind.accuracy(X, targets, model)
        called += ", 15 of them with an output of 0.5, 10 of these with target 1"
        rule = "ŷ = 0.5 counts as 1: the rule is ŷ >= 0.5; "
        ties = {
            f"{rule}> and np.round make it 0": right - 0.05,
            f"{rule}abs(y - ŷ) < 0.5 takes it as right for neither target": right - 0.1,
            f"{rule}<= 0.5 and np.isclose take it as right for both targets": right + 0.05,
        }
        require(called, calculate_accuracy(X, targets, model), right, ties)


def test_one_hot() -> None:
    """Labels become rows with a single 1, even if the last class is not among them."""
    Y = np.random.default_rng(0).integers(0, 9, (N, 1))
    models = softmax().models
    called = f"{models}.one_hot_encode(Y, 10), Y of shape {Y.shape}, values 0 to 8"
    returned = filled(called, load(models, "one_hot_encode")(Y.copy(), 10), given=Y)
    require(called, returned, np.eye(10)[Y[:, 0]])


# The same for the other model: `kind` goes by the name.
test_softmax_outputs = test_logistic_outputs
test_softmax_loss = test_logistic_loss
test_softmax_gradient = test_logistic_gradient


def penalty_models() -> Iterator[tuple[str, str]]:
    """Name the models that may have the penalty: task 3's own, then those of task 4."""
    own = softmax()
    yield own.models, own.model
    for module in ("task4", "task4a"):
        text = source(Path(f"{module}.py"))
        if module != own.models and "def backward" in text:
            yield from ((module, name) for name in re.findall(r"^class (\w+)", text, re.MULTILINE))


def test_l2_gradient(request: pytest.FixtureRequest) -> None:
    """With λ, the gradient grows by that of the penalty, whatever the gradient of the loss is."""
    penalty = request.config.getoption("--penalty")
    other = "half" if penalty == "square" else "square"
    (R, right, factor), (other_R, yours, other_factor) = PENALTIES[penalty], PENALTIES[other]
    X, targets, w = SOFTMAX.samples(N)
    data = X, SOFTMAX.activation(X @ w), targets, w
    found: dict[str, Array] = {}
    for module, name in penalty_models():
        model = load(module, name)
        if hasattr(model, "backward") and takes_lambda(model):
            with_penalty, without = (gradient(build(model, value), *data) for value in (1.0, 0.0))
            found[f"{module}.{name}"] = with_penalty - without
            if np.any(with_penalty - without):
                break
    if not found:
        missing(f"{softmax().models}.SoftmaxModel takes no l2_reg_lambda")
    place, returned = found.popitem()
    if not place.startswith(softmax().models):
        NOTES.append(layout(found=f"the penalty is in {place}"))
    mistakes = {
        f"λ changes nothing in .grad: there is no {right}, or a switch for it is off": 0 * w,
        f"{right} is divided by the batch size; only the loss is a mean": factor * w / N,
        f"the gradient of {R} is {right}; yours has {yours}. That would be right for {other_R}:"
        f" --penalty {other}": other_factor * w,
    }  # fmt: skip
    called = f"{place}(λ).backward(…): .grad for λ = 1, minus .grad for λ = 0"
    require(called, returned, factor * w, mistakes)


test_softmax_accuracy = test_logistic_accuracy

NAN_OUTPUTS = "inf / inf is NaN; subtract the largest logit before exp; in task 2, use exp(-X w)"
NAN_LOSS = "0 · ln 0 is NaN; keep ŷ away from both: np.clip(outputs, 1e-15, 1 - 1e-15)"


def advise_finite(called: str, returned: Any, expected: str, hint: str) -> None:
    """Advise whoever returned what is not finite."""
    values = np.asarray(filled(called, returned), dtype=float)
    if (bad := values[~np.isfinite(values)]).size:
        advise(called, f"{shown(bad[0])} for {bad.size} of {values.size} values", expected, hint)


def test_large_logits() -> None:
    """Logits of thousands make neither outputs nor losses NaN. No edition asks for that."""
    for kind in (LOGISTIC, softmax()):
        X, _, w = kind.samples(N)
        X[:, 0] = np.where(X[:, 0] > 0, 1, -1)
        w[0] = 1000 * np.arange(1, kind.K + 1)
        model = build(load(kind.models, kind.model))
        model.w = w
        logits = X @ w
        called = f"{kind.models}.{kind.model}().forward(X)"
        called += f", logits from {logits.min():.0f} to {logits.max():.0f}"
        advise_finite(called, model.forward(X), "0 to 1", NAN_OUTPUTS)
        outputs = kind.activation(logits)
        targets = outputs.round()
        outputs[0] = 0.5  # All others say with certainty what is right.
        returned = load(kind.models, "cross_entropy_loss")(targets, outputs)
        called = f"{kind.models}.cross_entropy_loss(targets, outputs), outputs 0 and 1, all right"
        advise_finite(called, returned, f"{kind.loss(targets, outputs):.4g}", NAN_LOSS)


def make_trainer(kind: Kind, patch: pytest.MonkeyPatch, w: Array, *data: Array) -> Any:
    """Make a trainer whose model, loss, accuracy and batches are right."""
    trainer = load(kind.trainers, kind.trainer)
    model = build(kind.right_model(load(kind.models, kind.model)))
    model.w = w.copy()
    arguments = {
        "model": model,
        "learning_rate": kind.learning_rate,
        "batch_size": BATCH,
        "shuffle_dataset": False,
        **dict(zip(DATA, map(np.copy, data), strict=True)),
    }
    # Starter code reads globals that only its script defines, and so do some solutions.
    right = arguments | {"cross_entropy_loss": kind.loss, "calculate_accuracy": kind.accuracy}
    right |= {"batch_loader": batch_loader, "num_epochs": EPOCHS, "l2_reg_lambda": 0.0}
    for module in {kind.trainers, kind.models, "trainer", "utils"} & sys.modules.keys():
        for name, value in right.items():
            patch.setattr(sys.modules[module], name, value, raising=False)
    return trainer(*arguments.values(), **switched_on(trainer))


def small_data(kind: Kind, batches: int = 5) -> list[Array]:
    """Make w, X_train, Y_train, X_val and Y_val, of a few random samples."""
    X, Y, w = kind.samples(batches * BATCH)
    return [w, X, Y, *kind.samples(BATCH, seed=1)[:2]]


def watched_run(trainer: Any, num_epochs: int) -> tuple[list[Array], list[int], Any]:
    """Train, with early stopping switched on where it can be.

    Returns
    -------
    weights : list of ndarray
        After each step.
    validated : list of int
        The steps after which validations came.
    returned : object
    """
    weights: list[Array] = []
    validated: list[int] = []
    train_step, validation_step = trainer.train_step, trainer.validation_step

    def noting_step(*batch: Array, **named: Array) -> Any:
        loss = train_step(*batch, **named)
        weights.append(np.array(trainer.model.w))
        return loss

    def noting_validation() -> Any:
        validated.append(len(weights) - 1)
        return validation_step()

    trainer.train_step, trainer.validation_step = noting_step, noting_validation
    returned = trainer.train(num_epochs, **switched_on(trainer.train))
    if not validated and returned:  # Who validates several at once notes where they belong.
        validated += returned[1]["loss"]
    return weights, validated, returned


def test_train_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is w ← w − η grad, and returns the loss before it."""
    for kind in (LOGISTIC, softmax()):
        w, X, Y, *validation = small_data(kind)
        trainer = make_trainer(kind, monkeypatch, w, X, Y, *validation)
        X, Y = X[:BATCH], Y[:BATCH]
        outputs = kind.activation(X @ w)
        step = -kind.learning_rate * X.T @ (outputs - Y) / BATCH
        called = f"{kind.trainers}.{kind.trainer}(…).train_step(X_batch, Y_batch)"
        returned = trainer.train_step(X.copy(), Y.copy())
        require(f"{called}: the change of model.w", trainer.model.w - w, step)
        # Whether a loss may be an array of one element, the checks of the losses say.
        require(f"{called}: the loss before it", np.squeeze(returned), kind.loss(Y, outputs))


def test_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """It returns loss and accuracies of the present weights, and comes five times an epoch."""
    for kind in (LOGISTIC, softmax()):
        w, X, Y, X_val, Y_val = small_data(kind)
        trainer = make_trainer(kind, monkeypatch, w, X, Y, X_val, Y_val)
        loss = kind.loss(Y_val, kind.activation(X_val @ w))
        accuracies = [kind.accuracy(x, y, trainer.model) for x, y in ((X, Y), (X_val, Y_val))]
        called = f"{kind.trainers}.{kind.trainer}(…).validation_step()"
        returned = trainer.validation_step()
        if returned is None:
            missing(f"{called} gives None, as BaseTrainer's does")
        called += ": loss, accuracy_train, accuracy_val"
        values = returned if isinstance(returned, tuple | list) else [returned]
        require(called, [np.squeeze(value) for value in values], [loss, *accuracies])
    trainer = make_trainer(LOGISTIC, monkeypatch, *small_data(LOGISTIC, batches=10))
    _, validated, _ = watched_run(trainer, 2)
    gap = np.median(np.diff(validated))
    if gap != 2:
        hint = "validate when step % (batches_per_epoch // 5) is 0, as the starter code does"
        called = "task2.LogisticTrainer(…).train(2), 10 batches in an epoch"
        wrong(called, f"a validation every {gap:g} steps", "one every 2 steps", hint)


def test_batch_loader() -> None:
    """Batches have every sample once, in the order of the data unless that is to be shuffled."""
    load_batches = load("utils", "batch_loader")
    Y = np.arange(N)[:, np.newaxis]
    in_order = [*range(N // 32 * 32)]

    def order(**options: bool) -> list[int]:
        texts = ", ".join(f"{name}={value}" for name, value in options.items())
        called = f"utils.batch_loader(X, Y, 32, {texts}), {N} samples"
        batches = [*load_batches(1.0 * Y, Y.copy(), 32, **options)]
        sizes = [len(X_batch) for X_batch, _ in batches]
        expected = [32, 32, 32] if options.get("drop_last", True) else [32, 32, 32, N % 32]
        if sizes != expected:
            wrong(called, f"batches of {sizes}", f"batches of {expected}")
        rows, targets = (np.ravel(np.concatenate(parts)) for parts in zip(*batches, strict=True))
        if not np.array_equal(rows, targets):
            wrong(called, "samples with targets of others", "each with its own target")
        if len(np.unique(rows)) < len(rows):
            wrong(called, "some samples twice, others never", "every sample once")
        return rows.astype(int).tolist()

    if order(shuffle=False) != in_order:
        called = "utils.batch_loader(X, Y, 32, shuffle=False)"
        hint = "it shuffles always; without shuffle=True the order is that of the data"
        wrong(called, "another order", "the order of the data", hint)
    if "drop_last" in inspect.signature(load_batches).parameters:
        order(shuffle=False, drop_last=False)
    if order(shuffle=True) == in_order:
        missing("utils.batch_loader(…, shuffle=True) does not shuffle, as in the starter code")


@functools.cache
def long_run() -> tuple[Any, list[Array], list[int], Array, Any]:
    """Run the training of task 2, not shuffled.

    Ends the check as missing if there is no training, or nothing has stopped it.

    Returns
    -------
    trainer : object
    weights, validated, returned
        As of `watched_run`.
    losses : ndarray
        Of the validations.
    """
    X_train, Y_train, X_val, Y_val = load_mnist()
    training, (X, Y) = two_digits(X_train[:20_000], Y_train[:20_000]), two_digits(X_val, Y_val)
    with pytest.MonkeyPatch.context() as patch:
        trainer = make_trainer(LOGISTIC, patch, np.zeros((785, 1)), *training, X, Y)
        weights, validated, returned = watched_run(trainer, EPOCHS)
    called = f"task2.LogisticTrainer(…).train({EPOCHS})"
    if not weights or not np.any(weights[-1]):
        missing(f"{called} does not change w")
    if len(weights) == EPOCHS * (len(training[0]) // BATCH):
        missing(f"nothing has stopped {called}: early stopping is absent, off, or waits for longer")
    outputs = LOGISTIC.activation(np.array([X @ weights[step] for step in validated]))
    return trainer, weights, validated, LOGISTIC.loss(Y, outputs), returned


def two_digits(images: Array, labels: Array) -> tuple[Array, Array]:
    """Take the digits 2 and 3, preprocessed: X [N, 785], and 1 for a 2, 0 for a 3, [N, 1]."""
    chosen = np.isin(labels, (2, 3))
    X = np.insert(images[chosen] / 127.5 - 1, 784, 1, axis=1)
    return X, (labels[chosen, np.newaxis] == 2).astype(int)


def test_early_stopping() -> None:
    """The run of task 2 stops as soon as the best validation loss is 10 validations old."""
    _, weights, validated, losses, _ = long_run()
    ages = [i - int(np.argmin(losses[: i + 1])) for i in range(len(losses))]
    right = validated[ages.index(PATIENCE)] if PATIENCE in ages else STOP_STEP
    if (last := len(weights) - 1) != right:
        called = f"task2.LogisticTrainer(…).train({EPOCHS}), digits 2 and 3, not shuffled"
        text = "the last step was {}, counted from 0, when the best validation loss was {}"
        text += " validations old"
        wrong(called, text.format(last, ages[-1]), text.format(right, PATIENCE))


KEEP = "keep w.copy(), not w, at each best validation loss; give it back to the model at the end"


def test_best_weights() -> None:
    """The weights with the best validation loss are kept, wherever the run has stopped."""
    trainer, weights, validated, losses, returned = long_run()
    best = validated[int(np.argmin(losses))]
    kept = [*vars(trainer).values(), *vars(trainer.model).values(), *(returned or ())]
    if not any(agree(getattr(one, "w", one), weights[best]) for one in kept):
        called = "task2.LogisticTrainer(…).train(…): the weights that are kept"
        expected = f"those of step {best}, which has the best validation loss"
        advise(called, "those of other steps", expected, KEEP)
