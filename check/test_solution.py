"""The checks. Each has inputs of its own, which are right, so that a mistake fails one of them.

Run with ``python -m pytest check --solution DIR`` or, for several folders, ``python -m check``.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from check import PENALTIES
from check.answers import NOTES, advise, agree, filled, layout, missing, require, shown, wrong
from check.child import build, import_once, load, locate, switched_on, takes_lambda
from check.folders import is_2020, source
from check.oracles import (
    LOGISTIC,
    SOFTMAX,
    Array,
    Kind,
    batch_loader,
    central_differences,
    right_model,
)
from check.stand_ins import load_mnist
from numerics.gradient_check import explain

N = 100
BATCH = 128
# The run of task 2 stops at step 1038, in epoch 33; with a patience of 20, in epoch 47.
EPOCHS, STOP_STEP, PATIENCE = 50, 1038, 10


def softmax() -> Kind:
    """Give the softmax model, with the modules in which a solution has it."""
    return replace(SOFTMAX, models=locate("task3a"), trainers=locate("task3"))


OVERFLOW = (
    "it is right for float pixels, but these are uint8, as in the data set: so is 2 * X, and"
    " 2 * 200 becomes 144. Convert first: X.astype(float)"
)
EDITION = "that is as in the edition of 2020; later ones ask for "
PIXELS = {
    "pixels are divided by 128: 255 becomes 0.992; divided by 127.5 it becomes 1": (128, 1),
    "pixels become 0 to 1; expected are -1 to 1: X / 127.5 - 1": (255, 0),
    "pixels stay 0 to 255; expected are -1 to 1: X / 127.5 - 1": (1, 0),
}


def scalings(pixels: Array) -> Iterator[tuple[str, Array]]:
    """Give wrong scales of pixels, each with a hint."""
    for hint, (scale, shift) in PIXELS.items():
        yield hint, pixels / scale - shift
    for axis, each in ((1, "image"), (0, "pixel")):
        low = pixels.min(axis, keepdims=True)
        span = pixels.max(axis, keepdims=True) - low
        hint = (
            f"each {each} is scaled by its own smallest and largest value; the scale is the same"
            " for all: X / 127.5 - 1"
        )
        yield hint, 2 * ((pixels - low) / span) - 1
        yield hint, (pixels - low) / span
        yield hint, pixels / pixels.max(axis, keepdims=True) * 2 - 1
    for axes in (None, 0, 1):
        centred = pixels - pixels.mean(axes, keepdims=True)
        yield (
            "that is (X - mean) / standard deviation; expected are -1 to 1: X / 127.5 - 1",
            centred / pixels.std(axes, keepdims=True),
        )


def test_preprocessing() -> None:
    """Pixels, uint8 as in the data set, become -1…1, and a column of ones is there."""
    rng = np.random.default_rng(0)
    # Most images are not as dark as a pixel can be, nor as bright.
    pixels = rng.integers(rng.integers(0, 100, (N, 1)), rng.integers(150, 257, (N, 1)), (N, 784))
    pixels[0, :2] = 0, 255
    pixels = pixels.astype(np.uint8)
    pre_process_images = load("task2a", "pre_process_images")
    called = f"task2a.pre_process_images(X), X {shown(pixels)}"
    returned = filled(called, pre_process_images(pixels.copy()))
    if np.shape(returned) == pixels.shape and np.array_equal(returned, pixels):
        missing("task2a.pre_process_images gives X as it was, as the starter code does")
    floats = pixels.astype(float)
    mistakes: dict[str, Array] = {}
    right = np.pad(floats / 127.5 - 1, ((0, 0), (0, 1)), constant_values=1)
    allowed = {}
    if np.shape(returned) == right.shape and np.asarray(returned).dtype.kind in "uif":
        # The course leaves open at which end the ones are.
        is_first = np.ptp(returned[:, 0]) == 0
        right = np.roll(right, int(is_first), axis=1)
        bias, own = (0, returned[:, 1:]) if is_first else (-1, returned[:, :-1])
        for hint, wrong_pixels in scalings(floats):
            if agree(own, wrong_pixels):
                mistakes.setdefault(hint, returned)
        if agree(own, floats / 127.5 - 1) and np.ptp(returned[:, bias]) == 0:
            value = f"{returned[0, bias]:.3f}"
            hint = f"the column of the bias trick is {value}, not 1: append the ones"
            mistakes[f"{hint} after the pixels are scaled, not before"] = returned
        if is_2020(Path.cwd()) and np.all(returned[:, bias] == 1) and agree(own, floats / 255):
            allowed[EDITION + "pixels of -1 to 1: X / 127.5 - 1"] = returned
    mistakes["the column of ones of the bias trick is not there"] = floats / 127.5 - 1
    if not agree(returned, right) and agree(pre_process_images(floats.copy()), right):
        mistakes = {OVERFLOW: returned}
    require(called, returned, right, mistakes, allowed)


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
    called = f"{kind.models}.{kind.model}().forward(X), X of shape {X.shape}, w of {w.shape}"
    returned = filled(called, model.forward(X.copy()))
    sign = "the sign of X w is wrong, or the outputs are those of the other class"
    mistakes = {
        "these are the logits X w, without the activation": logits,
        sign: kind.activation(-logits),
    }
    is_matrix = np.shape(returned) == logits.shape
    if kind.K > 1 and is_matrix and not agree(np.sum(returned, axis=-1), np.ones(N)):
        mistakes[NO_SUM] = returned
    require(called, returned, kind.activation(logits), mistakes)


def test_logistic_outputs() -> None:
    """The model's ``forward`` gives 1 / (1 + exp(-X w))."""
    require_outputs(LOGISTIC)


