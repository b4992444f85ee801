"""What a single run shows: its smooth curve, its weights on the way, what one batch does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from numerics.arguments import Floats
from study.fluctuations import FIRST_EPOCH
from trainer import BaseTrainer
from utils import Data

VALIDATIONS_TO_AVERAGE = 25


def mean_near(history: Mapping[int, float], step: int, validations: int = 10) -> float:
    """Average the last validations up to a step: a single one is noisy."""
    return float(np.mean([history[s] for s in history if s <= step][-validations:]))


def smooth(losses: pd.Series) -> pd.Series:
    """Compute the median of 25 validations around each one, of fewer at both ends.

    The lowest single value of two thousand is a matter of luck, and a mean would feel the spikes of
    task 2e.
    """
    return losses.rolling(VALIDATIONS_TO_AVERAGE, center=True, min_periods=1).median()


def weights_after(trainer: BaseTrainer, step: int) -> Floats:
    """Train from zero weights to a step, without early stopping, and give the weights after it.

    Parameters
    ----------
    trainer : BaseTrainer
        A fresh one, whose patience is too long to end the run before.
    step : int >= 0
    """
    found = []

    def stop_there(trainer: BaseTrainer) -> bool:
        if trainer.stop_step == step:
            found.append(trainer.model.w)
        return trainer.stop_step >= step

    trainer.after_step = stop_there
    trainer.train(step // trainer.batches_per_epoch + 1)
    return found[0]


def accuracy_after_each_batch(trainer: BaseTrainer, num_epochs: int) -> NDArray[np.float64]:
    """Train with a validation after every step.

    Parameters
    ----------
    trainer : BaseTrainer
        A fresh one, whose patience is too long to end the run before.
    num_epochs : int > 0

    Returns
    -------
    ndarray of shape (num_epochs, batches_per_epoch)
        Validation accuracies.
    """
    trainer.steps_per_validation, trainer.records_train_accuracy = 1, False
    trainer.train(num_epochs)
    accuracies = np.array(list(trainer.val_history["accuracy"].values()))
    return accuracies.reshape(num_epochs, trainer.batches_per_epoch)


def mean_after_each_batch(trainer: BaseTrainer, num_epochs: int) -> NDArray[np.float64]:
    """Average `accuracy_after_each_batch` over the epochs from 3 on."""
    return accuracy_after_each_batch(trainer, num_epochs)[FIRST_EPOCH:].mean(axis=0)


def of_target(data: Data, target: int) -> Data:
    """Leave of the validation images those of one target."""
    X, Y, X_val, Y_val = data
    chosen = Y_val[:, 0] == target
    return X, Y, X_val[chosen], Y_val[chosen]


def images_by_loss(data: Data, w: Floats, batch: int, batch_size: int) -> dict[int, NDArray]:
    """Sort the images of a batch by their loss, for each target by itself.

    Parameters
    ----------
    data : Data
        As `task2.load_data` gives it.
    w : ndarray of shape (785, 1), float
        The weights that tell what is hard: those of a finished run.
    batch : int >= 0
        Counted from 0, in the order of the file.
    batch_size : int > 0

    Returns
    -------
    dict of int to ndarray of integers
        For the targets 0 and 1, where their images stand in the file, the easiest first.
    """
    X, Y = data[:2]
    here = np.arange(batch * batch_size, (batch + 1) * batch_size)
    loss = np.logaddexp(0, (1 - 2 * Y[here]) * (X[here] @ w))[:, 0]
    here = here[np.argsort(loss, kind="stable")]
    return {target: here[Y[here, 0] == target] for target in (0, 1)}


def exchanged(data: Data, here: NDArray, there: NDArray) -> Data:
    """Let training images exchange their places in the file: each of `here` with one of `there`."""
    X, Y, X_val, Y_val = data
    order = np.arange(len(X))
    order[here], order[there] = there, here
    return X[order], Y[order], X_val, Y_val


def dip_experiments(
    data: Data, w: Floats, batch: int, other: int, count: int, batch_size: int
) -> dict[str, Data]:
    """Move images in or out of the batch after which the accuracy dips.

    Parameters
    ----------
    data, w, batch_size
        As in `images_by_loss`.
    batch, other : int >= 0
        The batch with the dip, and another one.
    count : int > 0
        How many images to move.

    Returns
    -------
    dict of str to Data
        "file", as it is; "moved", with the hardest images of the batch, all of one digit, exchanged
        with the easiest of that digit in the other batch; "spread", with each of them exchanged
        with the easiest of its digit in another batch. All keep the shares of the digits.
    """
    of_batch = [images_by_loss(data, w, k, batch_size) for k in range(len(data[0]) // batch_size)]
    loss = np.logaddexp(0, (1 - 2 * data[1]) * (data[0] @ w))[:, 0]
    digit = max((0, 1), key=lambda target: loss[of_batch[batch][target][-1]])
    ours, theirs = of_batch[batch][digit], of_batch[other][digit]
    elsewhere = [images[digit][0] for k, images in enumerate(of_batch) if k != batch]
    spread = elsewhere[:: max(1, len(elsewhere) // count)][:count]
    return {
        "file": data,
        "moved": exchanged(data, ours[-count:], theirs[:count]),
        "spread": exchanged(data, ours[-count:], np.array(spread)),
    }
