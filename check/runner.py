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
from dataclasses import dataclass
from pathlib import Path

from check import CHECKS

TESTS = Path(__file__).with_name("test_solution.py")
# More checks after so many timeouts would only wait longer.
MOST_TIMEOUTS = 2


@dataclass(frozen=True)
class Result:
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
    checks : sequence of str, a part of `CHECKS`
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
        events, ending = run_process(folder, waiting, timeout)
        results |= {
            event["check"]: Result(event["status"], event["text"])
            for event in events
            if "check" in event
        }
        waiting = [check for check in waiting if check not in results]
        if not waiting:
            break
        began = [event["began"] for event in events if "began" in event]
        last = events[-1] if events else {}
        status = "error" if ending else "timeout"
        timeouts += not ending
        if module := last.get("importing"):
            during = f"while {module}.py was imported"
            concerned = [check for check in waiting if module in CHECKS[check]]
        elif began and began[-1] in waiting:
            during, concerned = f"in the check {began[-1]}", [began[-1]]
        else:
            during, concerned = "before the first check", waiting
        if timeouts == MOST_TIMEOUTS:
            concerned = waiting
        why = ending or f"not done after {timeout:g} s"
        results |= dict.fromkeys(concerned, Result(status, f"{why}, {during}"))
    return {check: results[check] for check in checks}


def run_process(
    folder: Path, checks: Sequence[str], timeout: float
) -> tuple[list[dict[str, str]], str]:
    """Run checks in one process.

    Returns
    -------
    events : list of dict
        What `check.child.note` has noted.
    ending : str
        How the process ended, in words; empty if it was stopped after `timeout` seconds.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        journal = Path(temporary, "journal")
        work = Path(temporary, "work")
        work.mkdir()
        tests = [f"{TESTS}::test_{check}" for check in checks]
        command = [sys.executable, "-m", "pytest", *tests, "--full", "--capture=no", "-q"]
        command += ["--override-ini=addopts=", "-p", "no:cacheprovider"]
        command += [f"--solution={folder.resolve()}", f"--journal={journal}"]
        process = subprocess.Popen(
            command,
            cwd=work,
            env=environment(work),
            stdin=subprocess.DEVNULL,
            # However much it prints, nobody has to hold it.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            ending = described(process.wait(timeout))
        except subprocess.TimeoutExpired:
            ending = ""
        finally:
            stop(process)
        lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
        return [json.loads(line) for line in lines], ending


def environment(folder: Path) -> dict[str, str]:
    """Make an environment without pytest's settings, whose temporary files are in a folder."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST", "DISPLAY", "WAYLAND_DISPLAY"))
    }
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    return kept | temporary | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


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
    return f"its code crashed the process ({signal.Signals(-code).name})"
