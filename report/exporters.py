"""Export an executed notebook as PDF and as one HTML page.

Both exporters take the same path: nbconvert's Markdown, read by pandoc, then written by Typst
(`TypstPDFExporter`) or by pandoc itself (`StandaloneHTMLExporter`). Neither needs TeX or a
browser. They also work as ``jupyter nbconvert --to report.TypstPDFExporter``.

The notebook's metadata give the title block: ``title`` (the first heading goes before it),
``subtitle``, ``authors`` (a list of ``{"name": ...}``, as nbconvert's own templates read them),
``course`` and ``date``. A Markdown cell with the tag ``title-block`` stands below them.

A figure in the notebook is an image output followed by its caption: a Markdown output whose
metadata holds ``figure_number``, ``figure_caption`` (Markdown) and ``figure_alt`` (plain text that
says what one sees); see `plots.display.show_figure`.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import pypandoc
import typst
from nbconvert.exporters import MarkdownExporter
from nbconvert.preprocessors import Preprocessor
from nbconvert.utils.exceptions import ConversionException
from nbformat import NotebookNode
from traitlets.config import Config

from plots.try_it import MIME_TYPE as TRY_IT
from report.try_it import try_it_html

STYLES = Path(__file__).resolve().parent

# JupyterLab reads formulas before anything else, and lists and headings need no blank line
# before them. This selection of extensions makes pandoc read the cells in the same way.
MARKDOWN = (
    "markdown_strict-raw_html-spaced_reference_links+all_symbols_escapable+auto_identifiers"
    "+backtick_code_blocks+fenced_divs+implicit_figures+intraword_underscores+link_attributes"
    "+lists_without_preceding_blankline+pipe_tables+raw_tex+smart+strikeout+tex_math_dollars"
)

# What Typst says, in PDF/UA, of a character for which there is no font.
MISSING_CHARACTER = re.compile(r'the text `"(.+?)"` could not be displayed')
CAPTION_KEYS = ("figure_number", "figure_caption", "figure_alt")
IMAGES = {"image/svg+xml": ".svg", "image/png": ".png", "image/jpeg": ".jpg"}
TITLE_BLOCK = "title-block"


class ExportError(ConversionException, ValueError):
    """The report cannot be made. The message is one line for the person who asked for it."""


def one_line(text: object, limit: int = 400) -> str:
    """Put a text on one line, cut off where it is too long."""
    line = " ".join(str(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


class FigurePreprocessor(Preprocessor):
    """Join every figure with its caption, and drop what does not belong in a report.

    The image goes to ``resources["outputs"]`` as a file, the HTML of *Try it* to
    ``resources["appendix"]``. Streams (prints, warnings, progress bars) are dropped.
    """

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict[str, Any], index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Turn each figure of a cell and its caption into one Markdown output.

        Parameters
        ----------
        cell : NotebookNode
            A cell of the executed notebook; changed in place.
        resources : dict
            nbconvert's resources; the figures are added in place.
        index : int
            The cell's number, counted from 0.

        Returns
        -------
        cell : NotebookNode
        resources : dict
            The two arguments.

        Raises
        ------
        ExportError
            If a figure has no caption, a caption no figure, or the cell ended in an error.
        """
        if cell.cell_type == "code":
            try:
                cell.outputs = list(self._outputs(cell.outputs, resources))
            except ExportError as error:
                raise ExportError(f"cell {index + 1}: {error}") from None
        elif TITLE_BLOCK in cell.metadata.get("tags", []):
            cell.source = f"::: {TITLE_BLOCK}\n{cell.source}\n:::"
        return cell, resources

    def _outputs(
        self, outputs: list[NotebookNode], resources: dict[str, Any]
    ) -> Iterator[NotebookNode]:
        files = resources.setdefault("outputs", {})
        shown = iter([output for output in outputs if output.output_type != "stream"])
        for output in shown:
            if output.output_type == "error":
                raise ExportError(f"its stored output is an error: {output.ename}")
            if TRY_IT in output.data:
                resources["appendix"] = try_it_html(output.data[TRY_IT])
                continue
            kind = next((kind for kind in IMAGES if kind in output.data), None)
            if kind is None and "figure_caption" not in output.metadata:
                yield output
                continue
            texts = next(shown, NotebookNode()).get("metadata", {}) if kind else {}
            number, caption, alt = (
                " ".join(str(texts.get(key, "")).split()) for key in CAPTION_KEYS
            )
            if not (kind and number and caption and alt):
                raise ExportError(f"a figure needs, right after it, its {', '.join(CAPTION_KEYS)}")
            name = f"figure-{len(files) + 1}{IMAGES[kind]}"
            data = output.data[kind]
            files[name] = data.encode() if kind == "image/svg+xml" else b64decode(data)
            quoted = alt.replace("\\", "\\\\").replace('"', '\\"')
            yield _markdown(f'![**Figure {number}.** {caption}]({name}){{alt="{quoted}"}}')


