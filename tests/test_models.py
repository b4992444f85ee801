from __future__ import annotations

import warnings

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.special import softmax as scipy_softmax

import task2
import task2a
import task3
import task3a
from common.linear import logits, weight_gradient

DTYPES = st.sampled_from([np.float32, np.float64])


@st.composite
def logit_arrays(draw, min_classes, max_classes):
    num_classes = draw(st.integers(min_classes, max_classes))
    shape = (draw(st.integers(1, 8)), num_classes)
    dtype = draw(DTYPES)
    width = np.finfo(dtype).bits
    return draw(hnp.arrays(dtype, shape, elements=st.floats(-1e4, 1e4, width=width)))


@given(logit_arrays(1, 1))
def test_sigmoid_is_the_logistic_function_without_a_warning(z):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs = task2a.sigmoid(z)
    assert outputs.dtype == z.dtype
    np.testing.assert_allclose(
        outputs, expit(z), rtol=1e-5, atol=np.finfo(z.dtype).tiny, equal_nan=False
    )


@given(logit_arrays(2, 12))
def test_softmax_rows_sum_to_one_without_a_warning(z):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs = task3a.softmax(z)
    assert outputs.dtype == z.dtype
    assert np.all(outputs >= 0)
    np.testing.assert_allclose(outputs.sum(axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(outputs, scipy_softmax(z, axis=-1), rtol=1e-4, atol=1e-30)


@given(logit_arrays(2, 12), st.integers(-1000, 1000))
def test_softmax_does_not_change_if_all_logits_are_shifted(z, shift):
    z = np.round(z).astype(np.float64)
    np.testing.assert_allclose(task3a.softmax(z + shift), task3a.softmax(z), rtol=1e-12)


@given(logit_arrays(1, 1), st.data())
def test_logistic_loss_is_finite_without_a_warning(z, data):
    targets = data.draw(hnp.arrays(np.float32, z.shape, elements=st.sampled_from([0.0, 1.0])))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss = task2a.cross_entropy_loss(targets, task2a.sigmoid(z))
    assert 0 <= loss < np.inf
    assert isinstance(loss, float)


@given(logit_arrays(2, 12), st.data())
def test_softmax_loss_is_finite_without_a_warning(z, data):
    labels = data.draw(hnp.arrays(np.int64, (len(z), 1), elements=st.integers(0, z.shape[1] - 1)))
    targets = task3a.one_hot_encode(labels, z.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss = task3a.cross_entropy_loss(targets, task3a.softmax(z))
    assert 0 <= loss < np.inf
    assert isinstance(loss, float)


def test_losses_of_fresh_models_are_those_of_guessing(binary_data, full_data):
    X, Y = (part[:100] for part in binary_data[:2])
    loss = task2a.cross_entropy_loss(Y, task2a.BinaryModel().forward(X))
    assert loss == pytest.approx(np.log(2), rel=1e-7)
    X, Y = (part[:100] for part in full_data[:2])
    loss = task3a.cross_entropy_loss(Y, task3a.SoftmaxModel(0).forward(X))
    assert loss == pytest.approx(np.log(10), rel=1e-7)


@pytest.fixture(scope="module")
def sklearn():
    """Scikit-learn, imported by the one process that needs it."""
    import sklearn.linear_model

    return sklearn


def optimum_of(sklearn, X, classes, l2_reg_lambda):
    """Minimise the mean loss plus λ Σ w²."""
    C = 1 / (2 * l2_reg_lambda * len(X))
    return sklearn.linear_model.LogisticRegression(
        C=C, fit_intercept=False, tol=1e-9, max_iter=5000
    ).fit(X, classes)


def test_logistic_probabilities_loss_and_accuracy_agree_with_scikit_learn(sklearn, binary_data):
    X, Y = binary_data[2:]
    oracle = optimum_of(sklearn, X[:400].astype(np.float64), Y[:400, 0], 0.1)
    model = task2a.BinaryModel()
    model.w = oracle.coef_.T
    outputs = model.forward(X)
    expected = oracle.predict_proba(X)[:, 1:]
    np.testing.assert_allclose(outputs, expected, rtol=1e-9)
    assert task2a.cross_entropy_loss(Y, outputs) == pytest.approx(
        sklearn.metrics.log_loss(Y[:, 0], expected[:, 0]), rel=1e-9
    )
    assert task2.calculate_accuracy(X, Y, model) == oracle.score(X, Y[:, 0])


def test_softmax_gradient_vanishes_at_the_optimum_of_scikit_learn(sklearn, full_data):
    l2_reg_lambda = 0.5
    X, Y = (part[:200].astype(np.float64) for part in full_data[:2])
    oracle = optimum_of(sklearn, X, Y.argmax(axis=1), l2_reg_lambda)
    model = task3a.SoftmaxModel(l2_reg_lambda)
    model.backward(X, model.forward(X), Y)
    gradient_at_zero = np.abs(model.grad).max()
    model.w = oracle.coef_.T
    outputs = model.forward(X)
    model.backward(X, outputs, Y)
    assert np.abs(model.grad).max() < 1e-6 * gradient_at_zero

    expected = oracle.predict_proba(X)
    np.testing.assert_allclose(outputs, expected, rtol=1e-9)
    assert task3a.cross_entropy_loss(Y, outputs) == pytest.approx(
        sklearn.metrics.log_loss(Y.argmax(axis=1), expected), rel=1e-9
    )
    assert task3.calculate_accuracy(X, Y, model) == oracle.score(X, Y.argmax(axis=1))


def test_logistic_gradient_vanishes_at_the_optimum_of_scikit_learn(sklearn, binary_data):
    X, Y = (part[:400].astype(np.float64) for part in binary_data[:2])
    l2_reg_lambda = 0.01
    oracle = optimum_of(sklearn, X, Y[:, 0], l2_reg_lambda)
    model = task2a.BinaryModel()
    model.w = oracle.coef_.T
    model.backward(X, model.forward(X), Y)
    np.testing.assert_allclose(model.grad + 2 * l2_reg_lambda * model.w, 0, atol=1e-7)


@given(
    hnp.arrays(np.float32, (7, 5), elements=st.sampled_from([-1.0, 0.0, 0.5, 0.75, 2.0])),
)
def test_accuracy_counts_the_arg_max_even_if_outputs_are_equal(outputs):
    largest = np.argmax(outputs, axis=-1)
    for k in range(5):
        targets = np.eye(5)[np.full(7, k)]
        assert task3.accuracy(targets, outputs) == np.mean(largest == k)


def test_a_fresh_softmax_model_predicts_zero_for_every_image(full_data):
    X, Y = full_data[2:]
    accuracy = task3.calculate_accuracy(X, Y, task3a.SoftmaxModel(0))
    assert accuracy == Y[:, 0].mean(dtype=np.float64)


def test_a_fresh_logistic_model_predicts_one_for_every_image(binary_data):
    X, Y = binary_data[2:]
    accuracy = task2.calculate_accuracy(X, Y, task2a.BinaryModel())
    assert accuracy == Y.mean(dtype=np.float64)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 6))
def test_a_stack_of_weights_gives_what_each_of_them_gives(M, K, N, D):
    rng = np.random.default_rng(M + 10 * K + 100 * N + 1000 * D)
    X = rng.normal(size=(N, D))
    weights = rng.normal(size=(M, D, K))
    stacked = logits(X, weights)
    for m in range(M):
        np.testing.assert_allclose(logits(X, weights[m]), X @ weights[m], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(stacked[m], X @ weights[m], rtol=1e-12, atol=1e-12)


# 128 and 1000 samples: the products of a step, in slices, and of a validation, as one.
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("K", "N"), [(1, 128), (10, 128), (10, 97), (10, 1000)])
def test_products_of_the_tasks_sizes_are_those_of_float64(rng, K, N, dtype):
    X = rng.uniform(-1, 1, size=(N, 785)).astype(dtype)
    w = rng.normal(size=(3, 785, K)).astype(dtype)
    errors = rng.normal(size=(N, K)).astype(dtype)
    tolerance = 1000 * np.finfo(dtype).eps
    exact_logits = X.astype(np.float64) @ w.astype(np.float64)
    exact_gradients = X.T.astype(np.float64) @ errors.astype(np.float64)
    classes_first = w.swapaxes(-1, -2).copy().swapaxes(-1, -2)
    for weights in (w, classes_first):
        assert logits(X, weights).dtype == dtype
        np.testing.assert_allclose(logits(X, weights), exact_logits, atol=tolerance)
    np.testing.assert_allclose(weight_gradient(X, errors), exact_gradients, atol=tolerance)


class RaisesFlags(np.ndarray):
    """An array whose products raise the processor's flags, and are what they should be."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        arrays = [np.asarray(array) for array in inputs]
        if ufunc is np.matmul:
            largest = np.float32([np.finfo(np.float32).max])
            _ = largest * 2, np.float32([1]) / 0, np.float32([np.inf]) - np.inf
        return getattr(ufunc, method)(*arrays, **kwargs)


# Some BLAS builds raise them (numpy issue 28687): in small products, in slices and in large ones.
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("N", [3, 128, 1000])
def test_flags_of_a_product_whose_result_is_right_are_no_warning(full_data, N):
    X, Y = (part[:N] for part in full_data[:2])
    flagged = X.view(RaisesFlags)
    with pytest.warns(RuntimeWarning):
        _ = flagged @ np.zeros((785, 10))
    model = task3a.SoftmaxModel(0)
    outputs = model.forward(flagged)
    np.testing.assert_array_equal(outputs, model.forward(X))
    model.backward(flagged, outputs, Y)
    assert model.grad.any()


def test_pre_process_images_scales_pixels_and_appends_ones():
    X = np.tile(np.arange(256, dtype=np.uint8), (2, 4))[:, :784]
    processed = task2a.pre_process_images(X)
    assert processed.shape == (2, 785)
    assert processed.dtype == np.float32
    np.testing.assert_allclose(processed[:, :784], X / 255 * 2 - 1, atol=1e-6)
    assert processed.min() == -1
    assert processed.max() == 1
    assert np.all(processed[:, 784] == 1)
    np.testing.assert_array_equal(task2a.pre_process_images(X.astype(np.float64)), processed)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((2, 785), np.uint8), r"X is uint8 of shape \(2, 785\); expected .* \[N, 784\]"),
        (np.zeros(784, np.uint8), r"X is uint8 of shape \(784,\)"),
        (np.zeros((2, 784), complex), "X is complex128"),
        (np.full((2, 784), "0"), "X is <U1"),
        (np.full((1, 784), np.nan), "values from nan to nan; expected 0 to 255"),
        (np.full((1, 784), 256.0), "from 256.0 to 256.0; expected 0 to 255"),
        (np.full((1, 784), -1), "from -1 to -1; expected 0 to 255"),
    ],
)
def test_pre_process_images_refuses_what_is_no_image(X, message):
    with pytest.raises(ValueError, match=message):
        task2a.pre_process_images(X)


def test_one_hot_encode_marks_the_label():
    encoded = task3a.one_hot_encode(np.array([[1], [0], [2]], dtype=np.uint8), 3)
    np.testing.assert_array_equal(encoded, [[0, 1, 0], [1, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("Y", "message"),
    [
        (np.array([[10]]), "Y has values from 10 to 10; expected 0 to 9"),
        (np.array([[-1]]), "Y has values from -1 to -1; expected 0 to 9"),
        (np.array([1, 2]), r"shape \(2,\); expected integers of \[N, 1\]"),
        (np.array([[1.0]]), "Y is float64"),
    ],
)
def test_one_hot_encode_refuses_what_is_no_label(Y, message):
    with pytest.raises(ValueError, match=message):
        task3a.one_hot_encode(Y, 10)


MODELS = pytest.mark.parametrize(
    ("model", "loss", "calculate_accuracy"),
    [
        (task2a.BinaryModel(), task2a.cross_entropy_loss, task2.calculate_accuracy),
        (task3a.SoftmaxModel(0), task3a.cross_entropy_loss, task3.calculate_accuracy),
    ],
)


@MODELS
def test_models_refuse_what_does_not_fit(model, loss, calculate_accuracy):
    D, K = model.w.shape
    X = np.zeros((3, D), np.float32)
    outputs, targets = model.forward(X), np.zeros((3, K))
    for wrong_X in (X[:, 1:], X[0], X.astype(np.uint8), X.astype(complex)):
        message = f"X is {wrong_X.dtype} of shape .*; expected float of "
        with pytest.raises(ValueError, match=rf"{message}\[N, {D}\]"):
            model.forward(wrong_X)
        with pytest.raises(ValueError, match=rf"{message}\[3, {D}\]"):
            model.backward(wrong_X, outputs, targets)
    with pytest.raises(ValueError, match=r"X is .* of shape \(2, 785\); expected .* \[3, 785\]"):
        model.backward(X[:2], outputs, targets)
    with pytest.raises(ValueError, match=rf"outputs is .*; expected float of \[N, {K}\]"):
        model.backward(X, np.zeros((3, K + 1)), np.zeros((3, K + 1)))
    assert model.grad is None


@MODELS
def test_losses_gradients_and_accuracies_refuse_other_targets(model, loss, calculate_accuracy):
    D, K = model.w.shape
    X = np.zeros((3, D), np.float32)
    outputs = model.forward(X)
    for targets in (np.zeros(3), np.zeros((1, K)), np.zeros((3, K + 1)), np.zeros((3, K), complex)):
        message = rf"targets is .*; expected numbers of \[3, {K}\]"
        with pytest.raises(ValueError, match=message):
            loss(targets, outputs)
        with pytest.raises(ValueError, match=message):
            model.backward(X, outputs, targets)
        with pytest.raises(ValueError, match=message):
            calculate_accuracy(X, targets, model)
    with pytest.raises(ValueError, match=rf"outputs is .* of shape \(0, {K}\); expected float of"):
        loss(np.zeros((0, K)), outputs[:0])


@pytest.mark.parametrize(
    ("loss", "shape", "message"),
    [
        (task2a.cross_entropy_loss, (3, 10), r"shape \(3, 10\); expected float of \[N, 1\]"),
        (task2a.cross_entropy_loss, (3,), r"shape \(3,\); expected float of \[N, 1\]"),
        (task3a.cross_entropy_loss, (3, 1), r"shape \(3, 1\); expected \(N, K\) with K of at"),
        (task3a.cross_entropy_loss, (3,), r"shape \(3,\); expected \(N, K\) with K of at"),
    ],
)
def test_losses_refuse_outputs_of_another_model(loss, shape, message):
    with pytest.raises(ValueError, match=f"outputs .*{message}"):
        loss(np.zeros(shape), np.full(shape, 0.5))
    columns = 1 if loss is task2a.cross_entropy_loss else 2
    with pytest.raises(ValueError, match="outputs is int64"):
        loss(np.zeros((3, columns)), np.ones((3, columns), int))


@pytest.mark.parametrize("l2_reg_lambda", [-1, np.nan, np.inf])
def test_softmax_model_refuses_a_senseless_penalty(l2_reg_lambda):
    with pytest.raises(ValueError, match=r"l2_reg_lambda is .*; expected a non-negative number"):
        task3a.SoftmaxModel(l2_reg_lambda)
