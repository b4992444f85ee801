"""What the report notebook uses to show tables and figures, in every viewer of notebooks."""

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
    flush = "&" if side == "left" else ""
    rows = r" \\ ".join(flush + latex(line) for line in lines)
    return rf"\begin{{aligned}}{rows}\end{{aligned}}"


class Output:
    """What a cell shows, in several forms, of which each viewer takes the one it likes best.

    Parameters
    ----------
    forms : dict
        By MIME type. ``text/plain``, for the terminal, has to be among them.
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

    Numbers are written as the last word of the heading says (`common.numbers.format_cell`), words
    as they are.
    """
    cells = frame.astype(object)
    for heading in frame:
        cells[heading] = [format_cell(value, str(heading)) for value in frame[heading]]
    right = len(cells.columns) - 1
    sides = ["left", *["right"] * right]
    markdown = cells.to_markdown(index=False, disable_numparse=True, colalign=sides)
    # XeLaTeX stops at the tables that pandoc makes of Markdown. VS Code takes LaTeX, too, and gives
    # it to KaTeX, which knows an array, but no tabular.
    headings = [stacked(str(name), side) for name, side in zip(cells, sides, strict=True)]
    formulas = cells.map(latex).set_axis(headings, axis=1)
    array = formulas.to_latex(index=False, column_format="l" + "r" * right)
    array = re.sub(r"\\(?:top|mid|bottom)rule", r"\\hline", array).replace("tabular", "array")
    return Output(
        {
            "text/html": cells.to_html(index=False, border=0),
            "text/markdown": markdown.replace("λ", r"$\lambda$"),
            "text/latex": f"$${array.strip()}$$",
            "text/plain": cells.to_string(index=False),
        }
    )


@house_style()
def picture(figure: Figure, alt: str) -> Output:
    """Make a figure as SVG, for pages and PDFs, as PDF, for LaTeX, and as PNG, for other viewers.

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
    # Hardly fewer colours than it has, and a third of its bytes.
    smaller = io.BytesIO()
    Image.open(png).convert("RGB").quantize(128).save(smaller, "png", optimize=True)
    forms = {
        "image/svg+xml": svg.getvalue(),
        "application/pdf": pdf.getvalue(),
        "image/png": smaller.getvalue(),
        "text/plain": alt,
    }
    # On a screen as large as the others: its pixels are twice as fine.
    return Output(forms, {"image/png": {"width": round(96 * figure.get_figwidth())}})


def text(markdown: str, metadata: dict[str, Any] | None = None) -> Output:
    """Make a paragraph of Markdown; metadata are what the exporters need of a figure's caption."""
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
            text(
                f"**Not the assignment's settings:** {listed}. The text and the stored evidence"
                " describe the assignment's runs; tables and figures show the runs of these"
                " settings. What does not fit them is not shown."
            )
        )
    modules = Path(__file__).resolve().parents[2]
    if modules != Path(folder).resolve():
        display(text(f"**The modules are those of another folder:** `{modules}`."))
