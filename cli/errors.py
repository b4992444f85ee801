"""How a command line ends: one line for an error, an exit code, a step finished on Ctrl-C."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


def run(main: Callable[[], int]) -> NoReturn:
    """Run a command line and turn what goes wrong into one line and an exit code.

    Parameters
    ----------
    main : callable
        Returns the exit code.

    Raises
    ------
    SystemExit
        With that exit code; 2 after an error; 130 after Ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What a console cannot print must not cost the results.
        sys.stdout.reconfigure(errors="replace")
    code = EXIT_ERROR
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has seen enough. Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        fail("interrupted")
        code = EXIT_INTERRUPTED
    except OSError as error:
        described = error.strerror and error.filename
        fail(f"{error.filename}: {error.strerror}" if described else str(error))
    except (ArithmeticError, AssertionError, ValueError) as error:
        fail(str(error))
    sys.exit(code)


def program() -> str:
    """Name the program as its user has called it: ``task2.py``, ``python -m report``."""
    path = Path(sys.argv[0])
    return f"python -m {path.parent.name}" if path.name == "__main__.py" else path.name


def fail(message: str) -> None:
    """Print an error as one line to standard error."""
    print(f"{program()}: error: {' '.join(message.split())}", file=sys.stderr)


@contextlib.contextmanager
def finish_step_on_ctrl_c() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C be asked for instead of raising; the second one raises as ever.

    Yields
    ------
    callable
        Tells whether Ctrl-C was pressed; for `after_step` of a trainer.
    """
    pressed = threading.Event()
    usual = signal.getsignal(signal.SIGINT)

    def first_ctrl_c(signal_number: int, frame: object) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, usual)

    # A command that was started with Ctrl-C ignored, by `nohup` for instance, goes on ignoring it.
    if usual is signal.default_int_handler:
        signal.signal(signal.SIGINT, first_ctrl_c)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, usual)
