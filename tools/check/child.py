"""The process that holds a solution: its copy, its modules, and substitutes for what it lacks.

The substitutes are for its own files only; other modules see no difference.
"""

import ast
import gzip
import importlib.abc
import importlib.util
import sys
import types
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any, NoReturn

import matplotlib.style
import numpy as np
import pytest

from tools.check import COURSE_MODULES, TASKS, arguments
from tools.check.answers import ADVICE, layout, missing
from tools.check.folders import did_you_mean
from tools.check.numpy_names import REMOVED, old_submodules, replacement
from tools.check.oracles import Kind
from tools.check.starter import is_unfilled

ROOT = Path(__file__).resolve().parents[2]
OUR_PACKAGES = ("common", "tools")
DEFINES = ast.FunctionDef | ast.ClassDef
# Advice is given once for each name: files use the same names again and again.
ADVISED: set[str] = set()


def prepare_process(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make a solution's copy the place where files and modules are found, instead of ours."""
    patch.setenv("MPLBACKEND", "Agg")
    # A backend with windows would not load here.
    patch.setattr("matplotlib.use", lambda *_, **__: None)
    provide_removed_names(folder, patch)
    skip_scripts(folder, patch)
    patch.chdir(folder)
    places = (place for place in sys.path if place and Path(place).resolve() != ROOT)
    patch.setattr(sys, "path", [str(folder), *places])
    patch.setattr(sys, "meta_path", [*sys.meta_path, Finder(folder)])
    # A solution may have modules of the same names. The checks hold on to ours without these
    # entries. A conftest.py of the original, which pytest has read, may have imported others.
    for name in [*sys.modules]:
        if name.partition(".")[0] in (*OUR_PACKAGES, *COURSE_MODULES):
            del sys.modules[name]
    if not is_module(folder, "mnist"):
        mnist = StandIn("mnist")
        vars(mnist).update(load=lambda: load_mnist(), init=lambda: None)
        patch.setitem(sys.modules, "mnist", mnist)


def skip_scripts(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Import only the definitions of the tasks' files, not the training below them."""
    original = SourceFileLoader.source_to_code

    def source_to_code(self: Any, data: Any, path: Any, **options: Any) -> Any:
        if Path(path).parent == folder and Path(path).stem in TASKS:
            data = definitions(ast.parse(data, path))
        return original(self, data, path, **options)

    patch.setattr(SourceFileLoader, "source_to_code", source_to_code)


def definitions(tree: ast.Module) -> ast.Module:
    """Remove what follows the last function or class, except for constants and imports."""
    last = max((i for i, node in enumerate(tree.body) if isinstance(node, DEFINES)), default=-1)
    tree.body[last + 1 :] = [
        node
        for node in tree.body[last + 1 :]
        if isinstance(node, ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant))
    ]
    return tree


def caller(folder: Path) -> tuple[Path, int] | None:
    """Find the file and line of a solution that has called; None if other code has."""
    frame = sys._getframe(2)
    while frame.f_back and frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    path = Path(frame.f_code.co_filename)
    return (path, frame.f_lineno) if path.is_relative_to(folder) else None


def advise_once(name: str, place: tuple[Path, int], hint: str) -> None:
    """Give the advice about a name, unless it was given before."""
    if name not in ADVISED:
        ADVISED.add(name)
        ADVICE.append(layout(used=f"{name}, in {place[0].name}, line {place[1]}", hint=hint))


def provide_removed_names(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Give a solution the names that NumPy and Matplotlib have removed."""
    gone = "{} has removed it; it exists only during these checks. Write {}"

    def with_removed(module: types.ModuleType) -> Any:
        original = module.__getattr__

        def get(name: str) -> Any:
            if name not in REMOVED or not (place := caller(folder)):
                return original(name)
            advise_once(f"np.{name}", place, gone.format("NumPy", REMOVED[name]))
            return replacement(name)

        return get

    for module in (np, *old_submodules()):
        if hasattr(module, "__getattr__"):
            patch.setattr(module, "__getattr__", with_removed(module))

    use = matplotlib.style.use

    def use_removed(style: Any) -> None:
        new = str(style).replace("seaborn", "seaborn-v0_8", 1)
        available = matplotlib.style.available
        if style not in available and new in available and (place := caller(folder)):
            advise_once(f"the style {style}", place, gone.format("Matplotlib", new))
            style = new
        use(style)

    patch.setattr(matplotlib.style, "use", use_removed)


class StandIn(types.ModuleType):
    """A module that is not installed, or an attribute of it: it may be imported, but not used."""

    def __getattr__(self, name: str) -> Any:
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


class Alias(StandIn):
    """The module of a package that is not there, for a module that is.

    A solution imports ``assignment1.utils`` from a folder that it was not handed in with, or
    ``numpy.lib.function_base``, which NumPy has removed. What the other module does not have, such
    as ``to_categorical`` of ``keras.utils``, is a stand-in.
    """

    def __init__(self, name: str, other: str, place: tuple[Path, int], hint: str) -> None:
        super().__init__(name)
        self._other, self._place, self._hint = other, place, hint

    def __getattr__(self, name: str) -> Any:
        other = importlib.import_module(self._other)
        if name == "__all__":
            return [public for public in vars(other) if not public.startswith("_")]
        if name.startswith("__") or not hasattr(other, name):
            return super().__getattr__(name)
        advise_once(self.__name__, self._place, self._hint)
        return getattr(other, name)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules that a solution imports and no other finder has found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        """Accept an import in the solution's own files, except in a ``try``."""
        if not (place := caller(self.folder)) or is_tried(*place):
            return None
        return importlib.util.spec_from_loader(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        """Make an alias or a stand-in."""
        package, _, name = spec.name.rpartition(".")
        place = caller(self.folder)
        if place and package and is_module(self.folder, name):
            hint = f"this folder has no {package}; `import {name}` is meant"
            return Alias(spec.name, name, place, hint)
        if place and spec.name.startswith("numpy."):
            other = package if package in ("numpy.fft", "numpy.linalg") else "numpy"
            hint = f"NumPy has removed this module; import the names from {other}"
            return Alias(spec.name, other, place, hint)
        return StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing: the module is complete."""


def is_tried(path: Path, line: int) -> bool:
    """Tell whether a line is in a ``try``, whose author has provided for a missing module."""
    tree = ast.parse(path.read_bytes())
    tries = [node for node in ast.walk(tree) if isinstance(node, ast.Try)]
    return any(node.body[0].lineno <= line <= (node.body[-1].end_lineno or 0) for node in tries)


def is_module(folder: Path, name: str) -> bool:
    """Tell whether a folder has a module or a package of this name."""
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


def load_mnist() -> tuple[np.ndarray, ...]:
    """Load the data set, in place of the course's ``mnist.load``.

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


def make_marked_images() -> tuple[np.ndarray, ...]:
    """Make a data set of the same shapes. In an image of the digit d, only pixel 10 d is bright."""
    rng = np.random.default_rng(0)
    arrays = []
    for count in (60_000, 10_000):
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        images = np.zeros((count, 784), np.uint8)
        images[np.arange(count), 10 * labels] = 255
        arrays += [images, labels]
    return tuple(arrays)


def load(module: str, name: str) -> Any:
    """Import a function or class of the solution.

    The check ends as missing if the module or the name is missing, or if it is a function that is
    unfilled starter code. Exceptions of the import are passed on.
    """
    __tracebackhide__ = True
    if not is_module(Path.cwd(), module):
        missing(f"{module}.py is missing{did_you_mean(Path.cwd(), module)}")
    found = getattr(importlib.import_module(module), name, None)
    if found is None:
        missing(f"{module}.py has no {name}")
    require_filled(found, f"{module}.{name}")
    return found


def require_filled(function: Any, name: str) -> None:
    """End the check as missing if a function is as the course hands it out."""
    if is_unfilled(function):
        missing(f"{name} uses none of its arguments, as in the starter code")


def locate(module: str) -> str:
    """Name the module that has the contents of `task3a` or `task3`: in 2020, task4a or task4."""
    moved = not Path("task3a.py").is_file() and Path("task4a.py").is_file()
    return module.replace("3", "4") if moved else module


def build(model: type, kind: Kind, l2_reg_lambda: float = 0.0) -> Any:
    """Make a model of the solution, whether or not it takes a λ, and numbers of in- and outputs."""
    __tracebackhide__ = True
    guesses = {"l2_reg_lambda": l2_reg_lambda, "inputs": 785, "outputs": kind.K}
    return arguments.call(model, {}, guesses)


def load_model(kind: Kind, *methods: str) -> Any:
    """Make a model of the solution, whose methods of these names must be filled in."""
    __tracebackhide__ = True
    model = load(kind.models, kind.model)
    for name in methods:
        require_filled(getattr(model, name, None), f"{kind.models}.{kind.model}.{name}")
    return build(model, kind)