LOSSES = {
    "the losses are summed; expected is their mean: divide by the batch size": N,
    "ln ŷ is negative: the loss has a minus in front": -1,
    "the mean is over classes, too; divide by the batch size only": 1 / 10,
    "it is divided by the batch size once too often": 1 / N,
    "the mean is over classes, and samples are summed: sum over axis 1, mean over axis 0": N / 10,
}
INTEGERS = (
    "it is right for targets that are floats, but these are integers, as in the data set: an array"
    " like np.zeros_like(targets) holds integers, too, and cuts off what is behind the point"
)


def require_loss(kind: Kind) -> None:
    """Ask for the loss of outputs that are given."""
    X, targets, w = kind.samples(N)
    outputs = kind.activation(X @ w)
    right = kind.loss(targets, outputs)
    called = f"{kind.models}.cross_entropy_loss(targets, outputs), both of shape {outputs.shape}"
    loss = load(kind.models, "cross_entropy_loss")
    returned = loss(targets.copy(), outputs.copy())
    mistakes = {hint: factor * right for hint, factor in LOSSES.items()}
    only_1 = -np.log(outputs[targets == 1]).sum() / N
    mistakes["only targets of 1 count; (1 - y) ln(1 - ŷ) is missing"] = only_1
    if kind.K > 1:
        both = -np.sum(targets * np.log(outputs) + (1 - targets) * np.log(1 - outputs)) / N
        mistakes["that is the loss of task 2, for each class; with one-hot rows: -Σ y ln ŷ"] = both
    if kind.K == 1 and agree(loss(1.0 * targets, outputs.copy()), right):
        mistakes = {INTEGERS: returned}
    else:
        filled(called, returned)
    allowed = {}
    if is_2020(Path.cwd()):
        allowed[EDITION + "the mean over the batch only, without 1/K"] = right / kind.K
    require(called, returned, right, mistakes, allowed)


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
    allowed = {}
    if is_2020(Path.cwd()):
        allowed[EDITION + "the gradient without 1/K"] = right / kind.K
    require(called, returned, right, mistakes, allowed)


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
    returned = filled(called, calculate_accuracy(X.copy(), targets.copy(), model))
    mistakes = {
        "that is percent, or how many are right; expected is the fraction, 0 to 1": N * right,
        "that is the fraction of what is wrong": 1 - right,
    }
    if kind is LOGISTIC:
        of_all = np.mean(kind.classes(model.forward(X))[:, 0] == targets)
        hint = "(N,) == (N, 1) is of shape (N, N): each output is compared with all targets"
        mistakes |= {hint: of_all, f"{hint}, and added up": N * of_all}
    require(called, returned, right, mistakes)
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


