"""The plugin for pytest: the option --solution, its folder, and the words for what happened."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from check import COURSE_MODULES, FULL, JOURNAL
from check.answers import layout, missing
from check.child import copy_solution, limit_memory, move_in, note

# pytest looks for a conftest.py in the solution, too; nothing is to be left beside it.
if "--solution" in sys.argv:
    sys.dont_write_bytecode = True


def folder(name: str) -> Path:
    """Take the argument of --solution."""
    if not Path(name).is_dir():
        raise argparse.ArgumentTypeError(f"{name}: is no folder")
    return Path(name).resolve()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("check", "checks of a solution")
    text = "folder with the course's files"
    group.addoption("--solution", metavar="DIR", type=folder, required=True, help=text)
    group.addoption("--full", action="store_true", help="train, too, for early stopping")


def pytest_configure(config: pytest.Config) -> None:
    """Undo, for somebody else's code, what this project wants for its own tests."""
    config.addinivalue_line("filterwarnings", "ignore")
    if hasattr(config.option, "dist"):
        config.option.dist, config.option.tx = "no", []
    if JOURNAL in os.environ:
        limit_memory()


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Collect nothing for somebody who runs pytest above this folder, without its options."""
    return None if config.getoption("solution", None) else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the training out, unless all is asked for."""
    if not config.getoption("full"):
        full = [item for item in items if item.name == f"test_{FULL}"]
        config.hook.pytest_deselected(items=full)
        items[:] = [item for item in items if item not in full]


@pytest.fixture(scope="session", autouse=True)
def solution(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run all checks in a copy of the solution."""
    original = request.config.getoption("solution")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary,
        pytest.MonkeyPatch.context() as patch,
    ):
        copy = Path(temporary).resolve() / original.name
        copy_solution(original, copy)
        move_in(copy, patch)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    """Turn what unfilled starter code raises into a missing part."""
    __tracebackhide__ = True
    try:
        return (yield)
    except NotImplementedError as error:
        missing(f"{place_of(error)} raises NotImplementedError, as the starter code does")
    except ModuleNotFoundError as error:
        if error.name in COURSE_MODULES and not Path(f"{error.name}.py").is_file():
            missing(f"{error.name}.py is not there, and {place_of(error)} imports it")
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write the result of a check into the journal."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if error or report.when == "call":
        status, text = str(report.outcome), ""
        if report.skipped:
            status, text = "missing", str(error).removeprefix("missing: ")
        elif isinstance(error, pytest.fail.Exception):
            text = str(error)
        elif error:
            status, text = "error", described(error)
        note(check=item.name.removeprefix("test_"), status=status, text=text)
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Let the exit code be 0 only if all passed: what is missing has not."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == pytest.ExitCode.OK and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


HINTS = {
    EOFError: "it reads from the keyboard, and here is none",
    SystemExit: "it ends the program; what only a script does belongs under"
    ' if __name__ == "__main__"',
    NameError: "a name that only the script below defines cannot be found by who imports"
    " the module; a trainer has its own in self",
}


def described(error: BaseException) -> str:
    """Describe an exception that a solution has raised, in lines."""
    hint = next((hint for kind, hint in HINTS.items() if isinstance(error, kind)), "")
    raised = traceback.format_exception_only(error)[-1]
    return layout(raised=f"{raised:.500}", where=place_of(error), hint=hint)


def place_of(error: BaseException) -> str:
    """Name the last line of the solution that an exception has come through."""
    if isinstance(error, SyntaxError):
        return f"{Path(error.filename or '').name}, line {error.lineno}"
    here = str(Path.cwd()) + os.sep
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(here):
            name = frame.filename.removeprefix(here)
            function = "" if frame.name == "<module>" else f", in {frame.name}"
            return f"{name}, line {frame.lineno}{function}"
    return ""
