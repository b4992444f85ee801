"""Execute the report notebook and export it as PDF and as one HTML page.

Both exporters take the same path: nbconvert's Markdown, read by pandoc, then written by Typst
(`TypstPDFExporter`) or by pandoc itself (`StandaloneHTMLExporter`). Neither needs TeX or a
browser. They also work as ``jupyter nbconvert --to export_report.TypstPDFExporter``.

A figure in the notebook is an image output followed by its caption: a Markdown output whose
metadata holds ``figure_caption`` (Markdown) and ``figure_alt`` (plain text that says what one
sees).
"""

from __future__ import annotations

from cli import (
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    NATURAL,
    Parser,
    atomic_path,
    check_file,
    fail,
    run,
)

import argparse
import json
import tempfile
from base64 import b64decode
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbconvert.exporters import MarkdownExporter
from nbconvert.preprocessors import Preprocessor
from nbconvert.utils.exceptions import ConversionException
from nbformat import NotebookNode
from traitlets import default
from traitlets.config import Config

HERE = Path(__file__).resolve().parent
STYLES = HERE / "export"
OLDEST_PANDOC = (3, 6)
WHEELS = {"pypandoc": "pypandoc_binary", "typst": "typst"}

# JupyterLab reads formulas before anything else, and lists and headings need no blank line
# before them. This selection of extensions makes pandoc read the cells in the same way.
MARKDOWN = (
    "markdown_strict-raw_html-spaced_reference_links+all_symbols_escapable+auto_identifiers"
    "+backtick_code_blocks+implicit_figures+intraword_underscores+link_attributes"
    "+lists_without_preceding_blankline+pipe_tables+raw_tex+smart+strikeout+tex_math_dollars"
)

CAPTION_KEYS = ("figure_caption", "figure_alt")
IMAGES = {"image/svg+xml": ".svg", "image/png": ".png", "image/jpeg": ".jpg"}


class ExportError(ConversionException):
    """The report cannot be made. The message is one line for the person who asked for it."""


def _one_line(text: object, limit: int = 400) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


# --- from outputs of the notebook to figures with captions -----------------------------------