def test_logistic_accuracy() -> None:
    """The accuracy is the fraction that is right; 0.5 counts as 1."""
    require_accuracy(LOGISTIC)


def test_one_hot() -> None:
    """Labels become rows with a single 1, even if the last class is not among them."""
    Y = np.random.default_rng(0).integers(0, 9, (N, 1))
    models = softmax().models
    one_hot_encode = load(models, "one_hot_encode")
    right = np.eye(10)[Y[:, 0]]
    mistakes = {
        "one column is expected for each of num_classes, even if Y lacks one": right[:, :9],
        "Y has two dimensions, so indexing with it gives three; use Y[:, 0]": np.eye(10)[Y],
    }
    called = f"{models}.one_hot_encode(Y, 10), Y of shape {Y.shape}, values 0 to 8"
    returned = filled(called, one_hot_encode(Y.copy(), 10))
    if np.shape(returned) == Y.shape and np.array_equal(returned, Y):
        missing(f"{models}.one_hot_encode gives Y as it was, as the starter code does")
    require(called, returned, right, mistakes)


def test_softmax_outputs() -> None:
    """The model's ``forward`` gives exp(X w), divided by its sum over the classes."""
    require_outputs(softmax())


def test_softmax_loss() -> None:
    """The loss is the mean over the batch, a float."""
    require_loss(softmax())


def test_softmax_gradient() -> None:
    """The gradient agrees with central differences."""
    require_gradient(softmax())


def penalty_models() -> Iterator[tuple[str, type]]:
    """Give the models that may have the penalty: task 3's own, then those of task 4."""
    own = softmax().models
    yield own, load(own, "SoftmaxModel")
    for module in ("task4", "task4a"):
        # What has no model may be a script that trains when it is imported.
        if module != own and "def backward" in source(Path(f"{module}.py")):
            found = import_once(module)
            for model in vars(found).values() if inspect.ismodule(found) else ():
                if inspect.isclass(model) and model.__module__ == module:
                    yield module, model


def test_l2_gradient(request: pytest.FixtureRequest) -> None:
    """With λ, the gradient grows by that of the penalty, whatever the gradient of the loss is."""
    R, gradient_of_R = PENALTIES[request.config.getoption("--penalty")]
    X, targets, w = SOFTMAX.samples(N)
    data = X, SOFTMAX.activation(X @ w), targets, w
    found: list[tuple[str, Array]] = []
    for module, model in penalty_models():
        if hasattr(model, "backward") and takes_lambda(model):
            with_penalty, without = (gradient(build(model, value), *data) for value in (1.0, 0.0))
            found.append((f"{module}.{model.__name__}", with_penalty - without))
            if np.any(found[-1][1]):
                break
    if not found:
        missing(f"{softmax().models}.SoftmaxModel takes no l2_reg_lambda")
    place, returned = found[-1] if np.any(found[-1][1]) else found[0]
    if found[0][0] != place:
        NOTES.append(layout(found=f"the penalty is in {place}"))
    right = 2 * w if gradient_of_R == "2λw" else w
    mistakes = {
        f"λ changes nothing in .grad: there is no {gradient_of_R}, or a switch for it is off": 0,
        f"{gradient_of_R} is divided by the batch size, but only the loss is a mean over the batch":
            1 / N,
        f"{gradient_of_R} is subtracted from the gradient of the loss; it is added": -1,
    }  # fmt: skip
    if gradient_of_R == "2λw":
        half = "That would be right for ½ λ Σ w², the final text of 2022: --penalty half"
        mistakes[f"the gradient of {R} is 2λw; yours has λw. {half}"] = 1 / 2
        mistakes["it is λw instead of 2λw, and divided by the batch size besides"] = 1 / (2 * N)
    else:
        mistakes[f"the gradient of {R} is λw; yours has 2λw, which is right for λ Σ w²:"
                 " --penalty square"] = 2  # fmt: skip
    wrong_ones = {hint: factor * right for hint, factor in mistakes.items()}
    without_bias = right * (np.arange(len(w)) < len(w) - 1)[:, np.newaxis]
    wrong_ones["the bias has no penalty; R(w) is over all weights, its row included"] = without_bias
    called = f"{place}(λ).backward(…): .grad for λ = 1, minus .grad for λ = 0"
    require(called, returned, right, wrong_ones)


