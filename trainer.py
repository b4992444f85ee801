"""Mini-batch gradient descent with validation and early stopping, for any linear model.

Validations that cannot be the last one wait, and are evaluated in one pass over the images. That
changes no result and saves most of their time.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.arguments import Floats, check_batches, check_dataset, check_generator, check_positive
from numerics.evaluation import evaluate
from utils import batch_loader

History = dict[str, dict[int, float]]

VALIDATIONS_PER_EPOCH = 5
MOST_WAITING, MOST_ACCURACIES = 10, 20  # However large the patience is: Ctrl-C waits for them.


class BaseTrainer:
    """Train a model by SGD until its validation loss has stopped improving.

    A subclass states ``loss(targets, outputs)`` and ``accuracy(targets, outputs)``, both means.

    Parameters
    ----------
    model : BinaryModel or SoftmaxModel
        Trained in place. However a run ends, it gets the weights of its best validation.
    learning_rate : float > 0
    batch_size : int > 0
    shuffle_dataset : bool
        Whether each epoch takes the samples in a new order.
    X_train, X_val : ndarray of shape (N, D), float
    Y_train, Y_val : ndarray of shape (N, K), values 0 to 1
    patience : int > 0
        The run stops at the first validation for which the best loss is so many validations old.
    rng : numpy.random.Generator
        Source of the order of the samples; ``default_rng(0)`` by default.
    name : str
        What tables and messages call this run.
    after_step : callable
        Called with the trainer after each step; a true answer ends the run there.

    Attributes
    ----------
    train_history, val_history : dict
        ``{"loss": {step: float}, "accuracy": {step: float}}``. The training loss is noted at every
        step before its update; all others when ``step % (batches_per_epoch // 5) == 0``, after it.
    records_train_accuracy : bool, default=True
        Without training accuracies, which decide nothing, a validation takes half as long.
    ended : {"early stop", "last epoch", "interrupted", "diverged"}
    stop_step, stop_epoch, seconds : int, int, float
        The last step and its epoch, counted from 0, and how long the run took.
    best_step, best_loss : int or None, float
        The step whose weights were kept, and their validation loss.
    """

    loss: Callable[[NDArray, Floats], float]
    accuracy: Callable[[NDArray, Floats], float]

    def __init__(
        self,
        model: Any,
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
        after_step: Callable[[BaseTrainer], Any] | None = None,
    ) -> None:
        check_positive("learning_rate", learning_rate)
        check_positive("patience", patience, whole=True)
        check_generator(rng)
        check_dataset("train", X_train, Y_train, model.w)
        check_dataset("val", X_val, Y_val, model.w)
        check_batches(batch_size, len(X_train), VALIDATIONS_PER_EPOCH)
        self.model, self.name, self.after_step = model, name, after_step
        self.learning_rate, self.patience = float(learning_rate), patience
        self.batch_size, self.shuffle_dataset = batch_size, shuffle_dataset
        self.X_train, self.Y_train, self.X_val, self.Y_val = X_train, Y_train, X_val, Y_val
        self.rng = np.random.default_rng(0) if rng is None else rng
        self.batches_per_epoch = len(X_train) // batch_size
        self.steps_per_validation = self.batches_per_epoch // VALIDATIONS_PER_EPOCH
        self.records_train_accuracy = True
        self._start()

    def _start(self) -> None:
        self.train_history: History = {"loss": {}, "accuracy": {}}
        self.val_history: History = {"loss": {}, "accuracy": {}}
        self.ended, self.stop_step, self.stop_epoch, self.seconds = "interrupted", 0, 0, 0.0
        self.best_step: int | None = None
        self.best_loss, self.best_w, self.validations_since_best = math.inf, self.model.w, 0
        self.without_train_accuracy: dict[int, Floats] = {}

    @np.errstate(over="raise", invalid="raise")
    def train(self, num_epochs: int) -> tuple[History, History]:
        """Train from the model's present weights, and return both histories.

        Weights or losses that are no longer finite raise a FloatingPointError.
        """
        check_positive("num_epochs", num_epochs, whole=True)
        self._start()
        started_at = time.perf_counter()
        waiting: dict[int, Floats] = {}
        try:
            for step, (X_batch, Y_batch) in enumerate(self.batches(num_epochs)):
                self.stop_step, self.stop_epoch = step, step // self.batches_per_epoch
                self.train_history["loss"][step] = self.train_step(X_batch, Y_batch)
                if step % self.steps_per_validation == 0:
                    waiting[step] = self.model.w
                    # None of these can be the last validation: evaluate them in one pass.
                    still_allowed = self.patience - self.validations_since_best
                    if len(waiting) == min(still_allowed, MOST_WAITING):
                        self.validate(waiting)
                        waiting = {}
                        if self.validations_since_best == self.patience:
                            self.ended = "early stop"
                            break
                if self.after_step is not None and self.after_step(self):
                    break
            else:
                self.ended = "last epoch"
        except FloatingPointError as error:
            self.ended = "diverged"
            raise FloatingPointError(
                f"{self.name}: {error} at step {self.stop_step} with learning rate"
                f" {self.learning_rate:g}; choose a smaller learning rate"
            ) from error
        finally:
            # One at a time: just before a divergence, the last ones may overflow.
            with contextlib.suppress(FloatingPointError):
                for step in waiting:
                    self.validate({step: waiting[step]})
            self.model.w = self.best_w
            self.record_train_accuracies()
            self.seconds = time.perf_counter() - started_at
        return self.train_history, self.val_history

    def batches(self, num_epochs: int) -> Iterator[tuple[Floats, NDArray]]:
        """Yield the batches of all epochs. The last one of an epoch is left out if incomplete."""
        settings = self.batch_size, self.shuffle_dataset
        for _ in range(num_epochs):
            yield from batch_loader(self.X_train, self.Y_train, *settings, rng=self.rng)

    def train_step(self, X_batch: Floats, Y_batch: NDArray) -> float:
        """Make one step, w ← w − η ∂J/∂w, and return the loss of the batch before it."""
        Y_batch = np.asfortranarray(Y_batch)  # classes first, as the outputs (`numerics.linear`)
        outputs = self.model.forward(X_batch)
        self.model.backward(X_batch, outputs, Y_batch)
        self.model.w = self.model.w - self.learning_rate * self.model.grad
        return self.loss(Y_batch, outputs)

    def validation_step(self) -> tuple[float, float, float]:
        """Return validation loss, training accuracy and validation accuracy of the present w."""
        model, w = self.model, [self.model.w]
        [loss], [accuracy] = evaluate(model, w, self.X_val, self.Y_val, self.loss, self.accuracy)
        [[train_accuracy]] = evaluate(model, w, self.X_train, self.Y_train, self.accuracy)
        return float(loss), float(train_accuracy), float(accuracy)

    def validate(self, waiting: dict[int, Floats]) -> None:
        """Note loss and accuracy at the weights of each step, and keep the best weights."""
        run = self.model, waiting.values(), self.X_val, self.Y_val
        results = evaluate(*run, self.loss, self.accuracy)
        for (step, w), (loss, accuracy) in zip(waiting.items(), results.T.tolist(), strict=True):
            self.val_history["loss"][step], self.val_history["accuracy"][step] = loss, accuracy
            self.validations_since_best += 1
            if loss < self.best_loss:
                self.best_step, self.best_loss, self.best_w = step, loss, w
                self.validations_since_best = 0
        if self.records_train_accuracy:
            self.without_train_accuracy |= waiting
            if len(self.without_train_accuracy) >= MOST_ACCURACIES:
                self.record_train_accuracies()

    def record_train_accuracies(self) -> None:
        """Note the training accuracies of those validations that lack one."""
        waiting, self.without_train_accuracy = self.without_train_accuracy, {}
        if waiting:
            run = self.model, waiting.values(), self.X_train, self.Y_train
            [accuracies] = evaluate(*run, self.accuracy)
            self.train_history["accuracy"] |= zip(waiting, accuracies.tolist(), strict=True)
