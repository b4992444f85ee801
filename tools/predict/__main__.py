"""Classify image files of handwritten digits with trained weights."""

import argparse
import csv
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from common.arguments import Floats
from common.command_line import EXIT_ERROR, Parser, fail, one_line, program, run, visible
from common.errors import InputError
from common.files import atomic_path, check_file
from common.numbers import number, printable
from runs.weights import SavedWeights, load_weights
from task2a import BinaryModel, pre_process_images
from task3a import SoftmaxModel
from tools.predict.normalisation import normalise
from tools.predict.pictures import read_picture

EPILOG = """An image is a drawing or a photograph of one digit, dark on light or light on dark; it
is cropped and centred as in MNIST. One that cannot be used costs a line on standard error and makes
the exit code 2; the others are still classified."""
LONGEST_NAME = 45
# What Matplotlib can write.
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".webp", ".pdf", ".svg")


def model_of(saved: SavedWeights) -> BinaryModel | SoftmaxModel:
    """Make the model that was saved.

    Raises
    ------
    InputError
        If the settings state no model, or one that the weights or classes do not fit.
    """
    kind, classes = saved.settings.get("model"), saved.settings.get("classes")
    if kind not in ("logistic", "softmax"):
        raise InputError(f"model is {kind!r}; expected 'logistic' or 'softmax'")
    model = BinaryModel() if kind == "logistic" else SoftmaxModel(0.0)
    if saved.w.shape != model.w.shape:
        raise InputError(f"w is of shape {saved.w.shape}; expected {list(model.w.shape)}")
    count = max(2, model.w.shape[1])
    digits = [digit for digit in range(10) if isinstance(classes, list) and digit in classes]
    if not len(digits) == count == len(classes or ()):
        raise InputError(f"classes is {classes!r}; expected a list of {count} different digits")
    model.w = saved.w
    return model


def class_probabilities(model: BinaryModel | SoftmaxModel, images: NDArray) -> Floats:
    """Compute the probability of each class.

    Parameters
    ----------
    model : BinaryModel or SoftmaxModel
    images : ndarray of shape (N, 28, 28), values 0 to 255

    Returns
    -------
    ndarray of shape (N, K), float, values 0 to 1
        In the order of the setting "classes" of the weights file. For a `BinaryModel` these are
        target 1 and target 0.
    """
    outputs = model.forward(pre_process_images(images.reshape(len(images), -1)))
    if isinstance(model, BinaryModel):
        return np.hstack([outputs, 1 - outputs])
    return outputs


def contributions(
    model: BinaryModel | SoftmaxModel, image: NDArray, first: int, second: int
) -> tuple[Floats, float]:
    """Compute what each pixel adds to the logit of one class minus that of another.

    A logit is the sum of the pixels' x·w, and of the bias; here w is the difference of two classes.

    Parameters
    ----------
    model : BinaryModel or SoftmaxModel
    image : ndarray of shape (28, 28), values 0 to 255
    first, second : int
        Their places in what `class_probabilities` returns.

    Returns
    -------
    pixels : ndarray of shape (28, 28), float
    bias : float
        Together they sum to the difference of the logits: ln p(first) − ln p(second).
    """
    # The logit of target 0 is always 0.
    w = np.hstack([model.w, 0 * model.w]) if isinstance(model, BinaryModel) else model.w
    *pixels, bias = (pre_process_images(image.reshape(1, -1)) * (w[:, first] - w[:, second]))[0]
    return np.reshape(pixels, image.shape), float(bias)


class Classified(NamedTuple):
    """An image and what the model made of it.

    Attributes
    ----------
    name : str
    digit, runner_up : int
        The most and the second most probable class.
    digit_probability, runner_up_probability : float
    probabilities : ndarray of shape (K,), float
        Of all classes, see `class_probabilities`.
    picture : ndarray of shape (H, W)
        What was read.
    image : ndarray of shape (28, 28), uint8
        What the model saw of it.
    pixels : ndarray of shape (28, 28), float
    bias : float
        What speaks for the digit and against the runner-up, see `contributions`.
    """

    name: str
    digit: int
    runner_up: int
    digit_probability: float
    runner_up_probability: float
    probabilities: Floats
    picture: NDArray
    image: NDArray
    pixels: Floats
    bias: float


