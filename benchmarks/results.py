"""Turn measurements into ``results.md`` and ``results.png``."""

import datetime
import importlib.metadata
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from tabulate import tabulate

from benchmarks.work import LOSS_TOLERANCE, Run
from common.files import atomic_path
from runs.figures import house_style

# By the module that makes the run.
LABELS = {
    "project": "this project",
    "rival_jax": "JAX",
    "rival_torch": "PyTorch",
    "rival_sklearn": "scikit-learn, MLPClassifier",
    "rival_numpy": "plain NumPy, float64",
    "rival_lbfgs": "scikit-learn, LogisticRegression",
}
OTHER_WORK = {"rival_lbfgs"}
PACKAGES = ("numpy", "jax", "jaxlib", "torch", "scikit-learn", "scipy")
ALIGNMENT = ("left", "left", "right", "right", "right", "right", "left")


class Measurement(NamedTuple):
    """One run, and its process.

    Attributes
    ----------
    run : Run
    process_seconds : float
        From the start of the process to its end.
    peak_memory : int
        Bytes.
    """

    run: Run
    process_seconds: float
    peak_memory: int


Round = Mapping[str, Measurement]  # by the names of `LABELS`


def median_and_range(values: Iterable[float]) -> str:
    """Give the median of some values and, in parentheses, the smallest and the largest."""
    values = list(values)
    return f"{statistics.median(values):.2f} ({min(values):.2f} … {max(values):.2f})"


def training_seconds(rounds: Sequence[Round], name: str) -> list[float]:
    """Give the duration of one's training in each round."""
    return [measured[name].run.seconds for measured in rounds]


def process_seconds(rounds: Sequence[Round], name: str) -> list[float]:
    """Give the duration of one's process in each round."""
    return [measured[name].process_seconds for measured in rounds]


def ratios(rounds: Sequence[Round], name: str) -> list[float]:
    """Give how many times as long as the project's one's training took, in each round.

    Both sides of a ratio are from the same round: what slows down a whole round cancels out.
    """
    return [measured[name].run.seconds / measured["project"].run.seconds for measured in rounds]


def work_of(rounds: Sequence[Round], name: str) -> str:
    """Say whether one does the same work as the project or, if not, what it does."""
    if name not in OTHER_WORK:
        return "yes"
    run = rounds[0][name].run
    return f"no: {run.stop_step} iterations of L-BFGS on all images, accuracy {run.accuracy:.2%}"


def table(rounds: Sequence[Round]) -> str:
    """Compare everyone, in Markdown."""
    rows = [
        {
            "": label,
            "same work": work_of(rounds, name),
            "training, s": median_and_range(training_seconds(rounds, name)),
            "ratio": median_and_range(ratios(rounds, name)),
            "whole process, s": median_and_range(process_seconds(rounds, name)),
            "peak memory, MB": round(
                statistics.median(measured[name].peak_memory for measured in rounds) / 1e6
            ),
            "kernel of the matrix products": rounds[0][name].run.kernel,
        }
        for name, label in LABELS.items()
    ]
    return tabulate(
        rows, headers="keys", tablefmt="pipe", disable_numparse=True, colalign=ALIGNMENT
    )


def summary(rounds: Sequence[Round]) -> str:
    """Say in a paragraph what the README says about speed."""
    run = rounds[0]["project"].run
    seconds = statistics.median(training_seconds(rounds, "project"))
    jax, torch, sklearn, numpy = (
        f"{statistics.median(ratios(rounds, name)):.2f}"
        for name in ("rival_jax", "rival_torch", "rival_sklearn", "rival_numpy")
    )
    return f"""\
The softmax run without a penalty, {run.stop_step + 1} steps, takes {seconds:.2f} s on
{os.cpu_count()} cores (NumPy with {run.kernel}).
For the same batches, updates and validations JAX takes {jax} times as long,
PyTorch {torch} times, scikit-learn {sklearn} times, plain NumPy in float64 {numpy} times."""


def document(rounds: Sequence[Round], load: float) -> str:
    """Write the text of ``results.md``."""
    run = rounds[0]["project"].run
    date = datetime.datetime.now(datetime.UTC).date()
    limits = [f"{key}={value}" for key, value in os.environ.items() if key.endswith("_NUM_THREADS")]
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return f"""\
# How fast, compared with what

{summary(rounds)}

{table(rounds)}

![Training and whole process of each as bars](results.png)

- `make bench` wrote this on {date}. Rounds: {len(rounds)}; load of the machine before the first:
  {load:.2f}.
- {system}, {versions}; thread limits: {", ".join(limits) or "none"}.
- Numbers are medians, with the smallest and the largest in parentheses. A ratio compares two
  trainings of the same round; above 1, this project is faster.
- The same work: the same batches, updates and validations, λ = 0. All stopped at step
  {run.stop_step}, with the same validation losses to {LOSS_TOLERANCE:g}, and reached a validation
  accuracy of {run.accuracy:.2%}.
- scikit-learn's `MLPClassifier` has no hidden layers here, which makes it softmax regression, and
  gets the batches through `partial_fit`. Most users would take `LogisticRegression`, which
  minimises the loss by another method, without validations.
- Training excludes compilation. The whole process includes it, the imports (Matplotlib's, too,
  since `task3.py` draws) and reading the images.
"""


@house_style()
def draw(rounds: Sequence[Round]) -> Figure:
    """Draw the training and the whole process of each as bars, medians with their range."""
    figure = Figure(figsize=(7.5, 2.7))
    panels = figure.subplots(1, 2, sharey=True)
    panels[0].set_title("training", loc="left")
    panels[1].set_title("whole process", loc="left")
    panels[0].invert_yaxis()
    for axes, seconds in zip(panels, (training_seconds, process_seconds), strict=True):
        for name, label in LABELS.items():
            values = seconds(rounds, name)
            middle = statistics.median(values)
            axes.barh(
                label,
                middle,
                color="#0072B2" if name == "project" else "0.7",
                hatch="///" if name in OTHER_WORK else None,
                edgecolor="0.15",
                linewidth=0.5,
            )
            axes.hlines(label, min(values), max(values), color="#D55E00")
            axes.annotate(
                f"{middle:.1f} s",
                (max(values), label),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
            )
        axes.set_xlabel("seconds")
        axes.set_xlim(0, 1.3 * max(max(seconds(rounds, name)) for name in LABELS))
        axes.grid(visible=False, axis="y")
    figure.supxlabel("hatched: other work, about the same accuracy", fontsize="medium")
    return figure


@house_style()
def write(rounds: Sequence[Round], directory: Path, load: float) -> list[Path]:
    """Write the table and the figure.

    Parameters
    ----------
    rounds : sequence of mapping
        The measurements of each round.
    directory : pathlib.Path
    load : float
        How busy the machine was before the first round.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    text, figure = directory / "results.md", directory / "results.png"
    with atomic_path(text) as temporary:
        temporary.write_text(document(rounds, load), encoding="utf-8")
    with atomic_path(figure) as temporary:
        draw(rounds).savefig(temporary)
    return [text, figure]
