"""Is it noise? Tasks 2e and 4c over many seeds: one table, three figures, honest error bars.

`study_runs` says what the runs are, `study_workers` where they take place. This module measures
what came out, and is the command line.
"""

from __future__ import annotations

import cli

import csv
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from plots import new_figure, use_style
from study_runs import (
    CONFIGURATIONS,
    LAMBDA_OF,
    LOGISTIC,
    SHUFFLED,
    UNSHUFFLED,
    Result,
    Run,
    fingerprint,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, str | int | float]
Histories = Mapping[str, Sequence[Mapping[int, float]]]

CSV_FILE = Path(__file__).resolve().parent / "study.csv"
WHOLE_COLUMNS = ("seed", "stop_step", "best_step")
COLUMNS = (
    "configuration",
    *WHOLE_COLUMNS,
    "train_loss",
    "val_loss",
    "train_accuracy",
    "val_accuracy",
    "norm",
    "mean_change",
    "periodicity",
)

UNPENALISED, *PENALISED = LAMBDA_OF
# What a configuration is compared with.
REFERENCES = {SHUFFLED: UNSHUFFLED, **dict.fromkeys(PENALISED, UNPENALISED)}
LABELS = {
    SHUFFLED: "shuffled",
    UNSHUFFLED: "not shuffled",
    **{configuration: f"λ = {value:g}" for configuration, value in LAMBDA_OF.items()},
}
NUM_RESAMPLES = 10_000

# In its first epochs an accuracy rises by far more than it fluctuates.
FIRST_EPOCH = 3
# Fluctuations shrink as training goes on, so they are compared over epochs that all runs have.
LAST_EPOCH = 9
TREND_DEGREE = 2
# The way up from chance would take all of a figure's height.
FIRST_STEP_DRAWN = 30


def steps_and_values(
    accuracy: Mapping[int, float], first: float, end: float
) -> tuple[NDArray, ...]:
    """Cut the steps from `first` to before `end` out of a history, as two arrays."""
    chosen = {step: value for step, value in accuracy.items() if first <= step < end}
    return np.array(list(chosen)), np.array(list(chosen.values()))


def mean_absolute_change(accuracy: Mapping[int, float], steps_per_epoch: int) -> float:
    """Measure how much an accuracy jumps from one validation to the next.

    Parameters
    ----------
    accuracy : mapping of step to float
        A history with several validations in each epoch.
    steps_per_epoch : int > 0

    Returns
    -------
    float
        The mean of ``|change|`` in epochs 3 to 9, counted from 0: later than the steep rise at the
        start, and early enough for almost every run to get there. NaN for fewer than two
        validations.
    """
    first, end = FIRST_EPOCH * steps_per_epoch, (LAST_EPOCH + 1) * steps_per_epoch
    _, values = steps_and_values(accuracy, first, end)
    return float(np.abs(np.diff(values)).mean()) if len(values) > 1 else math.nan


def epoch_periodicity(accuracy: Mapping[int, float], steps_per_epoch: int) -> float:
    """Measure how much of an accuracy's fluctuation comes back at the same place of every epoch.

    Two least-squares fits are compared, over the validations from epoch 3 on. One is a trend, a
    parabola in the logarithm of the step. The other has in addition one free value for each phase,
    ``step % steps_per_epoch``. The result is the share of the variance around the trend that the
    phases explain: an adjusted R², in which each fit's sum of squares is divided by its degrees of
    freedom. Validations need not be at the same phases in each epoch.

    Parameters
    ----------
    accuracy : mapping of step to float
    steps_per_epoch : int > 0

    Returns
    -------
    float
        1 for a curve that repeats exactly. White noise gives 0 on average, whatever the number of
        phases, with a standard deviation of sqrt(2p / (m (m + p + 2))) for p phases less one and
        m validations more than free values: 0.06 for the unshuffled run of task 2e, but 0.3 for a
        run that stops a third as late. NaN if m is not positive or the trend leaves no variance.
    """
    steps, values = steps_and_values(accuracy, FIRST_EPOCH * steps_per_epoch, math.inf)
    if len(steps) == 0:
        return math.nan
    trend = np.vander(np.log1p(steps), TREND_DEGREE + 1)
    phases = (steps[:, np.newaxis] % steps_per_epoch == np.arange(steps_per_epoch)).astype(float)

    def variance_around(columns: NDArray) -> float:
        fit, _, rank, _ = np.linalg.lstsq(columns, values)
        degrees_of_freedom = len(values) - int(rank)
        squares = np.square(values - columns @ fit).sum()
        return float(squares / degrees_of_freedom) if degrees_of_freedom else math.nan

    around_trend = variance_around(trend)
    # A perfect trend leaves squares of rounding errors.
    if not around_trend > 1e-24:
        return math.nan
    return 1 - variance_around(np.hstack([trend, phases])) / around_trend


