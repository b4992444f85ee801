"""Tasks 3b to 3d: train the softmax model on all ten digits."""

from pathlib import Path

import numpy as np

import mnist
from common.arguments import Array, Floats, check_targets_and_outputs
from common.command_line import non_negative_float, run
from runs import script, training
from runs.figures import Figures, figure_run
from task2a import pre_process_images
from task3a import SoftmaxModel, cross_entropy_loss, one_hot_encode
from trainer import BaseTrainer
from utils import BATCH_SIZE, PATIENCE, SEED, Data, load_full_mnist

# The settings of task 3 besides those in `utils`.
LEARNING_RATE = 0.01
SHUFFLE = True
L2_REG_LAMBDA = 0.0
LOSS_LIMITS = (0.2, 0.6)  # of the figures' y axes
ACCURACY_LIMITS = (0.89, 0.93)


def accuracy(targets: Array, outputs: Floats) -> float:
    """Compute the fraction of samples whose largest output is that of their class.

    Parameters
    ----------
    targets : ndarray of shape (N, K), one-hot
    outputs : ndarray of shape (N, K), float
    """
    check_targets_and_outputs(targets, outputs)
    # Of several largest outputs the first one counts, as for `numpy.argmax`, which takes ten times
    # as long over a short last axis.
    is_max = outputs == outputs.max(axis=-1, keepdims=True)
    if np.count_nonzero(is_max) > len(outputs):
        is_max &= np.cumsum(is_max, axis=-1) == 1
    return float(np.count_nonzero(is_max & (targets == 1)) / len(targets))


def calculate_accuracy(X: Floats, targets: Array, model: SoftmaxModel) -> float:
    """Compute the fraction of the samples X [N, 785] that the model classifies correctly.

    Part of the starter code; the trainer calls `accuracy` with the outputs that it has.
    """
    return accuracy(targets, model.forward(X))


class SoftmaxTrainer(BaseTrainer):
    """Trains a `SoftmaxModel`, with the `train_step` that it shares with task 2 (`BaseTrainer`)."""

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
    return (
        pre_process_images(X_train),
        one_hot_encode(Y_train, mnist.NUM_CLASSES),
        pre_process_images(X_val),
        one_hot_encode(Y_val, mnist.NUM_CLASSES),
    )


def make_trainer(
    data: Data,
    *,
    l2_reg_lambda: float = L2_REG_LAMBDA,
    learning_rate: float = LEARNING_RATE,
    batch_size: int = BATCH_SIZE,
    patience: int | None = PATIENCE,
    seed: int = SEED,
) -> SoftmaxTrainer:
    """Make the trainer of tasks 3 and 4 with a fresh model; `seed` decides how it shuffles.

    The other arguments are those of `BaseTrainer`; the defaults are the assignment's.
    """
    X_train, Y_train, X_val, Y_val = data
    return SoftmaxTrainer(
        model=SoftmaxModel(l2_reg_lambda),
        learning_rate=learning_rate,
        batch_size=batch_size,
        shuffle_dataset=SHUFFLE,
        X_train=X_train,
        Y_train=Y_train,
        X_val=X_val,
        Y_val=Y_val,
        patience=patience,
        rng=seed,
        name=f"λ = {l2_reg_lambda:.12g}",
    )


def draw(trainers: script.Trainers) -> Figures:
    """Draw the figures of task 3, by file name; none if the run has no results."""
    trainer = trainers.get("task3_softmax")
    if trainer is None:
        return {}
    return {
        "task3b_softmax_train_loss.png": figure_run(trainer, "loss", LOSS_LIMITS),
        "task3c_softmax_train_accuracy.png": figure_run(trainer, "accuracy", ACCURACY_LIMITS),
    }


def main(argv: list[str] | None = None) -> int:
    """Run task 3 from the command line, see ``--help``, and return the exit code."""
    parser = script.task_parser(__doc__, learning_rate=LEARNING_RATE)
    parser.add_argument(
        "--l2",
        type=non_negative_float,
        default=L2_REG_LAMBDA,
        metavar="LAMBDA",
        help="weight of the L2 penalty (default: %(default)s)",
    )
    args = parser.parse_args(argv)
    script.check_outputs(args)

    trainer = make_trainer(
        load_data(args.data_dir),
        l2_reg_lambda=args.l2,
        learning_rate=args.learning_rate,
        batch_size=args.batch_size,
        patience=args.patience,
        seed=args.seed,
    )
    trainers = {"task3_softmax": trainer}
    with training.finish_step_on_ctrl_c() as interrupted:
        training.train_with_progress([trainer], args.epochs, interrupted, args.quiet)
        trained = script.worth_keeping(trainers)
        paths = script.save_all_weights(
            trained, args, model="softmax", classes=range(mnist.NUM_CLASSES)
        )
        paths += script.save_figures(draw(trained), args)
    script.report_runs(trained, paths, args)
    script.show_figures(args)
    return script.exit_code(trainers, interrupted())


if __name__ == "__main__":
    run(main)
