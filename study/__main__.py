"""Repeat the experiments over many seeds and training sets; find the optima; keep the evidence."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # An IDE runs the file, not the module.

import cli
import mnist
from cli import POSITIVE_INT
from cli.training import save_figures
from output.files import check_folder
from study import evidence, figures
from study.engine import compute_all
from study.tasks import tasks_of_study
from utils import EPOCHS

SEEDS, CONTINUED_EPOCHS = 20, 400
OTHER_OUTPUT = Path("study-evidence")
OPTIONS: cli.Options = {
    "--seeds": {"type": POSITIVE_INT, "default": SEEDS, "help": "runs each"},
    "--epochs": {"type": POSITIVE_INT, "default": EPOCHS, "help": "the most epochs of a run"},
    "--continued-epochs": {
        "type": POSITIVE_INT,
        "default": CONTINUED_EPOCHS,
        "help": "epochs of the runs without early stopping",
    },
    "--data-dir": cli.DATA_OPTIONS["--data-dir"],
    "--output": {"type": Path, "metavar": "DIR", "help": "folder for the tables (see below)"},
    "--figures": cli.TASK_OPTIONS["--figures"],
    "--cache": {"type": Path, "default": ".study_cache", "metavar": "DIR", "help": "for results"},
    "--quiet": cli.DATA_OPTIONS["--quiet"],
}
EPILOG = f"""A study that was stopped goes on where it was: what is in its cache is not computed
again as long as code, data and NumPy are the same. The tables go to study/evidence, which the
report reads, if all settings of the study are the default, and otherwise to {OTHER_OUTPUT}."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the study as the command line says; see ``--help``.

    Returns
    -------
    int
        The exit code: 2 if a task failed.
    """
    parser = cli.Parser(__doc__, OPTIONS, epilog=EPILOG)
    where = parser.add_mutually_exclusive_group()
    text = "processes on this machine (default: one for each core)"
    where.add_argument("--jobs", type=POSITIVE_INT, help=text)
    where.add_argument("--scheduler", metavar="ADDRESS", help="use the workers of a Dask cluster")
    args = parser.parse_args(argv)
    settings = args.seeds, args.epochs, args.continued_epochs, args.data_dir.resolve()
    is_the_reports = settings == (SEEDS, EPOCHS, CONTINUED_EPOCHS, mnist.DATA_DIR.resolve())
    output = args.output or (evidence.FOLDER if is_the_reports else OTHER_OUTPUT)
    for folder in (output, args.figures, args.cache):
        check_folder(folder)
    tasks = tasks_of_study(*settings)
    results = compute_all(tasks, args.cache, args.jobs, args.scheduler, progress=not args.quiet)
    complete = len(results) == len(tasks)
    if not complete and output == evidence.FOLDER:
        cli.fail(f"{len(tasks) - len(results)} of {len(tasks)} tasks failed; {output} is as it was")
        return cli.EXIT_ERROR
    paths = evidence.write(results, output)
    paths += save_figures(figures.draw(output) if complete else {}, args)
    if not args.quiet:
        print(*(f"wrote {path}" for path in paths), sep="\n")
    return 0 if complete else cli.EXIT_ERROR


if __name__ == "__main__":
    cli.run(main)
