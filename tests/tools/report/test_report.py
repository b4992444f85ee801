"""The exported report: what the PDF and the page hold, and how every failure ends."""

import contextlib
import errno
import html.parser
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import matplotlib
import nbformat
import pypdf
import pytest
import typst
from nbconvert.nbconvertapp import NbConvertApp
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import utils
from tools.report import StandaloneHTMLExporter, TypstPDFExporter, exporters
from tools.report import __main__ as command_line
from tools.report.__main__ import main
from tools.report.exporters import ExportError

ROOT = Path(utils.__file__).parent
REPORT = ROOT / "report.ipynb"
posix_only = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and limits")

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="200">'
    '<rect id="a" width="400" height="200" fill="#eee"/>'
    '<text x="20" y="100" font-family="New Computer Modern" font-size="20">{}</text></svg>'
)
ALT = 'a "grey" box < 1 & a \\ stroke'


def figure_outputs(caption="A grey box.", alt=ALT, label="drawing"):
    image = {"image/svg+xml": SVG.format(label), "text/plain": "<Figure size 600x350>"}
    return [
        new_output("display_data", image),
        new_output(
            "display_data",
            {"text/markdown": f"**Figure.** {caption}"},
            metadata={"figure_number": 1, "figure_caption": caption, "figure_alt": alt},
        ),
    ]


def markdown_output(text):
    return new_output("display_data", {"text/markdown": text})


def stored(*outputs):
    return new_code_cell("secret_code()", outputs=list(outputs), execution_count=1)


def notebook(*cells, **metadata):
    cells = [new_markdown_cell("# A Report\n\nFirst words."), *cells]
    return new_notebook(cells=cells, metadata=metadata)


def save(nb, folder, name="report.ipynb"):
    path = folder / name
    nbformat.write(nb, path)
    return path


class Page(html.parser.HTMLParser):
    """All elements of an HTML page, and its text without the formulas' TeX source."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.text, self._inside = [], "", []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "link", "br", "hr", "col", "mspace"):
            self._inside.append(tag)

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"style", "script", "title", "annotation"} & set(self._inside):
            self.text += data

    def count(self, tag):
        return len(self.all(tag))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def to_page(nb):
    return Page(StandaloneHTMLExporter().from_notebook_node(nb)[0])


def to_pdf(nb):
    data, _ = TypstPDFExporter().from_notebook_node(nb)
    return pypdf.PdfReader(io.BytesIO(data))


def plain(text):
    """Text without the differences that typesetting makes: ligatures and line breaks."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def page_texts(pdf):
    return [plain(page.extract_text()) for page in pdf.pages]


def structure(node):
    """Walk through the tags of a PDF."""
    node = node.get_object()
    if isinstance(node, list):
        for child in node:
            yield from structure(child)
    elif isinstance(node, dict) and "/S" in node:
        yield node
        if "/K" in node:
            yield from structure(node["/K"])


def alternatives_of(pdf, kind):
    """List the alternative texts of the tags of a kind: /Figure or /Formula."""
    tags = structure(pdf.trailer["/Root"]["/StructTreeRoot"]["/K"])
    return [node["/Alt"] for node in tags if node["/S"] == kind and "/Alt" in node]


# --- a good report ---------------------------------------------------------------------------

SAMPLE_TEXT = r"""## Task 1
### Task 1a)
By the chain rule, with $\hat{y}^n = \sigma(w^\top x^n)$,
$$
\begin{aligned}
\frac{\partial C^n}{\partial w_i} &= \frac{\partial C^n}{\partial \hat{y}^n} \\
&= -(y^n - \hat{y}^n)\, x_i^n
\end{aligned}
$$
and so on:
- one item
- another one

$$J = \begin{bmatrix} 1 & 0 \\ 0 & 1 \end{bmatrix}
- \begin{cases} 1 & \text{if } k = j \\ 0 & \text{otherwise} \end{cases}$$"""

SAMPLE_CODE = f"""
import sys
from IPython.display import Markdown, display
print("noise on stdout")
print("noise on stderr", file=sys.stderr)

def show(number, svg, caption, alt):
    display({{"image/svg+xml": svg, "text/plain": "<Figure size 600x350>"}}, raw=True)
    texts = {{"figure_number": number, "figure_caption": caption, "figure_alt": alt}}
    display({{"text/markdown": "**Figure.** " + caption}}, metadata=texts, raw=True)

display(Markdown("| weight | value |\\n|:--|--:|\\n| bias | $3 \\\\times 10^{{-4}}$ |"))
show(1, {SVG.format("one")!r}, "The first box, in $[0, 1)$.", {ALT!r})
display(Markdown("The best loss is **0.0657**."))
show(2, {SVG.format("two")!r}, "The second box.", "another box")
"""


