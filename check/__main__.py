"""Check solutions of the assignment: their modules, by the names that the course gives them."""

from __future__ import annotations

import csv
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # An IDE runs the file, not the module.

import cli
from check import CHECKS, FULL, PENALTIES, WIDTH, sandbox
from check.folders import Found, look_into
from check.runner import Result, run_checks
from output.files import atomic_path, check_file

Results = Mapping[str, Result]

LETTERS = {
    "passed": ".",
    "advice": "a",
    "failed": "F",
    "missing": "-",
    "error": "E",
    "timeout": "T",
}
PASSED = ("passed", "advice")
COLUMNS = 80
SANDBOX = "In a sandbox (bubblewrap): no network, and no files but Python's and its own."
NO_SANDBOX = "No sandbox: {}. Run only what you would run yourself."


def make_parser() -> cli.Parser:
    """Make the parser of the command line."""
    parser = cli.Parser(
        description=__doc__,
        epilog="Each folder is copied, and its code runs in a process of its own, in a sandbox"
        " where bubblewrap is installed. Where it is not, run only what you would run yourself."
        " Exit code 0: all checks passed; 1: some did not; 2: a folder could not be checked.",
    )
    parser.add_argument("folders", metavar="DIR", nargs="+", type=Path, help="has task2a.py, ...")
    parser.add_argument(
        "--full", action="store_true", help=f"{' and '.join(FULL)}, too; as long as a training"
    )
    parser.add_argument(
        "--timeout",
        type=cli.POSITIVE_INT,
        default=60,
        metavar="SECONDS",
        help="how long the code of a folder may run",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a row for each folder")
    parser.add_argument("--strict", action="store_true", help="let advice be a failure")
    formulas = ", ".join(f"{name}: R = {R.replace('λ ', '')}" for name, (R, _) in PENALTIES.items())
    parser.add_argument(
        "--penalty",
        choices=[*PENALTIES],
        default="square",
        help=f"what the penalty λR is ({formulas}; default: %(default)s)",
    )
    parser.add_argument(
        "--no-sandbox",
        dest="sandbox",
        action="store_false",
        help="run the code with your own rights, even where bubblewrap is installed",
    )
    return parser


def labels(folders: Sequence[Path], width: int) -> list[str]:
    """Name folders in at most `width` characters, by the part of their paths that differs."""
    parts = [folder.resolve().parts for folder in folders]
    if len(set(parts)) > 1:
        while len({part[:1] for part in parts}) == 1:
            parts = [part[1:] for part in parts]
        while len({part[-1:] for part in parts}) == 1:
            parts = [part[:-1] for part in parts]
    else:
        parts = [(str(folder),) for folder in folders]
    names = ["/".join(part) or "." for part in parts]
    names = [
        name if len(name) <= width else f"{name[: width // 2]}…{name[width // 2 + 1 - width :]}"
        for name in names
    ]
    return [
        f"{number} {name}"[:width] if names.count(name) > 1 else name
        for number, name in enumerate(names, start=1)
    ]


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
    passed = sum(result.status in PASSED for result in results.values())
    advice = sum(result.status == "advice" for result in results.values())
    with_advice = f", {advice} of them with advice" if advice else ""
    yield f"{passed} of {len(results)} checks passed{with_advice}"


def legend(rows: Sequence[Results], checks: Sequence[str]) -> Iterable[str]:
    """Give the lines below a table: its letters, its columns, and how many passed each check."""
    letters = "  ".join(f"{letter} {status}" for status, letter in LETTERS.items())
    yield f"\n{letters}\n"
    for number, check in enumerate(checks, start=1):
        passed = sum(results[check].status in PASSED for results in rows)
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
    checks = [check for check in CHECKS if args.full or check not in FULL]
    if args.csv:
        check_file(args.csv)
        if any(args.csv.resolve().is_relative_to(folder.resolve()) for folder in args.folders):
            raise ValueError(f"--csv is {args.csv}; expected a file outside of what is checked")
    found = {folder: look_into(folder) for folder in args.folders}
    for folder, (_, problem, _) in found.items():
        if problem:
            cli.fail(f"{folder}: {problem}")
    folders = [folder for folder in found if folder.is_dir()]
    one_alone = len(args.folders) == 1
    if not folders or (one_alone and found[folders[0]].problem):
        return cli.EXIT_ERROR
    no_sandbox = sandbox.problem() if args.sandbox else "none was wanted"
    line = NO_SANDBOX.format(no_sandbox) if no_sandbox else SANDBOX
    print(textwrap.fill(line, COLUMNS), flush=True)
    options = [f"--penalty={args.penalty}", *(["--strict-advice"] if args.strict else [])]

    def check(place: Path, problem: str, _: Sequence[str]) -> Results:
        if problem:
            return dict.fromkeys(checks, Result("missing", problem))
        return run_checks(place, checks, args.timeout, options, in_sandbox=not no_sandbox)

    rows: dict[Path, Results] = {}
    if one_alone:
        [folder] = folders
        print(*remarks(found), sep="\n", end="\n" * any(remarks(found)))
        rows[folder] = check(*found[folder])
        print(*details(rows[folder]), sep="\n")
    else:
        names = labels(folders, COLUMNS - 3 * len(checks))
        width = max(map(len, names))
        print(" " * width + "".join(f"{number:3}" for number in range(1, len(checks) + 1)))
        for folder, name in zip(folders, names, strict=True):
            rows[folder] = check(*found[folder])
            letters = "".join(f"{LETTERS[result.status]:>3}" for result in rows[folder].values())
            print(f"{name:{width}}{letters}", flush=True)
    if args.csv:
        write_csv(args.csv, rows, checks)
    if not one_alone:
        print(*legend([*rows.values()], checks), sep="\n")
        print(*remarks(found), sep="\n", end="\n" * any(remarks(found)))
    statuses = {result.status for results in rows.values() for result in results.values()}
    if any(problem for _, problem, _ in found.values()):
        return cli.EXIT_ERROR
    return int(not statuses <= set(PASSED))


def remarks(found: Mapping[Path, Found]) -> list[str]:
    """Give the lines on what is special about the files of some folders."""
    return [
        textwrap.fill(f"{folder}: {remark}", COLUMNS)
        for folder, (_, _, texts) in found.items()
        for remark in texts
    ]


if __name__ == "__main__":
    cli.run(main)