class FigurePreprocessor(Preprocessor):
    """Join every figure with its caption, number it, and drop what does not belong in a report.

    The image goes to ``resources["outputs"]`` as a file, its alternative text to
    ``resources["figure_alt"]`` under the same name. Streams (prints, warnings, progress bars)
    are dropped.
    """

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Turn each figure and its caption into one Markdown output.

        Parameters
        ----------
        nb : NotebookNode
            The executed notebook; changed in place.
        resources : dict
            nbconvert's resources; the figures are added in place.

        Returns
        -------
        nb : NotebookNode
        resources : dict
            The two arguments.

        Raises
        ------
        ExportError
            If a figure has no caption, a caption no figure, or a cell ended in an error.
        """
        resources["outputs"], resources["figure_alt"] = {}, {}
        for number, cell in enumerate(nb.cells, start=1):
            if cell.cell_type != "code":
                continue
            try:
                cell.outputs = list(self._outputs(cell.outputs, resources))
            except ExportError as error:
                raise ExportError(f"cell {number}: {error}") from None
        return nb, resources

    def _outputs(
        self, outputs: list[NotebookNode], resources: dict[str, Any]
    ) -> Iterator[NotebookNode]:
        uncaptioned = ExportError("a figure has no caption (figure_caption) right after it")
        image = None
        for output in outputs:
            if output.output_type == "stream":
                continue
            if output.output_type == "error":
                raise ExportError(f"its stored output is an error: {output.ename}")
            has_caption = "figure_caption" in output.metadata
            if image is not None and not has_caption:
                raise uncaptioned
            if image is None and has_caption:
                raise ExportError("a figure caption does not follow a figure")
            if image is not None:
                yield self._figure(image, output.metadata, resources)
                image = None
            elif IMAGES.keys() & output.data.keys():
                image = output
            else:
                yield output
        if image is not None:
            raise uncaptioned

    def _figure(
        self, image: NotebookNode, texts: dict[str, str], resources: dict[str, Any]
    ) -> NotebookNode:
        caption, alt = (" ".join(texts.get(key, "").split()) for key in CAPTION_KEYS)
        if not caption or not alt:
            raise ExportError(f"a figure needs both {' and '.join(CAPTION_KEYS)}")
        kind = next(kind for kind in IMAGES if kind in image.data)
        number = len(resources["outputs"]) + 1
        name = f"figure-{number}{IMAGES[kind]}"
        data = image.data[kind]
        resources["outputs"][name] = data.encode() if kind == "image/svg+xml" else b64decode(data)
        resources["figure_alt"][name] = alt
        quoted = alt.replace("\\", "\\\\").replace('"', '\\"')
        markdown = f'![**Figure {number}.** {caption}]({name}){{alt="{quoted}"}}'
        output: NotebookNode = nbformat.v4.new_output("display_data", {"text/markdown": markdown})
        return output


# --- pandoc and Typst ------------------------------------------------------------------------


def require_tools() -> None:
    """Check that pandoc and Typst can be used.

    Raises
    ------
    ExportError
        If one of them is missing or too old; the message says what to install.
    """
    try:
        import pypandoc
        import typst  # noqa: F401

        version = pypandoc.get_pandoc_version()
    except ImportError as error:
        module = "pypandoc" if error.name == "pypandoc" else "typst"
        raise ExportError(
            f"{module} is missing or broken ({error}): pip install --force-reinstall"
            f" {WHEELS[module]}"
        ) from error
    except OSError as error:
        raise ExportError("pandoc was not found: pip install pypandoc_binary") from error
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_PANDOC:
        oldest = ".".join(map(str, OLDEST_PANDOC))
        raise ExportError(f"pandoc {version} is older than {oldest}: pip install pypandoc_binary")


def _pandoc(source: str, *, reader: str, writer: str, options: Iterable[str] = ()) -> str:
    import pypandoc

    try:
        # A warning (a formula or an image that pandoc gave up on) is a hole in the report.
        result: str = pypandoc.convert_text(
            source, writer, format=reader, extra_args=["--fail-if-warnings", *options]
        )
    except RuntimeError as error:
        complaint = str(error).partition("during conversion: ")[2] or error
        raise ExportError(f"pandoc: {_one_line(complaint)}") from error
    return result


def _elements(node: Any) -> Iterator[dict[str, Any]]:
    """Walk through pandoc's document tree."""
    if isinstance(node, dict):
        if "t" in node:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _elements(child)


def _check_document(document: str) -> None:
    """Refuse what pandoc would drop, or print as plain text, without a warning."""
    for element in _elements(json.loads(document)["blocks"]):
        kind: str = element["t"]
        content: Any = element.get("c")
        if kind in ("RawInline", "RawBlock"):
            raise ExportError(
                f"{_one_line(content[1], 60)!r} stands outside of a formula; put it between $$"
            )
        # A dollar beside a digit is money.
        if kind == "Str" and "$" in content and not any(c.isdigit() for c in content):
            raise ExportError(
                f"a formula was not recognised at {content!r}: there must be no blank line in "
                "it, and no blank after its first or before its last single dollar"
            )


