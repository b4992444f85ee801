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


def require_preprocessing() -> None:
    """Ask for -1…1 and a column of ones, of pixels as the data set has them: uint8."""
    pixels = np.random.default_rng(0).integers(0, 256, (N, 784), dtype=np.uint8)
    pixels[0, :3] = 0, 128, 255
    scaled = pixels / 127.5 - 1
    ones = np.ones((N, 1))
    pre_process_images = load("task2a", "pre_process_images")
    called = f"task2a.pre_process_images(X), X {shown(pixels)}"
    try:
        returned = pre_process_images(pixels.copy())
    except np._core._exceptions.UFuncTypeError as error:  # type: ignore[attr-defined]
        expected = f"float of shape ({N}, 785), from -1 to 1"
        hint = "X is uint8 and cannot hold fractions in place: write X = X / 127.5 - 1"
        raise WrongAnswer(called, str(error), expected, hint) from error
    if np.shape(returned) == pixels.shape and np.array_equal(returned, pixels):
        missing("task2a.pre_process_images gives X as it was, as the starter code does")
    right = np.hstack([scaled, ones])
    if agree(returned, np.hstack([ones, scaled])):
        return
    mistakes: dict[str, Array] = {}
    for where, put in (("", lambda X: X), ("last", lambda X: np.hstack([X, ones])),
                       ("first", lambda X: np.hstack([ones, X]))):  # fmt: skip
        bias = "" if where else "; and the column of ones is not there"
        wrong = {
            "pixels are divided by 128; 255 becomes 1 when divided by 127.5": (pixels - 128.0)
            / 128,
            "pixels divided by 128 end below 1; divide by 127.5": pixels / 128 - 1,
            "pixels reach from 0 to 1; expected -1 to 1: X / 127.5 - 1": pixels / 255,
            "the product overflows: X is uint8, and since NumPy 2, 2 * X is uint8, too, so that 200"
            " becomes 144; convert first, X.astype(float), or divide first": pixels * 2 / 255.0 - 1,
        }
        mistakes |= {hint + bias: put(X) for hint, X in wrong.items()}
    mistakes["the column of ones of the bias trick is not there"] = scaled
    # What is right for floats, and not for the same numbers as uint8, has overflowed.
    overflow = "it is right for float pixels, but for uint8 it overflows: convert X first"
    if not agree(returned, right) and agree(pre_process_images(pixels.astype(float)), right):
        mistakes = {**mistakes, overflow: returned}
    require(called, returned, right, mistakes)


def require_outputs(kind: Kind) -> None:
    """Ask for the outputs of a model."""
    X, _, w = kind.samples(N)
    logits = X @ w
    model = build(load(kind.models, kind.model))
    model.w = w.copy()
    e = np.exp(logits)
    mistakes = {"these are the logits X w, without the activation": logits}
    if kind is LOGISTIC:
        mistakes["the sign is wrong: ŷ = 1 / (1 + exp(-X w))"] = kind.activation(-logits)
    else:
        mistakes |= {
            "the sum runs over the samples; expected one over the classes, axis=1": e
            / e.sum(axis=0),
            "the sum runs over everything; expected one over the classes, axis=1": e / e.sum(),
            "exp(X w) is not divided by its sum over the classes": e,
            "these are sigmoids; softmax is exp(X w), divided by its sum over the classes": 1
            / (1 + 1 / e),
        }
    called = f"{kind.models}.{kind.model}().forward(X), X of shape {X.shape}, w of shape {w.shape}"
    require(called, model.forward(X.copy()), kind.activation(logits), mistakes)


