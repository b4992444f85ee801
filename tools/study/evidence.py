"""The stored evidence: tables and curves that the study writes and the report reads.

Each kind of task has a table with a row for each model, and `differences.csv` has one for each
comparison. `histories.npz` holds the curves of the continued runs.
"""

import collections
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.files import atomic_path
from tools.study.statistics import difference
from tools.study.tasks import LAMBDA_OF, PENALISED, SHUFFLED, UNPENALISED, UNSHUFFLED, Result, Task

FOLDER = Path(__file__).resolve().parent / "evidence"
# Of each kind of task but the continued runs.
TABLES = {
    "run": "runs",
    "long": "long",
    "few images": "few_images",
    "templates": "templates",
    "optimum": "optima",
}
PARTS = ("val", "held_out")
# Kinds of runs that are compared image by image: early-stopped and long ones.
RUNS = ("run", "long")
# The first columns of "differences".
PLACE = ("kind", "configuration", "reference_kind", "reference", "block", "images", "seeds")


def tables(results: Mapping[Task, Result]) -> dict[str, pd.DataFrame]:
    """Arrange the numbers of results in tables.

    Returns
    -------
    dict of str to pandas.DataFrame
        One for each of `TABLES`, in the order of configuration, block and seed, and "differences".
    """
    found = {"differences": differences(results)}
    for kind, name in TABLES.items():
        rows = [
            {"configuration": task.configuration, "block": task.block, "seed": task.seed}
            | {key: value for key, value in result.items() if np.ndim(value) == 0}
            for task, result in sorted(results.items())
            if task.kind == kind
        ]
        found[name] = pd.DataFrame(rows)
    return found


def differences(results: Mapping[Task, Result]) -> pd.DataFrame:
    """Compare each λ with λ = 0, shuffled with fixed order, and optima with λ = 0.

    Returns
    -------
    pandas.DataFrame
        Columns kind, configuration, reference_kind, reference, block, images, seeds, and those of
        `study.statistics.difference`.
    """
    models: dict[tuple, dict[int, Result]] = collections.defaultdict(dict)
    for task, result in sorted(results.items()):
        models[task.kind, task.configuration, task.block][task.seed] = result
    penalised = [model for model in models if model[0] in RUNS and model[1] in PENALISED]
    minima = [model for model in models if model[0] == "optimum"]
    pairs = [(*model, model[0], UNPENALISED) for model in penalised]
    pairs.append(("run", SHUFFLED, 0, "run", UNSHUFFLED))
    pairs += [(*model, kind, UNPENALISED) for model in minima for kind in RUNS]
    rows = []
    for kind, name, block, other_kind, other_name in pairs:
        ours, others = models[kind, name, block], models[other_kind, other_name, block]
        if kind == "optimum":
            ours = dict.fromkeys(others, ours[0])  # There is one, whatever the seed.
        # On the other blocks there are minima, but no long runs.
        for part in PARTS if others else ():
            right, right_other = (
                np.array([runs[seed][f"{part}_right"] for seed in others])
                for runs in (ours, others)
            )
            place = kind, name, other_kind, other_name, block, part, len(others)
            rows.append(dict(zip(PLACE, place, strict=True)) | difference(right, right_other))
    return pd.DataFrame(rows)


def write(results: Mapping[Task, Result], folder: Path) -> list[Path]:
    """Write the evidence, all of its files or none.

    Parameters
    ----------
    results : mapping of Task to dict
    folder : pathlib.Path

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    histories: dict[str, Any] = {}
    for task, result in sorted(results.items()):
        if task.kind == "continued":
            for name, values in result.items():
                kind = np.int32 if name == "step" else np.float32
                histories[f"{task.configuration}/{name}"] = values.astype(kind)
    paths = []
    # The files take their names when the stack closes, that is, when all are complete.
    with contextlib.ExitStack() as stack:
        for name, table in tables(results).items():
            paths.append(folder / f"{name}.csv")
            table.to_csv(stack.enter_context(atomic_path(paths[-1])), index=False)
        paths.append(folder / "histories.npz")
        np.savez_compressed(stack.enter_context(atomic_path(paths[-1])), **histories)
    return paths


def read_table(name: str, folder: Path = FOLDER) -> pd.DataFrame:
    """Read "differences" or one of `TABLES` of the stored evidence."""
    return pd.read_csv(folder / f"{name}.csv")


def means_by_lambda(name: str, folder: Path = FOLDER) -> pd.DataFrame:
    """Read the means of the softmax runs of a table, by λ.

    They are means over the seeds of the assignment's training images, or, of "few_images", over
    all training sets.
    """
    found = read_table(name, folder)
    if name != "few_images":
        found = found.query("block == 0")
    by_lambda = found.groupby(found.configuration.map(LAMBDA_OF).rename("l2_reg_lambda"))
    return by_lambda.mean(numeric_only=True)


def optima(folder: Path = FOLDER) -> pd.DataFrame:
    """Read the minima of J for the assignment's training images, by λ, from the smallest."""
    found = read_table("optima", folder).query("block == 0")
    return found.set_index("l2_reg_lambda").sort_index()


def read_histories(folder: Path = FOLDER) -> dict[str, pd.DataFrame]:
    """Read the histories of the continued runs, by configuration.

    Returns
    -------
    dict of str to pandas.DataFrame
        Columns train_loss, val_loss, train_accuracy and val_accuracy; the index is the step.
    """
    found: dict[str, dict[str, NDArray]] = {}
    with np.load(folder / "histories.npz") as archive:
        for key, values in archive.items():
            configuration, _, column = key.partition("/")
            found.setdefault(configuration, {})[column] = values
    return {name: pd.DataFrame(columns).set_index("step") for name, columns in found.items()}
