"""What the notebook shows: each table and figure in a form for every viewer."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from nbconvert.exporters import HTMLExporter

import tools.report
from runs import figures
from runs.figures import new_figure
from tools.report.display import latex, picture, show_notes, table, text

FRAME = pd.DataFrame(
    {
        "run": ["λ = 10⁻⁵", "a_b"],
        "kept step": [27187, 978],
        "epoch": [174, 31],
        "validation accuracy": [0.9152, 0.8],
        "gap, points": [-0.071, 2.0],
        "its loss": [0.29694, 0.3],
    }
)


# Numbers are written as the last word of their heading says.
CELLS = [
    ["λ = 10⁻⁵", "27\u202f187", "174", "91.52\u202f%", "−0.07", "0.2969"],
    ["a_b", "978", "31", "80.00\u202f%", "+2.00", "0.3000"],
]


def test_each_form_of_a_table_has_every_cell():
    forms, _ = table(FRAME)._repr_mimebundle_()
    assert set(forms) == {"text/html", "text/markdown", "text/latex", "text/plain"}
    for kind in ("text/html", "text/plain"):
        for words in (*FRAME.columns, *CELLS[0], *CELLS[1]):
            assert words in forms[kind]
    heading, alignment, *rows = (
        [part.strip() for part in line.strip("|").split("|")]
        for line in forms["text/markdown"].split("\n")
    )
    assert heading == list(FRAME.columns)
    assert re.fullmatch(r":-+(\|-+:){5}", "|".join(alignment))
    assert rows == [[r"$\lambda$ = 10⁻⁵", *CELLS[0][1:]], CELLS[1]]
    assert forms["text/latex"].count("\\\\\n") == 3
    stacked = r"\begin{aligned}\text{validation} \\ \text{accuracy}\end{aligned}"
    assert stacked in forms["text/latex"]
    assert forms["text/latex"].startswith("$$\\begin{array}{lrrrrr}\n\\hline")


@pytest.mark.parametrize(
    ("words", "formula"),
    [
        ("plain", r"\text{plain}"),
        ("λ = 0.01", r"\lambda\text{ = 0.01}"),
        ("minimum, λ = 10⁻⁵", r"\text{minimum, }\lambda\text{ = 10}^{-5}"),
        ("‖w‖²", r"\lVert w \rVert^{2}"),
        ("J of a run", r"J\text{ of a run}"),
        ("−0.07", r"-\text{0.07}"),
        ("97.6\u202f%", r"\text{97.6}\,\text{\%}"),
        ("785 × 10", r"\text{785 }\times\text{ 10}"),
        ("a_b & more", r"\text{a\_b \& more}"),
    ],
)
def test_symbols_and_what_fonts_of_latex_lack_become_formulas(words, formula):
    assert latex(words) == formula


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("minimum of R, λ = 1", r"minimum of $R$, $\lambda$ = 1"),
        ("‖x‖², mean", r"$\lVert x \rVert^{2}$, mean"),
        ("task 1a, a run that I saw, a_b", "task 1a, a run that I saw, a_b"),
    ],
)
def test_single_letters_in_a_table_are_symbols_unless_they_are_words(words, expected):
    forms, _ = table(pd.DataFrame({words: [words]}))._repr_mimebundle_()
    heading, _, cell = forms["text/markdown"].split("\n")
    assert heading.strip("| ") == cell.strip("| ") == expected
    assert words in forms["text/plain"]


def test_a_figure_has_three_pictures_of_one_size_and_its_description():
    figure, axes = new_figure("loss", height=2)
    axes.plot([1, 2])
    forms, metadata = picture(figure, "A line.")._repr_mimebundle_()
    assert set(forms) == {"image/svg+xml", "application/pdf", "image/png", "text/plain"}
    assert forms["text/plain"] == "A line."
    assert forms["image/png"][:4] == b"\x89PNG"
    # PNG has 144 pixels for an inch, and is shown with 96, as SVG is.
    assert int.from_bytes(forms["image/png"][16:20], "big") == int(6.2 * 144)
    assert metadata == {"image/png": {"width": round(6.2 * 96)}}
    assert picture(figure, "A line.").forms["image/svg+xml"] == forms["image/svg+xml"]


def test_outside_of_ipython_plain_text_is_printed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import pandas as pd\n"
        "from runs.figures import new_figure\n"
        "from tools.report.display import show_figure, show_table\n"
        "show_table(pd.DataFrame({'run': ['λ = 1'], 'last step': [558]}))\n"
        "show_figure(1, new_figure('loss')[0], 'With $\\\\lambda$, *early*.', 'A line.')\n",
        encoding="utf-8",
    )
    root = str(Path(figures.__file__).parents[1])
    environment = {"PYTHONPATH": root, "PYTHONUTF8": "1", "PATH": ""}
    result = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, encoding="utf-8"
    )
    assert result.stderr == ""
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[:2] == [["run", "last", "step"], ["λ", "=", "1", "558"]]
    assert result.stdout.splitlines()[2:] == ["A line.", "Figure 1. With λ, *early*."]


def test_notes_name_other_settings_and_modules_from_another_directory(capsys, tmp_path):
    root = Path(figures.__file__).parents[1]
    show_notes({}, root)
    assert capsys.readouterr().out == ""
    show_notes({"SEED": 3, "DIGITS": (4, 9)}, tmp_path)
    settings, modules = capsys.readouterr().out.splitlines()
    assert settings.startswith("Not the assignment's settings: SEED = 3, DIGITS = (4, 9). ")
    assert modules == f"The modules come from another directory: {root}."
    assert text("**A** `b`").forms["text/markdown"] == "**A** `b`"


def test_nbconverts_own_page_gets_the_descriptions_by_a_template_of_ours(caplog):
    figure, _ = new_figure("loss")
    cells = []
    for description in ("A line.", 'Dots < 1 & "more".'):
        forms = picture(figure, description).forms
        data = {"image/svg+xml": forms["image/svg+xml"], "text/plain": forms["text/plain"]}
        output = nbformat.v4.new_output("display_data", data)
        cells.append(nbformat.v4.new_code_cell("secret = 1", outputs=[output]))
    notebook = nbformat.v4.new_notebook(cells=cells)
    template = Path(tools.report.__file__).with_name("with_code")
    page, _ = HTMLExporter(template_name=str(template)).from_notebook_node(notebook)
    images = BeautifulSoup(page, "html.parser").find_all("img")
    assert [image["alt"] for image in images] == ["A line.", 'Dots < 1 & "more".']
    assert "secret" in page
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []
