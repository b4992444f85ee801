"""Export an executed notebook as PDF and as one HTML page.

Both exporters take the same path: nbconvert's Markdown, read by pandoc, then written by Typst
(`TypstPDFExporter`) or by pandoc itself (`StandaloneHTMLExporter`). Neither needs TeX or a
browser. They also work as ``jupyter nbconvert --to report.TypstPDFExporter``.

A figure in the notebook is an image output followed by its caption: a Markdown output whose
metadata holds ``figure_number``, ``figure_caption`` (Markdown) and ``figure_alt`` (plain text that
says what one sees); see `plots.display.show_figure`.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from base64 import b64decode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import MarkdownExporter
from nbconvert.preprocessors import Preprocessor
from nbconvert.utils.exceptions import ConversionException
from nbformat import NotebookNode
from traitlets import default
from traitlets.config import Config

STYLES = Path(__file__).resolve().parent
OLDEST_PANDOC = (3, 6)
WHEELS = {"pypandoc": "pypandoc_binary", "typst": "typst"}

# JupyterLab reads formulas before anything else, and lists and headings need no blank line
# before them. This selection of extensions makes pandoc read the cells in the same way.
MARKDOWN = (
    "markdown_strict-raw_html-spaced_reference_links+all_symbols_escapable+auto_identifiers"
    "+backtick_code_blocks+implicit_figures+intraword_underscores+link_attributes"
    "+lists_without_preceding_blankline+pipe_tables+raw_tex+smart+strikeout+tex_math_dollars"
)

# What Typst says, in PDF/UA, of a character for which there is no font.
MISSING_CHARACTER = re.compile(r'the text `"(.+?)"` could not be displayed')
CAPTION_KEYS = ("figure_number", "figure_caption", "figure_alt")
IMAGES = {"image/svg+xml": ".svg", "image/png": ".png", "image/jpeg": ".jpg"}


class ExportError(ConversionException):
    """The report cannot be made. The message is one line for the person who asked for it."""


def one_line(text: object, limit: int = 400) -> str:
    """Put a text on one line, cut off where it is too long."""
    line = " ".join(str(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


# --- from outputs of the notebook to figures with captions -----------------------------------


class FigurePreprocessor(Preprocessor):
    """Join every figure with its caption, and drop what does not belong in a report.

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
        number, caption, alt = (" ".join(str(texts.get(key, "")).split()) for key in CAPTION_KEYS)
        if not (number and caption and alt):
            raise ExportError(f"a figure needs {', '.join(CAPTION_KEYS)}")
        kind = next(kind for kind in IMAGES if kind in image.data)
        name = f"figure-{len(resources['outputs']) + 1}{IMAGES[kind]}"
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
        raise ExportError(f"pandoc: {one_line(complaint)}") from error
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
                f"{one_line(content[1], 60)!r} stands outside of a formula; put it between $$"
            )
        # A dollar beside a digit is money.
        if kind == "Str" and "$" in content and not any(c.isdigit() for c in content):
            raise ExportError(
                f"a formula was not recognised at {content!r}: there must be no blank line in "
                "it, and no blank after its first or before its last single dollar"
            )


class PandocExporter(MarkdownExporter):
    """What both exporters share: the way from the notebook to pandoc's document."""

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

    def to_document(
        self, nb: NotebookNode, folder: str, resources: dict[str, Any] | None, **kw: Any
    ) -> tuple[str, dict[str, str], dict[str, Any]]:
        """Convert a notebook to pandoc's document, and write its figures to a folder.

        Returns
        -------
        document : str
            In pandoc's JSON.
        alt : dict
            The alternative texts of the figures, by the names of their files.
        resources : dict
            nbconvert's resources.

        Raises
        ------
        ExportError
            If a tool is missing, a figure has no caption or a formula cannot be typeset.
        """
        require_tools()
        markdown, resources = super().from_notebook_node(nb, resources, **kw)
        metadata = [("title", resources["metadata"].get("name", "Report")), ("lang", "en")]
        metadata += [("author", author["name"]) for author in nb.metadata.get("authors", [])]
        metadata += [(key, nb.metadata[key]) for key in ("subtitle", "date") if key in nb.metadata]
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
        for name, data in resources.pop("outputs").items():
            (Path(folder) / name).write_bytes(data)
        return document, resources.pop("figure_alt"), resources


class TypstPDFExporter(PandocExporter):
    """PDF through Typst: A4, tagged, fonts embedded; the same notebook gives the same bytes."""

    export_from_notebook = "PDF via Typst"

    @default("file_extension")
    def _file_extension_default(self) -> str:
        return ".pdf"

    def from_notebook_node(  # type: ignore[override]
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[bytes, dict[str, Any]]:
        """Convert a notebook to the bytes of a PDF; raise an `ExportError` if that is impossible.

        Parameters, and the second result, are nbconvert's.
        """
        with tempfile.TemporaryDirectory(prefix="report-") as folder:
            document, alt, resources = self.to_document(nb, folder, resources, **kw)
            options = [
                "--standalone",
                "--variable=template=report.typ",
                f"--lua-filter={STYLES / 'formulas.lua'}",
            ]
            source = _pandoc(document, reader="json", writer="typst", options=options)
            for name, text in alt.items():
                # pandoc's Typst writer drops the alternative texts.
                described = f'image("{name}", alt: {json.dumps(text, ensure_ascii=False)}'
                source = source.replace(f'image("{name}"', described)
            main = Path(folder) / "main.typ"
            main.write_text(source, encoding="utf-8")
            shutil.copy(STYLES / "report.typ", folder)
            return self.compile(main), resources

    def compile(self, main: Path) -> bytes:
        """Let Typst make a PDF that is accessible (PDF/UA), if there are fonts for all characters.

        The fonts that come with Typst set the same pages on every machine; those of the system are
        asked for what is missing there. Raises an `ExportError` with Typst's diagnostic.
        """
        import typst

        accessible = {"root": main.parent, "pdf_standards": "ua-1"}
        try:
            return typst.compile(main, ignore_system_fonts=True, **accessible)
        except typst.TypstError as error:
            if not MISSING_CHARACTER.search(error.diagnostic):
                raise ExportError(f"Typst: {one_line(error.diagnostic or error)}") from error
        try:
            return typst.compile(main, **accessible)
        except typst.TypstError as error:
            missing = "".join(dict.fromkeys(MISSING_CHARACTER.findall(error.diagnostic)))
        print(f"warning: no font here has the characters {missing}", file=sys.stderr)
        return typst.compile(main, root=main.parent)


class StandaloneHTMLExporter(PandocExporter):
    """One HTML page with MathML and embedded figures; it loads nothing from anywhere."""

    export_from_notebook = "Standalone HTML"

    @default("file_extension")
    def _file_extension_default(self) -> str:
        return ".html"

    def from_notebook_node(  # type: ignore[override]
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        """Convert a notebook to HTML; raise an `ExportError` if that is impossible.

        Parameters, and the second result, are nbconvert's.
        """
        with tempfile.TemporaryDirectory(prefix="report-") as folder:
            document, _, resources = self.to_document(nb, folder, resources, **kw)
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
            return _pandoc(document, reader="json", writer="html5", options=options), resources
