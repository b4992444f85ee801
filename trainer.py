"""Mini-batch gradient descent with validation and early stopping, for both models."""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from common.arguments import Array, Floats, Measure, check_dataset, check_positive
from common.errors import InputError
from common.linear import evaluate
from utils import PATIENCE, SEED, VALIDATIONS_PER_EPOCH, batch_loader

# A longer queue would be faster, but delay the progress line and Ctrl-C.
MAX_QUEUED_VALIDATIONS = 10
History = dict[str, dict[int, float]]


class DivergenceError(FloatingPointError):
    """Training has diverged: a loss or a weight is no longer finite."""


class BaseTrainer:
    """Train a model by mini-batch SGD until its validation loss stops improving.

    Parameters
    ----------
    model : BinaryModel or SoftmaxModel
        Trained in place. However a run ends, it is left with the weights of its best validation.
    learning_rate : float > 0
    batch_size : int
        From 1 to a fifth of the training samples, so that an epoch has at least five validations.
    shuffle_dataset : bool
        Whether each epoch takes the samples in a new random order.
    X_train, X_val : ndarray of shape (N, D), float
    Y_train, Y_val : ndarray of shape (N, K), values 0 to 1
    patience : int > 0 or None
        Number of consecutive validations without improvement after which training stops; None
        turns early stopping off.
    rng : numpy.random.Generator or int
        Random generator for the order of the samples, or its seed.
    name : str
        Name of the run in tables and messages.
    after_step : callable
        Called with the trainer after each step; training stops if it returns something true.

    Attributes
    ----------
    train_history, val_history : dict
        ``{"loss": {step: float}, "accuracy": {step: float}}``. The training loss is recorded at
        every step, before its update; everything else after the update of every step with
        ``step % steps_per_validation == 0``. Validations are evaluated up to ten at a time, so the
        histories lag behind until `train` returns.
    ended : {"early stop", "last epoch", "interrupted", "diverged"}
        Why training ended.
    error : DivergenceError or None
    stop_step, stop_epoch : int
        The last step and its epoch, both counted from 0.
    best_step, best_loss : int or None, float
        The step with the lowest validation loss, whose weights were kept, and that loss.
    seconds : float
        How long training took.
    """

    loss: Measure  # Subclasses define both.
    accuracy: Measure
    # They are only reported: switch them off to save the pass over the training images.
    records_train_accuracy = True

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
        patience: int | None = PATIENCE,
        rng: np.random.Generator | int = SEED,
        name: str = "training",
        after_step: Callable[["BaseTrainer"], Any] | None = None,
    ) -> None:
        check_positive("learning_rate", learning_rate)
        if patience is not None:
            check_positive("patience", patience, whole=True)
        check_dataset("train", X_train, Y_train, model.w)
        check_dataset("val", X_val, Y_val, model.w)
        largest = len(X_train) // VALIDATIONS_PER_EPOCH
        check_positive("batch_size", batch_size, whole=True)
        if batch_size > largest:
            raise InputError(
                f"batch_size is {batch_size}; expected at most {largest}, a fifth of the"
                f" {len(X_train)} training samples, so that an epoch has at least five validations",
                "batch_size",
            )
        self.model = model
        self.learning_rate = float(learning_rate)
        self.batch_size = batch_size
        self.shuffle_dataset = shuffle_dataset
        self.X_train = X_train
        self.Y_train = Y_train
        self.X_val = X_val
        self.Y_val = Y_val
        self.patience = patience
        self.rng = np.random.default_rng(rng)
        self.name = name
        self.after_step = after_step
        self.batches_per_epoch = len(X_train) // batch_size
        self.steps_per_validation = self.batches_per_epoch // VALIDATIONS_PER_EPOCH
        self._reset()

    def _reset(self) -> None:
        self.train_history: History = {"loss": {}, "accuracy": {}}
        self.val_history: History = {"loss": {}, "accuracy": {}}
        self.ended = "interrupted"  # if nothing else ends it
        self.error: DivergenceError | None = None
        self.stop_step = 0
        self.stop_epoch = 0
        self.seconds = 0.0
        self.best_step: int | None = None
        self.best_loss = math.inf
        self.best_w = self.model.w.copy("K")
        self.validations_since_best = 0
        self.queue: dict[int, Floats] = {}

    @np.errstate(all="ignore")  # Weights that diverge overflow before `check_finite` sees them.
    def train(self, num_epochs: int) -> tuple[History, History]:
        """Train from the current weights, for at most `num_epochs` epochs.

        Returns
        -------
        train_history, val_history : dict
            See `BaseTrainer`.

        Raises
        ------
        DivergenceError
            If a loss or a weight is no longer finite.
        """
        check_positive("num_epochs", num_epochs, whole=True)
        self._reset()
        started_at = time.perf_counter()
        try:
            self.ended = self.run_epochs(num_epochs)
        except DivergenceError as error:
            self.ended = "diverged"
            self.error = error
            raise
        finally:
            self.evaluate_queue()  # the validations that are still waiting
            self.model.w = self.best_w
            self.seconds = time.perf_counter() - started_at
        return self.train_history, self.val_history

    def run_epochs(self, num_epochs: int) -> str:
        """Step through epochs and batches, and return why training ended."""
        step = 0
        for epoch in range(num_epochs):
            batches = batch_loader(
                self.X_train, self.Y_train, self.batch_size, self.shuffle_dataset, rng=self.rng
            )
            for X_batch, Y_batch in batches:
                self.stop_step = step
                self.stop_epoch = epoch
                loss = self.train_step(X_batch, Y_batch)
                self.check_finite("the loss", loss)
                self.train_history["loss"][step] = loss
                if step % self.steps_per_validation == 0:
                    # If this sum is finite, so are the logits: pixels are from -1 to 1.
                    self.check_finite("the sum of all |w|", np.abs(self.model.w).sum())
                    self.queue_validation(step)
                    if self.validations_since_best == self.patience:
                        return "early stop"
                if self.after_step is not None and self.after_step(self):
                    return "interrupted"
                step += 1
        return "last epoch"

    def train_step(self, X_batch: Floats, Y_batch: Array) -> float:
        """Update the weights, w ← w − η ∂J/∂w, and return the loss C(w) of the batch before that.

        Parameters
        ----------
        X_batch : ndarray of shape (N, D), float
        Y_batch : ndarray of shape (N, K), values 0 to 1
        """
        Y_batch = np.asfortranarray(Y_batch)  # in memory classes first, like the outputs
        outputs = self.model.forward(X_batch)  # forward: ŷ
        self.model.backward(X_batch, outputs, Y_batch)  # gradient: ∂J/∂w
        self.model.w = self.model.w - self.learning_rate * self.model.grad  # update
        return self.loss(Y_batch, outputs)

    def check_finite(self, name: str, value: float) -> None:
        """Raise a `DivergenceError` unless the value is finite."""
        if not math.isfinite(value):
            raise DivergenceError(
                f"{self.name}: {name} is no longer finite at step {self.stop_step} with"
                f" learning rate {self.learning_rate:g}; choose a smaller learning rate"
            )

    def queue_validation(self, step: int) -> None:
        """Queue the weights; evaluate the queue once one of them could end the run.

        The weights wait since the images are then read from memory once for ten of them, not ten
        times: that is 1.8 times as fast for the softmax model.
        """
        self.queue[step] = self.model.w.copy("K")  # A subclass may update `w` in place.
        limit = MAX_QUEUED_VALIDATIONS
        if self.patience is not None:
            limit = min(limit, self.patience - self.validations_since_best)
        if len(self.queue) == limit:
            self.evaluate_queue()

    def evaluate_queue(self) -> None:
        """Validate the queued weights, record the results, and keep the best weights so far."""
        losses, accuracies = evaluate(
            self.model, self.queue, self.X_val, self.Y_val, self.loss, self.accuracy
        )
        self.val_history["loss"] |= losses
        self.val_history["accuracy"] |= accuracies
        if self.records_train_accuracy:
            [accuracies] = evaluate(
                self.model, self.queue, self.X_train, self.Y_train, self.accuracy
            )
            self.train_history["accuracy"] |= accuracies
        for step, loss in losses.items():
            if loss < self.best_loss:
                self.best_step = step
                self.best_loss = loss
                self.best_w = self.queue[step]
                self.validations_since_best = 0
            else:
                self.validations_since_best += 1
        self.queue = {}

    def validation_step(self) -> tuple[float, float, float]:
        """Compute validation loss, training and validation accuracy of the current weights.

        Part of the starter code's interface. The training loop does not call it: it evaluates
        several validations at once, see `evaluate_queue`.
        """
        outputs = self.model.forward(self.X_val)
        loss = self.loss(self.Y_val, outputs)
        accuracy_train = self.accuracy(self.Y_train, self.model.forward(self.X_train))
        accuracy_val = self.accuracy(self.Y_val, outputs)
        return loss, accuracy_train, accuracy_val

    def summary(self) -> dict[str, Any]:
        """Describe a finished run by the weights that were kept.

        Returns
        -------
        dict
            "ended", "stop_step", "stop_epoch", "best_step", "val_loss", "train_accuracy",
            "val_accuracy", "seconds"; and "train_loss", the mean loss of the batches from the
            previous validation to the best one.

        Raises
        ------
        ValueError
            If the run has no validation.
        """
        if self.best_step is None:
            raise InputError(f"the run {self.name!r} has no validation; expected at least one")
        first_step = max(0, self.best_step - self.steps_per_validation + 1)
        steps = range(first_step, self.best_step + 1)
        batch_losses = [self.train_history["loss"][step] for step in steps]
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
