"""Execute the report notebook, and export it as PDF and as one HTML page."""

from __future__ import annotations

import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # An IDE runs the file, not the module.

import nbformat
import pypandoc

import cli
from output.files import atomic_path, check_file
from report.exporters import ExportError, StandaloneHTMLExporter, TypstPDFExporter
from report.notebook import drop_stderr, execute, read_notebook

ROOT = Path(__file__).resolve().parents[1]


def make_parser() -> cli.Parser:
    """Make the parser of the command line."""
    parser = cli.Parser(
        description="Execute the report notebook from scratch and export it as PDF and HTML. "
        "The notebook itself is not changed, except by --refresh."
    )
    parser.add_argument(
        "notebook", nargs="?", type=Path, default=ROOT / "report.ipynb", help="default: the report"
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="folder for the PDF and the HTML page (default: the notebook's folder)",
    )
    text = "longest time for one cell; 0 means no limit"
    parser.add_argument("--timeout", type=cli.NATURAL, default=600, metavar="SECONDS", help=text)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--no-execute",
        dest="execute",
        action="store_false",
        help="export the outputs that are stored in the notebook",
    )
    mode.add_argument(
        "--refresh",
        action="store_true",
        help="execute the notebook and store the outputs in it; export nothing",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        0: everything was written.

    Raises
    ------
    ExportError
        If the notebook cannot be read, executed or typeset.
    OSError
        If a file cannot be written.
    """
    arguments = make_parser().parse_args(argv)
    path: Path = arguments.notebook
    notebook = read_notebook(path)
    if arguments.refresh:
        targets = [path]
    else:
        folder = arguments.output_dir or path.parent
        targets = [folder / f"{path.stem}{suffix}" for suffix in (".pdf", ".html")]
    for target in targets:
        check_file(target)

    if arguments.execute:
        execute(notebook, path.absolute().parent, arguments.timeout, arguments.quiet)
    elif not any(cell.get("outputs") for cell in notebook.cells):
        raise ExportError(f"{path} holds no outputs: run it without --no-execute")

    if arguments.refresh:
        drop_stderr(notebook)
        contents = [nbformat.writes(notebook) + "\n"]
    else:
        # Two threads that look for pandoc at once could take an older one of the system's.
        pypandoc.get_pandoc_path()
        # Most of their time passes in pandoc's processes.
        with ThreadPoolExecutor() as threads:
            names = {"metadata": {"name": path.stem}}
            exporters = TypstPDFExporter(), StandaloneHTMLExporter()
            exports = threads.map(lambda each: each.from_notebook_node(notebook, names), exporters)
            contents = [content for content, _ in exports]
    with contextlib.ExitStack() as stack:
        # The files take their names when the stack closes, that is, when all are complete.
        for target, content in zip(targets, contents, strict=True):
            file = stack.enter_context(atomic_path(target))
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    if not arguments.quiet:
        print(*targets, sep="\n")
    return 0


if __name__ == "__main__":
    cli.run(main)
