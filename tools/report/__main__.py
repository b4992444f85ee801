"""Execute the report notebook from scratch, and export it as PDF and as one HTML page."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import nbformat

from common.command_line import Parser, run
from common.files import atomic_path, check_file
from tools.report.exporters import ExportError, StandaloneHTMLExporter, TypstPDFExporter
from tools.report.notebook import execute, read_notebook

REPORT = Path(__file__).resolve().parents[2] / "report.ipynb"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        0: everything was written.

    Raises
    ------
    ExportError
        If the notebook cannot be read, executed or typeset.
    FileError
        If a file cannot be read or written.
    """
    parser = Parser(description=__doc__)
    parser.add_argument(
        "notebook",
        nargs="?",
        type=Path,
        default=REPORT,
        help="the notebook to export (default: report.ipynb of the repository)",
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="directory for the documents (default: that of the notebook)",
    )
    parser.add_argument(
        "--no-execute", action="store_true", help="export the outputs stored in the notebook"
    )
    parser.add_argument(
        "--refresh",
        action="store_true",
        help="execute the notebook and store its outputs in it; export nothing",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    args = parser.parse_args(argv)
    path: Path = args.notebook
    notebook = read_notebook(path)
    exporters = () if args.refresh else (TypstPDFExporter(), StandaloneHTMLExporter())
    export = (args.output_dir or path.parent) / path.name
    targets = [export.with_suffix(exporter.file_extension) for exporter in exporters] or [path]
    for target in targets:
        check_file(target)
    if not args.no_execute:
        execute(notebook, path.absolute().parent, args.quiet)
    elif not any(cell.get("outputs") for cell in notebook.cells):
        raise ExportError(f"{path} has no stored outputs: run this without --no-execute")
    name = {"metadata": {"name": path.stem}}
    contents = [exporter.from_notebook_node(notebook, name)[0] for exporter in exporters]
    if args.refresh:
        contents = [f"{nbformat.writes(notebook)}\n"]
    with contextlib.ExitStack() as stack:
        # The files get their names when the stack closes, that is, when all are complete.
        for target, content in zip(targets, contents, strict=True):
            file = stack.enter_context(atomic_path(target))
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    if not args.quiet:
        print(*targets, sep="\n")
    return 0


if __name__ == "__main__":
    run(main)
