"""The appendix *Try it* in a real browser, compared with what Python makes of the same canvas."""

import base64
import copy
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.support.wait import WebDriverWait

import mnist
import task3
import tools.report.try_it
from common.errors import InputError
from tests.tools.report.test_report_in_browser import CHROMEDRIVER, CHROMIUM, FLAGS, PHONE_WIDTH
from tools.predict.__main__ import class_probabilities, contributions
from tools.predict.normalisation import normalise, to_mnist
from tools.predict.pictures import to_grey
from tools.report.try_it import MIME_TYPE, show_try_it, try_it_html

# The report has forty; they are all treated alike.
NUM_IMAGES = 5

needs_browser = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER),
    reason="needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)",
)

# Strokes as fractions of the canvas: a seven, a four of two strokes, a small zero in a corner.
DRAWINGS = {
    "seven": [[(0.2, 0.2), (0.8, 0.22), (0.45, 0.85)]],
    "four": [[(0.3, 0.15), (0.25, 0.55), (0.8, 0.55)], [(0.65, 0.3), (0.63, 0.9)]],
    "small zero": [[(0.1, 0.1), (0.05, 0.2), (0.1, 0.3), (0.17, 0.2), (0.1, 0.1)]],
    "one": [[(0.5, 0.05), (0.5, 0.95)]],
    "five whose bar is apart": [
        [(0.35, 0.3), (0.35, 0.5), (0.65, 0.6), (0.6, 0.85), (0.3, 0.85)],
        [(0.5, 0.2), (0.75, 0.2)],
    ],
}
DOT = [[(0.3, 0.6)]]
ONE, SEVEN = [(0.2, 0.2), (0.2, 0.8)], [(0.5, 0.2), (0.85, 0.2), (0.6, 0.8)]
# What is not one digit, and what the page says of it.
NO_DIGITS = {
    "dot": (DOT, "Found a filled area; expected the strokes of a digit."),
    "filled area": (
        [[(x, 0.3 + 0.4 * (k % 2)) for k, x in enumerate(np.linspace(0.3, 0.7, 20))]],
        "Found a filled area; expected the strokes of a digit.",
    ),
    "17": ([ONE, SEVEN], "Found 2 marks; expected a single digit."),
    "slanted 17": (
        [[(0.4, 0.15), (0.15, 0.85)], [(0.52, 0.2), (0.85, 0.2), (0.4, 0.85)]],
        "Found 2 marks; expected a single digit.",
    ),
    "111": (
        [[(x, 0.3), (x, 0.7)] for x in (0.2, 0.5, 0.8)],
        "Found 3 marks; expected a single digit.",
    ),
    "line": ([[(0.1, 0.5), (0.9, 0.5)]], "Found a line or a row of letters; expected a digit."),
    "digit with a blot": ([SEVEN, [(0.1, 0.9)]], "Found 2 marks; expected a single digit."),
}
# The command takes blots for dirt, and slanted digits that are close for the parts of one.
STRICTER_THAN_THE_COMMAND = ("slanted 17", "digit with a blot", "line")

GET_SHARES = """
return [...document.querySelectorAll("#try-it-digits i")]
  .map(e => Number(e.style.getPropertyValue("--share")))
"""


@pytest.fixture(scope="module")
def models(full_data):
    """Models as in task 4, fewer; a high learning rate makes them good in two epochs."""
    trained = []
    for l2_reg_lambda in (0.0, 0.1, 1.0):
        trainer = task3.make_trainer(full_data, learning_rate=0.1 / (1 + 9 * l2_reg_lambda))
        trainer.model.l2_reg_lambda = l2_reg_lambda
        trainer.train(2)
        trained.append(trainer.model)
    return trained


@pytest.fixture(scope="module")
def images():
    return mnist.load_split("t10k", NUM_IMAGES)


def shown_by_the_cell(models, images):
    """What the notebook's cell shows."""
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tools.report.try_it, "display", shown.append)
        show_try_it(models, *images)
    (output,) = shown
    return output._repr_mimebundle_()[0]


@pytest.fixture(scope="module")
def output(models, images):
    return shown_by_the_cell(models, images)


