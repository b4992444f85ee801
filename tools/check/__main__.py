"""Check solutions of the assignment: their modules, by the names that the course gives them."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from common.command_line import EXIT_ERROR, Parser, fail, positive_int, run
from common.errors import InputError
from common.files import atomic_path, check_file
from tools.check import FULL, PENALTIES, WIDTH, sandbox
from tools.check.folders import look_into
from tools.check.runner import CHECKS, MARKS, Result, run_checks

PASSED = ("passed", "advice")
COLUMNS = 80
SANDBOX = "In a sandbox (bubblewrap): no network, and no files but Python's and its own."
NO_SANDBOX = "No sandbox: {}. Run only what you would run yourself."
FORMULAS = ", ".join(f"{name}: {penalty}" for name, (penalty, *_) in PENALTIES.items())
EPILOG = "Exit code 0: all checks passed; 1: some did not; 2: a folder could not be checked."


def details(results: Mapping[str, Result]) -> Iterator[str]:
    """Give the lines for one folder: each check, and why it has not passed."""
    first: dict[str, str] = {}
    for check, (status, text) in results.items():
        yield f"{status:7}  {check}"
        if (same := first.setdefault(text, check)) != check and text:
            text = f"the same as {same}"
        lines = text.splitlines() if "\n" in text else textwrap.wrap(text, WIDTH)
        yield from (" " * 9 + line for line in lines)
    count = Counter(status for status, _ in results.values())
    passed = sum(count[status] for status in PASSED)
    advice = f", {count['advice']} of them with advice" if count["advice"] else ""
    yield f"{passed} of {len(results)} checks passed{advice}"


def legend(statuses: pd.DataFrame) -> Iterator[str]:
    """Give the lines below a table: its marks, its columns, and how many passed each check."""
    yield "\n" + "  ".join(f"{mark} {status}" for status, mark in MARKS.items()) + "\n"
    counts = statuses.isin(PASSED).sum()
    for number, (check, passed) in enumerate(counts.items(), start=1):
        yield f"{number:2} {check:17} {passed} of {len(statuses)} passed"


def main(argv: Sequence[str] | None = None) -> int:
    """Check the folders that the command line names.

    Returns
    -------
    int
        The exit code: 0 if all checks passed, 1 if one did not, 2 if a folder is none or has none
        of the course's files. The others are checked all the same.
    """
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
    parser.add_argument("--csv", type=Path, help="write a table with a row per directory")
    parser.add_argument("--strict", action="store_true", help="treat advice as a failure")
    parser.add_argument(
        "--penalty",
        choices=PENALTIES,
        default="square",
        help=f"{FORMULAS} (default: %(default)s)",
    )
    parser.add_argument(
        "--no-sandbox", action="store_true", help="run the solutions with all of your rights"
    )
    args = parser.parse_args(argv)
    checks = [check for check in CHECKS if args.full or check not in FULL]
    if args.csv:
        check_file(args.csv)
    places: dict[Path, Path] = {}
    remarks = []
    for folder in args.folders:
        try:
            places[folder], texts = look_into(folder)
            remarks += [f"{folder}: {text}" for text in texts]
        except InputError as error:
            fail(f"{folder}: {error}")
    if not places:
        return EXIT_ERROR
    no_sandbox = "none was wanted" if args.no_sandbox else sandbox.problem()
    for line in (NO_SANDBOX.format(no_sandbox) if no_sandbox else SANDBOX, *remarks):
        print(textwrap.fill(line, COLUMNS), flush=True)
    options = [f"--penalty={args.penalty}", *["--strict-advice"] * args.strict]
    is_table = len(args.folders) > 1
    if is_table:
        print("".join(f"{number:3}" for number in range(1, len(checks) + 1)))
    statuses = pd.DataFrame(columns=checks)
    for folder in args.folders:
        results = dict.fromkeys(checks, Result("missing"))
        if place := places.get(folder):
            results = run_checks(place, checks, args.timeout, options, not no_sandbox)
        statuses.loc[str(folder)] = [status for status, _ in results.values()]
        if is_table:
            marks = "".join(f"{MARKS[status]:>3}" for status, _ in results.values())
            print(f"{marks}  {folder}", flush=True)
        else:
            print(*details(results), sep="\n")
    if args.csv:
        with atomic_path(args.csv) as path:
            statuses.to_csv(path, index_label="folder")
    if is_table:
        print(*legend(statuses), sep="\n")
    if len(places) < len(statuses):
        return EXIT_ERROR
    return int(not statuses.isin(PASSED).all(axis=None))


if __name__ == "__main__":
    run(main)
