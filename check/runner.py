"""Runs the checks of one solution in a process of its own, which may crash or hang."""

from __future__ import annotations

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
from typing import NamedTuple

import matplotlib

from check import CHECKS, JOURNAL, sandbox
from check.folders import copy_solution

# What a process may write down before it is no longer read.
MOST_TEXT = 1 << 20
# What it may say of a check.
STATUSES = ("passed", "advice", "failed", "missing", "error")
# More checks after so many timeouts would only wait longer.
MOST_TIMEOUTS = 2


class Result(NamedTuple):
    """What a check has found: status and, unless it is passed, lines that say why."""

    status: str
    text: str = ""


def run_checks(
    folder: Path,
    checks: Sequence[str],
    timeout: float,
    options: Sequence[str] = (),
    in_sandbox: bool = False,
) -> dict[str, Result]:
    """Run checks on the solution in a folder, whatever its code does.

    After a crash or a timeout, the checks that had not had their turn run in a new process, unless
    they need the module whose import has failed. After the second timeout they do not.

    Parameters
    ----------
    folder : pathlib.Path
    checks : sequence of str, a part of `CHECKS`, in its order
    timeout : float
        Seconds for a process.
    options : sequence of str
        Of pytest, such as ``--strict``.
    in_sandbox : bool

    Returns
    -------
    dict of check to Result
        With the status "passed", "advice", "failed", "missing", "error" or "timeout".
    """
    results: dict[str, Result] = {}
    timeouts = 0
    while waiting := [check for check in checks if check not in results]:
        events, status, why = run_process(folder, waiting, timeout, options, in_sandbox)
        results |= {e["check"]: Result(e["status"], e["text"]) for e in events if "check" in e}
        waiting = [check for check in waiting if check not in results]
        if not waiting:
            break
        timeouts += status == "timeout"
        if not events:
            during, concerned = "before the first check", waiting
        elif module := events[-1].get("importing"):
            during = f"while {module}.py was imported"
            needing = [check for check in waiting if module in CHECKS[check]]
            concerned = [waiting[0], *needing]
        else:
            during, concerned = f"in the check {waiting[0]}", waiting[:1]
        if timeouts == MOST_TIMEOUTS:
            concerned = waiting
        results |= dict.fromkeys(concerned, Result(status, f"{why}, {during}"))
    return {check: results[check] for check in checks}


def run_process(
    folder: Path, checks: Sequence[str], timeout: float, options: Sequence[str], in_sandbox: bool
) -> tuple[list[dict[str, str]], str, str]:
    """Run checks in one process, on a copy of the folder.

    Returns
    -------
    events : list of dict
        What `check.child.note` has noted.
    status, why : str
        Of the check that had no time to end.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        own = Path(temporary).resolve()
        copy, journal = own / "copy" / folder.resolve().name, own / "journal"
        copy_solution(folder, copy)
        copy_font_cache(own / "matplotlib")
        journal.touch()
        command = [sys.executable, "-m", "pytest", str(Path(__file__).parent)]
        command += ["-k", " or ".join(checks), "--full", f"--solution={copy}", *options]
        command += ["--override-ini=addopts=", "--capture=no", "-p", "no:cacheprovider"]
        # No check has an assert, and a sandbox could not store what rewriting them gives.
        command += ["--assert=plain"]
        if in_sandbox:
            sandbox.hand_over(own)
            command = [*sandbox.bwrap(own), *command]
        environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
        # Its matrices are small: a second thread would mostly wait, and use a core for that.
        environment["OPENBLAS_NUM_THREADS"] = "1"
        environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(own))
        environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", JOURNAL: str(journal)}
        environment |= {"MPLCONFIGDIR": str(own / "matplotlib")}
        environment.pop("PYTHONOPTIMIZE", None)  # It would leave out what somebody's code asserts.
        with journal.open(encoding="utf-8", errors="replace") as events:
            process = subprocess.Popen(
                command,
                cwd=own,
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
                stop(process, in_sandbox)
            return read_events(events.read(MOST_TEXT), checks), status, why


def copy_font_cache(target: Path) -> None:
    """Copy Matplotlib's list of fonts; without one it would make it anew each time."""
    target.mkdir()
    for path in Path(matplotlib.get_cachedir()).glob("fontlist*"):
        shutil.copy(path, target)


def read_events(text: str, checks: Sequence[str]) -> list[dict[str, str]]:
    """Read what was noted, in a file that a solution may have written to as well."""
    events = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            event = {str(key): str(value) for key, value in dict(json.loads(line)).items()}
            if "check" in event and (
                event["check"] not in checks or event.get("status") not in STATUSES
            ):
                continue
            # A terminal obeys some of what is not printable.
            characters = (c if c.isprintable() or c == "\n" else "?" for c in event.get("text", ""))
            events.append(event | {"text": "".join(characters)})
    return events


def stop(process: subprocess.Popen, in_sandbox: bool) -> None:
    """End a process and all that it has started."""
    # A sandbox's first process ends after all others in it, and bwrap after that one.
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        for child in children.read_text().split() if in_sandbox else ():
            os.kill(int(child), signal.SIGKILL)
            process.wait(10)
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def described(code: int) -> str:
    """Describe the exit code of a process that has ended too early."""
    if 128 < code < 128 + len(signal.Signals):  # What bubblewrap makes of a signal.
        code = 128 - code
    if code >= 0:
        return f"its code ended the process with exit code {code}"
    names = {number.value: number.name for number in signal.Signals}
    return f"its code crashed the process ({names.get(-code, f'signal {-code}')})"
