"""Where things are, and who may import whom."""

from __future__ import annotations

import ast
import io
import subprocess
import tokenize
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import utils

ROOT = Path(utils.__file__).parent
ASSIGNMENT = ["task2", "task2a", "task3", "task3a", "task4", "trainer", "utils"]
TOOLS = ["predict", "study", "check"]  # They know nothing of each other.
# A room imports only from rooms before it.
ROOMS = ["mnist", "numerics", "output", "utils", "trainer", "runs", "plots", "cli"]
ROOMS += ["task2a", "task2", "task3a", "task3", "task4"]


def own_modules() -> dict[str, Path]:
    files = [*ROOT.glob("*.py"), *ROOT.glob("[!.]*/*.py")]
    modules = {}
    for path in files:
        *folder, name = path.relative_to(ROOT).with_suffix("").parts
        if folder != ["tests"]:
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


def code_lines(text: str) -> int:
    """Count the lines with code: comments, docstrings and empty lines are free."""
    no_code = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in no_code and token.string:
            lines |= {*range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= {*range(node.lineno, node.end_lineno + 1)}
    return len(lines)


def test_the_assignments_own_code_can_be_read_in_a_quarter_of_an_hour():
    texts = {name: MODULES[name].read_text(encoding="utf-8") for name in ASSIGNMENT}
    assert sum(map(code_lines, texts.values())) <= 520
    assert len(texts["trainer"].splitlines()) <= 180


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
        room = name.partition(".")[0]
        others = {other.partition(".")[0] for other in imports_of(name)} - {room}
        if room in ROOMS:
            assert others <= set(ROOMS[: ROOMS.index(room)]), name
        elif room in TOOLS:
            assert others <= set(ROOMS), name
        elif room != "benchmarks":
            assert room == "report", name
            assert others <= {*ROOMS, *TOOLS}, name


def test_what_runs_beside_somebody_elses_modules_imports_none_of_the_same_name():
    reached, new = set(), {"check.test_solution", "check.conftest"}
    while new:
        reached |= new
        new = set().union(*(imports_of(name) for name in new)) - reached
    assert {name.partition(".")[0] for name in reached} == {"check", "numerics"}


def test_generated_files_are_ignored():
    names = ["figures/a.png", "weights/a.npz", "report.pdf", "report.html", ".venv/x"]
    ignored = subprocess.run(
        ["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True
    )
    if ignored.returncode == 128:
        pytest.skip("this is no git checkout")
    assert ignored.stdout.split() == names
