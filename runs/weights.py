"""Keeps a trained model in a file: its weights, the settings of its run, and its histories.

The file is an ``.npz`` archive of plain arrays: `w`, the settings as JSON, and a row of step and
value for each entry of a history. Nothing in it is pickled, so loading a stranger's file cannot run
code. The same run gives the same bytes.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.arguments import Floats
from common.errors import InputError, file_errors
from common.files import atomic_path
from trainer import History


class SavedWeights(NamedTuple):
    """What `load_weights` reads.

    Attributes
    ----------
    w : ndarray of shape (D, K), float32 or float64, finite
    settings : dict of plain JSON values
        How the run was made and how it ended, see `runs.script.save_all_weights`.
    """

    w: Floats
    settings: dict[str, Any]


def save_weights(
    path: str | Path,
    w: Floats,
    settings: dict[str, Any],
    train_history: History,
    val_history: History,
) -> None:
    """Write the weights, settings and histories of a finished run.

    Parameters
    ----------
    path : path
        The file to write, under exactly this name. Its directory is created if it is missing.
    w : ndarray of shape (D, K), float32 or float64
    settings : dict of plain JSON values
    train_history, val_history : dict
        ``{"loss": {step: float}, "accuracy": {step: float}}`` each.

    Raises
    ------
    FileError
        If the file cannot be written. An older file at `path` stays as it was.
    """
    arrays: dict[str, Any] = {"w": w, "settings": json.dumps(settings)}
    for part, history in (("train", train_history), ("val", val_history)):
        for quantity, values in history.items():
            rows = np.array(list(values.items()), dtype=np.float64)
            arrays[f"{part}_{quantity}"] = rows.reshape(-1, 2)
    # Given a name instead of an open file, NumPy would append .npz where it is missing.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_weights(path: str | Path) -> SavedWeights:
    """Read the weights and settings that `save_weights` wrote.

    Raises
    ------
    FileError
        If the file is missing or cannot be read.
    InputError
        If it is damaged or not a weights file.
    """
    # Opening a pipe would wait for a writer.
    if Path(path).exists() and not (Path(path).is_file() or Path(path).is_dir()):
        raise InputError(f"{path}: is not a regular file")
    with file_errors(path), Path(path).open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                w = archive["w"]
                settings = dict(json.loads(str(archive["settings"])))
        # A dozen classes of exceptions, some with the advice to unpickle what NumPy does not know.
        except Exception as error:
            raise InputError(f"{path}: is damaged, or not a weights file") from error
    if w.ndim != 2 or w.dtype.kind != "f" or not np.isfinite(w).all():
        raise InputError(f"{path}: is damaged, or not a weights file")
    return SavedWeights(w, settings)
