"""Whole files or none, and a look at where they will go before the work begins."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Let a file be written under a temporary name, and give it its own name once it is whole.

    Parameters
    ----------
    path : path
        The file to write. Its folder is made if it is missing.

    Yields
    ------
    pathlib.Path
        A free name in the same folder, with the same ending. If the block raises, a file of this
        name is removed, and an older one at `path` stays as it was.

    Raises
    ------
    OSError
        If the folder cannot be made or written to, `path` is a folder, or the disk is full. It
        names `path`.
    """
    path = Path(path)
    # Its permissions are those of any new file, unlike those of the files of `tempfile`.
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        if temporary.exists():
            temporary.unlink()


def check_folder(folder: str | Path) -> Path:
    """See that files can be written to a folder, which need not exist yet, and give its path.

    Parameters
    ----------
    folder : path

    Raises
    ------
    OSError
        If that is not possible. Better said before the training than after it.
    """
    folder = Path(folder)
    # A link to nowhere is in the way, too.
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise NotADirectoryError(f"{existing}: is no folder; expected a folder or a free name")
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise OSError(f"{folder}: cannot write into {existing}: {error.strerror}") from error
    return folder


def check_file(path: Path) -> None:
    """See that a file can be written, in the place of an older one or in a new folder.

    Parameters
    ----------
    path : pathlib.Path

    Raises
    ------
    OSError
        If that is not possible.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; expected a file or a free name")
    # A device would be replaced by a file.
    if path.exists() and not path.is_file():
        raise OSError(f"{path}: is no regular file; expected a file or a free name")
    check_folder(path.parent)