def test_softmax_accuracy() -> None:
    """The accuracy is the fraction that is right."""
    require_accuracy(softmax())


NAN_SOFTMAX = (
    "exp of a large number is infinite, and inf / inf is NaN. Subtract from the logits of a sample"
    " their maximum first: softmax stays the same"
)
NAN_LOGISTIC = "exp of a large number is infinite; 1 / (1 + exp(-X w)) is finite all the same"
NAN_LOSS = (
    "where ŷ is rounded to 0 or 1, 0 · ln 0 is NaN. Keep ŷ away from both before the logarithm:"
    " np.clip(outputs, 1e-15, 1 - 1e-15)"
)


def large_logits(kind: Kind) -> Iterator[tuple[str, Callable[[], Any], str, str]]:
    """Give what to call with large logits, and with outputs that are 0 and 1, and a hint."""
    X, _, w = kind.samples(N)
    X[:, 0] = np.where(X[:, 0] > 0, 1, -1)
    w[0] = 1000 * np.arange(1, kind.K + 1)
    logits = X @ w
    outputs = kind.activation(logits)
    model = build(load(kind.models, kind.model))
    model.w = w
    called = f"{kind.models}.{kind.model}().forward(X)"
    filled(called, model.forward(0 * X))
    called += f", logits from {logits.min():.0f} to {logits.max():.0f}"
    yield called, lambda: model.forward(X), "0 to 1", NAN_LOGISTIC if kind.K == 1 else NAN_SOFTMAX
    # Each of them says with certainty what is right: its loss is 0.
    loss = load(kind.models, "cross_entropy_loss")
    called = f"{kind.models}.cross_entropy_loss(targets, outputs)"
    filled(called, loss(outputs.round(), np.full_like(outputs, 0.5)))
    called += ", outputs 0 and 1, all right"
    yield called, lambda: loss(outputs.round(), outputs), "0", NAN_LOSS


def test_large_logits() -> None:
    """Logits of thousands make neither outputs nor losses NaN. No edition asks for that."""
    for called, call, expected, hint in (*large_logits(LOGISTIC), *large_logits(softmax())):
        try:
            returned = np.asarray(call(), dtype=float)
            bad = returned[~np.isfinite(returned)]
            found = f"{shown(bad[0])} for {bad.size} of {returned.size} values" if bad.size else ""
        except (ArithmeticError, ValueError) as error:
            found = f"{type(error).__name__}: {error}"
        if found:
            advise(called, found, expected, hint)
            break


DATA = ("X_train", "Y_train", "X_val", "Y_val")