@pytest.fixture(scope="module")
def page(output, tmp_path_factory):
    fragment = try_it_html(output[MIME_TYPE])
    path = tmp_path_factory.mktemp("page") / "try it.html"
    path.write_text(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Try it</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>:root { color-scheme: light dark } body { margin: 16px }</style></head>"
        f"<body><main><h1>Report</h1>{fragment}</main></body></html>",
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    for flag in [*FLAGS.split(), f"--user-data-dir={profile}", "--window-size=1200,900"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver, page):
    """The page, opened anew; checks at the end that it reported no error."""
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    driver.get(page.as_uri())
    yield driver
    assert driver.get_log("browser") == []


def part(browser, name):
    return browser.find_element("id", f"try-it-{name}")


def click(browser, name):
    part(browser, name).click()


def draw(browser, strokes, kind="mouse"):
    """Draw with a pointer of a kind: mouse, touch or pen."""
    canvas = part(browser, "canvas")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    size = canvas.size
    actions = ActionChains(browser, duration=20, devices=[PointerInput(kind, kind)])
    pointer = actions.w3c_actions.pointer_action
    for stroke in strokes:
        for number, (x, y) in enumerate(stroke):
            x_offset = round((x - 0.5) * size["width"])
            y_offset = round((y - 0.5) * size["height"])
            pointer.move_to(canvas, x_offset, y_offset)
            if number == 0:
                pointer.pointer_down()
        pointer.pointer_up()
    actions.perform()
    # The bars follow with the next frame.
    browser.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0]))")


def canvas_picture(browser, name="canvas"):
    url = browser.execute_script("return arguments[0].toDataURL()", part(browser, name))
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


def seen(browser):
    return np.asarray(canvas_picture(browser, "seen").convert("L")).astype(int)


def shares(browser):
    return np.array(browser.execute_script(GET_SHARES))


def choose(browser, number):
    """Move the slider to a model with the keyboard."""
    part(browser, "lambda").send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * number)


def amounts(browser, name):
    """What a red and blue picture shows, compared to the strongest colour."""
    return amounts_of(canvas_picture(browser, name))


def amounts_of(picture):
    red, _, blue, alpha = np.moveaxis(np.asarray(picture).astype(float), -1, 0)
    return np.where(red > blue, 1, -1) * alpha / 255


def of_its_largest(values):
    return values / np.abs(values).max()


def check_against_python(browser, models):
    picture = canvas_picture(browser)
    ink = np.asarray(picture.getchannel("A"))
    assert ink.any()
    expected = to_mnist(ink)
    assert np.abs(expected.astype(int) - seen(browser)).max() <= 1
    for number, model in enumerate(models):
        choose(browser, number)
        found = shares(browser)
        probabilities = class_probabilities(model, expected[np.newaxis])[0]
        np.testing.assert_allclose(found, probabilities, atol=1e-3)
        shown = seen(browser)
        from_seen = class_probabilities(model, shown[np.newaxis])[0]
        np.testing.assert_allclose(found, from_seen, atol=1e-5)
        check_why(browser, model, shown, from_seen)
    choose(browser, 0)


def check_why(browser, model, shown, probabilities):
    first, second = np.argsort(-probabilities, kind="stable")[:2]
    pixels, bias = contributions(model, shown, first, second)
    drawn = amounts(browser, "why")
    np.testing.assert_allclose(drawn, of_its_largest(pixels), atol=0.02)
    text = part(browser, "legend").text
    assert f"red pixels speak for {first}, blue ones for {second}, the runner-up" in text
    total, its_bias = (float(x.replace("−", "-")) for x in re.findall(r"−?\d+\.\d{3}", text))
    assert its_bias == pytest.approx(bias, abs=0.0006)
    assert total == pytest.approx(pixels.sum() + bias, abs=0.0006)
    ratio = np.log(probabilities[first] / probabilities[second])
    assert total == pytest.approx(ratio, abs=0.01)
    # What is drawn sums to it, as far as colours tell.
    of_drawn = drawn.sum() * np.abs(pixels).max() + bias
    assert of_drawn == pytest.approx(total, abs=float(1.5 * np.abs(pixels).max()))


def result(browser):
    return part(browser, "result").text


@needs_browser
@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_becomes_the_same_picture_and_probabilities_as_in_python(name, browser, models):
    draw(browser, DRAWINGS[name])
    check_against_python(browser, models)
    read = normalise(to_grey(canvas_picture(browser)))
    # The command widens the strokes of the tallest digits a little; the page does not.
    assert np.abs(read.astype(int) - seen(browser)).max() <= 8


@needs_browser
@pytest.mark.parametrize("name", NO_DIGITS)
def test_what_is_not_one_digit_is_refused_in_the_words_of_the_command(name, browser):
    strokes, words = NO_DIGITS[name]
    draw(browser, strokes)
    assert result(browser) == words
    assert shares(browser).max() == 0
    assert seen(browser).max() == 0
    if name not in STRICTER_THAN_THE_COMMAND:
        with pytest.raises(InputError):
            normalise(to_grey(canvas_picture(browser)))
    # The next drawing is read again.
    click(browser, "clear")
    draw(browser, DRAWINGS["seven"])
    assert " reads a" in result(browser)


