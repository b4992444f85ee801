"""The notebook executes, and what is stored in it is what a fresh execution gives."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import nbformat
import pytest

import export_report
import utils

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
NUMBER = re.compile(r"[-+−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@pytest.fixture(scope="module")
def stored():
    return nbformat.read(ROOT / "report.ipynb", as_version=4)


@pytest.fixture(scope="module")
def fresh(stored):
    notebook = copy.deepcopy(stored)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    export_report.execute(notebook, ROOT, timeout=100)
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts_of(cell):
    return [
        output.data["text/markdown"] for output in cell.outputs if "text/markdown" in output.data
    ]


def assert_same_text(found, expected):
    """Compare words exactly, and numbers as processors that round differently allow."""
    assert NUMBER.sub("#", found) == NUMBER.sub("#", expected)
    for number, other in zip(NUMBER.findall(found), NUMBER.findall(expected), strict=True):
        value, wanted = (float(text.replace("−", "-")) for text in (number, other))
        if 0 < abs(wanted) < 1e-6:
            # A rounding error, as that of a gradient check: its size is what matters.
            assert abs(wanted) / 10 < abs(value) < abs(wanted) * 10
        else:
            decimals = len(other.partition(".")[2])
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
    assert sum("image/svg+xml" in kind for cell in kinds(stored) for kind in cell) == 8


def test_a_changed_number_would_be_found():
    assert_same_text("step 1038 of 33, 97.89%, 7.9e-09", "step 1038 of 33, 97.90%, 2.0e-08")
    for wrong in ("step 1037 of 33, 97.90%", "step 1038 of 33, 97.80%", "stop 1038 of 33, 97.90%"):
        with pytest.raises(AssertionError):
            assert_same_text(wrong, "step 1038 of 33, 97.90%")


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


def test_the_stored_outputs_have_no_trace_of_streams_or_of_the_machine(stored):
    for cell in code_cells(stored):
        assert cell.outputs or cell is code_cells(stored)[0]
        for output in cell.outputs:
            assert output.output_type == "display_data"
        assert "execution" not in cell.metadata
    text = (ROOT / "report.ipynb").read_text(encoding="utf-8")
    for trace in (str(ROOT), str(Path.home()) + "/", "site-packages", "it/s", "\\u001b"):
        assert trace not in text


def test_every_figure_has_a_caption_and_a_description(stored):
    figures = captions = 0
    for cell in code_cells(stored):
        for output, following in zip(cell.outputs, [*cell.outputs[1:], None], strict=False):
            if "image/svg+xml" in output.data:
                figures += 1
                # LaTeX takes PDF, browsers take SVG.
                assert "application/pdf" in output.data
                captions += len(following.metadata["figure_caption"]) > 40
                assert len(following.metadata["figure_alt"]) > 100
    assert figures == captions == 8


def test_the_readmes_results_are_those_of_the_notebook(stored):
    """Every number in the README's column of results is in the notebook's outputs."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = re.search(r"\| task \| file \|.*?\n\n", readme, flags=re.DOTALL).group()
    results = [row.split("|")[4] for row in table.strip().split("\n")[2:]]
    printed = NUMBER.findall(
        "\n".join(text for cell in code_cells(stored) for text in texts_of(cell))
    )
    printed = {number.lstrip("+-−") for number in printed}
    numbers = [number.lstrip("+-−") for result in results for number in NUMBER.findall(result)]
    assert len(numbers) > 15
    assert [number for number in numbers if number not in printed] == []


def test_the_readmes_timings_are_those_of_the_benchmark():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    results = (ROOT / "benchmarks" / "results.md").read_text(encoding="utf-8")
    table = re.search(r"\| \| training, s .*?\n\n", readme, flags=re.DOTALL).group()
    rows = [row.split("|")[2:-1] for row in table.strip().split("\n")[2:]]
    timings = [number for row in rows for cell in row for number in NUMBER.findall(cell)]
    assert len(timings) == 18
    assert [timing for timing in timings if timing not in NUMBER.findall(results)] == []
