"""What a single run shows: its curves, how they jump, its weights, what one batch does."""

import itertools
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import scipy.ndimage
from numpy.typing import NDArray

from common.arguments import Floats
from mnist import IMAGE_SHAPE
from trainer import BaseTrainer
from utils import Data, batch_loader

VALIDATIONS_TO_AVERAGE = 25
# In its first epochs an accuracy rises by far more than it fluctuates.
FIRST_EPOCH = 3
# Fluctuations shrink as training goes on, so they are compared over epochs that all runs have.
LAST_EPOCH = 9
TREND_DEGREE = 2


def validation_history(trainer: BaseTrainer) -> pd.DataFrame:
    """Give losses and accuracies of a run at its validations.

    Returns
    -------
    pandas.DataFrame
        Columns train_loss, val_loss, train_accuracy and val_accuracy; the index is the step. The
        training loss is the mean over the batches since the validation before.
    """
    train, val = trainer.train_history, trainer.val_history
    steps = np.array(list(val["loss"]))
    batch_losses = np.array(list(train["loss"].values()))[: steps[-1] + 1]
    sums = np.add.reduceat(batch_losses, np.append(0, steps[:-1] + 1))
    columns = {
        "train_loss": dict(zip(steps, sums / np.diff(steps, prepend=-1), strict=True)),
        "val_loss": val["loss"],
        "train_accuracy": train["accuracy"],
        "val_accuracy": val["accuracy"],
    }
    return pd.DataFrame(columns).rename_axis("step")


def running_median(losses: pd.Series) -> pd.Series:
    """Compute the median of 25 validations around each one, of fewer at both ends.

    The lowest single value of two thousand is a matter of luck, and a mean would feel the spikes of
    task 2e.
    """
    return losses.rolling(VALIDATIONS_TO_AVERAGE, center=True, min_periods=1).median()


# --- how much an accuracy jumps, and how much of that repeats with the epoch (task 2e) ---------


def dip_depths(accuracy: Mapping[int, float] | pd.Series) -> pd.Series:
    """Measure at each validation how far an accuracy lies below the mean of its two neighbours.

    Parameters
    ----------
    accuracy : mapping of step to float

    Returns
    -------
    pandas.Series
        By step, positive where it dips; without the first and the last validation, which lack a
        neighbour.
    """
    values = pd.Series(accuracy, dtype=float)
    return ((values.shift(1) + values.shift(-1)) / 2 - values).dropna()


def epoch_periodicity(accuracy: Mapping[int, float], steps_per_epoch: int) -> float:
    """Measure how much of an accuracy's fluctuation comes back at the same place of every epoch.

    Two least-squares fits are compared, over the validations from epoch 3 on. One is a trend, a
    parabola in the logarithm of the step. The other has in addition one free value for each phase,
    ``step % steps_per_epoch``. The result is the share of the variance around the trend that the
    phases explain: an adjusted R², in which each fit's sum of squares is divided by its degrees of
    freedom. Validations need not be at the same phases in each epoch.

    Parameters
    ----------
    accuracy : mapping of step to float
    steps_per_epoch : int > 0

    Returns
    -------
    float
        1 for a curve that repeats exactly. White noise gives 0 on average, whatever the number of
        phases, with a standard deviation of sqrt(2p / (m (m + p + 2))) for p phases less one and
        m validations more than free values: 0.06 for the unshuffled run of task 2e, but 0.3 for a
        run that stops a third as late. NaN if m is not positive or the trend leaves no variance.
    """
    later = pd.Series(accuracy, dtype=float).loc[FIRST_EPOCH * steps_per_epoch :]
    steps, values = later.index.to_numpy(), later.to_numpy()
    trend = np.vander(np.log1p(steps), TREND_DEGREE + 1)
    phases = steps[:, np.newaxis] % steps_per_epoch == np.arange(steps_per_epoch)

    def variance_around(columns: NDArray) -> float:
        fit, _, rank, _ = np.linalg.lstsq(columns, values)
        degrees_of_freedom = len(values) - int(rank)
        squares = np.square(values - columns @ fit).sum()
        return float(squares / degrees_of_freedom) if degrees_of_freedom else math.nan

    around_trend = variance_around(trend)
    # A perfect trend leaves squares of rounding errors.
    if not around_trend > 1e-24:
        return math.nan
    return 1 - variance_around(np.hstack([trend, phases])) / around_trend


