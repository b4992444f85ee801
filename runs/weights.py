"""Keeps a trained model in a file: its weights, the settings of its run, and its histories.

The file is an ``.npz`` archive of plain arrays: `w`, the settings as JSON, and a row of step and
value for each entry of a history. Nothing in it is pickled, so that opening a stranger's file can
run no code. The same run gives the same bytes.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numerics.arguments import Floats
from output.files import atomic_path
from trainer import History

QUANTITIES = ("loss", "accuracy")


class SavedWeights(NamedTuple):
    """What a weights file holds.

    Attributes
    ----------
    w : ndarray of shape (D, K), float32 or float64, finite
    settings : dict of plain JSON values
        How the run was made and how it ended, see `cli.training.keep_weights`.
    train_history, val_history : dict
        ``{"loss": {step: float}, "accuracy": {step: float}}`` each.
    """

    w: Floats
    settings: dict[str, Any]
    train_history: History
    val_history: History


def save_weights(path: str | Path, saved: SavedWeights) -> None:
    """Write the weights, settings and histories of a run that has ended.

    Parameters
    ----------
    path : path
        The file to write, under just this name. Its folder is made if it is missing.
    saved : SavedWeights

    Raises
    ------
    OSError
        If the file cannot be written. An older file at `path` stays as it was.
    """
    arrays: dict[str, Any] = {"w": saved.w, "settings": json.dumps(saved.settings)}
    for part, history in (("train", saved.train_history), ("val", saved.val_history)):
        for quantity in QUANTITIES:
            rows = list(history[quantity].items())
            arrays[f"{part}_{quantity}"] = np.array(rows, dtype=np.float64).reshape(-1, 2)
    # Given a name instead of an open file, NumPy would append .npz where it is missing.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_weights(path: str | Path) -> SavedWeights:
    """Read what `save_weights` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    SavedWeights

    Raises
    ------
    OSError
        If the file is missing or cannot be read.
    ValueError
        If it is damaged or no weights file. One line, with the path and what is wrong.
    """
    with Path(path).open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                arrays = dict(archive)
            w, settings = arrays["w"], dict(json.loads(str(arrays["settings"])))
            if w.ndim != 2 or w.dtype.kind != "f" or not np.isfinite(w).all():
                raise ValueError("w is no matrix of finite numbers")
            train_history, val_history = (
                {name: history_of(arrays[f"{part}_{name}"]) for name in QUANTITIES}
                for part in ("train", "val")
            )
        # A dozen classes of exceptions, some with the advice to unpickle what NumPy does not know.
        except Exception as error:
            raise ValueError(f"{path}: is damaged, or no weights file") from error
    return SavedWeights(w, settings, train_history, val_history)


def history_of(rows: Floats) -> dict[int, float]:
    """Make one history out of an array of shape (n, 2)."""
    return {int(step): value for step, value in rows.tolist()}
