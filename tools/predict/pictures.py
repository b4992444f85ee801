"""Reads files of images of any kind as shades of grey."""

import os
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from common.errors import InputError
from tools.predict.normalisation import border_of

# Larger pictures are scaled down. A digit of a twentieth of this still has more than 28 pixels.
LONGEST_SIDE = 800
# Decoded, a picture takes up to four bytes a pixel; the largest of today's phones has so many.
MOST_PIXELS = 200_000_000
# How files begin that people take for images, and what they are.
NO_IMAGES = {
    rb"$": "is empty",
    rb"....ftyp(hei|hev|mif1|msf1)": "is a HEIC photograph; save it as JPEG or PNG",
    rb"%PDF": "is a PDF; save the page as PNG",
    rb"\s*(<\?xml|<!--|<!DOCTYPE svg|<svg).*<svg|\s*<svg": "is an SVG; save it as PNG",
    rb"[\t\n\r -~\x80-\xff]+$": "is text; expected an image",
}
# `read_picture` has a limit of its own, and says the picture's size.
Image.MAX_IMAGE_PIXELS = None


def read_picture(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Read an image file as shades of grey, upright, transparent parts filled with background.

    Parameters
    ----------
    path : path
        Any format and mode that Pillow reads. A picture of 108 megapixels takes up to 1 GB.

    Returns
    -------
    ndarray of shape (H, W), float32, finite
        0 is black. White is 255, or what else the format has for it. H and W are at most
        `LONGEST_SIDE`.

    Raises
    ------
    InputError
        If the file is missing, damaged, no image, an animation or too large. It says what is wrong.
    """
    name = os.fspath(path)
    try:
        if "://" in name:
            raise InputError("is a URL; expected a file: download it first")
        if not Path(name).exists() and set("*?[") & set(name):
            raise InputError("is a pattern that no file matches")
        # Opening a pipe would wait for a writer.
        if Path(name).exists() and not Path(name).is_file():
            raise InputError("is a folder" if Path(name).is_dir() else "is not a regular file")
        with Image.open(name) as image:
            if image.width * image.height > MOST_PIXELS:
                raise InputError(
                    f"has {image.width} × {image.height} pixels; expected at most"
                    f" {MOST_PIXELS // 10**6} million"
                )
            grey = Image.fromarray(to_grey(image))
        return np.asarray(grey.reduce(-(-max(grey.size) // LONGEST_SIDE)))
    except Image.UnidentifiedImageError:
        problem = what_it_is(name)
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
    # Pillow's decoders report damaged files with a dozen more classes of exceptions.
    except Exception as error:
        problem = str(error) or type(error).__name__
    raise InputError(problem)


def what_it_is(path: str) -> str:
    """Describe a file that is not an image."""
    with open(path, "rb") as file:
        start = file.read(2000)
    found = (text for kind, text in NO_IMAGES.items() if re.match(kind, start, re.DOTALL))
    return next(found, "is not an image that Pillow can read")


def to_grey(image: Image.Image) -> NDArray[np.float32]:
    """Turn an image of any mode into shades of grey; raise an InputError if it has none.

    Parameters
    ----------
    image : PIL.Image.Image

    Returns
    -------
    ndarray of shape (H, W), float32, finite
        In the image's own size; where that is large, most of its pixels are left out.
    """
    frames = getattr(image, "n_frames", 1)
    # The further images in the MPO files of some cameras are variants of the first one.
    if frames > 1 and image.format != "MPO":
        raise InputError(f"has {frames} images; expected a single one")
    # No second copy of a large image: JPEG is decoded in a smaller size, others are thinned out.
    image.draft("L", (LONGEST_SIDE, LONGEST_SIDE))
    ImageOps.exif_transpose(image, in_place=True)
    step = max(image.size) // (4 * LONGEST_SIDE)
    if step > 1:
        width, height = (max(side // step, 1) for side in image.size)
        image = image.resize((width, height), Image.Resampling.NEAREST)
    if image.mode.startswith(("I", "F")):
        # Pillow would cut such values off at 255.
        grey = np.asarray(image, dtype=np.float32)
        if not np.isfinite(grey).all():
            raise InputError("has pixels that are infinite or not a number")
        return grey
    if image.has_transparency_data:
        image = fill_transparent(image.convert("RGBA"))
    return np.asarray(image.convert("L"), dtype=np.float32)


def fill_transparent(image: Image.Image) -> Image.Image:
    """Lay an image on a background of one shade.

    Parameters
    ----------
    image : PIL.Image.Image of mode RGBA

    Returns
    -------
    PIL.Image.Image of mode RGBA
        If the border is opaque for the most part, the background is as it is there. Otherwise only
        the ink was drawn: the background is white for dark ink, black for light ink.
    """
    grey, alpha = np.asarray(image.convert("L")), np.asarray(image.getchannel("A"))
    opaque = border_of(alpha) > 127
    if opaque.mean() > 0.5:
        shade = int(np.median(border_of(grey)[opaque]))
    else:
        # Where all is transparent, any will do.
        shade = 255 if np.average(grey, weights=alpha + 1e-9) < 127.5 else 0
    background = Image.new("RGBA", image.size, (shade, shade, shade, 255))
    return Image.alpha_composite(background, image)
