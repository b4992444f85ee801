"""Export an executed notebook as PDF and as one HTML page.

Both exporters take the same path: pandoc reads nbconvert's Markdown and writes either HTML
(`StandaloneHTMLExporter`) or a document that Typst typesets (`TypstPDFExporter`). Neither needs TeX
or a browser. They also work as ``jupyter nbconvert --to tools.report.TypstPDFExporter``.

The title is the notebook's first heading. Its metadata hold the rest of the title block:
``subtitle``, ``authors`` (a list of ``{"name": ...}``, as in nbconvert's own templates), ``course``
and ``date``. A Markdown cell tagged ``title-block`` goes below them.

A figure in the notebook is an image output followed by its caption: a Markdown output whose
metadata hold ``figure_number``, ``figure_caption`` (Markdown) and ``figure_alt`` (plain text that
describes the figure); see `tools.report.display.show_figure`.
"""

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import pypandoc
import typst
from nbconvert.exporters import MarkdownExporter
from nbconvert.preprocessors import Preprocessor
from nbconvert.utils.exceptions import ConversionException
from nbformat import NotebookNode
from traitlets.config import Config

from common.errors import InputError
from tools.report.try_it import MIME_TYPE as TRY_IT
from tools.report.try_it import try_it_html

STYLES = Path(__file__).resolve().parent

# In JupyterLab formulas take precedence over all other markup, and lists and headings need no blank
# line before them. With these extensions pandoc reads the cells in the same way.
MARKDOWN = (
    "markdown_strict-raw_html-spaced_reference_links+all_symbols_escapable+auto_identifiers"
    "+backtick_code_blocks+fenced_divs+implicit_figures+intraword_underscores+link_attributes"
    "+lists_without_preceding_blankline+pipe_tables+raw_tex+smart+strikeout+tex_math_dollars"
)

# Typst's message, for PDF/UA, about a character that no font has.
MISSING_CHARACTER = re.compile(r'the text `"(.+?)"` could not be displayed')
CAPTION_KEYS = ("figure_number", "figure_caption", "figure_alt")
SVG = "image/svg+xml"


class ExportError(ConversionException, InputError):
    """The report cannot be exported. The message is one line for its user."""


