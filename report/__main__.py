"""Execute the report notebook from scratch, and export it as PDF and as one HTML page."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # An IDE runs the file, not the module.

import nbformat

import cli
from output.files import atomic_path, check_file
from report.exporters import ExportError, StandaloneHTMLExporter, TypstPDFExporter
from report.notebook import execute, read_notebook

REPORT = Path(__file__).resolve().parents[1] / "report.ipynb"
OPTIONS: cli.Options = {
    "notebook": {"nargs": "?", "type": Path, "default": REPORT, "help": "which one"},
    "--output-dir": {"type": Path, "metavar": "DIR", "help": "default: the notebook's folder"},
    "--no-execute": {"action": "store_true", "help": "export the outputs stored in the notebook"},
    "--refresh": {"action": "store_true", "help": "store the outputs there, and export nothing"},
    "--quiet": cli.DATA_OPTIONS["--quiet"],
}


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
    OSError
        If a file cannot be written.
    """
    args = cli.Parser(__doc__, OPTIONS).parse_args(argv)
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
        raise ExportError(f"{path} holds no outputs: run it without --no-execute")
    name = {"metadata": {"name": path.stem}}
    contents = [exporter.from_notebook_node(notebook, name)[0] for exporter in exporters]
    if args.refresh:
        contents = [f"{nbformat.writes(notebook)}\n"]
    with contextlib.ExitStack() as stack:
        # The files take their names when the stack closes, that is, when all are complete.
        for target, content in zip(targets, contents, strict=True):
            file = stack.enter_context(atomic_path(target))
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    if not args.quiet:
        print(*targets, sep="\n")
    return 0


if __name__ == "__main__":
    cli.run(main)
