"""The softmax run of this project, as `task3.py` makes it."""

from numpy.typing import NDArray

import task3
from benchmarks.work import Run, Settings, numpy_kernel
from utils import Data


def run(data: Data, settings: Settings) -> tuple[NDArray, Run]:
    """Make the run and return its best weights, and what was measured."""
    trainer = task3.make_trainer(
        data,
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        patience=settings.patience,
        seed=settings.seed,
    )
    _, val_history = trainer.train(settings.num_epochs)
    measured = Run(
        seconds=trainer.seconds,
        stop_step=trainer.stop_step,
        best_loss=trainer.best_loss,
        last_loss=list(val_history["loss"].values())[-1],
        accuracy=val_history["accuracy"][trainer.best_step],
        kernel=numpy_kernel(),
    )
    return trainer.model.w, measured