def fluctuations(accuracy: Mapping[int, float], steps_per_epoch: int) -> dict[str, float]:
    """Measure how much an accuracy jumps, in two ways.

    Parameters
    ----------
    accuracy : mapping of step to float
        A history with several validations in each epoch.
    steps_per_epoch : int > 0

    Returns
    -------
    dict of str to float
        "deepest_dip" in epochs 3 to 9, counted from 0: later than the steep rise at the start, and
        early enough for almost every run to get there. "periodicity" of all epochs from 3 on, see
        `epoch_periodicity`. NaN for too few validations.
    """
    first, end = FIRST_EPOCH * steps_per_epoch, (LAST_EPOCH + 1) * steps_per_epoch
    middle = pd.Series(accuracy, dtype=float).loc[first : end - 1]
    return {
        "deepest_dip": float(dip_depths(middle).max()),
        "periodicity": epoch_periodicity(accuracy, steps_per_epoch),
    }


# --- what one batch does (task 2e) ---------------------------------------------------------------


def mean_after_each_batch(trainer: BaseTrainer, num_epochs: int) -> NDArray[np.float64]:
    """Validate after every step, and average over the epochs from 3 on.

    Parameters
    ----------
    trainer : BaseTrainer
        A fresh one, whose patience is too long to end the run before.
    num_epochs : int > 3

    Returns
    -------
    ndarray of shape (batches_per_epoch,)
        Validation accuracies.
    """
    trainer.steps_per_validation, trainer.records_train_accuracy = 1, False
    trainer.train(num_epochs)
    accuracies = np.array(list(trainer.val_history["accuracy"].values()))
    return accuracies.reshape(num_epochs, -1)[FIRST_EPOCH:].mean(axis=0)


def validate_on(data: Data, target: int) -> Data:
    """Keep only the validation images of one target."""
    X, Y, X_val, Y_val = data
    chosen = Y_val[:, 0] == target
    return X, Y, X_val[chosen], Y_val[chosen]


def reorder(data: Data, order: NDArray) -> Data:
    """Put the training images in another order."""
    X, Y, X_val, Y_val = data
    return X[order], Y[order], X_val, Y_val


def exchange(data: Data, here: NDArray, there: NDArray) -> Data:
    """Let training images exchange their places in the file: each of `here` with one of `there`."""
    order = np.arange(len(data[0]))
    order[here], order[there] = there, here
    return reorder(data, order)


