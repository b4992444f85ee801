"""Repeat the experiments over many seeds and training sets; find the optima; keep the evidence."""

from __future__ import annotations

import cli

import os
from collections.abc import Sequence
from pathlib import Path

import mnist
from plots import use_style
from study import evidence, figures
from study.engine import compute_all
from study.runs import tasks_of_study

SEEDS, EPOCHS, CONTINUED_EPOCHS = 20, 500, 400
OTHER_OUTPUT = Path("study-evidence")


def make_parser() -> cli.Parser:
    """Make the parser of the command line."""
    parser = cli.Parser(
        description=__doc__,
        epilog="A study that was stopped goes on where it was: what is in its cache is not computed"
        " again as long as code, data and NumPy are the same.",
    )

    def add(option: str, **settings: object) -> None:
        parser.add_argument(f"--{option}", **settings)  # type: ignore[arg-type]

    shown = " (default: %(default)s)"
    add("seeds", type=cli.POSITIVE_INT, default=SEEDS, metavar="N", help=f"runs each{shown}")
    add("epochs", type=cli.POSITIVE_INT, default=EPOCHS, metavar="N", help=f"at most{shown}")
    add(
        "continued-epochs",
        type=cli.POSITIVE_INT,
        default=CONTINUED_EPOCHS,
        metavar="N",
        help=f"epochs of the runs without early stopping{shown}",
    )
    add("data-dir", type=Path, default=mnist.DATA_DIR, metavar="DIR", help="default: MNIST")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--jobs",
        type=cli.POSITIVE_INT,
        metavar="N",
        help=f"processes on this machine (default: {os.cpu_count()}, one for each core)",
    )
    where.add_argument("--scheduler", metavar="ADDRESS", help="use the workers of a Dask cluster")
    add(
        "output",
        type=Path,
        metavar="DIR",
        help="folder for the tables (default: study/evidence, which the report reads, if all"
        f" other settings are the default; otherwise {OTHER_OUTPUT})",
    )
    add("figures", type=Path, default=Path("figures"), metavar="DIR", help=f"folder{shown}")
    add("cache", type=Path, default=Path(".study_cache"), metavar="DIR", help=f"folder{shown}")
    add("quiet", action="store_true", help="print nothing but errors")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study as the command line says; see ``--help``.

    Returns
    -------
    int
        The exit code: 2 if a task failed.
    """
    args = make_parser().parse_args(argv)
    is_the_reports = (args.seeds, args.epochs, args.continued_epochs, args.data_dir.resolve()) == (
        SEEDS,
        EPOCHS,
        CONTINUED_EPOCHS,
        mnist.DATA_DIR.resolve(),
    )
    output = args.output or (evidence.FOLDER if is_the_reports else OTHER_OUTPUT)
    for folder in (output, args.figures, args.cache):
        cli.check_folder(folder)
    tasks = tasks_of_study(args.seeds, args.epochs, args.continued_epochs, args.data_dir)
    results = compute_all(tasks, args.cache, args.jobs, args.scheduler, progress=not args.quiet)
    complete = len(results) == len(tasks)
    if not complete and output == evidence.FOLDER:
        cli.fail(f"{len(tasks) - len(results)} of {len(tasks)} tasks failed; {output} is as it was")
        return cli.EXIT_ERROR
    paths = evidence.write(results, output)
    use_style()
    drawn = figures.draw(output) if complete else {}
    paths += cli.save_figures(drawn, args)
    if not args.quiet:
        print(*(f"wrote {path}" for path in paths), sep="\n")
    return 0 if complete else cli.EXIT_ERROR


if __name__ == "__main__":
    cli.run(main)
