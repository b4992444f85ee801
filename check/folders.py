"""What is in a folder before anything of it runs: the course's files, others, or none."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from check import COURSE_MODULES, TASKS

DEPTH = 3
REMARK_2020 = (
    "these are files of the edition of 2020; the checks follow 2021 and later, and what the text of"
    " 2020 asks otherwise is advice"
)


class Found(NamedTuple):
    """Where the files of a solution are, why they cannot be checked, and what to know of them."""

    place: Path
    problem: str = ""
    remarks: tuple[str, ...] = ()


def look_into(folder: Path) -> Found:
    """Find the solution in a folder, or in one that is up to three levels below."""
    if not folder.is_dir():
        return Found(
            folder, "is no folder; expected one with the course's files, such as task2a.py"
        )
    places = [folder]
    if not any((folder / f"{task}.py").is_file() for task in TASKS):
        below = {path.parent for path in files_below(folder, "task2a.py")}
        places = sorted(place for place in below if not is_assignment_2(place)) or sorted(below)
    if not places and any((folder / f"{module}.py").is_file() for module in COURSE_MODULES):
        places = [folder]
    if len(places) != 1:
        return Found(
            folder,
            "has none of the course's files, such as task2a.py" + whereabouts(folder, places),
        )
    [place] = places
    if is_assignment_2(place):
        problem = (
            "these are files of assignment 2: the model of its task2a.py takes neurons_per_layer;"
            " expected are those of assignment 1"
        )
        return Found(place, f"{place}: {problem}" if place != folder else problem)
    remarks = [f"its files are in {place.relative_to(folder)}"] if place != folder else []
    return Found(place, "", (*remarks, *([REMARK_2020] if is_2020(place) else [])))


def files_below(folder: Path, name: str) -> list[Path]:
    """List the files of a name that are up to three levels below a folder, not the hidden ones."""
    paths = [path for depth in range(1, DEPTH + 1) for path in folder.glob("*/" * depth + name)]
    return [
        path for path in paths if not any(p.startswith(".") for p in path.relative_to(folder).parts)
    ]


def whereabouts(folder: Path, places: list[Path]) -> str:
    """Say where the files may be, or what they may be called."""
    if places:
        return f"; {', '.join(map(str, places[:3]))}{' and more' * (len(places) > 3)} have"
    if misnamed := [text for task in TASKS if (text := did_you_mean(folder, task))]:
        return misnamed[0]
    notebooks = sorted([*folder.glob("*.ipynb"), *files_below(folder, "*.ipynb")])
    if notebooks:
        return (
            f", only the notebook {notebooks[0].relative_to(folder)}; jupyter nbconvert --to script"
            " writes its code to a file: save that as task2a.py, ..., as the course has it"
        )
    return ""


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
    if (folder / "trainer.py").is_file():
        return False
    is_function = re.search(r"^def train\(", source(folder / "task2.py"), re.MULTILINE)
    return is_function is not None or (folder / "task4a.py").is_file()


def copy_solution(folder: Path, target: Path) -> None:
    """Copy a folder, without what is hidden, environments, links out of it, and what is no file."""

    def left_out(name: str, entries: list[str]) -> set[str]:
        paths = [Path(name, entry) for entry in entries]
        return {
            path.name
            for path in paths
            if path.name.startswith((".", "__pycache__"))
            or (path / "pyvenv.cfg").exists()
            or not (path.is_file() or path.is_dir())
            or not os.access(path, os.R_OK)
            # A link out of it may lead to what is nobody's business, one to a folder around it
            # would be copied without end.
            or (path.is_symlink() and not path.resolve().is_relative_to(folder))
            or (path.is_symlink() and Path(name).resolve().is_relative_to(path.resolve()))
        }

    folder = folder.resolve()
    shutil.copytree(folder, target, ignore=left_out, dirs_exist_ok=True)
