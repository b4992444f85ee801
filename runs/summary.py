"""Describes a run that has ended, by the weights that were kept."""

import math
from typing import Any

from trainer import BaseTrainer


def summary(trainer: BaseTrainer) -> dict[str, Any]:
    """Describe a run by the weights that were kept.

    Parameters
    ----------
    trainer : BaseTrainer
        After its run, with at least one validation.

    Returns
    -------
    dict
        "ended", "stop_step", "stop_epoch", "best_step", "val_loss", "train_accuracy",
        "val_accuracy", "seconds"; and "train_loss", the mean loss of the batches since the
        validation before the best one.

    Raises
    ------
    ValueError
        If the run had no validation.
    """
    if trainer.best_step is None:
        raise ValueError(f"the run {trainer.name!r} had no validation; expected at least one")
    first = max(0, trainer.best_step - trainer.steps_per_validation + 1)
    batch_losses = [trainer.train_history["loss"][i] for i in range(first, trainer.best_step + 1)]
    return {
        "ended": trainer.ended,
        "stop_step": trainer.stop_step,
        "stop_epoch": trainer.stop_epoch,
        "best_step": trainer.best_step,
        "train_loss": sum(batch_losses) / len(batch_losses),
        "val_loss": trainer.best_loss,
        "train_accuracy": trainer.train_history["accuracy"].get(trainer.best_step, math.nan),
        "val_accuracy": trainer.val_history["accuracy"][trainer.best_step],
        "seconds": trainer.seconds,
    }
