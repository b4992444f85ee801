"""Mini-batch gradient descent with validation and early stopping, for any linear model."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from numerics.arguments import Array, Floats, Measure, check_dataset, check_positive
from numerics.linear import evaluate
from utils import PATIENCE, SEED, VALIDATIONS_PER_EPOCH, batch_loader

MOST_WAITING = 10  # However large the patience is: Ctrl-C waits until they are evaluated.
History = dict[str, dict[int, float]]


class BaseTrainer:
    """Train a model by SGD until its validation loss has stopped improving.

    Parameters
    ----------
    model : BinaryModel or SoftmaxModel
        Trained in place. However a run ends, it gets the weights of its best validation.
    learning_rate, batch_size : float > 0, int from 1 to a fifth of the training samples
    shuffle_dataset : bool
        Whether each epoch takes the samples in a new order.
    X_train, X_val : ndarray of shape (N, D), float
    Y_train, Y_val : ndarray of shape (N, K), values 0 to 1
    patience : int > 0
        The run stops at the first validation for which the best loss is so many validations old.
    rng : numpy.random.Generator or int
        Source of the order of the samples, or its seed.
    name : str
        What tables and messages call this run.
    after_step : callable
        Called with the trainer after each step; a true answer ends the run there.

    Attributes
    ----------
    train_history, val_history : dict
        ``{"loss": {step: float}, "accuracy": {step: float}}``. The training loss is noted at every
        step before its update; all others when ``step % (batches_per_epoch // 5) == 0``, after it.
    ended, error : {"early stop", "last epoch", "interrupted", "diverged"}, exception or None
    stop_step, stop_epoch, seconds : int, int, float
        The last step and its epoch, counted from 0, and how long the run took.
    best_step, best_loss : int or None, float
        The step whose weights were kept, and their validation loss.
    """

    loss: Measure  # A subclass states both.
    accuracy: Measure
    records_train_accuracy = True  # They decide nothing; a validation takes half as long without.

    def __init__(
        self,
        model: Any,
        learning_rate: float,
        batch_size: int,
        shuffle_dataset: bool,
        X_train: Floats,
        Y_train: Array,
        X_val: Floats,
        Y_val: Array,
        *,
        patience: int = PATIENCE,
        rng: np.random.Generator | int = SEED,
        name: str = "training",
        after_step: Callable[["BaseTrainer"], Any] | None = None,
    ) -> None:
        check_positive("learning_rate", learning_rate)
        check_positive("patience", patience, whole=True)
        check_dataset("train", X_train, Y_train, model.w)
        check_dataset("val", X_val, Y_val, model.w)
        largest = len(X_train) // VALIDATIONS_PER_EPOCH
        check_positive("batch_size", batch_size, whole=True, most=largest)
        self.model, self.name, self.after_step = model, name, after_step
        self.learning_rate, self.patience = float(learning_rate), patience
        self.batch_size, self.shuffle_dataset = batch_size, shuffle_dataset
        self.X_train, self.Y_train, self.X_val, self.Y_val = X_train, Y_train, X_val, Y_val
        self.rng = np.random.default_rng(rng)
        self.batches_per_epoch = len(X_train) // batch_size
        self.steps_per_validation = self.batches_per_epoch // VALIDATIONS_PER_EPOCH
        self._start()

    def _start(self) -> None:
        self.train_history: History = {"loss": {}, "accuracy": {}}
        self.val_history: History = {"loss": {}, "accuracy": {}}
        self.ended, self.stop_step, self.stop_epoch, self.seconds = "interrupted", 0, 0, 0.0
        self.error: FloatingPointError | None = None
        self.best_step: int | None = None
        self.best_loss, self.best_w = math.inf, self.model.w.copy("K")
        self.validations_since_best = 0
        self.waiting: dict[int, Floats] = {}

    @np.errstate(all="ignore")  # Some BLAS builds raise the flags for finite results, too.
    def train(self, num_epochs: int) -> tuple[History, History]:
        """Train from the present weights; raise a FloatingPointError once they are not finite."""
        check_positive("num_epochs", num_epochs, whole=True)
        self._start()
        started_at = time.perf_counter()
        try:
            for step, (X_batch, Y_batch) in enumerate(self.batches(num_epochs)):
                self.stop_step, self.stop_epoch = step, step // self.batches_per_epoch
                loss = self.train_step(X_batch, Y_batch)
                self.check_finite(loss)
                self.train_history["loss"][step] = loss
                if step % self.steps_per_validation == 0:
                    self.validate_later(step)
                    if self.validations_since_best == self.patience:
                        self.ended = "early stop"
                        break
                if self.after_step is not None and self.after_step(self):
                    break
            else:
                self.ended = "last epoch"
        finally:
            self.validate_waiting(is_end=True)
            self.model.w = self.best_w
            self.seconds = time.perf_counter() - started_at
        return self.train_history, self.val_history

    def batches(self, num_epochs: int) -> Iterator[tuple[Floats, Array]]:
        """Yield the batches of all epochs. The last one of an epoch is left out if incomplete."""
        settings = self.batch_size, self.shuffle_dataset
        for _ in range(num_epochs):
            yield from batch_loader(self.X_train, self.Y_train, *settings, rng=self.rng)

    def train_step(self, X_batch: Floats, Y_batch: Array) -> float:
        """Make one step, w ← w − η ∂J/∂w, and return the loss of the batch before it."""
        Y_batch = np.asfortranarray(Y_batch)  # classes first, as the outputs (`numerics.linear`)
        outputs = self.model.forward(X_batch)  # forward: ŷ
        self.model.backward(X_batch, outputs, Y_batch)  # gradient: ∂J/∂w
        self.model.w = self.model.w - self.learning_rate * self.model.grad  # update
        return self.loss(Y_batch, outputs)

    def check_finite(self, value: float) -> None:
        """End the run with an error if a loss or the sum of the weights' sizes is not finite."""
        if not math.isfinite(value):
            self.ended = "diverged"
            problem = f"{self.name}: the weights are no longer finite at step {self.stop_step}"
            rate = f"learning rate {self.learning_rate:g}; choose a smaller learning rate"
            self.error = FloatingPointError(f"{problem} with {rate}")
            raise self.error

    def validate_later(self, step: int) -> None:
        """Let the present weights wait until one of those that wait could be the last."""
        self.check_finite(np.abs(self.model.w).sum())  # If it is, so are the logits of all images.
        self.waiting[step] = self.model.w.copy("K")  # A subclass may change `w` in place.
        num_new = len(self.waiting.keys() - self.val_history["loss"].keys())
        if num_new in (self.patience - self.validations_since_best, MOST_WAITING):
            self.validate_waiting(is_end=False)

    def validate_waiting(self, is_end: bool) -> None:
        """Validate what waits, keep the best weights; note training accuracies of many at once."""
        new = {step: w for step, w in self.waiting.items() if step not in self.val_history["loss"]}
        run = self.model, new, self.X_val, self.Y_val
        losses, accuracies = evaluate(*run, self.loss, self.accuracy)
        self.val_history["loss"] |= losses
        self.val_history["accuracy"] |= accuracies
        for step, loss in losses.items():
            self.validations_since_best += 1
            if loss < self.best_loss:
                self.best_step, self.best_loss, self.best_w = step, loss, new[step]
                self.validations_since_best = 0
        if is_end or len(self.waiting) > MOST_WAITING:
            if self.records_train_accuracy:
                run = self.model, self.waiting, self.X_train, self.Y_train
                self.train_history["accuracy"] |= evaluate(*run, self.accuracy)[0]
            self.waiting = {}

    def validation_step(self) -> tuple[float, float, float]:
        """Give validation loss, training and validation accuracy; the course's checks call this."""
        outputs, train_outputs = self.model.forward(self.X_val), self.model.forward(self.X_train)
        accuracies = self.accuracy(self.Y_train, train_outputs), self.accuracy(self.Y_val, outputs)
        return self.loss(self.Y_val, outputs), *accuracies
