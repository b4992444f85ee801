"""Turn measurements into ``results.md`` and ``results.svg``."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.files import atomic_path
from runs.figures import house_style

Round = Mapping[str, Mapping[str, Any]]

ROWS = {
    "project": "**this project**",
    "floor": "its gathers and products alone",
    "floor in slices": "the same, with a step's products in slices",
    "jax": "JAX",
    "torch": "PyTorch",
    "numpy": "straightforward NumPy, float64",
    "sklearn": "scikit-learn, lbfgs",
}
FLOORS = ("floor", "floor in slices")
PACKAGES = ("numpy", "torch", "jax", "jaxlib", "scikit-learn", "scipy")
MB = 1e6


def median_and_range(values: Iterable[float], form: str = "{:.2f}") -> str:
    """Describe values by their median and, if there are several, the smallest and the largest."""
    values = list(values)
    middle = form.format(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({form.format(min(values))} … {form.format(max(values))})"


def each(rounds: Sequence[Round], name: str, key: str) -> list[float]:
    """Give one number of one measurement from each round."""
    return [measured[name][key] for measured in rounds]


def ratios(rounds: Sequence[Round], name: str, key: str, base: str = "project") -> list[float]:
    """Give how many times as much one measurement is as another, in each round.

    Both sides of a ratio come from the same round: what slows a whole round down cancels out.
    """
    return [measured[name][key] / measured[base][key] for measured in rounds]


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a Markdown table whose first column is text."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows))


def main_table(rounds: Sequence[Round]) -> str:
    """Compare the project with its rivals and its floor."""
    rows = []
    for name, label in ROWS.items():
        compilation = each(rounds, name, "compile_seconds")
        row = [
            label,
            median_and_range(each(rounds, name, "seconds")),
            median_and_range(ratios(rounds, name, "seconds")),
            median_and_range(compilation) if any(compilation) else "",
            median_and_range(each(rounds, name, "process_seconds")),
            median_and_range(ratios(rounds, name, "process_seconds")),
            f"{statistics.median(each(rounds, name, 'peak_memory')) / MB:.0f}",
        ]
        # Nobody waits for the process of a floor.
        rows.append([*row[:4], "", "", ""] if name in FLOORS else row)
    headings = ["", "training, s", "ratio", "compilation, s"]
    return table([*headings, "whole process, s", "ratio", "peak, MB"], rows)


def targets(rounds: Sequence[Round]) -> list[tuple[str, str, bool]]:
    """Compare medians with what the project is meant to reach.

    Returns
    -------
    list of (target, measured, reached)
    """

    def at_least(name: str, key: str, limit: float, what: str) -> tuple[str, str, bool]:
        values = ratios(rounds, name, key)
        return (
            f"{what}: at least {limit:g} × as fast as {ROWS[name]}",
            f"{median_and_range(values)} ×",
            statistics.median(values) >= limit,
        )

    def at_most(what: str, limit: float, values: Sequence[float]) -> tuple[str, str, bool]:
        return (
            f"{what}: at most {limit:g} ×",
            f"{median_and_range(values)} ×",
            statistics.median(values) <= limit,
        )

    memory = [
        measured["project"]["peak_memory"]
        / (1.5 * measured["project"]["data_bytes"] + measured["project"]["numpy_memory"])
        for measured in rounds
    ]
    tasks = [measured["tasks"]["seconds"] / measured["project"]["seconds"] for measured in rounds]
    return [
        at_least("jax", "seconds", 1.5, "training"),
        at_least("torch", "seconds", 3, "training"),
        at_least("numpy", "seconds", 4, "training"),
        at_least("jax", "process_seconds", 3, "whole process"),
        at_least("torch", "process_seconds", 3, "whole process"),
        at_most(
            "training, in relation to its gathers and products alone",
            1.25,
            ratios(rounds, "project", "seconds", "floor"),
        ),
        at_most(
            "peak memory, in relation to 1.5 × the float32 images + what importing NumPy takes",
            1,
            memory,
        ),
        at_most(
            "tasks 2, 3 and 4 in the terminal without their imports, in relation to the run",
            3,
            tasks,
        ),
    ]


def growth_table(rounds: Sequence[Round]) -> str:
    """Show what more training images cost."""
    rows = []
    for name in (name for name in rounds[0] if name.startswith("growth")):
        measured = [a_round[name] for a_round in rounds]
        steps = measured[0]["stop_step"] + 1
        memory = statistics.median(each(rounds, name, "peak_memory")) / MB
        limit = (1.5 * measured[0]["data_bytes"] + measured[0]["numpy_memory"]) / MB
        rows.append(
            [
                f"{int(name.split()[1]):,}".replace(",", " "),
                str(steps),
                median_and_range(
                    [1e6 * (m["seconds"] - m["validation_seconds"]) / steps for m in measured],
                    "{:.0f}",
                ),
                median_and_range(
                    [1e3 * m["validation_seconds"] / m["num_validations"] for m in measured]
                ),
                median_and_range([m["seconds"] for m in measured]),
                f"{memory:.0f}",
                f"{limit:.0f}",
            ]
        )
    headings = ["training images", "steps", "a step, µs", "a validation, ms"]
    return table([*headings, "training, s", "peak, MB", "limit, MB"], rows)


def summary(rounds: Sequence[Round]) -> str:
    """Say in four lines what the README says about speed."""
    run = rounds[0]["project"]
    seconds = statistics.median(each(rounds, "project", "seconds"))
    jax, torch, numpy, bare = (
        f"{statistics.median(ratios(rounds, name, 'seconds')):.2f}"
        for name in ("jax", "torch", "numpy", "floor in slices")
    )
    return f"""\