def row_of(result: Result) -> Row:
    """Make a run's row of the table.

    Parameters
    ----------
    result : Result

    Returns
    -------
    dict
        With the keys `COLUMNS`. ``mean_change`` and ``periodicity``, the measures of task 2e, are
        NaN for the softmax model.
    """
    row: Row = {column: getattr(result, column) for column in COLUMNS[:-2]}
    row["mean_change"] = row["periodicity"] = math.nan
    if result.configuration in LOGISTIC:
        # One thread, so that the table does not depend on the number of cores.
        with threadpool_limits(1, user_api="blas"):
            history = result.val_accuracies, result.steps_per_epoch
            row["mean_change"] = mean_absolute_change(*history)
            row["periodicity"] = epoch_periodicity(*history)
    return row


def write_csv(path: str | os.PathLike[str], rows: Iterable[Row]) -> None:
    """Write one line for each run, as a whole file or not at all.

    Parameters
    ----------
    path : path
    rows : iterable of dict
        With the keys `COLUMNS`. Floats are written with all their digits, NaN as an empty cell.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with (
        cli.atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            cells = [row[column] for column in COLUMNS]
            writer.writerow(["" if cell != cell else cell for cell in cells])


def read_csv(path: str | os.PathLike[str] = CSV_FILE) -> list[Row]:
    """Read what `write_csv` wrote.

    Parameters
    ----------
    path : path, default=the repository's ``study.csv``

    Returns
    -------
    list of dict
        One for each run, with the keys `COLUMNS`: ``configuration`` is a str; ``seed``,
        ``stop_step`` and ``best_step`` are int; the others float, NaN where the cell is empty.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it has other columns or cells.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file, restval="no cell")
        if tuple(lines.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path}: columns are {lines.fieldnames}; expected {list(COLUMNS)}")
        try:
            return [{name: parse_cell(name, cell) for name, cell in line.items()} for line in lines]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: line {lines.line_num}: {error}") from error


def parse_cell(column: str, text: str) -> str | int | float:
    """Give a cell the type of its column."""
    if column == "configuration":
        return text
    return int(text) if column in WHOLE_COLUMNS else float(text or "nan")


def values_by_seed(rows: Sequence[Row], configuration: str, column: str) -> dict[int, float]:
    """Pick the values of a column in the runs of a configuration.

    Parameters
    ----------
    rows : sequence of dict
        As `read_csv` gives them.
    configuration : str
        One of `CONFIGURATIONS`.
    column : str
        One of `COLUMNS`.

    Returns
    -------
    dict of seed to float

    Raises
    ------
    ValueError
        If the configuration has no rows.
    """
    values = {
        int(row["seed"]): float(row[column])
        for row in rows
        if row["configuration"] == configuration
    }
    if not values:
        raise ValueError(f"configuration is {configuration!r}; expected one that has rows")
    return values


def paired_difference(
    rows: Sequence[Row], a: str, b: str, column: str
) -> tuple[float, float, float, int]:
    """Estimate how much a configuration differs from another one, seed by seed.

    Parameters
    ----------
    rows : sequence of dict
        As `read_csv` gives them.
    a, b : str
        Two of `CONFIGURATIONS`.
    column : str
        One of `COLUMNS`.

    Returns
    -------
    mean : float
        Mean of the value of `a` minus the value of `b`, over the seeds for which both have one.
    low, high : float
        Ends of its 95 % interval, from 10 000 bootstrap resamples of the seeds.
    num_seeds : int

    Raises
    ------
    ValueError
        If there are fewer than two such seeds.
    """
    of_a, of_b = values_by_seed(rows, a, column), values_by_seed(rows, b, column)
    differences = np.array([of_a[seed] - of_b[seed] for seed in sorted(of_a.keys() & of_b.keys())])
    differences = differences[~np.isnan(differences)]
    count = len(differences)
    if count < 2:
        raise ValueError(
            f"{a} and {b} have a {column} for {count} seeds in common; expected at least 2"
        )
    draws = np.random.default_rng(0).integers(count, size=(NUM_RESAMPLES, count))
    low, high = np.quantile(differences[draws].mean(axis=1), [0.025, 0.975])
    return float(differences.mean()), float(low), float(high), count


def percentage_points(rows: Sequence[Row], a: str, b: str) -> tuple[float, float, float]:
    """Estimate a difference of validation accuracy: mean, low and high in percentage points."""
    mean, low, high, _ = paired_difference(rows, a, b, "val_accuracy")
    return 100 * mean, 100 * low, 100 * high