def require_loss(kind: Kind) -> None:
    """Ask for the loss of outputs that are given."""
    X, targets, w = kind.samples(N)
    outputs = kind.activation(X @ w)
    right = kind.loss(targets, outputs)
    mistakes = {
        "the losses of the samples are summed; expected their mean: divide by the batch size": N
        * right,
        "the sign is wrong: ln ŷ is negative, so the loss has a minus in front": -right,
        "that is the loss with a logarithm to base 2; expected the natural one, np.log": right
        / np.log(2),
        "that is the loss with a logarithm to base 10; expected the natural one, np.log": right
        / np.log(10),
        "the mean is over samples and classes; expected the sum over the classes, divided by the"
        " batch size": right / kind.K,
        "the mean is taken twice: it is divided by the batch size once too often": right / N,
        "only samples of target 1 count; (1 - y) ln(1 - ŷ) is missing": -float(
            np.sum(targets * np.log(outputs)) / N
        ),
    }
    mistakes = {hint: wrong for hint, wrong in mistakes.items() if wrong != right}
    loss = load(kind.models, "cross_entropy_loss")
    called = f"{kind.models}.cross_entropy_loss(targets, outputs), both of shape {outputs.shape}"
    require(called, loss(targets.copy(), outputs.copy()), right, mistakes)


def gradient(model: Any, X: Array, outputs: Array, targets: Array, w: Array) -> Any:
    """Call `backward` and get `grad`; missing where it is None or zero, as in the starter code."""
    model.w = w.copy()
    model.backward(X.copy(), outputs.copy(), targets.copy())
    if model.grad is None or not np.any(model.grad):
        missing(f"{type(model).__name__}.grad is {model.grad if model.grad is None else 'zero'}"
                " after backward, as in the starter code")  # fmt: skip
    return np.array(model.grad)


def require_gradient(kind: Kind) -> None:
    """Ask for the gradient without a penalty, for outputs that are given."""
    X, targets, w = kind.samples(N)
    model = build(load(kind.models, kind.model))
    returned = gradient(model, X, kind.activation(X @ w), targets, w)
    expected = central_differences(kind, X, targets, w)
    mistakes = {}
    if returned.shape == w.shape and np.isfinite(returned).all():
        mistakes[explain(returned, expected, w, 0.0, N)] = returned
    called = f"{kind.models}.{kind.model}().backward(X, outputs, targets), then .grad"
    require(called, returned, expected, mistakes)


def require_accuracy(kind: Kind) -> None:
    """Ask for the accuracy of a model whose outputs are right."""
    X, targets, w = kind.samples(N)
    module = kind.trainers
    calculate_accuracy = load(module, "calculate_accuracy")
    model = build(right_model(kind, load(kind.models, kind.model)))
    model.w = w
    X_ties = X.copy()
    X_ties[:10] = 0
    ties_are_1 = targets.copy()
    ties_are_1[:10] = kind.activation(X_ties[:10] @ w) >= 0.5
    called = f"{module}.calculate_accuracy(X, targets, model)"
    right = kind.accuracy(X, targets, model)
    returned = calculate_accuracy(X.copy(), targets.copy(), model)
    if np.ndim(returned) == 0 and returned == 0:
        missing(f"{called} gives 0, as the starter code does")
    mistakes = {
        "that is in percent; expected a fraction from 0 to 1": 100 * right,
        "that is the fraction of wrong predictions": 1 - right,
        "that is how many are right; divide by the number of samples": N * right,
    }
    require(f"{called}, {N} samples", returned, right, mistakes)
    if kind is LOGISTIC:
        right = kind.accuracy(X_ties, ties_are_1, model)
        hint = "ŷ = 0.5 counts as 1, since the rule is ŷ >= 0.5; > and np.round make it 0"
        returned = calculate_accuracy(X_ties, ties_are_1, model)
        called += f", {N} samples, 10 of them with an output of exactly 0.5 and target 1"
        require(called, returned, right, {hint: right - 0.1})


def require_one_hot() -> None:
    """Ask for one-hot targets of labels, the last class not among them."""
    Y = np.random.default_rng(0).integers(0, 9, (N, 1))
    one_hot_encode = load("task3a", "one_hot_encode")
    mistakes = {
        "it has as many columns as there are different labels in Y; expected num_classes": np.eye(
            Y.max() + 1
        )[Y[:, 0]],
        "Y has the shape (N, 1), so indexing with it gives three dimensions; use Y[:, 0]": np.eye(
            10
        )[Y],
    }
    called = "task3a.one_hot_encode(Y, 10), Y of shape (100, 1), values 0 to 8"
    require(called, one_hot_encode(Y.copy(), 10), np.eye(10)[Y[:, 0]], mistakes)


