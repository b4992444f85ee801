"""The plugin for pytest: the option --solution, its folder, and the words for what happened."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from check import COURSE_MODULES, FULL
from check.answers import WrongAnswer, layout, missing
from check.child import copy_solution, limit_memory, move_in, note, open_journal

# pytest looks for a conftest.py in the solution, too; nothing is to be left beside it.
if "--solution" in sys.argv:
    sys.dont_write_bytecode = True
# Somebody runs pytest in a folder above this one: the options are unknown then.
NOT_ASKED = object()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("check", "checks of a solution")
    group.addoption("--solution", metavar="DIR", type=Path, help="folder with the course's files")
    group.addoption("--full", action="store_true", help="train, too, for early stopping")
    group.addoption("--journal", metavar="FILE", type=Path, help="for python -m check")


def pytest_configure(config: pytest.Config) -> None:
    """Undo, for somebody else's code, what this project wants for its own tests."""
    solution = config.getoption("solution", NOT_ASKED)
    if solution is NOT_ASKED:
        return
    if solution is None:
        raise pytest.UsageError(
            "--solution DIR is needed: the folder with task2a.py and the others"
        )
    if not solution.is_dir():
        raise pytest.UsageError(f"--solution {solution}: is no folder")
    config.addinivalue_line("filterwarnings", "ignore")
    if hasattr(config.option, "dist"):
        config.option.dist, config.option.tx = "no", []
    if journal := config.getoption("journal"):
        open_journal(journal)
        limit_memory()


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Collect nothing when there is no solution."""
    return None if config.getoption("solution", None) else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the training out, unless all is asked for."""
    if not config.getoption("full"):
        config.hook.pytest_deselected(items=[item for item in items if name_of(item) == FULL])
        items[:] = [item for item in items if name_of(item) != FULL]


def name_of(item: pytest.Item) -> str:
    """Name a check."""
    return item.name.removeprefix("test_")


@pytest.fixture(scope="session", autouse=True)
def solution(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run all checks in a copy of the solution."""
    folder = request.config.getoption("solution").resolve()
    place, path = Path.cwd(), list(sys.path)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        copy = Path(temporary).resolve() / folder.name
        copy_solution(folder, copy)
        move_in(copy, folder)
        yield
        os.chdir(place)
        sys.path[:] = path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Turn what unfilled starter code raises into a missing part."""
    __tracebackhide__ = True
    note(began=name_of(item))
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
    if call.when == "call" or call.excinfo:
        error = call.excinfo.value if call.excinfo else None
        if error is None:
            note(check=name_of(item), status="passed", text="")
        elif isinstance(error, pytest.skip.Exception):
            text = str(error).removeprefix("missing: ")
            note(check=name_of(item), status="missing", text=text)
        elif isinstance(error, WrongAnswer):
            note(check=name_of(item), status="failed", text=str(error))
        else:
            note(check=name_of(item), status="error", text=described(error))
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Let the exit code be 0 only if all passed: what is missing has not."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == pytest.ExitCode.OK and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


HINTS = {
    EOFError: "it reads from the keyboard, and here is none",
    SystemExit: "it ends the program when it is imported; that belongs under"
    ' if __name__ == "__main__"',
    NameError: "a name that only the script below defines cannot be found by who imports"
    " the module; a trainer has its own in self",
    ModuleNotFoundError: "the package is not installed here",
}


def described(error: BaseException) -> str:
    """Describe an exception that a solution has raised, in lines."""
    hint = next((hint for kind, hint in HINTS.items() if isinstance(error, kind)), "")
    raised = traceback.format_exception_only(error)[-1]
    return layout({"raised": f"{raised:.500}", "where": place_of(error), "hint": hint})


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
