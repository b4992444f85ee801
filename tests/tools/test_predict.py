"""The classifier of image files, with MNIST's own images as the oracle of how it prepares them."""

import csv
import functools
import os
import re
import shutil
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

import mnist
import task2
import task3
from common import command_line
from common.errors import InputError
from common.files import check_file
from runs.weights import load_weights, save_weights
from task2a import BinaryModel, pre_process_images
from task3a import SoftmaxModel
from tests.tools.digit_pictures import (
    DIGITS,
    NO_DIGITS,
    PAPERS,
    examples,
    framed,
    letter,
    light_of,
    lines_of,
    paper_of,
)
from tools.predict.__main__ import (
    Classified,
    class_probabilities,
    contributions,
    draw_inputs,
    main,
)
from tools.predict.normalisation import normalise, to_mnist
from tools.predict.pictures import read_picture
from utils import Data


def keep(path, trainer, settings):
    softmax = isinstance(trainer.model, SoftmaxModel)
    known = {"model": "softmax" if softmax else "logistic", "classes": list(range(10))}
    save_weights(
        path,
        w=trainer.model.w,
        settings=known | settings,
        train_history=trainer.train_history,
        val_history=trainer.val_history,
    )


ROOT = Path(__file__).resolve().parents[2]
PREDICT = ROOT / "tools" / "predict"
NUM_DIGITS = 20


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    """Give the first test images of MNIST."""
    images, _ = mnist.load_split("t10k", NUM_DIGITS)
    return images.reshape(-1, 28, 28)


@pytest.fixture(scope="module")
def softmax_file(
    tmp_path_factory: pytest.TempPathFactory, full_data: Data
) -> tuple[SoftmaxModel, Path]:
    # A learning rate ten times the assignment's gives a good model in three epochs.
    trainer = task3.make_trainer(full_data, learning_rate=0.1)
    trainer.train(3)
    path = tmp_path_factory.mktemp("weights") / "softmax.npz"
    keep(path, trainer, {"seed": 0})
    return trainer.model, path


@pytest.fixture(scope="module")
def logistic_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[BinaryModel, Path]:
    trainer = task2.make_trainer(task2.load_data((7, 1)), shuffle=True)
    trainer.train(3)
    path = tmp_path_factory.mktemp("weights") / "logistic.npz"
    keep(path, trainer, {"seed": 0, "classes": [7, 1]})
    return trainer.model, path


def read_digit(path: Path) -> NDArray[np.uint8]:
    return normalise(read_picture(path))


def enlarge(image: NDArray[np.uint8], factor: float = 5) -> NDArray[np.uint8]:
    """Scale an image up smoothly, with a margin of three of its pixels."""
    side = round(34 * factor)
    padded = Image.fromarray(np.pad(image, 3))
    return np.asarray(padded.resize((side, side), Image.Resampling.BICUBIC))


def photograph(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make a picture of grey ink on grey paper, with noise and with more light on one side."""
    rng = np.random.default_rng(int(image.sum()))
    paper = 190 + np.linspace(-5, 5, 170) + rng.normal(0, 6, (170, 170))
    return np.clip(paper - 0.55 * enlarge(image), 0, 255).astype(np.uint8)


def sprinkle(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make a large picture with dust of the colour of the ink in its corners."""
    picture = np.pad(enlarge(image), 20)
    picture[3, 5] = picture[-2, 7] = picture[9, -4] = picture[-9:-7, -9:-7] = 255
    return picture


VARIANTS: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "as it is": lambda image: image,
    "inverted": lambda image: 255 - image,
    "5 times as large": enlarge,
    "2.7 times as large, inverted": lambda image: 255 - enlarge(image, 2.7),
    "shifted": lambda image: np.pad(image, ((0, 31), (17, 0))),
    "low contrast": lambda image: 100 + image // 5,
    "two shades": lambda image: np.where(enlarge(image) < 128, 255, 0).astype(np.uint8),
    "photograph": photograph,
    "dust": sprinkle,
}


def classify(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list, list]:
    """Run the command; return its exit code, the words of its lines, and its complaints."""
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, [line.split() for line in out.splitlines()], err.splitlines()


@pytest.mark.parametrize("variant", VARIANTS)
def test_files_are_classified_as_the_raw_images(
    variant, digits, softmax_file, tmp_path, capsys, monkeypatch
):
    model, weights_path = softmax_file
    monkeypatch.chdir(tmp_path)
    names = [f"{number}.png" for number in range(len(digits))]
    for name, image in zip(names, digits, strict=True):
        Image.fromarray(VARIANTS[variant](image)).save(name)
    code, (header, *lines), complaints = classify(capsys, weights_path, *names)
    assert (code, complaints) == (0, [])
    assert header == ["image", "digit", "probability", "runner-up"]
    assert [line[0] for line in lines] == names
    outputs = model.forward(pre_process_images(digits.reshape(-1, 784)))
    found = np.array([int(line[1]) for line in lines])
    assert np.mean(found == outputs.argmax(axis=1)) >= 0.95
    if variant in ("as it is", "inverted", "shifted"):
        percentages = np.array([float(line[2]) for line in lines])
        assert np.mean(np.abs(percentages - 100 * outputs.max(axis=1)) < 0.5) >= 0.99
        runners_up = np.array([int(line[4]) for line in lines])
        assert np.mean(runners_up == outputs.argsort(axis=1)[:, -2]) >= 0.99


def test_weights_from_other_data_are_used_with_a_note(digits, tmp_path, capsys):
    rows = np.eye(10, 785, dtype=np.float32), np.eye(10, dtype=np.float32)
    trainer = task3.make_trainer((*rows, *rows), batch_size=2)
    keep(tmp_path / "other.npz", trainer, {"data": "clothes"})
    Image.fromarray(digits[0]).save(tmp_path / "0.png")
    code, lines, (note,) = classify(capsys, tmp_path / "other.npz", tmp_path / "0.png")
    assert (code, len(lines)) == (0, 2)
    assert "other.npz was trained on clothes: a digit stands for a class of these data" in note


def test_the_logistic_model_prints_its_two_digits(logistic_file, tmp_path, capsys):
    model, weights_path = logistic_file
    images, labels = mnist.load_split("t10k", 40)
    chosen = np.flatnonzero(np.isin(labels[:, 0], (7, 1)))
    paths = [tmp_path / f"{number}.png" for number in chosen]
    for path, number in zip(paths, chosen, strict=True):
        Image.fromarray(images[number].reshape(28, 28)).save(path)
    code, (_, *lines), _ = classify(capsys, weights_path, *paths)
    assert code == 0
    assert {line[1] for line in lines} == {"7", "1"}
    outputs = model.forward(pre_process_images(images[chosen]))[:, 0]
    for line, output in zip(lines, outputs, strict=True):
        first, second = ("7", "1") if output >= 0.5 else ("1", "7")
        assert (line[1], line[4]) == (first, second)
        assert float(line[2]) == pytest.approx(100 * max(output, 1 - output), abs=0.5)


