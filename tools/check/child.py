"""The process that holds a solution: its copy, its parts, and what makes it feel at home.

What is there only for its sake is so only for its own files: what else is imported sees no
difference.
"""

import ast
import gzip
import importlib.abc
import importlib.util
import inspect
import sys
import types
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any, NoReturn

import matplotlib.style
import numpy as np
import pytest

from tools.check import COURSE_MODULES, TASKS
from tools.check.answers import ADVICE, layout, missing
from tools.check.folders import did_you_mean

ROOT = Path(__file__).resolve().parents[2]
DEFINES = ast.FunctionDef | ast.ClassDef

# Names that NumPy has taken away, and what is written today.
REMOVED = {
    **{name: name for name in ("float", "int", "complex", "object", "str")},
    **dict.fromkeys(("Inf", "Infinity", "infty", "PINF"), "np.inf"), "NINF": "-np.inf",
    "NaN": "np.nan", "float_": "np.float64", "bool8": "np.bool_", "round_": "np.round",
    "product": "np.prod", "in1d": "np.isin", "trapz": "np.trapezoid", "row_stack": "np.vstack",
}  # fmt: skip
# What was said already: files use the same names again and again.
SAID: set[str] = set()


def move_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make a solution's copy the place where files and modules are found, instead of ours."""
    patch.setenv("MPLBACKEND", "Agg")
    # A backend with windows would not load here.
    patch.setattr("matplotlib.use", lambda *_, **__: None)
    give_back_names(folder, patch)
    leave_scripts_out(folder, patch)
    patch.chdir(folder)
    places = (place for place in sys.path if place and Path(place).resolve() != ROOT)
    patch.setattr(sys, "path", [str(folder), *places])
    patch.setattr(sys, "meta_path", [*sys.meta_path, Finder(folder)])
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
    """Leave out what comes after the last function or class, but for constants and imports."""
    last = max((i for i, node in enumerate(tree.body) if isinstance(node, DEFINES)), default=-1)
    tree.body[last + 1 :] = [
        node
        for node in tree.body[last + 1 :]
        if isinstance(node, ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant))
    ]
    return tree


def caller(folder: Path) -> tuple[Path, int] | None:
    """Give file and line of a solution that has called, past Python's import; None if others."""
    frame = sys._getframe(2)
    while frame.f_back and frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    path = Path(frame.f_code.co_filename)
    return (path, frame.f_lineno) if path.is_relative_to(folder) else None


def say_once(name: str, place: tuple[Path, int], hint: str) -> None:
    """Give the advice about a name, unless it was given before."""
    if name not in SAID:
        SAID.add(name)
        ADVICE.append(layout(used=f"{name}, in {place[0].name}, line {place[1]}", hint=hint))


def give_back_names(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Give a solution the names that NumPy and Matplotlib have taken away."""
    get, use = np.__getattr__, matplotlib.style.use
    gone = "{} has it no longer; it is there for these checks only. Write {}"

    def get_removed(name: str) -> Any:
        if name not in REMOVED or not (place := caller(folder)):
            return get(name)
        say_once(f"np.{name}", place, gone.format("NumPy", REMOVED[name]))
        return eval(REMOVED[name], {"np": np})

    def use_removed(style: Any) -> None:
        new = str(style).replace("seaborn", "seaborn-v0_8", 1)
        available = matplotlib.style.available
        if style not in available and new in available and (place := caller(folder)):
            say_once(f"the style {style}", place, gone.format("Matplotlib", new))
            style = new
        use(style)

    patch.setattr(np, "__getattr__", get_removed)
    patch.setattr(matplotlib.style, "use", use_removed)


class StandIn(types.ModuleType):
    """A module that is not there, or something out of it: it may be named, not used."""

    def __getattr__(self, name: str) -> "StandIn":
        if name.startswith("__") or name in COURSE_MODULES:
            raise AttributeError(name)
        return StandIn(f"{self.__name__}.{name}")

    def _use(self, *_: Any, **__: Any) -> NoReturn:
        module = self.__name__.partition(".")[0]
        text = f"No module named {module!r}, and {self.__name__} is used"
        raise ModuleNotFoundError(text, name=module)

    def __or__(self, other: Any) -> "StandIn":
        return self  # In type hints, which use nothing.

    __call__ = __mro_entries__ = __getitem__ = __iter__ = __enter__ = __bool__ = __array__ = _use


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds what a solution imports and nothing else has found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        """Take what the solution's own files import, unless they have an answer of their own."""
        if not (place := caller(self.folder)) or is_tried(*place):
            return None
        return importlib.util.spec_from_loader(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        """Take the solution's own module for `assignment1.utils`, ours of mnist, or a stand-in."""
        package, _, name = spec.name.rpartition(".")
        place = caller(self.folder)
        if place and package and (self.folder / f"{name}.py").is_file():
            say_once(spec.name, place, f"this folder has no {package}; `import {name}` is meant")
            return importlib.import_module(name)
        module = StandIn(spec.name)
        if spec.name == "mnist":
            vars(module).update(load=load_mnist, init=lambda: None)
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing: the module is complete."""


def is_tried(path: Path, line: int) -> bool:
    """Tell whether a line stands in a `try`: who writes that knows what to do without a module."""
    tree = ast.parse(path.read_bytes())
    tries = [node for node in ast.walk(tree) if isinstance(node, ast.Try)]
    return any(node.body[0].lineno <= line <= (node.body[-1].end_lineno or 0) for node in tries)


def load_mnist() -> tuple[np.ndarray, ...]:
    """Load what the course's ``mnist.load`` does.

    Returns
    -------
    X_train, Y_train, X_test, Y_test : ndarrays, uint8
        Of shape (60000, 784), (60000,), (10000, 784) and (10000,).
    """
    arrays = []
    for split in ("train", "t10k"):
        for part, offset, shape in (("images-idx3", 16, (-1, 784)), ("labels-idx1", 8, (-1,))):
            content = gzip.decompress((ROOT / "mnist" / f"{split}-{part}-ubyte.gz").read_bytes())
            arrays.append(np.frombuffer(content, np.uint8, offset=offset).reshape(shape).copy())
    return tuple(arrays)


def load(module: str, name: str) -> Any:
    """Get something out of a module of the solution.

    Ends the check as missing if the file is not there, or has nothing of that name. Raises what
    the import has raised.
    """
    __tracebackhide__ = True
    if not Path(f"{module}.py").is_file():
        missing(f"{module}.py is not there{did_you_mean(Path.cwd(), module)}")
    found = importlib.import_module(module)
    return getattr(found, name, None) or missing(f"{module}.py has no {name}")


def locate(module: str) -> str:
    """Name the module of what the course has in `task3a` or `task3`: in 2020, task4a or task4."""
    moved = not Path("task3a.py").is_file() and Path("task4a.py").is_file()
    return module.replace("3", "4") if moved else module


def takes_lambda(model: type) -> str | None:
    """Name the argument of a model that is the λ of the penalty, if it has one."""
    names = inspect.signature(model).parameters
    words = "l2", "lam", "reg"
    return next((name for name in names if any(word in name.lower() for word in words)), None)


def build(model: type, l2_reg_lambda: float = 0.0) -> Any:
    """Make a model of the solution, whether or not it takes a λ."""
    __tracebackhide__ = True
    name = takes_lambda(model)
    return model(**{name: l2_reg_lambda}) if name else model()


def switched_on(function: Any) -> dict[str, bool]:
    """Give the arguments of a function that switch early stopping on, where they are off."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: True for p in parameters if p.default is False and "stop" in p.name.lower()}