def require_l2_gradient() -> None:
    """Ask by how much λ changes the gradient, so that a wrong gradient of the loss is no matter."""
    model_class = load("task3a", "SoftmaxModel")
    if not takes_lambda(model_class):
        missing("task3a.SoftmaxModel takes no l2_reg_lambda")
    X, targets, w = SOFTMAX.samples(N)
    outputs = SOFTMAX.activation(X @ w)
    with_penalty, without = (
        gradient(build(model_class, factor), X, outputs, targets, w) for factor in (L2, 0.0)
    )
    expected = L2 * ((w + EPSILON) ** 2 - (w - EPSILON) ** 2) / (2 * EPSILON)
    called = (
        "task3a.SoftmaxModel(1.0).backward(…): how much its .grad exceeds that of SoftmaxModel(0.0)"
    )
    if np.shape(with_penalty) != w.shape:
        require(called, with_penalty, w)
    rest = np.ones_like(w)
    rest[-1] = 0
    mistakes = {
        "the gradient of λ Σ w² is 2λw; yours has λw": L2 * w,
        "λ changes nothing in .grad: backward adds no 2λw, or a switch for it is off": 0 * w,
        "the penalty 2λw is divided by the batch size; only the mean loss has a 1/N": expected / N,
        "the penalty has λw instead of 2λw, and is divided by the batch size": expected / 2 / N,
        "the gradient of the penalty has the wrong sign": -expected,
        "the last row of w, the bias, has no penalty; R(w) is over all weights": expected * rest,
        "the first row of w has no penalty; R(w) is over all weights": expected * rest[::-1],
    }
    returned = np.subtract(with_penalty, without)
    factor = float(np.vdot(returned, w) / np.vdot(w, w)) / (2 * L2)
    if not agree(returned, expected) and agree(returned, factor * expected):
        mistakes[f"the gradient 2λw of the penalty {describe_factor(factor, N)}"] = returned
    require(called, returned, expected, mistakes)


def require_finite(kind: Kind) -> None:
    """Ask for outputs of large logits, and for the loss of outputs that are rounded to 0 and 1."""
    X, _, w = kind.samples(N)
    X[:, 0] = np.where(X[:, 0] > 0, 1, -1)
    w[0] += 1000 * np.arange(1, kind.K + 1)
    logits = X @ w
    outputs = kind.activation(logits)
    targets = (logits > 0).astype(int) if kind is LOGISTIC else np.eye(10)[logits.argmax(axis=1)]
    model = build(load(kind.models, kind.model))
    model.w = w
    returned = model.forward(X)
    low, high = logits.min(), logits.max()
    called = f"{kind.models}.{kind.model}().forward(X), logits from {low:.0f} to {high:.0f}"
    finite = returned is not None and np.isfinite(returned).all()
    hint = (
        "exp of a large number is infinite, and inf / inf is NaN; softmax stays the same when the"
        " largest logit of each sample is subtracted from all of its logits first"
        if kind is SOFTMAX
        else "exp of a large number is infinite; 1 / (1 + exp(-z)) has no inf / inf"
    )
    require(called, returned, outputs, None if finite else {hint: returned})
    if not finite:
        raise WrongAnswer(called, "values that are not finite", shown(outputs), hint)
    loss = load(kind.models, "cross_entropy_loss")(targets, outputs)
    if loss is None:
        missing(f"{kind.models}.cross_entropy_loss gives None, as the starter code does")
    if not np.all(np.abs(loss) < 1e-3):
        raise WrongAnswer(
            f"{kind.models}.cross_entropy_loss(targets, outputs), outputs 0 and 1, all right",
            shown(np.asarray(loss)),
            "0",
            "where ŷ is rounded to 0 or 1, 0 · ln 0 is NaN; keep ŷ away from both before the"
            " logarithm: np.clip(outputs, 1e-15, 1 - 1e-15)",
        )
