from __future__ import annotations

import _thread
import copy
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import reference_trainer
from threadpoolctl import threadpool_info, threadpool_limits

import task2
import task2a
import task3
import task3a
import task4
from runs.training import finish_step_on_ctrl_c, train_all

NUM_TRAIN, NUM_VAL = 1500, 500


@pytest.fixture(scope="module")
def small_binary_data(binary_data):
    X, Y, X_val, Y_val = binary_data
    return X[:NUM_TRAIN], Y[:NUM_TRAIN], X_val[:NUM_VAL], Y_val[:NUM_VAL]


@pytest.fixture(scope="module")
def small_full_data(full_data):
    X, Y, X_val, Y_val = full_data
    return X[:NUM_TRAIN], Y[:NUM_TRAIN], X_val[:NUM_VAL], Y_val[:NUM_VAL]


def logistic_trainer(data, shuffle=False, **settings):
    settings = {"patience": 10, "rng": np.random.default_rng(0)} | settings
    return task2.LogisticTrainer(task2a.BinaryModel(), 0.05, 32, shuffle, *data, **settings)


# With a learning rate of 0.05, the runs for λ = 1 are chaotic: rounding errors grow by 10¹⁴.
def softmax_trainer(data, shuffle=True, l2_reg_lambda=0.0, learning_rate=0.02, **settings):
    settings = {"patience": 10, "rng": np.random.default_rng(0)} | settings
    model = task3a.SoftmaxModel(l2_reg_lambda)
    return task3.SoftmaxTrainer(model, learning_rate, 32, shuffle, *data, **settings)


def in_float64(trainer):
    for part in ("X_train", "Y_train", "X_val", "Y_val"):
        setattr(trainer, part, getattr(trainer, part).astype(np.float64))
    trainer.model.w = trainer.model.w.astype(np.float64)
    return trainer


def assert_same_run(trainer, reference, tolerance=1e-6):
    train_history, val_history, stop_step, stop_epoch, best_step, best_w = reference
    assert (trainer.stop_step, trainer.stop_epoch) == (stop_step, stop_epoch)
    assert trainer.best_step == best_step
    for history, expected in (
        (trainer.train_history, train_history),
        (trainer.val_history, val_history),
    ):
        assert list(history["loss"]) == list(expected["loss"])
        np.testing.assert_allclose(
            list(history["loss"].values()), list(expected["loss"].values()), tolerance, tolerance
        )
        assert history["accuracy"] == pytest.approx(expected["accuracy"], abs=1e-12)
    np.testing.assert_allclose(trainer.model.w, best_w, atol=10 * tolerance)


def assert_has_its_best_weights(trainer):
    losses = trainer.val_history["loss"]
    assert trainer.best_step == min(losses, key=losses.get)
    loss = trainer.loss(trainer.Y_val, trainer.model.forward(trainer.X_val))
    assert loss == pytest.approx(losses[trainer.best_step], rel=1e-6)


# In float64 rounding does not matter, so that the runs must agree far beyond 1e-6.
@pytest.mark.parametrize("patience", [1, 2, 3, 10])
@pytest.mark.parametrize("shuffle", [False, True])
def test_logistic_run_is_that_of_the_reference(small_binary_data, shuffle, patience):
    trainer = in_float64(logistic_trainer(small_binary_data, shuffle, patience=patience))
    reference = reference_trainer.train(trainer, 12)
    trainer.train(12)
    assert_same_run(trainer, reference, 1e-11)


@pytest.mark.parametrize("patience", [1, 2, 10])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("l2_reg_lambda", [0.0, 1.0])
def test_softmax_run_is_that_of_the_reference(small_full_data, shuffle, l2_reg_lambda, patience):
    trainer = in_float64(
        softmax_trainer(small_full_data, shuffle, l2_reg_lambda, patience=patience)
    )
    reference = reference_trainer.train(trainer, 6)
    trainer.train(6)
    assert_same_run(trainer, reference, 1e-11)


def test_the_full_logistic_run_is_that_of_the_reference(binary_data):
    trainer = task2.make_trainer(binary_data, shuffle=False)
    reference = reference_trainer.train(trainer, 500)
    trainer.train(500)
    assert trainer.ended == "early stop"
    assert_same_run(trainer, reference)


# In float32, rounding decides about single images of the first validations.
def test_the_full_run_for_a_large_penalty_is_that_of_the_reference(full_data):
    trainer = in_float64(task3.make_trainer(full_data, l2_reg_lambda=1.0))
    reference = reference_trainer.train(trainer, 500)
    trainer.train(500)
    assert trainer.ended == "early stop"
    assert_same_run(trainer, reference)


