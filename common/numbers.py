"""Formats numbers for print: in texts, tables and figures, and on the command line."""

import math
import sys
import unicodedata
from typing import TextIO

# A line must not break between the groups of a number, or before its unit.
THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"
# The format of a quantity in a table, by the last word of its name.
FORMATS = {"step": ",", "accuracy": ".2%", "loss": ".4f", "points": "+.2f", "seconds": ".1f"}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, spec: str = "") -> str:
    """Format a number.

    Parameters
    ----------
    value : float
    spec : str
        A Python format specification. ``","`` separates thousands by thin spaces, from five digits
        on; ``"%"`` puts a thin space before the sign; ``"e"`` becomes a power of ten.

    Returns
    -------
    str
        With a real minus sign: ``−0.07``, ``1038``, ``20 000``, ``97.60 %``, ``7.8 × 10⁻⁹``; a
        dash for NaN.
    """
    if math.isnan(value):
        return "–"
    digits, _, exponent = format(value, spec).partition("e")
    whole_part = digits.partition(".")[0]
    if sum(character.isdigit() for character in whole_part) == 4:
        digits = digits.replace(",", "")
    text = digits.replace("%", ",%").replace(",", THIN_SPACE).replace("-", "−")
    if not exponent:
        return text
    return f"{text} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def format_cell(value: float | str, name: str) -> str:
    """Format the entry of a table: a number as `FORMATS` says, text as it is."""
    if isinstance(value, str):
        return value
    return number(value, FORMATS.get(name.split()[-1], ""))


def printable(text: str, stream: TextIO | None = None) -> str:
    """Replace λ, minus signs, powers of ten and thin spaces if a stream (stdout) lacks them."""
    try:
        text.encode((stream or sys.stdout).encoding or "utf-8")
    except UnicodeEncodeError:
        plain = unicodedata.normalize("NFKC", text)
        return plain.replace("λ", "lambda").replace(" × 10", "e").replace("−", "-")
    return text
