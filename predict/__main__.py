"""Classify image files of handwritten digits with trained weights."""

from __future__ import annotations

import cli
from cli.training import printable

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from numerics.checks import Floats
from plots.numbers import number
from predict.normalisation import normalise
from predict.pictures import read_picture
from task2a import BinaryModel, pre_process_images
from task3a import SoftmaxModel

LONGEST_NAME = 45
# The sides of the two pictures in a row of --show-input, and the space around them, in pixels.
SHOWN_SIDE, SPACE = 280, 20


def model_of(saved: cli.SavedWeights) -> BinaryModel | SoftmaxModel:
    """Make the model that was saved.

    Raises
    ------
    ValueError
        If the settings state no model, or one that the weights or classes do not fit.
    """
    kind, classes = saved.settings.get("model"), saved.settings.get("classes")
    model: BinaryModel | SoftmaxModel
    if kind == "logistic":
        model = BinaryModel()
    elif kind == "softmax":
        model = SoftmaxModel(saved.settings.get("l2_reg_lambda", 0.0))
    else:
        raise ValueError(f"model is {kind!r}; expected 'logistic' or 'softmax'")
    count = max(2, model.w.shape[1])
    if saved.w.shape != model.w.shape:
        raise ValueError(f"w is of shape {saved.w.shape}; expected {list(model.w.shape)}")
    if (
        not isinstance(classes, list)
        or any(digit not in range(10) for digit in classes)
        or not len(classes) == len(set(classes)) == count
    ):
        raise ValueError(f"classes is {classes!r}; expected a list of {count} different digits")
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


def draw_row(grey: NDArray, image: NDArray[np.uint8], title: str) -> Image.Image:
    """Draw what was read beside what the model sees of it, below a title."""
    font = ImageFont.truetype(
        Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), 14
    )
    row = Image.new("L", (2 * SHOWN_SIDE + 3 * SPACE, SHOWN_SIDE + 3 * SPACE), 255)
    shades = np.interp(grey, [grey.min(), grey.max() + 1e-9], [0, 255])
    pictures = [
        ImageOps.contain(Image.fromarray(shades.astype(np.uint8)), (SHOWN_SIDE, SHOWN_SIDE)),
        Image.fromarray(image).resize((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.NEAREST),
    ]
    for column, picture in enumerate(pictures):
        framed = ImageOps.expand(picture, 1, 128)
        row.paste(framed, (SPACE + column * (SHOWN_SIDE + SPACE), 2 * SPACE))
    ImageDraw.Draw(row).text((SPACE, SPACE // 2), title, 0, font)
    return row


def make_parser() -> cli.Parser:
    """Make the parser of the command line."""
    parser = cli.Parser(
        description=__doc__,
        epilog="An image is a drawing or a photograph of one digit, dark on light or light on dark,"
        " with space around it. It is cropped, scaled and centred as in MNIST. Printed are"
        " the most probable digit and the one after it. An image that cannot be used costs a line"
        " on standard error and makes the exit code 2; the others are still classified.",
    )
    parser.add_argument("weights", metavar="WEIGHTS", help="what a training wrote: weights/*.npz")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="PNG, JPEG or other image files")
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write all probabilities, a row for each image"
    )
    parser.add_argument(
        "--show-input",
        type=Path,
        metavar="FILE",
        help="draw what the model saw, each image beside its 28×28 pixels (.png, .jpg, …)",
    )
    return parser


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
    ValueError
        If the weights cannot be used.
    OSError
        If a file cannot be written.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    for path in filter(None, (args.csv, args.show_input)):
        cli.check_file(path)
    outputs = [path.resolve() for path in (args.csv, args.show_input) if path]
    read = [Path(name).resolve() for name in (args.weights, *args.images)]
    if len({*outputs, *read}) < len(outputs) + len(set(read)):
        parser.error("--csv or --show-input names a file that is read, or both name the same one")
    if args.show_input and args.show_input.suffix.lower() not in Image.registered_extensions():
        parser.error(f"--show-input is {args.show_input}; expected a name like input.png")
    saved = cli.load_weights(args.weights)
    model, classes = model_of(saved), saved.settings["classes"]
    data = saved.settings.get("data", "MNIST")
    if data != "MNIST":
        note = f"{args.weights} was trained on {data}: a digit stands for a class of these data"
        print(f"{parser.prog}: note: {note}", file=sys.stderr)

    lines, table, drawn = [], [], []
    for name in args.images:
        try:
            grey = read_picture(name)
            image = normalise(grey)
        except ValueError as error:
            cli.fail(f"{name}: {error}")
            continue
        probabilities = class_probabilities(model, image[np.newaxis])[0]
        first, second = np.argsort(-probabilities, kind="stable")[:2]
        shown = name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"
        percent = [number(float(probabilities[k]), ".1%") for k in (first, second)]
        lines.append((shown, classes[first], percent[0], f"{classes[second]} ({percent[1]})"))
        table.append([name, classes[first], *probabilities.tolist()])
        if args.show_input:
            drawn.append(draw_row(grey, image, f"{shown}: {classes[first]} ({percent[0]})"))

    if args.csv:
        with (
            cli.atomic_path(args.csv) as path,
            path.open("w", newline="", encoding="utf-8") as file,
        ):
            csv.writer(file, lineterminator="\n").writerows([["image", "digit", *classes], *table])
    if drawn:
        sheet = Image.new("L", (drawn[0].width, sum(row.height for row in drawn)))
        for place, row in enumerate(drawn):
            sheet.paste(row, (0, place * row.height))
        with cli.atomic_path(args.show_input) as path:
            sheet.save(path)
    width = max(5, *(len(shown) for shown, *_ in lines)) if lines else 5
    for line in [("image", "digit", "probability", "runner-up"), *lines][: len(lines) and None]:
        print(printable("{:{width}}  {:>5}  {:>11}  {}".format(*line, width=width)))
    return 0 if len(lines) == len(args.images) else cli.EXIT_ERROR


if __name__ == "__main__":
    cli.run(main)
