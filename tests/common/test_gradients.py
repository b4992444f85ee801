"""The gradient checks: `pytest tests/test_gradients.py` runs them alone."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.special

import task2a
import task3a
from common.gradient_check import EPSILON, check_gradient

NUM_IMAGES = 20


def assert_gradient_agrees(test, model, X, Y):
    error, message = 0, ""
    try:
        error = test(model, X[:NUM_IMAGES], Y[:NUM_IMAGES])
    except AssertionError as failure:
        message = str(failure)
    if message:
        # It says it all. A traceback would show each array and function on the way.
        pytest.fail(message, pytrace=False)
    assert 0 < error <= 1e-6


def with_random_weights(model, scale, rng):
    model.w = rng.normal(scale=scale, size=model.w.shape)
    return model


@pytest.mark.parametrize("scale", [0.0, 0.05, 0.3])
def test_logistic_gradient_agrees_with_central_differences(binary_data, scale, rng):
    model = with_random_weights(task2a.BinaryModel(), scale, rng)
    assert_gradient_agrees(task2a.gradient_approximation_test, model, *binary_data[:2])


@pytest.mark.parametrize(("l2_reg_lambda", "scale"), [(0, 0.0), (0, 0.1), (0.01, 0.1), (1, 0.1)])
def test_softmax_gradient_agrees_with_central_differences(full_data, l2_reg_lambda, scale, rng):
    model = with_random_weights(task3a.SoftmaxModel(l2_reg_lambda), scale, rng)
    assert_gradient_agrees(task3a.gradient_approximation_test, model, *full_data[:2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_follow_the_dtype_of_the_weights(binary_data, full_data, dtype):
    for model, data in ((task2a.BinaryModel(), binary_data), (task3a.SoftmaxModel(0.1), full_data)):
        model.w = model.w.astype(dtype)
        X, Y = (part[:10] for part in data[:2])
        outputs = model.forward(X)
        model.backward(X, outputs, Y)
        assert outputs.dtype == model.grad.dtype == dtype
        assert outputs.shape == Y.shape
        assert model.grad.shape == model.w.shape
        model.zero_grad()
        assert model.grad is None


# The check itself: small models, whose gradient is right until a mistake is made on purpose.
N, D, K = 8, 6, 3


class SmallModel:
    """Softmax regression on D inputs, whose `grad` is ``make_grad(of_loss, of_penalty)``."""

    def __init__(self, make_grad=np.add, l2_reg_lambda=0.1):
        self.make_grad = make_grad
        self.l2_reg_lambda = l2_reg_lambda
        self.w = np.random.default_rng(1).normal(size=(D, K))

    def forward(self, X):
        return scipy.special.softmax(X @ self.w, axis=-1)

    def backward(self, X, outputs, targets):
        of_loss = X.T @ (outputs - targets) / len(X)
        self.grad = self.make_grad(of_loss, 2 * self.l2_reg_lambda * self.w)


class KeepsOutputs(SmallModel):
    def forward(self, X):
        self.outputs = super().forward(X)
        return self.outputs

    def backward(self, X, outputs, targets):
        super().backward(X, self.outputs, targets)


class IgnoresAWeight(SmallModel):
    def forward(self, X):
        used = np.ones((D, K))
        used[2, 1] = 0
        return scipy.special.softmax(X @ (self.w * used), axis=-1)


MODELS = (SmallModel, KeepsOutputs)


def check(model):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D))
    Y = np.eye(K)[rng.integers(K, size=N)]

    def loss(targets, outputs):
        return -np.sum(targets * np.log(outputs)) / len(targets)

    return check_gradient(model, X, Y, loss, model.l2_reg_lambda)


def failure_of(model):
    with pytest.raises(AssertionError) as failure:
        check(model)
    return str(failure.value)


@pytest.mark.parametrize("model", MODELS)
def test_check_takes_any_forward(model):
    assert 0 < check(model()) <= 1e-6
    assert "the wrong sign" in failure_of(model(lambda of_loss, of_penalty: -of_loss - of_penalty))


@pytest.mark.parametrize("model", MODELS)
def test_each_weight_is_shifted_up_and_down_while_the_others_stay(model):
    shifted = []

    class Spy(model):
        def forward(self, X):
            shifted.append(self.w - w)
            return super().forward(X)

    small_model = Spy()
    w = small_model.w.copy()
    check(small_model)
    first, *shifted = shifted
    assert not first.any()
    assert [np.count_nonzero(shift) for shift in shifted] == [1] * (2 * D * K)
    np.testing.assert_allclose(np.max(shifted, axis=0), EPSILON, rtol=1e-9)
    np.testing.assert_allclose(np.min(shifted, axis=0), -EPSILON, rtol=1e-9)


def test_check_takes_an_error_of_half_a_millionth_and_finds_one_of_two_millionths():
    error = check(SmallModel(lambda of_loss, of_penalty: (1 + 5e-7) * (of_loss + of_penalty)))
    assert error == pytest.approx(5e-7, rel=0.05)
    message = failure_of(SmallModel(lambda of_loss, of_penalty: 1.000002 * (of_loss + of_penalty)))
    assert " of 18 weights are off" in message


@pytest.mark.parametrize("weight", [0, 1, 2])
def test_an_error_is_relative_to_its_gradient_or_a_hundredth_of_the_largest(weight):
    gradient = np.array([[1.0], [0.02], [0.0001]])

    class Linear:
        w = np.zeros((3, 1))

        def forward(self, X):
            return X @ self.w

        def backward(self, X, outputs, targets):
            self.grad = gradient.copy()
            self.grad[weight] += error * max(gradient[weight, 0], 0.01)

    def test():
        return check_gradient(Linear(), gradient.T, None, lambda targets, outputs: outputs.mean())

    error = 5e-7
    assert test() == pytest.approx(error, rel=0.01)
    error = 2e-6
    with pytest.raises(AssertionError, match=rf"1 of 3 weights is off, .* w\[{weight}, 0\]"):
        test()


def test_check_finds_a_weight_that_forward_ignores():
    assert failure_of(IgnoresAWeight(l2_reg_lambda=0)).startswith(
        "1 of 18 weights is off, most of all w[2, 1]: backward gives"
    )


def test_check_names_the_weight_with_the_largest_absolute_difference():
    def make_grad(of_loss, of_penalty):
        grad = of_loss + of_penalty
        tiny = np.unravel_index(np.argmin(np.abs(grad)), grad.shape)
        grad[tiny] *= -1
        grad[4, 2] += 0.25
        return grad

    message = failure_of(SmallModel(make_grad))
    assert message.startswith("2 of 18 weights are off, most of all w[4, 2]: backward gives")
    assert message.endswith("; the difference is 0.25")


@pytest.mark.parametrize(
    ("make_grad", "hint"),
    [
        (lambda c, r: -c - r, "the gradient has the wrong sign"),
        (lambda c, r: N * (c + r), "the gradient is 8 times too large: its 1/N is missing"),
        (lambda c, r: (c + r) / N, "the gradient is 8 times too small: it is divided by N once "),
        (lambda c, r: -c + r, "the gradient of the loss has the wrong sign"),
        (lambda c, r: N * c + r, "the gradient of the loss is 8 times too large: its 1/N is missi"),
        (lambda c, r: c, "the gradient 2λw of the penalty λ Σ w² is missing"),
        (lambda c, r: c + r / 2, "the gradient 2λw of the penalty λ Σ w² is half of what it"),
        (lambda c, r: c - r, "the gradient 2λw of the penalty λ Σ w² has the wrong sign"),
        (lambda c, r: c + r / N, "the gradient 2λw of the penalty λ Σ w² is 8 times too small"),
    ],
)
def test_check_says_what_the_difference_looks_like(make_grad, hint):
    assert f"; it looks as if {hint}" in failure_of(SmallModel(make_grad))


def test_check_says_that_only_the_bias_is_off():
    def without_penalty_of_bias(of_loss, of_penalty):
        return of_loss + of_penalty * (np.arange(D)[:, np.newaxis] < D - 1)

    message = failure_of(SmallModel(without_penalty_of_bias))
    assert message.startswith("3 of 18 weights are off, most of all w[5, ")
    assert message.endswith("all of them are in the last row of w, the bias")


def test_check_explains_nothing_that_no_formula_explains():
    noise = np.random.default_rng(2).normal(size=(D, K))
    assert "looks as if" not in failure_of(SmallModel(lambda c, r: c + r + noise))


@pytest.mark.parametrize(
    ("make_grad", "what"),
    [
        (lambda c, r: c.T, "grad has shape (3, 6) after backward"),
        (lambda c, r: c[:, 0], "grad has shape (6,) after backward"),
        (lambda c, r: None, "grad is None after backward"),
    ],
)
def test_check_says_both_shapes_of_a_gradient_of_the_wrong_shape(make_grad, what):
    assert failure_of(SmallModel(make_grad)) == f"{what}; expected (6, 3), the shape of w"


@pytest.mark.parametrize(("value", "count"), [(np.nan, 18), (np.inf, 6)])
def test_gradients_that_are_not_finite_are_off(value, count):
    message = failure_of(SmallModel(lambda c, r: np.where(np.arange(K) == 1, value, c + r)))
    assert message.startswith(
        f"{count} of 18 weights are off, most of all w[0, 1]: backward gives {value}, central"
    )
    assert message.endswith(f"; the difference is {value}")


def test_check_leaves_the_weights_as_they_were():
    for make_grad in (np.add, np.subtract):
        model = SmallModel(make_grad)
        w = model.w = model.w.astype(np.float32)
        before = w.copy()
        try:
            check(model)
        except AssertionError:
            assert make_grad is np.subtract
        assert model.w is w
        np.testing.assert_array_equal(w, before)


# What people see of a failure. These do not use our own `backward`: if it is wrong, only the tests
# of it shall fail.
@pytest.mark.parametrize(
    ("script", "model"), [(task2a, task2a.BinaryModel), (task3a, task3a.SoftmaxModel)]
)
def test_a_wrong_gradient_fails_the_checks_of_its_script(monkeypatch, script, model):
    def backward_with_wrong_sign(self, X, outputs, targets):
        penalty = getattr(self, "l2_reg_lambda", 0) * 2 * self.w
        self.grad = X.T @ (targets - outputs) / len(X) - penalty

    monkeypatch.setattr(model, "backward", backward_with_wrong_sign)
    with pytest.raises(AssertionError, match=r"weights are off.*the gradient has the wrong sign"):
        script.main()


def test_pytest_shows_a_wrong_gradient_in_a_screenful(tmp_path):
    (tmp_path / "missing_mean.py").write_text(
        "import task2a\n"
        "def backward_without_mean(self, X, outputs, targets):\n"
        "    self.grad = X.T @ (outputs - targets)\n"
        "task2a.BinaryModel.backward = backward_without_mean\n"
    )
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "missing_mean", "-k", "logistic_g"]
    # With these, pytest shows whole messages a second time, at the end.
    usual = {k: v for k, v in os.environ.items() if k not in ("CI", "BUILD_NUMBER")}
    shown = subprocess.run(
        [*command, __file__],
        env={**usual, "PYTHONPATH": str(tmp_path), "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout
    assert "3 failed" in shown
    assert shown.count("is 20 times too large: its 1/N is missing") == 3
    assert sum(max(1, math.ceil(len(line) / 80)) for line in shown.splitlines()) <= 40