@pytest.fixture(autouse=True)
def program_name(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["tools/report/__main__.py"])


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Folder with a notebook and what a run from scratch made of it."""
    folder = tmp_path_factory.mktemp("report")
    nb = notebook(new_markdown_cell(SAMPLE_TEXT), new_code_cell(SAMPLE_CODE))
    path = save(nb, folder)
    before = path.read_bytes()
    assert main([str(path)]) == 0
    assert path.read_bytes() == before
    return folder


@pytest.fixture(scope="module")
def pdf(report):
    return pypdf.PdfReader(report / "report.pdf")


@pytest.fixture(scope="module")
def page(report):
    return Page((report / "report.html").read_text(encoding="utf-8"))


def test_a_run_leaves_the_pdf_and_the_page_beside_the_notebook(report):
    assert sorted(file.name for file in report.iterdir()) == [
        "report.html",
        "report.ipynb",
        "report.pdf",
    ]


def test_pdf_holds_title_headings_captions_tables_and_numbers(pdf):
    text = " ".join(page_texts(pdf))
    assert text.count("A Report") == 1
    places = [
        text.index(part)
        for part in (
            "A Report",
            "First words.",
            "Task 1 ",
            "Task 1a)",
            "another one",
            "bias",
            "The best loss is 0.0657.",
        )
    ]
    assert places == sorted(places)
    # Figures float.
    assert 0 < text.index("Figure 1. The first box, in") < text.index("Figure 2. The second box.")


@pytest.mark.parametrize("kind", ["pdf", "page"])
def test_code_streams_and_raw_tex_stay_out(kind, pdf, page):
    text = " ".join(page_texts(pdf)) if kind == "pdf" else page.text
    for part in ("noise", "display", "<Figure", "$", "\\", "frac", "aligned", "svg", "figure_"):
        assert part not in text


def test_pdf_is_a4_with_page_numbers_and_embedded_fonts(pdf):
    fonts = []
    for number, sheet in enumerate(pdf.pages, start=1):
        assert [float(side) for side in sheet.mediabox[2:]] == pytest.approx([595.3, 841.9], abs=1)
        assert sheet.extract_text().split()[-1] == str(number)
        fonts += [font.get_object() for font in sheet["/Resources"]["/Font"].values()]
    assert fonts
    for font in fonts:
        descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"]
        assert {"/FontFile2", "/FontFile3"} & descriptor.keys()
        assert "NewCM" in font["/BaseFont"]


def test_pdf_is_tagged_english_and_has_the_title(pdf):
    root = pdf.trailer["/Root"]
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"]
    assert pdf.metadata.title == "A Report"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    # Typst writes this only after its own checks of the rules of PDF/UA-1.
    assert b"<pdfuaid:part>1</pdfuaid:part>" in root["/Metadata"].get_data()
    kinds = [node["/S"] for node in structure(root["/StructTreeRoot"]["/K"])]
    assert [kind for kind in kinds if kind in ("/Title", "/H1", "/H2")] == ["/Title", "/H1", "/H2"]
    assert "/Table" in kinds
    headings = [node for node in structure(root["/StructTreeRoot"]["/K"]) if node["/S"] == "/TH"]
    assert len(headings) == 2
    bookmarks = pdf.outline
    assert [plain(bookmarks[0].title), plain(bookmarks[1][0].title)] == ["Task 1", "Task 1a)"]


def test_pdf_figures_are_vectors_with_alternative_text(pdf):
    assert alternatives_of(pdf, "/Figure") == [ALT, "another box"]
    assert [image for sheet in pdf.pages for image in sheet.images] == []


def test_page_loads_nothing(page, report):
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "data", "poster", "action"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#"))
    # The one script stands in the page.
    assert page.all("script") == [{}]
    assert page.count("link") == page.count("iframe") == page.count("object") == 0
    source = (report / "report.html").read_text(encoding="utf-8")
    # The font of the formulas is in the page, too.
    assert set(re.findall(r"url\((.{20})", source)) == {"data:font/woff2;base"}
    assert "@import" not in source


def test_page_has_language_viewport_one_title_and_numbered_figures(page, report):
    assert page.all("html")[0]["lang"] == "en"
    viewport = next(meta for meta in page.all("meta") if meta.get("name") == "viewport")
    assert "width=device-width" in viewport["content"]
    source = (report / "report.html").read_text(encoding="utf-8")
    assert "<title>A Report</title>" in source
    assert page.text.count("A Report") == 1
    assert (page.count("h1"), page.count("h2"), page.count("h3")) == (1, 1, 1)
    assert re.findall(r"Figure \d\. The \w+ box", plain(page.text)) == [
        "Figure 1. The first box",
        "Figure 2. The second box",
    ]


def test_page_figures_have_alternative_text(page):
    assert [image["alt"] for image in page.all("img")] == [ALT, "another box"]
    assert page.count("figure") == page.count("figcaption") == 2


def test_page_typesets_every_formula_list_and_table(page):
    # Two displayed and one inline formula in the text, one in the table, one in a caption.
    displays = [formula["display"] for formula in page.all("math")]
    assert sorted(displays) == ["block"] * 2 + ["inline"] * 3
    assert page.count("mtable") == 3
    assert page.text.count("\none item") == page.text.count("\nanother one") == 1
    assert page.count("table") == 1


def test_pdf_typesets_every_formula(pdf):
    tags = [node["/S"] for node in structure(pdf.trailer["/Root"]["/StructTreeRoot"]["/K"])]
    assert tags.count("/Formula") == 5


def test_the_title_block_comes_from_the_metadata_and_from_tagged_cells():
    title_block = new_markdown_cell("**Data.** Ten images.\n\nMade by hand.")
    title_block.metadata.tags = ["title-block"]
    nb = notebook(
        title_block,
        new_markdown_cell("## Task 1\n\nText."),
        authors=[{"name": "Ada Ex-Ample"}, {"name": "Bo *Two* Øst"}],
        subtitle="In plain words",
        course="Course 4711, group 12",
        date="1. May 2031",
    )
    pdf, page = to_pdf(nb), to_page(nb)
    lines = [
        "A Report",
        "In plain words",
        "Ada Ex-Ample, Bo *Two* Øst",
        "Course 4711, group 12 · 1. May 2031",
        "First words.",
        "Data. Ten images.",
        "Made by hand.",
        "Task 1",
    ]
    for text in (page_texts(pdf)[0], plain(page.text.partition("closes it.")[2])):
        places = [text.index(line) for line in lines]
        assert places == sorted(places)
    assert pdf.metadata.title == "A Report"
    assert pdf.metadata.author == "Ada Ex-Ample, Bo *Two* Øst"
    assert [meta["content"] for meta in page.all("meta") if meta.get("name") == "author"] == [
        "Ada Ex-Ample",
        "Bo *Two* Øst",
    ]
    assert {"class": "title-block"} in page.all("div")


@pytest.mark.parametrize("date", ["1. May 2031", "+ 3 days", "#let", "= x", "2031-05-01"])
def test_any_date_and_name_is_printed_as_it_is(date):
    pdf = to_pdf(notebook(date=date, authors=[{"name": f"{date} [A] $x$"}]))
    assert f"{date} [A] $x$ {date} First words." in page_texts(pdf)[0]
    assert pdf.metadata.author == f"{date} [A] $x$"


def test_without_metadata_there_is_no_empty_title_block(pdf, page):
    assert page_texts(pdf)[0].startswith("A Report First words.")
    assert "A Report First words." in plain(page.text)
    assert not pdf.metadata.author


def test_figures_stay_with_their_captions_and_headings_with_what_follows():
    cells = []
    for number in range(1, 16):
        filler = "Some words that fill a line or two of the page. " * (3 * number % 7)
        heading = new_markdown_cell(f"## Heading {number}:")
        text = new_markdown_cell(f"Opening {number}:\n\n{filler}")
        outputs = figure_outputs(f"Caption {number}: " + "long " * 60, label=f"Drawing {number}:")
        figure = stored(*outputs)
        cells += [heading, figure, text] if number % 2 else [heading, text, figure]
    texts = page_texts(to_pdf(notebook(*cells)))
    assert len(texts) > 4

    def sheet(part):
        (found,) = [index for index, text in enumerate(texts) if part in text]
        return found

    for number in range(1, 16):
        assert sheet(f"Drawing {number}:") == sheet(f"Caption {number}:")
        assert sheet(f"Heading {number}:") == sheet(f"Opening {number}:")


def places(sheet):
    """Where the pieces of text of a page lie: the text, and x and y in points from below left."""
    found = []

    def visit(text, matrix, text_matrix, _font, _size):
        if text.strip():
            (a, b, c, d, e, f), (x, y) = matrix, text_matrix[4:]
            found.append((plain(text), a * x + c * y + e, b * x + d * y + f))

    sheet.extract_text(visitor_text=visit)
    return found


def test_a_formula_wider_than_the_text_is_set_smaller():
    formula = " + ".join(f"a_{{{i}}}" for i in range(40))
    (sheet,) = to_pdf(notebook(stored(markdown_output(f"$${formula}$$")))).pages
    across = [x for _, x, _ in places(sheet)]
    left, right = min(across), max(across)
    assert left > 68
    assert 480 < right < 595 - 68


def test_no_formula_and_no_number_breaks_at_the_end_of_a_line():
    filler = ["a", *("mno" * n for n in range(1, 15))]
    text = "\n\n".join(
        f"{word} abc deg hij {word} abc deg hij abc deg hij abc deg hij in step 978, $u + v = w$."
        for word in filler
    )
    pieces = [
        place
        for sheet in to_pdf(notebook(new_markdown_cell(text))).pages
        for place in places(sheet)
    ]
    lines = [[y for text, _, y in pieces if text == letter] for letter in "uvw"]
    assert [len(line) for line in lines] == [len(filler)] * 3
    assert lines[0] == pytest.approx(lines[1])
    assert lines[0] == pytest.approx(lines[2])
    # They do come to the end of a line: some formulas stand left of where they began.
    assert len({round(x) for text, x, _ in pieces if text == "u"}) > 5
    assert not [text for text, _, _ in pieces if text.endswith("step") or text.startswith("978")]


def test_powers_of_ten_are_raised_digits_of_the_texts_font():
    table = "| a | b |\n|:--|--:|\n| 10⁻⁵ | 4.0 × 10⁻¹² |\n| x | 22.0 × 10⁻⁸ |"
    nb = notebook(
        new_markdown_cell("In the text 7.9 × 10⁻⁹ and 3 m²."),
        stored(markdown_output(table), *figure_outputs("In a caption 10⁻³.")),
    )
    pdf, page = to_pdf(nb), to_page(nb)
    assert page.count("sup") == 6
    for text in (page.text, pdf.pages[0].extract_text()):
        assert not set("⁻⁰¹²³⁴⁵⁶⁷⁸⁹") & set(text)
        for power in ("10−5", "10−12", "10−8", "10−9", "10−3"):
            assert power in plain(text)
    fonts = pdf.pages[0]["/Resources"]["/Font"].values()
    assert all("NewCM" in font.get_object()["/BaseFont"] for font in fonts)


@pytest.mark.parametrize("space", [" ", "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"])
def test_a_percent_sign_has_the_same_space_in_text_table_and_caption(space):
    table = f"| a | b |\n|:--|--:|\n| 10{space}% of them | 97.6{space}% |"
    page = to_page(
        notebook(
            new_markdown_cell(f"In the text 5{space}%, (6{space}%)."),
            stored(markdown_output(table), *figure_outputs(f"In a caption 7{space}%.")),
        )
    )
    for text in ("5\u202f%,", "(6\u202f%).", "10\u202f%", "97.6\u202f%", "7\u202f%."):
        assert text in page.text


def test_a_hat_over_one_letter_does_not_stretch():
    page = to_page(notebook(new_markdown_cell(r"$\hat{y} \neq \widehat{ab}$")))
    hats = [mark for mark in page.all("mo") if mark.get("accent")]
    assert [hat.get("stretchy") for hat in hats] == ["false", None]


def test_decimals_are_aligned():
    def starts(*numbers, unit=""):
        table = "| a | b |\n|:--|--:|\n" + "\n".join(f"| x | {n}{unit} |" for n in numbers)
        (sheet,) = to_pdf(notebook(stored(markdown_output(table)))).pages
        found = places(sheet)
        return [next(x for text, x, _ in found if text.startswith(n)) for n in numbers]

    digit = 0.92 * 10 / 2  # the width of a digit in a table
    one, two, three, four = starts("1.5", "22.25", "333.125", "4444")
    assert [one - two, two - three, three - four] == pytest.approx([digit] * 3, abs=0.01)
    # A sign and a unit are a part of it; a cell that is no number leaves its column flush right.
    plus, minus = starts("+1.5", "−22.25", unit="\u202f%")
    assert plus - minus == pytest.approx(digit, abs=0.01)
    one, two, _ = starts("1.5", "22.25", "none")
    assert two < one - 1.9 * digit


def letters(text):
    return "".join(c for c in unicodedata.normalize("NFKC", text) if c.isalnum())


@pytest.fixture(scope="module")
def the_report(tmp_path_factory):
    """PDF and page of report.ipynb, from its stored outputs, and the texts of the PDF's pages."""
    folder = tmp_path_factory.mktemp("whole")
    assert main([str(REPORT), "--no-execute", "--output-dir", str(folder)]) == 0
    assert (folder / "report.html").stat().st_size < 3e6
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    pdf = pypdf.PdfReader(folder / "report.pdf")
    return pdf, page, page_texts(pdf)