def _markdown(text: str) -> NotebookNode:
    output: NotebookNode = nbformat.v4.new_output("display_data", {"text/markdown": text})
    return output


class PandocExporter(MarkdownExporter):
    """What both exporters share: the way from the notebook through pandoc.

    Attributes
    ----------
    writer : str
        What pandoc is to write.
    options : list of str
        Further options of pandoc.
    finish : callable
        ``finish(document, folder)`` makes the result of what pandoc has written; the figures are
        in the folder.
    """

    # file_extension is that of the document; the template is that of Markdown.
    template_extension = ".md.j2"
    preprocessors = [FigurePreprocessor]  # noqa: RUF012 (nbconvert's type)
    exclude_input = True

    writer: str
    options: Sequence[str]
    finish: Callable[[str, Path], Any]

    @property
    def default_config(self) -> Config:
        """Settings of nbconvert: `FigurePreprocessor` takes out the figures, text goes first."""
        config = Config()
        config.ExtractOutputPreprocessor.enabled = False
        config.NbConvertBase.display_data_priority = ["text/markdown", "text/latex", "text/plain"]
        return config

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Convert a notebook.

        Parameters
        ----------
        nb : NotebookNode
        resources : dict, optional
            nbconvert's.

        Returns
        -------
        document : bytes or str
            The bytes of a PDF, or HTML.
        resources : dict
            nbconvert's.

        Raises
        ------
        ExportError
            If a figure has no caption, or a formula or an image cannot be set.
        """
        markdown, resources = super().from_notebook_node(nb, resources)
        given = nb.metadata
        title = given.get("title") or resources["metadata"].get("name", "Report")
        metadata = [("title", title), ("subtitle", given.get("subtitle")), ("lang", "en")]
        metadata += [
            ("author", author["name"] if isinstance(author, dict) else author)
            for author in given.get("authors", [])
        ]
        metadata += [("occasion", given.get(key)) for key in ("course", "date")]
        with tempfile.TemporaryDirectory(prefix="report-") as name:
            folder = Path(name)
            for file, data in resources.pop("outputs", {}).items():
                (folder / file).write_bytes(data)
            appendix = folder / "appendix.html"
            appendix.write_text(resources.pop("appendix", ""), encoding="utf-8")
            options = [
                # A warning (a formula or an image that pandoc gave up on) is a hole.
                "--fail-if-warnings",
                # pandoc takes a row longer than a line as a wish for a full-width table.
                "--columns=10000",
                f"--lua-filter={STYLES / 'document.lua'}",
                f"--resource-path={folder}",
                f"--include-after-body={appendix}",
                *(f"--metadata={key}={value}" for key, value in metadata if value),
                *(option.format(STYLES) for option in self.options),
            ]
            # In the C locale pandoc could not open a file in a folder with an umlaut.
            os.environ["LC_ALL"] = "C.UTF-8"
            try:
                document = pypandoc.convert_text(markdown, self.writer, MARKDOWN, options)
            except RuntimeError as error:
                complaint = str(error).partition("during conversion: ")[2] or error
                raise ExportError(f"pandoc: {one_line(complaint)}") from error
            return self.finish(document, folder), resources


class TypstPDFExporter(PandocExporter):
    """PDF through Typst: A4, tagged, fonts embedded; the same notebook gives the same bytes."""

    export_from_notebook = "PDF via Typst"
    file_extension = ".pdf"
    writer = "typst"
    options = (
        # The title, the notebook's heading of level 1, is no heading on paper.
        "--shift-heading-level-by=-1",
        "--template={}/report.typ",
        "--lua-filter={}/paper.lua",
    )

    def finish(self, document: str, folder: Path) -> bytes:
        """Let Typst set what pandoc has written."""
        main = folder / "main.typ"
        main.write_text(document, encoding="utf-8")
        return self.compile(main)

    def compile(self, main: Path) -> bytes:
        """Let Typst make a PDF that is accessible (PDF/UA), if there are fonts for all characters.

        The fonts that come with Typst set the same pages on every machine; those of the system are
        asked for what is missing there. Raises an `ExportError` with Typst's diagnostic.
        """
        accessible: dict[str, Any] = {"root": main.parent, "pdf_standards": "ua-1"}
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
    file_extension = ".html"
    writer = "html5"
    options = (
        "--embed-resources",
        "--mathml",
        "--toc",
        "--wrap=none",
        "--template={}/page.html",
        "--css={}/report.css",
        "--lua-filter={}/screen.lua",
    )

    def finish(self, document: str, folder: Path) -> str:
        """Make what pandoc has written accessible: a heading without words is none."""
        return re.sub("<th\\b([^>]*)></th>", r"<td\1></td>", document)
