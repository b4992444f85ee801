"""The notebook executes, and what is stored in it is what a fresh execution gives."""

from __future__ import annotations

import ast
import copy
import os
import re
from pathlib import Path

import nbformat
import pypandoc
import pytest
from nbconvert.exporters import LatexExporter

import utils
from report.notebook import execute

ROOT = Path(utils.__file__).parent
HEADINGS = [
    "# Assignment 1 Report",
    "## Task 1",
    "### Task 1a)",
    "### Task 1b)",
    "## Task 2",
    "### Task 2b)",
    "### Task 2c)",
    "### Task 2d)",
    "### Task 2e)",
    "## Task 3",
    "### Task 3b)",
    "### Task 3c)",
    "### Task 3d)",
    "## Task 4",
    "### Task 4a)",
    "### Task 4b)",
    "### Task 4c)",
    "### Task 4d)",
    "### Task 4e)",
    "## Verification",
]
FIGURES = 11
POWERS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
NUMBER = re.compile(r"[-+−]?\d+(?:\u202f\d{3})*(?:\.\d+)?(?: × 10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?")


@pytest.fixture(scope="module")
def stored():
    return nbformat.read(ROOT / "report.ipynb", as_version=4)


@pytest.fixture(scope="module")
def fresh(stored):
    notebook = copy.deepcopy(stored)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    execute(notebook, ROOT, timeout=100)
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts_of(cell):
    """List what the outputs say, alternative texts included."""
    texts = []
    for output in cell.outputs:
        if "text/markdown" in output.data:
            texts += [output.data["text/markdown"], output.metadata.get("figure_alt", "")]
    return texts


def value_of(text):
    digits, _, exponent = text.replace("−", "-").replace("\u202f", "").partition(" × 10")
    return float(digits) * 10.0 ** int(exponent.translate(POWERS) or 0)


def assert_same_text(found, expected):
    """Compare words exactly, and numbers as processors that round differently allow."""
    assert NUMBER.sub("#", found) == NUMBER.sub("#", expected)
    for number, other in zip(NUMBER.findall(found), NUMBER.findall(expected), strict=True):
        value, wanted = value_of(number), value_of(other)
        if 0 < abs(wanted) < 1e-6:
            # A rounding error, as that of a gradient check: its size is what matters.
            assert abs(wanted) / 10 < abs(value) < abs(wanted) * 10
        else:
            decimals = len(other.partition(" ")[0].partition(".")[2])
            assert value == pytest.approx(
                wanted, rel=1e-4, abs=1.01 * 10**-decimals * (decimals > 0)
            )


def test_a_fresh_execution_gives_the_stored_text_number_by_number(stored, fresh):
    numbers = 0
    for stored_cell, fresh_cell in zip(code_cells(stored), code_cells(fresh), strict=True):
        stored_texts, fresh_texts = texts_of(stored_cell), texts_of(fresh_cell)
        assert len(stored_texts) == len(fresh_texts)
        for found, expected in zip(fresh_texts, stored_texts, strict=True):
            assert_same_text(found, expected)
            numbers += len(NUMBER.findall(expected))
    assert numbers > 150


def test_a_fresh_execution_gives_as_many_figures_as_are_stored(stored, fresh):
    def kinds(notebook):
        return [[sorted(output.data) for output in cell.outputs] for cell in code_cells(notebook)]

    assert kinds(fresh) == kinds(stored)
    assert sum("image/svg+xml" in kind for cell in kinds(stored) for kind in cell) == FIGURES


# One small picture instead of three.
SHOW_LESS = """
import plots.display

def show_figure(number, figure, caption, alt):
    savefig = figure.savefig
    figure.savefig = lambda file, format, **_: format == "png" and savefig(file, dpi=40)
    plots.display.show_figure(number, figure, caption, alt)
"""


def test_other_settings_give_a_report_and_each_cell_can_be_run_again(stored):
    notebook = copy.deepcopy(stored)
    settings = notebook.cells[1]
    for name, value in (("DIGITS", "(4, 9)"), ("LAMBDAS", "(0.1,)"), ("EPOCHS", "5")):
        settings.source, changes = re.subn(
            rf"^{name} = .*$", f"{name} = {value}", settings.source, flags=re.MULTILINE
        )
        assert changes == 1
    cells = code_cells(notebook)
    for cell in cells:
        # The gradient has tests of its own.
        cell.source = cell.source.replace("CHECKED_IMAGES = 20", "CHECKED_IMAGES = 2")
    for cell in cells:
        cell.outputs = []
    notebook.cells = [copy.deepcopy(cell) for cell in cells for _ in range(2)]
    notebook.cells.insert(4, nbformat.v4.new_code_cell(SHOW_LESS))
    execute(notebook, ROOT, timeout=100)
    del notebook.cells[4]
    for first, again in zip(notebook.cells[::2], notebook.cells[1::2], strict=True):
        assert [output.data for output in first.outputs] == [o.data for o in again.outputs]
    text = "\n".join(text for cell in notebook.cells for text in texts_of(cell))
    assert "tell a 4 (target 1) from a 9 (target 0)" in text
    assert "These are not the assignment's settings" in text
    assert "Early stopping does not end this run" in text
    # Nothing of the study, whose runs had other settings.
    assert not re.search("held-out|1038|seeds|minimum of", text, flags=re.IGNORECASE)


def test_a_changed_number_would_be_found():
    assert_same_text("step 1038 of 33, 97.89 %, 7.9 × 10⁻⁹", "step 1038 of 33, 97.90 %, 2.0 × 10⁻⁸")
    for wrong in (
        "step 1037 of 33, 97.90 %",
        "step 1038 of 33, 97.80 %",
        "stop 1038 of 33, 97.90 %",
    ):
        with pytest.raises(AssertionError):
            assert_same_text(wrong, "step 1038 of 33, 97.90 %")