def test_the_stored_pdf_is_the_export_of_the_notebook(the_report):
    _, _, texts = the_report
    kept = pypdf.PdfReader(ROOT / "docs" / "report.pdf")
    assert page_texts(kept) == texts


def test_on_paper_heading_answer_figure_and_text_of_a_task_are_together(the_report):
    """On one page, or the text goes on at the top of the next one."""
    _, _, texts = the_report
    notebook = nbformat.read(REPORT, as_version=4)
    heading = page = None
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in re.findall(r"^##+ (.*)$", cell.source, flags=re.MULTILINE):
                heading = line if line.startswith("Task ") else None
                [page] = [n for n, text in enumerate(texts) if f"{heading} " in text] or [None]
        for output in cell.get("outputs", []):
            number = output.get("metadata", {}).get("figure_number")
            if number and heading:
                [found] = [n for n, text in enumerate(texts) if f"Figure {number}. " in text]
                assert found - page in (0, 1), (heading, number)
                # Only the second figure of a task may stand on the page after its heading.
                assert found == page or number == 8, (heading, number)


def test_nbconvert_makes_the_same_bytes_at_another_time(tmp_path):
    table = markdown_output("| a | b |\n|:--|--:|\n| 1 | 2 |")
    nb = notebook(stored(table, *figure_outputs()))
    path = save(nb, tmp_path)
    assert main([str(path), "--no-execute"]) == 0
    page, pdf = sorted(file for file in tmp_path.iterdir() if file != path)
    first = pdf.read_bytes()
    pdf.unlink()
    NbConvertApp.launch_instance(["--to", "tools.report.TypstPDFExporter", str(path)])
    assert pdf.read_bytes() == first
    assert b"CreationDate" not in first
    again, _ = StandaloneHTMLExporter().from_notebook_node(nb)
    assert page.read_text(encoding="utf-8") == again
    assert len(list(tmp_path.iterdir())) == 3


