"""The reader of the IDX files: right content from good files, one clear error from bad ones."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import random
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mnist
from common.errors import FileError

NAMES = {
    (split, kind): f"{split}-{kind}-idx{dimensions}-ubyte"
    for split in ("train", "t10k")
    for kind, dimensions in (("images", 3), ("labels", 1))
}
# What the assignment reads: how many samples of which split.
SHARES = [("train", 20_000), ("t10k", None)]
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")

# Six samples: pixels that gzip can compress, labels that are all different.
PIXELS = bytes(random.Random(1).choices(range(256), [1000] + 255 * [4], k=6 * 784))
LABELS = bytes([5, 0, 4, 1, 9, 2])
IMAGES_FILE = struct.pack(">4I", 2051, 6, 28, 28) + PIXELS
LABELS_FILE = struct.pack(">2I", 2049, 6) + LABELS


def write_split(
    folder, images=IMAGES_FILE, labels=LABELS_FILE, split="train", compress=False
) -> tuple[Path, Path]:
    """Write the two files of a split and return their paths."""
    paths = []
    for kind, content in (("images", images), ("labels", labels)):
        path = folder / (NAMES[split, kind] + (".gz" if compress else ""))
        path.write_bytes(gzip.compress(content, mtime=0) if compress else content)
        paths.append(path)
    return paths[0], paths[1]


def error_of(folder, count=None, split="train", kind=ValueError) -> str:
    """Return the message of the error that loading a split of the folder gives."""
    with pytest.raises(kind) as caught:
        mnist.load_split(split, count, folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def are_the_samples(images, labels, count=6) -> bool:
    return (
        images.dtype == labels.dtype == np.uint8
        and (images.shape, labels.shape) == ((count, 784), (count, 1))
        and images.tobytes() == PIXELS[: count * 784]
        and labels.tobytes() == LABELS[:count]
    )


# The shipped files


def test_shipped_files_have_the_published_checksums():
    # The plain files' checksums are stated by the specification, not computed from the files here.
    lines = (mnist.DATA_DIR / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    published = {name: checksum for checksum, name in (line.split("  ") for line in lines)}
    assert len(published) == 8
    for name in NAMES.values():
        packed = (mnist.DATA_DIR / f"{name}.gz").read_bytes()
        assert hashlib.sha256(packed).hexdigest() == published[f"{name}.gz"]
        assert hashlib.sha256(gzip.decompress(packed)).hexdigest() == published[name]
    assert published["t10k-labels-idx1-ubyte"].startswith("ff7bcfd416de33731a308c3f266cc351")


@pytest.mark.parametrize(("split", "count"), SHARES)
def test_shipped_split_equals_another_way_of_reading_it(split, count):
    images, labels = mnist.load_split(split, count)
    raw_images, raw_labels = (
        gzip.decompress((mnist.DATA_DIR / f"{NAMES[split, kind]}.gz").read_bytes())
        for kind in ("images", "labels")
    )
    n = count or 10_000
    assert (images.shape, labels.shape) == ((n, 784), (n, 1))
    assert images.flags.writeable
    assert labels.flags.writeable
    assert images.tobytes() == raw_images[16 : 16 + n * 784]
    assert labels.tobytes() == raw_labels[8 : 8 + n]
    assert np.isin(labels, [2, 3]).sum() == {"train": 4_005, "t10k": 2_042}[split]


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Give a copy of the shipped test split, in a folder that is treated as the shipped one."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", "SHA256SUMS"):
        shutil.copy(mnist.DATA_DIR / name, folder)
    monkeypatch.setattr(mnist, "DATA_DIR", folder)
    return folder


@pytest.mark.parametrize("kind", ["images", "labels"])
@pytest.mark.parametrize("position", [5, 4000, -1])
def test_flipped_bit_in_a_shipped_file_is_detected(shipped, kind, position):
    path = shipped / f"{NAMES['t10k', kind]}.gz"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    message = error_of(shipped, 5, "t10k")
    assert message.startswith(f"{path}: SHA-256 is {hashlib.sha256(content).hexdigest()}")
    assert "git checkout -- mnist" in message


def test_shipped_files_may_be_unpacked_in_place_and_are_still_verified(shipped):
    packed = mnist.load_split("t10k", None, shipped)
    for path in shipped.glob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert all(map(np.array_equal, packed, mnist.load_split("t10k", None, shipped)))
    path = shipped / NAMES["t10k", "images"]
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    assert "SHA-256" in error_of(shipped / ".." / "data", 5, "t10k")


# Other folders: good files


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("count", [None, 1, 4, 6])
@pytest.mark.parametrize("split", ["train", "t10k"])
def test_files_written_with_struct_come_back(tmp_path, split, count, compress):
    write_split(tmp_path, split=split, compress=compress)
    assert are_the_samples(*mnist.load_split(split, count, str(tmp_path)), count or 6)


def test_plain_file_is_taken_first(tmp_path):
    write_split(tmp_path)
    write_split(tmp_path, labels=struct.pack(">2I", 2049, 6) + bytes(6), compress=True)
    assert are_the_samples(*mnist.load_split("train", None, tmp_path))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("split", ["train", "t10k"])
def test_kaggles_names_are_taken_beside_folders_of_the_usual_ones(tmp_path, split, compress):
    for path in write_split(tmp_path, split=split, compress=compress):
        path.rename(tmp_path / path.name.replace("-idx", ".idx"))
        path.mkdir()
    assert are_the_samples(*mnist.load_split(split, None, tmp_path))


def test_shipped_files_under_kaggles_names_are_still_verified(shipped):
    for path in shipped.glob("*.gz"):
        path.rename(shipped / path.name.replace("-idx", ".idx"))
    assert len(mnist.load_split("t10k", 5, shipped)[0]) == 5
    path = shipped / "t10k-images.idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    assert f"{path}: SHA-256" in error_of(shipped, 5, "t10k")


@pytest.mark.parametrize(("split", "emnist"), [("train", "train"), ("t10k", "test")])
def test_emnist_files_are_found_by_their_names_and_turned_upright(tmp_path, split, emnist):
    for path in write_split(tmp_path, split=split, compress=True):
        path.rename(tmp_path / path.name.replace(split, f"emnist-digits-{emnist}"))
    images, labels = mnist.load_split(split, 4, tmp_path)
    pixels = np.frombuffer(PIXELS, np.uint8).reshape(-1, 28, 28)[:4]
    assert np.array_equal(images.reshape(-1, 28, 28), pixels.transpose(0, 2, 1))
    assert labels.tobytes() == LABELS[:4]


@pytest.mark.skipif(
    not FASHION_MNIST.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)
def test_fashion_mnist_is_read():
    for split, count in SHARES:
        images, labels = mnist.load_split(split, count, FASHION_MNIST)
        n = count or 10_000
        with gzip.open(FASHION_MNIST / f"{NAMES[split, 'images']}.gz") as stream:
            assert images.tobytes() == stream.read(16 + n * 784)[16:]
        with gzip.open(FASHION_MNIST / f"{NAMES[split, 'labels']}.gz") as stream:
            assert labels.tobytes() == stream.read(8 + n)[8:]


# Other folders: wrong files


def images_file(*header, pixels=PIXELS):
    return {"images": struct.pack(f">{len(header)}I", *header) + pixels}


def labels_file(labels, claimed=6):
    return {"labels": struct.pack(">2I", 2049, claimed) + bytes(labels)}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("count", [None, 1])
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"images": b""}, "images-idx3-ubyte{gz}: ends after 0 bytes, within its header"),
        ({"images": IMAGES_FILE[:15]}, "ends after 15 bytes, within its header"),
        ({"images": IMAGES_FILE[:16]}, "16 bytes; expected 4720 for 6 images"),
        ({"images": IMAGES_FILE[:4719]}, "4719 bytes; expected 4720 for 6 images"),
        (images_file(2051, 5, 28, 28), "4720 bytes; expected 3936 for 5 images"),
        (images_file(2051, 2**32 - 1, 28, 28), "4720 bytes; expected 3367254359296 for"),
        (images_file(2050, 6, 28, 28), "magic number is 2050; expected 2051 for images"),
        ({"images": LABELS_FILE + bytes(9)}, "magic number is 2049; expected 2051 for images"),
        ({"labels": IMAGES_FILE}, "magic number is 2051; expected 2049 for labels"),
        (images_file(2051, 6, 32, 32), "images are of shape [32, 32]; expected [28, 28]"),
        (images_file(2051, 6, 784, 1), "images are of shape [784, 1]; expected [28, 28]"),
        (
            images_file(2051, 5, 28, 28, pixels=PIXELS[784:]),
            "ubyte{gz}: contains 5 images; expected at least {count}, and as many as the 6 labels",
        ),
        (labels_file(LABELS + b"\0"), "labels-idx1-ubyte{gz}: 15 bytes; expected 14 for 6"),
        (
            images_file(2051, 0, 28, 28, pixels=b"") | labels_file([], 0),
            "contains 0 images; expected at least 1, and as many as the 0 labels",
        ),
    ],
)
def test_wrong_content_is_named(tmp_path, files, message, count, compress):
    write_split(tmp_path, **files, compress=compress)
    assert message.format(gz=".gz" if compress else "", count=count or 1) in error_of(
        tmp_path, count
    )


def test_fewer_samples_than_needed_are_refused(tmp_path):
    write_split(tmp_path)
    assert "contains 6 images; expected at least 7" in error_of(tmp_path, 7)


@given(data=st.data())
@settings(max_examples=100)
def test_damaged_gzip_data_are_detected_even_behind_the_last_image_kept(tmp_path_factory, data):
    path, _ = write_split(tmp_path_factory.mktemp("damage"), compress=True)
    content = bytearray(path.read_bytes())
    # The end of the data is left out: the last byte before the CRC may have unused bits.
    position = data.draw(st.integers(10, len(content) - 10))
    if data.draw(st.booleans()):
        content = content[:position]
    else:
        content[position] ^= 1 << data.draw(st.integers(0, 7))
        with contextlib.suppress(EOFError, OSError, zlib.error):
            # One flip in 900 only makes gzip copy the same pixels from another place.
            assume(gzip.decompress(content) != IMAGES_FILE)
    path.write_bytes(content)
    assert f"{path}: not gzip, or damaged gzip data (" in error_of(path.parent, 1)


def test_a_web_page_in_the_place_of_a_file_is_named(tmp_path):
    path, _ = write_split(tmp_path, compress=True)
    path.write_bytes(b"<!DOCTYPE html><title>403 Forbidden</title>")
    assert f"{path}: not gzip" in error_of(tmp_path)


# Files that are not there


def test_missing_file_is_named_with_both_names_and_the_folder(tmp_path):
    for path in write_split(tmp_path):
        path.rename(tmp_path / "elsewhere")
        message = error_of(tmp_path, kind=FileError)
        assert message == f"{tmp_path}: contains neither {path.name} nor {path.name}.gz"
        (tmp_path / "elsewhere").rename(path)


def test_missing_folder_and_file_in_its_place_are_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for name in ("missing", "file"):
        assert "is not a directory" in error_of(tmp_path / name, kind=FileError)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_folder_in_the_place_of_a_file_does_not_count(tmp_path, suffix):
    path, _ = write_split(tmp_path)
    path.unlink()
    path.with_name(path.name + suffix).mkdir()
    message = error_of(tmp_path, kind=FileError)
    assert message == f"{tmp_path}: contains neither {path.name} nor {path.name}.gz"