def dip_experiments(
    data: Data, w: Floats, batch: int, other: int, count: int, batch_size: int
) -> dict[str, Data]:
    """Take away, one by one, what makes the accuracy dip after a batch.

    Parameters
    ----------
    data : Data
        As `task2.load_data` gives it.
    w : ndarray of shape (785, 1), float
        The weights that tell what is hard: those of a finished run.
    batch, other : int >= 0
        The batch with the dip, and another one, counted from 0 in the order of the file.
    count : int > 0
        How many images to move.
    batch_size : int > 0

    Returns
    -------
    dict of str to Data
        "file", as it is; "moved", with the hardest images of the batch, all of one digit, exchanged
        with the easiest of that digit in the other batch; "spread", with each of them exchanged
        with the easiest of its digit in another batch; "centred", in the order of the file, with
        the mean of the training images subtracted from all pixels. All keep the shares of the
        digits.
    """
    X, Y = data[0], data[1][:, 0]
    loss = np.logaddexp(0, (1 - 2 * Y) * (X @ w)[:, 0])
    by_loss = np.argsort(loss, kind="stable")
    [*_, hardest] = by_loss[by_loss // batch_size == batch]
    same_digit = by_loss[Y[by_loss] == Y[hardest]]
    batches = same_digit // batch_size
    hard = same_digit[batches == batch][-count:]
    easiest = [same_digit[batches == k][0] for k in range(len(X) // batch_size) if k != batch]
    spread = np.array(easiest[:: max(1, len(easiest) // count)][:count])
    return {
        "file": data,
        "moved": exchange(data, hard, same_digit[batches == other][:count]),
        "spread": exchange(data, hard, spread),
        "centred": centre_pixels(data),
    }


def centre_pixels(data: Data) -> Data:
    """Subtract the mean of the training images from all pixels, and leave the column of ones."""
    X, Y, X_val, Y_val = data
    mean = np.append(X[:, :-1].mean(axis=0), 0).astype(X.dtype)
    return X - mean, Y, X_val - mean, Y_val


# --- templates: the softmax weights of each class as an image (task 4b) -------------------------


@np.errstate(all="ignore")  # As `BaseTrainer.train`.
def train_up_to(trainer: BaseTrainer, step: int) -> None:
    """Make the steps of a run from the first one to `step`, without validations.

    Parameters
    ----------
    trainer : BaseTrainer
        A fresh one. Its model has the weights after this step then.
    step : int >= 0
    """
    epochs = (
        batch_loader(
            trainer.X_train,
            trainer.Y_train,
            trainer.batch_size,
            trainer.shuffle_dataset,
            rng=trainer.rng,
        )
        for _ in itertools.count()
    )
    for batch in itertools.islice(itertools.chain.from_iterable(epochs), step + 1):
        trainer.train_step(*batch)


def class_mean_differences(X: Floats, Y: Floats) -> Floats:
    """Compute *mean of the class minus mean of all samples* for each class.

    Parameters
    ----------
    X : ndarray of shape (N, D), float
    Y : ndarray of shape (N, K), one-hot

    Returns
    -------
    ndarray of shape (K, D)
    """
    return Y.T @ X / np.sum(Y, axis=0)[:, np.newaxis] - np.mean(X, axis=0)


def class_mean_correlation(w: Floats, X: Floats, Y: Floats) -> float:
    """Compare the templates with the `class_mean_differences` of the images.

    Parameters
    ----------
    w : ndarray of shape (785, K), float
    X : ndarray of shape (N, 785), float
    Y : ndarray of shape (N, K), one-hot

    Returns
    -------
    float, -1 to 1
        The correlation over the pixels, the bias left out, as a mean over the classes.
    """
    pairs = zip(w[:-1].T, class_mean_differences(X[:, :-1], Y), strict=True)
    return float(np.mean([np.corrcoef(template, mean)[0, 1] for template, mean in pairs]))


def roughness(images: Floats) -> float:
    """Measure how noisy images [M, 784] are.

    Returns
    -------
    float
        The mean squared difference of neighbouring pixels over twice the variance: 0 for constant
        images, 1 for white noise.
    """
    images = images.reshape(-1, *IMAGE_SHAPE)
    neighbours = [np.diff(images, axis=1).ravel(), np.diff(images, axis=2).ravel()]
    variance = np.mean(np.var(images, axis=(1, 2)))
    return float(np.mean(np.square(np.concatenate(neighbours))) / (2 * variance))


def mean_correlation(templates: Floats) -> float:
    """Compare the templates of several models, class by class.

    Parameters
    ----------
    templates : ndarray of shape (M, K, 784), float

    Returns
    -------
    float, -1 to 1
        The correlation over the pixels, as a mean over the pairs of models and the classes.
    """
    M = len(templates)
    by_class = [
        np.corrcoef(images)[np.triu_indices(M, 1)] for images in np.swapaxes(templates, 0, 1)
    ]
    return float(np.mean(by_class))


def fine_detail(templates: Floats) -> Floats:
    """Subtract from each pixel of images [..., 784] the mean of the 3×3 pixels around it."""
    images = templates.reshape(*templates.shape[:-1], *IMAGE_SHAPE)
    return (images - scipy.ndimage.uniform_filter(images, 3, axes=(-2, -1))).reshape(
        templates.shape
    )
