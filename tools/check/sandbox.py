"""Runs the process of a solution under bubblewrap, without network and other files."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/fonts",
          "/etc/alternatives", "/etc/localtime")  # fmt: skip
# The parts of this project that the checks need.
CLONE = ("tools/__init__.py", "tools/check", "common", "mnist", "pyproject.toml")
MAX_PROCESSES = 512
# The user of the process if root starts it. Each run has its own, as the limit counts the processes
# of a user.
NOBODY = 200_000 + os.getpid() % 65_536
# Limits on processes do not apply to root.
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def bwrap(own: Path) -> list[str]:
    """Build the command that runs another command, appended to it, in a sandbox.

    That has no network and sees no other process. It sees only the files of the system, of Python
    and of the checks, and can change only those in its own folder.

    Parameters
    ----------
    own : pathlib.Path
        The folder that the process may write to.

    Returns
    -------
    list of str
    """
    packages = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    seen = [*SYSTEM, sys.base_prefix, sys.prefix, *packages, *(str(ROOT / part) for part in CLONE)]
    command = ["bwrap", "--die-with-parent", "--new-session", "--proc", "/proc", "--dev", "/dev"]
    command += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    for path in (*filter(os.path.exists, seen), str(own)):
        # Any user must be able to pass through the folders above it.
        for folder in reversed(Path(path).parents[:-1]):
            command += ["--perms", "0755", "--dir", str(folder)]
        command += ["--bind" if path == str(own) else "--ro-bind", path, path]
    command += ["--chdir", str(own), "--setenv", "HOME", str(own), "--remount-ro", "/"]
    limit = ["prlimit", f"--nproc={MAX_PROCESSES}"]
    if not IS_ROOT:  # Other users need a user namespace to create the other ones.
        return [*command, "--unshare-user", *limit]
    command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", *limit]
    return [*command, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def change_owner(own: Path) -> None:
    """Give a folder and all in it to the user of the process in the sandbox."""
    if IS_ROOT:
        for path in (own, *own.rglob("*")):
            os.lchown(path, NOBODY, NOBODY)  # Do not follow links.


def problem() -> str:
    """Return why there is no sandbox on this machine; empty if there is one."""
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed"
    with tempfile.TemporaryDirectory() as own:
        change_owner(Path(own))
        command = [*bwrap(Path(own)), sys.executable, "-c", "import numpy"]
        done = subprocess.run(command, capture_output=True, text=True)
    reason = done.stderr.strip().rpartition("\n")[2] or "no reason given"
    return f"bubblewrap does not work here ({reason:.60})" if done.returncode else ""
