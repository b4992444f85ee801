"""Keeps a trained model in a file: its weights, the settings of its run, and its histories.

The file is an ``.npz`` archive of plain arrays. Nothing in it is pickled, so that opening a
stranger's file can run no code. The same run gives the same bytes.
"""

from __future__ import annotations

from cli.files import atomic_path

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.checks import Floats

History = dict[str, dict[int, float]]

HISTORIES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
ARRAYS = (
    "w",
    "settings",
    *(f"{name}_{axis}" for name in HISTORIES for axis in ("steps", "values")),
)


@dataclass(frozen=True, eq=False)
class SavedWeights:
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


def save_weights(
    path: str | os.PathLike[str],
    w: Floats,
    settings: Mapping[str, object],
    train_history: History,
    val_history: History,
) -> None:
    """Write the weights, settings and histories of a run that has ended.

    Parameters
    ----------
    path : path
        The file to write, under just this name. Its folder is made if it is missing.
    w, settings, train_history, val_history
        As in `SavedWeights`.

    Raises
    ------
    ValueError
        If the settings cannot be kept as JSON, or `load_weights` would refuse the weights. Nothing
        is written then.
    OSError
        If the file cannot be written. An older file at `path` stays as it was.
    """
    try:
        settings_json = json.dumps(settings, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"settings has a value that is not plain JSON: {error}") from error
    check_weights(w)
    arrays: dict[str, NDArray] = {"w": w, "settings": np.array(settings_json)}
    histories = {"train": train_history, "val": val_history}
    for name in HISTORIES:
        part, quantity = name.split("_")
        history = histories[part][quantity]
        arrays[f"{name}_steps"] = np.array(list(history), dtype=np.int64)
        arrays[f"{name}_values"] = np.array(list(history.values()), dtype=np.float64)
    # Given a name instead of an open file, NumPy would append .npz where it is missing.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def check_weights(w: NDArray) -> None:
    """Raise a ValueError unless w is a finite matrix, float32 or float64."""
    if w.ndim != 2 or w.dtype.type not in (np.float32, np.float64):
        raise ValueError(
            f"w is {w.dtype} of shape {w.shape}; expected float32 or float64 of [D, K]"
        )
    if not np.isfinite(w).all():
        raise ValueError("w has infinite or NaN values; expected finite ones")


def load_weights(path: str | os.PathLike[str]) -> SavedWeights:
    """Read what `save_weights` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    SavedWeights

    Raises
    ------
    ValueError
        If the file is missing, cannot be read, is damaged, or is no weights file. One line, with
        the path and what is wrong.
    """
    try:
        return read_archive(Path(path))
    except ValueError as error:
        problem = str(error)
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
    # zipfile and NumPy report damaged bytes with a dozen more classes of exceptions.
    except Exception as error:
        problem = f"is damaged ({str(error) or type(error).__name__})"
    raise ValueError(" ".join(f"{path}: {problem}".split()))


def read_archive(path: Path) -> SavedWeights:
    """Read and check a weights file; errors do not name the path yet."""
    # Opening a pipe would wait for a writer.
    if path.exists() and not path.is_file():
        raise ValueError("is a folder" if path.is_dir() else "is no regular file")
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            raise ValueError("is no .npz file")
        if not zipfile.is_zipfile(file):
            raise ValueError("is cut short")
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            missing = [name for name in ARRAYS if name not in archive]
            if missing:
                raise ValueError(f"lacks {', '.join(missing)}; expected a file of save_weights")
            arrays = {name: np.asarray(archive[name]) for name in ARRAYS}
    settings = read_settings(arrays["settings"])
    check_weights(arrays["w"])
    histories: dict[str, History] = {"train": {}, "val": {}}
    for name in HISTORIES:
        part, quantity = name.split("_")
        steps, values = arrays[f"{name}_steps"], arrays[f"{name}_values"]
        if not (
            (steps.dtype, values.dtype) == (np.int64, np.float64)
            and (steps.ndim, values.shape) == (1, steps.shape)
        ):
            raise ValueError(
                f"{name} has steps of {steps.dtype} {steps.shape} and values of {values.dtype}"
                f" {values.shape}; expected int64 and float64 of one length"
            )
        histories[part][quantity] = dict(zip(steps.tolist(), values.tolist(), strict=True))
    return SavedWeights(arrays["w"], settings, histories["train"], histories["val"])


def read_settings(text: NDArray) -> dict[str, Any]:
    """Read the settings from their JSON string, an array of shape ().

    Raises
    ------
    ValueError
        If it is no string or no JSON object.
    """
    if text.dtype.kind != "U" or text.shape != ():
        raise ValueError(f"settings is {text.dtype} of shape {text.shape}; expected one string")
    try:
        settings = json.loads(str(text))
    except ValueError as error:
        raise ValueError(f"settings is not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"settings is {settings!r}; expected a JSON object")
    return settings
