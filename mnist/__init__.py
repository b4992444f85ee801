"""Reads MNIST's IDX files, plain or gzip, and verifies what it reads.

Every failure is one exception with a one-line message that names the path: a `FileError` for a file
that is missing or cannot be read, an `InputError` for a file whose content is wrong.
"""

import gzip
import hashlib
import math
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.errors import FileError, InputError, file_errors

DATA_DIR = Path(__file__).resolve().parent

IMAGE_SHAPE = (28, 28)
NUM_CLASSES = 10

# The names of EMNIST's digits, whose images are stored column by column.
EMNIST_SPLITS = {"train": "emnist-digits-train", "t10k": "emnist-digits-test"}

MAGIC_NUMBERS = {"images": 2051, "labels": 2049}


def load_split(
    split: Literal["train", "t10k"], count: int | None = None, data_dir: str | Path = DATA_DIR
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Load the first `count` images and labels of a split.

    Files in `DATA_DIR` must have the checksums in its `SHA256SUMS`. Files in any other directory
    may contain any data set in MNIST's layout; they are read to the end, so that their length and,
    for gzip, their CRC are checked even if only a part is kept.

    Parameters
    ----------
    split : {"train", "t10k"}
        Training or test files: `{split}-images-idx3-ubyte` and `{split}-labels-idx1-ubyte`, each
        plain or with `.gz` appended; if both exist, the plain file is read. Kaggle's names with
        `.idx` are accepted, too, and those of EMNIST's digits, whose images are turned upright.
    count : int, optional
        How many samples to load, at least 1; by default all of them.
    data_dir : path-like
        The directory with the files.

    Returns
    -------
    images : uint8 array of shape [N, 784]
        Pixels in 0...255, row by row.
    labels : uint8 array of shape [N, 1]
        Classes.

    Raises
    ------
    FileError
        If a file is missing or cannot be read.
    InputError
        If a file has the wrong checksum, magic number, image size or length, or is damaged; if the
        numbers of images and labels differ, or there are fewer than `count`.
    """
    labels_path = find_file(split, "labels-idx1-ubyte", Path(data_dir))
    images_path = find_file(split, "images-idx3-ubyte", Path(data_dir))
    labels, num_labels = read_file(labels_path, "labels", (), count)
    images, num_images = read_file(images_path, "images", IMAGE_SHAPE, count)
    if not num_images == num_labels >= (count or 1):
        expected = f"at least {count or 1}, and as many as the {num_labels} labels"
        raise InputError(f"{images_path}: contains {num_images} images; expected {expected}")
    if images_path.name.startswith(EMNIST_SPLITS[split]):
        images = images.swapaxes(1, 2)
    return images.reshape(len(images), -1), labels[:, np.newaxis]


def find_file(split: str, ending: str, folder: Path) -> Path:
    """Find the file of a split under one of its six possible names."""
    usual = f"{split}-{ending}"
    for name in (usual, usual.replace("-idx", ".idx"), f"{EMNIST_SPLITS[split]}-{ending}"):
        for path in (folder / name, folder / f"{name}.gz"):
            # Kaggle's archive has directories of the usual names beside its files.
            if path.is_file():
                return path
    if not folder.is_dir():
        raise FileError(None, "is not a directory; expected one with four IDX files", str(folder))
    raise FileError(None, f"contains neither {usual} nor {usual}.gz", str(folder))


def read_file(
    path: Path, kind: str, item_shape: tuple[int, ...], count: int | None
) -> tuple[NDArray[np.uint8], int]:
    """Read the first `count` items of a file, or all; return them and the total number of items."""
    verified = is_verified(path)
    header_size = 4 * (2 + len(item_shape))
    item_size = math.prod(item_shape)
    # The checksum of a shipped file covers the rest, which then need not be decompressed.
    size = header_size + count * item_size if verified and count else -1
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(size)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: not gzip, or damaged gzip data ({error})") from error
    except OSError as error:
        raise FileError(error.errno, error.strerror, str(path)) from error
    if len(content) < header_size:
        raise InputError(f"{path}: ends after {len(content)} bytes, within its header")
    magic, total, *found_shape = np.frombuffer(content[:header_size], ">u4").tolist()
    if magic != (expected := MAGIC_NUMBERS[kind]):
        raise InputError(f"{path}: magic number is {magic}; expected {expected} for {kind}")
    if tuple(found_shape) != item_shape:
        raise InputError(f"{path}: images are of shape {found_shape}; expected {list(item_shape)}")
    if size < 0 and len(content) != (expected := header_size + total * item_size):
        raise InputError(f"{path}: {len(content)} bytes; expected {expected} for {total} {kind}")
    items = np.frombuffer(content, np.uint8, offset=header_size).reshape(-1, *item_shape)
    return items[:count].copy(), total


def is_verified(path: Path) -> bool:
    """Verify the checksum of a file in `DATA_DIR`; tell whether the file is one of these."""
    if path.parent.resolve() != DATA_DIR.resolve():
        return False
    with file_errors(path):
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    name = path.name.replace(".idx", "-idx")
    if f"{found}  {name}\n" not in (DATA_DIR / "SHA256SUMS").read_text(encoding="utf-8"):
        restore = "delete this file and restore it with `git checkout -- mnist`"
        raise InputError(f"{path}: SHA-256 is {found}; expected the one in SHA256SUMS; {restore}")
    return True
