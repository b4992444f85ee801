"""The gradient checks: `pytest tests/test_gradients.py` runs them alone."""

from __future__ import annotations

import numpy as np
import pytest

import task2a
import task3a

NUM_IMAGES = 20


class WrongSign(task2a.BinaryModel):
    def backward(self, X, outputs, targets):
        super().backward(X, outputs, targets)
        self.grad = -self.grad


class SumInsteadOfMean(task2a.BinaryModel):
    def backward(self, X, outputs, targets):
        super().backward(X, outputs, targets)
        self.grad = self.grad * len(X)


class NoPenalty(task3a.SoftmaxModel):
    def backward(self, X, outputs, targets):
        super().backward(X, outputs, targets)
        self.grad = self.grad - 2 * self.l2_reg_lambda * self.w


class NoPenaltyOfBias(task3a.SoftmaxModel):
    def backward(self, X, outputs, targets):
        super().backward(X, outputs, targets)
        self.grad[-1] -= 2 * self.l2_reg_lambda * self.w[-1]


class HalfThePenalty(task3a.SoftmaxModel):
    def backward(self, X, outputs, targets):
        super().backward(X, outputs, targets)
        self.grad = self.grad - self.l2_reg_lambda * self.w


class OneWrongWeight(task3a.SoftmaxModel):
    def backward(self, X, outputs, targets):
        super().backward(X, outputs, targets)
        self.grad[400, 7] *= 1.01


def with_random_weights(model, scale, rng):
    model.w = rng.normal(scale=scale, size=model.w.shape)
    return model


@pytest.mark.parametrize("scale", [0.0, 0.05, 0.3])
def test_logistic_gradient_agrees_with_central_differences_for_every_weight(
    binary_data, scale, rng
):
    X, Y = (part[:NUM_IMAGES] for part in binary_data[:2])
    model = with_random_weights(task2a.BinaryModel(), scale, rng)
    assert 0 < task2a.gradient_approximation_test(model, X, Y) <= 1e-6


@pytest.mark.parametrize(("l2_reg_lambda", "scale"), [(0, 0.0), (0, 0.1), (0.01, 0.1), (1, 0.1)])
def test_softmax_gradient_agrees_with_central_differences_for_every_weight(
    full_data, l2_reg_lambda, scale, rng
):
    X, Y = (part[:NUM_IMAGES] for part in full_data[:2])
    model = with_random_weights(task3a.SoftmaxModel(l2_reg_lambda), scale, rng)
    assert 0 < task3a.gradient_approximation_test(model, X, Y) <= 1e-6


@pytest.mark.parametrize("broken", [WrongSign, SumInsteadOfMean])
def test_gradient_approximation_test_catches_a_wrong_logistic_gradient(binary_data, broken):
    X, Y = (part[:10] for part in binary_data[:2])
    with pytest.raises(AssertionError, match=r"w\[\d+, 0\]: backward gives .* differences give"):
        task2a.gradient_approximation_test(broken(), X, Y)


@pytest.mark.parametrize("broken", [NoPenalty, NoPenaltyOfBias, HalfThePenalty])
def test_gradient_approximation_test_catches_a_wrong_penalty(full_data, broken, rng):
    X, Y = (part[:10] for part in full_data[:2])
    with pytest.raises(AssertionError, match=r"w\[\d+, \d\]"):
        task3a.gradient_approximation_test(with_random_weights(broken(0.1), 0.1, rng), X, Y)


def test_gradient_approximation_test_names_the_worst_weight(full_data, rng):
    X, Y = (part[:10] for part in full_data[:2])
    with pytest.raises(AssertionError, match=r"w\[400, 7\]: backward gives"):
        task3a.gradient_approximation_test(with_random_weights(OneWrongWeight(0), 0.1, rng), X, Y)


def test_gradient_approximation_test_leaves_the_weights_as_they_were(binary_data, rng):
    X, Y = (part[:2] for part in binary_data[:2])
    model = task2a.BinaryModel()
    w = model.w = rng.normal(size=model.w.shape).astype(np.float32)
    before = w.copy()
    task2a.gradient_approximation_test(model, X, Y)
    assert model.w is w
    np.testing.assert_array_equal(w, before)


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
