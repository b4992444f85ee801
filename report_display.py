"""What the report notebook uses to show figures and text with numbers from its run."""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING

from IPython.display import display

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.figure import Figure

_figure_numbers: Iterator[int] = itertools.count(1)


def show_text(markdown: str) -> None:
    """Show Markdown as the output of a cell.

    Parameters
    ----------
    markdown : str
    """
    display({"text/markdown": markdown, "text/plain": markdown}, raw=True)


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """Show a table as the output of a cell.

    Parameters
    ----------
    rows : sequence of rows of cells
        The first row holds the headings. The first column is set flush left, the others flush
        right.
    """
    heading, *body = ["| " + " | ".join(row) + " |" for row in rows]
    alignment = "|:---|" + "---:|" * (len(rows[0]) - 1)
    show_text("\n".join([heading, alignment, *body]))


def show_figure(figure: Figure, caption: str, alt: str) -> None:
    """Show a figure with its caption as the output of a cell, and close it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Shown as SVG, for browsers, and as PDF, for LaTeX.
    caption : str
        Markdown on one line. `export_report.py` sets it as the caption and numbers it.
    alt : str
        Plain text for readers who cannot see the figure.
    """
    import matplotlib.pyplot as plt

    # Files without a date: the same figure gives the same bytes.
    svg, pdf = io.StringIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None})
    figure.savefig(pdf, format="pdf", metadata={"CreationDate": None})
    plt.close(figure)
    display({"image/svg+xml": svg.getvalue(), "application/pdf": pdf.getvalue()}, raw=True)
    display(
        {"text/markdown": f"**Figure {next(_figure_numbers)}.** {caption}", "text/plain": caption},
        raw=True,
        metadata={"figure_caption": caption, "figure_alt": alt},
    )
