"""What a single run shows: its curves, its weights, and what one batch does."""

import itertools

import numpy as np
import pandas as pd
import scipy.ndimage
from numpy.typing import NDArray

from common.arguments import Floats
from mnist import IMAGE_SHAPE
from trainer import BaseTrainer
from utils import Data, batch_loader

VALIDATIONS_TO_AVERAGE = 25
# In earlier epochs the accuracy rises steeply.
FIRST_EPOCH = 3


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
