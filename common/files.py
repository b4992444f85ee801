"""Writes files completely or not at all, and checks before the work begins that it can."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from common.errors import FileError, file_errors


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file under a temporary name, and rename it once it is complete.

    Parameters
    ----------
    path : path
        The file to write. Its directory is created if it is missing. A symbolic link stays, and the
        file that it points to is written.

    Yields
    ------
    pathlib.Path
        An unused name in the same directory, with the same suffix. If the block raises, a file of
        this name is removed, and an older one at `path` stays as it was.

    Raises
    ------
    FileError
        If the directory cannot be created or written to, `path` is a directory, or the disk is
        full.
    """
    target = Path(os.path.realpath(path))
    # Unlike a file made by `tempfile`, this one gets the usual permissions.
    temporary = target.with_name(f".{target.stem}-{os.getpid()}{target.suffix}")
    with file_errors(path):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(target)
        finally:
            if temporary.exists():
                temporary.unlink()


def check_directory(directory: str | Path) -> Path:
    """Check that files can be written to a directory, which need not exist yet, and return it.

    Raises
    ------
    FileError
        If they cannot. It is better to know that before the training than after it.
    """
    directory = Path(directory)
    parents = (directory, *directory.absolute().parents)
    # A dangling symbolic link is in the way, too.
    existing = next(path for path in parents if os.path.lexists(path))
    if not existing.is_dir():
        raise FileError(None, "is not a directory", str(existing))
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise FileError(
            error.errno, f"cannot write to it: {error.strerror}", str(existing)
        ) from error
    return directory


def check_file(path: Path) -> None:
    """Check that a file can be written, whether it exists or not.

    Raises
    ------
    FileError
        If it cannot.
    """
    if path.is_dir():
        raise FileError(None, "is a directory; expected a file", str(path))
    # Writing would replace a device, such as /dev/stdout, by a file.
    if path.exists() and not path.is_file():
        raise FileError(None, "is not a regular file", str(path))
    check_directory(Path(os.path.realpath(path)).parent)
