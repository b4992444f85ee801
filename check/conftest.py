"""The plugin for pytest: the option --solution, its folder, and the words for what happened."""

from __future__ import annotations

import argparse
import inspect
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from check import COURSE_MODULES, FULL, JOURNAL, PENALTIES
from check.answers import ADVICE, NOTES, layout, missing
from check.child import limit_memory, move_in, note
from check.folders import copy_solution

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
    group.addoption("--solution", metavar="DIR", type=folder, help=text)
    group.addoption("--full", action="store_true", help="train, too, for early stopping")
    group.addoption("--strict-advice", action="store_true", help="let advice be a failure")
    group.addoption("--penalty", choices=[*PENALTIES], default="square", help="what R(w) is")


def pytest_configure(config: pytest.Config) -> None:
    """Undo, for somebody else's code, what this project wants for its own tests."""
    # Who runs pytest above this folder has not got the option at all.
    if getattr(config.option, "solution", "") is None:
        raise pytest.UsageError(
            "--solution is not given; expected --solution DIR, with task2a.py, ..."
        )
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
        full = [item for item in items if item.name.removeprefix("test_") in FULL]
        config.hook.pytest_deselected(items=full)
        items[:] = [item for item in items if item not in full]


@pytest.fixture(scope="session", autouse=True)
def solution(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run all checks in a copy of the solution."""
    original = request.config.getoption("solution")
    if JOURNAL in os.environ:  # It is a copy already.
        with pytest.MonkeyPatch.context() as patch:
            move_in(original, patch)
            yield
        return
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
    ADVICE.clear()
    NOTES.clear()
    try:
        return (yield)
    except NotImplementedError as error:
        missing(f"{place_of(error)} raises NotImplementedError, as the starter code does")
    except ModuleNotFoundError as error:
        if error.name in COURSE_MODULES and not Path(f"{error.name}.py").is_file():
            missing(f"{error.name}.py is not there, and {place_of(error)} uses it")
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
        elif ADVICE:
            status = "failed" if item.config.getoption("--strict-advice") else "advice"
        text = "\n".join(part for part in (text, *ADVICE, *NOTES) if part)
        if status == "failed" and not error:
            report.outcome, report.longrepr = "failed", text
        report.advice = text if status == "advice" else ""  # type: ignore[attr-defined]
        note(check=item.name.removeprefix("test_"), status=status, text=text)
    return report


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Let pytest show and count advice as such."""
    has_advice = getattr(report, "advice", "") != ""
    return ("advice", "a", "ADVICE") if has_advice else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the advice is."""
    for report in terminalreporter.stats.get("advice", []):
        terminalreporter.section(f"advice: {report.head_line}", "_")
        terminalreporter.line(report.advice)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Let the exit code be 0 only if all passed: what is missing has not."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == pytest.ExitCode.OK and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


ONE_ELEMENT = (
    "since NumPy 2.4 an array of one element is no number any more: take the element, Y[i, 0] or"
    " Y[i].item() and not Y[i]"
)
# By kind and a part of the message.
HINTS: list[tuple[type[BaseException], str, str]] = [
    (EOFError, "", "it reads from the keyboard, and here is none"),
    (SystemExit, "", "it ends the program; what only a script does belongs under"
     ' if __name__ == "__main__"'),
    (NameError, "", "a name that only the script below defines cannot be found by who imports"
     " the module; a trainer has its own in self"),
    (TypeError, "only 0-dimensional arrays", ONE_ELEMENT),
    *((TypeError, part, "the course calls it with the arguments of the starter code; one of your"
       " own needs a default value") for part in ("positional argument", "keyword")),
    (TypeError, "Cannot cast ufunc", "targets are integers, as in the data set, and -= cannot store"
     " floats in them; make a new array: targets - outputs"),
    (ValueError, "with a sequence", ONE_ELEMENT),
    (ValueError, "could not be broadcast", "shapes do not fit: outputs are [N, K] and targets,"
     " too, with K = 1 in task 2 and one-hot rows in task 3"),
    (ImportError, "relative import", "the files are no package: from utils import ..., without"
     " the dot"),
]  # fmt: skip


def described(error: BaseException) -> str:
    """Describe an exception that a solution has raised, in lines."""
    raised = traceback.format_exception_only(error)[-1]
    fits = (hint for kind, part, hint in HINTS if isinstance(error, kind) and part in raised)
    return layout(raised=f"{raised:.500}", where=place_of(error), hint=next(fits, ""))


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
    return place_of_called(error)


def place_of_called(error: BaseException) -> str:
    """Name the line where a function of the solution begins that could not even be called."""
    called = re.match(r"([\w.]+)\(\)", str(error))
    for module in COURSE_MODULES if called else ():
        found: object = sys.modules.get(module)
        for part in called[1].split(".") if called else ():
            found = getattr(found, part, None)
        if inspect.isfunction(found) and found.__module__ == module:
            return f"{module}.py, line {found.__code__.co_firstlineno}, in {found.__name__}"
    return ""