The softmax run without a penalty, {run["stop_step"] + 1} steps, takes {seconds:.2f} s on
{os.cpu_count()} cores (NumPy with {run["kernel"]}). For the same batches, updates and
validations JAX takes {jax} times as long, PyTorch {torch} times, plain NumPy in float64
{numpy} times; the bare gathers and products of this run take {bare} of its time."""


def machine(rounds: Sequence[Round], held_back: str) -> str:
    """Describe the machine, the versions, and the kernel of each side."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    sides: dict[str, list[str]] = {}
    for name, label in ROWS.items():
        if name not in FLOORS:
            sides.setdefault(rounds[0][name]["kernel"], []).append(label.strip("*"))
    kernels = "; ".join(f"{kernel} ({', '.join(labels)})" for kernel, labels in sides.items())
    variables = [
        f"{name}={value}" for name, value in os.environ.items() if name.endswith("_NUM_THREADS")
    ]
    return "\n".join(
        [
            f"- {model}, {os.cpu_count()} cores; {platform.system()} {platform.machine()}",
            f"- Python {platform.python_version()}, "
            + ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES),
            f"- Kernels of the matrix products: {kernels}",
            f"- NumPy picks its kernel {f'under **{held_back}**' if held_back else 'itself'};"
            f" {', '.join(variables) or 'no thread limits'}",
        ]
    )