class _PandocExporter(MarkdownExporter):
    """The part of the way that both exporters share: from the notebook to pandoc's document."""

    # file_extension is that of the document; the template is that of Markdown.
    @default("template_extension")
    def _template_extension_default(self) -> str:
        return ".md.j2"

    @default("preprocessors")
    def _preprocessors_default(self) -> list[type[Preprocessor]]:
        return [FigurePreprocessor]

    @property
    def default_config(self) -> Config:
        """Settings of nbconvert: no code; figures are taken out by `FigurePreprocessor`."""
        config: Config = super().default_config.copy()
        config.merge(
            {
                "TemplateExporter": {"exclude_input": True},
                "ExtractOutputPreprocessor": {"enabled": False},
                "NbConvertBase": {
                    "display_data_priority": ["text/markdown", "text/latex", "text/plain"]
                },
            }
        )
        return config

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Convert a notebook.

        Parameters
        ----------
        nb : NotebookNode
            The notebook with its outputs; it is not changed.
        resources : dict, optional
            nbconvert's resources.
        **kw
            Passed on to nbconvert.

        Returns
        -------
        output : bytes or str
            The document.
        resources : dict
            nbconvert's resources.

        Raises
        ------
        ExportError
            If a tool is missing, a figure has no caption or a formula cannot be typeset.
        """
        require_tools()
        markdown, resources = super().from_notebook_node(nb, resources, **kw)
        figures, alt = resources.pop("outputs"), resources.pop("figure_alt")
        metadata = [("title", resources["metadata"].get("name", "Report")), ("lang", "en")]
        metadata += [("author", author["name"]) for author in nb.metadata.get("authors", [])]
        metadata += [("date", nb.metadata[key]) for key in ("date",) if key in nb.metadata]
        document = _pandoc(
            markdown,
            reader=MARKDOWN,
            writer="json",
            options=[
                *(f"--metadata={key}={value}" for key, value in metadata),
                # The first heading becomes the title, the others move up by one level.
                "--shift-heading-level-by=-1",
                # pandoc takes a table row longer than a line as a wish for a full-width table.
                "--columns=10000",
            ],
        )
        _check_document(document)
        with tempfile.TemporaryDirectory(prefix="report-") as folder:
            for name, data in figures.items():
                (Path(folder) / name).write_bytes(data)
            return self._write(document, Path(folder), alt), resources

    def _write(self, document: str, folder: Path, alt: dict[str, str]) -> bytes | str:
        """Write pandoc's document, whose figures lie in the folder."""
        raise NotImplementedError


class TypstPDFExporter(_PandocExporter):
    """PDF through Typst: A4, tagged, fonts embedded; the same notebook gives the same bytes."""

    export_from_notebook = "PDF via Typst"

    @default("file_extension")
    def _file_extension_default(self) -> str:
        return ".pdf"

    def _write(self, document: str, folder: Path, alt: dict[str, str]) -> bytes:
        import typst

        options = ["--standalone", "--variable=template=report.typ"]
        source = _pandoc(document, reader="json", writer="typst", options=options)
        (folder / "main.typ").write_text(source, encoding="utf-8")
        (folder / "report.typ").write_bytes((STYLES / "report.typ").read_bytes())
        try:
            # pandoc's Typst writer drops the alternative texts; report.typ looks them up.
            return typst.compile(
                folder / "main.typ", root=folder, ignore_system_fonts=True, sys_inputs=alt
            )
        except typst.TypstError as error:
            raise ExportError(f"Typst: {_one_line(error.diagnostic or error)}") from error


class StandaloneHTMLExporter(_PandocExporter):
    """One HTML page with MathML and embedded figures; it loads nothing from anywhere."""

    export_from_notebook = "Standalone HTML"

    @default("file_extension")
    def _file_extension_default(self) -> str:
        return ".html"

    def _write(self, document: str, folder: Path, alt: dict[str, str]) -> str:
        options = [
            "--standalone",
            "--embed-resources",
            "--mathml",
            # The page's title is its only heading of level 1.
            "--shift-heading-level-by=1",
            f"--resource-path={folder}",
            f"--css={STYLES / 'report.css'}",
            f"--lua-filter={STYLES / 'display.lua'}",
        ]
        return _pandoc(document, reader="json", writer="html5", options=options)


