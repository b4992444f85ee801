"""Check solutions of the assignment: their modules, by the names that the course gives them."""

import textwrap
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from common.command_line import EXIT_ERROR, Parser, fail, positive_int, run
from common.errors import InputError
from common.files import atomic_path, check_directory, check_file
from tools.check import CHECKS, FULL, PENALTIES, WIDTH, sandbox
from tools.check.folders import find_solution
from tools.check.runner import MARKS, Result, run_checks

PASSED = ("passed", "advice")
# The verdict on all checks of a folder in which there is no solution.
NOT_FOUND = "not found"
LETTERS = MARKS | {NOT_FOUND: "N"}
COLUMNS = 80
SANDBOX = "In a sandbox (bubblewrap): no network, and no files but Python's and its own."
NO_SANDBOX = "No sandbox: {}. Run only code that you would run yourself."
FORMULAS = ", ".join(f"{name}: {penalty}" for name, (penalty, *_) in PENALTIES.items())
EPILOG = "Exit code 0: all checks passed; 1: some did not; 2: a folder could not be checked."


def details(results: Mapping[str, Result]) -> Iterator[str]:
    """Yield the lines for one folder: each check, and why it has not passed."""
    for check, (status, text) in without_repetitions(results).items():
        yield f"{status:7}  {check}"
        lines = text.splitlines() if "\n" in text else textwrap.wrap(text, WIDTH)
        yield from (" " * 9 + line for line in lines)
    count = Counter(status for status, _ in results.values())
    passed = sum(count[status] for status in PASSED)
    advice = f", {count['advice']} of them with advice" if count["advice"] else ""
    yield f"{passed} of {len(results)} checks passed{advice}"


def without_repetitions(results: Mapping[str, Result]) -> dict[str, Result]:
    """Replace a text that an earlier check has, too, by the name of that check."""
    first: dict[str, str] = {}
    shorter = {}
    for check, (status, text) in results.items():
        earlier = first.setdefault(text, check)
        is_new = not text or earlier == check
        shorter[check] = Result(status, text if is_new else f"the same as {earlier}")
    return shorter


def reasons(results: Mapping[str, Result]) -> str:
    """Join the texts of all checks into one cell of a table, with a line for each check."""
    shorter = without_repetitions(results)
    return "\n".join(
        f"{check}: {' '.join(r.text.split())}" for check, r in shorter.items() if r.text
    )


def legend(statuses: pd.DataFrame) -> Iterator[str]:
    """Yield the lines below a table: its letters, its columns, and how many passed each check."""
    yield "\n" + "  ".join(f"{letter} {status}" for status, letter in LETTERS.items()) + "\n"
    counts = statuses.isin(PASSED).sum()
    for number, (check, passed) in enumerate(counts.items(), start=1):
        yield f"{number:2} {check:21} {passed} of {len(statuses)} passed"


def feedback_files(directory: Path, folders: Sequence[Path]) -> dict[Path, Path]:
    """Choose a file for each folder: its name, with as many parents as it needs to be unique."""
    parts = {folder: folder.resolve().parts for folder in folders}
    names = {}
    for folder, own in parts.items():
        others = {other for other in parts.values() if other != own}
        length = 1
        while length < len(own) and any(other[-length:] == own[-length:] for other in others):
            length += 1
        names[folder] = directory / ("-".join(own[-length:]).replace("/", "") + ".txt")
    return names


def parse_arguments(argv: Sequence[str] | None) -> Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, epilog=EPILOG)
    parser.add_argument(
        "folders",
        metavar="DIR",
        nargs="+",
        type=Path,
        help="a directory with task2a.py, task2.py and so on",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help=f"also check {' and '.join(FULL)}, which takes as long as a training",
    )
    parser.add_argument(
        "--timeout",
        type=positive_int,
        default=60,
        help="seconds per directory (default: %(default)s)",
    )
    parser.add_argument(
        "--csv", type=Path, help="write a table with a row per directory, and the reasons"
    )
    parser.add_argument(
        "--feedback",
        metavar="DIR",
        type=Path,
        help="write a text file per directory, with what a check of it alone prints",
    )
    parser.add_argument("--strict", action="store_true", help="treat advice as a failure")
    parser.add_argument(
        "--penalty",
        choices=PENALTIES,
        default="square",
        help=f"{FORMULAS} (default: %(default)s)",
    )
    parser.add_argument(
        "--require-best-weights",
        action="store_true",
        help="fail solutions that do not keep them, as the texts of 2022 and 2023 ask",
    )
    parser.add_argument(
        "--no-sandbox", action="store_true", help="run the solutions with all of your rights"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Check the folders that the command line names.

    Returns
    -------
    int
        The exit code: 0 if all checks passed, 1 if one did not, 2 if a folder is not a directory or
        has no solution. The others are checked all the same.
    """
    args = parse_arguments(argv)
    checks = [check for check in CHECKS if args.full or check not in FULL]
    if args.csv:
        check_file(args.csv)
    if args.feedback:
        check_directory(args.feedback)
    places: dict[Path, Path] = {}
    remarks: dict[Path, list[str]] = {}
    for folder in args.folders:
        try:
            places[folder], texts = find_solution(folder)
        except InputError as error:
            texts = [str(error)]
            fail(f"{folder}: {error}")
        remarks[folder] = [textwrap.fill(f"{folder}: {text}", COLUMNS) for text in texts]
    if not places:
        return EXIT_ERROR
    no_sandbox = "--no-sandbox was given" if args.no_sandbox else sandbox.problem()
    first = textwrap.fill(NO_SANDBOX.format(no_sandbox) if no_sandbox else SANDBOX, COLUMNS)
    print("\n".join([first, *(text for folder in places for text in remarks[folder])]), flush=True)
    options = [f"--penalty={args.penalty}", *["--strict-advice"] * args.strict]
    options += ["--require-best-weights"] * args.require_best_weights
    is_table = len(args.folders) > 1
    if is_table:
        print("".join(f"{number:3}" for number in range(1, len(checks) + 1)))
    files = feedback_files(args.feedback, args.folders) if args.feedback else {}
    table = pd.DataFrame(columns=[*checks, "reasons"])
    for folder in args.folders:
        if folder in places:
            results = run_checks(places[folder], checks, args.timeout, options, not no_sandbox)
            lines = [*details(results)]
            text = "\n".join([first, *remarks[folder], *lines])
            reason = reasons(results)
        else:
            results = dict.fromkeys(checks, Result(NOT_FOUND))
            text = "\n".join(remarks[folder])
            reason = " ".join(text.split())
        table.loc[str(folder)] = [*(status for status, _ in results.values()), reason]
        if is_table:
            letters = "".join(f"{LETTERS[status]:>3}" for status, _ in results.values())
            print(f"{letters}  {folder}", flush=True)
        else:
            print(*lines, sep="\n")
        if args.feedback:
            with atomic_path(files[folder]) as path:
                path.write_text(text + "\n", encoding="utf-8")
    if args.csv:
        with atomic_path(args.csv) as path:
            table.to_csv(path, index_label="folder")
    statuses = table[checks]
    if is_table:
        print(*legend(statuses), sep="\n")
    if len(places) < len(statuses):
        return EXIT_ERROR
    return int(not statuses.isin(PASSED).all(axis=None))


if __name__ == "__main__":
    run(main)
