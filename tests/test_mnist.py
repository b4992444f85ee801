"""The reader of the IDX files: right content from good files, one clear error from bad ones."""

import contextlib
import gzip
import hashlib
import os
import random
import shutil
import struct
import time
import tracemalloc
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mnist

Split = Literal["train", "t10k"]

NAMES: dict[tuple[Split, str], str] = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("t10k", "images"): "t10k-images-idx3-ubyte",
    ("t10k", "labels"): "t10k-labels-idx1-ubyte",
}

# Stated by the specification, not computed from the files here.
RAW_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

# What the assignment reads: how many samples of which split.
SHARES: list[tuple[Split, int | None]] = [("train", 20_000), ("t10k", None)]

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")

# Six samples: pixels that gzip can compress, labels that are all different.
PIXELS = bytes(random.Random(1).choices(range(256), [1000] + 255 * [4], k=6 * 784))
LABELS = bytes([5, 0, 4, 1, 9, 2])
IMAGES_FILE = struct.pack(">4I", 2051, 6, 28, 28) + PIXELS
LABELS_FILE = struct.pack(">2I", 2049, 6) + LABELS


def write_split(
    folder: Path,
    images: bytes = IMAGES_FILE,
    labels: bytes = LABELS_FILE,
    *,
    split: Split = "train",
    compress: bool = False,
) -> tuple[Path, Path]:
    """Write the two files of a split and return their paths."""
    paths = []
    for kind, content in (("images", images), ("labels", labels)):
        path = folder / (NAMES[split, kind] + (".gz" if compress else ""))
        path.write_bytes(gzip.compress(content, mtime=0) if compress else content)
        paths.append(path)
    return paths[0], paths[1]


