from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import utils

ROOT = Path(utils.__file__).parent


def test_the_full_split_is_the_assignments():
    X_train, Y_train, X_val, Y_val = utils.load_full_mnist()
    assert (X_train.shape, Y_train.shape) == ((20_000, 784), (20_000, 1))
    assert (X_val.shape, Y_val.shape) == ((10_000, 784), (10_000, 1))
    assert {part.dtype for part in (X_train, Y_train, X_val, Y_val)} == {np.dtype(np.uint8)}


def test_the_binary_split_is_the_assignments():
    X_train, Y_train, X_val, Y_val = utils.load_binary_dataset(2, 3)
    assert (len(X_train), len(X_val)) == (4_005, 2_042)
    full_X, full_Y = utils.load_full_mnist()[:2]
    np.testing.assert_array_equal(X_train[Y_train[:, 0] == 1], full_X[full_Y[:, 0] == 2])
    np.testing.assert_array_equal(X_train[Y_train[:, 0] == 0], full_X[full_Y[:, 0] == 3])
    swapped = utils.load_binary_dataset(3, 2)
    np.testing.assert_array_equal(swapped[0], X_train)
    np.testing.assert_array_equal(swapped[3], 1 - Y_val)


@pytest.mark.parametrize("digits", [(2, 2), (11, 2), (2, -1)])
def test_load_binary_dataset_refuses_what_are_no_two_digits(digits):
    message = "class1 and class2 are {} and {}; expected two different digits from 0 to 9"
    with pytest.raises(ValueError, match=message.format(*digits)):
        utils.load_binary_dataset(*digits)


@pytest.mark.parametrize("found", [[0, 1, 2, 3], [*range(11)]])
def test_a_data_set_with_other_classes_than_the_ten_digits_is_refused(monkeypatch, found):
    def load_split(split, *arguments):
        return np.zeros((len(found), 784), np.uint8), np.array(found, np.uint8)[:, np.newaxis]

    monkeypatch.setattr(utils.mnist, "load_split", load_split)
    with pytest.raises(
        ValueError, match=r"training labels are .*; expected all of 0 to 9"
    ) as raised:
        utils.load_binary_dataset(2, 3)
    assert str(found) in str(raised.value)


@given(
    st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))),
    st.booleans(),
    st.booleans(),
    st.integers(0, 5),
)
def test_the_loader_gives_every_sample_once_with_its_own_target(sizes, shuffle, drop_last, seed):
    N, batch_size = sizes
    X = np.arange(3 * N).reshape(N, 3)
    Y = X[:, :1] * 7
    rng = np.random.default_rng(seed)
    batches = list(utils.batch_loader(X, Y, batch_size, shuffle, drop_last, rng=rng))
    expected_sizes = [batch_size] * (N // batch_size)
    if N % batch_size and not drop_last:
        expected_sizes.append(N % batch_size)
    assert [len(X_batch) for X_batch, _ in batches] == expected_sizes
    for X_batch, Y_batch in batches:
        np.testing.assert_array_equal(X_batch[:, :1] * 7, Y_batch)
    seen = np.concatenate([X_batch for X_batch, _ in batches])[:, 0]
    assert len(set(seen)) == len(seen)
    if not drop_last:
        assert sorted(seen) == sorted(X[:, 0])
    if not shuffle:
        np.testing.assert_array_equal(seen, X[: len(seen), 0])


def test_the_loader_shuffles_differently_in_each_epoch_and_alike_for_a_seed():
    X = np.arange(100)[:, np.newaxis]

    def epochs(seed):
        rng = np.random.default_rng(seed)
        return [
            [tuple(batch[:, 0]) for batch, _ in utils.batch_loader(X, X, 10, True, rng=rng)]
            for _ in range(2)
        ]

    first, second = epochs(0)
    assert first != second
    assert epochs(0) == [first, second]
    assert epochs(1) != [first, second]


@pytest.mark.parametrize(
    ("num_targets", "batch_size", "message"),
    [
        (9, 2, "Y has 9 targets; expected 10"),
        (10, 11, "batch_size is 11; expected a positive integer up to 10"),
        (10, 0, "batch_size is 0; expected a positive integer up to 10"),
        (10, 1.5, "batch_size is 1.5; expected a positive integer up to 10"),
        (10, None, "batch_size is None; expected a positive integer up to 10"),
    ],
)
def test_the_loader_refuses_at_once_what_makes_no_batches(num_targets, batch_size, message):
    with pytest.raises(ValueError, match=message):
        utils.batch_loader(np.zeros((10, 1)), np.zeros((num_targets, 1)), batch_size)


def test_plot_loss_draws_the_history_on_the_current_axes():
    figure, axes = plt.subplots()
    utils.plot_loss({0: 3.0, 5: 2.0, 10: 1.0}, "loss")
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xydata(), [[0, 3], [5, 2], [10, 1]])
    assert line.get_label() == "loss"
    plt.close(figure)


@pytest.mark.parametrize("plot_variance", [True, False])
def test_plot_loss_draws_means_and_deviations(plot_variance):
    figure, axes = plt.subplots()
    history = dict(enumerate([1.0, 3.0, 2.0, 6.0, 9.0]))
    utils.plot_loss(history, "loss", npoints_to_average=2, plot_variance=plot_variance)
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xydata(), [[0.5, 2], [2.5, 4]])
    assert len(axes.collections) == plot_variance
    if plot_variance:
        band = axes.collections[0].get_paths()[0].vertices[:, 1]
        assert (band.min(), band.max()) == (1, 6)
    plt.close(figure)


def test_importing_the_modules_draws_no_figure_and_seeds_nothing():
    code = """
import task2, task2a, task3, task3a, task4, trainer
import matplotlib.pyplot as plt
assert plt.get_fignums() == []
import numpy as np
state = np.random.get_state()[1]
np.random.seed(0)
assert not (np.random.get_state()[1] == state).all()
"""
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert child.stderr == ""
    assert child.returncode == 0
