"""Runs the checks of one solution in a process of its own, which may crash or hang."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

from tools.check import JOURNAL, name_of_test, sandbox, test_solution
from tools.check.folders import copy_solution

# How much of a journal is read, in characters.
MAX_JOURNAL = 1 << 20
# The verdicts on a check, and their letters in a table.
MARKS = {"passed": ".", "advice": "a", "failed": "F", "missing": "-", "error": "E", "timeout": "T"}
# Limits of memory and of the size of a file, where the system has them.
LIMITS = ["prlimit", f"--data={4 << 30}", f"--fsize={1 << 30}"] if shutil.which("prlimit") else []
# After so many timeouts, the checks that are left would probably run into another one.
MAX_TIMEOUTS = 2


class Result(NamedTuple):
    """The verdict on a check and, unless it has passed, lines that say why."""

    status: str
    text: str = ""


def run_checks(
    folder: Path, checks: Sequence[str], timeout: float, options: Sequence[str], in_sandbox: bool
) -> dict[str, Result]:
    """Run checks on the solution in a folder, whatever its code does.

    After a crash or a timeout, the checks that have not run yet run in a new process; after the
    second timeout they do not.

    Parameters
    ----------
    folder : pathlib.Path
    checks : sequence of str, a part of `CHECKS`, in its order
    timeout : float
        Seconds for a process.
    options : sequence of str
        Of pytest, such as ``--strict-advice``.
    in_sandbox : bool

    Returns
    -------
    dict of check to Result
        With the status "passed", "advice", "failed", "missing", "error" or "timeout".
    """
    results: dict[str, Result] = {}
    timeouts = 0
    while waiting := [check for check in checks if check not in results]:
        found, end = run_process(folder, waiting, timeout, options, in_sandbox)
        results |= found
        waiting = [check for check in waiting if check not in found]
        timeouts += end.status == "timeout"
        stopped = waiting if timeouts == MAX_TIMEOUTS else waiting[:1]
        results |= dict.fromkeys(stopped, end)
    return {check: results[check] for check in checks}


def run_process(
    folder: Path, checks: Sequence[str], timeout: float, options: Sequence[str], in_sandbox: bool
) -> tuple[dict[str, Result], Result]:
    """Run checks in one process, on a copy of the folder.

    Returns
    -------
    results : dict of check to Result
        Those of the checks that have ended.
    end : Result
        That of the check that was running when the process ended, if there was one.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        own = Path(temporary).resolve()
        copy = copy_solution(folder, own / "copy")
        # Without its list of fonts, Matplotlib would make one each time.
        left_out = shutil.ignore_patterns("*-lock", "tex.cache")
        shutil.copytree(matplotlib.get_cachedir(), own / "matplotlib", ignore=left_out)
        journal = own / "journal"
        journal.touch()
        tests = [f"{test_solution.__file__}::{name_of_test(check)}" for check in checks]
        command = [*LIMITS, sys.executable, "-m", "pytest", *tests]
        command += ["--full", f"--solution={copy}", *options]
        command += ["--override-ini=addopts=", "--capture=no", "-p", "no:cacheprovider"]
        # No check has an assert, and a sandbox could not store the rewritten modules.
        command += ["--assert=plain"]
        if in_sandbox:
            sandbox.change_owner(own)
            command = [*sandbox.bwrap(own), *command]
        environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
        environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", JOURNAL: str(journal)}
        environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(own))
        # Its matrices are small: a second thread would mostly wait, and use a core for that.
        environment |= {"OPENBLAS_NUM_THREADS": "1", "MPLCONFIGDIR": str(own / "matplotlib")}
        # What it prints is discarded: it can be of any size.
        streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        # It is opened before the process can put another file in its place.
        with journal.open(encoding="utf-8", errors="replace") as file:
            process = subprocess.Popen(
                command, cwd=own, env=environment, start_new_session=True, **streams
            )
            try:
                end = Result("error", describe_exit(process.wait(timeout)))
            except subprocess.TimeoutExpired:
                end = Result("timeout", f"not finished after {timeout:g} s")
            finally:
                stop(process)
            return read_results(file.read(MAX_JOURNAL), checks), end


def read_results(text: str, checks: Sequence[str]) -> dict[str, Result]:
    """Read the results in a journal, which a solution may have written to as well."""
    results = {}
    for line in text.splitlines():
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            check, status, why = json.loads(line)
            if check in checks and status in MARKS:
                # Some unprintable characters are commands to a terminal.
                characters = (c if c.isprintable() or c == "\n" else "?" for c in str(why))
                results[check] = Result(status, "".join(characters))
    return results


def stop(process: subprocess.Popen) -> None:
    """Kill a process and all processes that it has started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def describe_exit(code: int) -> str:
    """Describe the exit code of a process that has ended too early."""
    number = -code if code < 0 else code - 128  # This is how bubblewrap reports a signal.
    if number in {*signal.Signals}:
        return f"its code crashed the process ({signal.Signals(number).name})"
    return f"its code ended the process with exit code {code}"
