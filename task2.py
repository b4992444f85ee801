"""Tasks 2b to 2e: train the logistic model on digits 2 and 3, without and with shuffling."""

from pathlib import Path
from typing import Any

import numpy as np

import mnist
from common.arguments import Array, Floats, check_targets_and_outputs
from common.command_line import digit, run
from runs import script, training
from runs.figures import Figures, figure_run, figure_val_accuracies
from task2a import DIGITS, BinaryModel, cross_entropy_loss, pre_process_images
from trainer import BaseTrainer
from utils import BATCH_SIZE, PATIENCE, SEED, Data, load_binary_dataset

# The settings of task 2 besides `DIGITS` and those in `utils`.
LEARNING_RATE = 0.05
LOSS_LIMITS = (0, 0.2)  # of the figures' y axes
ACCURACY_LIMITS = (0.93, 0.99)


def accuracy(targets: Array, outputs: Floats) -> float:
    """Compute the fraction of correct predictions: 1 if ŷ >= 0.5, else 0.

    Parameters
    ----------
    targets : ndarray of shape (N, 1), values 0 or 1
    outputs : ndarray of shape (N, 1), float, values 0 to 1
    """
    check_targets_and_outputs(targets, outputs, 1)
    return float(np.mean((outputs >= 0.5) == targets))


def calculate_accuracy(X: Floats, targets: Array, model: BinaryModel) -> float:
    """Compute the fraction of the samples X [N, 785] that the model classifies correctly.

    Part of the starter code; the trainer calls `accuracy` with the outputs that it has.
    """
    return accuracy(targets, model.forward(X))


class LogisticTrainer(BaseTrainer):
    """Trains a `BinaryModel`.

    The starter code leaves `train_step` to each task. It is the same for both models, so it is
    written once, in `BaseTrainer.train_step`.
    """

    loss = staticmethod(cross_entropy_loss)
    accuracy = staticmethod(accuracy)


def load_data(digits: tuple[int, int] = DIGITS, data_dir: str | Path = mnist.DATA_DIR) -> Data:
    """Load and preprocess the images of two digits: that of target 1, and that of target 0.

    Returns
    -------
    X_train, Y_train, X_val, Y_val : ndarrays, float32
        Images as [N, 785], targets as [N, 1].
    """
    X_train, Y_train, X_val, Y_val = load_binary_dataset(*digits, data_dir)
    return (
        pre_process_images(X_train),
        Y_train.astype(np.float32),
        pre_process_images(X_val),
        Y_val.astype(np.float32),
    )


def make_trainer(
    data: Data,
    *,
    shuffle: bool,
    learning_rate: float = LEARNING_RATE,
    batch_size: int = BATCH_SIZE,
    patience: int | None = PATIENCE,
    seed: int = SEED,
) -> LogisticTrainer:
    """Make the trainer of task 2 with a fresh model; `seed` decides the order of the samples.

    The other arguments are those of `BaseTrainer`; the defaults are the assignment's.
    """
    X_train, Y_train, X_val, Y_val = data
    return LogisticTrainer(
        model=BinaryModel(),
        learning_rate=learning_rate,
        batch_size=batch_size,
        shuffle_dataset=shuffle,
        X_train=X_train,
        Y_train=Y_train,
        X_val=X_val,
        Y_val=Y_val,
        patience=patience,
        rng=seed,
        name="shuffled" if shuffle else "not shuffled",
    )


def make_trainers(data: Data, **settings: Any) -> dict[str, LogisticTrainer]:
    """Make the two trainers of task 2, without and with shuffling, as `make_trainer` does."""
    return {
        "task2_not_shuffled": make_trainer(data, shuffle=False, **settings),
        "task2_shuffled": make_trainer(data, shuffle=True, **settings),
    }


def draw(trainers: script.Trainers) -> Figures:
    """Draw the figures of task 2, by file name, of those runs that have results."""
    figures = {}
    not_shuffled = trainers.get("task2_not_shuffled")
    if not_shuffled:
        figures["task2b_binary_train_loss.png"] = figure_run(not_shuffled, "loss", LOSS_LIMITS)
        figures["task2c_binary_train_accuracy.png"] = figure_run(
            not_shuffled, "accuracy", ACCURACY_LIMITS
        )
    if len(trainers) == 2:
        figures["task2e_train_accuracy_shuffle_difference.png"] = figure_val_accuracies(
            trainers.values(), ACCURACY_LIMITS
        )
    return figures


def main(argv: list[str] | None = None) -> int:
    """Run task 2 from the command line, see ``--help``, and return the exit code."""
    parser = script.task_parser(__doc__, learning_rate=LEARNING_RATE)
    parser.add_argument(
        "--digits",
        nargs="+",
        type=digit,
        default=DIGITS,
        metavar="DIGIT",
        help="the digits of target 1 and target 0, such as --digits 4 9 (default: 2 3)",
    )
    args = parser.parse_args(argv)
    if len(args.digits) != 2 or args.digits[0] == args.digits[1]:
        given = " ".join(map(str, args.digits))
        parser.error(f"argument --digits: {given} given; expected two different digits")
    script.check_outputs(args)

    trainers = make_trainers(
        load_data(args.digits, args.data_dir),
        learning_rate=args.learning_rate,
        batch_size=args.batch_size,
        patience=args.patience,
        seed=args.seed,
    )
    with training.finish_step_on_ctrl_c() as interrupted:
        training.train_with_progress(list(trainers.values()), args.epochs, interrupted, args.quiet)
        trained = script.worth_keeping(trainers)
        paths = script.save_all_weights(trained, args, model="logistic", classes=args.digits)
        paths += script.save_figures(draw(trained), args)
    script.report_runs(trained, paths, args)
    script.show_figures(args)
    return script.exit_code(trainers, interrupted())


if __name__ == "__main__":
    run(main)