def error_of(
    folder: Path,
    count: int | None = None,
    *,
    split: Split = "train",
    kind: type[Exception] = ValueError,
) -> str:
    """Return the message of the error that loading a split of the folder gives."""
    with pytest.raises(kind) as caught:
        mnist.load_split(split, count, folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def is_prefix_of_the_samples(images: np.ndarray, labels: np.ndarray) -> bool:
    n = len(images)
    return (
        n > 0
        and images.dtype == labels.dtype == np.uint8
        and images.shape == (n, 784)
        and labels.shape == (n, 1)
        and images.tobytes() == PIXELS[: n * 784]
        and labels.tobytes() == LABELS[:n]
    )


# The shipped files


def test_shipped_content_has_the_published_checksums() -> None:
    for name, published in RAW_SHA256.items():
        with gzip.open(mnist.DATA_DIR / f"{name}.gz") as stream:
            digest = hashlib.sha256()
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
        assert digest.hexdigest() == published == mnist.SHA256[name]


def test_checksum_table_and_data_readme_agree() -> None:
    readme = (mnist.DATA_DIR / "README.md").read_text(encoding="utf-8")
    assert len(mnist.SHA256) == 8
    for name, checksum in mnist.SHA256.items():
        assert f"    {checksum}  {name}\n" in readme


@pytest.mark.parametrize(("split", "count"), SHARES)
def test_shipped_split_equals_another_way_of_reading_it(split: Split, count: int | None) -> None:
    images, labels = mnist.load_split(split, count)
    raw_images = gzip.decompress((mnist.DATA_DIR / f"{NAMES[split, 'images']}.gz").read_bytes())
    raw_labels = gzip.decompress((mnist.DATA_DIR / f"{NAMES[split, 'labels']}.gz").read_bytes())
    n = count or 10_000
    assert images.shape == (n, 784)
    assert labels.shape == (n, 1)
    assert images.dtype == labels.dtype == np.uint8
    assert images.flags.writeable
    assert labels.flags.writeable
    assert images.tobytes() == raw_images[16 : 16 + n * 784]
    for i in (0, 1, n // 3, n - 1):
        assert labels[i, 0] == raw_labels[8 + i]
        assert images[i].tolist() == list(raw_images[16 + i * 784 : 16 + (i + 1) * 784])
    assert labels.ravel().tolist() == list(raw_labels[8 : 8 + n])


def test_splits_hold_the_numbers_of_twos_and_threes_of_the_assignment() -> None:
    for (split, count), expected in zip(SHARES, (4_005, 2_042), strict=True):
        _, labels = mnist.load_split(split, count)
        assert np.isin(labels, [2, 3]).sum() == expected


def test_loading_takes_well_under_half_a_second() -> None:
    durations = []
    for _ in range(3):
        start = time.perf_counter()
        for split, count in SHARES:
            mnist.load_split(split, count)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 0.5


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the shipped test split, in a folder that is treated as the shipped one."""
    folder = tmp_path / "data"
    folder.mkdir()
    for kind in ("images", "labels"):
        shutil.copy(mnist.DATA_DIR / f"{NAMES['t10k', kind]}.gz", folder)
    monkeypatch.setattr(mnist, "DATA_DIR", folder)
    return folder


@pytest.mark.parametrize("kind", ["images", "labels"])
@pytest.mark.parametrize("position", [5, 4000, -1, -6])
def test_flipped_bit_in_a_shipped_file_is_detected(shipped: Path, kind: str, position: int) -> None:
    path = shipped / f"{NAMES['t10k', kind]}.gz"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    message = error_of(shipped, 5, split="t10k")
    assert str(path) in message
    assert "SHA-256" in message
    assert mnist.SHA256[path.name] in message
    assert "git checkout -- mnist" in message


def test_shipped_folder_is_recognised_by_other_names_too(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shipped / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(LABELS_FILE))
    link = shipped.parent / "link"
    link.symlink_to(shipped)
    monkeypatch.chdir(shipped.parent)
    for folder in (Path("data"), link, shipped / ".." / "data"):
        assert "SHA-256" in error_of(folder, 5, split="t10k")


def test_shipped_files_may_be_unpacked_in_place(shipped: Path) -> None:
    packed = mnist.load_split("t10k", None, shipped)
    for kind in ("images", "labels"):
        path = shipped / f"{NAMES['t10k', kind]}.gz"
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    unpacked = mnist.load_split("t10k", None, shipped)
    assert all(map(np.array_equal, packed, unpacked))

    path = shipped / NAMES["t10k", "images"]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "SHA-256" in error_of(shipped, 5, split="t10k")


def test_only_the_needed_part_of_a_shipped_file_is_decompressed(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = 2000
    pixels = random.Random(2).randbytes(total * 784)
    paths = write_split(
        shipped,
        struct.pack(">4I", 2051, total, 28, 28) + pixels,
        struct.pack(">2I", 2049, total) + bytes(total),
        compress=True,
    )
    # A missing end under the right checksum shows whether the reader went there.
    paths[0].write_bytes(paths[0].read_bytes()[:-1000])
    for path in paths:
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setitem(mnist.SHA256, path.name, checksum)
    images, _ = mnist.load_split("train", 10, shipped)
    assert images.tobytes() == pixels[:7840]


# Other folders: good files


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("count", [None, 1, 4, 6, np.int64(4)])
@pytest.mark.parametrize("split", ["train", "t10k"])
def test_files_written_with_struct_come_back(
    tmp_path: Path, split: Split, count: int | None, compress: bool
) -> None:
    write_split(tmp_path, split=split, compress=compress)
    images, labels = mnist.load_split(split, count, str(tmp_path))
    assert len(images) == (count or 6)
    assert is_prefix_of_the_samples(images, labels)


def test_plain_file_is_taken_first(tmp_path: Path) -> None:
    write_split(tmp_path)
    write_split(tmp_path, labels=struct.pack(">2I", 2049, 6) + bytes(6), compress=True)
    assert is_prefix_of_the_samples(*mnist.load_split("train", None, tmp_path))


def test_plain_and_gzip_files_may_be_mixed(tmp_path: Path) -> None:
    write_split(tmp_path)
    (tmp_path / NAMES["train", "images"]).unlink()
    (tmp_path / f"{NAMES['train', 'images']}.gz").write_bytes(gzip.compress(IMAGES_FILE))
    assert is_prefix_of_the_samples(*mnist.load_split("train", None, tmp_path))


@pytest.mark.parametrize(("split", "emnist"), [("train", "train"), ("t10k", "test")])
def test_emnist_files_are_found_by_their_names_and_turned_upright(
    tmp_path: Path, split: Split, emnist: str
) -> None:
    for path in write_split(tmp_path, split=split, compress=True):
        path.rename(tmp_path / path.name.replace(split, f"emnist-digits-{emnist}"))
    images, labels = mnist.load_split(split, 4, tmp_path)
    pixels = np.frombuffer(PIXELS, np.uint8).reshape(-1, 28, 28)[:4]
    assert np.array_equal(images.reshape(-1, 28, 28), pixels.transpose(0, 2, 1))
    assert labels.tobytes() == LABELS[:4]


@pytest.mark.skipif(
    not FASHION_MNIST.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)
def test_fashion_mnist_is_read() -> None:
    for split, count in SHARES:
        images, labels = mnist.load_split(split, count, FASHION_MNIST)
        n = count or 10_000
        with gzip.open(FASHION_MNIST / f"{NAMES[split, 'images']}.gz") as stream:
            assert images.tobytes() == stream.read(16 + n * 784)[16:]
        with gzip.open(FASHION_MNIST / f"{NAMES[split, 'labels']}.gz") as stream:
            assert labels.tobytes() == stream.read(8 + n)[8:]


def test_unneeded_images_are_checked_without_being_kept(tmp_path: Path) -> None:
    total = 50_000
    write_split(
        tmp_path,
        struct.pack(">4I", 2051, total, 28, 28) + bytes(total * 784),
        struct.pack(">2I", 2049, total) + bytes(total),
        compress=True,
    )
    tracemalloc.start()
    try:
        mnist.load_split("train", 10, tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000


# Other folders: damaged files


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("count", [None, 1])
@pytest.mark.parametrize("kind", ["images", "labels"])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_file_cut_short_is_detected_at_every_length(
    tmp_path_factory: pytest.TempPathFactory,
    compress: bool,
    count: int | None,
    kind: str,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    path = write_split(folder, compress=compress)[kind == "labels"]
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert str(path) in error_of(folder, count)


@pytest.mark.parametrize(
    ("length", "wrong"),
    [
        (0, "is empty"),
        (3, "ends after 3 bytes, expected a header of 16 bytes"),
        (15, "ends after 15 bytes, expected a header of 16 bytes"),
        (16, "content ends after 16 bytes, expected 4720 bytes for 6 images"),
        (1000, "content ends after 1000 bytes, expected 4720 bytes for 6 images"),
        (4719, "content ends after 4719 bytes, expected 4720 bytes for 6 images"),
    ],
)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("count", [None, 1])
def test_content_cut_short_is_named(
    tmp_path: Path, length: int, wrong: str, count: int | None, compress: bool
) -> None:
    write_split(tmp_path, IMAGES_FILE[:length], compress=compress)
    assert wrong in error_of(tmp_path, count)


def test_gzip_data_cut_short_is_named(tmp_path: Path) -> None:
    path, _ = write_split(tmp_path, compress=True)
    path.write_bytes(path.read_bytes()[:-9])
    assert "gzip data is cut short" in error_of(tmp_path, 1)


def test_empty_gzip_file_is_named(tmp_path: Path) -> None:
    path, _ = write_split(tmp_path, compress=True)
    path.write_bytes(b"")
    assert "is empty" in error_of(tmp_path)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("count", [None, 1])
def test_bytes_after_the_end_are_detected(
    tmp_path: Path, count: int | None, compress: bool
) -> None:
    write_split(tmp_path, labels=LABELS_FILE + b"\0", compress=compress)
    assert "goes on after its 6 labels" in error_of(tmp_path, count)


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_flipped_bit_in_gzip_data_is_detected_even_after_the_last_image_kept(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    path, _ = write_split(folder, compress=True)
    content = bytearray(path.read_bytes())
    # The end of the data is left out: the last byte before the CRC may have unused bits.
    position = data.draw(st.integers(len(content) // 2, len(content) - 10))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(EOFError, OSError, zlib.error):
        # One flip in 900 only makes gzip copy the same pixels from another place.
        assume(gzip.decompress(content) != IMAGES_FILE)
    path.write_bytes(content)
    assert str(path) in error_of(folder, 1)


def test_wrong_gzip_checksum_is_named(tmp_path: Path) -> None:
    path, _ = write_split(tmp_path, compress=True)
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    assert "CRC" in error_of(tmp_path, 1)


def test_file_that_is_not_gzip_is_named(tmp_path: Path) -> None:
    path, _ = write_split(tmp_path, compress=True)
    path.write_bytes(b"<!DOCTYPE html><title>403 Forbidden</title>")
    assert "not gzip" in error_of(tmp_path)


def test_gzip_data_under_a_plain_name_is_named(tmp_path: Path) -> None:
    write_split(tmp_path, gzip.compress(IMAGES_FILE))
    assert "must end in .gz" in error_of(tmp_path)


@pytest.mark.parametrize("magic", [0, 2050, 2052, 0x0D03, 0x03080000, 2**32 - 1])
def test_wrong_magic_number_is_named(tmp_path: Path, magic: int) -> None:
    write_split(tmp_path, struct.pack(">I", magic) + IMAGES_FILE[4:])
    message = error_of(tmp_path)
    assert f"magic number is {magic}, expected 2051 for images" in message
    assert "swapped" not in message


def test_swapped_files_are_named(tmp_path: Path) -> None:
    write_split(tmp_path, images=LABELS_FILE)
    assert "magic number is 2049, expected 2051 for images; are" in error_of(tmp_path)
    write_split(tmp_path, labels=IMAGES_FILE)
    message = error_of(tmp_path)
    assert "magic number is 2051, expected 2049 for labels" in message
    assert "swapped" in message


@pytest.mark.parametrize("shape", [(32, 32), (28, 27), (14, 56), (784, 1), (0, 28), (0, 0)])
def test_other_image_sizes_are_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    rows, columns = shape
    write_split(tmp_path, struct.pack(">4I", 2051, 6, *shape) + bytes(6 * rows * columns))
    assert f"images are {rows}x{columns} pixels, expected 28x28" in error_of(tmp_path)


@pytest.mark.parametrize("claimed", [5, 7, 2**32 - 1])
@pytest.mark.parametrize("compress", [False, True])
def test_wrong_count_in_the_header_is_detected(
    tmp_path: Path, claimed: int, compress: bool
) -> None:
    header = struct.pack(">4I", 2051, claimed, 28, 28)
    path, _ = write_split(tmp_path, header + PIXELS, compress=compress)
    for count in (None, 1):
        assert str(path) in error_of(tmp_path, count)


def test_no_samples_are_refused(tmp_path: Path) -> None:
    write_split(tmp_path, struct.pack(">4I", 2051, 0, 28, 28), struct.pack(">2I", 2049, 0))
    assert "holds 0 labels, expected at least 1" in error_of(tmp_path)


def test_different_numbers_of_images_and_labels_are_refused(tmp_path: Path) -> None:
    images, labels = write_split(tmp_path, struct.pack(">4I", 2051, 5, 28, 28) + PIXELS[: 5 * 784])
    for count in (None, 1):
        message = error_of(tmp_path, count)
        assert f"{images}: holds 5 images, expected 6" in message
        assert labels.name in message


def test_fewer_samples_than_needed_are_refused(tmp_path: Path) -> None:
    write_split(tmp_path)
    assert "holds 6 images, expected at least 7" in error_of(tmp_path, 7)


def test_label_out_of_range_is_named_with_its_position(tmp_path: Path) -> None:
    for value in (10, 255):
        content = struct.pack(">2I", 2049, 6) + bytes([9, 0, 3, value, value, 1])
        _, path = write_split(tmp_path, labels=content)
        message = error_of(tmp_path)
        assert f"{path}: label number 3, counting from 0, is {value}, expected 0 to 9" in message


def test_label_out_of_range_is_found_behind_the_samples_that_are_kept(tmp_path: Path) -> None:
    write_split(tmp_path, labels=LABELS_FILE[:-1] + bytes([26]))
    assert "label number 5, counting from 0, is 26" in error_of(tmp_path, 2)


# Files that cannot be read, and arguments


def test_missing_file_is_named_with_both_names_and_the_folder(tmp_path: Path) -> None:
    images, labels = write_split(tmp_path)
    for path in (images, labels):
        content = path.read_bytes()
        path.unlink()
        message = error_of(tmp_path, kind=FileNotFoundError)
        assert message == f"{tmp_path}: holds neither {path.name} nor {path.name}.gz"
        path.write_bytes(content)


def test_missing_folder_and_file_in_its_place_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name in ("missing", "file"):
        assert "is no folder" in error_of(tmp_path / name, kind=FileNotFoundError)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_folder_in_the_place_of_a_file_is_named(tmp_path: Path, suffix: str) -> None:
    path, _ = write_split(tmp_path)
    path.unlink()
    path.with_name(path.name + suffix).mkdir()
    assert f"{path}{suffix}: is a folder" in error_of(tmp_path, kind=OSError)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipe_in_the_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    path, _ = write_split(tmp_path)
    path.unlink()
    os.mkfifo(path)
    # With something to read in the pipe, a reader that does open it fails instead of waiting.
    pipe = os.open(path, os.O_RDWR)
    try:
        os.write(pipe, 2 * IMAGES_FILE)
        assert f"{path}: is no regular file" in error_of(tmp_path, kind=OSError)
    finally:
        os.close(pipe)


@pytest.mark.skipif(
    not Path("/proc/self/mem").exists(), reason="needs Linux's /proc for a file that fails to read"
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_failing_read_names_the_file(tmp_path: Path, suffix: str) -> None:
    path, _ = write_split(tmp_path)
    path.unlink()
    path.with_name(path.name + suffix).symlink_to("/proc/self/mem")
    assert f"{path}{suffix}" in error_of(tmp_path, kind=OSError)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
)
def test_unreadable_file_is_named(tmp_path: Path) -> None:
    path, _ = write_split(tmp_path)
    path.chmod(0)
    assert str(path) in error_of(tmp_path, kind=PermissionError)


@pytest.mark.parametrize("split", ["test", "", None, "train-images"])
def test_unknown_split_is_refused(split: Any) -> None:
    with pytest.raises(ValueError, match="split must be 'train' or 't10k', got"):
        mnist.load_split(split)


@pytest.mark.parametrize("count", [0, -1, 2.5, "5"])
def test_senseless_count_is_refused(count: Any) -> None:
    with pytest.raises(ValueError, match="count must be None or an integer of at least 1, got"):
        mnist.load_split("train", count)


# Any damage at all


@pytest.mark.parametrize("compress", [False, True])
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_damaged_header_gives_a_value_error_or_the_right_samples(
    tmp_path_factory: pytest.TempPathFactory, compress: bool, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    images_path, labels_path = write_split(folder, compress=compress)
    path, header = data.draw(st.sampled_from([(images_path, 16), (labels_path, 8)]))
    content = bytearray(path.read_bytes())
    # Of a plain file only the header carries redundancy: a pixel may have any value.
    size = len(content) if compress else header
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, size - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    message = ""
    try:
        images, labels = mnist.load_split("train", data.draw(st.sampled_from([None, 3])), folder)
    except ValueError as error:
        message = str(error)
    assert path.name in message if message else is_prefix_of_the_samples(images, labels)
