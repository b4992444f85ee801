"""The two data splits, the batch loader, and small helpers that every module may use."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import mnist

NUM_TRAIN = 20_000
INTEGER = (int, np.integer)
REAL = (*INTEGER, float, np.floating)

Split = tuple[NDArray, NDArray, NDArray, NDArray]


def load_full_mnist(data_dir: str | os.PathLike[str] = mnist.DATA_DIR) -> Split:
    """Load the first 20 000 training images and all test images.

    Parameters
    ----------
    data_dir : path, default=the repository's ``data`` folder
        Folder with the four IDX files, plain or ``.gz``.

    Returns
    -------
    X_train : ndarray of shape (20000, 784), uint8
    Y_train : ndarray of shape (20000, 1), uint8, values 0 to 9
    X_val : ndarray of shape (N, 784), uint8
        All test images, 10 000 of them in MNIST.
    Y_val : ndarray of shape (N, 1), uint8

    Raises
    ------
    ValueError, OSError
        If a file is missing or not what it should be, see `mnist.load_split`; or if these images
        are not of all ten classes.
    """
    X_train, Y_train = mnist.load_split("train", NUM_TRAIN, Path(data_dir))
    X_val, Y_val = mnist.load_split("t10k", None, Path(data_dir))
    for part, Y in (("training", Y_train), ("test", Y_val)):
        found = np.unique(Y).tolist()
        if len(found) < mnist.NUM_CLASSES:
            raise ValueError(
                f"{data_dir}: the {len(Y)} {part} images have the labels {found}; expected all of"
                f" 0 to {mnist.NUM_CLASSES - 1}"
            )
    return X_train, Y_train, X_val, Y_val


def load_binary_dataset(
    class1: int, class2: int, data_dir: str | os.PathLike[str] = mnist.DATA_DIR
) -> Split:
    """Load the images of two digits out of `load_full_mnist`.

    Parameters
    ----------
    class1 : int in 0 to 9
        The digit whose target is 1.
    class2 : int in 0 to 9
        The digit whose target is 0.
    data_dir : path, default=the repository's ``data`` folder

    Returns
    -------
    X_train, Y_train, X_val, Y_val : ndarrays, uint8
        Shapes as in `load_full_mnist`, with the images of the two digits only. Targets are 0 or 1.

    Raises
    ------
    ValueError
        If a class is not one of the ten digits, or both are the same.
    """
    for name, value in (("class1", class1), ("class2", class2)):
        if value not in range(10):
            raise ValueError(f"{name} is {value!r}; expected a digit from 0 to 9")
    if class1 == class2:
        raise ValueError(f"class1 and class2 are both {class1}; expected two different digits")
    X_train, Y_train, X_val, Y_val = load_full_mnist(data_dir)

    def two_digits(X: NDArray, Y: NDArray) -> tuple[NDArray, NDArray]:
        chosen = np.isin(Y[:, 0], (class1, class2))
        return X[chosen], (Y[chosen] == class1).astype(np.uint8)

    return *two_digits(X_train, Y_train), *two_digits(X_val, Y_val)


def batch_loader(
    X: NDArray,
    Y: NDArray,
    batch_size: int,
    shuffle: bool = False,
    drop_last: bool = True,
    *,
    rng: np.random.Generator | None = None,
) -> Iterator[tuple[NDArray, NDArray]]:
    """Cut a data set into batches.

    Parameters
    ----------
    X : ndarray of shape (N, ...)
    Y : ndarray of shape (N, ...)
    batch_size : int, 1 to N
    shuffle : bool, default=False
        Whether to take the samples in a random order.
    drop_last : bool, default=True
        Whether to leave out the last batch if it is incomplete.
    rng : numpy.random.Generator, optional
        Source of the order; a new one, differently seeded each time, by default.

    Yields
    ------
    X_batch : ndarray of shape (batch_size, ...)
        A copy if shuffled, otherwise a view of `X`.
    Y_batch : ndarray of shape (batch_size, ...)
        The targets of the same samples.

    Raises
    ------
    ValueError
        If `X` and `Y` differ in length, `batch_size` is not 1 to N, or `rng` is no generator.
    """
    if len(X) != len(Y):
        raise ValueError(f"Y has {len(Y)} targets; expected {len(X)}, one for each sample of X")
    if not isinstance(batch_size, INTEGER) or not 1 <= batch_size <= len(X):
        raise ValueError(f"batch_size is {batch_size!r}; expected 1 to {len(X)}, the samples in X")
    check_generator(rng)
    end = len(X) // batch_size * batch_size if drop_last else len(X)
    batches = (slice(start, start + batch_size) for start in range(0, end, batch_size))
    if not shuffle:
        return ((X[batch], Y[batch]) for batch in batches)
    order = (rng or np.random.default_rng()).permutation(len(X))
    return ((X.take(order[batch], axis=0), Y.take(order[batch], axis=0)) for batch in batches)


def check_positive(name: str, value: float, *, whole: bool = False) -> None:
    """Refuse a setting that is not a positive finite number.

    Parameters
    ----------
    name : str
        What the error calls it.
    value : number
    whole : bool, default=False
        Whether it has to be an integer as well.

    Raises
    ------
    ValueError
        With the name, the value and what is expected.
    """
    if whole and not isinstance(value, INTEGER):
        raise ValueError(f"{name} is {value!r}; expected a positive integer")
    if not isinstance(value, REAL) or not 0 < value < math.inf:
        raise ValueError(f"{name} is {value!r}; expected a positive number")


def check_generator(rng: object) -> None:
    """Refuse what is neither a `numpy.random.Generator` nor None.

    Raises
    ------
    ValueError
    """
    if not isinstance(rng, np.random.Generator | None):
        raise ValueError(f"rng is {rng!r}; expected a numpy.random.Generator")


def plot_loss(
    loss_dict: Mapping[int, float],
    label: str | None = None,
    npoints_to_average: int = 1,
    plot_variance: bool = True,
) -> None:
    """Draw a history on the current axes.

    Parameters
    ----------
    loss_dict : mapping of step to value
        A loss or an accuracy.
    label : str, optional
        What the legend calls it.
    npoints_to_average : int > 0, default=1
        Draw the mean of so many neighbouring points in the place of each of them. Points that are
        left over at the end are not drawn.
    plot_variance : bool, default=True
        Whether to shade one standard deviation around such means.

    Raises
    ------
    ValueError
        If `loss_dict` is no mapping, or `npoints_to_average` is not positive.
    """
    import matplotlib.pyplot as plt

    if not isinstance(loss_dict, Mapping):
        raise ValueError(f"loss_dict is a {type(loss_dict).__name__}; expected {{step: value}}")
    check_positive("npoints_to_average", npoints_to_average, whole=True)
    num_means = len(loss_dict) // npoints_to_average
    num_points = num_means * npoints_to_average
    steps = np.array(list(loss_dict.keys())[:num_points]).reshape(num_means, npoints_to_average)
    values = np.array(list(loss_dict.values())[:num_points]).reshape(steps.shape)
    if npoints_to_average > 1 and label is not None:
        label = f"{label}, mean of {npoints_to_average} steps"
    (line,) = plt.plot(steps.mean(axis=1), values.mean(axis=1), label=label)
    if npoints_to_average > 1 and plot_variance:
        mean, deviation = values.mean(axis=1), values.std(axis=1)
        plt.fill_between(
            steps.mean(axis=1),
            mean - deviation,
            mean + deviation,
            color=line.get_color(),
            alpha=0.25,
            linewidth=0,
            label="± one standard deviation",
        )


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Let a file be written under a temporary name, and give it its own name once it is whole.

    Parameters
    ----------
    path : path
        The file to write. Its folder is made if it is missing.

    Yields
    ------
    pathlib.Path
        The temporary file in the same folder, with the same ending. If the block raises, it is
        removed and an older file at `path` stays as it was.

    Raises
    ------
    OSError
        If the folder cannot be made or written to, `path` is a folder, or the disk is full. It
        names `path`.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; expected a file or a free name")
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        # mkstemp makes files private; give this one the permissions of any new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
