"""Mini-batch gradient descent with validation and early stopping, for any linear model.

Nothing in here knows of digits, images or figures. A subclass of `BaseTrainer` states the loss and
the accuracy of its model, and inherits the step and the loop.

Two ideas for speed live here, and neither changes a result.

*Validations wait for each other.* Early stopping cannot end a run before its best validation loss
is ``patience`` validations old. If it is k old, the next ``patience - k`` validations can all be
taken before anything has to be decided. So the weights at these points are kept and evaluated in
one product, ten at the most. Training accuracies decide nothing, so even more of them wait.

*Runs share their batches.* Runs that see the same batches in the same order, such as those for
several values of λ, make each step together: one gather and one call of each function serve all.
"""

from __future__ import annotations

import abc
import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from linear import Floats, PerModel, stack_weights
from utils import batch_loader, check_generator, check_positive

History = dict[str, dict[int, float]]

VALIDATIONS_PER_EPOCH = 5
# The ends of a run that nothing cut short.
COMPLETE = ("early stop", "last epoch")
# Images that are evaluated at once: few enough that their logits stay in the processor's cache.
BLOCK_SIZE = 1000
# Validations that wait at the most, however large the patience is, since Ctrl-C has to wait for
# them; and training accuracies, which take a tenth less time than in products of ten.
MOST_VALIDATIONS = 10
MOST_ACCURACIES = 20


class Model(Protocol):
    """What a trainer needs of a model; `w` and `grad` may have a leading axis of M models."""

    w: Floats
    grad: Any

    def forward(self, X: Floats) -> Floats:
        """Compute the outputs."""

    def backward(self, X: Floats, outputs: Floats, targets: NDArray) -> None:
        """Set `grad`."""


def stack_models(models: Sequence[Model], weights: Sequence[Floats]) -> Model:
    """Make one model that computes what several models compute.

    Parameters
    ----------
    models : sequence of M models of one class
        They may differ in `l2_reg_lambda`.
    weights : sequence of M arrays of shape (D, K), float

    Returns
    -------
    model
        Its `w` has shape (M, D, K). It shares nothing with `models`.
    """
    stack: Any = copy.copy(models[0])
    stack.w = stack_weights(weights)
    if hasattr(stack, "l2_reg_lambda"):
        lambdas = np.array([vars(model)["l2_reg_lambda"] for model in models])
        stack.l2_reg_lambda = lambdas.astype(stack.w.dtype).reshape(-1, 1, 1)
    return stack


