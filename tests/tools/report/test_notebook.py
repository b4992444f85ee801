"""The notebook is a document, and what is stored in it is what a fresh execution gives."""

from __future__ import annotations

import copy
import os
import re
from pathlib import Path

import nbformat
import pypandoc
import pytest
from nbconvert.exporters import LatexExporter

import utils
from tools.report.notebook import execute

ROOT = Path(utils.__file__).parent
TASKS = ("1a", "1b", "2b", "2c", "2d", "2e", "3b", "3c", "3d", "4a", "4b", "4c", "4d", "4e")
POWERS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
NUMBER = re.compile(r"[-+−]?\d+(?:\u202f\d{3})*(?:\.\d+)?(?: × 10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?")


@pytest.fixture(scope="module")
def stored():
    return nbformat.read(ROOT / "report.ipynb", as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def figures_of(notebook):
    """List the outputs of a notebook that are figures."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return [output for output in outputs if "image/svg+xml" in output.data]


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


# --- what is stored is what the code gives ---------------------------------------------------


def assert_same_text(found, expected):
    """Compare words exactly, and numbers as processors that round differently allow."""
    assert NUMBER.sub("#", found).split() == NUMBER.sub("#", expected).split()
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


def test_a_fresh_execution_gives_the_stored_outputs_number_by_number(stored, executed_report):
    numbers = 0
    for stored_cell, fresh_cell in zip(
        code_cells(stored), code_cells(executed_report), strict=True
    ):
        stored_texts, fresh_texts = texts_of(stored_cell), texts_of(fresh_cell)
        assert len(stored_texts) == len(fresh_texts)
        for found, expected in zip(fresh_texts, stored_texts, strict=True):
            assert_same_text(found, expected)
            numbers += len(NUMBER.findall(expected))
    assert numbers > 250


def test_a_fresh_execution_gives_as_many_figures_as_are_stored(stored, executed_report):
    def kinds(notebook):
        return [[sorted(output.data) for output in cell.outputs] for cell in code_cells(notebook)]

    assert kinds(executed_report) == kinds(stored)
    assert figures_of(stored)


def test_a_changed_number_would_be_found():
    assert_same_text("step 1038 of 33, 97.89 %, 7.9 × 10⁻⁹", "step 1038 of 33, 97.90 %, 2.0 × 10⁻⁸")
    for wrong in (
        "step 1037 of 33, 97.90 %",
        "step 1038 of 33, 97.80 %",
        "stop 1038 of 33, 97.90 %",
    ):
        with pytest.raises(AssertionError):
            assert_same_text(wrong, "step 1038 of 33, 97.90 %")


# --- a document with code --------------------------------------------------------------------


def pieces_by_task(notebook):
    """List what stands below the heading of each task: Markdown as text, code as None."""
    tasks, name = {}, None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if name in tasks:
                tasks[name].append(None)
            continue
        for piece in re.split(r"(?m)^(?=#+ )", cell.source):
            heading, _, rest = piece.partition("\n")
            if heading.startswith("#"):
                task = re.fullmatch(r"### Task (\d\w)\)", heading)
                name = task and task[1]
                piece = rest
                if task:
                    tasks[name] = []
            if name in tasks and piece.strip():
                tasks[name].append(piece.strip())
    return tasks


def test_the_tasks_are_the_assignments_in_their_order(stored):
    assert tuple(pieces_by_task(stored)) == TASKS


def test_answers_come_first(stored):
    tasks = pieces_by_task(stored)
    assert re.match(r"\*\*[^*\n]+\.\*\*", tasks["2d"][0])
    for task in ("2e", "3d", "4b", "4d", "4e"):
        answer, figure, *_ = tasks[task]
        assert re.fullmatch(r"\*\*.+\.\*\*", answer), task
        assert figure is None, task
    for task in ("2b", "2c", "3b", "3c", "4c"):
        assert tasks[task][0] is None, task


def test_all_code_is_shown_and_can_be_printed(stored):
    for cell in stored.cells:
        assert "source_hidden" not in cell.metadata.get("jupyter", {})
        # XeLaTeX has no other characters in its listings.
        assert cell.cell_type == "markdown" or cell.source.isascii(), cell.source


# --- numbers ---------------------------------------------------------------------------------

REFERENCES = r"[Tt]asks? \d\w?(?:(?:, | and )\d\w)*|[Ff]igures? \d+|`[^`]*`|\b[a-z]+\d+\b"


def numbers_of(text):
    """List the numbers of a text, without those of displayed formulas and of references."""
    text = re.sub(rf"\$\$.*?\$\$|^#.*?$|{REFERENCES}", " ", text, flags=re.S | re.M)
    return [n.replace("\u202f", "") for n in re.findall(r"\d[\d\u202f]*(?:\.\d+)?", text)]


def numbers_without_an_output(notebook):
    """Find the numbers of Markdown cells that stand in no output above them, with their cells."""
    printed, missing = set(), []
    for position, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            for output in cell.outputs:
                printed |= set(numbers_of(output.get("data", {}).get("text/plain", "")))
            continue
        text = cell.source
        if r"\blacksquare" in text:  # A derivation.
            text = re.sub(r"\$[^$]*\$", " ", text)
        missing += [(position, number) for number in numbers_of(text) if number not in printed]
    return missing


def test_every_number_in_the_text_stands_in_an_output_above_it(stored):
    assert numbers_without_an_output(stored) == []


def test_a_number_without_an_output_is_named_with_its_cell():
    printed = nbformat.v4.new_output("display_data", {"text/plain": "step 978: 90.38 %, 21.6"})
    code = nbformat.v4.new_code_cell("show()", outputs=[printed])
    texts = ("Step 978 (task 2d) has 90.38 %.", "Step 979 has 21.6.", "$21.5$ in figure 9")
    markdown = [nbformat.v4.new_markdown_cell(text) for text in texts]
    notebook = nbformat.v4.new_notebook(cells=[code, *markdown])
    assert numbers_without_an_output(notebook) == [(3, "979"), (4, "21.5")]
    notebook.cells = [markdown[0], code]
    assert numbers_without_an_output(notebook) == [(1, "978"), (1, "90.38")]


# --- other settings --------------------------------------------------------------------------

# One small picture instead of three.
SHOW_LESS = """
import tools.report.display

def show_figure(number, figure, caption, alt):
    savefig = figure.savefig
    figure.savefig = lambda file, format, **_: format == "png" and savefig(file, dpi=40)
    tools.report.display.show_figure(number, figure, caption, alt)
"""
# As papermill injects them.
PARAMETERS = "DIGITS = '[4, 9]'\nLAMBDAS = [0.1]\nEPOCHS = 5\nSEED = 3"


def test_other_settings_give_a_report_and_each_cell_can_be_run_again(stored):
    notebook = copy.deepcopy(stored)
    cells = code_cells(notebook)
    [settings] = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    for cell in cells:
        # The gradient has tests of its own.
        cell.source = cell.source.replace("CHECKED_IMAGES = 20", "CHECKED_IMAGES = 2")
        cell.outputs = []
    settings.source += f"\n{PARAMETERS}"
    notebook.cells = [copy.deepcopy(cell) for cell in cells for _ in range(2)]
    notebook.cells.insert(2, nbformat.v4.new_code_cell(SHOW_LESS))
    execute(notebook, ROOT)
    del notebook.cells[2]
    for first, again in zip(notebook.cells[::2], notebook.cells[1::2], strict=True):
        assert [output.data for output in first.outputs] == [o.data for o in again.outputs]
    text = "\n".join(text for cell in notebook.cells for text in texts_of(cell))
    for words in ("`DIGITS = (4, 9)`", "`LAMBDAS = (0.1,)`", "`EPOCHS = 5`", "`SEED = 3`"):
        assert text.count(words) == 2
    assert "4 (target 1) or 9 (target 0)" in text
    assert "last epoch" in text
    # Nothing of the study, whose runs had other settings.
    assert not re.search("held-out|1038|seeds|minimum of", text, flags=re.IGNORECASE)


# --- viewers ---------------------------------------------------------------------------------


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
                # LaTeX takes PDF, pages and PDFs take SVG, all other viewers show PNG.
                assert {"application/pdf", "image/png"} <= output.data.keys()
                assert len(following.metadata["figure_caption"]) > 20
                assert len(following.metadata["figure_alt"]) > 60
                numbers.append(following.metadata["figure_number"])
    assert numbers == list(range(1, len(figures_of(stored)) + 1))


# What VS Code shows of an output, from the first to the last choice.
VS_CODE = ["text/html", "image/svg+xml", "image/png", "image/jpeg", "text/latex", "text/markdown"]


def test_vs_code_shows_no_table_as_latex_that_katex_does_not_know(stored):
    tables = 0
    for cell in code_cells(stored):
        for output in cell.outputs:
            kind = next((kind for kind in VS_CODE if kind in output.data), "text/plain")
            assert kind != "text/latex"
            assert not re.search("tabular|center", output.data.get(kind, ""))
            assert "tabular" not in output.data.get("text/latex", "")
            if "text/latex" in output.data:
                tables += 1
                assert {"text/html", "text/markdown", "text/plain"} <= output.data.keys()
                assert output.data["text/latex"].startswith(r"$$\begin{array}{l")
    assert tables > 10


def test_stock_nbconvert_makes_latex_that_xelatex_can_set(stored, monkeypatch):
    """With the newest pandoc, too; what XeLaTeX's fonts lack is a formula."""
    pandoc = Path(pypandoc.get_pandoc_path()).parent
    monkeypatch.setenv("PATH", f"{pandoc}{os.pathsep}{os.environ['PATH']}")
    latex, resources = LatexExporter(exclude_input=True).from_notebook_node(stored)
    assert r"\title{Assignment 1 Report}" in latex
    body = latex.partition(r"\begin{document}")[2]
    assert "longtable}" not in body
    assert body.count(r"\begin{array}") == sum(
        "text/latex" in output.data for cell in code_cells(stored) for output in cell.outputs
    )
    assert not set("⁻⁰¹²³⁴⁵⁶⁷⁸⁹λ−‖") & set(body)
    assert sum(name.endswith(".pdf") for name in resources["outputs"]) == len(figures_of(stored))


def test_the_notebook_is_small_and_opens_unchanged_in_jupyterlab(stored):
    assert (ROOT / "report.ipynb").stat().st_size < 2.5e6
    # What JupyterLab would fill in, and then ask to save.
    assert {"name", "version", "codemirror_mode", "file_extension", "mimetype"} <= set(
        stored.metadata.language_info
    )


# --- the README ------------------------------------------------------------------------------


def test_the_readmes_results_are_those_of_the_notebook(stored):
    """Every number in the README's column of results is in the notebook's outputs."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = re.search(r"\| task \|.*?\n\n", readme, flags=re.DOTALL).group()
    results = [row.split("|")[-2] for row in table.strip().split("\n")[2:]]
    printed = {
        number
        for cell in code_cells(stored)
        for text in texts_of(cell)
        for number in numbers_of(text)
    }
    texts = [text.replace("\N{NO-BREAK SPACE}", "\u202f") for text in results]
    numbers = [number for text in texts for number in numbers_of(text)]
    assert len(numbers) > 10
    assert [number for number in numbers if number not in printed] == []
