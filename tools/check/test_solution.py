"""The checks. Each has its own inputs, which are right, so that a mistake fails only one of them.

Run with ``python -m pytest tools/check --solution DIR`` or ``python -m tools.check DIR ...``.
"""

import contextlib
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

from tools.check import PENALTIES, arguments, child, mistakes
from tools.check.answers import (
    NOTES,
    advise,
    agree,
    describe,
    layout,
    missing,
    require,
    require_result,
    wrong,
)
from tools.check.child import build, load, load_mnist, load_model, locate, require_filled
from tools.check.folders import read
from tools.check.mistakes import LAMBDA, Case, Run
from tools.check.oracles import LOGISTIC, SOFTMAX, Array, Kind, batch_loader

N = 100
BATCH = 128
DATA = ("X_train", "Y_train", "X_val", "Y_val")
# The run of task 2 stops at step 1038, in epoch 33; with a patience of 20, in epoch 47.
EPOCHS, STOP_STEP, PATIENCE = 50, 1038, 10
# For parameters that a solution, or the edition of 2020, has beside the usual ones.
GUESSES = {
    "l2_reg_lambda": 0.0,
    "patience": PATIENCE,
    "early_stopping": True,
    "num_epochs": EPOCHS,
    "seed": 0,
    "quiet": False,
    "fraction": 0.1,
}


def softmax() -> Kind:
    """Return the softmax model, with the modules in which a solution has it."""
    return replace(SOFTMAX, models=locate("task3a"), trainers=locate("task3"))


