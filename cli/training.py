"""The parts of a task script: train, keep weights and figures, then talk about them."""

import argparse
import contextlib
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate
from tqdm import tqdm

import mnist
from cli import EXIT_ERROR, EXIT_INTERRUPTED, fail, finish_step_on_ctrl_c
from output.files import atomic_path
from output.numbers import cell, number, printable
from plots import Figures, add_note, house_style

from runs.training import train_all
from runs.weights import SavedWeights, save_weights
from trainer import BaseTrainer

Runs = Mapping[str, BaseTrainer]  # by the names of their weights files
Draw = Callable[[Runs], Figures]

TRAINER_SETTINGS = ("learning_rate", "batch_size", "patience", "seed")
# Tables and figures name those that are not the assignment's.
SETTINGS = ("data_dir", "digits", "epochs", *TRAINER_SETTINGS)
HOW_IT_ENDED = ("ended", "stop_step", "stop_epoch", "best_step", "best_loss")


def run(trainers: Runs, args: argparse.Namespace, draw: Draw, **model: Any) -> int:
    """Train, write weights and figures, and then talk about them: the end of a task script.

    Parameters
    ----------
    trainers : mapping of str to BaseTrainer
    args : argparse.Namespace
    draw : callable
        Makes figures, by file name, of the runs that there are.
    **model
        What `keep_weights` needs to know.

    Returns
    -------
    int
        The exit code, see `report_runs`.
    """
    with finish_step_on_ctrl_c() as interrupted:
        trained = train(trainers, args, interrupted)
        paths = keep_weights(trained, args, **model)
        paths += save_figures(draw(trained) if trained else {}, args)
    return report_runs(trainers, paths, args, interrupted)


def trainer_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Pick the settings of a trainer out of the arguments."""
    return {name: getattr(args, name) for name in TRAINER_SETTINGS}


def other_settings(args: argparse.Namespace) -> str:
    """Name the settings that are not the assignment's; an empty string if there are none."""
    found = []
    for name, value in vars(args).items():
        if name in SETTINGS and not np.array_equal(value, args.parser.get_default(name)):
            text = " and ".join(map(str, np.atleast_1d(value)))
            found.append(f"{name.replace('_', ' ')} {text}")
    return ", ".join(found)


def train(trainers: Runs, args: argparse.Namespace, interrupted: Callable[[], bool]) -> Runs:
    """Train the runs, with a progress bar each, until they end or Ctrl-C was pressed.

    Parameters
    ----------
    trainers : mapping of str to BaseTrainer
    args : argparse.Namespace
    interrupted : callable
        Tells whether Ctrl-C was pressed.

    Returns
    -------
    mapping of str to BaseTrainer
        Those for which `is_worth_keeping`, a run that diverged among them (see `report_runs`).

    Raises
    ------
    ValueError
        If figures shall be shown and there is no display.
    """
    if args.show:
        # The import replaces a backend that cannot be loaded.
        import matplotlib.pyplot as plt

        if plt.get_backend().lower() == "agg":
            raise ValueError("--show needs a program that opens windows, but there is none here")

    def after_step(bar: tqdm, trainer: BaseTrainer) -> bool:
        if trainer.stop_step % trainer.steps_per_validation == 0:
            show_progress(bar, trainer)
        return interrupted()

    with contextlib.ExitStack() as stack:
        # With a validation, this fits into the 80 columns of a terminal. None: unless it is one.
        looks = {"bar_format": "{desc}: step {n}{postfix}", "disable": args.quiet or None}
        for trainer in trainers.values():
            bar = stack.enter_context(tqdm(desc=trainer.name, **looks))
            stack.callback(show_progress, bar, trainer)
            trainer.after_step = functools.partial(after_step, bar)
        with contextlib.suppress(FloatingPointError):
            train_all(list(trainers.values()), args.epochs)
    return {name: trainer for name, trainer in trainers.items() if is_worth_keeping(trainer)}


def is_worth_keeping(trainer: BaseTrainer) -> bool:
    """Tell a run from one that has hardly begun: an older file is better."""
    return len(trainer.val_history["loss"]) > 1