def test_a_probability_of_one_half_counts_as_target_one(digits):
    probabilities = class_probabilities(BinaryModel(), digits[:3])
    np.testing.assert_array_equal(probabilities, [[0.5, 0.5]] * 3)
    assert np.argmax(probabilities[0]) == 0


def test_the_columns_stand_below_each_other_within_80_columns(
    softmax_file, digits, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    names = ["a.png", "a longer name.png", f"folder/{'long' * 30}.png"]
    for name in names:
        Image.fromarray(digits[0]).save(name)
    assert main([str(softmax_file[1]), *names]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    digit, percent, second = (header.index(word) for word in ("digit", "probab", "runner"))
    for line in lines:
        assert len(line) <= 80
        assert line[digit : digit + 5] == "    7"
        assert line[percent : percent + 11].endswith("\u202f%")
        assert line[second + 1 : second + 3] == " ("
        assert line.endswith("\u202f%)")
    assert lines[2].split()[0].startswith("…")
    assert lines[2].split()[0].endswith("longlong.png")
    main([str(softmax_file[1]), "a.png"])
    assert capsys.readouterr().out == (
        f"image  digit  probability  runner-up\na.png      7{lines[0][percent - 2 :]}\n"
    )


def test_a_csv_file_has_all_probabilities(softmax_file, digits, tmp_path, capsys):
    model, weights_path = softmax_file
    names = [str(tmp_path / f'{number}, "so called".png') for number in range(5)]
    for name, image in zip(names, digits, strict=False):
        Image.fromarray(image).save(name)
    target = tmp_path / "new" / "all.csv"
    missing = str(tmp_path / "missing.png")
    assert main([str(weights_path), names[0], missing, *names[1:], "--csv", str(target)]) == 2
    assert len(capsys.readouterr().out.splitlines()) == 6
    with target.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["image", "digit", *"0123456789"]
    assert [row[0] for row in rows] == names
    outputs = model.forward(pre_process_images(digits[:5].reshape(5, -1)))
    np.testing.assert_allclose(np.array([row[2:] for row in rows], float), outputs, atol=1e-6)
    assert [int(row[1]) for row in rows] == outputs.argmax(axis=1).tolist()


def test_a_picture_shows_each_image_beside_what_the_model_saw(
    softmax_file, digits, tmp_path, capsys
):
    turned = [image.T for image in digits[:3]]
    for number, image in enumerate(turned):
        Image.fromarray(255 - image).resize((560, 560), 0).save(tmp_path / f"{number}.png")
    paths = [str(tmp_path / f"{number}.png") for number in (0, 1, 2)]
    target = tmp_path / "input.png"
    assert main([str(softmax_file[1]), *paths, "none.png", "--show-input", str(target)]) == 2
    sheet = np.asarray(Image.open(target).convert("L")).astype(int)
    frames = ndimage.find_objects(ndimage.label(sheet < 255)[0])
    frames = [frame for frame in frames if all(side.stop - side.start > 280 for side in frame)]
    assert len(frames) == 9
    # From left to right in each row, from above to below.
    frames.sort(key=lambda frame: (frame[0].start // 20, frame[1].start))
    for image, left, right in zip(turned, frames[::3], frames[1::3], strict=True):
        for frame, expected in ((left, 255 - image), (right, normalise(image))):
            rows, columns = (
                np.linspace(side.start, side.stop, 57)[1::2].astype(int) for side in frame
            )
            assert np.abs(sheet[np.ix_(rows, columns)] - expected).max() <= 1
        # The title is dark on white.
        assert sheet[left[0].start - 20 : left[0].start - 3].min() < 100
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("file", ["softmax_file", "logistic_file"])
def test_the_difference_of_two_logits_is_the_sum_of_what_is_drawn(file, digits, request):
    model, _ = request.getfixturevalue(file)
    model.w[-1] += np.linspace(0.5, 1, model.w.shape[1], dtype=np.float32)
    for image in digits[:5]:
        probabilities = class_probabilities(model, image[np.newaxis].astype(float))[0]
        first, second = np.argsort(-probabilities)[:2]
        pixels, bias = contributions(model, image.astype(float), first, second)
        w = np.hstack([model.w, 0 * model.w])
        assert bias == pytest.approx(w[-1, first] - w[-1, second])
        logits = np.log(probabilities[first] / probabilities[second])
        assert pixels.sum() + bias == pytest.approx(logits, rel=1e-3)
        # A pixel that has no weight for either says nothing.
        assert (pixels[w[:-1, first].reshape(28, 28) == w[:-1, second].reshape(28, 28)] == 0).all()
    model.w[-1] -= np.linspace(0.5, 1, model.w.shape[1], dtype=np.float32)


def test_red_speaks_for_the_digit_and_blue_for_the_runner_up_on_one_scale(tmp_path):
    pixels = np.zeros((28, 28))
    pixels[:14], pixels[14:] = 2, -1
    seen = Classified(
        name="seven.png",
        digit=7,
        runner_up=3,
        digit_probability=0.9,
        runner_up_probability=0.1,
        probabilities=np.full(10, 0.1),
        picture=pixels,
        image=pixels,
        pixels=pixels,
        bias=0.5,
    )
    draw_inputs([seen, seen._replace(pixels=pixels / 4)], tmp_path / "why.png")
    sheet = np.asarray(Image.open(tmp_path / "why.png").convert("RGB")).astype(int)
    redness = sheet[..., 0] - sheet[..., 2]
    height = len(sheet)
    column = redness[:, round(0.8 * sheet.shape[1])]
    of_first, of_second = column[: height // 2], column[height // 2 :]
    assert of_first.max() > 60
    assert of_first.min() < -60
    assert 10 < of_second.max() < of_first.max()
    assert of_first.min() < of_second.min() < -10
    draw_inputs([seen], tmp_path / "why.svg")
    assert "red: for 7, blue: for 3" in (tmp_path / "why.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--csv", ".", "is a directory"),
        ("--show-input", ".", "is a directory"),
        ("--show-input", "input.xyz", "expected a name that ends in one of .png .jpg"),
        ("--csv", "a.png/all.csv", "a.png: is not a directory"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    option, value, complaint, softmax_file, digits, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(digits[0]).save("a.png")
    with pytest.raises((OSError, SystemExit)) as raised:
        main([str(softmax_file[1]), "a.png", option, value])
    captured = capsys.readouterr()
    assert complaint in captured.err + str(raised.value)
    assert captured.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@functools.cache
def normalised(variant: str) -> NDArray[np.uint8]:
    """Normalise a variant of the first test images."""
    images = mnist.load_split("t10k", NUM_DIGITS)[0].reshape(-1, 28, 28)
    return np.array([normalise(VARIANTS[variant](image)) for image in images])


def centers(images: NDArray) -> NDArray[np.float64]:
    return np.array([ndimage.center_of_mass(image) for image in images])


@pytest.mark.parametrize("options", ["--csv w.npz", "--show-input a.png", "--csv b --show-input b"])
def test_no_output_replaces_what_is_read(
    options, softmax_file, digits, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    shutil.copy(softmax_file[1], "w.npz")
    Image.fromarray(digits[0]).save("a.png")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(SystemExit) as ended:
        main(["w.npz", "a.png", *options.split()])
    assert ended.value.code == 2
    assert "names a file that is read, or both name the same one" in capsys.readouterr().err
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_mnist_images_stay_nearly_what_they_are():
    images = mnist.load_split("t10k")[0].reshape(-1, 28, 28)[::20]
    same, problems = 0, []
    for image in images:
        try:
            normalised = normalise(image)
        except InputError as error:
            problems.append(str(error))
        else:
            # Of some images the lightest pixel is 254; it becomes 255.
            same += np.abs(normalised.astype(int) - image).max() <= 1
            assert normalised.max() == 255
    assert same / len(images) >= 0.99
    # A few digits are in two parts, as far from each other as two digits may be.
    assert all(re.match("found [23] marks; expected a single digit", text) for text in problems)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_center_of_mass_is_where_mnist_has_it(variant, digits):
    assert np.abs(centers(digits) - 14).max() <= 0.5
    assert np.abs(centers(normalised(variant)) - 14).max() <= 0.5


def sides(image: NDArray) -> NDArray[np.int_]:
    """Give height and width of what is at least half as light as it can be."""
    return np.ptp(np.argwhere(image >= 128), axis=0) + 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_longer_side_of_the_digit_has_20_pixels(variant):
    longer = [sides(image).max() for image in normalised(variant)]
    assert set(longer) <= {18, 19, 20, 21}
    assert np.mean(np.isin(longer, (19, 20))) >= 0.95


@settings(database=None, deadline=None)
@given(height=st.integers(1, 150), width=st.integers(1, 150), margin=st.integers(1, 60))
def test_the_aspect_ratio_is_kept(height, width, margin):
    picture = np.pad(np.full((height, width), 200, dtype=np.uint8), margin)
    expected = np.array([height, width]) * 20 / max(height, width)
    found = sides(to_mnist(picture))
    assert found.max() == 20
    assert np.all(np.abs(found - np.maximum(expected, 1)) <= 0.5)


def test_fine_patterns_turn_into_shades():
    checks = np.indices((151, 151)).sum(axis=0) % 2
    square = to_mnist(np.pad(checks * 200, 5))[5:23, 5:23]
    assert square.min() > 200


def test_a_digit_far_from_its_center_of_mass_is_moved_all_the_same():
    picture = np.zeros((80, 80), dtype=np.uint8)
    picture[20:60, 20:22] = 100
    picture[20:36, 20:36] = 255
    # The longer side of 40 pixels is to have 20: each pixel stands for four equal ones.
    half = np.pad(picture[::2, ::2], 14)
    top, left = np.rint(centers(half[np.newaxis])[0]).astype(int) - 14
    expected = half[top : top + 28, left : left + 28].astype(int)
    assert expected[-1].any()
    assert np.abs(to_mnist(picture) - expected).max() <= 1


@settings(database=None, deadline=None, max_examples=30)
@given(st.tuples(*[st.integers(0, 50)] * 4), st.integers(0, NUM_DIGITS - 1))
def test_place_and_size_of_the_picture_do_not_matter(digits, margins, number):
    top, bottom, left, right = margins
    picture = np.pad(digits[number], ((top, bottom), (left, right)))
    np.testing.assert_array_equal(normalise(picture), normalise(digits[number]))


def test_dark_on_light_equals_light_on_dark(digits):
    np.testing.assert_array_equal(normalised("inverted"), normalised("as it is"))
    for image, expected in zip(digits[:10], normalised("5 times as large"), strict=False):
        np.testing.assert_array_equal(normalise(255 - enlarge(image)), expected)


def test_a_digit_that_touches_the_border_is_still_ink(digits):
    rows, columns = np.nonzero(digits[0])
    cut = digits[0][rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    np.testing.assert_array_equal(normalise(255 - cut), normalise(digits[0]))


# --- photographs -----------------------------------------------------------------------------


def take_photograph(
    ink: NDArray[np.uint8],
    paper: str,
    rng: np.random.Generator,
    size: tuple[float, float],
    heights: tuple[int, int] = (250, 450),
) -> Image.Image:
    """Write something on paper with a blue or a black pen, and take a picture of it.

    Its longer side is as large a part of the picture's height as `size` allows.
    """
    height = int(rng.integers(*heights))
    width = int(height * rng.uniform(0.75, 1.5))
    sheet = paper_of(paper, (height, width), rng)
    rows, columns = np.nonzero(ink)
    ink = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    scale = min(height * rng.uniform(*size), 0.9 * width) / max(ink.shape)
    h, w = (max(round(side * scale), 1) for side in ink.shape)
    written = np.asarray(Image.fromarray(ink).resize((w, h), Image.Resampling.BICUBIC)) / 255
    blue = np.array([0.15, 0.25, rng.uniform(0.45, 0.7)])
    pen = blue if rng.random() < 0.5 else rng.uniform(0.08, 0.25, 3)
    top = rng.integers(height // 20, height - h - height // 20)
    left = rng.integers(width // 40, width - w - width // 40)
    place = sheet[top : top + h, left : left + w]
    place += (written * rng.uniform(0.85, 1))[..., np.newaxis] * (pen - place)
    blur = rng.uniform(0.4, 1.5)
    seen = ndimage.gaussian_filter(
        sheet * light_of((height, width), rng)[..., None], (blur, blur, 0)
    )
    noisy = 255 * rng.uniform(0.85, 1) * seen + rng.normal(0, rng.uniform(1, 6), seen.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def a_third_or_less(image: NDArray[np.uint8], paper: str, rng: np.random.Generator) -> Image.Image:
    return take_photograph(image, paper, rng, (1 / 10, 1 / 3))


@pytest.fixture(scope="module")
def known_digits(softmax_file) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Give the validation images that the model reads right, and their labels."""
    images, labels = mnist.load_split("t10k", 2000)
    is_known = softmax_file[0].forward(pre_process_images(images)).argmax(axis=1) == labels[:, 0]
    return images[is_known].reshape(-1, 28, 28), labels[is_known, 0]


@pytest.mark.parametrize("paper", PAPERS)
def test_nine_of_ten_photographs_are_read_right(paper, softmax_file, known_digits, tmp_path):
    images, labels = known_digits
    right = []
    for seed in range(20):
        rng = np.random.default_rng([PAPERS.index(paper), seed])
        number = rng.integers(len(images))
        path = tmp_path / "photograph.jpg"
        picture = a_third_or_less(images[number], paper, rng)
        picture.save(path, quality=int(rng.integers(60, 95)))
        try:
            probabilities = class_probabilities(softmax_file[0], read_digit(path)[np.newaxis])
        except InputError:
            right.append(False)
        else:
            right.append(probabilities.argmax() == labels[number])
    assert np.mean(right) >= 0.9


@pytest.mark.parametrize("kind", DIGITS)
def test_of_pictures_of_this_kind_the_digit_is_found(kind, known_digits):
    images, _ = known_digits
    likeness = []
    # The smallest ones cost nothing.
    for seed in range(8 if kind == "broken" else 4):
        rng = np.random.default_rng([7, seed])
        image = images[rng.integers(len(images))]
        picture = Image.fromarray(DIGITS[kind](image, rng).astype(np.float32))
        # Large ones and small ones of the same kind.
        picture = picture.reduce(-(-max(picture.size) // 400) if seed % 2 else 1)
        try:
            found = normalise(np.asarray(picture))
        except InputError:
            likeness.append(0.0)
        else:
            likeness.append(np.corrcoef(found.ravel(), image.ravel())[0, 1])
    # Of strokes that are torn apart or uneven, a piece may be lost.
    assert np.mean(np.array(likeness) > 0.6) >= (0.75 if kind in ("broken", "highlighted") else 1)


@pytest.mark.parametrize("kind", NO_DIGITS)
def test_pictures_of_this_kind_are_refused(kind):
    is_refused = []
    for seed in range(4):
        try:
            normalise(NO_DIGITS[kind](np.random.default_rng([7, seed])).astype(np.float32))
        except InputError:
            is_refused.append(True)
        else:
            is_refused.append(False)
    # Of bars that are close to each other only the outline is seen.
    least = {"uneven_bars": 0.5, "black_border": 0.75}
    assert np.mean(is_refused) >= least.get(kind, 1)


@pytest.mark.parametrize("size", [(60, 150), (70, 150), (60, 170)])
def test_a_dark_plate_in_uneven_light_is_refused(size):
    plate = np.pad(np.ones(size), 60)
    light = np.linspace(0.5, 1, plate.shape[1])
    with pytest.raises(InputError, match="expected"):
        normalise(250 * light * (1 - 0.8 * plate))


@pytest.mark.parametrize("width", [110, 120])
def test_the_rim_of_a_dark_area_is_no_stroke(width):
    page = np.pad(np.ones((width, width)), 70)
    light = np.linspace(0.55, 1, len(page))
    photograph = 240 * np.outer(np.linspace(0.7, 1, len(page)), light) * (1 - 0.75 * page)
    with pytest.raises(InputError, match=r"found a filled area|in a frame or on a panel"):
        normalise(photograph + np.random.default_rng(0).normal(0, 3, page.shape))


def test_what_is_in_two_frames_is_two():
    panel = np.pad(np.pad(1 - scaled_seven(), 60), 40, constant_values=1)
    with pytest.raises(InputError, match="found 2 marks; expected a single digit"):
        normalise(255 * np.hstack([panel, panel]))
    screenshot = np.pad(255 * np.hstack([panel, panel]), 30, constant_values=20)
    with pytest.raises(InputError, match="found 2 marks; expected a single digit"):
        normalise(screenshot)


def test_the_pictures_of_the_readme_are_what_it_says_they_are():
    for name, picture in examples().items():
        stored = np.asarray(Image.open(PREDICT / "examples" / name))
        np.testing.assert_allclose(stored, picture.astype(float), atol=1)


def scaled_seven() -> NDArray[np.floating]:
    return enlarge(mnist.load_split("t10k", 1)[0].reshape(28, 28)) / 255


def test_the_large_mark_at_the_edge_is_meant_not_the_speck_inside():
    page = np.full((300, 300), 230.0)
    page[150:, 100:118] = page[150:168, 100:200] = page[150:230, 182:200] = 40
    page[290:293, 290:293] = 40
    page += np.random.default_rng(0).normal(0, 2, page.shape)
    assert normalise(page).any()
    page[:, 100:118] = 40  # a line from side to side
    with pytest.raises(InputError, match="found a filled area"):
        normalise(page)


# --- shapes that MNIST does not have: a line of straight strokes, and letters of fonts -----------

BACKGROUNDS = {
    "white, grey, black": (250, 160, 10),
    "white, black, grey": (250, 10, 140),
    "black, grey, white": (10, 110, 250),
    "black, white, grey": (10, 240, 120),
    "grey, black, white": (140, 8, 245),
    "grey, white, black": (140, 245, 12),
}


def likeness(one: NDArray, other: NDArray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize("noise", [0, 12])
def test_light_ink_on_what_is_dark_but_not_black_is_read_as_dark_ink_on_light(digit, noise):
    rng = np.random.default_rng(digit)
    for ink in (lines_of(digit, 160, 20), letter(digit, 120)):
        expected = normalise(np.rint(255 * (1 - framed(ink, 0.4, 0.4, 0.4, 0.4))))
        ink = framed(ink, 0.4, 0.4, 0.4, 0.4)
        dark = 60 + 150 * ink + rng.normal(0, noise, ink.shape)
        assert likeness(normalise(np.rint(dark)), expected) > 0.8
        light = 210 - 150 * ink + rng.normal(0, noise, ink.shape)
        assert likeness(normalise(np.rint(light)), expected) > 0.8


def test_chalk_on_a_blackboard_is_read_however_the_light_falls():
    for digit in range(10):
        rng = np.random.default_rng(digit)
        ink = framed(lines_of(digit, 160, 20), 0.4, 0.4, 0.4, 0.4)
        light = np.linspace(0.5, 1, ink.shape[1])
        board = (50 + 170 * ink) * light + rng.normal(0, 4, ink.shape)
        assert likeness(normalise(board), normalise(255 * ink)) > 0.7


@pytest.mark.parametrize("shades", BACKGROUNDS)
@pytest.mark.parametrize("digit", [0, 1, 5, 7])
def test_a_digit_on_a_panel_is_read_whatever_the_shades_are(shades, digit):
    sheet, panel, pen = BACKGROUNDS[shades]
    for ink in (lines_of(digit, 160, 20), letter(digit, 120)):
        ink = framed(ink, 0.3, 0.3, 0.3, 0.3)
        picture = np.pad(panel + (pen - panel) * ink, 40, constant_values=sheet)
        assert likeness(normalise(np.rint(picture)), normalise(255 * ink)) > 0.85


@pytest.mark.parametrize("width", [1, 20])
def test_a_frame_is_looked_into_whether_its_line_is_fine_or_broad(width):
    for digit in (0, 4, 8):
        ink = framed(lines_of(digit, 160, 20), 0.3, 0.3, 0.3, 0.3)
        page = np.pad(np.pad(ink, width, constant_values=1), 30)
        assert likeness(normalise(255 * page), normalise(255 * ink)) > 0.99


@pytest.mark.parametrize("height", [20, 400])
def test_strokes_thinner_than_a_tenth_become_a_tenth(height):
    for part in (1 / 20, 1 / 15):
        ink = np.zeros((2 * height, 2 * height))
        width = max(round(height * part), 1)
        ink[height // 2 : height // 2 + height, height : height + width] = 1
        ink[height // 2 : height // 2 + width, height // 2 : height + width] = 1
        strokes = normalise(255 * ink)[12:20] / 255
        assert 1.6 <= strokes.sum(axis=1).mean() <= 2.4


@pytest.mark.parametrize("digit", [0, 2, 5, 8])
def test_a_small_noisy_drawing_may_be_cropped_to_the_digit(digit):
    ink = lines_of(digit, 23, 3)
    page = 250 * (1 - ink) + np.random.default_rng(digit).normal(0, 4, ink.shape)
    assert likeness(normalise(page), to_mnist(np.pad(ink, 9))) > 0.8


def test_uneven_ink_is_no_fine_pen():
    ink = framed(lines_of(7, 300, 40), 0.4, 0.4, 0.4, 0.4)
    spots = np.indices(ink.shape).sum(axis=0) % 40 < 12
    uneven = normalise(255 * ink * np.where(spots, 1, 0.4))
    assert np.count_nonzero(uneven > 60) < 1.2 * np.count_nonzero(normalise(255 * ink) > 60)


def test_one_dark_pixel_hides_no_digit():
    page = 255 - 40 * framed(lines_of(4, 200, 24), 0.4, 0.4, 0.4, 0.4)
    expected = normalise(page)
    page[30, 30] = 0
    np.testing.assert_allclose(normalise(page), expected, atol=1)


def test_a_thin_line_as_long_as_the_digit_is_a_second_mark():
    page = 255 * framed(lines_of(3, 200, 30), 0.3, 0.3, 0.3, 0.6)
    page[40:310, -30] = 255
    with pytest.raises(InputError, match="found 2 marks; expected a single digit"):
        normalise(page)


def test_dust_beside_a_comb_makes_it_no_digit():
    page = np.zeros((400, 400))
    page[200:212, 100:300] = 255
    for left in range(100, 300, 48):
        page[176:200, left : left + 8] = 255
    page[205:208, 72:75] = page[205:208, 325:328] = 255
    with pytest.raises(InputError, match="found a pattern of lines; expected a digit"):
        normalise(page)


@pytest.mark.parametrize("curve", [np.sqrt, np.square, lambda x: 0.5 + 0.4 * np.sin(6 * x)])
def test_a_curve_between_two_axes_is_no_digit(curve):
    x = np.linspace(0.02, 0.98, 200)
    y = curve(x)
    for joined in (True, False):
        scene = Image.new("L", (300, 300))
        drawing = ImageDraw.Draw(scene)
        drawing.line([(40, 30), (40, 260), (270, 260)], 255, 2)
        start = 40 if joined else 60
        points = zip(start + 200 * x, 258 - 20 * (not joined) - 200 * y, strict=True)
        drawing.line(list(points), 255, 5)
        with pytest.raises(InputError, match="expected a"):
            normalise(255 - np.asarray(scene).astype(float))


def row_of_digits(digits: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    chosen = rng.choice(len(digits), rng.integers(2, 6), replace=False)
    return np.hstack([np.pad(cropped(digits[number]), ((0, 0), (2, 3))) for number in chosen])


def cropped(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    columns = np.flatnonzero(image.max(axis=0) > 60)
    return image[:, columns[0] : columns[-1] + 1]


def page_of_text(rng: np.random.Generator) -> NDArray[np.uint8]:
    page = Image.new("L", (600, 700))
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    lines = ["".join(rng.choice([*letters, " ", " "], 40)) for _ in range(25)]
    ImageDraw.Draw(page).text((10, 10), "\n".join(lines), 255, ImageFont.load_default(20))
    return np.asarray(page)


@pytest.mark.parametrize("paper", PAPERS)
def test_several_digits_and_text_are_refused_for_what_they_are(paper, digits, tmp_path):
    for seed in range(2):
        rng = np.random.default_rng(seed)
        text, row = page_of_text(rng), row_of_digits(digits, rng)
        take_photograph(text, paper, rng, (0.8, 0.9), (450, 600)).save(tmp_path / "text.jpg")
        take_photograph(row, paper, rng, (0.2, 0.4)).save(tmp_path / "row.jpg")
        Image.fromarray(255 - np.pad(text, 20)).save(tmp_path / "text.png")
        Image.fromarray(255 - np.pad(row, 20)).save(tmp_path / "row.png")
        for name in ("text.jpg", "text.png"):
            # On lined paper, letters may be joined.
            found = r"^found (\d+ marks|a pattern of lines|a filled area); expected"
            with pytest.raises(InputError, match=found):
                read_digit(tmp_path / name)
        for name in ("row.jpg", "row.png"):
            with pytest.raises(InputError, match=r"^found [2-9] marks; expected a single digit$"):
                read_digit(tmp_path / name)


def test_the_fainter_one_of_two_digits_is_not_overlooked():
    page = Image.new("L", (600, 450), 235)
    drawing = ImageDraw.Draw(page)
    drawing.line([(200, 150), (210, 300)], 30, 24)
    drawing.line([(300, 150), (295, 240), (360, 240)], 110, 8)
    drawing.line([(350, 180), (350, 300)], 110, 8)
    light = np.linspace(0.6, 1, 600) * np.asarray(page)
    with pytest.raises(InputError, match=r"^found 2 marks; expected a single digit$"):
        normalise(light + np.random.default_rng(0).normal(0, 2, light.shape))


@pytest.mark.parametrize("paper", PAPERS)
def test_an_empty_page_is_refused(paper, tmp_path):
    problems = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        sheet = paper_of(paper, (450, 600), rng) * light_of((450, 600), rng)[..., np.newaxis]
        page = 250 * sheet + rng.normal(0, 3, sheet.shape)
        Image.fromarray(np.clip(page, 0, 255).astype(np.uint8)).save(tmp_path / "page.jpg")
        try:
            read_digit(tmp_path / "page.jpg")
        except InputError as error:
            problems.append(str(error))
    assert len(problems) >= 11
    found = "nothing stands out" if paper == "plain" else "found"
    assert np.mean([problem.startswith(found) for problem in problems]) > 0.5


def test_a_fine_pen_counts_as_a_broad_one():
    lines = Image.new("L", (800, 800), 255)
    ImageDraw.Draw(lines).line([(250, 200), (550, 200), (350, 600)], 0, 8)
    seven = normalise(np.asarray(lines))
    strokes = (seven[12:20] > 127).sum(axis=1)
    assert strokes.min() >= 2
    assert strokes.max() <= 4


def test_two_digits_close_to_each_other_are_two():
    ones = np.zeros((200, 200), dtype=np.uint8)
    ones[50:150, 80:90] = ones[50:150, 98:108] = 255
    with pytest.raises(InputError, match=r"^found 2 marks; expected a single digit$"):
        normalise(ones)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_an_output_that_is_no_regular_file_would_not_be_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match=r"pipe: is not a regular file"):
        check_file(pipe)


def test_squared_paper_that_ends_inside_the_picture_is_no_digit():
    page = np.full((400, 500), 235, dtype=np.uint8)
    page[100:301:15, 100:401] = page[100:301, 100:401:15] = 40
    with pytest.raises(InputError, match=r"found a pattern of lines; expected a digit$"):
        normalise(page)


def test_a_spot_of_dust_is_no_digit():
    page = np.full((800, 800), 230, dtype=np.uint8)
    page[400:405, 300:306] = 20
    with pytest.raises(InputError, match="expected"):
        normalise(page)


def test_a_large_picture_is_scaled_down_first(digits, tmp_path):
    small = a_third_or_less(digits[0], "squared", np.random.default_rng(0))
    small.resize((2500, 2000)).save(tmp_path / "large.jpg")
    assert max(read_picture(tmp_path / "large.jpg").shape) <= 800
    expected = np.asarray(small.resize((625, 500)).convert("L"))
    # A pen at the limit may be widened by a pixel more or less.
    assert likeness(read_digit(tmp_path / "large.jpg"), normalise(expected)) > 0.75


def dark(digits: NDArray[np.uint8]) -> Image.Image:
    """Give a large dark digit on white, a seven, in shades of grey."""
    return Image.fromarray(255 - enlarge(digits[0]))


def with_alpha(mode: str, shade: int, alpha: NDArray[np.uint8]) -> Image.Image:
    channels = [np.full_like(alpha, shade)] * (1 if mode == "LA" else 3)
    return Image.fromarray(np.dstack([*channels, alpha]))


def cut_corner(image: Image.Image) -> Image.Image:
    pixels = np.array(image.convert("RGBA"))
    pixels[:44, :44] = 0
    return Image.fromarray(pixels)


def palette(image: Image.Image) -> Image.Image:
    """Number the shades of an image in a random order."""
    order = np.random.default_rng(0).permutation(256).astype(np.uint8)
    result = Image.fromarray(np.argsort(order).astype(np.uint8)[np.asarray(image)]).convert("L")
    result.putpalette(np.repeat(order, 3).tobytes())
    return result


SAME_PICTURE: dict[str, Callable[[Image.Image], Image.Image]] = {
    "RGB.png": lambda image: image.convert("RGB"),
    "RGBA.png": lambda image: image.convert("RGBA"),
    "palette.png": palette,
    "16 bit.png": lambda image: Image.fromarray(np.asarray(image).astype(np.uint16) * 257),
    "faint 16 bit.png": lambda image: Image.fromarray(np.asarray(image).astype(np.uint16) + 4000),
    "32 bit.tiff": lambda image: Image.fromarray(np.asarray(image).astype(np.int32) * 1000),
    "float.tiff": lambda image: Image.fromarray(np.asarray(image).astype(np.float32) / 255),
    "grey.bmp": lambda image: image,
    "CMYK.tiff": lambda image: image.convert("RGB").convert("CMYK"),
    "black on transparent.png": lambda image: with_alpha("RGBA", 0, 255 - np.asarray(image)),
    "white on transparent.png": lambda image: with_alpha("RGBA", 255, 255 - np.asarray(image)),
    "grey on transparent.png": lambda image: with_alpha("LA", 90, 255 - np.asarray(image)),
    "cut corner.png": cut_corner,
}


@pytest.mark.parametrize("name", SAME_PICTURE)
def test_the_kind_of_image_file_does_not_matter(name, digits, tmp_path):
    SAME_PICTURE[name](dark(digits)).save(tmp_path / name)
    expected = normalise(np.asarray(dark(digits)))
    difference = read_digit(tmp_path / name).astype(int) - expected
    # Rounded shades of grey may move a pixel by a level or two.
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize("options", [{}, {"transparency": 0}], ids=["plain", "transparent color"])
def test_images_of_two_colors_are_read(digits, tmp_path, options):
    is_ink = enlarge(digits[0]) > 127
    expected = normalise(np.where(is_ink, 0, 255))
    Image.fromarray(~is_ink).save(tmp_path / "1 bit.png")
    np.testing.assert_array_equal(read_digit(tmp_path / "1 bit.png"), expected)
    two_colors = Image.fromarray(is_ink.astype(np.uint8))
    # Both colors have the same shade of grey if the first one is not seen as transparent.
    two_colors.putpalette([0, 0, 0, 0, 0, 0] if options else [250, 250, 90, 90, 0, 0])
    two_colors.save(tmp_path / "palette.png", **options)
    np.testing.assert_array_equal(read_digit(tmp_path / "palette.png"), expected)


def test_a_transparent_color_counts_as_the_color_it_is(digits, tmp_path):
    dark(digits).save(tmp_path / "keyed.png", transparency=255)
    with Image.open(tmp_path / "keyed.png") as image:
        assert image.has_transparency_data
    expected = normalise(np.asarray(dark(digits)))
    np.testing.assert_array_equal(read_digit(tmp_path / "keyed.png"), expected)


def test_a_camera_held_sideways_is_noticed(digits, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90° clockwise to view"
    dark(digits).rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    expected = normalise(np.asarray(dark(digits)))
    np.testing.assert_array_equal(read_digit(tmp_path / "turned.png"), expected)


def test_the_halos_of_jpeg_are_not_taken_for_strokes(digits, tmp_path):
    differences = []
    for image in digits:
        Image.fromarray(255 - image).save(tmp_path / "digit.jpg", quality=75)
        differences.append(np.abs(read_digit(tmp_path / "digit.jpg").astype(int) - image).mean())
    # It is 23 if every difference from the background counts as a stroke.
    assert np.mean(differences) < 5


def png(width: int, height: int, data: bytes) -> bytes:
    """Make a grey PNG file by hand, with whatever size and data."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def saved(image: Image.Image, **options: Any) -> Callable[[Path], None]:
    return lambda path: image.save(path, **options)


def spoiled(value: float) -> Image.Image:
    """Give a picture with a line, one pixel of which has this value."""
    pixels = np.zeros((28, 28), dtype=np.float32)
    pixels[5:20, 13] = 200
    pixels[3, 4] = value
    return Image.fromarray(pixels)


GOOD_PNG = png(28, 28, bytes(29 * 28))
BLANK = Image.new("L", (28, 28), 200)
ANIMATION = {"save_all": True, "append_images": [Image.new("L", (28, 28), 9)]}
NOISE = Image.fromarray(np.random.default_rng(0).normal(200, 5, (300, 300)).astype(np.uint8))

BAD_IMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing.png": (lambda path: None, "cannot be read (No such file or directory)"),
    "folder.png": (Path.mkdir, "is a folder"),
    "empty.png": (Path.touch, "is empty"),
    "text.png": (lambda path: path.write_text("seven, 七\n"), "is text; expected an image"),
    "IMG_1.HEIC": (
        lambda path: path.write_bytes(b"\0\0\0\x24ftypheic\0\0\0\0mif1heic"),
        "is a HEIC photograph; save it as JPEG or PNG",
    ),
    "scan.pdf": (
        lambda path: path.write_bytes(b"%PDF-1.7\n\xe2\0"),
        "is a PDF; save the page as PNG",
    ),
    "plain.svg": (
        lambda path: path.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>"),
        "is an SVG; save it as PNG",
    ),
    "ink.svg": (
        lambda path: path.write_text("<?xml version='1.0'?>\n<!-- Ink -->\n<svg></svg>"),
        "is an SVG; save it as PNG",
    ),
    "*.png": (lambda path: None, "is a pattern that no file matches"),
    "bytes.png": (
        lambda path: path.write_bytes(bytes(range(256))),
        "is not an image that Pillow can",
    ),
    "short.png": (lambda path: path.write_bytes(GOOD_PNG[:50]), "cannot be read ("),
    "few rows.png": (lambda path: path.write_bytes(png(28, 28, bytes(9))), "cannot be read ("),
    "no width.png": (lambda path: path.write_bytes(png(0, 28, b"")), "is not an image that Pillow"),
    "large.png": (
        lambda path: path.write_bytes(png(20_000, 15_000, b"")),
        "has 20000 × 15000 pixels; expected at most 200 million",
    ),
    "bomb.png": (lambda path: path.write_bytes(png(99_999, 99_999, b"")), "has 99999 × 99999"),
    "blank.png": (saved(BLANK), "nothing stands out from the background; expected a digit"),
    "noise.png": (saved(NOISE), "nothing stands out from the background; expected a digit"),
    "pixel.png": (
        saved(BLANK.resize((1, 1))),
        "nothing stands out from the background; expected a digit",
    ),
    "clear.png": (
        saved(Image.new("RGBA", (28, 28))),
        "nothing stands out from the background; expected a digit",
    ),
    "animated.gif": (saved(BLANK, **ANIMATION), "has 2 images; expected a single one"),
    "animated.png": (saved(BLANK, **ANIMATION), "has 2 images; expected a single one"),
    "nan.tiff": (saved(spoiled(np.nan)), "has pixels that are infinite or not a number"),
    "infinite.tiff": (saved(spoiled(np.inf)), "has pixels that are infinite or not a number"),
    "loop.png": (lambda path: path.symlink_to(path), "cannot be read (Too many levels of symbolic"),
}
if hasattr(os, "mkfifo"):
    BAD_IMAGES["pipe.png"] = (os.mkfifo, "is not a regular file")


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_a_bad_image_costs_one_line_and_the_others_are_classified(
    name, softmax_file, digits, tmp_path, capsys
):
    make, complaint = BAD_IMAGES[name]
    make(tmp_path / name)
    for good in ("a.png", "b.png"):
        Image.fromarray(digits[0]).save(tmp_path / good)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code, lines, complaints = classify(
            capsys, softmax_file[1], tmp_path / "a.png", tmp_path / name, tmp_path / "b.png"
        )
    assert code == 2
    assert [(line[0][-5:], line[1]) for line in lines[1:]] == [("a.png", "7"), ("b.png", "7")]
    assert len(complaints) == 1
    assert f": {tmp_path / name}: {complaint}" in complaints[0]


def test_a_url_is_no_missing_file(softmax_file, capsys):
    assert main([str(softmax_file[1]), "https://example.org/seven.png"]) == 2
    complaint = "seven.png: is a URL; expected a file: download it first\n"
    assert capsys.readouterr().err.endswith(complaint)


@pytest.mark.parametrize("words", [["", "a.png"], ["w.npz", ""], ["w.npz", "a.png", "--csv", ""]])
def test_an_empty_argument_is_no_folder(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "an argument is empty; expected the name of a file" in capsys.readouterr().err


NAMES = {
    "escape": b"a\x1b[31m.png",
    "end of line": b"a\nb.png",
    "bytes": b"a\xff.png",
    "right to left": "a\u202egnp.png".encode(),
}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_the_terminal_gets_no_character_of_a_name_that_it_would_obey(
    name, softmax_file, digits, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    good, missing = os.fsdecode(name), os.fsdecode(b"missing" + name)
    Image.fromarray(digits[0]).save("seven.png")
    Path("seven.png").rename(good)
    outputs = ["--csv", "all.csv", "--show-input", "input.png"]
    assert main([str(softmax_file[1]), good, missing, *outputs]) == 2
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split()[1] == "7"
    assert (out.count("\n"), err.count("\n")) == (2, 1)
    shown = (out + err).replace("\n", "").replace("\u202f", "")
    assert shown.isprintable()
    with Path("all.csv").open(newline="", encoding="utf-8") as file:
        row = list(csv.reader(file))[1]
    assert row[:2] == [good.encode(errors="backslashreplace").decode(), "7"]
    assert Path("input.png").stat().st_size > 1000


def test_outputs_are_written_through_links(softmax_file, digits, tmp_path):
    Image.fromarray(digits[0]).save(tmp_path / "a.png")
    links = {}
    for name in ("all.csv", "input.png"):
        links[tmp_path / name] = tmp_path / "elsewhere" / name
        links[tmp_path / name].parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(links[tmp_path / name])
    table, picture = map(str, links)
    words = [str(softmax_file[1]), str(tmp_path / "a.png")]
    assert main([*words, "--csv", table, "--show-input", picture]) == 0
    for link, target in links.items():
        assert link.is_symlink()
        assert target.stat().st_size > 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_as_weights_is_refused_without_waiting_for_a_writer(digits, tmp_path):
    Image.fromarray(digits[0]).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "w.npz")
    with pytest.raises(InputError, match=r"w\.npz: is not a regular file$"):
        main([str(tmp_path / "w.npz"), str(tmp_path / "a.png")])


def test_weights_of_two_digits_say_which_they_know(logistic_file, digits, tmp_path, capsys):
    Image.fromarray(digits[0]).save(tmp_path / "a.png")
    code, lines, (note,) = classify(capsys, logistic_file[1], tmp_path / "a.png")
    assert (code, len(lines)) == (0, 2)
    assert note.endswith("only knows 7 and 1: every other digit is read as one of them")


def test_very_large_and_very_small_values_are_shades_like_others(digits, tmp_path):
    for scale in (1e-30, 1e30):
        Image.fromarray(digits[0].astype(np.float32) * np.float32(scale)).save(tmp_path / "a.tiff")
        with warnings.catch_warnings(action="error"):
            found = read_digit(tmp_path / "a.tiff").astype(int)
        assert np.abs(found - digits[0]).max() <= 1


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the memory used")
@pytest.mark.parametrize(("name", "most"), [("large.jpg", 0.5), ("large.png", 1)])
def test_a_photograph_of_108_megapixels_is_read_in_a_gigabyte(name, most, digits, tmp_path):
    small = a_third_or_less(digits[0], "plain", np.random.default_rng(0))
    small.resize((12_000, 9_000), 0).save(tmp_path / name, compress_level=1)
    code = (
        "import re, sys; from tools.predict.normalisation import normalise;"
        "from tools.predict.pictures import read_picture;"
        "print(normalise(read_picture(sys.argv[1])).sum(),"
        "*re.findall(r'VmHWM:\\s*(\\d+) kB', open('/proc/self/status').read()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / name], cwd=ROOT, capture_output=True, text=True
    )
    total, memory = map(int, done.stdout.split())
    assert total > 10_000
    assert memory / 1e6 <= most


def test_a_damaged_png_is_one_line_wherever_the_damage_is(digits, tmp_path):
    path = tmp_path / "damaged.png"
    dark(digits).convert("RGB").save(path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    complaints = []
    for position in [*range(60), *rng.integers(60, len(content), 60)]:
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            assert read_digit(path).shape == (28, 28)
        except InputError as error:
            complaints.append(str(error))
    assert len(complaints) > 60
    assert all(complaints)


def test_nothing_but_complaints_if_no_image_is_good(softmax_file, tmp_path, capsys):
    code, lines, complaints = classify(capsys, softmax_file[1], tmp_path / "a", tmp_path / "b")
    assert (code, lines, len(complaints)) == (2, [], 2)


def test_bad_weights_are_refused(digits, tmp_path):
    Image.fromarray(digits[0]).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png: is damaged, or not a weights file$"):
        main([str(tmp_path / "a.png"), str(tmp_path / "a.png")])


@pytest.mark.parametrize("classes", [None, [1, 2], [1] * 10, [*range(1, 11)], [[0], *range(1, 10)]])
def test_weights_whose_classes_are_not_ten_different_digits_are_refused(
    classes, softmax_file, digits, tmp_path
):
    saved = load_weights(softmax_file[1])
    settings = saved.settings | {"classes": classes}
    save_weights(tmp_path / "w.npz", saved.w, settings, train_history={}, val_history={})
    Image.fromarray(digits[0]).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="expected a list of 10 different digits"):
        main([str(tmp_path / "w.npz"), str(tmp_path / "a.png")])


def test_the_command_runs_in_any_folder(softmax_file, digits, tmp_path):
    Image.fromarray(digits[0]).save(tmp_path / "seven.png")
    result = subprocess.run(
        [sys.executable, "-m", "tools.predict", str(softmax_file[1]), "seven.png", "eight.png"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert result.stdout.splitlines()[1].split()[:2] == ["seven.png", "7"]
    assert result.stderr == (
        "python -m tools.predict: error: eight.png: cannot be read (No such file or directory)\n"
    )


def test_every_way_to_call_it_ends_with_its_exit_code(
    softmax_file, digits, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(digits[0]).save("seven.png")

    def run(*arguments: object) -> tuple[object, str, str]:
        command = [str(PREDICT / "__main__.py"), *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            command_line.run(main)
        return ended.value.code, *capsys.readouterr()

    code, shown, complaints = run("--help")
    assert (code, complaints) == (0, "")
    assert "dark on light" in shown
    code, shown, complaints = run(softmax_file[1], "seven.png")
    assert (code, complaints) == (0, "")
    assert shown.splitlines()[1].split()[:2] == ["seven.png", "7"]
    missing = "eight.png: cannot be read (No such file or directory)"
    assert run(softmax_file[1], "eight.png") == (
        2,
        "",
        f"python -m tools.predict: error: {missing}\n",
    )
    swapped = "python -m tools.predict: error: seven.png: is damaged, or not a weights file\n"
    assert run("seven.png", softmax_file[1]) == (2, "", swapped)
    code, _, complaints = run(softmax_file[1])
    assert (code, complaints.count("\n")) == (2, 1)