class BaseTrainer(abc.ABC):
    """Train a model by SGD until its validation loss has stopped improving.

    The training loss is recorded at every step, before the step's update. The validation loss and
    both accuracies are recorded five times an epoch, whenever
    ``step % (batches_per_epoch // 5) == 0``, after that step's update. The run stops at the first
    validation for which the best validation loss is `patience` validations old. However it ends,
    the model gets the weights of its best validation.

    Parameters
    ----------
    model : Model
        Trained in place.
    learning_rate : float > 0
    batch_size : int
        The last incomplete batch of an epoch is dropped.
    shuffle_dataset : bool
        Whether each epoch takes the samples in a new order.
    X_train, X_val : ndarray of shape (N, D), float
    Y_train, Y_val : ndarray of shape (N, K), values 0 to 1
    patience : int > 0, default=10
    rng : numpy.random.Generator, default=numpy.random.default_rng(0)
        Source of the order of the samples.
    name : str
        What progress bar and messages call this run.
    progress : bool, default=False
        Whether to show a progress bar if standard error is a terminal.
    should_stop : callable, optional
        Asked after each step; if it returns true, the run ends there.

    Attributes
    ----------
    records_train_accuracy : bool
        True. Without it, the history has no training accuracies, and validations take half of the
        time; nothing else depends on them.
    train_history : dict
        ``{"loss": {step: float}, "accuracy": {step: float}}``
    val_history : dict
        The same for validation.
    ended : str
        "early stop", "last epoch", "interrupted", "diverged", or "cut short" by another run
        that diverged while they trained together; empty before the end.
    stop_step, stop_epoch : int
        The last step made, and its epoch, both counted from 0.
    best_step : int or None
        The step whose weights the model has in the end; None if no validation took place.
    best_loss : float
        The validation loss of `best_step`.
    seconds : float
        How long the run took.

    Raises
    ------
    ValueError
        If an argument makes no sense.
    """

    def __init__(
        self,
        model: Model,
        learning_rate: float,
        batch_size: int,
        shuffle_dataset: bool,
        X_train: Floats,
        Y_train: NDArray,
        X_val: Floats,
        Y_val: NDArray,
        *,
        patience: int = 10,
        rng: np.random.Generator | None = None,
        name: str = "training",
        progress: bool = False,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        check_positive("learning_rate", learning_rate)
        check_positive("batch_size", batch_size, whole=True)
        check_positive("patience", patience, whole=True)
        check_generator(rng)
        if model.w.ndim != 2 or model.w.dtype.kind != "f":
            raise ValueError(
                f"model.w is {model.w.dtype} of shape {model.w.shape}; expected float of [D, K]"
            )
        check_dataset("train", X_train, Y_train, model.w.shape)
        check_dataset("val", X_val, Y_val, model.w.shape)
        batches_per_epoch = len(X_train) // batch_size
        if batches_per_epoch < VALIDATIONS_PER_EPOCH:
            raise ValueError(
                f"batch_size is {batch_size}, which makes {batches_per_epoch} batches of the"
                f" {len(X_train)} training samples; expected at least {VALIDATIONS_PER_EPOCH}"
            )
        self.model = model
        self.learning_rate = float(learning_rate)
        self.batch_size = batch_size
        self.shuffle_dataset = shuffle_dataset
        self.X_train, self.Y_train = X_train, Y_train
        self.X_val, self.Y_val = X_val, Y_val
        self.patience = patience
        self.rng = np.random.default_rng(0) if rng is None else rng
        self.name = name
        self.progress = progress
        self.should_stop = should_stop
        self.records_train_accuracy = True
        self.steps_per_validation = batches_per_epoch // VALIDATIONS_PER_EPOCH
        self._start()

    @staticmethod
    @abc.abstractmethod
    def loss(targets: NDArray, outputs: Floats) -> PerModel:
        """Compute the mean loss: a float, or M of them for outputs of shape (M, N, K)."""

    @staticmethod
    @abc.abstractmethod
    def accuracy(targets: NDArray, outputs: Floats) -> PerModel:
        """Compute the fraction that is predicted right, for outputs as in `loss`."""

    @staticmethod
    def scores(model: Any, X: Floats) -> Floats:
        """Compute what `accuracy` needs of the outputs.

        Parameters
        ----------
        model : Model
        X : ndarray of shape (N, D), float

        Returns
        -------
        ndarray of the shape of the outputs
            The outputs, unless a subclass has something quicker with the same accuracy.
        """
        return model.forward(X)

    def train(self, num_epochs: int) -> tuple[History, History]:
        """Train from the model's present weights.

        Parameters
        ----------
        num_epochs : int > 0
            The most epochs to train.

        Returns
        -------
        train_history, val_history : dict
            ``{"loss": {step: float}, "accuracy": {step: float}}`` each.

        Raises
        ------
        FloatingPointError
            If a loss becomes infinite or NaN. The model has its best weights even then.
        """
        train_together([self], num_epochs)
        return self.train_history, self.val_history

    def train_step(self, X_batch: Floats, Y_batch: NDArray) -> PerModel:
        """Make one step of gradient descent.

        Parameters
        ----------
        X_batch : ndarray of shape (batch_size, D), float
        Y_batch : ndarray of shape (batch_size, K)

        Returns
        -------
        float, or ndarray of shape (M,) for a stack of models
            The loss of the batch before the update.
        """
        Y_batch = np.asfortranarray(Y_batch)  # classes first, as the outputs (see `linear`)
        outputs = self.model.forward(X_batch)
        self.model.backward(X_batch, outputs, Y_batch)
        self.model.w = self.model.w - self.learning_rate * self.model.grad
        return self.loss(Y_batch, outputs)

    def validate(self, weights: Sequence[Floats]) -> list[tuple[float, float]]:
        """Evaluate the model at several weights with one pass over the validation images.

        Parameters
        ----------
        weights : sequence of arrays of shape (D, K), float

        Returns
        -------
        list of (val_loss, val_accuracy)
            One for each of the weights.
        """
        stack = stack_models([self.model] * len(weights), weights)
        losses, hits = np.zeros((2, len(weights)))
        for X, Y in blocks(self.X_val, self.Y_val):
            outputs = stack.forward(X)
            losses += len(X) * self.loss(Y, outputs)
            hits += len(X) * self.accuracy(Y, outputs)
        N = len(self.X_val)
        return list(zip((losses / N).tolist(), (hits / N).tolist(), strict=True))

    def train_accuracies(self, weights: Sequence[Floats]) -> list[float]:
        """Compute the training accuracy at several weights with one pass over the images.

        Parameters
        ----------
        weights : sequence of arrays of shape (D, K), float

        Returns
        -------
        list of float
            One for each of the weights.
        """
        stack = stack_models([self.model] * len(weights), weights)
        hits = np.zeros(len(weights))
        for X, Y in blocks(self.X_train, self.Y_train):
            hits += len(X) * self.accuracy(Y, self.scores(stack, X))
        return (hits / len(self.X_train)).tolist()

    def summary(self) -> dict[str, Any]:
        """Describe a finished run by its weights, those of the best validation.

        Returns
        -------
        dict
            "ended", "stop_step", "stop_epoch", "best_step", "val_loss", "train_accuracy",
            "val_accuracy", "seconds"; and "train_loss", the mean loss of the batches since the
            validation before the best one.

        Raises
        ------
        ValueError
            If the run had no validation.
        """
        if self.best_step is None:
            raise ValueError(f"the run {self.name!r} had no validation; expected at least one")
        batch_losses = [
            loss
            for step, loss in self.train_history["loss"].items()
            if self.best_step - self.steps_per_validation < step <= self.best_step
        ]
        return {
            "ended": self.ended,
            "stop_step": self.stop_step,
            "stop_epoch": self.stop_epoch,
            "best_step": self.best_step,
            "train_loss": sum(batch_losses) / len(batch_losses),
            "val_loss": self.best_loss,
            "train_accuracy": self.train_history["accuracy"].get(self.best_step, math.nan),
            "val_accuracy": self.val_history["accuracy"][self.best_step],
            "seconds": self.seconds,
        }

    def _start(self) -> None:
        self.train_history: History = {"loss": {}, "accuracy": {}}
        self.val_history: History = {"loss": {}, "accuracy": {}}
        self.ended = ""
        self.stop_step = self.stop_epoch = 0
        self.best_step: int | None = None
        self.best_loss = math.inf
        self.seconds = 0.0
        self._started_at = time.perf_counter()
        self._best_w = self.model.w
        self._best_age = 0
        self._waiting: dict[int, Floats] = {}
        self._unrecorded: dict[int, Floats] = {}

    def _batches(self, num_epochs: int) -> Iterator[tuple[int, Floats, NDArray]]:
        for epoch in range(num_epochs):
            for X_batch, Y_batch in batch_loader(
                self.X_train, self.Y_train, self.batch_size, self.shuffle_dataset, rng=self.rng
            ):
                yield epoch, X_batch, Y_batch

    def _validate(self) -> None:
        """Take the waiting validations in their order, as if each had been made at its step."""
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        for (step, w), (val_loss, val_accuracy) in zip(
            waiting.items(), self.validate(list(waiting.values())), strict=True
        ):
            if not math.isfinite(val_loss):
                raise self._divergence("validation loss", step)
            self.val_history["loss"][step] = val_loss
            self.val_history["accuracy"][step] = val_accuracy
            if self.records_train_accuracy:
                self._unrecorded[step] = w
            if val_loss < self.best_loss:
                self.best_step, self.best_loss = step, val_loss
                self._best_w, self._best_age = w, 0
            else:
                self._best_age += 1
        if len(self._unrecorded) >= MOST_ACCURACIES:
            self._record_train_accuracies()
        if self._best_age == self.patience:
            self._end("early stop")

    def _record_train_accuracies(self) -> None:
        unrecorded, self._unrecorded = self._unrecorded, {}
        if unrecorded:
            accuracies = self.train_accuracies(list(unrecorded.values()))
            self.train_history["accuracy"].update(zip(unrecorded, accuracies, strict=True))

    def _divergence(self, what: str, step: int) -> FloatingPointError:
        self._end("diverged")
        advice = "choose a smaller learning rate"
        l2_reg_lambda = getattr(self.model, "l2_reg_lambda", 0)
        if self.learning_rate * l2_reg_lambda >= 1:
            # The penalty alone multiplies the weights by 1 - 2 · learning_rate · l2_reg_lambda.
            advice += f", below 1/l2_reg_lambda = {1 / l2_reg_lambda:g}"
        return FloatingPointError(
            f"{self.name}: the {what} is no longer finite at step {step} with learning rate"
            f" {self.learning_rate:g}; {advice}"
        )

    def _end(self, reason: str) -> None:
        if self.ended:
            return
        self.ended = reason
        # A run that was cut short still looks at what waits, and keeps the best of it.
        with contextlib.suppress(FloatingPointError):
            self._validate()
        self._record_train_accuracies()
        self.model.w = self._best_w.copy()
        self.seconds = time.perf_counter() - self._started_at


def blocks(X: Floats, Y: NDArray) -> Iterator[tuple[Floats, NDArray]]:
    """Cut all samples into blocks of at most `BLOCK_SIZE`, with targets laid out classes first."""
    for X_block, Y_block in batch_loader(X, Y, min(BLOCK_SIZE, len(X)), drop_last=False):
        yield X_block, np.asfortranarray(Y_block)


def train_together(trainers: Sequence[BaseTrainer], num_epochs: int) -> None:
    """Train several models on the same batches.

    Each run ends with what its own `BaseTrainer.train` would have given, in less time: bit for bit
    for the batches of the assignment, and up to rounding for those that make a step's products
    large (see `linear`).

    Parameters
    ----------
    trainers : sequence of BaseTrainer
        Of one class, with the same data, batch size, learning rate and shuffling, and with
        generators in the same state. Their models may differ in weights and `l2_reg_lambda`.
    num_epochs : int > 0
        The most epochs to train.

    Raises
    ------
    FloatingPointError
        If a loss becomes infinite or NaN. All runs end there, with their best weights.
    ValueError
        If the runs would not see the same batches.
    """
    check_positive("num_epochs", num_epochs, whole=True)
    check_same_batches(trainers)
    for trainer in trainers:
        trainer._start()
    running = list(trainers)
    # The lead makes the steps. Its model is the stack of all that are still running.
    lead = copy.copy(trainers[0])
    reason = "last epoch"
    overflows: list[str] = []
    with (
        progress_bars(trainers) as show_progress,
        # An overflow goes into the list instead of a warning, and is looked into after the step.
        np.errstate(over="call", invalid="call", call=lambda kind, _: overflows.append(kind)),
    ):
        lead.model = stack_models([t.model for t in running], [t.model.w for t in running])
        try:
            for step, (epoch, X_batch, Y_batch) in enumerate(lead._batches(num_epochs)):
                losses = lead.train_step(X_batch, Y_batch).tolist()
                for trainer, loss in zip(running, losses, strict=True):
                    trainer.train_history["loss"][step] = loss
                    trainer.stop_step, trainer.stop_epoch = step, epoch
                if overflows or not all(map(math.isfinite, losses)):
                    check_finite(running, losses, lead.model.w)
                    overflows.clear()
                if step % lead.steps_per_validation == 0:
                    for trainer, w in zip(running, lead.model.w, strict=True):
                        trainer._waiting[step] = w
                        most = min(trainer.patience - trainer._best_age, MOST_VALIDATIONS)
                        if len(trainer._waiting) == most:
                            trainer._validate()
                        show_progress(trainer)
                    still_running = [trainer for trainer in running if not trainer.ended]
                    if not still_running:
                        break
                    if len(still_running) < len(running):
                        weights = [
                            w for t, w in zip(running, lead.model.w, strict=True) if not t.ended
                        ]
                        running = still_running
                        lead.model = stack_models([t.model for t in running], weights)
                if lead.should_stop is not None and lead.should_stop():
                    reason = "interrupted"
                    break
            for trainer in running:
                trainer._validate()
        except FloatingPointError:
            reason = "cut short"
            raise
        except BaseException:
            reason = "interrupted"
            raise
        finally:
            for trainer in trainers:
                trainer._end(reason)
                show_progress(trainer)


@contextlib.contextmanager
def progress_bars(trainers: Sequence[BaseTrainer]) -> Iterator[Callable[[BaseTrainer], None]]:
    """Show one bar for each run that wants one, while standard error is a terminal."""
    with contextlib.ExitStack() as stack:
        bars = [
            stack.enter_context(
                tqdm(
                    desc=trainer.name,
                    # With a validation, this fits into the 80 columns of a terminal.
                    bar_format="{desc}: step {n}{postfix}",
                    position=position,
                    disable=None if trainer.progress else True,  # None: unless it is a terminal
                )
            )
            for position, trainer in enumerate(trainers)
        ]

        def show(trainer: BaseTrainer) -> None:
            bar = bars[trainers.index(trainer)]
            if bar.disable:
                return
            if trainer.val_history["loss"]:
                step = max(trainer.val_history["loss"])
                bar.set_postfix_str(
                    f"val loss {trainer.val_history['loss'][step]:.4f},"
                    f" accuracy {trainer.val_history['accuracy'][step]:.2%},"
                    f" {trainer.patience - trainer._best_age} validations left",
                    refresh=False,
                )
            bar.update(trainer.stop_step - bar.n)
            if trainer.ended:
                bar.refresh()

        yield show


def check_finite(trainers: Sequence[BaseTrainer], losses: Sequence[float], weights: Floats) -> None:
    """Refuse to go on with a loss or weights that are infinite or NaN.

    Raises
    ------
    FloatingPointError
        With the run, its step, its learning rate and what to do.
    """
    for trainer, loss, w in zip(trainers, losses, weights, strict=True):
        if not math.isfinite(loss):
            raise trainer._divergence("training loss", trainer.stop_step)
        if not np.isfinite(w).all():
            raise trainer._divergence("weight update", trainer.stop_step)


def check_same_batches(trainers: Sequence[BaseTrainer]) -> None:
    """Refuse runs that would not see the same batches.

    Raises
    ------
    ValueError
        With the setting in which the runs differ.
    """

    def batches(trainer: BaseTrainer) -> dict[str, object]:
        return {
            "class": type(trainer),
            "X_train": id(trainer.X_train),
            "Y_train": id(trainer.Y_train),
            "batch_size": trainer.batch_size,
            "learning_rate": trainer.learning_rate,
            "shuffle_dataset": trainer.shuffle_dataset,
            "rng": trainer.rng.bit_generator.state,
        }

    if not trainers:
        raise ValueError("trainers is empty; expected at least one")
    for setting, value in batches(trainers[0]).items():
        if any(batches(trainer)[setting] != value for trainer in trainers):
            raise ValueError(f"trainers differ in {setting}; expected runs on the same batches")


def check_dataset(part: str, X: Floats, Y: NDArray, w_shape: tuple[int, ...]) -> None:
    """Refuse samples and targets that do not fit each other or the weights.

    Raises
    ------
    ValueError
        With the argument, what it was and what is expected.
    """
    for name, array in (("X", X), ("Y", Y)):
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name}_{part} is a {type(array).__name__}; expected an ndarray")
    D, K = w_shape
    if X.ndim != 2 or X.shape[1] != D or X.dtype.kind != "f":
        raise ValueError(f"X_{part} is {X.dtype} of shape {X.shape}; expected float of [N, {D}]")
    if Y.shape != (len(X), K) or Y.dtype.kind not in "fiub":
        raise ValueError(
            f"Y_{part} is {Y.dtype} of shape {Y.shape}; expected numbers of [{len(X)}, {K}]"
        )
    if len(X) == 0:
        raise ValueError(f"X_{part} is empty; expected at least one sample")
    if not np.isfinite(X.sum(dtype=np.float64)):
        raise ValueError(f"X_{part} has infinite or NaN values; expected finite ones")
    if not (Y.min() >= 0 and Y.max() <= 1):
        raise ValueError(f"Y_{part} has values from {Y.min()} to {Y.max()}; expected 0 to 1")
