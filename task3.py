"""Tasks 3b to 3d: the softmax model tells all ten digits; loss, accuracy, overfitting."""

from pathlib import Path

import numpy as np

import cli
import mnist
from cli import training
from numerics.arguments import Array, Floats, check_outputs
from plots import Figures, figure_run
from task2a import pre_process_images
from task3a import NUM_CLASSES, SoftmaxModel, cross_entropy_loss, one_hot_encode
from trainer import BaseTrainer
from utils import BATCH_SIZE, PATIENCE, SEED, Data, load_full_mnist

# What the assignment sets for task 3 besides the settings in `utils`.
LEARNING_RATE = 0.01
SHUFFLE = True
L2_REG_LAMBDA = 0.0
LOSS_LIMITS = (0.2, 0.6)  # of the figures' y axes
ACCURACY_LIMITS = (0.89, 0.93)


def accuracy(targets: Array, outputs: Floats) -> float:
    """Compute the fraction of samples whose largest output is the one of their class.

    Parameters
    ----------
    targets : ndarray of shape (N, K), one-hot
    outputs : ndarray of shape (N, K), float
    """
    check_outputs(targets, outputs)
    # As `numpy.argmax`, which over a short last axis takes ten times as long: the first one counts.
    is_max = outputs == outputs.max(axis=-1, keepdims=True)
    if np.count_nonzero(is_max) > len(outputs):
        is_max &= np.cumsum(is_max, axis=-1) == 1
    return float(np.count_nonzero(is_max & (targets == 1)) / len(targets))


def calculate_accuracy(X: Floats, targets: Array, model: SoftmaxModel) -> float:
    """Compute the fraction of the samples X [N, 785] that the model predicts right.

    The course's checks call this; a trainer measures `accuracy` of outputs that it has.
    """
    return accuracy(targets, model.forward(X))


class SoftmaxTrainer(BaseTrainer):
    """Trains a `SoftmaxModel`."""

    loss = staticmethod(cross_entropy_loss)
    accuracy = staticmethod(accuracy)


def load_data(data_dir: str | Path = mnist.DATA_DIR) -> Data:
    """Load and preprocess the images of all ten digits.

    Returns
    -------
    X_train, Y_train, X_val, Y_val : ndarrays, float32
        Images as [N, 785], targets one-hot as [N, 10].
    """
    X_train, Y_train, X_val, Y_val = load_full_mnist(data_dir)
    Y_train, Y_val = one_hot_encode(Y_train, NUM_CLASSES), one_hot_encode(Y_val, NUM_CLASSES)
    return pre_process_images(X_train), Y_train, pre_process_images(X_val), Y_val


def make_trainer(
    data: Data,
    *,
    l2_reg_lambda: float = L2_REG_LAMBDA,
    learning_rate: float = LEARNING_RATE,
    batch_size: int = BATCH_SIZE,
    patience: int = PATIENCE,
    seed: int = SEED,
) -> SoftmaxTrainer:
    """Make the trainer of tasks 3 and 4 with a fresh model; `seed` decides how it shuffles.

    All else is as in `BaseTrainer`, and the defaults are the assignment's.
    """
    name = f"λ = {l2_reg_lambda:.12g}"
    run = SoftmaxModel(l2_reg_lambda), learning_rate, batch_size, SHUFFLE, *data
    return SoftmaxTrainer(*run, patience=patience, rng=seed, name=name)


def draw(trainers: training.Runs) -> Figures:
    """Draw the figures of task 3, by file name."""
    trainer = trainers["task3_softmax"]
    return {
        "task3b_softmax_train_loss.png": figure_run(trainer, "loss", LOSS_LIMITS),
        "task3c_softmax_train_accuracy.png": figure_run(trainer, "accuracy", ACCURACY_LIMITS),
    }


def main(argv: list[str] | None = None) -> int:
    """Run the experiment of task 3 as the command line says; see ``--help``."""
    l2 = {"--l2": {"type": float, "default": L2_REG_LAMBDA, "help": "weight of the L2 penalty"}}
    parser = cli.Parser(__doc__, cli.TASK_OPTIONS, l2, learning_rate=LEARNING_RATE)
    args = parser.parse_args(argv)
    data, settings = load_data(args.data_dir), training.trainer_settings(args)
    trainers = {"task3_softmax": make_trainer(data, l2_reg_lambda=args.l2, **settings)}
    return training.run(trainers, args, draw, model="softmax", classes=range(NUM_CLASSES))


if __name__ == "__main__":
    cli.run(main)
