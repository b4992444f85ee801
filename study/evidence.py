"""The stored evidence: tables and curves that the study writes and the report reads.

`runs.csv`, `averaged.csv`, `optima.csv` have a row for each model, `differences.csv` one for each
comparison; `continued.npz` holds histories, `right.npz` which validation images are right.
"""

from __future__ import annotations

import cli

import collections
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.runs import NUM_BLOCKS, PENALISED, SHUFFLED, UNPENALISED, UNSHUFFLED, Result, Task
from study.statistics import difference

FOLDER = Path(__file__).resolve().parent / "evidence"
KINDS = {"run": "runs", "averaged": "averaged", "optimum": "optima"}
PARTS = ("val", "held_out")


def tables(results: Mapping[Task, Result]) -> dict[str, pd.DataFrame]:
    """Arrange the numbers of results in tables.

    Returns
    -------
    dict of str to pandas.DataFrame
        "runs", "averaged" and "optima", in the order of configuration, block and seed, and
        "differences".
    """
    found = {"differences": differences(results)}
    for kind, name in KINDS.items():
        rows = [
            {"configuration": task.configuration, "block": task.block, "seed": task.seed}
            | {key: value for key, value in result.items() if np.ndim(value) == 0}
            for task, result in results.items()
            if task.kind == kind
        ]
        table = pd.DataFrame(rows)
        order = ["configuration", "block", "seed"]
        found[name] = table.sort_values(order, ignore_index=True) if rows else table
    found["optima"] = found["optima"].drop(columns=["block", "seed"], errors="ignore")
    return found


def differences(results: Mapping[Task, Result]) -> pd.DataFrame:
    """Compare what can be compared: each λ with λ = 0, shuffled with fixed order, optima with runs.

    Returns
    -------
    pandas.DataFrame
        Columns kind, configuration, reference, block, images, seeds, and those of
        `study.statistics.Difference`, as fractions of all images.
    """
    runs: dict[tuple, dict[int, Result]] = collections.defaultdict(dict)
    for task, result in results.items():
        runs[task.kind, task.configuration, task.block][task.seed] = result
    comparisons = [("run", name, UNPENALISED, b) for name in PENALISED for b in range(NUM_BLOCKS)]
    comparisons.append(("run", SHUFFLED, UNSHUFFLED, 0))
    optima = sorted({task.configuration for task in results if task.kind == "optimum"})
    comparisons += [("optimum", name, UNPENALISED, 0) for name in optima]
    rows = []
    for kind, name, reference, block in comparisons:
        ours, others = runs[kind, name, block], runs["run", reference, block]
        if kind == "optimum":
            ours = dict.fromkeys(others, ours[0])  # There is one, whatever the seed.
        seeds = sorted(ours.keys() & others.keys())
        if len(seeds) < 2:
            continue
        for part in PARTS:
            right, right_other = (
                np.array([of_seed[seed][f"{part}_right"] for seed in seeds])
                for of_seed in (ours, others)
            )
            place = {"kind": kind, "configuration": name, "reference": reference, "block": block}
            found = difference(right, right_other)._asdict()
            rows.append({**place, "images": part, "seeds": len(seeds), **found})
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
    continued: dict[str, Any] = {}
    bits: dict[str, Any] = {}
    for task, result in sorted(results.items()):
        if task.kind == "continued":
            for key, values in result.items():
                kind = np.int32 if key == "step" else np.float32
                continued[f"{task.configuration}/{key}"] = np.asarray(values, kind)
        elif task.kind == "run" and task.block == 0:
            bits[f"{task.configuration}/images"] = len(result["val_right"])
            bits[f"{task.configuration}/{task.seed}"] = np.packbits(result["val_right"])
    paths = []
    # The files take their names when the stack closes, that is, when all are complete.
    with contextlib.ExitStack() as stack:
        for name, table in tables(results).items():
            paths.append(folder / f"{name}.csv")
            table.to_csv(stack.enter_context(cli.atomic_path(paths[-1])), index=False)
        for name, arrays in (("continued", continued), ("right", bits)):
            paths.append(folder / f"{name}.npz")
            np.savez_compressed(stack.enter_context(cli.atomic_path(paths[-1])), **arrays)
    return paths


def read_table(name: str, folder: Path = FOLDER) -> pd.DataFrame:
    """Read "runs", "averaged", "optima" or "differences" of the stored evidence."""
    return pd.read_csv(folder / f"{name}.csv")


def read_arrays(path: Path) -> dict[str, dict[str, NDArray]]:
    """Read an archive whose arrays are named ``configuration/name``."""
    found: dict[str, dict[str, NDArray]] = {}
    with np.load(path) as archive:
        for key, values in archive.items():
            configuration, _, name = key.partition("/")
            found.setdefault(configuration, {})[name] = values
    return found


def read_continued(folder: Path = FOLDER) -> dict[str, pd.DataFrame]:
    """Read the histories of the continued runs, by configuration.

    Returns
    -------
    dict of str to pandas.DataFrame
        Columns train_loss, val_loss, train_accuracy and val_accuracy; the index is the step.
    """
    found = read_arrays(folder / "continued.npz")
    return {name: pd.DataFrame(columns).set_index("step") for name, columns in found.items()}


def read_right(folder: Path = FOLDER) -> dict[str, dict[int, NDArray[np.bool_]]]:
    """Read which of the validation images each early-stopped run of block 0 has right.

    Returns
    -------
    dict of str to dict of int to ndarray of shape (images,), bool
        By configuration and seed.
    """
    found = {}
    for configuration, bits in read_arrays(folder / "right.npz").items():
        count = int(bits.pop("images"))
        found[configuration] = {
            int(seed): np.unpackbits(packed, count=count).astype(bool)
            for seed, packed in bits.items()
        }
    return found
