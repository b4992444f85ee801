"""What is in a folder before anything of it runs: the course's files, others, or none."""

import contextlib
import re
import shutil
from pathlib import Path

from common.errors import InputError
from tools.check import TASKS

REMARK_2020 = "these are files of 2020; the checks follow 2021 and later"


def look_into(folder: Path) -> tuple[Path, list[str]]:
    """Find the solution in a folder, or in one that is up to three levels below.

    Returns
    -------
    place : pathlib.Path
        The folder of its files.
    remarks : list of str
        What is special about them.

    Raises
    ------
    ValueError
        If they cannot be checked. Says why, and where they may be.
    """
    if not folder.is_dir():
        raise InputError("is no folder; expected one with the course's files, such as task2a.py")
    places = [folder]
    if not any((folder / f"{task}.py").is_file() for task in TASKS):
        below = [path.parent for path in files_below(folder, "task2a.py")]
        places = [place for place in below if not is_assignment_2(place)] or below
    if len(places) != 1:
        found = whereabouts(folder, places)
        raise InputError(f"has none of the course's files, such as task2a.py{found}")
    [place] = places
    if is_assignment_2(place):
        raise InputError(f"{place} has files of assignment 2: the model takes neurons_per_layer")
    remarks = [f"its files are in {place.relative_to(folder)}"] if place != folder else []
    if is_2020(place):
        remarks.append(REMARK_2020)
    return place, remarks


def files_below(folder: Path, name: str) -> list[Path]:
    """List the files of a name in a folder and up to three levels below, not the hidden ones."""
    paths = [path for depth in range(4) for path in folder.glob("[!.]*/" * depth + name)]
    return sorted(paths)


def whereabouts(folder: Path, places: list[Path]) -> str:
    """Say where the files may be, or what they may be called."""
    if places:
        return f"; {', '.join(map(str, places))} have"
    misnamed = [text for task in TASKS if (text := did_you_mean(folder, task))]
    notebooks = [
        f", only the notebook {path.relative_to(folder)}; write its code to files, task2a.py, ...:"
        " jupyter nbconvert --to script"
        for path in files_below(folder, "*.ipynb")
    ]
    return next(iter(misnamed + notebooks), "")


def did_you_mean(folder: Path, module: str) -> str:
    """Name a file that is nearly called like a module; empty if none is."""
    for path in sorted(folder.glob("*.py")):
        if path.stem != module and re.sub("[^a-z0-9]", "", path.stem.lower()) == module:
            return f"; did you mean {module}.py? There is {path.name}"
    return ""


def source(path: Path) -> str:
    """Read a file of a solution; empty if it is not there."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def is_assignment_2(folder: Path) -> bool:
    """Tell whether the files are those of assignment 2, which has the same names."""
    text = source(folder / "task2a.py")
    return "neurons_per_layer" in text and "class BinaryModel" not in text


def is_2020(folder: Path) -> bool:
    """Tell whether the files are those of 2020, which has functions in the place of trainers."""
    trains = "\ndef train(" in source(folder / "task2.py")
    return not (folder / "trainer.py").is_file() and (trains or (folder / "task4a.py").is_file())


def copy_solution(folder: Path, target: Path) -> Path:
    """Copy a folder into another, without what is hidden, environments and the data set's module.

    Links stay links; what is neither a file nor a folder, or cannot be read, stays behind.

    Returns
    -------
    pathlib.Path
        The copy, of the same name.
    """
    left_out = shutil.ignore_patterns(".*", "__pycache__", "venv", "env", "mnist.py")
    copy = target / folder.resolve().name
    # It is raised at the end, for pipes and what may not be read.
    with contextlib.suppress(shutil.Error):
        shutil.copytree(folder, copy, symlinks=True, ignore=left_out)
    return copy
