"""Keeps a trained model in a file: its weights, the settings of its run, and its histories.

The file is an ``.npz`` archive of plain arrays. Nothing in it is pickled, so that opening a
stranger's file can run no code. The same run gives the same bytes.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linear import Floats
from task2a import BinaryModel
from task3a import NUM_CLASSES, SoftmaxModel
from trainer import BaseTrainer, History
from utils import atomic_path

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
    w : ndarray of shape (785, 1) or (785, 10), float32 or float64, finite
    settings : dict of plain JSON values
        "model" is "logistic" or "softmax". "classes" lists the digits: for the logistic model the
        digit of target 1, then the one of target 0; for the softmax model one digit per output.
        "data", from a command line, is "MNIST" or the folder of another data set. The rest says how
        the run was made and how it ended.
    train_history, val_history : dict
        ``{"loss": {step: float}, "accuracy": {step: float}}`` each.
    """

    w: Floats
    settings: dict[str, Any]
    train_history: History
    val_history: History


def save_weights(
    path: str | os.PathLike[str], trainer: BaseTrainer, settings: Mapping[str, object]
) -> None:
    """Write the weights, settings and histories of a run that has ended.

    Parameters
    ----------
    path : path
        The file to write, under just this name. Its folder is made if it is missing.
    trainer : BaseTrainer
        With a `BinaryModel` or a `SoftmaxModel`.
    settings : mapping of str to plain JSON values
        What the trainer does not know, such as "seed". "classes" is needed for the logistic model
        (digit of target 1, digit of target 0) and is 0 to 9 for the softmax model by default. What
        the trainer does know is taken from it, whatever is given here.

    Raises
    ------
    ValueError
        If the settings cannot be kept as JSON, or settings or weights are such that `load_weights`
        would refuse them. Nothing is written then.
    OSError
        If the file cannot be written. An older file at `path` stays as it was.
    """
    all_settings = {**settings, **trainer_settings(trainer)}
    if all_settings["model"] == "softmax":
        all_settings.setdefault("classes", list(range(NUM_CLASSES)))
    try:
        settings_json = json.dumps(all_settings, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"settings has a value that is not plain JSON: {error}") from error
    w = trainer.model.w
    check_weights(w, json.loads(settings_json))
    arrays: dict[str, NDArray] = {"w": w, "settings": np.array(settings_json)}
    for name in HISTORIES:
        part, quantity = name.split("_")
        history = getattr(trainer, f"{part}_history")[quantity]
        arrays[f"{name}_steps"] = np.array(list(history), dtype=np.int64)
        arrays[f"{name}_values"] = np.array(list(history.values()), dtype=np.float64)
    # Given a name instead of an open file, NumPy would append .npz where it is missing.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


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


def model_of(saved: SavedWeights) -> BinaryModel | SoftmaxModel:
    """Make the model that was saved.

    Parameters
    ----------
    saved : SavedWeights

    Returns
    -------
    BinaryModel or SoftmaxModel
        Its `w` is a copy.
    """
    model = fresh_model(saved.settings)
    model.w = saved.w.copy()
    return model


def trainer_settings(trainer: BaseTrainer) -> dict[str, object]:
    """Collect what a trainer knows of its settings and of its end.

    The time it took is left out, so that the same run gives the same file.

    Raises
    ------
    ValueError
        If its model is of neither kind.
    """
    match trainer.model:
        case BinaryModel():
            kind, l2_reg_lambda = "logistic", 0.0
        case SoftmaxModel(l2_reg_lambda=l2_reg_lambda):
            kind = "softmax"
        case model:
            raise ValueError(
                f"trainer has a {type(model).__name__}; expected a BinaryModel or a SoftmaxModel"
            )
    return {
        "model": kind,
        "l2_reg_lambda": float(l2_reg_lambda),
        "learning_rate": trainer.learning_rate,
        "batch_size": int(trainer.batch_size),
        "patience": int(trainer.patience),
        "shuffle": bool(trainer.shuffle_dataset),
        "ended": trainer.ended,
        "stop_step": trainer.stop_step,
        "stop_epoch": trainer.stop_epoch,
        "best_step": trainer.best_step,
        # It is infinite, which JSON lacks, if no validation took place.
        "best_loss": None if trainer.best_step is None else trainer.best_loss,
    }


def fresh_model(settings: dict[str, Any]) -> BinaryModel | SoftmaxModel:
    """Make an untrained model of the kind that the settings state.

    Raises
    ------
    ValueError
        If they state none, or a λ that cannot be.
    """
    kind, l2_reg_lambda = settings.get("model"), settings.get("l2_reg_lambda")
    if kind == "logistic":
        return BinaryModel()
    if kind != "softmax":
        raise ValueError(f"model is {kind!r}; expected 'logistic' or 'softmax'")
    if not isinstance(l2_reg_lambda, int | float):
        raise ValueError(f"l2_reg_lambda is {l2_reg_lambda!r}; expected a number")
    return SoftmaxModel(l2_reg_lambda)


def check_weights(w: NDArray, settings: dict[str, Any]) -> None:
    """Refuse weights or classes that do not fit the model.

    Raises
    ------
    ValueError
        With the name, what it was and what is expected.
    """
    shape = fresh_model(settings).w.shape
    if w.shape != shape or w.dtype.type not in (np.float32, np.float64):
        raise ValueError(
            f"w is {w.dtype} of shape {w.shape}; expected float32 or float64 of {list(shape)}"
        )
    if not np.isfinite(w).all():
        raise ValueError("w has infinite or NaN values; expected finite ones")
    classes, count = settings.get("classes"), max(2, shape[1])
    if not (
        isinstance(classes, list)
        and all(type(digit) is int and 0 <= digit < NUM_CLASSES for digit in classes)
        and len(classes) == len(set(classes)) == count
    ):
        raise ValueError(f"classes is {classes!r}; expected a list of {count} different digits")


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
    check_weights(arrays["w"], settings)
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
