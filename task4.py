"""Tasks 4b to 4e: what an L2 penalty does to the weights and the accuracy of the softmax model."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import cli
from cli import training
from numerics.arguments import Floats
from plots import Figures, figure_norms, figure_templates, figure_val_accuracies_by_lambda
from task3 import LEARNING_RATE, SoftmaxTrainer, load_data, make_trainer
from task3a import NUM_CLASSES
from utils import Data

# What the assignment sets for task 4 besides the settings of task 3.
LAMBDAS = (1, 0.1, 0.01, 0.001)
ACCURACY_LIMITS = (0.74, 0.93)  # of the figure's y axis


def make_trainers(
    data: Data, lambdas: Sequence[float] = LAMBDAS, **settings: Any
) -> dict[str, SoftmaxTrainer]:
    """Make one trainer without a penalty and one for each λ, all from scratch.

    Settings are those of `task3.make_trainer`: all runs see the same batches in the same order. The
    trainers are sorted by λ, from 0 up: the longest runs come first.
    """
    trainers = {}
    for value in sorted({0.0, *lambdas}):
        trainers[f"task4_l2_{value:.12g}"] = make_trainer(data, l2_reg_lambda=value, **settings)
    return trainers


def squared_norm(w: Floats) -> float:
    """Compute R(w) = ‖w‖² = Σ w²ᵢⱼ over all weights, in float64."""
    return float(np.sum(np.square(w, dtype=np.float64)))


def draw(trainers: training.Runs) -> Figures:
    """Draw the figures of task 4, by file name, as far as there are runs for them."""
    runs = list(trainers.values())
    # The smallest λ and the largest, which are the same if there is a single run.
    shown = {trainer.name: trainer for trainer in (runs[0], runs[-1])}
    templates = {name: trainer.model.w for name, trainer in shown.items()}
    figures = {"task4b_softmax_weight.png": figure_templates(templates, shown.values())}
    penalised = [trainer for trainer in runs if trainer.model.l2_reg_lambda > 0]
    if penalised:
        accuracies = figure_val_accuracies_by_lambda(penalised[::-1], ACCURACY_LIMITS)
        figures["task4c_l2_reg_accuracy.png"] = accuracies
        norms = {trainer.model.l2_reg_lambda: squared_norm(trainer.model.w) for trainer in runs}
        figures["task4e_l2_reg_norms.png"] = figure_norms(norms, runs)
    return figures


def main(argv: list[str] | None = None) -> int:
    """Run the experiments of task 4 as the command line says; see ``--help``."""
    text = "weights of the L2 penalty; 0 is always among them"
    l2 = {"--l2": {"type": float, "nargs": "+", "default": LAMBDAS, "help": text}}
    parser = cli.Parser(__doc__, cli.TASK_OPTIONS, l2, learning_rate=LEARNING_RATE)
    args = parser.parse_args(argv)
    data = load_data(args.data_dir)
    trainers = make_trainers(data, args.l2, **training.trainer_settings(args))
    return training.run(trainers, args, draw, model="softmax", classes=range(NUM_CLASSES))


if __name__ == "__main__":
    cli.run(main)
