"""Finds the course's files in a folder, before any of them runs."""

import ast
import contextlib
import json
import os
import re
import shutil
from pathlib import Path

from common.errors import InputError
from tools.check import TASKS
from tools.check.starter import Function, is_filled

# Copies that lie deeper than usual, such as old ones, count only if there is nothing else.
USUAL_DEPTH, MAX_DEPTH = 3, 6
EXPORT = "export its code to task2a.py and so on: jupyter nbconvert --to script"
REMARK_2020 = "these are files of 2020; the checks follow 2021 and later"
# Functions that use none of their arguments before they are filled in.
FUNCTIONS = ("cross_entropy_loss", "one_hot_encode", "forward", "backward")
OF_THIS_ASSIGNMENT = r"^class (Binary|Softmax)Model|^def (pre_process_images|one_hot_encode)"
MAX_LISTED = 5


def find_solution(folder: Path) -> tuple[Path, list[str]]:
    """Find the solution in a folder, or in the outermost one below it that has the files.

    Returns
    -------
    place : pathlib.Path
        The folder of its files.
    remarks : list of str
        What a grader should know about them.

    Raises
    ------
    InputError
        If there is no solution, or more than one. Says why, and where they may be.
    """
    if not folder.is_dir():
        raise InputError("is not a directory; expected one with the course's files, e.g. task2a.py")
    places = [folder]
    if not any((folder / f"{task}.py").is_file() for task in TASKS):
        places = [path.parent for path in find_files(folder, "task2a.py")]
    candidates = [place for place in places if not is_assignment_2(place)]
    near = [place for place in candidates if len(place.relative_to(folder).parts) <= USUAL_DEPTH]
    candidates = outermost(near or candidates)
    if places and not candidates:
        where = "" if places == [folder] else f", in {listing(places)}"
        raise InputError(
            f"has only files of assignment 2, whose model has neurons_per_layer{where}"
        )
    if len(candidates) > 1:
        raise InputError(f"has several solutions below it: {listing(candidates)}; name one of them")
    if not candidates:
        raise InputError(f"has none of the course's files, such as task2a.py{alternatives(folder)}")
    [place] = candidates
    remarks = [f"its files are in {place.relative_to(folder)}"] if place != folder else []
    if is_2020(place):
        remarks.append(REMARK_2020)
    if not any(count_filled(read(place / f"{task}.py")) for task in TASKS):
        remarks += [
            f"its files are unfilled, but the notebook {path.relative_to(place)} has a solution;"
            f" {EXPORT}"
            for path in find_files(place, "*.ipynb")
            if count_filled(notebook_code(path))
        ]
    return place, remarks


def find_files(folder: Path, pattern: str) -> list[Path]:
    """List the files of a name in a folder and up to six levels below, except in hidden folders."""
    found = []
    for directory, below, _ in os.walk(folder):
        path = Path(directory)
        depth = len(path.relative_to(folder).parts)
        below[:] = [
            name
            for name in sorted(below)
            if depth < MAX_DEPTH and name[0] != "." and name not in ("venv", "env", "site-packages")
        ]
        found += sorted(one for one in path.glob(pattern) if one.is_file())
    return found


def outermost(folders: list[Path]) -> list[Path]:
    """Leave out the folders that are inside another one of the list."""
    return [folder for folder in folders if not {*folder.parents} & {*folders}]


def alternatives(folder: Path) -> str:
    """Say what a folder without the course's files has instead: misnamed files, or a notebook."""
    for task in TASKS:
        if text := did_you_mean(folder, task):
            return text
    notebooks = find_files(folder, "*.ipynb")
    # First the one with the solution, if there is one.
    for path in sorted(notebooks, key=lambda path: -count_filled(notebook_code(path))):
        text = f", only the notebook {path.relative_to(folder)}"
        if count_filled(notebook_code(path)):
            return f"{text}; {EXPORT}"
        is_unfilled = find_functions(notebook_code(path))
        return text + (
            ", which is unfilled" if is_unfilled else ", which is not of this assignment"
        )
    return ""


def listing(folders: list[Path]) -> str:
    """List folders, of many the first ones."""
    more = f" and {len(folders) - MAX_LISTED} more" if len(folders) > MAX_LISTED else ""
    return ", ".join(map(str, folders[:MAX_LISTED])) + more


def did_you_mean(folder: Path, module: str) -> str:
    """Name a file whose name is similar to that of a module; empty if there is none."""
    for path in sorted(folder.glob("*.py")):
        if path.stem != module and re.sub("[^a-z0-9]", "", path.stem.lower()) == module:
            return f"; did you mean {module}.py? There is {path.name}"
    return ""


def read(path: Path) -> str:
    """Read a file of a solution; empty if it is not there."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def notebook_code(path: Path) -> str:
    """Read the code of a notebook, without the commands of IPython."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        cells = json.loads(read(path))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        return re.sub(r"^[ \t]*[%!?].*", "", "\n\n".join(sources), flags=re.MULTILINE)
    return ""


def find_functions(code: str) -> list[Function]:
    """Find the functions of this assignment in a file or notebook, filled in or not."""
    with contextlib.suppress(SyntaxError, ValueError):
        if re.search(OF_THIS_ASSIGNMENT, code, re.MULTILINE) and not has_hidden_layers(code):
            nodes = ast.walk(ast.parse(code))
            return [node for node in nodes if isinstance(node, Function) and node.name in FUNCTIONS]
    return []


def count_filled(code: str) -> int:
    """Count the functions of this assignment that are filled in."""
    return sum(is_filled(function) for function in find_functions(code))


def is_assignment_2(folder: Path) -> bool:
    """Tell whether the files are those of assignment 2, which have the same names."""
    return has_hidden_layers(read(folder / "task2a.py"))


def has_hidden_layers(code: str) -> bool:
    """Tell whether code is of assignment 2, by its model."""
    return "neurons_per_layer" in code and "class BinaryModel" not in code


def is_2020(folder: Path) -> bool:
    """Tell whether the files are those of 2020, which has functions instead of trainers."""
    trains = "\ndef train(" in read(folder / "task2.py")
    return not (folder / "trainer.py").is_file() and (trains or (folder / "task4a.py").is_file())


def copy_solution(folder: Path, target: Path) -> Path:
    """Copy a folder into another, without hidden files, environments and the data set's module.

    Links stay links. What is neither a file nor a folder, or cannot be read, is not copied.

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
