"""Classify image files of handwritten digits with trained weights."""

from __future__ import annotations

import cli

import math
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy import ndimage

from mnist import IMAGE_SHAPE
from numerics.checks import Floats
from task2a import BinaryModel, pre_process_images
from task3a import SoftmaxModel

# MNIST scales each digit into a box of 20×20 pixels and moves its center of mass to the middle of
# 28×28: in each of its images, row and column of the center lie in 13.5 ≤ x < 14.5, counted from 0.
SIDE = IMAGE_SHAPE[0]
BOX_SIDE = 20
BOX_MARGIN = (SIDE - BOX_SIDE) // 2
LOWEST_CENTER = 13.5

# How much ink a stroke has at its edge, compared to the pixel with the most. The halos in JPEGs and
# the fringes of enlarged images have less. 9 980 of MNIST's 10 000 test images keep their size.
EDGE = 0.25
# How large a part of a digit is at least, compared to the largest part.
SPECK = 0.01
# Where the background ends, in standard deviations of its noise.
NOISE_LIMIT = 6


def border(pixels: NDArray) -> NDArray:
    """Collect the outermost pixels of an image.

    Parameters
    ----------
    pixels : ndarray of shape (H, W)

    Returns
    -------
    ndarray of shape (2H + 2W,)
        The corners count twice.
    """
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