# --- the notebook ----------------------------------------------------------------------------


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook.

    Parameters
    ----------
    path : Path
        The notebook file, of any nbformat version.

    Returns
    -------
    NotebookNode
        The notebook in nbformat 4.

    Raises
    ------
    ExportError
        If the file is missing, cannot be read or is not a notebook.
    """
    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except OSError as error:
        raise ExportError(f"cannot read the notebook {path}: {error.strerror}") from error
    except Exception as error:
        # nbformat fails in many ways on a file that is something else.
        raise ExportError(f"{path} is not a notebook: {_one_line(error, 120)}") from error
    return notebook


def execute(notebook: NotebookNode, folder: Path, timeout: int) -> None:
    """Execute all code cells in place, in a fresh kernel of the running Python.

    Parameters
    ----------
    notebook : NotebookNode
        The notebook; its outputs are replaced.
    folder : Path
        Working directory of the kernel.
    timeout : int
        Longest time for one cell in seconds; 0 means no limit.

    Raises
    ------
    ExportError
        If a cell raises or takes too long, or the kernel does not start or dies.
    """
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=timeout or None,
        resources={"metadata": {"path": str(folder)}},
        coalesce_streams=True,
        shutdown_kernel="immediate",
    )
    manager: Any = client.create_kernel_manager()
    # With no folder to search in, python3 is the interpreter that runs this script.
    manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[])
    where = "before the first cell"
    try:
        with client.setup_kernel(stdout=DEVNULL, stderr=DEVNULL):
            for index, cell in enumerate(notebook.cells):
                first_line = _one_line(cell.source.partition("\n")[0], 60)
                where = f"cell {index + 1} ({first_line})"
                client.execute_cell(cell, index)
    except NoSuchKernel as error:
        raise ExportError("there is no Python kernel: pip install ipykernel") from error
    except CellExecutionError as error:
        raise ExportError(f"{where}: {_one_line(f'{error.ename}: {error.evalue}')}") from error
    except CellTimeoutError as error:
        raise ExportError(f"{where}: it took longer than {timeout} s (--timeout)") from error
    except RuntimeError as error:
        raise ExportError(f"{where}: {_one_line(error)}") from error
    finally:
        # An interrupt while the kernel starts leaves it running.
        if manager.has_kernel:
            run_sync(manager.shutdown_kernel)(now=True)


def normalise(notebook: NotebookNode) -> None:
    """Take out of an executed notebook, in place, what differs from run to run.

    Parameters
    ----------
    notebook : NotebookNode
        Loses time stamps, widgets, the Python version, and all that went to stderr (progress
        bars, warnings).
    """
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [
                output
                for output in cell.outputs
                if output.get("name") != "stderr"
                and "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
            ]


# --- command line ----------------------------------------------------------------------------


def _run(arguments: argparse.Namespace) -> None:
    path: Path = arguments.notebook
    notebook = read_notebook(path)
    if arguments.refresh:
        targets = [path]
    else:
        folder = arguments.output_dir or path.parent
        targets = [folder / f"{path.stem}{suffix}" for suffix in (".pdf", ".html")]
        require_tools()
    for target in targets:
        check_file(target)

    if arguments.execute:
        execute(notebook, path.absolute().parent, arguments.timeout)
    elif not any(cell.get("outputs") for cell in notebook.cells):
        raise ExportError(f"{path} holds no outputs: run it without --no-execute")

    if arguments.refresh:
        normalise(notebook)
        contents = [nbformat.writes(notebook) + "\n"]
    else:
        contents = [
            exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem}})[0]
            for exporter in (TypstPDFExporter(), StandaloneHTMLExporter())
        ]
    with ExitStack() as stack:
        # The files take their names when the stack closes, that is, when all are complete.
        for target, content in zip(targets, contents, strict=True):
            file = stack.enter_context(atomic_path(target))
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    for target in targets:
        print(target)


def _parser() -> Parser:
    parser = Parser(
        description="Execute the report notebook from scratch and export it as PDF and HTML. "
        "The notebook itself is not changed, except by --refresh."
    )
    parser.add_argument(
        "notebook",
        nargs="?",
        type=Path,
        default=HERE / "report.ipynb",
        help="default: report.ipynb beside this script",
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="folder for the PDF and the HTML page (default: the notebook's folder)",
    )
    parser.add_argument(
        "--timeout",
        type=NATURAL,
        default=600,
        metavar="SECONDS",
        help="longest time for one cell; 0 means no limit (default: %(default)s)",
    )
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
        0 when everything was written, 2 after an error, 130 after Ctrl-C.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    arguments = _parser().parse_args(argv)
    try:
        _run(arguments)
    except KeyboardInterrupt:
        fail("interrupted, nothing was written")
        return EXIT_INTERRUPTED
    except ExportError as error:
        fail(str(error))
        return EXIT_ERROR
    return 0


if __name__ == "__main__":
    run(main)
