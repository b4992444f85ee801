"""What the report notebook uses to show tables and figures in every notebook viewer."""

import io
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image

from common.numbers import format_cell
from runs.figures import house_style

# A figure of 6 inches has 864 pixels: two for each point of its size on paper.
DOTS_PER_INCH = 144
# XeLaTeX's usual fonts lack these characters, and KaTeX does not accept the commands within \text.
COMMANDS = {"λ": r"\lambda", "−": "-", "×": r"\times", "\u202f": r"\,"}
SUPERSCRIPTS = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
# A letter by itself is a symbol, unless it is an English word.
SYMBOL = r"(?<!\w)[B-HJ-Zb-zλ](?!\w)"
NORM = f"‖{SYMBOL}‖"
WIDEST_HEADING = 14  # characters


def latex(text: str) -> str:
    r"""Write the text of a table's cell as a formula that LaTeX and KaTeX can set.

    ``λ = 10⁻⁵`` becomes ``\lambda\text{ = 10}^{-5}``.
    """

    def command(found: re.Match[str]) -> str:
        special = found[0]
        if special[0] in SUPERSCRIPTS:
            exponent = special.translate(str.maketrans(SUPERSCRIPTS, "-0123456789"))
            formula = f"^{{{exponent}}}"
        elif special[0] == "‖":
            formula = rf"\lVert {COMMANDS.get(special[1], special[1])} \rVert"
        else:
            formula = COMMANDS.get(special, special)
        return "}" + formula + r"\text{"

    escaped = re.sub("([%_&#])", r"\\\1", text)
    special = f"[{SUPERSCRIPTS}]+|{NORM}|[{''.join(COMMANDS)}]|{SYMBOL}"
    return rf"\text{{{re.sub(special, command, escaped)}}}".replace(r"\text{}", "")


def markdown(text: str) -> str:
    r"""Write the symbols in a table's cell as formulas: ``λ = 1`` becomes ``$\lambda$ = 1``."""
    return re.sub(f"{NORM}²?|{SYMBOL}", lambda found: f"${latex(found[0])}$", text)


def stacked(heading: str, side: str) -> str:
    r"""Break a long heading into lines: ``\text`` does not break by itself."""
    lines = textwrap.wrap(heading, WIDEST_HEADING)
    if len(lines) == 1:
        return latex(heading)
    flush = "&" if side == "left" else ""
    rows = r" \\ ".join(flush + latex(line) for line in lines)
    return rf"\begin{{aligned}}{rows}\end{{aligned}}"


class Output:
    """What a cell shows, in several forms, of which each viewer takes the one it prefers.

    Parameters
    ----------
    forms : dict
        By MIME type. ``text/plain``, for the terminal, must be among them.
    metadata : dict, optional
    """

    def __init__(self, forms: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        self.forms, self.metadata = forms, metadata or {}

    def __repr__(self) -> str:
        return self.forms["text/plain"]

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.forms, self.metadata


def table(frame: pd.DataFrame) -> Output:
    """Make a table of the columns of a frame, without its index.

    The last word of a heading decides how the numbers below it are formatted
    (`common.numbers.format_cell`); words stay as they are.
    """
    cells = frame.astype(object)
    for heading in frame:
        cells[heading] = [format_cell(value, str(heading)) for value in frame[heading]]
    right = len(cells.columns) - 1
    sides = ["left", *["right"] * right]
    in_markdown = cells.map(markdown).rename(columns=markdown)
    # XeLaTeX fails on the tables that pandoc makes of Markdown. VS Code takes LaTeX, too, and gives
    # it to KaTeX, which knows array but not tabular.
    headings = [stacked(str(name), side) for name, side in zip(cells, sides, strict=True)]
    formulas = cells.map(latex).set_axis(headings, axis=1)
    array = formulas.to_latex(index=False, column_format="l" + "r" * right)
    array = re.sub(r"\\(?:top|mid|bottom)rule", r"\\hline", array).replace("tabular", "array")
    return Output(
        {
            "text/html": cells.to_html(index=False, border=0),
            "text/markdown": in_markdown.to_markdown(
                index=False, disable_numparse=True, colalign=sides
            ),
            "text/latex": f"$${array.strip()}$$",
            "text/plain": cells.to_string(index=False),
        }
    )


@house_style()
def picture(figure: Figure, alt: str) -> Output:
    """Save a figure as SVG for pages and PDFs, as PDF for LaTeX, and as PNG for other viewers.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str
        Plain text for readers who cannot see it.
    """
    # Files without a date: the same figure gives the same bytes.
    svg, pdf, png = io.StringIO(), io.BytesIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None})
    figure.set_layout_engine("none")  # The layout of the first serves all three.
    figure.savefig(pdf, format="pdf", metadata={"CreationDate": None})
    figure.savefig(png, format="png", dpi=DOTS_PER_INCH)
    # A figure has hardly more colours, and this takes a third of the bytes.
    smaller = io.BytesIO()
    Image.open(png).convert("RGB").quantize(128).save(smaller, "png", optimize=True)
    forms = {
        "image/svg+xml": svg.getvalue(),
        "application/pdf": pdf.getvalue(),
        "image/png": smaller.getvalue(),
        "text/plain": alt,
    }
    # As wide as the SVG on a screen of 96 dots per inch.
    return Output(forms, {"image/png": {"width": round(96 * figure.get_figwidth())}})


def text(markdown: str, metadata: dict[str, Any] | None = None) -> Output:
    """Make a paragraph of Markdown; the metadata tell the exporters whose caption it is."""
    plain = re.sub(r"\*\*|[$`]", "", markdown).replace(r"\lambda", "λ")
    return Output({"text/markdown": markdown, "text/plain": plain}, metadata)


def show_table(frame: pd.DataFrame) -> None:
    """Show a table as the output of a cell, see `table`."""
    display(table(frame))


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
    display(picture(figure, alt))
    display(text(f"**Figure {number}.** {caption}", metadata))


def show_notes(settings: Mapping[str, Any], folder: str | Path) -> None:
    """Say at the top of a report what its reader must know about how it was made.

    Parameters
    ----------
    settings : mapping of str to object
        Those that are not the assignment's.
    folder : path
        The notebook's directory, where the modules should be, too.
    """
    if settings:
        listed = ", ".join(f"`{name} = {value}`" for name, value in settings.items())
        display(
            text(
                f"**Not the assignment's settings:** {listed}. The text and the stored evidence"
                " describe the assignment's runs; tables and figures show runs with these"
                " settings. What does not fit them is left out."
            )
        )
    modules = Path(__file__).resolve().parents[2]
    if modules != Path(folder).resolve():
        display(text(f"**The modules come from another directory:** `{modules}`."))