class FigurePreprocessor(Preprocessor):
    """Combine every figure with its caption, and drop what does not belong in a report.

    The images go to ``resources["outputs"]`` as files, the HTML of *Try it* to
    ``resources["appendix"]``. Streams (prints, warnings, progress bars) are dropped.
    """

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict[str, Any], index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Turn each figure of a cell, with its caption, into one Markdown output.

        Parameters
        ----------
        cell : NotebookNode
            A cell of the executed notebook; changed in place.
        resources : dict
            nbconvert's resources; the figures are added to them.
        index : int
            The cell's position, counted from 0.

        Returns
        -------
        cell : NotebookNode
        resources : dict
            The first two arguments.

        Raises
        ------
        ExportError
            If a figure has no caption, or the cell ended in an error.
        """
        if "title-block" in cell.metadata.get("tags", []):
            cell.source = f"::: title-block\n{cell.source}\n:::"
        where, files = f"cell {index + 1}", resources.setdefault("outputs", {})
        shown = iter([each for each in cell.get("outputs", []) if each.output_type != "stream"])
        cell.outputs = []
        for output in shown:
            if output.output_type == "error":
                raise ExportError(f"{where}: its stored output is an error: {output.ename}")
            if TRY_IT in output.data:
                resources["appendix"] = try_it_html(output.data[TRY_IT])
                continue
            if any(kind.startswith("image/") for kind in output.data):
                texts = next(shown, NotebookNode()).get("metadata", {})
                if SVG not in output.data or not all(texts.get(key) for key in CAPTION_KEYS):
                    raise ExportError(f"{where}: a figure needs a caption: show it by show_figure")
                number, caption, alt = (texts[key] for key in CAPTION_KEYS)
                file = f"figure-{len(files) + 1}.svg"
                files[file] = output.data[SVG]
                quoted = alt.replace("\\", "\\\\").replace('"', '\\"')
                markdown = f'![**Figure {number}.** {caption}]({file}){{alt="{quoted}"}}'
                output.data = {"text/markdown": markdown}
            cell.outputs.append(output)
        return cell, resources


class PandocExporter(MarkdownExporter):
    """What both exporters share: the path from the notebook through pandoc.

    Attributes
    ----------
    writer : str
        The format that pandoc writes.
    options : sequence of str
        Further options for pandoc; ``{}`` stands for the directory of this file.
    """

    # The template is Markdown's, whatever the extension of the document.
    template_extension = ".md.j2"
    preprocessors = [FigurePreprocessor]  # noqa: RUF012 (nbconvert's type)
    exclude_input = True

    writer: str
    options: Sequence[str]

    @property
    def default_config(self) -> Config:
        """Settings of nbconvert: it takes the text of an output, not its HTML or images."""
        kinds = ["text/markdown", "text/latex", "text/plain"]
        return Config(NbConvertBase={"display_data_priority": kinds})

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Convert a notebook.

        Parameters
        ----------
        nb : NotebookNode
        resources : dict, optional
            nbconvert's resources.

        Returns
        -------
        document : bytes or str
            The bytes of a PDF, or HTML.
        resources : dict
            nbconvert's resources.

        Raises
        ------
        ExportError
            If a figure has no caption, or a formula or an image cannot be typeset.
        """
        markdown, resources = super().from_notebook_node(nb, resources)
        # The first heading, if there is one, replaces this title.
        title = resources["metadata"].get("name", "Report")
        metadata = [("title", title), ("subtitle", nb.metadata.get("subtitle")), ("lang", "en")]
        metadata += [("author", author["name"]) for author in nb.metadata.get("authors", [])]
        metadata += [("occasion", nb.metadata.get(key)) for key in ("course", "date")]
        with tempfile.TemporaryDirectory(prefix="report-") as name:
            folder = Path(name)
            for file, data in resources.pop("outputs", {}).items():
                (folder / file).write_text(data, encoding="utf-8")
            appendix = folder / "appendix.html"
            appendix.write_text(resources.pop("appendix", ""), encoding="utf-8")
            options = [
                # A warning means that a formula or an image is missing.
                "--fail-if-warnings",
                # pandoc makes a table full-width if one of its rows is longer than a line.
                "--columns=10000",
                f"--lua-filter={STYLES / 'document.lua'}",
                f"--resource-path={folder}",
                f"--include-after-body={appendix}",
                *(f"--metadata={key}={value}" for key, value in metadata if value),
                *(option.format(STYLES) for option in self.options),
            ]
            # In the C locale pandoc cannot open a file in a directory with an umlaut.
            os.environ["LC_ALL"] = "C.UTF-8"
            try:
                document = pypandoc.convert_text(markdown, self.writer, MARKDOWN, options)
            except RuntimeError as error:
                raise ExportError(shorten(str(error), 400)) from error
            return self.finish(document, folder), resources

    def finish(self, document: str, folder: Path) -> str | bytes:
        """Turn pandoc's output into the result; the figures are in the folder."""
        return document


class TypstPDFExporter(PandocExporter):
    """PDF through Typst: A4, tagged, fonts embedded; the same notebook gives the same bytes."""

    export_from_notebook = "PDF via Typst"
    file_extension = ".pdf"
    writer = "typst"
    options = (
        # The title is the notebook's heading of level 1, so the others move up by one.
        "--shift-heading-level-by=-1",
        "--template={}/report.typ",
        "--lua-filter={}/paper.lua",
    )

    def finish(self, document: str, folder: Path) -> bytes:
        """Typeset an accessible PDF (PDF/UA), if there are fonts for all characters.

        With the fonts that come with Typst the pages are the same on every machine; the system's
        fonts are used only for what these lack. Raises an `ExportError` with Typst's diagnostic.
        """
        main = folder / "main.typ"
        main.write_text(document, encoding="utf-8")
        accessible: Any = {"root": folder, "pdf_standards": "ua-1"}
        for only_its_own in (True, False):
            try:
                return typst.compile(main, ignore_system_fonts=only_its_own, **accessible)
            except typst.TypstError as error:
                missing = MISSING_CHARACTER.findall(error.diagnostic)
                if not missing:
                    raise ExportError(f"Typst: {shorten(error.diagnostic, 400)}") from error
        characters = "".join(dict.fromkeys(missing))
        print(f"warning: no installed font has the characters {characters}", file=sys.stderr)
        return typst.compile(main, root=folder)


class StandaloneHTMLExporter(PandocExporter):
    """One HTML page with MathML and embedded figures; it loads no other file."""

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
