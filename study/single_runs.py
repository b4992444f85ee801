"""What a single run shows: where its curves cross, how wide they part, what one batch does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from numerics.arguments import Floats
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


class EarlyStopping(NamedTuple):
    """What early stopping has saved and cost, by the curve of the run that goes on.

    Attributes
    ----------
    lowest : int
        The step of the minimum.
    loss, kept_loss : float
        There, and at the step that was kept.
    saved : float
        The share of the steps to the minimum that the stopped run did not make.
    cost, rise : float
        How far the kept step, and the end of the curve, lie above the minimum.
    is_better_at_the_end : bool
        Whether the end of the curve lies below the kept step.
    """

    lowest: int
    loss: float
    kept_loss: float
    saved: float
    cost: float
    rise: float
    is_better_at_the_end: bool


def early_stopping(curve: pd.Series, kept: int, stop: int) -> EarlyStopping:
    """Compare a continued run, as a `smooth` curve, with the same run stopped at a step."""
    losses: dict[int, float] = curve.to_dict()  # type: ignore[assignment]
    lowest = min(losses, key=losses.__getitem__)
    minimum, end = losses[lowest], losses[max(losses)]
    saved = 1 - (stop + 1) / (lowest + 1)
    cost, rise = losses[kept] - minimum, end - minimum
    return EarlyStopping(lowest, minimum, losses[kept], saved, cost, rise, end < losses[kept])


def gap_near(trainer: BaseTrainer, step: int) -> float:
    """Compute how far the training accuracy lies above the validation accuracy, by `mean_near`."""
    histories = trainer.train_history["accuracy"], trainer.val_history["accuracy"]
    train, val = (mean_near(history, step) for history in histories)
    return train - val


def crossing_step(trainer: BaseTrainer) -> int | None:
    """Find the step from which the training loss stays below the validation loss.

    Returns
    -------
    int or None
        The first validation from which on the mean loss of an epoch's batches before it is the
        lower one at every validation; None if it is not at the last one.
    """
    losses = np.array(list(trainer.train_history["loss"].values()))
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    crossing = None
    for step, val_loss in reversed(trainer.val_history["loss"].items()):
        first = max(0, step + 1 - trainer.batches_per_epoch)
        if (sums[step + 1] - sums[first]) / (step + 1 - first) >= val_loss:
            break
        crossing = step
    return crossing


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
        with the easiest of its digit in another batch; "shares", with half as many of the *easiest*
        images of that digit exchanged with the easiest of the other digit in the other batch.
    """
    of_batch = [images_by_loss(data, w, k, batch_size) for k in range(len(data[0]) // batch_size)]
    loss = np.logaddexp(0, (1 - 2 * data[1]) * (data[0] @ w))[:, 0]
    digit = max((0, 1), key=lambda target: loss[of_batch[batch][target][-1]])
    ours, theirs = of_batch[batch][digit], of_batch[other][digit]
    elsewhere = [images[digit][0] for k, images in enumerate(of_batch) if k != batch]
    spread = elsewhere[:: max(1, len(elsewhere) // count)][:count]
    easy, others = ours[: count // 2], of_batch[other][1 - digit][: count // 2]
    return {
        "file": data,
        "moved": exchanged(data, ours[-count:], theirs[:count]),
        "spread": exchanged(data, ours[-count:], np.array(spread)),
        "shares": exchanged(data, easy, others),
    }
