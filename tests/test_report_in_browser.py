"""The page of the report in a real browser: Chromium without a window."""

import base64
import io
import json
import shutil
from pathlib import Path

import pypdf
import pytest

import report
from report.__main__ import main

REPORT = Path(report.__file__).parents[1] / "report.ipynb"
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
    folder = tmp_path_factory.mktemp("page")
    assert main([str(REPORT), "--no-execute", "--output-dir", str(folder)]) == 0
    return folder / "report.html"


@pytest.fixture
def browser(page, tmp_path):
    """Chromium with the report open."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path}", "--window-size=1200,900"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
    try:
        driver.get(page.as_uri())
        yield driver
    finally:
        driver.quit()


def emulate(browser, width, media="screen"):
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": media == "screen"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media})


def test_page_opens_without_an_error_and_asks_for_nothing(browser, page):
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    # Before it, Chromium's own start page asks for things, too.
    requests = requests[requests.index(page.as_uri()) :]
    assert [url for url in requests[1:] if not url.startswith("data:")] == []


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


def test_no_horizontal_scrolling_on_a_phone(browser):
    emulate(browser, PHONE_WIDTH)
    assert browser.execute_script("return innerWidth") == PHONE_WIDTH
    assert browser.execute_script("return document.documentElement.scrollWidth") == PHONE_WIDTH
    assert browser.execute_script(SHOW_OVERFLOW) == []
    # A displayed formula scrolls by itself, without the text around it.
    boxes = browser.execute_script(
        "return [...document.querySelectorAll('.display')].map(e => getComputedStyle(e).overflowX)"
    )
    assert set(boxes) == {"auto"}
    images = browser.execute_script("return [...document.images].map(e => e.width)")
    assert min(images) > PHONE_WIDTH / 2


def test_print_cuts_no_figure_and_no_table(browser):
    emulate(browser, PRINT_WIDTH, media="print")
    widest = browser.execute_script(
        "return Math.max(...[...document.querySelectorAll('img, table')]"
        ".map(e => e.getBoundingClientRect().right))"
    )
    assert widest <= PRINT_WIDTH
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    count = browser.execute_script(MARK_ENDS)
    assert count >= 8
    answer = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    pdf = pypdf.PdfReader(io.BytesIO(base64.b64decode(answer["data"])))
    texts = ["".join(page.extract_text().split()) for page in pdf.pages]
    assert len(texts) > 2
    for number in range(1, count + 1):
        (start,) = [i for i, text in enumerate(texts) if f"START{number}X" in text]
        (end,) = [i for i, text in enumerate(texts) if f"END{number}X" in text]
        assert start == end, f"figure or table {number} is cut in two"