def test_the_report_itself_is_exported_whole(the_report):
    pdf, page, sheets = the_report
    nb = nbformat.read(REPORT, as_version=4)
    sources = [cell.source for cell in nb.cells if cell.cell_type == "markdown"]
    texts = [output.get("metadata", {}) for cell in nb.cells for output in cell.get("outputs", [])]
    captions = [text["figure_caption"] for text in texts if "figure_caption" in text]
    alternatives = [text["figure_alt"] for text in texts if "figure_caption" in text]
    headings = re.findall(r"^#+ (.+)$", "\n".join(sources), flags=re.MULTILINE)
    assert len(headings) > 15
    assert len(captions) >= 8
    for document in ("".join(sheets), page.text):
        # Formulas in captions become other characters, so only the words are looked for.
        found = letters(document)
        for text in headings + captions:
            for words in text.split("$")[::2]:
                assert letters(words) in found
        for number in range(1, len(captions) + 1):
            assert f"Figure{number}" in found
    assert list(map(plain, alternatives_of(pdf, "/Figure"))) == alternatives
    assert [plain(image["alt"]) for image in page.all("img")] == alternatives


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep fonts in other places")
def test_text_in_any_script_is_printed_if_the_system_has_a_font_for_it(
    tmp_path, monkeypatch, capsys
):
    # Tifinagh is in this font, and in none of those that come with Typst.
    letter = "\N{TIFINAGH LETTER YAZ}"
    fonts = tmp_path / ".local" / "share" / "fonts"
    fonts.mkdir(parents=True)
    shutil.copy(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), fonts)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(fonts.parent))
    pdf = to_pdf(notebook(authors=[{"name": f"Ada {letter}"}]))
    assert f"Ada {letter}" in page_texts(pdf)[0]
    assert b"pdfuaid:part" in pdf.trailer["/Root"]["/Metadata"].get_data()
    assert capsys.readouterr().err == ""


