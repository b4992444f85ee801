"""Compare the speed of this project with JAX, PyTorch, scikit-learn and plain NumPy."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import results
from benchmarks.results import LABELS, OTHER_WORK, Measurement, Round
from benchmarks.work import LOSS_TOLERANCE, Run
from common.command_line import Parser, positive_int, run
from common.errors import InputError
from common.files import check_directory
from utils import EPOCHS

ROOT = Path(__file__).resolve().parent.parent
MAX_LOAD = 0.5
# On some machines these two keep NumPy from the kernel that it would pick itself.
HOLD_NUMPY_BACK = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
EPILOG = f"""The results are results.md and results.png. The processes that are timed do not get
{" and ".join(HOLD_NUMPY_BACK)}."""


def measure(name: str, num_epochs: int) -> Measurement:
    """Make one run, see `benchmarks.measure`, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.measure", name, str(num_epochs)]
    environment = {key: value for key, value in os.environ.items() if key not in HOLD_NUMPY_BACK}
    started_at = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C in the terminal reaches only this process.
    )
    with process:
        try:
            output = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process_seconds = time.perf_counter() - started_at
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            process.kill()
    if process.returncode != 0:
        raise InputError(f"{' '.join(command)} failed; see above")
    return Measurement(
        run=Run(**json.loads(output)),
        process_seconds=process_seconds,
        # In KiB, on macOS in bytes. On Linux never less than what this process has taken itself,
        # which is less than any of the runs takes.
        peak_memory=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    )


def check_same_work(measured: Round) -> None:
    """Raise an InputError if a rival did not stop where the project did, with the same losses."""
    ours = measured["project"].run
    for name in LABELS.keys() - OTHER_WORK:
        theirs = measured[name].run
        if theirs.stop_step != ours.stop_step:
            raise InputError(
                f"{name} stopped at step {theirs.stop_step}; expected {ours.stop_step},"
                " as the project"
            )
        for loss in ("best_loss", "last_loss"):
            value, expected = getattr(theirs, loss), getattr(ours, loss)
            # Not "greater than": NaN has to be refused as well.
            if not abs(value - expected) <= LOSS_TOLERANCE:
                raise InputError(
                    f"{name} has the {loss} {value}; expected {expected} ± {LOSS_TOLERANCE},"
                    " as the project"
                )


def measure_round(title: str, names: list[str], num_epochs: int) -> Round:
    """Measure everyone once, in this order, and check that they did the same work."""
    measured = {}
    for name in names:
        measured[name] = measure(name, num_epochs)
        print(
            f"{title}: {name}: training {measured[name].run.seconds:.2f} s,"
            f" whole process {measured[name].process_seconds:.2f} s",
            file=sys.stderr,
        )
    check_same_work(measured)
    return measured


def main() -> int:
    """Measure in rounds, and write the results."""
    parser = Parser(description=__doc__, epilog=EPILOG)
    parser.add_argument(
        "--rounds",
        type=positive_int,
        default=7,
        help="number of measurements of each, in turn (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs",
        type=positive_int,
        default=EPOCHS,
        help="maximum number of epochs of a run (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "benchmarks",
        metavar="DIR",
        help="directory for the results (default: benchmarks)",
    )
    parser.add_argument(
        "--even-if-busy",
        action="store_true",
        help=f"measure even if the load of the machine is above {MAX_LOAD}",
    )
    args = parser.parse_args()
    load = os.getloadavg()[0]
    if load > MAX_LOAD and not args.even_if_busy:
        raise InputError(
            f"other programs keep this machine busy: its load is {load:.2f}; expected at most"
            f" {MAX_LOAD}; wait, or measure all the same with --even-if-busy"
        )
    check_directory(args.output)
    rounds = []
    order = list(LABELS)
    for number in range(1, args.rounds + 1):
        rounds.append(measure_round(f"round {number} of {args.rounds}", order, args.epochs))
        order.reverse()
    for path in results.write(rounds, args.output, load):
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    run(main)
