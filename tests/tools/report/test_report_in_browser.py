"""The page of the report in a real browser: Chromium without a window."""

import base64
import io
import shutil
from pathlib import Path

import matplotlib
import nbformat
import numpy as np
import pandas as pd
import pypdf
import pytest
from axe_core_python.base import AXE_SCRIPT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

import tools.report
from runs import figures
from task3a import SoftmaxModel
from tools.report import StandaloneHTMLExporter, display
from tools.report import try_it as try_it_module

REPORT = Path(tools.report.__file__).parents[2] / "report.ipynb"
STYLE = Path(figures.__file__).with_name("style.mplstyle")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMEDRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER),
    reason="needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)",
)

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update"
)
PHONE_WIDTH = 390
# A4 less the margins in report.css, at the 96 pixels per inch of CSS.
PRINT_WIDTH = round((210 - 2 * 20) / 25.4 * 96)

# What sticks out of the window to the right and cannot be reached by scrolling a box of its own.
SHOW_OVERFLOW = """
const scrolls = e => ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
const inBox = e => e && e !== document.body && (scrolls(e) || inBox(e.parentElement));
return [...document.querySelectorAll("body *")]
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !inBox(e))
  .map(e => e.outerHTML.slice(0, 80));
"""

RUN_AXE = """
const report = result => [
  result.violations.map(v => [v.id, v.nodes.map(node => node.html.slice(0, 100))]),
  result.passes.length,
];
axe.run(document, { resultTypes: ["violations"] }).then(result => arguments[0](report(result)));
"""

# Words before the first and after the last line of every figure and table. They add no height
# that could matter, and the printed text tells on which pages they came to lie.
MARK_ENDS = """
let count = 0;
for (const element of document.querySelectorAll("figure, table")) {
  count += 1;
  for (const [place, word] of [["afterbegin", "START"], ["beforeend", "END"]]) {
    const mark = document.createElement(element.tagName == "TABLE" ? "caption" : "div");
    mark.textContent = word + count + "X";
    mark.style = "font: 2px/2px monospace; caption-side: "
      + (word == "START" ? "top" : "bottom");
    element.insertAdjacentElement(place, mark);
  }
}
return count;
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    text, _ = StandaloneHTMLExporter().from_notebook_node(nbformat.read(REPORT, as_version=4))
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chromium(page, tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    for flag in [*FLAGS.split(), f"--user-data-dir={profile}", "--window-size=1200,900"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
    driver.get(page.as_uri())
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium):
    """Chromium with the report open, as if nobody had done anything with it."""
    for emulation in ("clearDeviceMetricsOverride", "setEmulatedMedia"):
        chromium.execute_cdp_cmd(f"Emulation.{emulation}", {})
    chromium.execute_script(
        "location.hash = ''; document.querySelector('details').open = false;"
        "getSelection().removeAllRanges(); document.activeElement.blur(); scrollTo(0, 0)"
    )
    return chromium


@pytest.fixture
def own_page(browser, page):
    """The same for a test that changes the page or the browser."""
    yield browser
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    browser.get("about:blank")  # else a mere change of the #fragment would not load it again
    browser.get(page.as_uri())


# Formulas whose symbols have to grow, and texts that are long in one line.
FORMULAS = r"""
$$ \sum_{k=1}^{K} e^{z_k} = \left( \frac{a}{\frac{b}{c}} \right) $$

