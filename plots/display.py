"""What the report notebook uses to show figures and text with numbers from its run."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from IPython.display import display

from plots import house_style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

# A figure of 6 inches has 864 pixels: two for each point of its size on paper.
DOTS_PER_INCH = 144


def claim(holds: object, text: str, otherwise: str = "This run does not show it.") -> str:
    """Give a sentence if the runs carry it, and what stands there otherwise if they do not.

    Parameters
    ----------
    holds : bool
        The sentence's condition.
    text, otherwise : str
    """
    return text if holds else otherwise


def show_text(*markdown: str) -> None:
    """Show Markdown as the output of a cell: pieces of a paragraph, empty ones left out.

    Parameters
    ----------
    *markdown : str
    """
    text = " ".join(piece for piece in markdown if piece)
    if text:
        display({"text/markdown": text, "text/plain": text}, raw=True)


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """Show a table as the output of a cell.

    Parameters
    ----------
    rows : sequence of rows of cells
        The first row holds the headings. The first column is set flush left, the others flush
        right. Cells are Markdown; of LaTeX, only formulas between dollars.
    """
    heading, *body = ["| " + " | ".join(row) + " |" for row in rows]
    alignment = "|:---|" + "---:|" * (len(rows[0]) - 1)
    markdown = "\n".join([heading, alignment, *body])
    # For XeLaTeX, which stops at the tables that pandoc makes of Markdown since its version 3.7.
    cells = [[c if "$" in c else c.replace("_", r"\_") for c in row] for row in rows]
    heading, *body = [" & ".join(row).replace("%", r"\%") + r" \\" for row in cells]
    lines = [r"\begin{center}\begin{tabular}{l" + "r" * (len(rows[0]) - 1) + r"}\hline", heading]
    latex = "\n".join([*lines, r"\hline", *body, r"\hline\end{tabular}\end{center}"])
    display({"text/markdown": markdown, "text/latex": latex, "text/plain": markdown}, raw=True)


def with_few_colors(png: io.BytesIO) -> bytes:
    """Reduce a picture to 128 colours, hardly fewer than it has, and to a third of its bytes."""
    from PIL import Image

    smaller = io.BytesIO()
    Image.open(png).convert("RGB").quantize(128).save(smaller, "png", optimize=True)
    return smaller.getvalue()


@house_style()
def show_figure(number: int, figure: Figure, caption: str, alt: str) -> None:
    """Show a figure with its caption as the output of a cell.

    Parameters
    ----------
    number : int
    figure : matplotlib.figure.Figure
        Stored as SVG, for pages and PDFs, as PDF, for LaTeX, and as PNG: JupyterLab shows no SVG
        in a notebook that it does not trust, as after a clone.
    caption : str
        Markdown on one line.
    alt : str
        Plain text for readers who cannot see the figure.
    """
    # Files without a date: the same figure gives the same bytes.
    svg, pdf, png = io.StringIO(), io.BytesIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None})
    figure.set_layout_engine("none")  # The layout of the first serves all three.
    figure.savefig(pdf, format="pdf", metadata={"CreationDate": None})
    figure.savefig(png, format="png", dpi=DOTS_PER_INCH)
    images = {
        "image/svg+xml": svg.getvalue(),
        "application/pdf": pdf.getvalue(),
        "image/png": with_few_colors(png),
    }
    display({**images, "text/plain": alt}, raw=True)
    display(
        {"text/markdown": f"**Figure {number}.** {caption}", "text/plain": caption},
        raw=True,
        metadata={"figure_number": number, "figure_caption": caption, "figure_alt": alt},
    )
