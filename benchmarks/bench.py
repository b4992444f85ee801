"""Measure the project against frameworks and against its own matrix products: ``make bench``.

Every measurement is a process of its own. A round makes each of them once, the next round makes
them in the opposite order. Writes ``results.md`` and ``results.svg``.

This process imports next to nothing: on Linux a new process inherits the peak memory of the one
that started it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SAME_WORK = ("torch", "jax", "numpy")
LOSS_TOLERANCE = 1e-4
GROWTH_IMAGES = (5_000, 10_000, 20_000, 40_000, 60_000)
GROWTH_EPOCHS = 20
TASKS = ("task2", "task3", "task4")

Measurement = dict[str, Any]
Round = dict[str, Measurement]


def run_process(*command: str) -> tuple[str, float]:
    """Run Python and give what it prints and the seconds from start to end.

    Raises
    ------
    SystemExit
        If it fails.
    """
    start = time.perf_counter()
    process = subprocess.run(
        [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"bench: {' '.join(command)} ended with exit code {process.returncode}")
    return process.stdout, seconds


def measure(name: str, /, **settings: object) -> Measurement:
    """Make one measurement of `benchmarks.measure` in a process of its own."""
    output, seconds = run_process("-m", "benchmarks.measure", name, json.dumps(settings))
    return {**json.loads(output), "process_seconds": seconds}


def measure_tasks() -> Measurement:
    """Run the scripts of tasks 2, 3 and 4 in a terminal's way, and their imports alone."""
    with tempfile.TemporaryDirectory() as folder:
        output = ("--quiet", "--figures", f"{folder}/figures", "--weights", f"{folder}/weights")
        scripts = {task: run_process(f"{task}.py", *output)[1] for task in TASKS}
    imports = [run_process("-c", f"import {task}, matplotlib.pyplot")[1] for task in TASKS]
    return {
        "seconds": sum(scripts.values()) - sum(imports),
        "process_seconds": sum(scripts.values()),
        "import_seconds": sum(imports),
        "scripts": scripts,
    }


def check_same_work(measured: Round) -> None:
    """Refuse rivals that have not done the work of the project's run.

    Parameters
    ----------
    measured : dict
        One round.

    Raises
    ------
    SystemExit
        With the rival and the difference.
    """
    ours = measured["project"]
    for name in SAME_WORK:
        theirs = measured[name]
        if theirs["stop_step"] != ours["stop_step"]:
            raise SystemExit(
                f"bench: {name} stopped at step {theirs['stop_step']};"
                f" expected {ours['stop_step']}, as the project"
            )
        for loss in ("best_loss", "last_loss"):
            # Not "greater than": NaN has to be refused as well.
            if not abs(theirs[loss] - ours[loss]) <= LOSS_TOLERANCE:
                raise SystemExit(
                    f"bench: {name} has the {loss} {theirs[loss]};"
                    f" expected {ours[loss]} ± {LOSS_TOLERANCE:g}, as the project"
                )


def make_plan(num_epochs: int, images: tuple[int, ...]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name each measurement of a round, and tell what it needs.

    Parameters
    ----------
    num_epochs : int
        The most epochs of each run.
    images : tuple of int
        Numbers of training images to see the growth.

    Returns
    -------
    dict
        By name: the function of `benchmarks.measure` and its arguments.
    """
    say("preparing: the shapes of the floor, the iterations of scikit-learn")
    watched = measure("watched", num_epochs=num_epochs)
    max_iter = measure("sklearn_max_iter", accuracy=watched["best_accuracy"])["max_iter"]
    epochs = {"num_epochs": num_epochs}
    products = {"num_steps": watched["stop_step"] + 1, "passes": watched["passes"]}
    return {
        "project": ("project", epochs),
        "floor": ("floor", products),
        "floor in slices": ("floor", {"in_slices": True, **products}),
        **{name: ("rival", {"name": name, **epochs}) for name in SAME_WORK},
        "sklearn": ("sklearn", {"max_iter": max_iter}),
        "project, one thread": ("project", {"threads": 1, **epochs}),
        "floor, one thread": ("floor", {"threads": 1, **products}),
        "floor in slices, one thread": ("floor", {"threads": 1, "in_slices": True, **products}),
        "logistic": ("logistic", epochs),
        **{
            f"growth {num_images}": (
                "growth",
                {"num_images": num_images, "num_epochs": min(num_epochs, GROWTH_EPOCHS)},
            )
            for num_images in images
        },
    }


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure the project, its rivals and its floor.")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round of one epoch, to see that everything works; writes to a temporary folder",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for the results (default: benchmarks)"
    )
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error(f"--rounds is {args.rounds}; expected at least 1")
    if args.quick:
        args.rounds = 1
    if args.output is None:
        args.output = Path(tempfile.mkdtemp()) if args.quick else ROOT / "benchmarks"
    return args


def held_back() -> str:
    """Name the environment variables that keep NumPy from the kernel that it would pick itself."""
    names = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    return ", ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ)


def say(message: str) -> None:
    """Tell the user what is going on."""
    print(f"bench: {message}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure in rounds and write the results."""
    args = parse_arguments()
    load = os.getloadavg()[0]
    if load > 0.5:
        say(f"other processes keep the machine busy (load {load:.1f}); do not trust the times")
    if held_back():
        say(f"NumPy is held back by {held_back()}; unset both together to measure its own kernel")
    if args.quick:
        plan = make_plan(num_epochs=1, images=GROWTH_IMAGES[:2])
    else:
        plan = make_plan(num_epochs=500, images=GROWTH_IMAGES)

    rounds: list[Round] = []
    for number in range(args.rounds):
        order = [*plan, "tasks"]
        if number % 2:
            order.reverse()
        measured: Round = {}
        for name in order:
            if name == "tasks":
                measured[name] = measure_tasks()
            else:
                function, settings = plan[name]
                measured[name] = measure(function, **settings)
            say(
                f"round {number + 1} of {args.rounds}: {name}:"
                f" {measured[name]['seconds']:.2f} s, whole process"
                f" {measured[name]['process_seconds']:.2f} s"
            )
        check_same_work(measured)
        rounds.append(measured)

    from benchmarks import results

    for path in results.write(rounds, args.output, load, held_back()):
        say(f"wrote {path}")


if __name__ == "__main__":
    main()
