"""bubblewrap around the process of a folder: what its code sees and may do on this machine."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/fonts",
          "/etc/alternatives", "/etc/localtime")  # fmt: skip
CLONE = ("tools/__init__.py", "tools/check", "common", "mnist", "pyproject.toml")
MOST_PROCESSES = 512
# To whom root's processes belong: one for each run, as the limit counts those of all its own.
NOBODY = 200_000 + os.getpid() % 65_536
# No limit of processes binds root.
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def bwrap(own: Path) -> list[str]:
    """Build what stands before the command of a process, to put it into a sandbox.

    It has no network and sees no other process; of the files it sees the system, Python and the
    checks, and can change only those of its own folder.

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
        # Nobody has to get through the folders above it.
        for folder in reversed(Path(path).parents[:-1]):
            command += ["--perms", "0755", "--dir", str(folder)]
        command += ["--bind" if path == str(own) else "--ro-bind", path, path]
    command += ["--chdir", str(own), "--setenv", "HOME", str(own), "--remount-ro", "/"]
    limit = ["prlimit", f"--nproc={MOST_PROCESSES}"]
    if not IS_ROOT:  # Everybody else needs a user namespace for the other ones.
        return [*command, "--unshare-user", *limit]
    command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", *limit]
    return [*command, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def hand_over(own: Path) -> None:
    """Give a folder and all in it to whom the process in the sandbox belongs."""
    if IS_ROOT:
        for path in (own, *own.rglob("*")):
            os.lchown(path, NOBODY, NOBODY)  # A link may lead anywhere.


def problem() -> str:
    """Say why there is no sandbox on this machine; empty if there is one."""
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed"
    with tempfile.TemporaryDirectory() as own:
        hand_over(Path(own))
        command = [*bwrap(Path(own)), sys.executable, "-c", "import numpy"]
        done = subprocess.run(command, capture_output=True, text=True)
    reason = done.stderr.strip().rpartition("\n")[2] or "no reason given"
    return f"bubblewrap does not work here ({reason:.60})" if done.returncode else ""
