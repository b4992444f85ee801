from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

# Two processes that both spread their products over all cores hinder each other. NumPy reads this
# once, when it is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import filelock
import hypothesis
import nbformat
import numpy as np
import pytest

import task2
import task3
from utils import Data

ROOT = Path(task2.__file__).parent

# A shell starts programs in the background with Ctrl-C ignored, and they pass that on. The tests
# of Ctrl-C need it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Hypothesis keeps failing examples for the next run; the repository's folder is not its place.
hypothesis.configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "hypothesis")
hypothesis.settings.register_profile("default", deadline=None, max_examples=50)
hypothesis.settings.load_profile("default")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a parameter by its argument where its value would give ``<lambda>`` or escapes."""
    if isinstance(val, str | bytes):
        text = repr(val)
        is_plain = text.isascii() and "\\" not in text and len(text) < 60
        return None if is_plain else argname
    return argname if getattr(val, "__name__", "") == "<lambda>" else None


@pytest.fixture(scope="session")
def binary_data() -> Data:
    return read_only(task2.load_data())


@pytest.fixture(scope="session")
def full_data() -> Data:
    return read_only(task3.load_data())


@pytest.fixture(scope="session")
def executed_report(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    """Execute report.ipynb from scratch: once, however many processes share the tests."""
    from tools.report.notebook import execute  # Its imports take longer than most tests.

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    path = folder / "executed_report.ipynb"
    with filelock.FileLock(f"{path}.lock"):
        if not path.exists():
            notebook = nbformat.read(ROOT / "report.ipynb", as_version=4)
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    cell.outputs = []
            execute(notebook, ROOT)
            nbformat.write(notebook, path)
    return nbformat.read(path, as_version=4)


def read_only(data: Data) -> Data:
    for part in data:
        part.flags.writeable = False
    return data


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
