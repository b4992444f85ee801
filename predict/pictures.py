"""Reads files of images of any kind as shades of grey."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from predict.normalisation import border_of

# Larger pictures are scaled down. A digit of a twentieth of this still has more than 28 pixels.
LONGEST_SIDE = 800


def read_picture(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Read an image file as shades of grey, upright, transparent parts filled with background.

    Parameters
    ----------
    path : path
        Any format and mode that Pillow reads.

    Returns
    -------
    ndarray of shape (H, W), float32, finite
        0 is black. White is 255, or what else the format has for it. H and W are at most
        `LONGEST_SIDE`.

    Raises
    ------
    ValueError
        If the file is missing, damaged, no image, an animation or too large. It says what is wrong.
    """
    try:
        # Opening a pipe would wait for a writer.
        if Path(path).exists() and not Path(path).is_file():
            raise ValueError("is a folder" if Path(path).is_dir() else "is no regular file")
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(path) as image,
        ):
            grey = Image.fromarray(to_grey(image))
            return np.asarray(grey.reduce(-(-max(grey.size) // LONGEST_SIDE)))
    except Image.UnidentifiedImageError:
        problem = "is no image that Pillow can read"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        problem = f"is too large; expected at most {Image.MAX_IMAGE_PIXELS} pixels"
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
    # Pillow's decoders report damaged files with a dozen more classes of exceptions.
    except Exception as error:
        problem = str(error) or type(error).__name__
    raise ValueError(problem)


def to_grey(image: Image.Image) -> NDArray[np.float32]:
    """Turn an image of any mode into shades of grey; raise a ValueError if it has none.

    Parameters
    ----------
    image : PIL.Image.Image

    Returns
    -------
    ndarray of shape (H, W), float32, finite
        In the image's own size.
    """
    frames = getattr(image, "n_frames", 1)
    # The further images in the MPO files of some cameras are variants of the first one.
    if frames > 1 and image.format != "MPO":
        raise ValueError(f"has {frames} images; expected a single one")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        # Pillow would cut such values off at 255.
        return np.asarray(image, dtype=np.float32)
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
