"""What the command lines share: options, Ctrl-C, tables, files and errors."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

import mnist
from figures import save_figure, use_style
from trainer import BaseTrainer, train_together
from weights import save_weights

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


def number(
    kind: type[int] | type[float], expected: str, accepts: Callable[[Any], bool]
) -> Callable[[str], Any]:
    """Make a function for argparse that turns text into a number and refuses senseless ones.

    Parameters
    ----------
    kind : int or float
    expected : str
        What the error says is expected.
    accepts : callable
        Whether a number is a sensible one.

    Returns
    -------
    callable
    """

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not accepts(value):
            raise argparse.ArgumentTypeError(f"{text!r} given; expected {expected}")
        return value

    return parse


POSITIVE_INT = number(int, "an integer from 1 up", lambda value: value >= 1)
NATURAL = number(int, "an integer from 0 up", lambda value: value >= 0)
POSITIVE = number(float, "a finite number above 0", lambda value: 0 < value < math.inf)
NON_NEGATIVE = number(float, "a finite number from 0 up", lambda value: 0 <= value < math.inf)
DIGIT = number(int, "a digit from 0 to 9", lambda value: value in range(10))

Options = Mapping[str, Mapping[str, Any]]

DATA_OPTIONS: Options = {
    "--data-dir": {
        "type": Path,
        "default": mnist.DATA_DIR,
        "metavar": "DIR",
        "help": "folder with the four IDX files of a data set in MNIST's layout, plain or .gz"
        " (default: the repository's MNIST)",
    },
    "--seed": {
        "type": NATURAL,
        "default": 0,
        "metavar": "N",
        "help": "seed of everything random (default: %(default)s)",
    },
    "--quiet": {"action": "store_true", "help": "print nothing but errors"},
}
TRAINING_OPTIONS: Options = {
    "--epochs": {
        "type": POSITIVE_INT,
        "default": 500,
        "metavar": "N",
        "help": "the most epochs to train (default: %(default)s)",
    },
    "--learning-rate": {
        "type": POSITIVE,
        "metavar": "RATE",
        "help": "step size of gradient descent (default: %(default)s)",
    },
    "--batch-size": {
        "type": POSITIVE_INT,
        "default": 128,
        "metavar": "N",
        "help": "samples in a batch (default: %(default)s)",
    },
    "--patience": {
        "type": POSITIVE_INT,
        "default": 10,
        "metavar": "N",
        "help": "stop when the best validation loss is N validations old (default: %(default)s)",
    },
}
OUTPUT_OPTIONS: Options = {
    "--figures": {
        "type": Path,
        "default": Path("figures"),
        "metavar": "DIR",
        "help": "folder for the figures (default: %(default)s)",
    },
    "--weights": {
        "type": Path,
        "default": Path("weights"),
        "metavar": "DIR",
        "help": "folder for the trained weights (default: %(default)s)",
    },
    "--show": {"action": "store_true", "help": "open the figures in windows, too"},
}
DIGITS_OPTION: Options = {
    "--digits": {
        "type": DIGIT,
        "nargs": 2,
        "default": (2, 3),
        "metavar": ("ONE", "ZERO"),
        "help": "the digit of target 1 and the digit of target 0 (default: 2 3)",
    },
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and whose options cannot be shortened."""

    def __init__(self, description: str | None, epilog: str | None = None) -> None:
        super().__init__(description=description, epilog=epilog, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Print the message to standard error and end with exit code 2."""
        self.exit(EXIT_ERROR, f"{self.prog}: error: {message}\n")


def make_parser(description: str | None, *groups: Options, **defaults: object) -> Parser:
    """Make a parser out of groups of options.

    Parameters
    ----------
    description : str
        What ``--help`` says first.
    *groups : mapping of option to the arguments of ``add_argument``
    **defaults
        Defaults of options that differ from task to task.

    Returns
    -------
    Parser
    """
    parser = Parser(description)
    for group in groups:
        for option, arguments in group.items():
            parser.add_argument(option, **arguments)
    parser.set_defaults(**defaults)
    return parser


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
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has seen enough. Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_ERROR
    except KeyboardInterrupt:
        fail("interrupted")
        code = EXIT_INTERRUPTED
    except OSError as error:
        described = error.strerror and error.filename
        fail(f"{error.filename}: {error.strerror}" if described else str(error))
        code = EXIT_ERROR
    except (ArithmeticError, AssertionError, ValueError) as error:
        fail(str(error))
        code = EXIT_ERROR
    sys.exit(code)


def fail(message: str) -> None:
    """Print an error as one line to standard error."""
    print(f"{Path(sys.argv[0]).name}: error: {' '.join(message.split())}", file=sys.stderr)


@contextlib.contextmanager
def finish_step_on_ctrl_c() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C be asked for instead of raising; the second one raises as ever.

    Yields
    ------
    callable
        Tells whether Ctrl-C was pressed; meant as `should_stop` of a trainer.
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


def check(args: argparse.Namespace, what: str, passed: bool | np.bool_) -> None:
    """Report a check that passed, or end with the one that failed.

    Parameters
    ----------
    args : argparse.Namespace
        With the `DATA_OPTIONS`.
    what : str
        The function that is checked, and the result.
    passed : bool

    Raises
    ------
    AssertionError
        If it failed.
    """
    if not passed:
        raise AssertionError(f"failed: {what}")
    if not args.quiet:
        print(f"passed: {what}")


def training_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Pick the settings of a trainer out of the arguments."""
    return {
        "learning_rate": args.learning_rate,
        "batch_size": args.batch_size,
        "patience": args.patience,
        "seed": args.seed,
        "progress": not args.quiet,
    }


def run_settings(args: argparse.Namespace) -> dict[str, object]:
    """Pick what a weights file keeps of the arguments and a trainer does not know."""
    is_shipped = args.data_dir.resolve() == mnist.DATA_DIR.resolve()
    return {
        "data": mnist.SHIPPED if is_shipped else str(args.data_dir),
        "epochs": args.epochs,
        "seed": args.seed,
    }


def check_folder(folder: Path) -> None:
    """See that files can be written to a folder, which need not exist yet.

    Parameters
    ----------
    folder : pathlib.Path

    Raises
    ------
    OSError
        If that is not possible. Better said before the training than after it.
    """
    # A link to nowhere is in the way, too.
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise NotADirectoryError(f"{existing}: is no folder; expected a folder or a free name")
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise OSError(f"{folder}: cannot write into {existing}: {error.strerror}") from error


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
    check_folder(path.parent)


def check_windows() -> None:
    """See that Matplotlib can open windows.

    Raises
    ------
    ValueError
        If it can only write files.
    """
    # The import replaces a backend that cannot be loaded.
    import matplotlib.pyplot as plt
    from matplotlib.backends import BackendFilter, backend_registry

    backend = plt.get_backend()
    if backend.lower() in backend_registry.list_builtin(BackendFilter.NON_INTERACTIVE):
        raise ValueError(
            f"--show needs a program that opens windows, but Matplotlib has only {backend} here;"
            " without --show, the figures are written all the same"
        )


def run_experiment(
    args: argparse.Namespace,
    make_trainers: Callable[[Callable[[], bool]], Mapping[str, BaseTrainer]],
    draw: Callable[[Mapping[str, Any]], Mapping[str, Figure]],
    classes: Sequence[int],
    *,
    together: bool = False,
) -> int:
    """Train, print a table, and write weights and figures, even if the training was cut short.

    Parameters
    ----------
    args : argparse.Namespace
        With the `TRAINING_OPTIONS` and `OUTPUT_OPTIONS`.
    make_trainers : callable
        Gets `should_stop`; returns the trainers by the names of their weights files.
    draw : callable
        Gets those trainers that got somewhere; returns the figures by file name.
    classes : sequence of int
        What the outputs of the models mean, see `weights.SavedWeights`.
    together : bool, default=False
        Whether all trainers train on the same batches.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    FloatingPointError
        If a training diverged, after all that was done has been written.
    OSError
        If a file cannot be written.
    """
    import matplotlib

    if args.show:
        check_windows()
    else:
        matplotlib.use("Agg")
    use_style()
    check_folder(args.figures)
    check_folder(args.weights)
    divergence = None
    with finish_step_on_ctrl_c() as should_stop:
        trainers = make_trainers(should_stop)
        for name in trainers:
            check_file(args.weights / f"{name}.npz")
        runs = list(trainers.values())
        try:
            for group in [runs] if together else [[run] for run in runs]:
                if not should_stop():
                    train_together(group, args.epochs)
        except FloatingPointError as error:
            divergence = error
        done = {name: trainer for name, trainer in trainers.items() if trainer.val_history["loss"]}
        if done and not args.quiet:
            print(format_table(list(done.values())))
        for name, trainer in done.items():
            path = args.weights / f"{name}.npz"
            save_weights(path, trainer, {"classes": list(classes), **run_settings(args)})
            if not args.quiet:
                print(f"wrote {path}")
        for name, figure in draw(done).items():
            save_figure(figure, args.figures / name)
            if not args.quiet:
                print(f"wrote {args.figures / name}")
    if divergence is not None:
        raise divergence
    if should_stop():
        kept = "the best weights so far were kept" if done else "there was nothing to keep yet"
        fail(f"interrupted; {kept}")
        return EXIT_INTERRUPTED
    if args.show:
        import matplotlib.pyplot as plt

        plt.show()
    return 0


def format_table(trainers: Sequence[BaseTrainer]) -> str:
    """Describe finished runs in a small table.

    Parameters
    ----------
    trainers : sequence of BaseTrainer
        Runs with at least one validation.

    Returns
    -------
    str
        One column for each run: five of them fit into the 80 columns of a terminal.
    """
    formats = {
        "ended": "{}",
        "stop_step": "{}",
        "stop_epoch": "{}",
        "best_step": "{}",
        "train_loss": "{:.4f}",
        "val_loss": "{:.4f}",
        "train_accuracy": "{:.2%}",
        "val_accuracy": "{:.2%}",
        "seconds": "{:.1f} s",
    }
    summaries = [trainer.summary() for trainer in trainers]
    rows = [["run", *(trainer.name for trainer in trainers)]]
    for key, form in formats.items():
        rows.append([key.replace("_", " "), *(form.format(summary[key]) for summary in summaries)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