def test_system_fonts_are_not_used_without_need(monkeypatch):
    asked, compile_ = [], typst.compile
    monkeypatch.setattr(typst, "compile", lambda *a, **k: asked.append(k) or compile_(*a, **k))
    to_pdf(notebook())
    assert [options["ignore_system_fonts"] for options in asked] == [True]


def test_characters_without_a_font_are_named_and_the_rest_is_printed(capsys, monkeypatch):
    compile_ = typst.compile
    only_its_own = {"ignore_system_fonts": True}
    monkeypatch.setattr(typst, "compile", lambda *a, **k: compile_(*a, **{**k, **only_its_own}))
    pdf = to_pdf(notebook(new_markdown_cell("One 漢 and 字, two 漢.")))
    assert "First words." in page_texts(pdf)[0]
    warning = "warning: no installed font has the characters 漢字\n"
    assert capsys.readouterr().err == warning


# --- what the export refuses -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (r"$\nosuchmacro{x}$", "nosuchmacro"),
        ("$$\na\n\nb\n$$", "not recognised"),
        ("the $ x $ with blanks", "not recognised"),
        (r"\begin{align} a &= b \end{align}", "outside a formula"),
        ("![lost](nowhere.png)", "nowhere.png"),
    ],
)
def test_what_cannot_be_typeset_is_refused(text, complaint):
    with pytest.raises(ExportError, match=complaint):
        to_page(notebook(new_markdown_cell(text)))