def test_the_headings_are_the_assignments_in_their_order(stored):
    markdown = "\n".join(cell.source for cell in stored.cells if cell.cell_type == "markdown")
    assert re.findall(r"^#+ .*$", markdown, flags=re.MULTILINE) == HEADINGS


def test_no_number_of_the_runs_is_typed_into_the_text(stored):
    """The text cells hold formulas, the setting and names; results come from code."""
    allowed = {"0", "1", "2", "255", "785th"}
    for cell in stored.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"\$\$.*?\$\$|\$.*?\$|`.*?`|^#.*?$", "", cell.source, flags=re.S | re.M)
            numbers = set(re.findall(r"(?<![\w.])\d[\w.]*\b", text))
            assert {n for n in numbers if not re.fullmatch(r"\d[a-e]", n)} <= allowed, cell.source


def test_no_number_of_the_runs_is_typed_into_the_code(stored):
    """The sentences in the code get their numbers from it, but for the course's own words."""
    # The targets, a level of confidence, one of significance, a licence.
    allowed = {"0", "1", "95", "0.05", "3.0"}
    for cell in code_cells(stored):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = re.sub(r"\$.*?(?:\$|$)|\b[Tt]asks? \d\w?|[Ff]igure \d+", "", node.value)
                numbers = set(re.findall(r"(?<![\w.{])\d[\d.]*(?<!\.)", text))
                assert not re.search("[a-z]{3}", text) or numbers <= allowed, node.value


def test_the_stored_outputs_have_no_trace_of_streams_or_of_the_machine(stored):
    without_images = copy.deepcopy(stored)
    for cell in code_cells(without_images):
        for output in cell.outputs:
            assert output.output_type == "display_data"
            # In base64 any four letters may come together.
            output.data = {k: text for k, text in output.data.items() if k.startswith("text/")}
        assert "execution" not in cell.metadata
    text = nbformat.writes(without_images)
    for trace in (str(ROOT), str(Path.home()) + "/", "site-packages", "it/s", "\\u001b"):
        assert trace not in text


def test_every_figure_has_a_caption_a_description_and_three_formats(stored):
    numbers = []
    for cell in code_cells(stored):
        for output, following in zip(cell.outputs, [*cell.outputs[1:], None], strict=False):
            if "image/svg+xml" in output.data:
                # LaTeX takes PDF, pages and PDFs take SVG, JupyterLab shows PNG after a clone.
                assert {"application/pdf", "image/png"} <= output.data.keys()
                assert len(following.metadata["figure_caption"]) > 20
                assert len(following.metadata["figure_alt"]) > 60
                numbers.append(following.metadata["figure_number"])
    assert numbers == list(range(1, FIGURES + 1))


def lines_outside_of_show_calls(source):
    tree = ast.parse(source)
    shown = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "").startswith("show_"):
            shown |= set(range(node.lineno, node.end_lineno + 1))
    return [n for n, line in enumerate(source.split("\n"), 1) if line.strip() and n not in shown]


def test_stock_nbconvert_makes_latex_that_xelatex_can_set(stored, monkeypatch):
    """With the newest pandoc, too; what XeLaTeX's fonts lack is a formula."""
    pandoc = Path(pypandoc.get_pandoc_path()).parent
    monkeypatch.setenv("PATH", f"{pandoc}{os.pathsep}{os.environ['PATH']}")
    latex, resources = LatexExporter(exclude_input=True).from_notebook_node(stored)
    assert r"\title{Assignment 1 Report}" in latex
    assert "longtable}" not in latex.partition(r"\begin{document}")[2]
    assert latex.count(r"\begin{tabular}") == sum(
        text.startswith("|") for cell in code_cells(stored) for text in texts_of(cell)
    )
    assert not set("⁻⁰¹²³⁴⁵⁶⁷⁸⁹") & set(latex)
    assert sum(name.endswith(".pdf") for name in resources["outputs"]) == FIGURES


def test_cells_are_short_and_those_that_only_write_text_are_collapsed(stored):
    assert {cell.cell_type for cell in stored.cells} == {"markdown", "code"}
    assert "LEARNING_RATE" in code_cells(stored)[0].source
    collapsed = 0
    for cell in code_cells(stored):
        assert len(lines_outside_of_show_calls(cell.source)) <= 20, cell.source
        is_collapsed = cell.metadata.get("jupyter", {}).get("source_hidden", False)
        collapsed += is_collapsed
        if is_collapsed:
            assert "show_figure" not in cell.source
    assert collapsed > 5


def test_the_notebook_is_small_and_opens_unchanged_in_jupyterlab(stored):
    assert (ROOT / "report.ipynb").stat().st_size < 2e6
    # What JupyterLab would fill in, and then ask to save.
    assert {"name", "version", "codemirror_mode", "file_extension", "mimetype"} <= set(
        stored.metadata.language_info
    )


def test_the_readmes_results_are_those_of_the_notebook(stored):
    """Every number in the README's column of results is in the notebook's outputs."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = re.search(r"\| task \| file \|.*?\n\n", readme, flags=re.DOTALL).group()
    results = [row.split("|")[4] for row in table.strip().split("\n")[2:]]
    printed = NUMBER.findall(
        "\n".join(text for cell in code_cells(stored) for text in texts_of(cell))
    )
    printed = {abs(value_of(number)) for number in printed}
    texts = [text.replace("\N{NO-BREAK SPACE}", "\u202f") for text in results]
    numbers = [abs(value_of(number)) for text in texts for number in NUMBER.findall(text)]
    assert len(numbers) > 15
    assert [number for number in numbers if number not in printed] == []
