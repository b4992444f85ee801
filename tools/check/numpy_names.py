"""NumPy's names: gives solutions those that were removed, and undoes what they have overwritten."""

import builtins
import importlib
import pkgutil
from types import ModuleType
from typing import Any

import numpy as np

# Names that NumPy has removed, and what replaces them.
REMOVED = {
    **{name: name for name in ("float", "int", "complex", "object", "str")},
    **dict.fromkeys(("Inf", "Infinity", "infty", "PINF"), "np.inf"), "NINF": "-np.inf",
    "NaN": "np.nan", "float_": "np.float64", "bool8": "np.bool_", "round_": "np.round",
    "product": "np.prod", "in1d": "np.isin", "trapz": "np.trapezoid", "row_stack": "np.vstack",
    "alltrue": "np.all", "sometrue": "np.any", "cumproduct": "np.cumprod",
    "unicode_": "np.str_", "string_": "np.bytes_", "complex_": "np.complex128",
    "mat": "np.asmatrix",
}  # fmt: skip
SHARED: tuple[ModuleType, ...] = (np, np.linalg, np.random, builtins)
ORIGINAL = {module: dict(vars(module)) for module in SHARED}
ERROR_HANDLING = np.geterr()


def restore_numpy() -> None:
    """Undo what a solution has done to NumPy: ``np.exp = ...``, ``np.seterr(all="raise")``.

    Names that a solution has added, such as ``np.float = float``, stay.
    """
    for module, names in ORIGINAL.items():
        for name in names.keys() - {"__getattr__"}:
            if vars(module).get(name) is not names[name]:
                setattr(module, name, names[name])
    np.seterr(**ERROR_HANDLING)


def replacement(name: str) -> Any:
    """Return what replaces a name that NumPy has removed."""
    return eval(REMOVED[name], {"np": np})


def old_submodules() -> list[ModuleType]:
    """Import `numpy.core` and its modules, which editors have written into imports."""
    core = importlib.import_module("numpy.core")
    names = [info.name for info in pkgutil.iter_modules(core.__path__)]
    public = [f"numpy.core.{name}" for name in names if name[0] != "_"]
    return [core, *map(importlib.import_module, public)]
