"""Where things are, and who may import whom."""

from __future__ import annotations

import ast
import subprocess
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import utils

ROOT = Path(utils.__file__).parent
ASSIGNMENT = ["task2", "task2a", "task3", "task3a", "task4", "trainer", "utils"]
# A room imports only from rooms before it.
ROOMS = ["common", "mnist", "utils", "trainer", "runs"]
ROOMS += ["task2a", "task2", "task3a", "task3", "task4"]
# Of the tools none imports another, but for the report, which shows the study's evidence.
TOOLS = {"predict": set(), "study": set(), "check": set(), "report": {"study"}}
COMMAND_LINES = {"common.command_line", "runs", "runs.script", "argparse"}


def own_modules() -> dict[str, Path]:
    files = [*ROOT.glob("*.py"), *ROOT.glob("[!.]*/*.py"), *ROOT.glob("tools/*/*.py")]
    modules = {}
    for path in files:
        *folder, name = path.relative_to(ROOT).with_suffix("").parts
        if folder[:1] != ["tests"]:
            modules[".".join(folder if name == "__init__" else [*folder, name])] = path
    return modules


MODULES = own_modules()


def imports_of(name: str, *, within_functions: bool = False) -> set[str]:
    """Find which of our modules a module imports; or those that its functions import."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda)]
    inner = {id(node) for function in functions for node in ast.walk(function)}
    found = set()
    for node in ast.walk(tree):
        if (id(node) in inner) != within_functions:
            continue
        if isinstance(node, ast.Import):
            candidates = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            candidates = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found |= {candidate for candidate in candidates if candidate in MODULES}
    return found


def test_at_the_root_are_only_the_modules_that_the_course_names():
    assert sorted(path.stem for path in ROOT.glob("*.py")) == ASSIGNMENT


def test_no_module_imports_in_a_circle():
    graph = {name: {other for other in imports_of(name) if other != name} for name in MODULES}
    # Importing a part of a package imports the package, too, which is what fills it.
    list(TopologicalSorter(graph).static_order())


# A benchmark of imports imports within functions.
@pytest.mark.parametrize("name", [name for name in sorted(MODULES) if "benchmarks" not in name])
def test_no_function_imports_a_module_of_our_own(name):
    assert imports_of(name, within_functions=True) == set()


def test_a_room_imports_only_from_rooms_below_it():
    for name in MODULES:
        room, _, rest = name.partition(".")
        imported = imports_of(name)
        others = {other.partition(".")[0] for other in imported} - {room}
        if room in ROOMS:
            assert others <= set(ROOMS[: ROOMS.index(room)]), name
        elif room == "tools":
            assert others <= set(ROOMS), name
            if rest:
                tool = rest.partition(".")[0]
                tools = {other.split(".")[1] for other in imported if other.startswith("tools.")}
                assert tools <= {tool} | TOOLS[tool], name
        else:
            assert room == "benchmarks", name


def test_the_models_import_nothing_of_command_lines():
    for name in ("task2a", "task3a"):
        reached, new = set(), {name}
        while new:
            reached |= new
            new = set().union(*(imports_of(module) for module in new)) - reached
        assert not reached & COMMAND_LINES, name


def test_what_runs_beside_a_solution_imports_none_of_the_modules_that_the_course_names():
    reached, new = set(), {"tools.check.test_solution", "tools.check.conftest"}
    while new:
        reached |= new
        new = set().union(*(imports_of(name) for name in new)) - reached
    assert not reached & {*ASSIGNMENT, "mnist"}


def test_generated_files_are_ignored():
    names = ["figures/a.png", "weights/a.npz", "report.pdf", "report.html", ".venv/x"]
    ignored = subprocess.run(
        ["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True
    )
    if ignored.returncode == 128:
        pytest.skip("this is no git checkout")
    assert ignored.stdout.split() == names
