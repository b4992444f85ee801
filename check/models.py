"""What is asked of models, losses and accuracies."""

from __future__ import annotations

from typing import Any

import numpy as np

from check.answers import WrongAnswer, agree, missing, require, shown
from check.child import build, load, takes_lambda
from check.oracles import EPSILON, LOGISTIC, SOFTMAX, Array, Kind, central_differences, right_model
from numerics.gradient_check import describe_factor, explain

N = 100
L2 = 1.0

OVERFLOW = (
    "it is right for float pixels, but these are uint8, as in the data set, and since NumPy 2"
    " 2 * X then is uint8, too: 200 becomes 144. Convert first: X.astype(float)"
)
PIXELS = {
    "pixels are divided by 128: 255 becomes 0.992; divided by 127.5 it becomes 1": (128, 1),
    "pixels become 0 to 1; expected are -1 to 1: X / 127.5 - 1": (255, 0),
    "pixels stay 0 to 255; expected are -1 to 1: X / 127.5 - 1": (1, 0),
}
LOSSES = {
    "the losses are summed; expected is their mean: divide by the batch size": N,
    "ln ŷ is negative: the loss has a minus in front": -1,
    "the mean is over classes, too; divide by the batch size only": 1 / 10,
    "it is divided by the batch size once too often": 1 / N,
}
PENALTIES = {
    "the gradient of λ Σ w² is 2λw; yours has λw": 1 / 2,
    "λ changes nothing in .grad: backward adds no 2λw, or a switch for it is off": 0,
    "2λw is divided by the batch size, but only the loss is a mean over the batch": 1 / N,
    "it is λw instead of 2λw, and divided by the batch size besides": 1 / (2 * N),
}
NAN_SOFTMAX = (
    "exp of a large number is infinite, and inf / inf is NaN. Subtract from the logits of a sample"
    " their maximum first: softmax stays the same"
)
NAN_LOGISTIC = "exp of a large number is infinite; 1 / (1 + exp(-X w)) is finite all the same"
NAN_LOSS = (
    "where ŷ is rounded to 0 or 1, 0 · ln 0 is NaN. Keep ŷ away from both before the logarithm:"
    " np.clip(outputs, 1e-15, 1 - 1e-15)"
)


def require_preprocessing() -> None:
    """Ask for -1…1 and a column of ones, of pixels as the data set has them: uint8."""
    pixels = np.random.default_rng(0).integers(0, 256, (N, 784), dtype=np.uint8)
    ones = np.ones((N, 1))
    pre_process_images = load("task2a", "pre_process_images")
    called = f"task2a.pre_process_images(X), X {shown(pixels)}"
    try:
        returned = pre_process_images(pixels.copy())
    except TypeError as error:
        if "casting rule" not in str(error):
            raise
        hint = "in place, X stays uint8, which has no fractions; write X = X / 127.5 - 1"
        raise WrongAnswer(called, f"{error}", f"float of shape ({N}, 785)", hint) from error
    if np.shape(returned) == pixels.shape and np.array_equal(returned, pixels):
        missing("task2a.pre_process_images gives X as it was, as the starter code does")

    def with_ones(X: Array) -> Array:
        # The course leaves open at which end the ones are.
        ends = [X, ones]
        is_first = np.shape(returned) == (N, 785) and np.all(np.asarray(returned)[:, 0] == 1)
        return np.hstack(ends[::-1] if is_first else ends)

    right = with_ones(pixels / 127.5 - 1)
    mistakes = {hint: with_ones(pixels / scale - shift) for hint, (scale, shift) in PIXELS.items()}
    mistakes |= {
        f"{hint}; and the column of ones is not there": pixels / scale - shift
        for hint, (scale, shift) in PIXELS.items()
    }
    mistakes["the column of ones of the bias trick is not there"] = pixels / 127.5 - 1
    hint = ""
    if not agree(returned, right) and agree(pre_process_images(pixels.astype(float)), right):
        hint = OVERFLOW
    require(called, returned, right, mistakes, hint)


def require_one_hot() -> None:
    """Ask for one-hot targets of labels, the last class not among them."""
    Y = np.random.default_rng(0).integers(0, 9, (N, 1))
    one_hot_encode = load("task3a", "one_hot_encode")
    right = np.eye(10)[Y[:, 0]]
    mistakes = {
        "one column is expected for each of num_classes, even if Y lacks one": right[:, :9],
        "Y has two dimensions, so indexing with it gives three; use Y[:, 0]": np.eye(10)[Y],
    }
    called = f"task3a.one_hot_encode(Y, 10), Y of shape {Y.shape}, values 0 to 8"
    require(called, one_hot_encode(Y.copy(), 10), right, mistakes)