def figure_accuracy_bands(histories: Histories) -> Figure:
    """Draw the validation accuracy of all runs of a configuration as a band over the steps.

    Parameters
    ----------
    histories : dict of configuration to list of (dict of step to float)
        The validation accuracies of its runs.

    Returns
    -------
    matplotlib.figure.Figure
        The logistic model on the left, the softmax model on the right. Lines are medians, bands go
        from the 5th to the 95th percentile of the seeds, and both end where the first run stops.
    """
    import matplotlib.pyplot as plt

    figure, (logistic, softmax) = plt.subplots(1, 2, width_ratios=[2, 3])
    for configuration in CONFIGURATIONS:
        axes = softmax if configuration in LAMBDA_OF else logistic
        runs = histories[configuration]
        steps = sorted(set.intersection(*map(set, runs)) - set(range(FIRST_STEP_DRAWN)))
        accuracies = [[run[step] for step in steps] for run in runs]
        low, median, high = np.quantile(accuracies, [0.05, 0.5, 0.95], axis=0)
        (line,) = axes.plot(steps, median, label=LABELS[configuration])
        axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.25, linewidth=0)
    logistic.set(title="logistic", ylabel="validation accuracy")
    softmax.set(title="softmax", xscale="log")
    for axes in (logistic, softmax):
        axes.set_xlabel("gradient steps")
        axes.legend(loc="lower right")
    return figure


def figure_paired_differences(rows: Sequence[Row]) -> Figure:
    """Draw how much each configuration's validation accuracy differs from its reference.

    Parameters
    ----------
    rows : sequence of dict
        As `read_csv` gives them.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure("", xlabel="difference of validation accuracy, percentage points")
    for height, (configuration, reference) in enumerate(REFERENCES.items()):
        accuracies = values_by_seed(rows, configuration, "val_accuracy")
        others = values_by_seed(rows, reference, "val_accuracy")
        differences = [100 * (accuracies[seed] - others[seed]) for seed in accuracies]
        mean, low, high = percentage_points(rows, configuration, reference)
        (ticks,) = axes.plot(differences, [height + 0.25] * len(differences), "|", color="0.5")
        interval = axes.errorbar(
            mean, height, xerr=[[mean - low], [high - mean]], fmt="ko", markersize=4, capsize=4
        )
        text = f"{mean:+.2f}  [{low:+.2f}, {high:+.2f}]".replace("-", "−")
        axes.annotate(text, (1.02, height), xycoords=("axes fraction", "data"), va="center")
    axes.axvline(0, color="0.2", linewidth=1)
    # Differences of a hundredth and of ten points are to be seen in one figure.
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_xticks([-10, -1, -0.1, 0, 0.1], ["−10", "−1", "−0.1", "0", "0.1"])
    axes.margins(x=0.08)
    axes.set_yticks(
        range(len(REFERENCES)), [f"{LABELS[a]} − {LABELS[b]}" for a, b in REFERENCES.items()]
    )
    axes.invert_yaxis()
    axes.legend([interval, ticks], ["mean and 95 % interval", "one seed"], loc="lower right")
    return figure


def figure_norms(rows: Sequence[Row]) -> Figure:
    """Draw ‖w‖² of the finished softmax models against λ.

    Parameters
    ----------
    rows : sequence of dict
        As `read_csv` gives them.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_figure("‖w‖²", xlabel="λ")
    axes.set(xscale="log", yscale="log")
    means, lows, highs = np.array(
        [
            (np.mean(norms), np.min(norms), np.max(norms))
            for norms in (list(values_by_seed(rows, name, "norm").values()) for name in LAMBDA_OF)
        ]
    ).T
    points = axes.errorbar(
        [LAMBDA_OF[name] for name in PENALISED],
        means[1:],
        yerr=[means[1:] - lows[1:], highs[1:] - means[1:]],
        fmt="o-",
        capsize=4,
        label="λ > 0, mean and range of the seeds",
    )
    for name, mean in zip(PENALISED, means[1:], strict=True):
        axes.annotate(
            f"{mean:.3g}",
            (LAMBDA_OF[name], mean),
            xytext=(-6, -11),
            textcoords="offset points",
            ha="right",
        )
    line = axes.axhline(
        means[0], color="0.3", linestyle="--", label=f"λ = 0, the same ({means[0]:.3g})"
    )
    axes.axhspan(lows[0], highs[0], color="0.3", alpha=0.2, linewidth=0)
    axes.margins(x=0.1, y=0.1)
    axes.legend(handles=[points, line], loc="lower left")
    return figure