def make_trainer(kind: Kind, monkeypatch: pytest.MonkeyPatch, w: Array, *data: Array) -> Any:
    """Make a trainer whose model, loss, accuracy and batches are right."""
    trainer = load(kind.trainers, kind.trainer)
    model = build(right_model(kind, load(kind.models, kind.model)))
    model.w = w
    arguments: dict[str, Any] = {
        "model": model,
        "learning_rate": kind.learning_rate,
        "batch_size": BATCH,
        "shuffle_dataset": False,
        **dict(zip(DATA, data, strict=True)),
    }
    # Starter code reads globals that only its script defines, and so do some solutions.
    right = arguments | {"num_epochs": EPOCHS, "l2_reg_lambda": 0.0, "batch_loader": batch_loader}
    right |= {"cross_entropy_loss": kind.loss, "calculate_accuracy": kind.accuracy}
    for module in (kind.trainers, kind.models):
        for name, value in right.items():
            monkeypatch.setattr(sys.modules[module], name, value, raising=False)
    for module in ("utils", "trainer"):
        if hasattr(sys.modules.get(module), "batch_loader"):
            monkeypatch.setattr(sys.modules[module], "batch_loader", batch_loader)
    if arguments.keys() <= inspect.signature(trainer).parameters.keys():
        return trainer(**arguments, **switched_on(trainer))
    return trainer(*arguments.values())


@dataclass(frozen=True)
class Run:
    """What a training has done: w after each step, and the steps after which validations came."""

    trainer: Any
    weights: list[Array]
    validated: list[int]

    @classmethod
    def watch(cls, trainer: Any) -> Run:
        """Let the steps and validations of a trainer be noted."""
        run = cls(trainer, [], [])
        train_step, validation_step = trainer.train_step, trainer.validation_step

        def noting_step(*batch: Array, **named: Array) -> Any:
            loss = train_step(*batch, **named)
            run.weights.append(np.array(trainer.model.w))
            return loss

        def noting_validation() -> Any:
            run.validated.append(len(run.weights) - 1)
            return validation_step()

        trainer.train_step, trainer.validation_step = noting_step, noting_validation
        return run

    def train(self, num_epochs: int) -> Any:
        """Train, with early stopping switched on where it can be."""
        train = self.trainer.train
        returned = train(num_epochs, **switched_on(train))
        try:
            noted = [*returned[1]["loss"]]
        except (TypeError, LookupError):
            return returned
        # Who validates later, several at once, says in the history when they belong.
        if len(noted) > len(self.validated):
            self.validated[:] = [step for step in noted if step in range(len(self.weights))]
        return returned


def small_trainer(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, batches: int = 5
) -> tuple[Any, list[Array]]:
    """Make a trainer of a few random samples; give copies of its data and its weights, too."""
    X, Y, w = kind.samples(batches * BATCH)
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
    for kind in (LOGISTIC, softmax()):
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
    """It returns loss and accuracies of the present weights, and comes five times an epoch."""
    for kind in (LOGISTIC, softmax()):
        require_validation(kind, monkeypatch)
    run = Run.watch(small_trainer(LOGISTIC, monkeypatch, batches=10)[0])
    run.train(2)
    gaps = np.diff(run.validated)
    if len(gaps) and (gap := int(np.median(gaps))) != 2:
        hint = "validate when step % (batches_per_epoch // 5) is 0, as the starter code does"
        called = "task2.LogisticTrainer(…).train(2), 10 batches in an epoch"
        wrong(called, f"a validation every {gap} step{'s' * (gap != 1)}", "one every 2 steps", hint)


