"""The settings of the report: they are read from the notebook, and those that differ are named."""

import ast
import dataclasses
from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import mnist
import task2
import task3
import task4
import utils
from common.arguments import check_positive
from common.errors import InputError


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of the notebook; its names for them are in capitals. The defaults are assigned.

    Attributes
    ----------
    digits : pair of int, 0 to 9
        What the logistic model distinguishes: target 1 and target 0.
    logistic_learning_rate, softmax_learning_rate : float > 0
    batch_size, patience, epochs : int > 0
    lambdas : tuple of float >= 0
    seed : int >= 0
    data_dir : pathlib.Path
    """

    digits: tuple[int, int] = task2.DIGITS
    logistic_learning_rate: float = task2.LEARNING_RATE
    softmax_learning_rate: float = task3.LEARNING_RATE
    batch_size: int = utils.BATCH_SIZE
    patience: int = utils.PATIENCE
    epochs: int = utils.EPOCHS
    lambdas: tuple[float, ...] = tuple(task4.LAMBDAS)
    seed: int = utils.SEED
    data_dir: Path = mnist.DATA_DIR

    def changes(self) -> dict[str, Any]:
        """Give the settings that are not the assignment's, by their names in the notebook."""
        assigned = dataclasses.asdict(Settings())
        return {
            name.upper(): value
            for name, value in dataclasses.asdict(self).items()
            if value != assigned[name]
        }


def read(namespace: Mapping[str, Any]) -> Settings:
    """Read the settings from the names of the notebook, and check them.

    Parameters
    ----------
    namespace : mapping of str to object
        Such as the notebook's ``globals()``. A value may be text, as ``papermill -p`` hands it
        over.

    Raises
    ------
    InputError
        Names the setting that makes no sense.
    """
    names = [field.name for field in dataclasses.fields(Settings)]
    given = {name: parse(namespace[name.upper()]) for name in names[:-1]}
    for name in ("logistic_learning_rate", "softmax_learning_rate"):
        check_positive(name.upper(), given[name])
    for name in ("batch_size", "patience", "epochs"):
        check_positive(name.upper(), given[name], whole=True)
    digits, lambdas, seed = given["digits"], given["lambdas"], given["seed"]
    if not (
        are_numbers(digits, Integral)
        and len(digits) == len(set(digits)) == 2
        and {*digits} <= {*range(mnist.NUM_CLASSES)}
    ):
        raise InputError(f"DIGITS is {digits!r}; expected two different digits, such as (2, 3)")
    if not (are_numbers(lambdas, Real) and all(0 <= value < float("inf") for value in lambdas)):
        expected = "expected a list of non-negative numbers, such as (1, 0.1)"
        raise InputError(f"LAMBDAS is {lambdas!r}; {expected}")
    if not (is_number(seed, Integral) and seed >= 0):
        raise InputError(f"SEED is {seed!r}; expected a non-negative integer")
    given |= {"digits": tuple(digits), "lambdas": tuple(lambdas)}
    return Settings(**given, data_dir=read_directory(namespace["DATA_DIR"]))


def parse(value: Any) -> Any:
    """Read a number, list or tuple that is given as text; leave everything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


def is_number(value: Any, kind: type) -> bool:
    """Tell whether a value is a number of this kind; ``True`` is none."""
    return isinstance(value, kind) and not isinstance(value, bool)


def are_numbers(values: Any, kind: type) -> bool:
    """Tell whether values are a list or tuple of numbers of this kind."""
    return isinstance(values, list | tuple) and all(is_number(value, kind) for value in values)


def read_directory(value: Any) -> Path:
    """Read the path of a directory."""
    try:
        path = Path(value).resolve()
    except TypeError as error:
        raise InputError(f"DATA_DIR is {value!r}; expected the path of a directory") from error
    if not path.is_dir():
        raise InputError(f"DATA_DIR is {str(value)!r}; expected an existing directory")
    return path
