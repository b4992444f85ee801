"""Numbers as they are set in print: in texts, tables, figures and on the command line."""

import sys
import unicodedata

# No line may end between the groups of a number, or before its unit.
THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"
# How a quantity is written in a table, by the last word of its name.
FORMATS = {"step": ",", "accuracy": ".2%", "loss": ".4f", "points": "+.2f", "seconds": ".1f"}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, spec: str = "") -> str:
    """Format a number.

    Parameters
    ----------
    value : float
    spec : str
        A format specification of Python's. ``","`` groups thousands by thin spaces, from five
        digits on; ``"%"`` sets a thin space before the sign, ``"e"`` becomes a power of ten.

    Returns
    -------
    str
        With a proper minus: ``−0.07``, ``1038``, ``20 000``, ``97.60 %``, ``7.8 × 10⁻⁹``; a dash
        for NaN.
    """
    if value != value:
        return "–"
    digits, _, exponent = format(value, spec).partition("e")
    if sum(map(str.isdigit, digits.partition(".")[0])) == 4:
        digits = digits.replace(",", "")
    text = digits.replace("%", ",%").replace(",", THIN_SPACE).replace("-", "−")
    return f"{text} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}" if exponent else text


def format_cell(value: float | str, name: str) -> str:
    """Format an entry of a table: a number as `FORMATS` says, a word as it is."""
    return value if isinstance(value, str) else number(value, FORMATS.get(name.split()[-1], ""))


def printable(text: str) -> str:
    """Spell λ, minus, powers of ten and thin spaces plainly if standard output needs it."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        plain = unicodedata.normalize("NFKC", text)
        return plain.replace("λ", "lambda").replace(" × 10", "e").replace("−", "-")
    return text
