"""Errors that a user can fix: a command line prints them as one line, without a traceback.

Every other exception comes from a mistake in the code, for instance in a changed `backward`, and
keeps its traceback.
"""

import contextlib
import os
from collections.abc import Iterator


class InputError(ValueError):
    """An argument, option or file that this project refuses.

    Parameters
    ----------
    problem : str
        One line: the argument, what it was, and what is expected.
    argument : str, optional
        The name of the function's parameter, if `problem` begins with it. A command line replaces
        it by the option that the user typed.
    """

    def __init__(self, problem: str, argument: str | None = None) -> None:
        super().__init__(problem)
        self.argument = argument


class FileError(OSError):
    """A file or directory that cannot be read or written."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


@contextlib.contextmanager
def file_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn every OSError of the block into a `FileError` about this path."""
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        raise FileError(error.errno, error.strerror or str(error), str(path)) from error
