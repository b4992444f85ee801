"""The plugin for pytest: the option --solution, the copy of its folder, and the verdicts."""

import contextlib
import json
import operator
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.check import CHECKS, COURSE_MODULES, FULL, JOURNAL, PENALTIES, name_of_test
from tools.check.answers import ADVICE, NOTES, ONE_ELEMENT, layout
from tools.check.child import prepare_process
from tools.check.folders import copy_solution
from tools.check.numpy_names import restore_numpy

# pytest also looks for a conftest.py in the solution, and must not leave anything beside it.
if "--solution" in sys.argv:
    sys.dont_write_bytecode = True

# Hints, by a part of the message of an exception.
HINTS = {
    "only 0-dimensional arrays": ONE_ELEMENT,
    "with a sequence": ONE_ELEMENT,
    "Cannot cast ufunc": "-= cannot make floats of targets, which are integers: targets - outputs",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("check", "checks of a solution")
    group.addoption("--solution", metavar="DIR", type=Path, help="folder with the course's files")
    group.addoption("--full", action="store_true", help="also check what takes a whole training")
    group.addoption("--strict-advice", action="store_true", help="let advice be a failure")
    group.addoption(
        "--require-best-weights", action="store_true", help="fail what does not keep them"
    )
    group.addoption("--penalty", choices=[*PENALTIES], default="square", help="what R(w) is")


def pytest_configure(config: pytest.Config) -> None:
    """Undo for a solution what this project sets for its own tests."""
    solution = config.getoption("solution")
    if solution is None or not solution.is_dir():
        raise pytest.UsageError(f"--solution is {solution or 'not given'}; expected --solution DIR")
    config.addinivalue_line("filterwarnings", "ignore")
    if not config.getoption("full"):
        config.option.deselect = [
            f"tools/check/test_solution.py::{name_of_test(check)}" for check in FULL
        ]


@pytest.fixture(scope="session", autouse=True)
def solution(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Path]:
    """Run all checks in a copy of the solution."""
    folder = request.config.getoption("solution").resolve()
    if JOURNAL not in os.environ:  # Otherwise it is a copy already.
        folder = copy_solution(folder, tmp_path_factory.mktemp("copy").resolve())
    with pytest.MonkeyPatch.context() as patch:
        prepare_process(folder, patch)
        yield folder


@pytest.fixture(autouse=True)
def undo_side_effects(solution: Path) -> None:
    """Undo before each check what a solution has done in another one to all of the process."""
    restore_numpy()
    os.chdir(solution)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[Any]:
    """Turn the outcome of a check into a verdict, for pytest and, at once, for the journal."""
    report: Any = yield
    if call.excinfo or call.when == "call":
        status, text = verdict(call.excinfo.value if call.excinfo else None)
        if status == "advice" and item.config.getoption("strict_advice"):
            status = "failed"
        text = "\n".join(part for part in (text, *ADVICE, *NOTES) if part)
        ADVICE.clear()
        NOTES.clear()
        report.status, report.text = status, text
        if status == "missing":
            report.outcome, report.longrepr = "skipped", (str(item.path), None, text)
        elif status == "failed":
            report.outcome, report.longrepr = "failed", text
        if JOURNAL in os.environ:
            with open(os.environ[JOURNAL], "a", encoding="utf-8") as file:
                check = next(check for check in CHECKS if name_of_test(check) == item.name)
                print(json.dumps([check, status, text]), file=file)
    return report


def verdict(error: BaseException | None) -> tuple[str, str]:
    """Return the word for what a check has raised, and the reason."""
    if error is None:
        return "advice" if ADVICE else "passed", ""
    if isinstance(error, pytest.fail.Exception):
        return "failed", str(error)
    if isinstance(error, pytest.skip.Exception):
        return "missing", str(error)
    if isinstance(error, NotImplementedError):
        return "missing", f"{place_of(error)} raises {error!r}, as the starter code does"
    if isinstance(error, ModuleNotFoundError) and error.name in COURSE_MODULES:
        return "missing", f"{error.name}.py is missing, and {place_of(error)} uses it"
    if "'NoneType' object cannot be interpreted as an integer" in str(error):
        return "missing", f"{place_of(error)} has a size of None, as the starter code does"
    raised = traceback.format_exception_only(error)[-1]
    hints = [hint for part, hint in HINTS.items() if part in raised]
    return "error", layout(raised=f"{raised:.500}", where=place_of(error), hint="".join(hints))


def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    """Let pytest count advice separately."""
    return ("advice", "a", "ADVICE") if getattr(report, "status", "") == "advice" else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the advice."""
    for report in terminalreporter.stats.get("advice", []):
        terminalreporter.section(f"advice: {report.head_line}", "_")
        terminalreporter.line(report.text)


def place_of(error: BaseException) -> str:
    """Name the innermost line of the solution in the traceback of an exception."""
    if isinstance(error, SyntaxError):
        return f"{Path(error.filename or '').name}, line {error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if (file := Path(frame.filename)).is_relative_to(Path.cwd()):
            return f"{file.name}, line {frame.lineno}, in {frame.name}"
    # Where a function could not even be called, name the function.
    called = str(error).partition("()")[0]
    for module in COURSE_MODULES:
        with contextlib.suppress(KeyError, AttributeError):
            code = operator.attrgetter(called)(sys.modules[module]).__code__
            return f"{Path(code.co_filename).name}, line {code.co_firstlineno}, in {code.co_name}"
    return ""