@needs_browser
def test_random_scribbles_become_the_same_as_in_python(browser, models):
    rng = np.random.default_rng(0)
    for _ in range(3):
        click(browser, "clear")
        draw(browser, [rng.uniform(0.02, 0.98, (5, 2)).tolist()])
        check_against_python(browser, models)


@needs_browser
def test_validation_images_are_seen_as_they_are(browser, models, images):
    pictures = images[0].reshape(-1, 28, 28)
    for turn, number in enumerate([*range(NUM_IMAGES), 0]):
        click(browser, "next")
        said = result(browser)
        assert np.abs(seen(browser) - pictures[number].astype(int)).max() <= 1
        outputs = [class_probabilities(model, pictures[[number]])[0] for model in models]
        np.testing.assert_allclose(shares(browser), outputs[0], atol=0.02)
        assert said.startswith(f"This is a {images[1][number, 0]}. λ = 0 reads a ")
        assert f"a {outputs[0].argmax()} (" in said
        choose(browser, 2)
        assert result(browser).startswith(f"λ = 1 reads a {outputs[2].argmax()} (")
        choose(browser, 0)
        if turn < 2:
            check_against_python(browser, models)


@needs_browser
def test_numbers_and_articles_are_those_of_print(models, driver, tmp_path):
    """An 8 has "an", and a difference of the logits that rounds to zero has no sign."""
    model = copy.deepcopy(models[0])
    # The first pixel, which is background, speaks for 8, and the bias against it; both hardly do.
    model.w[:] = 0
    model.w[0, 8], model.w[-1, 8] = -1e-4, -1e-5
    images, labels = mnist.load_split("t10k")
    eight = np.flatnonzero(labels[:, 0] == 8)[:1]
    fragment = try_it_html(shown_by_the_cell([model], (images[eight], labels[eight]))[MIME_TYPE])
    (tmp_path / "eight.html").write_text(f"<!DOCTYPE html><meta charset=utf-8>{fragment}", "utf-8")
    driver.get((tmp_path / "eight.html").as_uri())
    click(driver, "next")
    assert result(driver) == "This is an 8. λ = 0 reads an 8 (10\u202f%)."
    assert re.findall(r"\S*\d\.\d{3}", part(driver, "legend").text) == ["0.000", "0.000"]
    # Each share stands below its digit, so that it is not taken for that of the next one.
    tiles = driver.execute_script(
        "return [...document.querySelectorAll('#try-it-digits [role=listitem] > span')]"
        ".map(e => [...e.children].map(c => c.getBoundingClientRect().toJSON()))"
    )
    assert len(tiles) == 10
    for digit, share in tiles:
        assert share["top"] >= digit["bottom"]
        assert share["left"] == pytest.approx(digit["left"])


@needs_browser
def test_the_slider_shows_the_templates_of_its_model(browser, models):
    for number, name in enumerate(("λ = 0", "λ = 0.1", "λ = 1")):
        choose(browser, number)
        assert part(browser, "name").text == name
        assert part(browser, "lambda").get_attribute("aria-valuetext") == name
        urls = browser.execute_script(
            "return [...document.querySelectorAll('#try-it-digits canvas')].map(e => e.toDataURL())"
        )
        weights = of_its_largest(models[number].w[:-1].T.reshape(10, 28, 28))
        for url, expected in zip(urls, weights, strict=True):
            picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
            np.testing.assert_allclose(amounts_of(picture), expected, atol=0.01)
        strongest = float(re.search(r"[\d.]+(?=\.$)", part(browser, "scale").text)[0])
        assert strongest == pytest.approx(np.abs(models[number].w[:-1]).max(), rel=0.06)


@needs_browser
@pytest.mark.parametrize("kind", ["mouse", "touch"])
def test_the_slider_is_moved_by_mouse_and_finger(kind, browser):
    slider = part(browser, "lambda")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", slider)
    actions = ActionChains(browser, devices=[PointerInput(kind, kind)])
    pointer = actions.w3c_actions.pointer_action
    half = slider.size["width"] // 2
    pointer.move_to(slider, 10 - half, 0).pointer_down().move_to(slider, half - 4, 0).pointer_up()
    actions.perform()
    assert part(browser, "name").text == "λ = 1"


@needs_browser
def test_a_single_model_has_no_slider(models, images, driver, tmp_path):
    fragment = try_it_html(shown_by_the_cell(models[:1], images)[MIME_TYPE])
    (tmp_path / "one.html").write_text(f"<!DOCTYPE html><meta charset=utf-8>{fragment}", "utf-8")
    driver.get((tmp_path / "one.html").as_uri())
    assert not part(driver, "lambda").is_displayed()
    click(driver, "next")
    assert result(driver).startswith("This is a 7. λ = 0 reads a 7 (")