def draw(results: Sequence[Result], rows: Sequence[Row]) -> dict[str, Figure]:
    """Draw the figures of the study.

    Parameters
    ----------
    results : sequence of Result
    rows : sequence of dict
        As `row_of` makes them of the results.

    Returns
    -------
    dict of file name to matplotlib.figure.Figure
    """
    histories = {
        name: [result.val_accuracies for result in results if result.configuration == name]
        for name in CONFIGURATIONS
    }
    return {
        "study_accuracy_bands.png": figure_accuracy_bands(histories),
        "study_paired_differences.png": figure_paired_differences(rows),
        "study_norms.png": figure_norms(rows),
    }


def format_table(rows: Sequence[Row]) -> str:
    """Describe a study in a small table.

    Parameters
    ----------
    rows : sequence of dict
        As `read_csv` gives them.

    Returns
    -------
    str
        One line for each configuration: its mean validation accuracy and, in percentage points, how
        much it differs from its reference, with the 95 % interval.
    """
    lines = []
    for configuration in CONFIGURATIONS:
        accuracy = np.mean(list(values_by_seed(rows, configuration, "val_accuracy").values()))
        line = f"{configuration:24}{accuracy:8.2%}"
        if configuration in REFERENCES:
            reference = REFERENCES[configuration]
            mean, low, high = percentage_points(rows, configuration, reference)
            line += f"  {mean:+.3f} [{low:+.3f}, {high:+.3f}] points against {reference}"
        lines.append(line)
    return "\n".join(lines)


def make_parser() -> cli.Parser:
    """Make the parser of the command line."""
    parser = cli.make_parser(
        __doc__,
        {option: cli.DATA_OPTIONS[option] for option in ("--data-dir", "--quiet")},
        {"--epochs": cli.TRAINING_OPTIONS["--epochs"]},
        {"--figures": cli.OUTPUT_OPTIONS["--figures"]},
        data_dir=None,
    )
    parser.add_argument(
        "--seeds",
        type=cli.number(int, "an integer from 2 up", lambda value: value >= 2),
        default=20,
        metavar="N",
        help="runs of each configuration, with the seeds 0 to N - 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--jobs",
        type=cli.POSITIVE_INT,
        metavar="N",
        help="runs at the same time (default: the number of cores)",
    )
    parser.add_argument(
        "--blas-threads",
        type=cli.POSITIVE_INT,
        default=1,
        metavar="N",
        help="threads of each run; they change the last digits of results (default: %(default)s)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="make the runs on the Dask cluster of this scheduler, such as tcp://HOST:8786",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("study.csv"),
        metavar="FILE",
        help="the table to write (default: %(default)s)",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(".study_cache"),
        metavar="DIR",
        help="folder that keeps the results of single runs (default: %(default)s)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Make the study as the command line says; see ``--help``."""
    import joblib
    import matplotlib

    from study_workers import make_runs

    args = make_parser().parse_args(argv)
    matplotlib.use("Agg")
    use_style()
    cli.check_file(args.output)
    for folder in (args.figures, args.cache):
        cli.check_folder(folder)
    data_dir = None if args.data_dir is None else os.fspath(args.data_dir)
    settings = (args.epochs, args.blas_threads, fingerprint(data_dir), data_dir)
    runs = [
        Run(configuration, seed, *settings)
        for seed in range(args.seeds)
        for configuration in CONFIGURATIONS
    ]
    jobs = args.jobs or joblib.cpu_count()
    try:
        results = make_runs(runs, jobs, args.scheduler, args.cache, progress=not args.quiet)
    except KeyboardInterrupt:
        cli.fail(f"interrupted; {args.cache} keeps the runs that have ended")
        return cli.EXIT_INTERRUPTED
    if len(results) < len(runs):
        cli.fail(
            f"{len(runs) - len(results)} of {len(runs)} runs failed, and nothing is written;"
            f" {args.cache} keeps the others, and the same command makes those that are missing"
        )
        return cli.EXIT_ERROR
    results.sort(key=lambda result: (CONFIGURATIONS.index(result.configuration), result.seed))
    rows = [row_of(result) for result in results]
    write_csv(args.output, rows)
    paths = [args.output]
    for name, figure in draw(results, rows).items():
        paths.append(args.figures / name)
        with cli.atomic_path(paths[-1]) as temporary:
            figure.savefig(temporary)
    if not args.quiet:
        print(format_table(rows), *(f"wrote {path}" for path in paths), sep="\n")
    return 0


if __name__ == "__main__":
    cli.run(main)
