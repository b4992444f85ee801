"""What the report notebook uses to show tables and figures, in every viewer of notebooks."""

from __future__ import annotations

import io
import os
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.display import display

from output.numbers import number
from plots import house_style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# How the numbers of a column are written, by the last word of its heading.
FORMATS = {"step": ",", "epoch": "", "accuracy": ".2%", "loss": ".4f", "points": "+.2f"}
# A figure of 6 inches has 864 pixels: two for each point of its size on paper.
DOTS_PER_INCH = 144
# The usual fonts of XeLaTeX lack these characters, and KaTeX takes no such commands within \text.
COMMANDS = {"λ": r"\lambda", "−": "-", "×": r"\times", "‖": r"\Vert", "\u202f": r"\,"}
SUPERSCRIPTS = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
WIDEST_HEADING = 14  # characters


def latex(text: str) -> str:
    r"""Write the text of a table's cell as a formula that LaTeX and KaTeX can set.

    ``λ = 10⁻⁵`` becomes ``\lambda\text{ = 10}^{-5}``.
    """

    def command(found: re.Match[str]) -> str:
        plain = found[0].translate(str.maketrans(SUPERSCRIPTS, "-0123456789"))
        return "}" + COMMANDS.get(found[0], f"^{{{plain}}}") + r"\text{"

    escaped = re.sub("([%_&#])", r"\\\1", text)
    formula = re.sub(f"[{SUPERSCRIPTS}]+|[{''.join(COMMANDS)}]", command, escaped)
    return rf"\text{{{formula}}}".replace(r"\text{}", "")


def stacked(heading: str, side: str) -> str:
    r"""Write a long heading as lines one below the other: ``\text`` does not break."""
    lines = textwrap.wrap(heading, WIDEST_HEADING)
    if len(lines) == 1:
        return latex(heading)
    flush = "&" if side == "l" else ""
    rows = r" \\ ".join(flush + latex(line) for line in lines)
    return rf"\begin{{aligned}}{rows}\end{{aligned}}"


class Table:
    """A table that each viewer shows in the form it likes best.

    Parameters
    ----------
    frame : pandas.DataFrame
        The headings of its columns are those of the table; its index is not shown. Numbers are
        written as the last word of the heading says (`FORMATS`), words as they are.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.cells = frame.copy().astype(object)
        for heading in frame:
            spec = FORMATS.get(str(heading).split()[-1], "")
            self.cells[heading] = [
                cell if isinstance(cell, str) else number(cell, spec) for cell in frame[heading]
            ]

    def __repr__(self) -> str:
        return self.cells.to_string(index=False)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        right = len(self.cells.columns) - 1
        markdown = self.cells.to_markdown(
            index=False, disable_numparse=True, colalign=["left", *["right"] * right]
        )
        # XeLaTeX stops at the tables that pandoc makes of Markdown. VS Code takes LaTeX, too, and
        # gives it to KaTeX, which knows an array, but no tabular.
        sides = "l" + "r" * right
        headings = [stacked(str(name), side) for name, side in zip(self.cells, sides, strict=True)]
        formulas = self.cells.map(latex).set_axis(headings, axis=1)
        array = formulas.to_latex(index=False, column_format=sides)
        array = re.sub(r"\\(?:top|mid|bottom)rule", r"\\hline", array).replace("tabular", "array")
        return {
            "text/html": self.cells.to_html(index=False, border=0),
            "text/markdown": markdown.replace("λ", r"$\lambda$"),
            "text/latex": f"$${array.strip()}$$",
            "text/plain": repr(self),
        }


class Picture:
    """A figure as SVG, for pages and PDFs, as PDF, for LaTeX, and as PNG, for all other viewers.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str
        Plain text for readers who cannot see it.
    """

    def __init__(self, figure: Figure, alt: str) -> None:
        self.figure, self.alt = figure, alt

    def __repr__(self) -> str:
        return self.alt

    @house_style()
    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str | bytes], dict[str, Any]]:
        # Files without a date: the same figure gives the same bytes.
        svg, pdf, png = io.StringIO(), io.BytesIO(), io.BytesIO()
        self.figure.savefig(svg, format="svg", metadata={"Date": None})
        self.figure.set_layout_engine("none")  # The layout of the first serves all three.
        self.figure.savefig(pdf, format="pdf", metadata={"CreationDate": None})
        self.figure.savefig(png, format="png", dpi=DOTS_PER_INCH)
        images: dict[str, str | bytes] = {
            "image/svg+xml": svg.getvalue(),
            "application/pdf": pdf.getvalue(),
            "image/png": with_few_colors(png),
        }
        # On a screen as large as the others: its pixels are twice as fine.
        size = {"image/png": {"width": round(96 * self.figure.get_figwidth())}}
        return {**images, "text/plain": self.alt}, size


class Text:
    """Markdown, such as a figure's caption.

    Parameters
    ----------
    markdown : str
    metadata : dict, optional
        Of the output: what the exporters need to join a caption with its figure.
    """

    def __init__(self, markdown: str, metadata: dict[str, Any] | None = None) -> None:
        self.markdown, self.metadata = markdown, metadata or {}

    def __repr__(self) -> str:
        return re.sub(r"\*\*|[$`]", "", self.markdown).replace(r"\lambda", "λ")

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        return {"text/markdown": self.markdown, "text/plain": repr(self)}, self.metadata


def show_table(frame: pd.DataFrame) -> None:
    """Show a table as the output of a cell, see `Table`."""
    display(Table(frame))


def show_figure(number: int, figure: Figure, caption: str, alt: str) -> None:
    """Show a figure with its caption as the output of a cell.

    Parameters
    ----------
    number : int
    figure : matplotlib.figure.Figure
    caption : str
        Markdown on one line.
    alt : str
        Plain text for readers who cannot see the figure.
    """
    metadata = {"figure_number": number, "figure_caption": caption, "figure_alt": alt}
    display(Picture(figure, alt))
    display(Text(f"**Figure {number}.** {caption}", metadata))


def show_notes(settings: Mapping[str, Any], folder: str | os.PathLike[str]) -> None:
    """Say at the top of a report what its reader has to know about how it was made.

    Parameters
    ----------
    settings : mapping of str to object
        Those that are not the assignment's.
    folder : path
        Where the modules should be: the notebook's own folder.
    """
    if settings:
        listed = ", ".join(f"`{name} = {value}`" for name, value in settings.items())
        display(
            Text(
                f"**Not the assignment's settings:** {listed}. The text and the stored evidence"
                " describe the assignment's runs; tables and figures show the runs of these"
                " settings. What does not fit them is not shown."
            )
        )
    modules = Path(__file__).resolve().parents[1]
    if modules != Path(folder).resolve():
        display(Text(f"**The modules are those of another folder:** `{modules}`."))


def with_few_colors(png: io.BytesIO) -> bytes:
    """Reduce a picture to 128 colours, hardly fewer than it has, and to a third of its bytes."""
    from PIL import Image

    smaller = io.BytesIO()
    Image.open(png).convert("RGB").quantize(128).save(smaller, "png", optimize=True)
    return smaller.getvalue()
