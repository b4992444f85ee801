"""Tasks 2b to 2e: the logistic model tells 2 from 3; loss, accuracy, early stopping, shuffling."""

from pathlib import Path
from typing import Any

import numpy as np

import cli
import mnist
from cli import training
from numerics.arguments import Array, Floats, check_outputs
from plots import Figures, figure_run, figure_val_accuracies
from task2a import DIGITS, DIGITS_OPTION, BinaryModel, cross_entropy_loss, pre_process_images
from trainer import BaseTrainer
from utils import BATCH_SIZE, PATIENCE, SEED, Data, load_binary_dataset

# What the assignment sets for task 2 besides `DIGITS` and the settings in `utils`.
LEARNING_RATE = 0.05
LOSS_LIMITS = (0, 0.2)  # of the figures' y axes
ACCURACY_LIMITS = (0.93, 0.99)


def accuracy(targets: Array, outputs: Floats) -> float:
    """Compute the fraction of samples that are predicted right: 1 if and only if ŷ >= 0.5.

    Parameters
    ----------
    targets : ndarray of shape (N, 1), values 0 or 1
    outputs : ndarray of shape (N, 1), float, values 0 to 1
    """
    check_outputs(targets, outputs, 1)
    return float(np.mean((outputs >= 0.5) == targets))


def calculate_accuracy(X: Floats, targets: Array, model: BinaryModel) -> float:
    """Compute the fraction of the samples X [N, 785] that the model predicts right.

    The course's checks call this; a trainer measures `accuracy` of outputs that it has.
    """
    return accuracy(targets, model.forward(X))


class LogisticTrainer(BaseTrainer):
    """Trains a `BinaryModel`."""

    loss = staticmethod(cross_entropy_loss)
    accuracy = staticmethod(accuracy)


def load_data(digits: tuple[int, int] = DIGITS, data_dir: str | Path = mnist.DATA_DIR) -> Data:
    """Load and preprocess the images of two digits, that of target 1 and that of target 0.

    Returns
    -------
    X_train, Y_train, X_val, Y_val : ndarrays, float32
        Images as [N, 785], targets as [N, 1].
    """
    X_train, Y_train, X_val, Y_val = load_binary_dataset(*digits, data_dir)
    Y_train, Y_val = Y_train.astype(np.float32), Y_val.astype(np.float32)
    return pre_process_images(X_train), Y_train, pre_process_images(X_val), Y_val


def make_trainer(
    data: Data,
    *,
    shuffle: bool,
    learning_rate: float = LEARNING_RATE,
    batch_size: int = BATCH_SIZE,
    patience: int = PATIENCE,
    seed: int = SEED,
) -> LogisticTrainer:
    """Make the trainer of task 2 with a fresh model; `seed` decides the order of the samples.

    All else is as in `BaseTrainer`, and the defaults are the assignment's.
    """
    run = BinaryModel(), learning_rate, batch_size, shuffle, *data
    name = "shuffled" if shuffle else "not shuffled"
    return LogisticTrainer(*run, patience=patience, rng=seed, name=name)


def make_trainers(data: Data, **settings: Any) -> dict[str, LogisticTrainer]:
    """Make the two trainers of task 2, without and with shuffling, as `make_trainer` does."""
    return {
        "task2_not_shuffled": make_trainer(data, shuffle=False, **settings),
        "task2_shuffled": make_trainer(data, shuffle=True, **settings),
    }


def draw(trainers: training.Runs) -> Figures:
    """Draw the figures of task 2, by file name, as far as there are runs for them."""
    figures = {}
    if trainer := trainers.get("task2_not_shuffled"):
        figures["task2b_binary_train_loss.png"] = figure_run(trainer, "loss", LOSS_LIMITS)
        accuracies = figure_run(trainer, "accuracy", ACCURACY_LIMITS)
        figures["task2c_binary_train_accuracy.png"] = accuracies
    if len(trainers) == 2:
        both = figure_val_accuracies(trainers.values(), ACCURACY_LIMITS)
        figures["task2e_train_accuracy_shuffle_difference.png"] = both
    return figures


def main(argv: list[str] | None = None) -> int:
    """Run the experiments of task 2 as the command line says; see ``--help``."""
    parser = cli.Parser(__doc__, DIGITS_OPTION, cli.TASK_OPTIONS, learning_rate=LEARNING_RATE)
    args = parser.parse_args(argv)
    data = load_data(args.digits, args.data_dir)
    trainers = make_trainers(data, **training.trainer_settings(args))
    return training.run(trainers, args, draw, model="logistic", classes=args.digits)


if __name__ == "__main__":
    cli.run(main)
