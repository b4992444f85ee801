"""Check solutions of the assignment: their modules, by the names that the course gives them."""

from __future__ import annotations

import csv
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cli
from check import CHECKS, COURSE_MODULES, FULL, WIDTH
from check.runner import Result, run_checks
from output.files import atomic_path, check_file

Results = Mapping[str, Result]

LETTERS = {"passed": ".", "failed": "F", "missing": "-", "error": "E", "timeout": "T"}


def make_parser() -> cli.Parser:
    """Make the parser of the command line."""
    parser = cli.Parser(
        description=__doc__,
        epilog="Each folder is copied, and its code runs in a process of its own. That keeps its"
        " mistakes away from you, not its malice: run only code that you would run yourself."
        " Exit code 0: all checks passed; 1: some did not; 2: a folder could not be checked.",
    )
    parser.add_argument("folders", metavar="DIR", nargs="+", type=Path, help="has task2a.py, ...")
    parser.add_argument(
        "--full", action="store_true", help=f"check {FULL}, too; takes as long as a training"
    )
    parser.add_argument(
        "--timeout",
        type=cli.POSITIVE_INT,
        default=60,
        metavar="SECONDS",
        help="how long the code of a folder may run",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a row for each folder")
    return parser


def problem_of(folder: Path) -> str:
    """Say why a folder cannot be checked; empty if it can."""
    if not folder.is_dir():
        return "is no folder; expected one with the course's files, such as task2a.py"
    if any((folder / f"{module}.py").is_file() for module in COURSE_MODULES):
        return ""
    inside = next((path.parent for path in sorted(folder.glob("*/task2a.py"))), None)
    return "has none of the course's files, such as task2a.py" + (
        f"; {inside} has" if inside else ""
    )


def details(results: Results) -> Iterable[str]:
    """Give the lines for one folder: each check, and why it has not passed."""
    first: dict[str, str] = {}
    for check, result in results.items():
        yield f"{result.status:7}  {check}"
        if same := first.get(result.text):
            yield f"         the same as {same}"
        elif result.text:
            first[result.text] = check
            text = result.text if "\n" in result.text else textwrap.fill(result.text, WIDTH)
            yield textwrap.indent(text, " " * 9)
    passed = sum(result.status == "passed" for result in results.values())
    yield f"{passed} of {len(results)} checks passed"


def legend(rows: Mapping[Path, Results], checks: Sequence[str]) -> Iterable[str]:
    """Give the lines below a table: its letters, its columns, and how many passed each check."""
    letters = "  ".join(f"{letter} {status}" for status, letter in LETTERS.items())
    yield f"\n{letters}\n"
    for number, check in enumerate(checks, start=1):
        passed = sum(results[check].status == "passed" for results in rows.values())
        yield f"{number:2} {check:17} {passed} of {len(rows)} passed"


def write_csv(path: Path, rows: Mapping[Path, Results], checks: Sequence[str]) -> None:
    """Write the status of each check, a row for each folder."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["folder", *checks])
        for folder, results in rows.items():
            writer.writerow([folder, *(results[check].status for check in checks)])


def main(argv: Sequence[str] | None = None) -> int:
    """Check the folders that the command line names.

    Returns
    -------
    int
        The exit code: 0 if all checks passed, 1 if one did not, 2 if a folder is none or has none
        of the course's files. The others are checked all the same.
    """
    args = make_parser().parse_args(argv)
    checks = [check for check in CHECKS if args.full or check != FULL]
    if args.csv:
        check_file(args.csv)
        if any(args.csv.resolve().is_relative_to(folder.resolve()) for folder in args.folders):
            raise ValueError(f"--csv is {args.csv}; expected a file outside of what is checked")
    problems = {folder: problem_of(folder) for folder in args.folders}
    for folder, problem in problems.items():
        if problem:
            cli.fail(f"{folder}: {problem}")
    folders = [folder for folder in problems if folder.is_dir()]
    one_alone = len(args.folders) == 1
    if not folders or (one_alone and problems[folders[0]]):
        return cli.EXIT_ERROR
    width = min(max(len(str(folder)) for folder in folders), 80 - 3 * len(checks))
    if not one_alone:
        print(" " * width + "".join(f"{number:3}" for number in range(1, len(checks) + 1)))
    rows: dict[Path, Results] = {}
    for folder in folders:
        rows[folder] = run_checks(folder, checks, args.timeout)
        if one_alone:
            print(*details(rows[folder]), sep="\n", flush=True)
        else:
            letters = "".join(f"{LETTERS[result.status]:>3}" for result in rows[folder].values())
            print(f"{str(folder)[-width:]:{width}}{letters}", flush=True)
    if args.csv:
        write_csv(args.csv, rows, checks)
    if not one_alone:
        print(*legend(rows, checks), sep="\n")
    statuses = {result.status for results in rows.values() for result in results.values()}
    return cli.EXIT_ERROR if any(problems.values()) else int(statuses != {"passed"})


if __name__ == "__main__":
    cli.run(main)
