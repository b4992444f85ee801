"""Reads MNIST's IDX files, plain or gzip, and verifies what it reads.

Every failure is one exception with a one-line message that names the path: an `OSError`
(`FileNotFoundError` and its sisters) for a file that is missing or cannot be read, a `ValueError`
for a file whose content is wrong.
"""

import gzip
import hashlib
import io
import os
import struct
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

DATA_DIR = Path(__file__).resolve().parent

IMAGE_SHAPE = (28, 28)
NUM_CLASSES = 10

SHA256 = {
    "train-images-idx3-ubyte.gz": (
        "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971"
    ),
    "train-labels-idx1-ubyte.gz": (
        "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b"
    ),
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

# EMNIST's authors named the files of its digits in this way, and stored each image by columns.
EMNIST_SPLITS = {"train": "emnist-digits-train", "t10k": "emnist-digits-test"}

_MAGIC = {"images": 2051, "labels": 2049}
_CHUNK_BYTES = 1 << 20


def load_split(
    split: Literal["train", "t10k"],
    count: int | None = None,
    data_dir: str | os.PathLike[str] = DATA_DIR,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Load the first `count` images and labels of a split.

    Files of `DATA_DIR` must have the checksums in `SHA256`. Files of any other folder may hold
    any data set in MNIST's layout; they are read to the end, so that their length and, for gzip,
    their CRC are checked even when only a part is kept.

    Parameters
    ----------
    split : {"train", "t10k"}
        Training or test files: `{split}-images-idx3-ubyte` and `{split}-labels-idx1-ubyte`, each
        plain or with `.gz` appended. The plain file is taken where both exist. Files with the names
        of EMNIST's digits are taken, too, and their images turned upright.
    count : int, optional
        How many samples to load, at least 1. All of them by default.
    data_dir : path-like
        The folder with the files.

    Returns
    -------
    images : uint8 array of shape [N, 784]
        Pixels in 0...255, row by row.
    labels : uint8 array of shape [N, 1]
        Classes in 0...9.

    Raises
    ------
    OSError
        If a file is missing, is no regular file, or cannot be read.
    ValueError
        If an argument is out of range; if a file has the wrong checksum, magic number, image size
        or length, or is damaged; if the numbers of images and labels differ, there are fewer than
        `count`, or a label is not in 0...9.
    """
    if split not in ("train", "t10k"):
        raise ValueError(f"split must be 'train' or 't10k', got {split!r}")
    if count is not None and (not isinstance(count, int | np.integer) or count < 1):
        raise ValueError(f"count must be None or an integer of at least 1, got {count!r}")

    labels_path = _find_file(split, "labels-idx1-ubyte", Path(data_dir))
    images_path = _find_file(split, "images-idx3-ubyte", Path(data_dir))
    # All labels are read, since a class too many may come late.
    labels, num_labels = _read_file(labels_path, "labels", None)
    images, num_images = _read_file(images_path, "images", count)
    if num_images != num_labels:
        raise ValueError(
            f"{images_path}: holds {num_images} images, expected {num_labels}, the number of "
            f"labels in {labels_path.name}"
        )
    if labels.max() >= NUM_CLASSES:
        position = int(np.argmax(labels >= NUM_CLASSES))
        raise ValueError(
            f"{labels_path}: label number {position}, counting from 0, is {labels[position, 0]}, "
            f"expected 0 to {NUM_CLASSES - 1}"
        )
    if images_path.name.startswith(EMNIST_SPLITS[split]):
        images = images.reshape(-1, *IMAGE_SHAPE).swapaxes(1, 2).reshape(images.shape)
    return images, labels[:count]


def _find_file(split: str, ending: str, folder: Path) -> Path:
    name = f"{split}-{ending}"
    emnist_name = f"{EMNIST_SPLITS[split]}-{ending}"
    for path in (folder / n for n in (name, f"{name}.gz", emnist_name, f"{emnist_name}.gz")):
        if path.exists():
            return path
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: is no folder, expected one that holds {name}[.gz]")
    raise FileNotFoundError(f"{folder}: holds neither {name} nor {name}.gz")


def _read_file(
    path: Path, kind: Literal["images", "labels"], count: int | None
) -> tuple[npt.NDArray[np.uint8], int]:
    """Return the first `count` items [count, item size] and the number of items in the file."""
    # Opening a pipe would wait for a writer, so this comes first.
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no regular file"
        raise OSError(f"{path}: is {found}, expected a file with {kind}")
    try:
        with path.open("rb") as file:
            verified = _verify_checksum(file, path)
            if path.suffix == ".gz":
                with gzip.GzipFile(fileobj=file, mode="rb") as stream:
                    return _read_idx(stream, path, kind, count, verified)
            return _read_idx(file, path, kind, count, verified)
    except EOFError as error:
        raise ValueError(f"{path}: the gzip data is cut short") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: not gzip, or damaged gzip data ({error})") from error
    except OSError as error:
        # A failing read, unlike a failing open, does not name the file.
        raise OSError(error.errno, error.strerror, str(path)) from error


def _verify_checksum(file: io.BufferedReader, path: Path) -> bool:
    """Return whether the file is a shipped one, which then has the right checksum."""
    expected = SHA256.get(path.name)
    if expected is None or path.parent.resolve() != DATA_DIR.resolve():
        return False
    found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise ValueError(
            f"{path}: SHA-256 is {found}, expected {expected}; "
            "delete this file and restore it with `git checkout -- mnist`"
        )
    file.seek(0)
    return True


def _read_idx(
    stream: io.BufferedIOBase, path: Path, kind: str, count: int | None, verified: bool
) -> tuple[npt.NDArray[np.uint8], int]:
    item_shape = IMAGE_SHAPE if kind == "images" else ()
    header_size = 4 * (2 + len(item_shape))
    header = _read_up_to(stream, header_size)
    if not header:
        raise ValueError(f"{path}: is empty, expected a file with {kind}")
    magic = int.from_bytes(header[:4], "big")
    if len(header) >= 4 and magic != _MAGIC[kind]:
        hint = ""
        if magic in _MAGIC.values():
            hint = "; are the images and labels swapped?"
        elif header.startswith(b"\x1f\x8b"):
            hint = "; it holds gzip data, so its name must end in .gz"
        raise ValueError(
            f"{path}: magic number is {magic}, expected {_MAGIC[kind]} for {kind}{hint}"
        )
    if len(header) < header_size:
        raise ValueError(
            f"{path}: ends after {len(header)} bytes, expected a header of {header_size} bytes"
        )
    _, total, *found_shape = struct.unpack(f">{header_size // 4}I", header)
    if tuple(found_shape) != item_shape:
        raise ValueError(
            f"{path}: images are {found_shape[0]}x{found_shape[1]} pixels, "
            f"expected {IMAGE_SHAPE[0]}x{IMAGE_SHAPE[1]}"
        )
    needed = 1 if count is None else int(count)
    if total < needed:
        raise ValueError(f"{path}: holds {total} {kind}, expected at least {needed}")

    item_size = int(np.prod(item_shape, dtype=int))
    kept = total if count is None else needed
    data = _read_up_to(stream, kept * item_size)
    # The checksum of a shipped file covers the rest, which then need not be decompressed.
    size = (kept if verified else total) * item_size
    found_size = len(data)
    while found_size < size and (chunk := stream.read(min(size - found_size, _CHUNK_BYTES))):
        found_size += len(chunk)
    if found_size < size:
        raise ValueError(
            f"{path}: content ends after {header_size + found_size} bytes, "
            f"expected {header_size + size} bytes for {total} {kind}"
        )
    if not verified and stream.read(1):
        raise ValueError(f"{path}: content goes on after its {total} {kind}, expected its end")
    return np.frombuffer(data, dtype=np.uint8).reshape(kept, item_size), total


def _read_up_to(stream: io.BufferedIOBase, size: int) -> bytearray:
    """Read `size` bytes, or fewer at the end of the stream.

    Memory grows with what the stream holds, not with what a damaged header promises.
    """
    data = bytearray()
    while len(data) < size and (chunk := stream.read(min(size - len(data), _CHUNK_BYTES))):
        data += chunk
    return data
