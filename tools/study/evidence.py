"""The stored evidence: tables and curves that the study writes and the report reads.

Each kind of task has a table with a row for each model, and `differences.csv` has one for each
comparison. `histories.npz` holds the curves of the continued runs. `right.npz` holds which images
are right: for each kind, configuration, block and set of images their number, the packed bits of
the first seed, and those of each seed, exclusive or those of the first.
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
TABLES = {"run": "runs", "continued": "continued", "averaged": "averaged", "optimum": "optima"}
PARTS = ("val", "held_out")
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
    """Compare what can be compared: each λ with λ = 0, shuffled with fixed order, optima with both.

    Returns
    -------
    pandas.DataFrame
        Columns kind, configuration, reference_kind, reference, block, images, seeds, and those of
        `study.statistics.difference`.
    """
    models: dict[tuple, dict[int, Result]] = collections.defaultdict(dict)
    for task, result in sorted(results.items()):
        models[task.kind, task.configuration, task.block][task.seed] = result
    penalised = [model for model in models if model[0] == "run" and model[1] in PENALISED]
    minima = [model for model in models if model[0] == "optimum"]
    pairs = [(*model, "run", UNPENALISED) for model in penalised]
    pairs.append(("run", SHUFFLED, 0, "run", UNSHUFFLED))
    pairs += [(*model, kind, UNPENALISED) for model in minima for kind in ("run", "continued")]
    rows = []
    for kind, name, block, other_kind, other_name in pairs:
        ours, others = models[kind, name, block], models[other_kind, other_name, block]
        if kind == "optimum":
            ours = dict.fromkeys(others, ours[0])  # There is one, whatever the seed.
        # On the other blocks there are minima, but no continued runs.
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
    archives: dict[str, dict[str, Any]] = {"histories": {}, "right": {}}
    histories, bits = archives.values()
    for task, result in sorted(results.items()):
        for key, values in result.items():
            what, _, name = key.partition("_")
            if what == "history":
                kind = np.int32 if name == "step" else np.float32
                histories[f"{task.configuration}/{name}"] = values.astype(kind)
            elif key in ("val_right", "held_out_right"):
                group = f"{task.kind} {task.configuration} {task.block} {key}"
                bits.setdefault(f"{group}/images", len(values))
                # Runs of one kind are right about nearly the same images: zeros take no space.
                first = bits.setdefault(f"{group}/first", np.packbits(values))
                bits[f"{group}/{task.seed}"] = np.packbits(values) ^ first
    paths = []
    # The files take their names when the stack closes, that is, when all are complete.
    with contextlib.ExitStack() as stack:
        for name, table in tables(results).items():
            paths.append(folder / f"{name}.csv")
            table.to_csv(stack.enter_context(atomic_path(paths[-1])), index=False)
        for name, arrays in archives.items():
            paths.append(folder / f"{name}.npz")
            np.savez_compressed(stack.enter_context(atomic_path(paths[-1])), **arrays)
    return paths


def read_table(name: str, folder: Path = FOLDER) -> pd.DataFrame:
    """Read "differences" or one of `TABLES` of the stored evidence."""
    return pd.read_csv(folder / f"{name}.csv")


def early_stopped(folder: Path = FOLDER) -> pd.DataFrame:
    """Read the means over the seeds of the softmax runs of the assignment, by λ."""
    runs = read_table("runs", folder).query("block == 0")
    by_lambda = runs.groupby(runs.configuration.map(LAMBDA_OF).rename("l2_reg_lambda"))
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