def test_batch_loader() -> None:
    """Batches have every sample once, in the order of the data unless that is to be shuffled."""
    load_batches = load("utils", "batch_loader")
    X, Y = np.arange(2.0 * N).reshape(N, 2), np.arange(N)[:, np.newaxis]

    def order(shuffle: bool, drop_last: bool = True) -> list[int]:
        options = {"shuffle": shuffle} | ({} if drop_last else {"drop_last": False})
        shown_options = ", ".join(f"{name}={value}" for name, value in options.items())
        called = f"utils.batch_loader(X, Y, 32, {shown_options})"
        rows: list[int] = []
        sizes = []
        for X_batch, Y_batch in load_batches(X.copy(), Y.copy(), 32, **options):
            sizes.append(len(X_batch))
            rows += (np.asarray(X_batch)[:, 0] / 2).astype(int).tolist()
            if not np.array_equal(np.ravel(Y_batch), rows[len(rows) - len(X_batch) :]):
                hint = "X and Y need the same order: one permutation of the indices, for both"
                wrong(called, "samples with targets of others", "each with its own target", hint)
        expected = [32, 32, 32] if drop_last else [32, 32, 32, N % 32]
        if sizes != expected:
            hint = "the last batch, where it is incomplete, is left out if drop_last is True, as by"
            hint += " default, and kept if not"
            wrong(f"{called}, {N} samples", f"batches of {sizes}", f"batches of {expected}", hint)
        if len({*rows}) < len(rows):
            found = f"{len({*rows})} different samples of {len(rows)}"
            hint = "some samples come twice, others never: permute the indices, do not draw them"
            wrong(called, found, "every sample once", hint)
        return rows

    if order(shuffle=False) != [*range(N // 32 * 32)]:
        called = "utils.batch_loader(X, Y, 32, shuffle=False)"
        hint = "it shuffles always; without shuffle=True the order is that of the data"
        wrong(called, "another order", "the order of the data", hint)
    if "drop_last" in inspect.signature(load_batches).parameters:
        order(shuffle=False, drop_last=False)
    if order(shuffle=True) == [*range(N // 32 * 32)]:
        missing("utils.batch_loader(…, shuffle=True) does not shuffle, as in the starter code")


@functools.cache
def long_run() -> tuple[Run, Any, Array]:
    """Run the training of task 2, not shuffled; give it, its result, its validation losses."""
    X_train, Y_train, X_val, Y_val = load_mnist()
    data = (*two_digits(X_train[:20_000], Y_train[:20_000]), *two_digits(X_val, Y_val))
    returned = None
    with pytest.MonkeyPatch.context() as patch:
        run = Run.watch(make_trainer(LOGISTIC, patch, np.zeros((785, 1)), *data))
        try:
            returned = run.train(EPOCHS)
        except (Exception, SystemExit):
            # Some leave their loop by an exception. Whether that was the reason, the step shows.
            if len(run.weights) != STOP_STEP + 1:
                raise
    if not run.weights or not np.any(run.weights[-1]):
        missing("task2.LogisticTrainer(…).train(…) does not change w")
    weights = np.array([run.weights[step] for step in run.validated])
    logits = (run.trainer.X_val @ weights.reshape(len(weights), 785).T).T[..., np.newaxis]
    return run, returned, LOGISTIC.loss(run.trainer.Y_val, LOGISTIC.activation(logits))


# Rules by which others stop: whether validation i is the last one, and what to say.
RULES: dict[str, Callable[[Array, int], bool]] = {
    "yours stops at the tenth validation in a row with a larger loss than the one before it": (
        lambda losses, i: i >= PATIENCE and bool(np.all(np.diff(losses[i - PATIENCE : i + 1]) > 0))
    ),
    "yours compares with the loss of ten validations before; the best one so far counts": (
        lambda losses, i: i >= PATIENCE and losses[i] > losses[i - PATIENCE]
    ),
    "yours counts all validations that are no new best; a new best sets the count back to 0": (
        lambda losses, i: i + 1 - len(np.unique(np.minimum.accumulate(losses[: i + 1]))) >= PATIENCE
    ),
}


def age(losses: Array, i: int) -> int:
    """Count how many validations before the i-th one the best loss was."""
    return i - int(np.argmin(losses[: i + 1]))


def first(losses: Array, rule: Callable[[Array, int], bool]) -> int:
    """Find the first validation at which a rule stops; -1 if it does not."""
    return next((i for i in range(len(losses)) if rule(losses, i)), -1)


def test_early_stopping() -> None:
    """The run of task 2 stops as soon as the best validation loss is 10 validations old."""
    run, _, losses = long_run()
    steps = run.validated
    last = len(run.weights) - 1
    stop = first(losses, lambda losses, i: age(losses, i) >= PATIENCE)
    if stop >= 0 and steps[stop] == last:
        return
    right = steps[stop] if stop >= 0 else STOP_STEP
    called = f"task2.LogisticTrainer(…).train({EPOCHS}), digits 2 and 3, not shuffled"
    expected = f"stopped at step {right}, counted from 0: there the best validation loss is"
    expected += f" {PATIENCE} validations old"
    if not leaves_its_loop(run.trainer.train, of_epochs=False):
        missing("train has no break or return in its loop: nothing can stop it early (task 2d)")
    if last + 1 == EPOCHS * (len(run.trainer.X_train) // BATCH):
        wrong(called, f"all {EPOCHS} epochs, up to step {last}", expected, NEVER_STOPPED)
    hint = stop_hint(losses, steps, last, right)
    if not leaves_its_loop(run.trainer.train, of_epochs=True):
        hint = "break ends the inner loop only, which is that of an epoch; the next epoch goes on"
    wrong(called, f"stopped at step {last}", expected, hint)


NEVER_STOPPED = (
    "it can be left early, but its condition was never met: it is switched off, it asks for another"
    " thing, or it waits for longer"
)


def stop_hint(losses: Array, steps: list[int], last: int, right: int) -> str:
    """Say what it looks like that a run ended with a step; empty if that cannot be told."""
    if last not in steps:
        return "stop right at the validation, not at the end of the epoch" if last > right else ""
    i = steps.index(last)
    if fits := [hint for hint, rule in RULES.items() if first(losses, rule) == i]:
        return fits[0]
    waited = age(losses, i)
    if waited > 2 and first(losses, lambda losses, j: age(losses, j) >= waited) == i:
        return f"yours waits for {waited} validations without a new best, not for {PATIENCE}"
    return ""


def leaves_its_loop(train: Any, of_epochs: bool) -> bool:
    """Tell whether there is anything in a function that ends a loop, or that of the epochs."""
    loops = (ast.For, ast.While)

    def ends(node: ast.AST, breaks: bool) -> bool:
        if isinstance(node, ast.Return | ast.Raise) or (breaks and isinstance(node, ast.Break)):
            return True
        breaks = breaks and not (of_epochs and isinstance(node, loops))
        return any(ends(child, breaks) for child in ast.iter_child_nodes(node))

    tree = ast.parse(textwrap.dedent(inspect.getsource(train)))
    outer = next((node for node in ast.walk(tree) if isinstance(node, loops)), tree)
    if not isinstance(outer, ast.For):  # A while has a condition; without a loop, nobody knows.
        return True
    return any(ends(child, True) for child in ast.iter_child_nodes(outer))


KEEP = (
    "the report is then about other weights than the best ones: keep w.copy() at each new best"
    " validation loss, and give it back to the model at the end; without the copy, w -= … changes"
    " what was kept"
)


def test_best_weights() -> None:
    """The weights with the best validation loss are kept, wherever the run has stopped."""
    run, returned, losses = long_run()
    last = len(run.weights) - 1
    kept = [*vars(run.trainer).values(), *vars(run.trainer.model).values()]
    kept += returned if isinstance(returned, tuple) else [returned]
    best = int(np.argmin(losses)) if len(losses) else -1
    if best < 0 or any(
        agree(getattr(one, "w", one), run.weights[run.validated[best]]) for one in kept
    ):
        return
    if last + 1 == EPOCHS * (len(run.trainer.X_train) // BATCH):
        missing("nothing has stopped the run, so no weights were to be given back")
    own = run.trainer.model.w
    which = f"the last step, {last}" if agree(own, run.weights[-1]) else "another step"
    called = "task2.LogisticTrainer(…).train(…): the model's weights at the end"
    advise(called, f"those of {which}", f"those of step {run.validated[best]}, the best", KEEP)


def two_digits(images: Array, labels: Array) -> tuple[Array, Array]:
    """Take the digits 2 and 3, preprocessed: X [N, 785], and 1 for a 2, 0 for a 3, [N, 1]."""
    chosen = np.isin(labels, (2, 3))
    X = images[chosen] / 127.5 - 1
    return np.hstack([X, np.ones((len(X), 1))]), (labels[chosen, np.newaxis] == 2).astype(int)
