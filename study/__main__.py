"""Repeat the experiments over many seeds and training sets; find the optima; keep the evidence."""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # An IDE runs the file, not the module.

import cli
from output.files import check_folder
from study import evidence
from study.engine import compute_all
from study.tasks import tasks_of_study
from utils import EPOCHS

SEEDS = 20
OTHER_OUTPUT = Path("study-evidence")
OPTIONS: cli.Options = {
    "--seeds": {"type": cli.POSITIVE_INT, "default": SEEDS, "help": "runs each"},
    "--epochs": {"type": cli.POSITIVE_INT, "default": EPOCHS, "help": "the most epochs of a run"},
    "--output": {"type": Path, "metavar": "DIR", "help": "folder for the tables (see below)"},
    "--jobs": {"type": cli.POSITIVE_INT, "help": "processes here (default: one for each core)"},
    "--scheduler": {"metavar": "ADDRESS", "help": "use the workers of this Dask cluster instead"},
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
    args = cli.Parser(__doc__, OPTIONS, epilog=EPILOG).parse_args(argv)
    is_the_reports = (args.seeds, args.epochs) == (SEEDS, EPOCHS)
    output = args.output or (evidence.FOLDER if is_the_reports else OTHER_OUTPUT)
    for folder in (output, args.cache):
        check_folder(folder)
    tasks = tasks_of_study(args.seeds, args.epochs)
    results = compute_all(tasks, args.cache, args.scheduler or args.jobs, args.quiet)
    if failed := len(tasks) - len(results):
        cli.fail(f"{failed} of {len(tasks)} tasks failed; the others are in {args.cache}")
        return cli.EXIT_ERROR
    paths = evidence.write(results, output)
    if not args.quiet:
        print(*(f"wrote {path}" for path in paths), sep="\n")
    return 0


if __name__ == "__main__":
    cli.run(main)