def test_dollar_amounts_are_not_taken_for_formulas():
    assert "costs $5 or $7" in to_page(notebook(new_markdown_cell("It costs $5 or $7."))).text


IMAGE, CAPTION = figure_outputs()


@pytest.mark.parametrize(
    ("outputs", "complaint"),
    [
        ([IMAGE], "cell 2: a figure needs a caption: show it by show_figure"),
        ([new_output("display_data", {"image/png": "iVBO"}), CAPTION], "cell 2: a figure needs"),
        ([IMAGE, markdown_output("text"), CAPTION], "cell 2: a figure needs"),
        ([IMAGE, IMAGE, CAPTION], "cell 2: a figure needs"),
        (figure_outputs(alt=""), "cell 2: a figure needs"),
        ([new_output("error", ename="KeyError", evalue="", traceback=[])], "cell 2: .*KeyError"),
    ],
)
def test_figures_without_captions_and_stored_errors_are_refused(outputs, complaint):
    with pytest.raises(ExportError, match=complaint):
        to_page(notebook(stored(*outputs)))


def test_the_unit_stays_with_its_number_in_a_caption():
    page = to_page(notebook(stored(*figure_outputs("Right: 97.60\u202f%."))))
    assert "Right: 97.60\u202f%." in page.text


def test_streams_between_a_figure_and_its_caption_are_dropped():
    warning = new_output("stream", name="stderr", text="a warning")
    assert to_page(notebook(stored(IMAGE, warning, CAPTION))).count("figure") == 1


# --- how failures end ------------------------------------------------------------------------


@pytest.fixture
def old_report(tmp_path):
    """A folder with an earlier good report; afterwards it must still be there, and only it."""
    folder = tmp_path / "out"
    folder.mkdir()
    for suffix in (".pdf", ".html"):
        (folder / f"report{suffix}").write_text("the old report")
    yield folder
    contents = {file.name: file.read_text() for file in folder.iterdir()}
    assert contents == {"report.pdf": "the old report", "report.html": "the old report"}


