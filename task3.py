"""Tasks 3b to 3d: the softmax model tells all ten digits; loss, accuracy, overfitting."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import cli
import mnist
from figures import figure_accuracies, figure_losses
from linear import Floats, PerModel, logits
from task2a import check_outputs, pre_process_images
from task3a import NUM_CLASSES, SoftmaxModel, cross_entropy_loss, one_hot_encode
from trainer import BaseTrainer
from utils import Split, load_full_mnist

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOSS_LIMITS = (0.2, 0.6)
ACCURACY_LIMITS = (0.89, 0.93)


def one_hot_arg_max(outputs: Floats) -> NDArray[np.bool_]:
    """Mark the largest output of each sample, the first one if several are equal.

    Parameters
    ----------
    outputs : ndarray of shape (..., N, K), float

    Returns
    -------
    ndarray of the same shape, bool
        One True in each row. The same as encoding `numpy.argmax` one-hot, which over a short last
        axis takes ten times as long.
    """
    is_max = outputs == outputs.max(axis=-1, keepdims=True)
    if np.count_nonzero(is_max) > is_max.size // is_max.shape[-1]:
        is_max &= np.cumsum(is_max, axis=-1) == 1
    return is_max


def accuracy(targets: NDArray, outputs: Floats) -> PerModel:
    """Compute the fraction of samples whose largest output is the one of their class.

    Parameters
    ----------
    targets : ndarray of shape (N, K), one-hot
    outputs : ndarray of shape (N, K) or (M, N, K), float

    Returns
    -------
    float, or ndarray of shape (M,)

    Raises
    ------
    ValueError
        If shapes or dtypes are others, or there are no samples.
    """
    check_outputs(targets, outputs)
    hits = one_hot_arg_max(outputs) & (targets == 1)
    return np.count_nonzero(hits.any(axis=-1), axis=-1) / len(targets)


def calculate_accuracy(X: Floats, targets: NDArray, model: SoftmaxModel) -> float:
    """Compute the fraction of samples that the model predicts right.

    Parameters
    ----------
    X : ndarray of shape (N, 785), float
    targets : ndarray of shape (N, 10), one-hot
    model : SoftmaxModel

    Returns
    -------
    float, 0 to 1
    """
    return accuracy(targets, model.forward(X))


class SoftmaxTrainer(BaseTrainer):
    """Trains a `SoftmaxModel`."""

    model: SoftmaxModel
    loss = staticmethod(cross_entropy_loss)
    accuracy = staticmethod(accuracy)

    @staticmethod
    def scores(model: SoftmaxModel, X: Floats) -> Floats:
        """Compute the logits: their largest is the largest output, and they need no exp."""
        return logits(X, model.w)


def load_data(data_dir: str | os.PathLike[str] = mnist.DATA_DIR) -> Split:
    """Load and preprocess the images of all ten digits.

    Parameters
    ----------
    data_dir : path, default=the repository's ``data`` folder

    Returns
    -------
    X_train, Y_train, X_val, Y_val : ndarrays
        Images as [N, 785] float32, targets one-hot as [N, 10] float32.
    """
    X_train, Y_train, X_val, Y_val = load_full_mnist(data_dir)
    return (
        pre_process_images(X_train),
        one_hot_encode(Y_train, NUM_CLASSES),
        pre_process_images(X_val),
        one_hot_encode(Y_val, NUM_CLASSES),
    )


def make_trainer(
    data: Split,
    *,
    l2_reg_lambda: float = 0.0,
    learning_rate: float = 0.01,
    batch_size: int = 128,
    patience: int = 10,
    seed: int = 0,
    progress: bool = False,
    should_stop: Callable[[], bool] | None = None,
) -> SoftmaxTrainer:
    """Make the trainer of tasks 3 and 4 with a fresh model. It shuffles.

    Parameters
    ----------
    data : tuple of X_train, Y_train, X_val, Y_val
        As `load_data` gives it.
    l2_reg_lambda : float >= 0, default=0
    learning_rate, batch_size, patience, progress, should_stop
        As in `BaseTrainer`; the defaults are the assignment's.
    seed : int, default=0
        Seed of the order of the samples.

    Returns
    -------
    SoftmaxTrainer
    """
    return SoftmaxTrainer(
        SoftmaxModel(l2_reg_lambda),
        learning_rate,
        batch_size,
        True,
        *data,
        patience=patience,
        rng=np.random.default_rng(seed),
        name=f"λ = {l2_reg_lambda:.12g}",
        progress=progress,
        should_stop=should_stop,
    )


def draw(trainers: Mapping[str, SoftmaxTrainer]) -> dict[str, Figure]:
    """Draw the figures of task 3.

    Parameters
    ----------
    trainers : mapping of str to SoftmaxTrainer
        A run with at least one validation, or none.

    Returns
    -------
    dict of file name to matplotlib.figure.Figure
    """
    figures = {}
    for trainer in trainers.values():
        figures["task3b_softmax_train_loss.png"] = figure_losses(trainer, LOSS_LIMITS)
        figures["task3c_softmax_train_accuracy.png"] = figure_accuracies(trainer, ACCURACY_LIMITS)
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    """Run the experiment of task 3 as the command line says; see ``--help``."""
    parser = cli.make_parser(
        __doc__, cli.DATA_OPTIONS, cli.TRAINING_OPTIONS, cli.OUTPUT_OPTIONS, learning_rate=0.01
    )
    parser.add_argument(
        "--l2",
        type=cli.NON_NEGATIVE,
        default=0.0,
        metavar="LAMBDA",
        help="weight of the L2 penalty (default: 0)",
    )
    args = parser.parse_args(argv)
    return cli.run_experiment(
        args,
        lambda should_stop: {
            "task3_softmax": make_trainer(
                load_data(args.data_dir),
                l2_reg_lambda=args.l2,
                **cli.training_settings(args),
                should_stop=should_stop,
            )
        },
        draw,
        range(NUM_CLASSES),
    )


if __name__ == "__main__":
    cli.run(main)
