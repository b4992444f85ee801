"""Trains independent runs at the same time."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from threadpoolctl import threadpool_limits


def train_all(trainers: Sequence[Any], num_epochs: int) -> None:
    """Train runs that do not depend on each other, in threads of one BLAS thread each.

    Parameters
    ----------
    trainers : sequence of BaseTrainer
        They begin in this order, so put the longest first. A single one gets all BLAS threads.
    num_epochs : int > 0

    Raises
    ------
    FloatingPointError
        If a run diverges; the others go on to their end first.
    """
    if len(trainers) == 1:
        trainers[0].train(num_epochs)
        return
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as threads:
        try:
            runs = [threads.submit(trainer.train, num_epochs) for trainer in trainers]
            wait(runs)
        except BaseException:
            # Ctrl-C reaches this thread only. The others end after their step.
            for trainer in trainers:
                trainer.after_step = lambda _: True
            raise
    for run in runs:
        run.result()
