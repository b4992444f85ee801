"""Tasks 4b to 4e: train the softmax model with different weights of the L2 penalty."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import mnist
from common.arguments import Floats
from common.command_line import non_negative_float, run
from runs import script, training
from runs.figures import Figures, figure_norms, figure_templates, figure_val_accuracies_by_lambda
from task3 import LEARNING_RATE, SoftmaxTrainer, load_data, make_trainer
from utils import Data

# The settings of task 4 besides those of task 3.
LAMBDAS = (1, 0.1, 0.01, 0.001)
ACCURACY_LIMITS = (0.74, 0.93)  # of the figure's y axis


def make_trainers(
    data: Data, lambdas: Sequence[float] = LAMBDAS, **settings: Any
) -> dict[str, SoftmaxTrainer]:
    """Make one trainer without a penalty and one for each λ, all from scratch.

    The settings are those of `task3.make_trainer`; all runs see the same batches in the same order.
    The trainers are sorted by λ, so that the longest runs come first.
    """
    trainers = {}
    for value in sorted({0.0, *lambdas}):
        trainers[f"task4_l2_{value:.12g}"] = make_trainer(data, l2_reg_lambda=value, **settings)
    return trainers


def squared_norm(w: Floats) -> float:
    """Compute R(w) = ‖w‖² = Σ w²ᵢⱼ over all weights, in float64."""
    return float(np.sum(np.square(w, dtype=np.float64)))


def draw(trainers: script.Trainers) -> Figures:
    """Draw the figures of task 4, by file name, of those runs that have results."""
    runs = list(trainers.values())
    figures: dict[str, Any] = {}
    if not runs:
        return figures
    # The smallest λ and the largest, which are the same if there is a single run.
    first_and_last = {trainer.name: trainer for trainer in (runs[0], runs[-1])}
    figures["task4b_softmax_weight.png"] = figure_templates(
        {name: trainer.model.w for name, trainer in first_and_last.items()},
        first_and_last.values(),
    )
    penalised = [trainer for trainer in runs if trainer.model.l2_reg_lambda > 0]
    if penalised:
        figures["task4c_l2_reg_accuracy.png"] = figure_val_accuracies_by_lambda(
            penalised[::-1],
            ACCURACY_LIMITS,  # in the assignment's order, from the largest λ
        )
        norms = {trainer.model.l2_reg_lambda: squared_norm(trainer.model.w) for trainer in runs}
        figures["task4e_l2_reg_norms.png"] = figure_norms(norms, runs)
    return figures


def main(argv: list[str] | None = None) -> int:
    """Run task 4 from the command line, see ``--help``, and return the exit code."""
    parser = script.task_parser(__doc__, learning_rate=LEARNING_RATE)
    parser.add_argument(
        "--l2",
        type=non_negative_float,
        nargs="+",
        default=LAMBDAS,
        metavar="LAMBDA",
        help="weights of the L2 penalty; 0 is always added (default: 1 0.1 0.01 0.001)",
    )
    args = parser.parse_args(argv)
    script.check_outputs(args)

    trainers = make_trainers(
        load_data(args.data_dir),
        args.l2,
        learning_rate=args.learning_rate,
        batch_size=args.batch_size,
        patience=args.patience,
        seed=args.seed,
    )
    with training.finish_step_on_ctrl_c() as interrupted:
        training.train_with_progress(list(trainers.values()), args.epochs, interrupted, args.quiet)
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