@needs_browser
@pytest.mark.parametrize("kind", ["touch", "pen"])
def test_finger_and_pen_draw_on_a_phone_without_scrolling(kind, browser, models):
    metrics = {"width": PHONE_WIDTH, "height": 500, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    draw(browser, [[(0.5, 0.2), (0.5, 0.3)]], kind)
    before = browser.execute_script("return [scrollX, scrollY]")
    draw(browser, DRAWINGS["four"], kind)
    assert browser.execute_script("return [scrollX, scrollY]") == before
    check_against_python(browser, models)
    assert browser.execute_script("return document.documentElement.scrollWidth") == PHONE_WIDTH


@needs_browser
def test_undo_and_clear_take_back_step_by_step(browser):
    blank = seen(browser)
    assert blank.max() == 0
    click(browser, "undo")
    assert result(browser) == "Nothing is drawn."
    states = [canvas_picture(browser).tobytes()]
    for stroke in DRAWINGS["four"]:
        draw(browser, [stroke])
        states.append(canvas_picture(browser).tobytes())
    click(browser, "next")
    states.append(canvas_picture(browser).tobytes())
    draw(browser, DOT)
    states.append(canvas_picture(browser).tobytes())
    click(browser, "clear")
    assert canvas_picture(browser).tobytes() == states[0]
    assert (seen(browser) == blank).all()
    assert shares(browser).max() == 0
    assert len(set(states)) == 5
    for state in states[::-1]:
        click(browser, "undo")
        assert canvas_picture(browser).tobytes() == state


@needs_browser
def test_the_keyboard_reaches_every_button_and_results_are_announced(browser, models):
    body = browser.find_element("tag name", "body")
    body.send_keys(Keys.TAB)
    reached = []
    for key in (Keys.ENTER, Keys.SPACE, Keys.ENTER):
        active = browser.switch_to.active_element
        reached.append(active.text)
        active.send_keys(key)
        if len(reached) == 1:
            assert result(browser).startswith("This is a ")
        active.send_keys(Keys.TAB)
    assert reached == ["Validation image", "Undo", "Clear"]
    slider = browser.switch_to.active_element
    slider.send_keys(Keys.END)
    assert part(browser, "name").text == "λ = 1"
    # An output is a live region: its changes are read out, politely.
    assert part(browser, "result").tag_name == "output"
    assert result(browser) == "Nothing is drawn."


@needs_browser
def test_nothing_is_loaded_and_nothing_leaves_the_page(browser, page):
    browser.get_log("performance")
    browser.get(page.as_uri())
    draw(browser, DRAWINGS["seven"])
    click(browser, "next")
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert requests == [page.as_uri()]


@needs_browser
def test_it_is_not_printed_and_not_there_without_scripts(browser, page):
    def is_shown():
        return browser.find_element("id", "try-it").is_displayed()

    assert is_shown()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not is_shown()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen"})
    assert is_shown()
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(page.as_uri())
    assert not is_shown()


@needs_browser
def test_ink_and_paper_follow_the_dark_mode(browser, models):
    draw(browser, DRAWINGS["seven"])
    is_ink = {"light": lambda shade: shade < 60, "dark": lambda shade: shade > 200}
    for scheme, is_right in is_ink.items():
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
        # The page hears of it, and draws anew, some frames later.
        WebDriverWait(browser, 10).until(
            lambda driver, is_right=is_right: is_right(
                np.asarray(canvas_picture(driver))[..., 0].max()
            )
        )
        check_against_python(browser, models)


def test_the_output_for_the_page_is_small_and_whole(models):
    images = mnist.load_split("t10k", 40)
    output = shown_by_the_cell(models, images)
    assert output["text/plain"] == "report.html has a canvas for your own digits (make report)."
    data = output[MIME_TYPE]
    assert len(json.dumps(data)) <= 180_000
    for model, kept in zip(models, data["models"], strict=True):
        weights = np.frombuffer(base64.b64decode(kept["weights"]), "<f4").reshape(785, 10)
        np.testing.assert_array_equal(weights, model.w)
        assert kept["name"] == f"λ = {model.l2_reg_lambda:g}"
    pixels = np.frombuffer(base64.b64decode(data["images"]), np.uint8).reshape(-1, 784)
    np.testing.assert_array_equal(pixels, images[0])
    assert data["labels"] == images[1][:, 0].tolist()


def test_no_value_of_the_data_ends_the_script():
    data = {"models": [{"name": "</script><b>", "weights": ""}], "images": "", "labels": []}
    fragment = try_it_html(data)
    assert fragment.count("</script>") == 2
    assert "<b>" not in fragment