$$ \delta = \begin{cases} 1 & \text{if } i = j, \\ 0 & \text{otherwise} \end{cases} $$
"""
SENTENCE = "Words that fill the lines of a page, one after the other, without saying much at all. "


def output_of(shown):
    data, metadata = shown._repr_mimebundle_()
    # The page takes none of the pictures that are bytes.
    data = {kind: form for kind, form in data.items() if not isinstance(form, bytes)}
    return new_output("display_data", data, metadata=metadata)


def a_notebook():
    """Formulas, a table with long cells, eight sections with a figure each, and *Try it*."""
    row = {
        "runs of all kinds": "mean of the changes",
        "file accuracy": 0.9741,
        "fixed accuracy": 0.9741,
        "shuffled accuracy": 0.9463,
        "shuffled minus fixed (95 % interval)": "−62.79 points (−72.70 to −52.87)",
    }
    intervals = pd.DataFrame(
        [row, row | {"shuffled minus fixed (95 % interval)": "−288 steps (−470 to −106)"}]
    )
    cells = [
        new_markdown_cell(f"# A report\n\n## Formulas\n\n{FORMULAS}"),
        new_code_cell(outputs=[output_of(display.table(intervals))]),
    ]
    for number in range(1, 9):
        figure, axes = figures.new_figure("loss", height=3.5)
        axes.plot([1, number])
        caption = {
            "figure_number": number,
            "figure_caption": f"Caption {number}:",
            "figure_alt": "A line.",
        }
        outputs = [display.picture(figure, "A line."), display.text("", caption)]
        answer = f"**Answer {number}: {SENTENCE * (number % 3)}**"
        cells += [
            new_markdown_cell(f"## Heading {number}:\n\n{answer}"),
            new_code_cell(outputs=[output_of(shown) for shown in outputs]),
            new_markdown_cell(f"Text {number}: {SENTENCE * (2 * number % 5)}"),
        ]
    shown = []
    images = np.zeros((1, 784), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(try_it_module, "display", shown.append)
        models = [SoftmaxModel(0.0), SoftmaxModel(1.0)]
        try_it_module.show_try_it(models, images, np.zeros((1, 1), int))
    cells.append(new_code_cell(outputs=[output_of(shown[0])]))
    return new_notebook(cells=cells)


@pytest.fixture(scope="module")
def made_page(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "report.html"
    path.write_text(StandaloneHTMLExporter().from_notebook_node(a_notebook())[0], encoding="utf-8")
    return path


@pytest.fixture
def made(browser, made_page, page):
    """Chromium with the page of `a_notebook` open."""
    browser.get(made_page.as_uri())
    yield browser
    browser.get(page.as_uri())


def emulate(browser, width, media="screen", scheme="light"):
    phone = width <= PHONE_WIDTH
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": phone}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [scheme]})


def press(browser, *keys):
    ActionChains(browser).send_keys(*keys).perform()


def copy(browser):
    """Press Ctrl+C and hand back what the page gave to the clipboard, as text and as HTML."""
    browser.execute_script(
        "document.addEventListener('copy', e => { window.copied = ['text/plain', 'text/html']"
        ".map(kind => e.defaultPrevented && e.clipboardData.getData(kind)) }, { once: true })"
    )
    ActionChains(browser).key_down(Keys.CONTROL).send_keys("c").key_up(Keys.CONTROL).perform()
    return browser.execute_script("return window.copied")


def test_page_opens_without_an_error_and_asks_for_nothing(browser):
    assert browser.get_log("browser") == []
    show_requests = "return performance.getEntriesByType('resource').map(e => e.name)"
    assert browser.execute_script(show_requests) == []


def test_formulas_and_figures_are_drawn(browser):
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('math')].map(e => e.getBoundingClientRect())"
    )
    assert len(sizes) > 20
    assert min(size["height"] for size in sizes) > 5
    assert min(size["width"] for size in sizes) > 3
    images = browser.execute_script(
        "return [...document.images].map(e => [e.complete, e.naturalWidth, e.width, e.height])"
    )
    assert len(images) >= 8
    for complete, natural_width, width, height in images:
        assert complete
        assert natural_width > 100
        assert width > 100
        assert height > 50


def test_nothing_sticks_out_of_the_window(browser):
    for width in (PHONE_WIDTH, 820, 1400):
        emulate(browser, width)
        assert browser.execute_script("return innerWidth") == width
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert browser.execute_script(SHOW_OVERFLOW) == []


def test_wide_formulas_and_tables_scroll_with_the_keyboard_on_a_phone(browser):
    emulate(browser, PHONE_WIDTH)
    wide = browser.execute_script(
        "return [...document.querySelectorAll('.display, .scroll')]"
        ".filter(e => e.scrollWidth > e.clientWidth)"
    )
    assert {element.tag_name for element in wide} == {"span", "div"}
    browser.execute_script("arguments[0].focus()", wide[0])
    press(browser, Keys.ARROW_RIGHT)
    WebDriverWait(browser, 5, poll_frequency=0.05).until(
        lambda _: browser.execute_script("return arguments[0].scrollLeft", wide[0]) > 0
    )


def test_figures_fit_a_phone_and_enlarged_their_letters_are_as_large_as_the_texts(browser):
    emulate(browser, PHONE_WIDTH)
    boxes = browser.execute_script(
        "return [...document.images].map(e => e.getBoundingClientRect().toJSON())"
    )
    for box in boxes:
        assert box["left"] >= 0
        assert box["right"] <= PHONE_WIDTH
    browser.execute_script("location.hash = 'figure-2-large'")
    image = browser.find_element(By.CSS_SELECTOR, "#figure-2 img")
    points = matplotlib.rc_params_from_file(STYLE, use_default_template=False)["font.size"]
    scale = browser.execute_script("return arguments[0].width / arguments[0].naturalWidth", image)
    text = browser.execute_script("return parseFloat(getComputedStyle(document.body).fontSize)")
    # A point is 96/72 of a pixel.
    assert scale * points * 96 / 72 == pytest.approx(text, rel=0.03)


def test_contents_stay_beside_a_wide_text_and_fold_away_above_a_narrow_one(browser):
    def in_sight():
        return browser.execute_script(
            "const e = document.elementFromPoint(...arguments); return e && e.textContent", *place
        )

    emulate(browser, 1400)
    link = browser.find_element(By.CSS_SELECTOR, "nav a")
    box = link.rect
    place = (box["x"] + 5, box["y"] + box["height"] / 2)
    assert in_sight() == link.get_property("textContent") == "Task\xa01"
    browser.execute_script("scrollTo(0, document.body.scrollHeight / 2)")
    assert in_sight() == "Task\xa01"
    emulate(browser, PHONE_WIDTH)
    browser.execute_script("scrollTo(0, 0)")
    assert not link.is_displayed()
    browser.find_element(By.TAG_NAME, "summary").click()
    assert link.is_displayed()
    link.click()
    assert browser.execute_script("return location.hash") == "#task-1"


@pytest.mark.parametrize("width", [PHONE_WIDTH, 1400])
def test_a_figure_is_enlarged_and_closed_with_clicks_and_with_keys(browser, width):
    emulate(browser, width)
    image = browser.find_element(By.CSS_SELECTOR, "#figure-3 img")
    opener = browser.find_element(By.CSS_SELECTOR, "#figure-3 .open")
    closer = browser.find_element(By.CSS_SELECTOR, "#figure-3 .close")
    usual = image.size["width"]

    def is_large():
        fixed = browser.execute_script(
            "return getComputedStyle(document.querySelector('#figure-3 figure')).position"
        )
        assert closer.is_displayed() == (fixed == "fixed")
        assert (image.size["width"] > 1.1 * usual) == (fixed == "fixed")
        return fixed == "fixed"

    browser.execute_script("arguments[0].scrollIntoView({ block: 'center' })", image)
    assert not is_large()
    box = browser.find_element(By.CSS_SELECTOR, "#figure-3 .scroll")
    ActionChains(browser).move_to_element(box).click().perform()
    assert is_large()
    closer.click()
    assert not is_large()
    # It is back in its place.
    top = browser.execute_script("return arguments[0].getBoundingClientRect().top", image)
    assert -5 < top < 800
    opener.send_keys(Keys.ENTER)
    assert is_large()
    press(browser, Keys.TAB)
    if browser.switch_to.active_element != closer:
        # A box that scrolls comes first.
        assert browser.execute_script("return arguments[0].scrollWidth", box) > width
        press(browser, Keys.TAB)
    assert browser.switch_to.active_element == closer
    press(browser, Keys.ENTER)
    assert not is_large()
    opener.send_keys(Keys.ENTER)
    press(browser, Keys.ESCAPE)
    assert not is_large()


def test_figures_are_enlarged_and_closed_without_scripts(own_page, page):
    own_page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    own_page.get("about:blank")
    own_page.get(page.as_uri())
    own_page.find_element(By.CSS_SELECTOR, "#figure-2 .open").send_keys(Keys.ENTER)
    assert own_page.current_url.endswith("#figure-2-large")
    own_page.find_element(By.CSS_SELECTOR, "#figure-2 .close").click()
    assert own_page.current_url.endswith("#figure-2")
    # What only the script can do is not promised.
    assert own_page.find_element(By.ID, "hint").get_attribute("hidden")


def test_formulas_are_copied_as_latex(browser):
    formulas = browser.find_elements(By.CSS_SELECTOR, "main math")
    sources = browser.execute_script(
        "return [...document.querySelectorAll('main math annotation')]"
        ".map(e => e.textContent.trim())"
    )
    assert len(sources) == len(formulas)
    inline = next(i for i, source in enumerate(sources) if source == r"f(z) = \frac{1}{1 + e^{-z}}")
    # A click selects a formula, and a copy of it is whole.
    formulas[inline].click()
    text, markup = copy(browser)
    assert text == f"${sources[inline]}$"
    assert markup.startswith("<math")
    # Where a browser lets half of a formula be selected, a copy holds all of it.
    browser.execute_script(
        "const end = arguments[0].querySelector('mi').firstChild;"
        "getSelection().setBaseAndExtent(document.querySelector('h1').firstChild, 0, end, 0)",
        formulas[inline],
    )
    text, _ = copy(browser)
    assert text.startswith("Assignment 1 Report\n")
    assert text.endswith(f"${sources[inline]}$")
    # With the keyboard: the box of a displayed formula.
    box = browser.find_element(By.CSS_SELECTOR, ".display")
    browser.execute_script("getSelection().removeAllRanges(); arguments[0].focus()", box)
    text, _ = copy(browser)
    assert text.startswith("$$C^n(w) = ")
    assert text.endswith("$$")
    # With the text around them: all formulas, and nothing twice.
    browser.execute_script("getSelection().selectAllChildren(document.querySelector('main'))")
    text, _ = copy(browser)
    assert "so that the last row of $w$ is the bias." in text
    rest = text
    for source in sources:
        before, found, rest = rest.partition(f"${source}$")
        assert found, source
        assert "\\" not in before


def test_axe_finds_no_violation(browser):
    browser.execute_script(AXE_SCRIPT)
    for width, scheme, state in (
        (PHONE_WIDTH, "light", ""),
        (PHONE_WIDTH, "dark", "#figure-3-large"),
        (1400, "dark", ""),
    ):
        emulate(browser, width, scheme=scheme)
        # The contents, which a wide window always shows, are judged in both schemes.
        browser.execute_script(
            "location.hash = arguments[0]; document.querySelector('nav details').open = true", state
        )
        violations, passes = browser.execute_async_script(RUN_AXE)
        assert violations == [], (width, scheme, state)
        assert passes > 20


def test_the_page_follows_the_systems_light_or_dark_setting_figures_included(browser):
    emulate(browser, PHONE_WIDTH)
    image = browser.find_element(By.CSS_SELECTOR, "#figure-1 img")
    papers = {}
    for scheme in ("light", "dark"):
        emulate(browser, PHONE_WIDTH, scheme=scheme)
        browser.execute_script("arguments[0].scrollIntoView({ block: 'start' })", image)
        png = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
        pixels = np.asarray(png, dtype=int)
        drawn = pixels[: int(image.size["height"]), int(image.rect["x"]) :][
            :, : image.size["width"]
        ]
        papers[scheme] = pixels[5, 2]
        # The figure's paper is that of the page, and its letters stand out from it.
        assert drawn[2, 2].tolist() == papers[scheme].tolist()
        assert np.ptp(drawn.sum(axis=2)) > 500
    assert papers["light"].mean() > 240
    assert papers["dark"].mean() < 30


def test_print_cuts_no_figure_and_no_table(own_page):
    emulate(own_page, PRINT_WIDTH, media="print")
    widest = own_page.execute_script(
        "return Math.max(...[...document.querySelectorAll('img, table')]"
        ".map(e => e.getBoundingClientRect().right))"
    )
    assert widest <= PRINT_WIDTH
    own_page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    count = own_page.execute_script(MARK_ENDS)
    assert count >= 8
    answer = own_page.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    pdf = pypdf.PdfReader(io.BytesIO(base64.b64decode(answer["data"])))
    texts = ["".join(page.extract_text().split()) for page in pdf.pages]
    assert len(texts) > 2
    for number in range(1, count + 1):
        (start,) = [i for i, text in enumerate(texts) if f"START{number}X" in text]
        (end,) = [i for i, text in enumerate(texts) if f"END{number}X" in text]
        assert start == end, f"figure or table {number} is cut in two"


def test_the_report_ends_with_try_it_which_reads_a_validation_image(own_page):
    own_page.find_element("css selector", "nav details").click()
    own_page.find_element("css selector", "nav a[href='#try-it']")
    own_page.execute_script("document.querySelector('#try-it-next').click()")
    said = own_page.find_element("id", "try-it-result").text
    assert said.startswith("This is a 7. λ = 0 reads a 7 (")
    assert own_page.get_log("browser") == []


# --- a page of a notebook of our own ----------------------------------------------------------


def boxes_of(browser, selector):
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])]"
        ".map(e => e.getBoundingClientRect().toJSON())",
        selector,
    )


def test_formulas_are_set_in_a_font_that_comes_with_the_page(made):
    made.execute_async_script("document.fonts.ready.then(() => arguments[0]())")
    fonts = made.execute_script("return [...document.fonts].map(font => font.status)")
    assert fonts == ["loaded"]
    letter = made.execute_script("return parseFloat(getComputedStyle(document.body).fontSize)")
    # Sigma is larger than a letter, and its limits stand clear of it.
    sigma, below, above = boxes_of(made, "munderover > *")
    assert sigma["height"] > 1.3 * letter
    assert below["top"] >= sigma["bottom"]
    assert above["bottom"] <= sigma["top"]
    # Parentheses are as high as the fraction in them, and a brace as high as its cases.
    (fraction, _), (cases,) = boxes_of(made, "mfrac"), boxes_of(made, "mtable")
    fences = boxes_of(made, "mo[stretchy=true][form]")
    heights = sorted(fence["height"] for fence in fences)
    assert len(heights) == 3
    assert heights[0] > 0.9 * min(fraction["height"], cases["height"])
    assert min(fraction["height"], cases["height"]) > 1.8 * letter


def test_no_row_of_a_table_is_high_on_a_phone(made):
    emulate(made, PHONE_WIDTH)
    line = 1.6 * 17
    assert max(box["height"] for box in boxes_of(made, "tbody tr")) < 4 * line


def test_the_contents_mark_the_section_that_is_read(made):
    emulate(made, 1400)

    def marked():
        return made.execute_script(
            "const link = document.querySelector('nav [aria-current]'), nav = link.closest('nav');"
            "const box = link.getBoundingClientRect(), frame = nav.getBoundingClientRect();"
            "return [link.textContent, box.top >= frame.top && box.bottom <= frame.bottom]"
        )

    def scroll_to(heading):
        made.execute_script("arguments[0].scrollIntoView()", heading)

    # A low window: the contents scroll by themselves.
    made.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 1400, "height": 300, "deviceScaleFactor": 1, "mobile": False},
    )
    headings = made.find_elements(By.CSS_SELECTOR, "main > h2")
    for heading in (headings[0], headings[7], headings[3]):
        scroll_to(heading)
        expected = [heading.get_property("textContent"), True]
        WebDriverWait(made, 5, poll_frequency=0.05).until(lambda _, e=expected: marked() == e)
    made.execute_script("scrollTo(0, document.body.scrollHeight)")
    WebDriverWait(made, 5, poll_frequency=0.05).until(lambda _: marked() == ["Try it", True])


def test_few_presses_of_tab_lead_to_the_slider(made):
    emulate(made, 1400)
    slider = made.find_element(By.ID, "try-it-lambda")
    reached = []
    while made.switch_to.active_element != slider:
        press(made, Keys.TAB)
        reached.append(made.switch_to.active_element.get_property("textContent"))
        if reached[-1] == "Skip to Try it":
            press(made, Keys.ENTER)
    assert reached == [
        "Skip to the text",
        "Skip to Try it",
        "Validation image",
        "Undo",
        "Clear",
        "",
    ]


def test_the_tab_key_stops_only_at_boxes_that_scroll(made):
    def stops():
        return made.execute_script(
            "return [...document.querySelectorAll('.display, .scroll')]"
            ".map(e => [e.tabIndex == 0, e.scrollWidth > e.clientWidth])"
        )

    for width in (1400, PHONE_WIDTH):
        emulate(made, width)
        WebDriverWait(made, 5, poll_frequency=0.05).until(
            lambda _: all(is_stop == scrolls for is_stop, scrolls in stops())
        )
    assert {is_stop for is_stop, _ in stops()} == {True, False}


def test_in_print_heading_answer_figure_and_text_share_a_page(made):
    made.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    answer = made.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    pdf = pypdf.PdfReader(io.BytesIO(base64.b64decode(answer["data"])))
    texts = [" ".join(sheet.extract_text().split()) for sheet in pdf.pages]
    pages = []
    for number in range(1, 9):
        found = [
            [i for i, text in enumerate(texts) if f"{part} {number}:" in text]
            for part in ("Heading", "Answer", "Caption", "Text")
        ]
        assert found == [found[0]] * 4
        pages += found[0]
    # No section stands alone where two fit.
    assert max(pages.count(number) for number in pages) == 2
    assert min(pages.count(number) for number in pages[1:-1]) == 2