def test_runs_that_train_at_the_same_time_are_bit_for_bit_those_of_runs_alone(small_full_data):
    def make_trainers():
        return [
            softmax_trainer(small_full_data, l2_reg_lambda=value, patience=3)
            for value in (0, 1.0, 0.1)
        ]

    together, alone = make_trainers(), make_trainers()
    train_all(together, 6)
    for trainer, trainer_alone in zip(together, alone, strict=True):
        with threadpool_limits(1):
            trainer_alone.train(6)
        assert trainer.stop_step == trainer_alone.stop_step
        assert trainer.train_history == trainer_alone.train_history
        assert trainer.val_history == trainer_alone.val_history
        np.testing.assert_array_equal(trainer.model.w, trainer_alone.model.w)
    assert len({trainer.stop_step for trainer in together}) > 1


def test_a_run_that_diverges_does_not_end_the_others(small_full_data):
    diverging, good = (
        softmax_trainer(small_full_data, l2_reg_lambda=value, learning_rate=3.0)
        for value in (1.0, 0.0)
    )
    with pytest.raises(FloatingPointError, match="training: "):
        train_all([diverging, good], 3)
    assert (diverging.ended, good.ended) == ("diverged", "last epoch")


def test_ctrl_c_ends_runs_in_threads_after_their_step(small_full_data):
    def press_ctrl_c(trainer):
        if trainer.stop_step == 200:
            _thread.interrupt_main()

    trainers = [softmax_trainer(small_full_data, patience=None) for _ in range(2)]
    trainers[0].after_step = press_ctrl_c
    with pytest.raises(KeyboardInterrupt):
        train_all(trainers, 1000)
    for trainer in trainers:
        assert trainer.ended == "interrupted"
        assert_has_its_best_weights(trainer)


def test_ctrl_c_before_all_runs_have_a_thread_ends_those_that_have(small_full_data, monkeypatch):
    begun = []
    submit = ThreadPoolExecutor.submit

    def submit_one(pool, *arguments):
        if begun:
            raise KeyboardInterrupt
        begun.append(submit(pool, *arguments))

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit_one)
    trainers = [softmax_trainer(small_full_data, patience=None) for _ in range(2)]
    with pytest.raises(KeyboardInterrupt):
        train_all(trainers, 200)
    assert begun[0].done()
    assert [trainer.ended for trainer in trainers] == ["interrupted", "interrupted"]
    assert_has_its_best_weights(trainers[0])


def test_runs_in_threads_have_one_blas_thread_each_and_a_run_alone_has_all(small_full_data):
    seen = set()

    def note_threads(trainer):
        pools = threadpool_info()
        seen.update(pool["num_threads"] for pool in pools if pool["user_api"] == "blas")

    # Where tests run side by side, there is one thread for each of them.
    with threadpool_limits(2, user_api="blas"):
        for trainers, num_threads in ((2, 1), (1, 2)):
            runs = [softmax_trainer(small_full_data, after_step=note_threads)] * trainers
            train_all([copy.copy(run) for run in runs], 1)
            assert seen == {num_threads}
            seen.clear()


