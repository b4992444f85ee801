"""The settings of the report: which of them are not the assignment's."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mnist
import task2
import task3
import task4
import utils

# By the names of the notebook's first cells.
ASSIGNMENT: Mapping[str, Any] = {
    "DIGITS": task2.DIGITS,
    "LOGISTIC_LEARNING_RATE": task2.LEARNING_RATE,
    "SOFTMAX_LEARNING_RATE": task3.LEARNING_RATE,
    "BATCH_SIZE": utils.BATCH_SIZE,
    "PATIENCE": utils.PATIENCE,
    "EPOCHS": utils.EPOCHS,
    "LAMBDAS": task4.LAMBDAS,
    "SEED": utils.SEED,
    "DATA_DIR": mnist.DATA_DIR,
}


def numbers(value: Any) -> tuple[float, ...]:
    """Read several numbers: as a tuple or list, or as the text that ``papermill -p`` hands over."""
    return tuple(ast.literal_eval(value) if isinstance(value, str) else value)


def others_than_assigned(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the settings that are not the assignment's.

    Parameters
    ----------
    namespace : mapping of str to object
        The names of `ASSIGNMENT` and their values, such as the ``globals()`` of the notebook.
    """
    given = {name: namespace[name] for name in ASSIGNMENT}
    given["DATA_DIR"] = Path(given["DATA_DIR"]).resolve()
    return {name: value for name, value in given.items() if value != ASSIGNMENT[name]}