def require_outputs(kind: Kind) -> None:
    """Ask for the outputs of a model."""
    X, _, w = kind.samples(N)
    logits = X @ w
    model = build(load(kind.models, kind.model))
    model.w = w.copy()
    mistakes = {
        "these are the logits X w, without the activation": logits,
        "the sign of X w is wrong, or the outputs are those of the other class": kind.activation(
            -logits
        ),
    }
    called = f"{kind.models}.{kind.model}().forward(X), X of shape {X.shape}, w of {w.shape}"
    returned = model.forward(X.copy())
    hint = ""
    if kind is SOFTMAX and np.shape(returned) == logits.shape:
        sums = [np.sum(returned, axis=axis) for axis in (0, 1)]
        if not np.allclose(sums[1], 1):
            hint = "the outputs of a sample do not add up to 1: divide exp(X w) by its sum over the"
            hint += f" classes, axis=1{', not axis=0' * np.allclose(sums[0], 1)}"
    require(called, returned, kind.activation(logits), mistakes, hint)


def require_loss(kind: Kind) -> None:
    """Ask for the loss of outputs that are given."""
    X, targets, w = kind.samples(N)
    outputs = kind.activation(X @ w)
    right = kind.loss(targets, outputs)
    mistakes = {hint: factor * right for hint, factor in LOSSES.items()}
    if kind is LOGISTIC:
        only_1 = -float(np.mean(targets * np.log(outputs)))
        mistakes["only targets of 1 count; (1 - y) ln(1 - ŷ) is missing"] = only_1
    called = f"{kind.models}.cross_entropy_loss(targets, outputs), both of shape {outputs.shape}"
    loss = load(kind.models, "cross_entropy_loss")
    require(called, loss(targets.copy(), outputs.copy()), right, mistakes)


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
    X, targets, w = kind.samples(N)
    model = build(load(kind.models, kind.model))
    returned = gradient(model, X, kind.activation(X @ w), targets, w)
    right = central_differences(kind, X, targets, w)
    hint = ""
    if returned.shape == w.shape and np.isfinite(returned).all():
        hint = explain(returned, right, w, 0.0, N)
    called = f"{kind.models}.{kind.model}().backward(X, outputs, targets), then .grad"
    require(called, returned, right, hint=hint)


def require_l2_gradient() -> None:
    """Ask by how much λ changes the gradient, so that the gradient of the loss does not matter."""
    kind, model = SOFTMAX, load("task3a", "SoftmaxModel")
    if not takes_lambda(model):
        missing("task3a.SoftmaxModel takes no l2_reg_lambda")
    X, targets, w = kind.samples(N)
    data = X, kind.activation(X @ w), targets, w
    returned = gradient(build(model, L2), *data) - gradient(build(model, 0.0), *data)
    right = L2 * ((w + EPSILON) ** 2 - (w - EPSILON) ** 2) / (2 * EPSILON)
    mistakes = {hint: factor * right for hint, factor in PENALTIES.items()}
    without_bias = right * (np.arange(len(w)) < len(w) - 1)[:, np.newaxis]
    mistakes["the bias has no penalty; R(w) is over all weights, its row included"] = without_bias
    hint = ""
    if returned.shape == w.shape:
        factor = np.vdot(returned, right) / np.vdot(right, right)
        hint = f"the gradient 2λw of the penalty {describe_factor(factor, N)}"
        hint *= agree(returned, factor * right)
    called = "task3a.SoftmaxModel(λ).backward(…): .grad for λ = 1, minus .grad for λ = 0"
    require(called, returned, right, mistakes, hint)


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
        mistakes = {"ŷ = 0.5 counts as 1: the rule is ŷ >= 0.5; > and np.round give 0": right - 0.1}
        called += ", 10 of them with an output of 0.5 and target 1"
        require(called, calculate_accuracy(X, targets, model), right, mistakes)


def require_finite(kind: Kind) -> None:
    """Ask for finite outputs of large logits, and a finite loss of outputs that are 0 and 1."""
    X, _, w = kind.samples(N)
    X[:, 0] = np.where(X[:, 0] > 0, 1, -1)
    w[0] = 1000 * np.arange(1, kind.K + 1)
    logits = X @ w
    outputs = kind.activation(logits)
    model = build(load(kind.models, kind.model))
    model.w = w
    low, high = logits.min(), logits.max()
    called = f"{kind.models}.{kind.model}().forward(X), logits from {low:.0f} to {high:.0f}"
    returned = model.forward(X)
    if not_finite(called, returned):
        hint = NAN_LOGISTIC if kind is LOGISTIC else NAN_SOFTMAX
        raise WrongAnswer(called, not_finite(called, returned), "0 to 1", hint)
    # Each of them says with certainty what is right: its loss is 0.
    loss = load(kind.models, "cross_entropy_loss")(outputs.round(), outputs)
    called = f"{kind.models}.cross_entropy_loss(targets, outputs), outputs 0 and 1, all right"
    if not_finite(called, loss):
        raise WrongAnswer(called, not_finite(called, loss), "0", NAN_LOSS)


def not_finite(called: str, returned: Any) -> str:
    """Say how many values are not finite; empty if all are."""
    if returned is None:
        missing(f"{called}, gives None, as the starter code does")
    bad = ~np.isfinite(returned)
    example = np.asarray(returned)[bad][:1]
    return f"{shown(example[0])} for {bad.sum()} of {bad.size} values" if bad.any() else ""
