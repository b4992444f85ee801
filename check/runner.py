"""Runs the checks of one solution in a process of its own, which may crash or hang."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from check import CHECKS, JOURNAL

# More checks after so many timeouts would only wait longer.
MOST_TIMEOUTS = 2


class Result(NamedTuple):
    """What a check has found: status and, unless it is passed, lines that say why."""

    status: str
    text: str = ""


def run_checks(folder: Path, checks: Sequence[str], timeout: float) -> dict[str, Result]:
    """Run checks on the solution in a folder, whatever its code does.

    After a crash or a timeout, the checks that had not had their turn run in a new process, unless
    they need the module whose import has failed. After the second timeout they do not.

    Parameters
    ----------
    folder : pathlib.Path
    checks : sequence of str, a part of `CHECKS`, in its order
    timeout : float
        Seconds for a process.

    Returns
    -------
    dict of check to Result
        With the status "passed", "failed", "missing", "error" or "timeout".
    """
    results: dict[str, Result] = {}
    timeouts = 0
    while waiting := [check for check in checks if check not in results]:
        events, status, why = run_process(folder, waiting, timeout)
        results |= {e["check"]: Result(e["status"], e["text"]) for e in events if "check" in e}
        waiting = [check for check in waiting if check not in results]
        if not waiting:
            break
        timeouts += status == "timeout"
        if not events:
            during, concerned = "before the first check", waiting
        elif module := events[-1].get("importing"):
            during = f"while {module}.py was imported"
            concerned = [check for check in waiting if module in CHECKS[check]]
        else:
            during, concerned = f"in the check {waiting[0]}", waiting[:1]
        if timeouts == MOST_TIMEOUTS:
            concerned = waiting
        results |= dict.fromkeys(concerned, Result(status, f"{why}, {during}"))
    return {check: results[check] for check in checks}


def run_process(folder: Path, checks: Sequence[str], timeout: float) -> tuple[list, str, str]:
    """Run checks in one process.

    Returns
    -------
    events : list of dict
        What `check.child.note` has noted.
    status, why : str
        Of the check that had no time to end.
    """
    command = [sys.executable, "-m", "pytest", str(Path(__file__).parent)]
    command += ["-k", " or ".join(checks), "--full", f"--solution={folder.resolve()}"]
    command += ["--override-ini=addopts=", "--capture=no", "-p", "no:cacheprovider"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        journal = Path(temporary, "journal")
        journal.touch()
        environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
        environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), temporary)
        environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", JOURNAL: str(journal)}
        environment.pop("PYTHONOPTIMIZE", None)  # It would leave out what the checks assert.
        process = subprocess.Popen(
            command,
            cwd=temporary,
            env=environment,
            stdin=subprocess.DEVNULL,
            # However much it prints, nobody has to hold it.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            status, why = "error", described(process.wait(timeout))
        except subprocess.TimeoutExpired:
            status, why = "timeout", f"not done after {timeout:g} s"
        finally:
            stop(process)
        lines = journal.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines], status, why


def stop(process: subprocess.Popen) -> None:
    """End a process and all that it has started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def described(code: int) -> str:
    """Describe the exit code of a process that has ended too early."""
    if code >= 0:
        return f"its code ended the process with exit code {code}"
    names = {number.value: number.name for number in signal.Signals}
    return f"its code crashed the process ({names.get(-code, f'signal {-code}')})"
