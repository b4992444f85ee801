"""The process that holds a solution: its copy, its modules, and what makes it feel at home."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import inspect
import json
import os
import sys
import urllib.request
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest

from check import COURSE_MODULES, JOURNAL, TASKS
from check.answers import missing
from check.folders import did_you_mean, is_2020
from check.stand_ins import DATA_DIR, Finder, give_back_names

ROOT = Path(__file__).resolve().parents[1]
MEMORY, FILE_SIZE = 4 << 30, 1 << 30
# Arguments of a model with these words are sizes, and none is the λ of the penalty.
SIZES = ("size", "num", "neuron", "input", "output", "node", "dim", "class", "feature", "shape")


def note(**event: str) -> None:
    """Write an event down at once: the process may end with the next line of the solution."""
    if JOURNAL in os.environ:
        with open(os.environ[JOURNAL], "a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")


def limit_memory() -> None:
    """Limit the memory of this process, and the files it writes, where the system can do that."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def move_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make a solution's copy the place where files and modules are found, instead of ours."""
    patch.setenv("MPLBACKEND", "Agg")
    with contextlib.suppress(ImportError):
        # A backend with windows would not load here.
        patch.setattr("matplotlib.use", lambda *_, **__: None)
    serve_mnist(patch)
    give_back_names(folder, patch)
    leave_scripts_out(folder, patch)
    patch.setattr(sys, "meta_path", [*sys.meta_path, Finder(folder)])
    patch.chdir(folder)
    places = (place for place in sys.path if place and Path(place).resolve() != ROOT)
    patch.setattr(sys, "path", [str(folder), *places])
    # A conftest.py of the original, which pytest has read, may have imported them from there.
    for module in COURSE_MODULES:
        sys.modules.pop(module, None)


def leave_scripts_out(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Import of the tasks' files only what they define, not the training that some have below."""
    compiled = SourceFileLoader.source_to_code

    def source_to_code(self: Any, data: Any, path: Any, **options: Any) -> Any:
        if Path(path).parent == folder and Path(path).stem in TASKS:
            data = definitions(ast.parse(data, path))
        return compiled(self, data, path, **options)

    patch.setattr(SourceFileLoader, "source_to_code", source_to_code)


def definitions(tree: ast.Module) -> ast.Module:
    """Leave out what comes after the last function or class, but for plain values and imports."""
    kinds = [isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body]
    end = len(kinds) - kinds[::-1].index(True) if any(kinds) else len(kinds)
    kept, left_out = tree.body[:end], set[str]()
    for node in tree.body[end:]:
        parts = [*ast.walk(node)]
        names = [part for part in parts if isinstance(part, ast.Name)]
        is_plain = isinstance(node, ast.Assign) and not any(isinstance(p, ast.Call) for p in parts)
        is_known = left_out.isdisjoint(name.id for name in names)
        if isinstance(node, ast.Import | ast.ImportFrom) or (is_plain and is_known):
            kept.append(node)
        else:
            left_out |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
    return ast.Module(kept, [])


def serve_mnist(patch: pytest.MonkeyPatch) -> None:
    """Answer downloads of MNIST's four files with ours; their old address answers 403."""

    def ours(url: Any) -> Any:
        path = DATA_DIR / getattr(url, "full_url", url).rpartition("/")[2]
        return path.as_uri() if path.name.endswith("-ubyte.gz") and path.is_file() else url

    def urllib_open(self: Any, url: Any, *args: Any, **options: Any) -> Any:
        return open_url(self, ours(url), *args, **options)

    def requests_send(self: Any, request: Any, **options: Any) -> Any:
        if ours(request.url) == request.url:
            return send(self, request, **options)
        response = requests.Response()
        response.status_code, response.raw = 200, urllib.request.urlopen(request.url)
        return response

    open_url = urllib.request.OpenerDirector.open
    patch.setattr(urllib.request.OpenerDirector, "open", urllib_open)
    with contextlib.suppress(ImportError):
        import requests

        send = requests.Session.send
        patch.setattr(requests.Session, "send", requests_send)


@functools.cache
def import_once(module: str) -> Any:
    """Import a module of the solution; give the module, or what its import has raised."""
    note(importing=module)
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        return error
    finally:
        note(imported=module)


def load(module: str, name: str) -> Any:
    """Get something out of a module of the solution.

    Ends the check as missing if the file is not there, or has nothing of that name. Raises what
    the import has raised.
    """
    __tracebackhide__ = True
    edition = ", as in the edition of 2020" if is_2020(Path.cwd()) else ""
    if not Path(f"{module}.py").is_file():
        missing(f"{module}.py is not there{did_you_mean(Path.cwd(), module) or edition}")
    found = import_once(module)
    if isinstance(found, BaseException):
        raise found
    if not hasattr(found, name):
        missing(f"{module}.py has no {name}{edition}")
    return getattr(found, name)


def locate(module: str) -> str:
    """Name the module of what the course has in `task3a` or `task3`: in 2020, task4a or task4."""
    moved = not Path("task3a.py").is_file() and Path("task4a.py").is_file()
    return module.replace("3", "4") if moved else module


def takes_lambda(model: type) -> str | None:
    """Name the argument of a model that is the λ of the penalty, if it has one."""
    parameters = inspect.signature(model).parameters.values()
    for parameter in parameters:
        if any(word in parameter.name.lower() for word in ("l2", "lam", "reg")):
            return parameter.name
    # A single argument that has to be given is what the course has there.
    needed = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
    is_size = [len(name) == 1 or any(word in name.lower() for word in SIZES) for name in needed]
    return needed[0] if is_size == [False] else None


def build(model: type, l2_reg_lambda: float = 0.0) -> Any:
    """Make a model of the solution, whether or not it takes a λ."""
    __tracebackhide__ = True
    name = takes_lambda(model)
    try:
        return model(**{name: l2_reg_lambda}) if name else model()
    except TypeError as error:
        if "NoneType" in str(error):
            missing(f"{model.__name__} makes weights of size None, as the starter code does")
        raise


def switched_on(function: Any) -> dict[str, bool]:
    """Give the arguments of a function that switch early stopping on, where they are off."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: True for p in parameters if p.default is False and "stop" in p.name.lower()}
