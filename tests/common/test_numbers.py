"""How numbers are formatted for print."""

import io
import sys

import pytest

from common.numbers import format_cell, number, printable


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (-0.07, "+.2f", "−0.07"),
        (0.5, "+.2f", "+0.50"),
        (20000, ",", "20\u202f000"),
        (1234567, ",", "1\u202f234\u202f567"),
        (0.976, ".2%", "97.60\u202f%"),
        (7.84e-9, ".1e", "7.8 × 10⁻⁹"),
        (-1.25e12, ".2e", "−1.25 × 10¹²"),
        (1038, "", "1038"),
        (1038, ",", "1038"),
        (9999.6, ",.0f", "10\u202f000"),
        (float("nan"), ".0%", "–"),
    ],
)
def test_numbers_are_set_as_in_print(value, spec, text):
    assert number(value, spec) == text


def test_the_last_word_of_a_heading_decides_the_format_of_its_numbers():
    assert format_cell(0.97601, "validation accuracy") == "97.60\u202f%"
    assert format_cell(0.06569, "loss") == "0.0657"
    assert format_cell(12345, "best step") == "12\u202f345"
    assert format_cell("early stop", "loss") == "early stop"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("utf-8", "λ = −1 × 10⁻⁴"), ("cp1252", "lambda = -1e-4"), ("ascii", "lambda = -1e-4")],
)
def test_a_console_that_lacks_a_character_gets_another_spelling(monkeypatch, encoding, text):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert printable("λ = −1 × 10⁻⁴") == text