def read_image(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Read an image file as shades of grey, transparent parts filled with background.

    Parameters
    ----------
    path : path
        Any format and mode that Pillow reads.

    Returns
    -------
    ndarray of shape (H, W), float32, finite
        0 is black. White is 255, or what else the format has for it.

    Raises
    ------
    ValueError
        If the file is missing, damaged, no image, an animation or too large. One line, with the
        path and what is wrong.
    """
    try:
        # Opening a pipe would wait for a writer.
        if Path(path).exists() and not Path(path).is_file():
            raise ValueError("is a folder" if Path(path).is_dir() else "is no regular file")
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(path) as image,
        ):
            return to_grey(image)
    except Image.UnidentifiedImageError:
        problem = "is no image that Pillow can read"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        problem = f"is too large; expected at most {Image.MAX_IMAGE_PIXELS} pixels"
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
    # Pillow's decoders report damaged files with a dozen more classes of exceptions.
    except Exception as error:
        problem = str(error) or type(error).__name__
    raise ValueError(" ".join(f"{path}: {problem}".split()))


def to_grey(image: Image.Image) -> NDArray[np.float32]:
    """Turn an image of any mode into shades of grey, transparent parts filled with background.

    Parameters
    ----------
    image : PIL.Image.Image

    Returns
    -------
    ndarray of shape (H, W), float32, finite
        As `read_image` gives it.

    Raises
    ------
    ValueError
        If the image is an animation, has no pixels, or has infinite or NaN ones.
    """
    frames = getattr(image, "n_frames", 1)
    # The further images in the MPO files of some cameras are variants of the first one.
    if frames > 1 and image.format != "MPO":
        raise ValueError(f"has {frames} images; expected a single one")
    if 0 in image.size:
        raise ValueError("has no pixels")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        # Pillow would cut such values off at 255.
        grey = np.asarray(image, dtype=np.float32)
        if not np.isfinite(grey).all():
            raise ValueError("has infinite or NaN pixels; expected finite ones")
        return grey
    # A transparent color of these modes is the background's own: as good as any other background.
    if image.mode in ("1", "L", "RGB") or not image.has_transparency_data:
        return np.asarray(image.convert("L"), dtype=np.float32)
    image = image.convert("RGBA")
    grey = np.asarray(image.convert("L"), dtype=np.float32)
    alpha = np.asarray(image.getchannel("A"), dtype=np.float32) / 255
    return fill_transparent(grey, alpha)


def fill_transparent(grey: Floats, alpha: Floats) -> Floats:
    """Lay an image on a background of one shade.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float, values 0 to 255
    alpha : ndarray of shape (H, W), float, values 0 to 1
        The opacity.

    Returns
    -------
    ndarray of shape (H, W), float, values 0 to 255
        If the border is opaque for the most part, the background is as it is there. Otherwise only
        the ink was drawn: the background is white for dark ink, black for light ink.
    """
    edge = border(alpha) >= 0.5
    if np.mean(edge) > 0.5:
        background = np.median(border(grey)[edge])
    elif alpha.any():
        background = 255 if np.average(grey, weights=alpha) < 127.5 else 0
    else:
        background = 0
        grey = np.zeros_like(grey)
    return alpha * grey + (1 - alpha) * grey.dtype.type(background)


def find_ink(grey: Floats) -> Floats:
    """Tell ink from background, be it dark on light or light on dark.

    The background is what the border has. Ink is what differs from it by more than the noise there.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float, finite

    Returns
    -------
    ndarray of shape (H, W), float
        The amount of ink: the difference from the background, 0 where there is none.

    Raises
    ------
    ValueError
        If there is no ink.
    """
    edge = border(grey)
    background = np.median(edge)
    # The median of the deviations, unlike their mean square, ignores ink that touches the border.
    noise = 1.4826 * np.median(np.abs(edge - background))
    contrast = grey - background
    contrast[np.abs(contrast) <= NOISE_LIMIT * noise] = 0
    ink = np.maximum(contrast if contrast.sum() > 0 else -contrast, 0)
    if not ink.any():
        raise ValueError("no digit stands out; expected one on a plain background")
    return ink


def without_specks(is_stroke: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave out spots that are tiny beside the largest connected stroke, such as dust.

    Parameters
    ----------
    is_stroke : ndarray of shape (H, W), bool

    Returns
    -------
    ndarray of the same shape, bool
    """
    parts, _ = ndimage.label(is_stroke, structure=np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return (sizes >= SPECK * sizes.max())[parts]


def normalize(grey: Floats) -> NDArray[np.uint8]:
    """Crop, scale and center a digit as MNIST does.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float, finite
        An image of a digit, of any size.

    Returns
    -------
    ndarray of shape (28, 28), uint8, values 0 to 255
        Light on dark. The longer side of the digit has 20 pixels, the most ink in a pixel is 255,
        and the center of mass is in the middle. What is outside of the 28×28 pixels then is lost.

    Raises
    ------
    ValueError
        If there is no ink.
    """
    ink = find_ink(grey)
    is_stroke = without_specks(ink > EDGE * ink.max())
    rows, columns = np.flatnonzero(is_stroke.any(axis=1)), np.flatnonzero(is_stroke.any(axis=0))
    start = np.array([columns[0], rows[0]])
    size = np.array([columns[-1], rows[-1]]) + 1 - start

    # In each direction the strokes fill a whole number of pixels, so that an image of MNIST stays
    # as it is. What is faint around them stays, too, as far as 28 pixels reach.
    new_size = np.maximum(np.rint(size * BOX_SIDE / size.max()), 1).astype(int)
    margin = BOX_MARGIN * size / new_size
    reach = math.ceil(margin.max())
    crop = Image.fromarray(ink).crop((*(start - reach), *(start + size + reach)))
    width, height = new_size + 2 * BOX_MARGIN
    part = (*(reach - margin), *(reach + size + margin))
    # Averages over areas, as MNIST has them; sharper filters have negative weights and leave halos.
    digit = np.asarray(crop.resize((width, height), Image.Resampling.HAMMING, part))
    digit = np.rint(digit * (255 / digit.max())).astype(np.uint8)

    row, column = (math.floor(center - LOWEST_CENTER) for center in center_of_mass(digit))
    surrounded = np.pad(digit, SIDE)
    return surrounded[row + SIDE : row + 2 * SIDE, column + SIDE : column + 2 * SIDE]


def center_of_mass(pixels: Floats) -> tuple[float, float]:
    """Compute the mean row and the mean column, weighted by the pixels.

    Parameters
    ----------
    pixels : ndarray of shape (H, W), float, values >= 0, not all 0

    Returns
    -------
    row, column : float
        Counted from 0.
    """
    rows, columns = np.indices(pixels.shape)
    return np.average(rows, weights=pixels), np.average(columns, weights=pixels)


def read_digit(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read an image file and make it an image as those of MNIST.

    Parameters
    ----------
    path : path
        As in `read_image`.

    Returns
    -------
    ndarray of shape (28, 28), uint8
        As `normalize` gives it.

    Raises
    ------
    ValueError
        If the file cannot be read or has no ink. One line, with the path and what is wrong.
    """
    grey = read_image(path)
    try:
        return normalize(grey)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


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
    if not isinstance(classes, list) or len(classes) != count:
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
    """
    parser = cli.Parser(
        description=__doc__,
        epilog="An image holds one digit, dark on light or light on dark, of any size, with some"
        " plain background around it. It is cropped, scaled and centered as in MNIST. Printed are"
        " the digit of each image and the probabilities. An image that cannot be used costs a line"
        " on standard error and makes the exit code 2; the others are still classified.",
    )
    parser.add_argument("weights", metavar="WEIGHTS", help="what a training wrote: weights/*.npz")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="PNG or other image files")
    args = parser.parse_args(argv)

    saved = cli.load_weights(args.weights)
    model, classes = model_of(saved), saved.settings["classes"]
    data = saved.settings.get("data", "MNIST")
    if data != "MNIST":
        note = f"{args.weights} was trained on {data}: a digit stands for a class of these data"
        print(f"{parser.prog}: note: {note}", file=sys.stderr)
    name_width = max(len(name) for name in ["image", *args.images])
    header = f"{'image':{name_width}}  digit" + "".join(f"{digit:>9}" for digit in classes)
    exit_code = 0
    for name in args.images:
        try:
            image = read_digit(name)
        except ValueError as error:
            cli.fail(str(error))
            exit_code = cli.EXIT_ERROR
            continue
        probabilities = class_probabilities(model, image[np.newaxis])[0]
        if header:
            print(header)
            header = ""
        digit = classes[np.argmax(probabilities)]
        columns = "".join(f"{100 * probability:7.1f} %" for probability in probabilities)
        print(f"{name:{name_width}}  {digit:>5}{columns}")
    return exit_code


if __name__ == "__main__":
    cli.run(main)