def show_progress(bar: tqdm, trainer: BaseTrainer) -> None:
    """Let a bar show the step of a run and its last validation."""
    if trainer.val_history["loss"]:
        loss, accuracy = (values[max(values)] for values in trainer.val_history.values())
        left = trainer.patience - trainer.validations_since_best
        text = f"val loss {loss:.4f}, accuracy {number(accuracy, '.2%')}, {left} validations left"
        bar.set_postfix_str(text, refresh=False)
    bar.update(trainer.stop_step - bar.n)


def keep_weights(
    trained: Runs, args: argparse.Namespace, *, model: str, classes: Sequence
) -> list[Path]:
    """Write the weights of each run, with all that says how they came about; give the files.

    Parameters
    ----------
    trained : mapping of str to BaseTrainer
    args : argparse.Namespace
    model : {"logistic", "softmax"}
    classes : sequence of int
        The digit of each output; for the logistic model those of target 1 and of target 0.
    """
    is_mnist = args.data_dir.resolve() == mnist.DATA_DIR.resolve()
    for name, trainer in trained.items():
        settings = {
            "model": model,
            "classes": list(classes),
            "l2_reg_lambda": float(getattr(trainer.model, "l2_reg_lambda", 0)),
            "data": "MNIST" if is_mnist else str(args.data_dir),
            "epochs": args.epochs,
            **trainer_settings(args),
            "shuffle": trainer.shuffle_dataset,
            **{name: getattr(trainer, name) for name in HOW_IT_ENDED},
        }
        histories = trainer.train_history, trainer.val_history
        saved = SavedWeights(trainer.model.w, settings, *histories)
        save_weights(args.weights / f"{name}.npz", saved)
    return [args.weights / f"{name}.npz" for name in trained]


@house_style()
def save_figures(figures: Figures, args: argparse.Namespace) -> list[Path]:
    """Write figures by file name, each as a whole or not at all; give the files."""
    for name, figure in figures.items():
        add_note(figure, other_settings(args))
        with atomic_path(args.figures / name) as temporary:
            figure.savefig(temporary)
        if args.show:
            import matplotlib.pyplot as plt

            plt.figure(figure)
    return [args.figures / name for name in figures]


def report_runs(
    trainers: Runs, paths: list[Path], args: argparse.Namespace, interrupted: Callable[[], bool]
) -> int:
    """Print a table of the runs, the files that were written, and what went wrong.

    Returns
    -------
    int
        The exit code: 2 if a run diverged, 130 after Ctrl-C.
    """
    trained = list(filter(is_worth_keeping, trainers.values()))
    if trained and not args.quiet:
        if settings := other_settings(args):
            print(f"not the assignment's settings: {settings}")
        print(format_table(trained), *(f"wrote {path}" for path in paths), sep="\n")
        for trainer in trained:
            # All weights are zero at first, and all classes equally probable.
            start = math.log(max(2, trainer.model.w.shape[1]))
            if trainer.best_loss > start:
                problem = f"validation loss never below the {start:.4f} of the start"
                print(printable(f"note: {trainer.name}: {problem}"))
    for trainer in trainers.values():
        if trainer.error:
            fail(str(trainer.error))
            return EXIT_ERROR
    if interrupted():
        kept = "the best weights so far were kept" if trained else "there was nothing to keep yet"
        fail(f"interrupted; {kept}")
        return EXIT_INTERRUPTED
    if args.show:
        import matplotlib.pyplot as plt

        plt.show()
    return 0


def format_table(trainers: Sequence[BaseTrainer]) -> str:
    """Describe runs in a table, a column for each: five of them fit into 80 columns."""
    summaries = [trainer.summary() for trainer in trainers]
    rows = [["run", *(printable(trainer.name) for trainer in trainers)]]
    for key in summaries[0]:
        name = key.replace("_", " ")
        rows.append([name, *(printable(cell(run[key], name)) for run in summaries)])
    return tabulate(rows, tablefmt="plain", disable_numparse=True)