def test_however_large_the_patience_a_validation_is_known_ten_validations_later(small_binary_data):
    unknown = []

    def count_unknown(trainer):
        # 46 batches in an epoch make a validation every 9 steps.
        unknown.append(trainer.stop_step // 9 + 1 - len(trainer.val_history["loss"]))

    trainer = logistic_trainer(small_binary_data, patience=1000, after_step=count_unknown)
    trainer.train(5)
    assert max(unknown) < 10
    steps = list(range(0, 5 * 46, 9))
    assert list(trainer.val_history["loss"]) == list(trainer.val_history["accuracy"]) == steps
    assert list(trainer.train_history["accuracy"]) == steps


def test_validation_step_gives_what_the_history_has(small_full_data):
    trainer = softmax_trainer(small_full_data)
    shares_of_zero = [np.mean(small_full_data[part][:, 0], dtype=float) for part in (1, 3)]
    assert trainer.validation_step() == pytest.approx((np.log(10), *shares_of_zero))
    trainer.train(2)
    assert trainer.validation_step() == pytest.approx(
        (
            trainer.best_loss,
            trainer.train_history["accuracy"][trainer.best_step],
            trainer.val_history["accuracy"][trainer.best_step],
        ),
        rel=1e-6,
    )


def test_training_accuracies_are_left_out_if_not_wanted_and_change_nothing_else(small_full_data):
    trainer, without = (softmax_trainer(small_full_data, patience=2) for _ in range(2))
    without.records_train_accuracy = False
    trainer.train(6)
    without.train(6)
    assert without.train_history == {"loss": trainer.train_history["loss"], "accuracy": {}}
    assert without.val_history == trainer.val_history
    np.testing.assert_array_equal(without.model.w, trainer.model.w)
    assert np.isnan(without.summary()["train_accuracy"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_assignments_logistic_run_stops_where_it_should(binary_data, dtype):
    trainer = task2.make_trainer(
        tuple(part.astype(dtype) for part in binary_data), shuffle=False, patience=10
    )
    trainer.model.w = trainer.model.w.astype(dtype)
    train_history, val_history = trainer.train(500)
    assert trainer.ended == "early stop"
    assert (trainer.stop_step, trainer.stop_epoch, trainer.best_step) == (1038, 33, 978)
    assert trainer.best_loss == pytest.approx(0.0656904876, abs=1e-6)
    assert val_history["loss"][978] == min(val_history["loss"].values()) == trainer.best_loss
    assert val_history["loss"][1038] == pytest.approx(0.0657718775, abs=1e-6)
    assert list(train_history["loss"]) == list(range(1039))
    assert list(val_history["loss"]) == list(range(0, 1039, 6))
    # The weights are those of step 978: they give its loss, and differ from those of step 1038.
    X_val, Y_val = trainer.X_val, trainer.Y_val
    assert task2a.cross_entropy_loss(Y_val, trainer.model.forward(X_val)) == pytest.approx(
        trainer.best_loss, abs=1e-7
    )


def test_the_kept_weights_are_those_right_after_the_best_step(binary_data):
    kept = task2.make_trainer(binary_data, shuffle=False)
    kept.train(500)
    by_hand = task2.make_trainer(binary_data, shuffle=False)
    X, Y = binary_data[:2]
    for step in range(978 + 1):
        rows = slice(step % 31 * 128, (step % 31 + 1) * 128)
        by_hand.train_step(X[rows], Y[rows])
    np.testing.assert_allclose(kept.model.w, by_hand.model.w, rtol=1e-5, atol=1e-6)


def test_a_tasks_trainer_gets_all_settings(small_binary_data, small_full_data):
    settings = {"learning_rate": 0.3, "batch_size": 64, "patience": 3, "seed": 5}
    for trainer in (
        task2.make_trainer(small_binary_data, shuffle=True, **settings),
        task3.make_trainer(small_full_data, **settings),
    ):
        assert (trainer.learning_rate, trainer.batch_size, trainer.patience) == (0.3, 64, 3)
        assert trainer.rng.random() == np.random.default_rng(5).random()


def test_runs_with_the_same_seed_are_the_same_and_others_are_not(small_full_data):
    runs = [
        softmax_trainer(small_full_data, rng=np.random.default_rng(seed)).train(2)
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_training_twice_starts_a_new_history_from_the_present_weights(small_binary_data):
    trainer = logistic_trainer(small_binary_data)
    first = trainer.train(1)
    second = trainer.train(1)
    assert list(first[0]["loss"]) == list(second[0]["loss"])
    assert second[0]["loss"][0] < first[0]["loss"][0]


def test_a_run_that_reaches_the_last_epoch_keeps_its_best_weights(small_binary_data):
    trainer = logistic_trainer(small_binary_data)
    trainer.train(2)
    assert trainer.ended == "last epoch"
    assert (trainer.stop_step, trainer.stop_epoch) == (2 * (NUM_TRAIN // 32) - 1, 1)
    assert trainer.best_loss == min(trainer.val_history["loss"].values())


def test_training_does_not_change_its_data(small_full_data):
    copies = copy.deepcopy(small_full_data)
    softmax_trainer(small_full_data, l2_reg_lambda=0.1).train(1)
    for part, before in zip(small_full_data, copies, strict=True):
        np.testing.assert_array_equal(part, before)


def test_summary_describes_the_kept_weights(small_full_data):
    trainer = softmax_trainer(small_full_data)
    trainer.train(3)
    kept = trainer.summary()
    X, Y, X_val, Y_val = small_full_data
    assert kept["train_accuracy"] == task3.calculate_accuracy(X, Y, trainer.model)
    assert kept["val_accuracy"] == task3.calculate_accuracy(X_val, Y_val, trainer.model)
    losses = [trainer.train_history["loss"][trainer.best_step - i] for i in range(46 // 5)]
    assert kept["train_loss"] == pytest.approx(np.mean(losses))


def in_place(trainer_class):
    """Make a trainer whose step changes the array `model.w` itself, as the course's code does."""

    class InPlace(trainer_class):
        def train_step(self, X_batch, Y_batch):
            outputs = self.model.forward(X_batch)
            self.model.backward(X_batch, outputs, Y_batch)
            self.model.w -= self.learning_rate * self.model.grad
            return self.loss(Y_batch, outputs)

    return InPlace


def test_a_step_that_changes_the_weights_in_place_makes_the_same_logistic_run(binary_data):
    trainer = task2.make_trainer(binary_data, shuffle=False)
    trainer.train(500)
    changing = task2.make_trainer(binary_data, shuffle=False)
    changing.__class__ = in_place(task2.LogisticTrainer)
    changing.train(500)
    assert (changing.stop_step, changing.best_step) == (trainer.stop_step, trainer.best_step)
    assert changing.val_history == trainer.val_history
    np.testing.assert_array_equal(changing.model.w, trainer.model.w)


@pytest.mark.parametrize("l2_reg_lambda", [0.0, 1.0])
def test_a_step_that_changes_the_weights_in_place_makes_the_same_softmax_run(
    small_full_data, l2_reg_lambda
):
    trainer, changing = (
        softmax_trainer(small_full_data, l2_reg_lambda=l2_reg_lambda, patience=3) for _ in range(2)
    )
    changing.__class__ = in_place(task3.SoftmaxTrainer)
    # A second run begins with the array that the first one left.
    for _ in range(2):
        trainer.train(4)
        changing.train(4)
        assert changing.stop_step == trainer.stop_step
        assert changing.val_history["loss"] == pytest.approx(trainer.val_history["loss"], rel=1e-5)
        np.testing.assert_allclose(changing.model.w, trainer.model.w, atol=1e-6)
        assert_has_its_best_weights(changing)


def raises_flags(model_class):
    """Make a model whose forward pass raises the processor's flags, and gives what it should."""

    class RaisesFlags(model_class):
        def forward(self, X):
            largest = np.float32([np.finfo(np.float32).max])
            _ = largest * 2, np.float32([1]) / 0, np.float32([np.inf]) - np.inf
            return super().forward(X)

    return RaisesFlags


@pytest.mark.filterwarnings("error")
def test_flags_that_the_processor_raises_for_finite_results_change_no_run(small_full_data):
    trainer, flagged = (softmax_trainer(small_full_data, patience=3) for _ in range(2))
    flagged.model.__class__ = raises_flags(task3a.SoftmaxModel)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        flagged.model.forward(flagged.X_val)
    trainer.train(4)
    flagged.train(4)
    assert flagged.train_history == trainer.train_history
    assert flagged.val_history == trainer.val_history
    np.testing.assert_array_equal(flagged.model.w, trainer.model.w)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("learning_rate", [1e30, 1e38])
def test_infinite_weights_whose_loss_is_finite_have_diverged(small_binary_data, learning_rate):
    X, Y, X_val, Y_val = small_binary_data
    # All images are alike: their logits are infinite, but none is NaN.
    data = np.ones_like(X), np.ones_like(Y), np.ones_like(X_val), np.ones_like(Y_val)
    trainer = task2.LogisticTrainer(task2a.BinaryModel(), 0.05, 32, False, *data)
    trainer.learning_rate = learning_rate * 1e38
    with pytest.raises(FloatingPointError, match="choose a smaller learning rate"):
        trainer.train(2)
    assert trainer.ended == "diverged"
    assert np.isfinite(trainer.model.w).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("learning_rate", [3.0, 1e3, 1e30, 1e38])
def test_divergence_ends_the_run_with_an_error_and_the_best_weights(small_full_data, learning_rate):
    trainer = softmax_trainer(small_full_data, l2_reg_lambda=1.0, learning_rate=learning_rate)
    with pytest.raises(FloatingPointError, match="choose a smaller learning rate") as raised:
        trainer.train(50)
    assert f"step {trainer.stop_step} with learning rate {learning_rate:g}" in str(raised.value)
    assert trainer.ended == "diverged"
    assert np.isfinite(trainer.model.w).all()
    assert np.isfinite(list(trainer.train_history["loss"].values())).all()
    assert np.isfinite(list(trainer.val_history["loss"].values())).all()
    if trainer.best_step is not None:
        assert_has_its_best_weights(trainer)


def test_after_step_can_end_the_run(small_full_data):
    trainer = softmax_trainer(small_full_data, after_step=lambda trainer: trainer.stop_step == 19)
    trainer.train(50)
    assert trainer.ended == "interrupted"
    assert trainer.stop_step == 19
    assert list(trainer.val_history["loss"]) == [0, 9, 18]
    assert trainer.best_step == 18


def test_an_exception_in_a_run_leaves_the_best_weights(small_full_data):
    def press_ctrl_c(trainer):
        if trainer.stop_step == 30:
            raise KeyboardInterrupt

    trainer = softmax_trainer(small_full_data, after_step=press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(50)
    assert trainer.ended == "interrupted"
    assert trainer.best_step == 27
    assert_has_its_best_weights(trainer)


def test_the_first_ctrl_c_lets_the_step_finish_and_the_second_one_does_not():
    before = signal.getsignal(signal.SIGINT)
    with finish_step_on_ctrl_c() as should_stop:
        assert not should_stop()
        signal.raise_signal(signal.SIGINT)
        assert should_stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_training_works_in_a_thread(small_binary_data):
    trainer = logistic_trainer(small_binary_data)
    thread = threading.Thread(target=trainer.train, args=(1,))
    thread.start()
    thread.join()
    assert trainer.ended == "last epoch"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"learning_rate": 0}, "learning_rate is 0; expected a positive number"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"learning_rate": np.nan}, "learning_rate is nan"),
        ({"learning_rate": np.inf}, "learning_rate is inf"),
        ({"batch_size": 0}, "batch_size is 0; expected a positive integer"),
        ({"batch_size": 1.5}, "batch_size is 1.5; expected a positive integer"),
        (
            {"batch_size": 301},
            "batch_size is 301; expected at most 300, a fifth of the 1500 training",
        ),
        ({"batch_size": 1501}, "batch_size is 1501"),
        ({"patience": 0}, "patience is 0; expected a positive integer"),
        ({"X_train": np.zeros((NUM_TRAIN, 784))}, r"X_train is float64 of shape \(1500, 784\)"),
        ({"X_train": np.zeros((NUM_TRAIN, 785), np.uint8)}, "X_train is uint8"),
        (
            {"X_val": np.full((NUM_VAL, 785), np.nan)},
            "X_val contains NaN or infinity; expected finite numbers",
        ),
        ({"X_val": np.full((NUM_VAL, 785), np.inf)}, "X_val contains NaN or infinity"),
        ({"Y_train": np.zeros(NUM_TRAIN)}, r"Y_train is float64 of shape \(1500,\)"),
        ({"Y_train": np.zeros((NUM_TRAIN, 10), complex)}, "Y_train is complex128"),
        ({"learning_rate": "0.1"}, "learning_rate is '0.1'; expected a positive number"),
        ({"learning_rate": None}, "learning_rate is None"),
        ({"Y_val": np.full((NUM_VAL, 10), 2)}, "Y_val has values from 2 to 2; expected 0 to 1"),
        ({"Y_val": np.full((NUM_VAL, 10), -1)}, "Y_val has values from -1 to -1"),
    ],
)
def test_trainer_refuses_settings_that_make_no_sense(small_full_data, setting, message):
    names = ("X_train", "Y_train", "X_val", "Y_val")
    settings = {
        "model": task3a.SoftmaxModel(0),
        "learning_rate": 0.01,
        "batch_size": 32,
        "shuffle_dataset": True,
        **dict(zip(names, small_full_data, strict=True)),
    }
    with pytest.raises(ValueError, match=message):
        task3.SoftmaxTrainer(**(settings | setting))


def test_five_batches_are_enough_and_each_has_its_validation(small_full_data):
    trainer = task3.SoftmaxTrainer(task3a.SoftmaxModel(0), 0.01, 300, True, *small_full_data)
    trainer.train(1)
    assert list(trainer.val_history["loss"]) == [0, 1, 2, 3, 4]


def test_train_refuses_zero_epochs(small_binary_data):
    with pytest.raises(ValueError, match="num_epochs is 0"):
        logistic_trainer(small_binary_data).train(0)


def test_squared_norm_is_the_penalty_that_the_gradient_check_confirms(rng):
    w = rng.normal(size=(785, 10)).astype(np.float32)
    assert task4.squared_norm(w) == pytest.approx(np.linalg.norm(w.astype(np.float64)) ** 2)
