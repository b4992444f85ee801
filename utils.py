"""Load MNIST, cut it into batches, and plot training histories."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

import mnist
from common.arguments import Array, check_positive
from common.errors import InputError

# The assignment's settings that all tasks share; the others are in the script of their task.
NUM_TRAIN = 20_000
BATCH_SIZE = 128
EPOCHS = 500  # maximum
PATIENCE = 10  # validations without improvement before stopping
VALIDATIONS_PER_EPOCH = 5
SEED = 0  # for shuffling

# X_train, Y_train, X_val, Y_val
Data = tuple[Array, Array, Array, Array]


def load_full_mnist(data_dir: str | Path = mnist.DATA_DIR) -> Data:
    """Load the first 20 000 training images and all test images.

    Parameters
    ----------
    data_dir : path, default=the repository's ``mnist`` directory
        Directory with four IDX files, plain or ``.gz``, as `mnist.load_split` reads them.

    Returns
    -------
    X_train : ndarray of shape (20000, 784), uint8
    Y_train : ndarray of shape (20000, 1), uint8, values 0 to 9
    X_val : ndarray of shape (10000, 784), uint8
    Y_val : ndarray of shape (10000, 1), uint8, values 0 to 9

    Raises
    ------
    ValueError, OSError
        If a file is missing or damaged, or its classes are not 0 to 9.
    """
    X_train, Y_train = mnist.load_split("train", NUM_TRAIN, data_dir)
    X_val, Y_val = mnist.load_split("t10k", None, data_dir)
    for part, Y in (("training", Y_train), ("test", Y_val)):
        found = np.unique(Y).tolist()
        if found != list(range(mnist.NUM_CLASSES)):
            raise InputError(f"{data_dir}: the {part} labels are {found}; expected all of 0 to 9")
    return X_train, Y_train, X_val, Y_val


def load_binary_dataset(class1: int, class2: int, data_dir: str | Path = mnist.DATA_DIR) -> Data:
    """Load the images of two digits from those of `load_full_mnist`.

    Parameters
    ----------
    class1, class2 : int, 0 to 9
        The digit whose target is 1, and the digit whose target is 0.
    data_dir : path, default=the repository's ``mnist`` directory

    Returns
    -------
    X_train, Y_train, X_val, Y_val : ndarrays, uint8
        As in `load_full_mnist`, with targets 0 or 1.

    Raises
    ------
    ValueError
        If a class is not one of the ten digits, or both are the same.
    """
    if class1 == class2 or not {class1, class2} <= {*range(mnist.NUM_CLASSES)}:
        expected = "expected two different digits from 0 to 9"
        raise InputError(f"class1 and class2 are {class1!r} and {class2!r}; {expected}")
    X_train, Y_train, X_val, Y_val = load_full_mnist(data_dir)

    def two_digits(X: Array, Y: Array) -> tuple[Array, Array]:
        chosen = np.isin(Y[:, 0], (class1, class2))
        return X[chosen], (Y[chosen] == class1).astype(np.uint8)

    return *two_digits(X_train, Y_train), *two_digits(X_val, Y_val)


def batch_loader(
    X: Array,
    Y: Array,
    batch_size: int,
    shuffle: bool = False,
    drop_last: bool = True,
    *,
    rng: np.random.Generator | int | None = None,
) -> Iterator[tuple[Array, Array]]:
    """Cut a data set into batches.

    Parameters
    ----------
    X, Y : ndarray of shape (N, ...)
    batch_size : int, 1 to N
    shuffle : bool, default=False
        Whether to take the samples in a random order.
    drop_last : bool, default=True
        Whether to leave out the last batch if it is incomplete.
    rng : numpy.random.Generator or int, optional
        Source of the order, or its seed; differently seeded each time by default.

    Yields
    ------
    X_batch, Y_batch : ndarray of shape (batch_size, ...)
        Copies if shuffled, otherwise views.

    Raises
    ------
    ValueError
        If `X` and `Y` differ in length, or `batch_size` is not 1 to N.
    """
    if len(X) != len(Y):
        raise InputError(f"Y has {len(Y)} targets; expected {len(X)}, one for each sample of X")
    check_positive("batch_size", batch_size, whole=True, most=len(X))
    # Generator expressions instead of `yield`, so that the checks above run at once.
    end = len(X) // batch_size * batch_size if drop_last else len(X)
    batches = (slice(start, start + batch_size) for start in range(0, end, batch_size))
    if not shuffle:
        return ((X[batch], Y[batch]) for batch in batches)
    order = np.random.default_rng(rng).permutation(len(X))
    return ((X.take(order[batch], axis=0), Y.take(order[batch], axis=0)) for batch in batches)


def plot_loss(
    loss_dict: Mapping[int, float],
    label: str | None = None,
    npoints_to_average: int = 1,
    plot_variance: bool = True,
    *,
    axes: Axes | None = None,
) -> None:
    """Plot a loss or an accuracy against its steps.

    Parameters
    ----------
    loss_dict : mapping of step to value
        A loss or an accuracy.
    label : str, optional
        Its name in the legend; for means, their number of steps is added.
    npoints_to_average : int > 0, default=1
        Draw the mean of this many consecutive points instead of the points themselves. Points left
        over at the end are not drawn.
    plot_variance : bool, default=True
        Whether to shade one standard deviation around these means.
    axes : matplotlib.axes.Axes, optional
        Pyplot's current axes by default.
    """
    if axes is None:
        axes = plt.gca()
    num_points = len(loss_dict) // npoints_to_average * npoints_to_average
    steps = np.array(list(loss_dict)[:num_points]).reshape(-1, npoints_to_average)
    values = np.array(list(loss_dict.values())[:num_points]).reshape(-1, npoints_to_average)
    step = steps.mean(axis=1)
    mean = values.mean(axis=1)
    deviation = values.std(axis=1)
    if npoints_to_average > 1 and label is not None:
        label = f"{label}, mean of {npoints_to_average} steps"
    (line,) = axes.plot(step, mean, label=label)
    if npoints_to_average > 1 and plot_variance:
        axes.fill_between(
            step,
            mean - deviation,
            mean + deviation,
            color=line.get_color(),
            alpha=0.25,
            linewidth=0,
            label="± one standard deviation",
        )
