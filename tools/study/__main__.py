"""Repeat the experiments over many seeds and training sets; find the optima; keep the evidence."""

from collections.abc import Sequence
from pathlib import Path

from common.command_line import EXIT_ERROR, EXIT_INTERRUPTED, Parser, fail, positive_int, run
from common.files import check_directory
from tools.study import evidence
from tools.study.engine import compute_all
from tools.study.tasks import tasks_of_study
from utils import EPOCHS

SEEDS = 20
OTHER_OUTPUT = Path("study-evidence")
EPILOG = f"""A study that was stopped resumes where it was: results in its cache are computed again
only if code, data or NumPy have changed. With the default settings the tables are written to
tools/study/evidence, which the report reads, otherwise to {OTHER_OUTPUT}."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study as the command line says; see ``--help``.

    Returns
    -------
    int
        The exit code: 2 if a task failed.
    """
    parser = Parser(description=__doc__, epilog=EPILOG)
    parser.add_argument(
        "--seeds",
        type=positive_int,
        default=SEEDS,
        help="number of seeds of each configuration (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs",
        type=positive_int,
        default=EPOCHS,
        help="maximum number of epochs of a run (default: %(default)s)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="directory for the tables (see below)"
    )
    parser.add_argument(
        "--jobs", type=positive_int, help="number of processes (default: one per core)"
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="use the workers of this Dask cluster instead of processes here",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(".study_cache"),
        metavar="DIR",
        help="directory for the results of single tasks (default: %(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    args = parser.parse_args(argv)
    is_the_reports = (args.seeds, args.epochs) == (SEEDS, EPOCHS)
    output = args.output or (evidence.FOLDER if is_the_reports else OTHER_OUTPUT)
    for folder in (output, args.cache):
        check_directory(folder)
    tasks = tasks_of_study(args.seeds, args.epochs)
    try:
        results = compute_all(
            tasks=tasks,
            cache=args.cache,
            where=args.scheduler or args.jobs,
            quiet=args.quiet,
        )
    except KeyboardInterrupt:
        kept = f"finished tasks are kept in {args.cache}"
        fail(f"interrupted; run the same command again to resume: {kept}")
        return EXIT_INTERRUPTED
    if failed := len(tasks) - len(results):
        fail(f"{failed} of {len(tasks)} tasks failed; the others are in {args.cache}")
        return EXIT_ERROR
    paths = evidence.write(results, output)
    if not args.quiet:
        print(*(f"wrote {path}" for path in paths), sep="\n")
    return 0


if __name__ == "__main__":
    run(main)