def document(rounds: Sequence[Round], load: float, held_back: str) -> str:
    """Write the text of ``results.md``."""
    run = rounds[0]["project"]
    tasks = [measured["tasks"] for measured in rounds]
    logistic = rounds[0]["logistic"]
    scripts = ", ".join(
        f"`{name}.py` {median_and_range([task['scripts'][name] for task in tasks])} s"
        for name in tasks[0]["scripts"]
    )
    threads = [
        [
            label,
            median_and_range(each(rounds, name, "seconds")),
            median_and_range(each(rounds, f"{name}, one thread", "seconds")),
        ]
        for name, label in ROWS.items()
        if f"{name}, one thread" in rounds[0]
    ]
    step, loss, accuracy = run["stop_step"], run["best_loss"], run["best_accuracy"]
    iterations = rounds[0]["sklearn"]["max_iter"]
    together = median_and_range([task["process_seconds"] for task in tasks])
    imports = median_and_range([task["import_seconds"] for task in tasks])
    logistic_seconds = median_and_range(each(rounds, "logistic", "seconds"))
    logistic_process = median_and_range(each(rounds, "logistic", "process_seconds"))
    reached = [[what, value, "yes" if ok else "**no**"] for what, value, ok in targets(rounds)]
    return f"""\
# How fast, compared with what

`make bench` has written this file. Rounds: {len(rounds)}; each number is the median of the rounds,
with the smallest and the largest in parentheses. A ratio compares two processes of the same round.

{summary(rounds)}

{machine(rounds, held_back)}
- {datetime.datetime.now(datetime.UTC):%Y-%m-%d}; load of the machine before the start: {load:.2f}

## The softmax run

λ = 0, seed 0: {step + 1} steps, best validation loss {loss:.5f} at step {run["best_step"]}. JAX,
PyTorch and straightforward NumPy do the same work: the same batches, updates and validations. All
ended at step {step}, with the same validation losses to 1e-4. scikit-learn gets the {iterations}
iterations that it needs for the same validation accuracy, {accuracy:.2%}. The whole process
includes the imports, the reading of the images and the compilation. What has a ratio above 1 takes
longer than this project.

The gathers and products alone are what the run cannot avoid: the same shapes, as often. Cut into
slices, as `linear.py` does it, the small products of a step are quicker than in these shapes.

{main_table(rounds)}

![The same as bars](results.svg)

## What it is meant to reach

{table(["target", "measured", "reached"], reached)}

## Threads of the matrix products

Training in seconds, with the threads that NumPy takes by itself and with one.

{table(["", "by itself", "one"], threads)}

## More training images

At most 20 epochs. A step is measured without validations. The limit of the memory is 1.5 ×
the float32 images, plus what importing NumPy takes.

{growth_table(rounds)}

## The logistic run

Not shuffled, {logistic["stop_step"] + 1} steps: training {logistic_seconds} s, whole process
{logistic_process} s.

## Tasks 2, 3 and 4 in the terminal

All trainings and all figures: {scripts}; together {together} s.
Importing the modules and Matplotlib, three times, takes {imports} s of that.
"""


@house_style()
def draw(rounds: Sequence[Round]) -> Any:
    """Draw training and whole process as bars, one below the other.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    views = {"seconds": "training only", "process_seconds": "whole process"}
    figure = Figure(figsize=(7.5, 2.9))
    panels = figure.subplots(1, 2, sharey=True)
    names = list(ROWS)[::-1]
    for axes, (key, title) in zip(panels, views.items(), strict=True):
        for position, name in enumerate(names):
            if name in FLOORS and key == "process_seconds":
                continue
            values = each(rounds, name, key)
            middle = statistics.median(values)
            color = "0.15" if name == "project" else "0.85" if name in FLOORS else "0.6"
            axes.barh(position, middle, color=color, edgecolor="0.15", linewidth=0.5, height=0.7)
            axes.hlines(position, min(values), max(values), color="#D55E00", linewidth=1.5)
            ratio = statistics.median(ratios(rounds, name, key))
            note = "" if name == "project" else f"  ({ratio:.1f} ×)"
            axes.annotate(
                f"{middle:.1f} s{note}",
                (max(values), position),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axes.set_title(title, loc="left")
        axes.set_xlabel("seconds (in relation to this project)")
        axes.margins(x=0.35)
        axes.set_xlim(left=0)
        axes.grid(visible=False, axis="y")
    panels[0].set_yticks(range(len(names)), [ROWS[name].strip("*") for name in names])
    return figure


@house_style()
def write(rounds: Sequence[Round], folder: Path, load: float, held_back: str) -> list[Path]:
    """Write the table and the figure.

    Parameters
    ----------
    rounds : sequence of dict
        By name, the measurements of each round.
    folder : pathlib.Path
    load : float
        How busy the machine was before the first round.
    held_back : str
        What keeps NumPy from the kernel that it would pick itself.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    files = [folder / "results.md", folder / "results.svg"]
    with atomic_path(files[0]) as temporary:
        temporary.write_text(document(rounds, load, held_back), encoding="utf-8")
    with atomic_path(files[1]) as temporary:
        draw(rounds).savefig(temporary, metadata={"Date": None})
    return files