@pytest.fixture
def run(capsys):
    """Run the command line and hand back the one line it must print on stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            command_line.run(lambda: main([str(argument) for argument in arguments]))
        assert ended.value.code == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("python -m tools.report: error: ")
        assert captured.err.count("\n") == 1
        return captured.err

    return run


@pytest.fixture
def good(tmp_path):
    return save(notebook(stored(*figure_outputs())), tmp_path)


def test_missing_notebook(run, tmp_path, old_report):
    message = run(tmp_path / "none.ipynb", "--output-dir", old_report)
    assert "none.ipynb" in message
    assert "No such file" in message


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b'{"a": 1}', b"\xff\xfe\x00"])
def test_a_file_that_is_not_a_notebook(run, tmp_path, old_report, content):
    (tmp_path / "report.ipynb").write_bytes(content)
    message = run(tmp_path / "report.ipynb", "--output-dir", old_report)
    assert "report.ipynb is not a notebook" in message


def test_no_stored_outputs(run, tmp_path, old_report):
    path = save(notebook(new_code_cell("1 + 1")), tmp_path)
    assert "has no stored outputs" in run(path, "--no-execute", "--output-dir", old_report)


@pytest.fixture
def no_execution(monkeypatch):
    def fail(*_):
        raise AssertionError("the notebook was executed before the check")

    monkeypatch.setattr(command_line, "execute", fail)


@posix_only
@pytest.mark.usefixtures("no_execution")
def test_a_directory_nobody_may_write_to(run, good, tmp_path):
    folder = Path("/proc")
    if os.geteuid() != 0 or not folder.exists():
        folder = tmp_path / "locked"
        folder.mkdir(mode=0o500)
    assert f"{folder}: cannot write to it: " in run(good, "--output-dir", folder)


@pytest.mark.usefixtures("no_execution")
def test_a_file_in_the_place_of_the_directory(run, good, tmp_path):
    (tmp_path / "out").write_text("a file")
    message = run(good, "--output-dir", tmp_path / "out" / "deeper")
    assert f"{tmp_path / 'out'}: is not a directory" in message
    assert (tmp_path / "out").read_text() == "a file"


@pytest.mark.usefixtures("no_execution")
def test_a_directory_in_the_place_of_the_file(run, good, tmp_path):
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    assert "report.html: is a directory; expected a file" in run(
        good, "--output-dir", tmp_path / "out"
    )
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["report.html"]


def test_a_missing_output_directory_is_created(good, tmp_path):
    folder = tmp_path / "new" / "deeper"
    assert main([str(good), "--no-execute", "--output-dir", str(folder)]) == 0
    assert {file.name for file in folder.iterdir()} == {"report.pdf", "report.html"}


def test_git_ignores_the_output_directory_of_the_readme():
    readme = Path(exporters.__file__).with_name("README.md").read_text(encoding="utf-8")
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    directories = re.findall(r"--output-dir (\S+)", readme)
    assert directories
    assert {f"/{directory}/" for directory in directories} <= set(ignored)


def test_typst_failure(run, good, old_report, tmp_path, monkeypatch):
    shutil.copytree(exporters.STYLES, tmp_path / "styles")
    (tmp_path / "styles" / "report.typ").write_text('#panic("no such look")')
    monkeypatch.setattr(exporters, "STYLES", tmp_path / "styles")
    message = run(good, "--no-execute", "--output-dir", old_report)
    assert message.startswith("python -m tools.report: error: Typst: ")
    assert "no such look" in message


def test_a_page_that_cannot_be_written_leaves_the_old_pdf_too(run, good, old_report, monkeypatch):
    write_bytes = Path.write_bytes

    def write_half(path, data):
        if path.parent == old_report and path.suffix == ".html":
            write_bytes(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_half)
    message = run(good, "--no-execute", "--output-dir", old_report)
    assert "No space left on device" in message


@pytest.mark.parametrize(
    ("source", "mode", "complaint"),
    [
        ("fine = 1\n1 / 0", [], "cell 3 (fine = 1): ZeroDivisionError: division by zero"),
        ("import os\nos._exit(3)", ["--refresh"], "cell 3 (import os): Kernel died"),
    ],
)
def test_a_failing_cell_is_named(run, tmp_path, old_report, source, mode, complaint):
    path = save(notebook(new_code_cell("x = 2"), new_code_cell(source)), tmp_path)
    before = path.read_bytes()
    assert complaint in run(path, "--output-dir", old_report, *mode)
    assert path.read_bytes() == before


def process(arguments, **options):
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tools.report", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@posix_only
def test_interrupt_stops_the_kernel_and_writes_nothing(tmp_path, old_report):
    source = "import os, time\nopen('new', 'w').write(str(os.getpid()))\nos.rename('new', 'pid')\n"
    path = save(notebook(new_code_cell(source + "while True: time.sleep(0.01)")), tmp_path)
    # A test run in the background of a shell inherits that Ctrl-C is ignored.
    child = process(
        [path, "--output-dir", old_report],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        wait_until((tmp_path / "pid").exists)
        kernel = int((tmp_path / "pid").read_text())
        for _ in range(5):
            # The first one counts; impatient users press it again.
            child.send_signal(signal.SIGINT)
            time.sleep(0.05)
        output = child.communicate(timeout=30)
    finally:
        child.kill()
    assert child.returncode == 130
    assert output == ("", "python -m tools.report: error: interrupted\n")
    wait_until(lambda: not is_running(kernel))


@posix_only
def test_a_terminal_sees_which_cell_runs_and_for_how_long_unless_quiet(tmp_path, monkeypatch):
    import pty

    path = save(notebook(new_code_cell("1 + 1")), tmp_path)
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    pieces = []

    def is_wiped_out():
        with contextlib.suppress(BlockingIOError):
            pieces.append(os.read(ours, 4000).decode())
        return "".join(pieces).endswith(" \r")

    with open(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        assert main(["--refresh", str(path)]) == 0
        wait_until(is_wiped_out)
        lines = "".join(pieces).split("\r")
        for number in (1, 2):
            assert any(line.startswith(f"cell {number} of 2, 00:0") for line in lines)
        assert main(["--refresh", "--quiet", str(path)]) == 0
        time.sleep(0.1)
        with pytest.raises(BlockingIOError):
            os.read(ours, 4000)
    os.close(ours)


def test_a_directory_with_an_umlaut_works_in_the_c_locale(tmp_path, monkeypatch):
    clone = tmp_path / "Übung"
    shutil.copytree(exporters.STYLES, clone, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    monkeypatch.setattr(exporters, "STYLES", clone)
    monkeypatch.setenv("LC_ALL", "C")
    for exporter in (TypstPDFExporter, StandaloneHTMLExporter):
        document, _ = exporter().from_notebook_node(notebook(stored(*figure_outputs())))
        assert len(document) > 1000


# --- refreshing the notebook -----------------------------------------------------------------


def test_the_notebook_runs_the_modules_beside_it_whatever_pythonpath_says(tmp_path, monkeypatch):
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here, elsewhere):
        folder.mkdir()
        (folder / "of_two_clones.py").write_text(f"place = {folder.name!r}")
    (elsewhere / "only_there.py").write_text("place = 'only there'")
    monkeypatch.setenv("PYTHONPATH", str(elsewhere))
    code = "import of_two_clones, only_there\nprint(of_two_clones.place, only_there.place)"
    path = save(notebook(new_code_cell(code)), here)
    assert main(["--refresh", "--quiet", str(path)]) == 0
    assert nbformat.read(path, as_version=4).cells[1].outputs[0].text == "here only there\n"


def test_refresh_stores_outputs_and_nothing_that_changes_from_run_to_run(
    tmp_path, tmp_path_factory, capsys, monkeypatch
):
    # Another kernel of the name python3, found first, is not the interpreter that runs here.
    folder = tmp_path_factory.mktemp("jupyter")
    kernel = folder / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text('{"argv": ["/nowhere/python"], "display_name": "other"}')
    monkeypatch.setenv("JUPYTER_PATH", str(folder))
    code = """
import os, sys
print("kept")
print("a warning or a progress bar", file=sys.stderr)
print(sys.prefix)
print(os.getcwd())
"""
    nb = notebook(new_code_cell(code, id="my-cell", metadata={"tags": ["keep"]}))
    path = save(nb, tmp_path)
    assert main(["--refresh", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert [file.name for file in tmp_path.iterdir()] == ["report.ipynb"]
    cell = nbformat.read(path, as_version=4).cells[1]
    assert (cell.id, cell.execution_count, cell.metadata) == ("my-cell", 1, {"tags": ["keep"]})
    (output,) = cell.outputs
    assert output.name == "stdout"
    assert output.text == f"kept\n{sys.prefix}\n{tmp_path}\n"
    first = path.read_bytes()
    assert first.endswith(b"}\n")
    assert main(["--refresh", "--quiet", str(path)]) == 0
    assert path.read_bytes() == first
    assert capsys.readouterr().out == ""
