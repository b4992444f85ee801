"""What the scripts of tasks 2, 3 and 4 share: their options, and what they do after training."""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from tabulate import tabulate

import mnist
from common.command_line import (
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    Parser,
    fail,
    non_negative_int,
    positive_float,
    positive_int,
)
from common.errors import InputError
from common.files import atomic_path, check_directory
from common.numbers import format_cell, printable
from runs.figures import Figures, add_note, house_style
from runs.training import has_begun
from runs.weights import save_weights
from trainer import BaseTrainer
from utils import BATCH_SIZE, EPOCHS, PATIENCE, SEED

Trainers = Mapping[str, BaseTrainer]  # by the names of their weights files

# Tables and figures list those that differ from the assignment's.
SETTINGS = (
    "digits",
    "l2",
    "data_dir",
    "seed",
    "epochs",
    "learning_rate",
    "batch_size",
    "patience",
)


def task_parser(description: str | None, learning_rate: float) -> Parser:
    """Make a parser with the options of every task script.

    The parsed arguments hold the parser itself, too: `changed_settings` asks it for the defaults.

    Parameters
    ----------
    description : str
        What ``--help`` says first.
    learning_rate : float
        The default, which differs from task to task.
    """
    parser = Parser(description=description)
    parser.set_defaults(parser=parser)
    parser.add_argument(
        "--data-dir",
        type=lambda text: Path(text).resolve(),
        default=mnist.DATA_DIR,
        help="directory with the four IDX files (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=non_negative_int,
        default=SEED,
        help="random seed for shuffling the samples (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs",
        type=positive_int,
        default=EPOCHS,
        help="maximum number of epochs (default: %(default)s)",
    )
    parser.add_argument(
        "--learning-rate",
        type=positive_float,
        default=learning_rate,
        help="learning rate (default: %(default)s)",
    )
    parser.add_argument(
        "--batch-size",
        type=positive_int,
        default=BATCH_SIZE,
        help="samples per batch (default: %(default)s)",
    )
    parser.add_argument(
        "--patience",
        type=positive_int,
        default=PATIENCE,
        help="validations without improvement before stopping (default: %(default)s)",
    )
    parser.add_argument(
        "--figures",
        type=Path,
        default=Path("figures"),
        help="directory for the figures (default: %(default)s)",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        default=Path("weights"),
        help="directory for the weights (default: %(default)s)",
    )
    parser.add_argument("--show", action="store_true", help="also open the figures in windows")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return parser


def check_outputs(args: argparse.Namespace) -> None:
    """Check before training that the results can be saved and shown.

    Raises
    ------
    FileError
        If a directory cannot be written to.
    InputError
        If figures are to be shown, but Matplotlib cannot open windows here.
    """
    check_directory(args.figures)
    check_directory(args.weights)
    if args.show and plt.get_backend().lower() == "agg":
        raise InputError("--show needs an interactive Matplotlib backend")


def changed_settings(args: argparse.Namespace) -> str:
    """List the settings that are not the assignment's; an empty string if there are none."""
    changed = []
    for name in SETTINGS:
        value: Any = getattr(args, name, None)
        if not np.array_equal(value, args.parser.get_default(name)):
            text = " and ".join(map(str, np.atleast_1d(value)))
            changed.append(f"{name.replace('_', ' ')} {text}")
    return ", ".join(changed)


def worth_keeping(trainers: Trainers) -> Trainers:
    """Select the runs that have begun; the others would replace an older, better file."""
    return {name: trainer for name, trainer in trainers.items() if has_begun(trainer)}


def save_all_weights(
    trainers: Trainers, args: argparse.Namespace, *, model: str, classes: Sequence[int]
) -> list[Path]:
    """Write the weights of each run, with its settings and how it ended, and return the files.

    Parameters
    ----------
    trainers : mapping of str to BaseTrainer
    args : argparse.Namespace
    model : {"logistic", "softmax"}
    classes : sequence of int
        The digit of each output; for the logistic model those of target 1 and of target 0.
    """
    paths = []
    for name, trainer in trainers.items():
        settings = {
            "model": model,
            "classes": list(classes),
            "l2_reg_lambda": float(getattr(trainer.model, "l2_reg_lambda", 0)),
            "data": "MNIST" if args.data_dir == mnist.DATA_DIR else str(args.data_dir),
            "epochs": args.epochs,
            "learning_rate": args.learning_rate,
            "batch_size": args.batch_size,
            "patience": args.patience,
            "seed": args.seed,
            "shuffle": trainer.shuffle_dataset,
            "ended": trainer.ended,
            "stop_step": trainer.stop_step,
            "stop_epoch": trainer.stop_epoch,
            "best_step": trainer.best_step,
            "best_loss": trainer.best_loss,
        }
        path = args.weights / f"{name}.npz"
        save_weights(
            path,
            w=trainer.model.w,
            settings=settings,
            train_history=trainer.train_history,
            val_history=trainer.val_history,
        )
        paths.append(path)
    return paths


@house_style()
def save_figures(figures: Figures, args: argparse.Namespace) -> list[Path]:
    """Write figures by file name, each completely or not at all, and return the files."""
    paths = []
    for name, figure in figures.items():
        add_note(figure, changed_settings(args))
        path = args.figures / name
        with atomic_path(path) as temporary:
            figure.savefig(temporary)
        if args.show:
            plt.figure(figure)
        paths.append(path)
    return paths


def report_runs(trainers: Trainers, paths: Sequence[Path], args: argparse.Namespace) -> None:
    """Print a table of the runs, the files that were written, and what is odd about the runs."""
    if not trainers or args.quiet:
        return
    if settings := changed_settings(args):
        print(f"not the assignment's settings: {settings}")
    print(format_table(list(trainers.values())))
    for path in paths:
        print(f"wrote {path}")
    for trainer in trainers.values():
        # All weights are zero at first, so all classes are equally probable.
        initial_loss = math.log(max(2, trainer.model.w.shape[1]))
        if trainer.best_loss > initial_loss:
            problem = f"the validation loss never fell below its initial value, {initial_loss:.4f}"
            print(printable(f"note: {trainer.name}: {problem}"))


def format_table(trainers: Sequence[BaseTrainer]) -> str:
    """Describe runs in a table with a column for each: five of them fit into 80 columns."""
    summaries = [trainer.summary() for trainer in trainers]
    rows = [["run", *(printable(trainer.name) for trainer in trainers)]]
    for key in summaries[0]:
        name = key.replace("_", " ")
        rows.append([name, *(printable(format_cell(run[key], name)) for run in summaries)])
    return tabulate(rows, tablefmt="plain", disable_numparse=True)


def show_figures(args: argparse.Namespace) -> None:
    """Open the figures in windows, if this was asked for, and wait until they are closed."""
    if args.show:
        plt.show()


def exit_code(trainers: Trainers, interrupted: bool) -> int:
    """Print what went wrong, if anything did, and return the exit code of the script.

    Returns
    -------
    int
        2 if a run diverged, 130 after Ctrl-C, otherwise 0.
    """
    for trainer in trainers.values():
        if trainer.error:
            fail(str(trainer.error))
            return EXIT_ERROR
    if interrupted:
        if any(map(has_begun, trainers.values())):
            fail("interrupted; the best weights so far were kept")
        else:
            fail("interrupted; there was nothing to keep yet")
        return EXIT_INTERRUPTED
    return 0