def draw_inputs(found: Sequence[Classified], path: Path) -> None:
    """Draw a row for each image: what was read, what the model sees, what speaks for its digit.

    Parameters
    ----------
    found : sequence of Classified
    path : pathlib.Path
    """
    count = len(found)
    figure = Figure(figsize=(9, 3.4 * count))
    figure.subplots_adjust(
        left=0.01,
        bottom=0.08 / count,
        right=0.99,
        top=1 - 0.08 / count,
        wspace=0.02,
        hspace=0.18,
    )
    most = max(np.abs(image.pixels).max() for image in found) or 1
    for row, seen in zip(figure.subplots(count, 3, squeeze=False), found, strict=True):
        row[0].imshow(seen.picture, cmap="gray")
        row[1].imshow(seen.image, cmap="gray")
        row[2].imshow(seen.pixels, cmap="RdBu_r", vmin=-most, vmax=most)
        for axes in row:
            axes.set(xticks=[], yticks=[], anchor="N")
        percent = number(seen.digit_probability, ".1%")
        title = f"{short_name(seen.name)}: {seen.digit} ({percent})"
        row[0].set_title(title, loc="left", parse_math=False)
        row[2].set_title(f"red: for {seen.digit}, blue: for {seen.runner_up}", loc="left")
        total, bias = number(seen.pixels.sum() + seen.bias, ".2f"), number(seen.bias, ".2f")
        label = f"the sum: logits differ by {total}, with bias {bias}"
        row[2].set_xlabel(label, fontsize="small")
    # The names of some files are in scripts that the font does not have.
    with warnings.catch_warnings(action="ignore"):
        # Matplotlib draws at most 2¹⁶ pixels in a column.
        figure.savefig(path, dpi=min(100, 18_000 / count))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, and refuse outputs that cannot be written before the work begins."""
    parser = Parser(description=__doc__, epilog=EPILOG)
    parser.add_argument(
        "weights",
        metavar="WEIGHTS",
        help="a file written by training: weights/*.npz",
    )
    parser.add_argument(
        "images",
        metavar="IMAGE",
        nargs="+",
        help="PNG, JPEG or other image files",
    )
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="write a table of all probabilities",
    )
    parser.add_argument(
        "--show-input",
        type=Path,
        metavar="FILE",
        help="draw what speaks for each digit",
    )
    words = sys.argv[1:] if argv is None else argv
    if "" in words:
        parser.error("an argument is empty; expected the name of a file")
    args = parser.parse_args(words)
    outputs = [path for path in (args.csv, args.show_input) if path]
    for path in outputs:
        check_file(path)
    read = {os.path.realpath(name) for name in (args.weights, *args.images)}
    written = {os.path.realpath(path) for path in outputs}
    if read & written or len(written) < len(outputs):
        parser.error("--csv or --show-input names a file that is read, or both name the same one")
    if args.show_input and args.show_input.suffix.lower() not in PICTURES:
        expected = f"expected a name that ends in one of {' '.join(PICTURES)}"
        parser.error(f"--show-input is {args.show_input}; {expected}")
    return args


def print_notes(weights: str, settings: dict[str, Any]) -> None:
    """Say on standard error what the weights cannot tell, if they are not of all ten digits."""
    classes, data = settings["classes"], settings.get("data", "MNIST")
    if data != "MNIST":
        note(f"{weights} was trained on {data}: a digit stands for a class of these data")
    elif len(classes) < 10:
        known = " and ".join(str(digit) for digit in classes)
        note(f"{weights} only knows {known}: every other digit is read as one of them")


def note(message: str) -> None:
    """Print a note as one line on standard error."""
    print(f"{program()}: note: {one_line(message)}", file=sys.stderr)


def classify(
    name: str, model: BinaryModel | SoftmaxModel, classes: Sequence[int]
) -> Classified | None:
    """Classify an image file; return None, and say why on standard error, if that is impossible."""
    try:
        picture = read_picture(name)
        image = normalise(picture)
    except InputError as error:
        fail(f"{name}: {error}")
        return None
    probabilities = class_probabilities(model, image[np.newaxis])[0]
    first, second = np.argsort(-probabilities, kind="stable")[:2]
    pixels, bias = contributions(model, image, first, second)
    return Classified(
        name=name,
        digit=classes[first],
        runner_up=classes[second],
        digit_probability=probabilities[first],
        runner_up_probability=probabilities[second],
        probabilities=probabilities,
        picture=picture,
        image=image,
        pixels=pixels,
        bias=bias,
    )


def write_csv(found: Sequence[Classified], classes: Sequence[int], path: Path) -> None:
    """Write a row of all probabilities for each image."""
    # Bytes of a name that are not UTF-8 are spelled out.
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "digit", *classes])
        for image in found:
            writer.writerow([image.name, image.digit, *image.probabilities.tolist()])


def print_table(found: Sequence[Classified]) -> None:
    """Print a line for each image: its digit and its runner-up."""
    names = [short_name(image.name) for image in found]
    width = max(len("image"), *map(len, names))
    print(f"{'image':{width}}  digit  probability  runner-up")
    for name, image in zip(names, found, strict=True):
        percent = number(image.digit_probability, ".1%")
        runner_up = f"{image.runner_up} ({number(image.runner_up_probability, '.1%')})"
        print(printable(f"{name:{width}}  {image.digit:>5}  {percent:>11}  {runner_up}"))


def short_name(name: str) -> str:
    """Give the end of a file's name, without characters that a terminal would obey."""
    shown = visible(name)
    return shown if len(shown) <= LONGEST_NAME else f"…{shown[1 - LONGEST_NAME :]}"


def main(argv: Sequence[str] | None = None) -> int:
    """Classify the images that the command line names.

    Parameters
    ----------
    argv : sequence of str, default=sys.argv[1:]

    Returns
    -------
    int
        The exit code: 0, or 2 if any of the images could not be classified.

    Raises
    ------
    InputError
        If the weights cannot be used.
    FileError
        If a file cannot be read or written.
    """
    args = parse(argv)
    saved = load_weights(args.weights)
    model, classes = model_of(saved), saved.settings["classes"]
    print_notes(args.weights, saved.settings)

    results = [classify(name, model, classes) for name in args.images]
    found = [result for result in results if result is not None]
    if args.csv:
        write_csv(found, classes, args.csv)
    if found and args.show_input:
        with atomic_path(args.show_input) as path:
            draw_inputs(found, path)
    if found:
        print_table(found)
    return 0 if len(found) == len(results) else EXIT_ERROR


if __name__ == "__main__":
    run(main)