@pytest.fixture(params=["logistic", "softmax"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return the model to check: a check that asks for it runs for both."""
    return softmax() if request.param == "softmax" else LOGISTIC


OVERFLOW = "pixels are uint8, in which 2 * 200 is 144; convert first: X.astype(float)"


def test_preprocessing() -> None:
    """Pixels, uint8 as in the data set, become -1…1, and there is a column of ones."""
    rng = np.random.default_rng(0)
    # In most images no pixel is as dark as possible, and none as bright.
    pixels = rng.integers(rng.integers(0, 100, (N, 1)), rng.integers(150, 257, (N, 1)), (N, 784))
    pixels[0, :2] = 0, 255
    pixels = pixels.astype(np.uint8)
    floats = pixels.astype(float)
    pre_process_images = load("task2a", "pre_process_images")
    called = f"task2a.pre_process_images(X), X uint8 of shape {pixels.shape}"
    returned = require_result(called, pre_process_images(pixels.copy()), given=pixels)
    # The course leaves open at which end the ones are.
    ends = [np.insert(floats / 127.5 - 1, at, 1, axis=1) for at in (784, 0)]
    right = next((end for end in ends if agree(returned, end)), ends[0])
    hint = "" if agree(pre_process_images(floats.copy()), returned) else OVERFLOW
    case = Case(LOGISTIC, floats)
    require(called, returned, right, mistakes.PREPROCESSING, case, hint)


def test_binary_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the digits 2 and 3, the images of a 2 have the target 1, and the others 0."""
    called = "utils.load_binary_dataset(2, 3)"
    load_binary_dataset = load("utils", "load_binary_dataset")
    monkeypatch.setattr(child, "load_mnist", child.make_marked_images)
    data = arguments.call(load_binary_dataset, {"class1": 2, "class2": 3}, GUESSES)
    for name, X, Y in zip(("Y_train", "Y_val", "Y_test"), data[::2], data[1::2], strict=False):
        digits = marked_digits(X) or real_digits(X)
        if not digits or not {*digits} <= {2, 3}:
            wrong(called, "images of other digits, or none", "the images of 2 and 3")
        right = np.array(digits)[:, np.newaxis] == 2
        require(f"{called}: {name}", Y, right, mistakes.TARGETS, Case(LOGISTIC, X, right))


def marked_digits(images: Array) -> list[int]:
    """Tell the digits of marked images; empty if they are other images."""
    marks = np.flatnonzero(np.ptp(images, axis=0)).tolist()
    # Some solutions have already added the bias to the images, in front of them.
    if marks not in ([20, 30], [21, 31]):
        return []
    return np.where(images[:, marks[0]] > images[:, marks[1]], 2, 3).tolist()


def real_digits(images: Array) -> list[int]:
    """Tell the digits of images that a loader of the solution's own has loaded; 0 if unknown."""
    X_train, Y_train, X_test, Y_test = load_mnist()
    known = dict(zip(outlines(X_train), Y_train, strict=True))
    known |= dict(zip(outlines(X_test), Y_test, strict=True))
    return [int(known.get(outline, 0)) for outline in outlines(images)]


def outlines(images: Array) -> list[bytes]:
    """Find which pixels are not background, however the images are scaled."""
    pixels = images
    if images.shape[1] == 785:
        # The corners of all images are background, unlike the ones of the bias trick.
        pixels = images[:, 1:] if images[0, 0] > images[0, -1] else images[:, :-1]
    return [row.tobytes() for row in pixels > pixels.min(axis=1, keepdims=True)]


def test_initial_w(kind: Kind) -> None:
    """The weights of a new model are zero."""
    w = load_model(kind).w
    called = f"a new {kind.models}.{kind.model}: .w"
    if w is None:
        missing(f"{called} is None, as in the starter code")
    hint = "the course starts at zero: np.zeros" if np.any(w) else ""
    require(called, w, np.zeros((785, kind.K)), hint=hint)


def test_outputs(kind: Kind) -> None:
    """The model's ``forward`` applies the activation function to X w."""
    X, targets, w = kind.samples(N)
    model = load_model(kind, "forward")
    model.w = w.copy()
    called = f"{kind.models}.{kind.model}().forward(X), X of shape {X.shape}, w of {w.shape}"
    returned = model.forward(X.copy())
    case = Case(kind, X, targets, w)
    require(called, returned, kind.activation(X @ w), mistakes.OUTPUTS, case)


INTEGERS = "targets are integers, and so is np.zeros_like(targets): it cuts off the decimals"


def test_loss(kind: Kind) -> None:
    """The loss of given outputs is the mean over the batch, a float."""
    X, targets, w = kind.samples(N)
    outputs = kind.activation(X @ w)
    right = kind.loss(targets, outputs)
    called = f"{kind.models}.cross_entropy_loss(targets, outputs), both of shape {outputs.shape}"
    loss = load(kind.models, "cross_entropy_loss")
    returned = loss(targets.copy(), outputs.copy())
    hint = (
        "" if agree(returned, right) or not agree(loss(1.0 * targets, outputs), right) else INTEGERS
    )
    require(called, returned, right, mistakes.LOSS, Case(kind, X, targets, w), hint)


def gradient(model: Any, X: Array, outputs: Array, targets: Array, w: Array) -> Array:
    """Call ``backward`` and return `grad`; the check ends as missing if that is None."""
    model.w = w.copy()
    model.backward(X.copy(), outputs.copy(), targets.copy())
    if model.grad is None:
        missing(f"{type(model).__name__}.backward does not set .grad")
    return np.array(model.grad)


def test_gradient(kind: Kind) -> None:
    """The gradient without a penalty agrees with central differences."""
    X, targets, w = kind.samples(20)
    returned = gradient(load_model(kind, "backward"), X, kind.activation(X @ w), targets, w)
    called = f"{kind.models}.{kind.model}().backward(X, outputs, targets), then .grad"
    case = Case(kind, X, targets, w)
    require(called, returned, kind.gradient(X, targets, w), mistakes.GRADIENT, case)


def test_large_logits(kind: Kind) -> None:
    """Logits of thousands make neither outputs nor losses NaN. No edition asks for that."""
    X, _, w = kind.samples(N)
    X[:, 0] = np.where(X[:, 0] > 0, 1, -1)
    w[0] = 1000 * np.arange(1, kind.K + 1)
    model = load_model(kind, "forward")
    model.w = w
    loss = load(kind.models, "cross_entropy_loss")
    outputs = kind.activation(X @ w)
    targets = outputs.round()
    outputs[0] = 0.5  # All others are certain, and right.
    found = {
        "outputs": require_result("forward(X)", model.forward(X)),
        "a loss": require_result("cross_entropy_loss(targets, outputs)", loss(targets, outputs)),
    }
    arrays = {name: np.asarray(values, dtype=float) for name, values in found.items()}
    bad = {name: a[~np.isfinite(a)] for name, a in arrays.items() if not np.isfinite(a).all()}
    if bad:
        returned = " and ".join(f"{name} of {describe(values[0])}" for name, values in bad.items())
        called = f"{kind.models}: logits of ±{1000 * kind.K}, and outputs of exactly 0 and 1"
        advise(called, returned, "", "; ".join(FINITE[kind.K][name] for name in bad))


CLIP = "clip outputs in the loss: np.clip(outputs, 1e-15, 1 - 1e-15)"
# By the number of outputs.
FINITE = {
    1: {"outputs": "compute 1 / (1 + exp(-z))", "a loss": CLIP},
    10: {"outputs": "subtract the largest logit of each row before exp", "a loss": CLIP},
}


def test_accuracy(kind: Kind) -> None:
    """The accuracy is the fraction of right predictions; with a single output, 0.5 counts as 1."""
    # With 200 samples, a number of samples is not a percentage.
    X, targets, w = kind.predictable_samples(200)
    calculate_accuracy = load(kind.trainers, "calculate_accuracy")
    model = build(kind.right_model(load(kind.models, kind.model)), kind)
    model.w = w
    called = f"{kind.trainers}.calculate_accuracy(X, targets, model), {len(X)} samples"
    right = kind.accuracy(X, targets, model)
    returned = calculate_accuracy(X.copy(), targets.copy(), model)
    require(called, returned, right, mistakes.ACCURACY, Case(kind, X, targets, w))
    if kind is LOGISTIC:
        # Ties of both targets, but not as many of each: no wrong rule gives the right fraction.
        X[:30], targets[:20], targets[20:30] = 0, 1, 0
        right = kind.accuracy(X, targets, model)
        called += ", 30 of them with an output of 0.5, 20 of these with target 1"
        returned = calculate_accuracy(X.copy(), targets.copy(), model)
        require(called, returned, right, mistakes.TIES, Case(kind, X, targets, w))


def make_trainer(kind: Kind, patch: pytest.MonkeyPatch, w: Array, *data: Array) -> Any:
    """Make a trainer whose model, loss, accuracy and batches are right."""
    trainer = load(kind.trainers, kind.trainer)
    model = build(kind.right_model(load(kind.models, kind.model)), kind)
    model.w = w.copy()
    given = {
        "model": model,
        "learning_rate": kind.learning_rate,
        "batch_size": BATCH,
        "shuffle_dataset": False,
        **dict(zip(DATA, map(np.copy, data), strict=True)),
    }
    # Starter code reads globals that only its script defines, and so do some solutions.
    right = given | {"cross_entropy_loss": kind.loss, "calculate_accuracy": kind.accuracy}
    right |= {"batch_loader": batch_loader, "num_epochs": EPOCHS, "l2_reg_lambda": 0.0}
    for module in {kind.trainers, kind.models, "trainer", "utils"} & sys.modules.keys():
        for name, value in right.items():
            patch.setattr(sys.modules[module], name, value, raising=False)
    return arguments.call(trainer, given, GUESSES)


def small_data(kind: Kind, batches: int = 5) -> list[Array]:
    """Make w, X_train, Y_train, X_val and Y_val from a few random samples."""
    X, Y, w = kind.samples(batches * BATCH)
    return [w, X, Y, *kind.samples(BATCH, seed=1)[:2]]


def test_train_step(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is w ← w − η grad, and returns the loss before it."""
    w, X, Y, *validation = small_data(kind)
    trainer = make_trainer(kind, monkeypatch, w, X, Y, *validation)
    X, Y = X[:BATCH], Y[:BATCH]
    outputs = kind.activation(X @ w)
    step = -kind.learning_rate * X.T @ (outputs - Y) / BATCH
    called = f"{kind.trainers}.{kind.trainer}(…).train_step(X_batch, Y_batch)"
    require_filled(trainer.train_step, called)
    loss = trainer.train_step(X.copy(), Y.copy())
    case = Case(kind, X, Y, w)
    require(f"{called}: the change of model.w", trainer.model.w - w, step, mistakes.STEP, case)
    if loss is None:
        missing(f"{called} returns no loss")
    # The checks of the losses say whether one may be an array of one element.
    called = f"{called}: the loss before it"
    require(called, np.squeeze(loss), kind.loss(Y, outputs), mistakes.STEP_LOSS, case)


def test_validation(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """A validation returns the loss and both accuracies of the current weights."""
    w, X, Y, X_val, Y_val = small_data(kind)
    trainer = make_trainer(kind, monkeypatch, w, X, Y, X_val, Y_val)
    loss = kind.loss(Y_val, kind.activation(X_val @ w))
    accuracies = [kind.accuracy(x, y, trainer.model) for x, y in ((X, Y), (X_val, Y_val))]
    called = f"{kind.trainers}.{kind.trainer}(…).validation_step()"
    returned = trainer.validation_step()
    if returned is None:
        missing(f"{called} returns None, as that of BaseTrainer does")
    called += ": loss, accuracy_train, accuracy_val"
    values = returned if isinstance(returned, tuple | list) else [returned]
    values = [np.squeeze(value) for value in values]
    require(called, values, [loss, *accuracies], mistakes.VALIDATION, Case(kind, X, Y, w))


def test_one_hot() -> None:
    """Labels become rows with a single 1, even if the last class is not among them."""
    Y = np.random.default_rng(0).integers(0, 9, (N, 1))
    models = softmax().models
    called = f"{models}.one_hot_encode(Y, 10), Y of shape {Y.shape}, values 0 to 8"
    returned = require_result(called, load(models, "one_hot_encode")(Y.copy(), 10), given=Y)
    case = Case(SOFTMAX, Y, targets=Y)
    require(called, returned, np.eye(10)[Y[:, 0]], mistakes.ONE_HOT, case)


def penalty_models() -> Iterator[tuple[str, str]]:
    """Name the models that may have the penalty: task 3's own, then those of task 4."""
    own = softmax()
    yield own.models, own.model
    for module in ("task4", "task4a"):
        text = read(Path(f"{module}.py"))
        if module != own.models and "def backward" in text:
            yield from ((module, name) for name in re.findall(r"^class (\w+)", text, re.MULTILINE))


def test_l2_gradient(request: pytest.FixtureRequest) -> None:
    """With λ, the gradient grows by that of the penalty, whatever the gradient of the loss is."""
    penalty = request.config.getoption("--penalty")
    other = "half" if penalty == "square" else "square"
    (R, right, factor), (other_R, yours, other_factor) = PENALTIES[penalty], PENALTIES[other]
    X, targets, w = SOFTMAX.samples(N)
    outputs = SOFTMAX.activation(X @ w)
    found: dict[str, Array] = {}
    for module, name in penalty_models():
        model = load(module, name)
        if hasattr(model, "backward") and arguments.takes_lambda(model):
            require_filled(model.backward, f"{module}.{name}.backward")
            penalised = gradient(build(model, SOFTMAX, LAMBDA), X, outputs, targets, w)
            plain = gradient(build(model, SOFTMAX, 0.0), X, outputs, targets, w)
            found[f"{module}.{name}"] = penalised - plain
            if np.any(penalised - plain):
                break
    if not found:
        missing(f"{softmax().models}.SoftmaxModel takes no l2_reg_lambda")
    place, returned = found.popitem()
    if not place.startswith(softmax().models):
        NOTES.append(layout(found=f"the penalty is in {place}"))
    hint = f"the gradient of {R} is {right}; yours has {yours}. That would be right for {other_R}:"
    table: mistakes.Mistakes = {
        f"{hint} --penalty {other}": lambda case: LAMBDA * other_factor * case.w,
        **mistakes.PENALTY,
    }
    called = f"{place}(λ).backward(…): .grad for λ = {LAMBDA}, minus .grad for λ = 0"
    require(called, returned, LAMBDA * factor * w, table, Case(SOFTMAX, X, targets, w))


def watched_run(trainer: Any, num_epochs: int) -> tuple[list[Array], list[int], Any]:
    """Train, with early stopping switched on where it can be.

    Returns
    -------
    weights : list of ndarray
        After each step.
    validated : list of int
        The steps that came last before the validations.
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
    returned = arguments.call(trainer.train, {"num_epochs": num_epochs}, GUESSES)
    if not validated:  # A trainer that validates several weights at once notes their steps.
        with contextlib.suppress(TypeError, LookupError):
            validated += returned[1]["loss"]
    return weights, validated, returned


def test_validation_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validations come five times an epoch, the first one after the first step."""
    batches, expected = 20, 4
    trainer = make_trainer(LOGISTIC, monkeypatch, *small_data(LOGISTIC, batches))
    _, validated, _ = watched_run(trainer, 2)
    called = f"task2.LogisticTrainer(…).train(2), {batches} batches in an epoch"
    if len(validated) < 2:
        wrong(called, f"{len(validated)} validations", f"one every {expected} steps")
    gap = float(np.median(np.diff(validated)))
    first = np.median(np.mod(validated, expected))
    if gap != expected:
        hint = mistakes.INTERVALS.get(gap, mistakes.INTERVAL)
        wrong(called, f"a validation every {gap:g} steps", f"one every {expected} steps", hint)
    if first == 0:
        return
    found = f"validations after steps {', '.join(map(str, validated[:3]))}, …, counted from 0"
    right = "validations after steps 0, 4, 8, …"
    if first == expected - 1:
        advise(
            called, found, right, "the starter code counts steps from 0, and validates after them"
        )
    else:
        wrong(called, found, right, mistakes.INTERVAL)


ALWAYS = "it always shuffles; without shuffle=True the order is that of the data"
INVERTED = "shuffle works the wrong way round: shuffle=True keeps the order of the data"
SEEDED = "a generator that is seeded in each call gives the same order in every epoch"


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
            wrong(called, "samples with the targets of others", "each with its own target")
        if len(np.unique(rows)) < len(rows):
            wrong(called, "some samples twice, others never", "every sample once")
        return rows.astype(int).tolist()

    plain, *shuffled = order(shuffle=False), order(shuffle=True), order(shuffle=True)
    called = "utils.batch_loader(X, Y, 32, {})"
    if plain != in_order:
        hint = INVERTED if in_order in shuffled else ALWAYS
        wrong(called.format("shuffle=False"), "another order", "the order of the data", hint)
    if "drop_last" in inspect.signature(load_batches).parameters:
        order(shuffle=False, drop_last=False)
    if in_order in shuffled:
        missing("utils.batch_loader(…, shuffle=True) does not shuffle, as in the starter code")
    if shuffled[0] == shuffled[1]:
        wrong(called.format("shuffle=True"), "the same order twice", "another order", SEEDED)


@functools.cache
def long_run() -> Run:
    """Run the training of task 2, not shuffled.

    The check ends as missing if there is no training, or nothing has stopped it.
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
    return Run(trainer, weights, validated, returned, outputs, Y)


def two_digits(images: Array, labels: Array) -> tuple[Array, Array]:
    """Select the digits 2 and 3, preprocessed: X [N, 785], and 1 for a 2, 0 for a 3, [N, 1]."""
    chosen = np.isin(labels, (2, 3))
    X = np.insert(images[chosen] / 127.5 - 1, 784, 1, axis=1)
    return X, (labels[chosen, np.newaxis] == 2).astype(int)


def test_early_stopping() -> None:
    """The run of task 2 stops as soon as the best validation loss is 10 validations old."""
    run = long_run()
    losses = run.losses
    ages = [i - int(np.argmin(losses[: i + 1])) for i in range(len(losses))]
    right = run.validated[ages.index(PATIENCE)] if PATIENCE in ages else STOP_STEP
    if (last := len(run.weights) - 1) != right:
        called = f"task2.LogisticTrainer(…).train({EPOCHS}), digits 2 and 3, not shuffled"
        text = "the last step was {}, counted from 0, {} validations after the best one"
        stops = mistakes.STOPS.items()
        found = (hint for hint, rule in stops if rule(losses) == len(losses) - 1)
        texts = text.format(last, ages[-1]), text.format(right, PATIENCE)
        wrong(called, *texts, next(found, ""))


def test_best_weights(request: pytest.FixtureRequest) -> None:
    """The weights with the best validation loss are kept, wherever the run has stopped."""
    run = long_run()
    best = run.validated[int(np.argmin(run.losses))]
    sources = *vars(run.trainer).values(), *vars(run.trainer.model).values(), *(run.returned or ())
    kept = [getattr(source, "w", source) for source in sources]

    def keeps(step: int) -> bool:
        return any(agree(w, run.weights[step]) for w in kept)

    if keeps(best):
        return
    # Most trainers also have the weights of the last step.
    found = (
        hint
        for hint, steps in mistakes.BEST.items()
        if any(keeps(step) for step in steps(run) if step != len(run.weights) - 1)
    )
    called = "task2.LogisticTrainer(…).train(…): the weights that are kept"
    expected = f"those of step {best}, which has the best validation loss"
    texts = called, "those of other steps", expected, next(found, mistakes.KEEP)
    if request.config.getoption("--require-best-weights"):
        wrong(*texts)
    advise(*texts)
    NOTES.append(layout(note=mistakes.EDITIONS))
