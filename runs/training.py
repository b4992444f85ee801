"""Trains independent runs side by side, shows their progress, and stops them on Ctrl-C."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from common.numbers import number
from trainer import BaseTrainer, DivergenceError


def train_all(trainers: Sequence[BaseTrainer], num_epochs: int) -> None:
    """Train runs that do not depend on each other, in threads of one BLAS thread each.

    Parameters
    ----------
    trainers : sequence of BaseTrainer
        They begin in this order, so put the longest first. A single one gets all BLAS threads.
    num_epochs : int > 0

    Raises
    ------
    DivergenceError
        If a run diverges; the others are finished first.
    """
    if len(trainers) == 1:
        trainers[0].train(num_epochs)
        return
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as threads:
        try:
            runs = [threads.submit(trainer.train, num_epochs) for trainer in trainers]
            # On Windows, Ctrl-C does not interrupt a wait without a timeout.
            while wait(runs, timeout=0.1).not_done:
                pass
        except BaseException:
            # Only this thread gets Ctrl-C: tell the others to stop after their step.
            threads.shutdown(wait=False, cancel_futures=True)
            for trainer in trainers:
                trainer.after_step = lambda _: True
            raise
    for run in runs:
        run.result()


def train_with_progress(
    trainers: Sequence[BaseTrainer],
    num_epochs: int,
    interrupted: Callable[[], bool],
    quiet: bool = False,
) -> None:
    """Train runs as `train_all` does, with a progress line for each, until Ctrl-C is pressed.

    A run that diverges raises nothing: it is left with its error, see `BaseTrainer`.

    Parameters
    ----------
    trainers : sequence of BaseTrainer
        Their `after_step` is replaced. Runs that have not begun when Ctrl-C is pressed make a
        single step.
    num_epochs : int > 0
    interrupted : callable
        Tells whether Ctrl-C was pressed, see `finish_step_on_ctrl_c`.
    quiet : bool, default=False
        Whether to show no progress; it is shown only if standard error is a terminal.
    """
    progress_lines = []
    for trainer in trainers:
        line = tqdm(
            desc=trainer.name,
            bar_format="{desc}: step {n}{postfix}",
            disable=quiet or None,  # None: unless standard error is a terminal.
        )
        progress_lines.append(line)
        trainer.after_step = make_after_step(line, interrupted)
    try:
        with contextlib.suppress(DivergenceError):
            train_all(trainers, num_epochs)
    finally:
        # tqdm prints lines in the order in which they are closed.
        for trainer, line in zip(trainers, progress_lines, strict=True):
            if not interrupted() or has_begun(trainer):
                show_progress(line, trainer)
            line.close()


def make_after_step(line: tqdm, interrupted: Callable[[], bool]) -> Callable[[BaseTrainer], bool]:
    """Make a trainer's `after_step`, which shows its progress and tells whether to stop."""

    def after_step(trainer: BaseTrainer) -> bool:
        if trainer.stop_step % trainer.steps_per_validation == 0 and not interrupted():
            show_progress(line, trainer)
        return interrupted()

    return after_step


def has_begun(trainer: BaseTrainer) -> bool:
    """Tell whether a run got beyond its first validation, so that its weights are worth keeping."""
    return len(trainer.val_history["loss"]) > 1


def show_progress(line: tqdm, trainer: BaseTrainer) -> None:
    """Show the step of a run and its last recorded validation, in 80 columns."""
    if trainer.val_history["loss"]:
        step, loss = list(trainer.val_history["loss"].items())[-1]
        accuracy = number(trainer.val_history["accuracy"][step], ".2%")
        text = f"val loss {loss:.4f}, accuracy {accuracy}"
        if trainer.patience is not None:
            text += f", patience {trainer.validations_since_best}/{trainer.patience}"
        line.set_postfix_str(text, refresh=False)
    line.update(trainer.stop_step - line.n)


@contextlib.contextmanager
def finish_step_on_ctrl_c() -> Iterator[Callable[[], bool]]:
    """Record the first Ctrl-C, so that the current step can finish; a second one raises.

    Yields
    ------
    callable
        Tells whether Ctrl-C was pressed.
    """
    pressed = threading.Event()
    usual = signal.getsignal(signal.SIGINT)

    def first_ctrl_c(signal_number: int, frame: object) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, usual)

    # A command that was started with Ctrl-C ignored, for instance by `nohup`, goes on ignoring it.
    if usual is signal.default_int_handler:
        signal.signal(signal.SIGINT, first_ctrl_c)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, usual)
