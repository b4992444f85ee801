"""What a solution finds though it is not there: names and modules that its code has been used to.

All of it is there only for the solution's own files; what else is imported sees no difference.
"""

from __future__ import annotations

import ast
import gzip
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import math
import sys
import types
from pathlib import Path
from typing import Any, NoReturn

import matplotlib.style
import numpy as np
import pytest

from check import COURSE_MODULES
from check.answers import ADVICE, layout

DATA_DIR = Path(__file__).resolve().parents[1] / "mnist"

# Names that NumPy has taken away, and what is written today.
REMOVED = {
    **{name: name for name in ("float", "int", "complex", "object", "str", "math")},
    **dict.fromkeys(("Inf", "Infinity", "infty", "PINF"), "np.inf"), "NINF": "-np.inf",
    **dict.fromkeys(("NaN", "NAN"), "np.nan"), "float_": "np.float64", "complex_": "np.complex128",
    "bool8": "np.bool_", "unicode": "str", "unicode_": "np.str_", "string_": "np.bytes_",
    "product": "np.prod", "cumproduct": "np.cumprod", "sometrue": "np.any", "alltrue": "np.all",
    "round_": "np.round", "row_stack": "np.vstack", "in1d": "np.isin", "trapz": "np.trapezoid",
    "mat": "np.asmatrix", "asscalar": "np.ndarray.item", "msort": "lambda a: np.sort(a, axis=0)",
    "asfarray": "lambda a: np.asarray(a, dtype=float)",
}  # fmt: skip
# What was said already: files use the same names again and again.
SAID: set[str] = set()


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


def gone(library: str, new: str) -> str:
    """Say that a library has taken a name away."""
    return f"{library} has it no longer; it is there for these checks only. Write {new}"


def give_back_names(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Give a solution the names that NumPy and Matplotlib have taken away."""
    get, use = np.__getattr__, matplotlib.style.use

    def get_removed(name: str) -> Any:
        if name in REMOVED and (place := caller(folder)):
            say_once(f"np.{name}", place, gone("NumPy", REMOVED[name]))
            return eval(REMOVED[name], {"np": np, "math": math})
        return get(name)

    def use_removed(style: Any) -> None:
        new = style.replace("seaborn", "seaborn-v0_8", 1) if isinstance(style, str) else style
        available = matplotlib.style.available
        if style not in available and new in available and (place := caller(folder)):
            say_once(f"the style {style}", place, gone("Matplotlib", new))
            style = new
        use(style)

    patch.setattr(np, "__getattr__", get_removed)
    patch.setattr(matplotlib.style, "use", use_removed)


class StandIn(types.ModuleType):
    """A module that is not there, or something out of it: it may be named, not used."""

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__") or name in COURSE_MODULES:
            raise AttributeError(name)
        return StandIn(f"{self.__name__}.{name}")

    def _use(self, *_: Any, **__: Any) -> NoReturn:
        module = self.__name__.partition(".")[0]
        text = f"No module named {module!r}, and {self.__name__} is used"
        raise ModuleNotFoundError(text, name=module)

    def __or__(self, other: Any) -> StandIn:
        return self  # In type hints, which use nothing.

    __ror__ = __or__
    __call__ = __mro_entries__ = __iter__ = __len__ = __getitem__ = __enter__ = __bool__ = _use
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _use
    __rtruediv__ = __float__ = __neg__ = __lt__ = __gt__ = __array__ = _use


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds what a solution imports and nothing else has found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(self, name: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        """Take what the solution's own files import, unless they have an answer of their own."""
        if not (place := caller(self.folder)) or is_tried(*place):
            return None
        return importlib.util.spec_from_loader(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Take the solution's own module for `assignment1.utils`, ours of mnist, or a stand-in."""
        package, _, name = spec.name.rpartition(".")
        place = caller(self.folder)
        if place and package and (self.folder / f"{name}.py").is_file():
            hint = f"this folder has no {package}; `import {name}` is meant"
            say_once(spec.name, place, hint)
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
            content = gzip.decompress((DATA_DIR / f"{split}-{part}-ubyte.gz").read_bytes())
            arrays.append(np.frombuffer(content, np.uint8, offset=offset).reshape(shape).copy())
    return tuple(arrays)
