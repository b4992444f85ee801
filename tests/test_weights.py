"""Weights files: exact round trips, and a clear refusal of everything else."""

from cli.weights import SavedWeights, load_weights, save_weights

import io
import json
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import task2
import task3
from trainer import BaseTrainer

SETTINGS: dict[str, dict[str, Any]] = {
    "logistic": {"seed": 3, "classes": [2, 3]},
    "softmax": {"seed": 3},
}


def make_trainer(kind: str, dtype: type = np.float32, **settings: Any) -> BaseTrainer:
    """Make a trainer for 200 random images whose pixels tell a little about their labels."""
    settings = {"batch_size": 20, "seed": 3, **settings}
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2 if kind == "logistic" else 10, 200)
    X = np.asarray(rng.uniform(-1, 1, (200, 785)), dtype)
    X[:, 0] = labels
    trainer: BaseTrainer
    if kind == "logistic":
        Y = np.asarray(labels[:, np.newaxis], dtype)
        trainer = task2.make_trainer((X, Y, X, Y), shuffle=True, **settings)
    else:
        Y = np.eye(10, dtype=dtype)[labels]
        trainer = task3.make_trainer((X, Y, X, Y), l2_reg_lambda=0.25, **settings)
    trainer.model.w = trainer.model.w.astype(dtype)
    return trainer


def save(path: Path, trainer: BaseTrainer, settings: dict[str, Any]) -> None:
    save_weights(path, trainer.model.w, settings, trainer.train_history, trainer.val_history)


@pytest.fixture(params=["logistic", "softmax"])
def trained(request: pytest.FixtureRequest) -> tuple[BaseTrainer, dict]:
    trainer = make_trainer(request.param)
    trainer.train(3)
    return trainer, SETTINGS[request.param]


@pytest.fixture
def logistic_file(tmp_path: Path) -> Path:
    trainer = make_trainer("logistic")
    trainer.train(1)
    path = tmp_path / "good.npz"
    save(path, trainer, SETTINGS["logistic"])
    return path


def check_same(saved: SavedWeights, trainer: BaseTrainer) -> None:
    np.testing.assert_array_equal(saved.w, trainer.model.w, strict=True)
    for found, expected in (
        (saved.train_history, trainer.train_history),
        (saved.val_history, trainer.val_history),
    ):
        # As text, so that NaN equals NaN, and 3 differs from 3.0 and from numpy.int64(3).
        assert repr(found) == repr(expected)


def test_a_round_trip_gives_the_same_weights_and_histories(trained, tmp_path):
    trainer, settings = trained
    assert (len(trainer.train_history["loss"]), len(trainer.val_history["loss"])) == (30, 15)
    assert trainer.model.w.any()
    save(tmp_path / "new" / "folder" / "w.npz", trainer, settings)
    check_same(load_weights(tmp_path / "new" / "folder" / "w.npz"), trainer)


@pytest.mark.parametrize("kind", ["logistic", "softmax"])
def test_float64_weights_stay_float64(kind, tmp_path):
    trainer = make_trainer(kind, np.float64)
    trainer.train(1)
    assert trainer.model.w.dtype == np.float64
    save(tmp_path / "w.npz", trainer, SETTINGS[kind])
    check_same(load_weights(tmp_path / "w.npz"), trainer)


def test_a_diverged_run_keeps_its_best_weights_and_its_infinite_losses(tmp_path):
    trainer = make_trainer("softmax", learning_rate=1e4)
    with pytest.raises(FloatingPointError):
        trainer.train(50)
    save(tmp_path / "w.npz", trainer, {})
    check_same(load_weights(tmp_path / "w.npz"), trainer)


def test_the_same_run_gives_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        trainer = make_trainer("softmax")
        trainer.train(2)
        save(tmp_path / name, trainer, {"seed": 3})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    # Two files of one second would agree even if they held the time.
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_numpy_alone_can_read_the_file_without_unpickling(logistic_file):
    with np.load(logistic_file, allow_pickle=False) as archive:
        assert all(archive[name].dtype.kind in "fiU" for name in archive)
        assert json.loads(str(archive["settings"]))["classes"] == [2, 3]
        assert list(archive["val_loss_steps"]) == [0, 2, 4, 6, 8]


def test_the_file_gets_just_the_given_name(tmp_path):
    save(tmp_path / "no_ending", make_trainer("softmax"), {})
    assert [path.name for path in tmp_path.iterdir()] == ["no_ending"]
    load_weights(tmp_path / "no_ending")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": [2, 3], "folder": Path("x")}, "settings has a value that is not plain JSON"),
        ({"classes": [2, 3], "loss": float("nan")}, "settings has a value that is not plain JSON"),
    ],
)
def test_settings_that_could_not_be_read_back_are_not_written(logistic_file, settings, message):
    before = logistic_file.read_bytes()
    with pytest.raises(ValueError, match=message):
        save(logistic_file, make_trainer("logistic"), settings)
    assert logistic_file.read_bytes() == before
    assert list(logistic_file.parent.iterdir()) == [logistic_file]


@pytest.mark.parametrize(
    ("w", "message"),
    [
        (np.full((785, 10), np.nan, np.float32), "w has infinite or NaN values; expected finite"),
        (np.zeros((2, 785, 10), np.float32), r"w is float32 of shape \(2, 785, 10\); expected"),
        (np.zeros((785, 10), np.float16), r"w is float16 of shape \(785, 10\); expected"),
    ],
)
def test_weights_that_could_not_be_read_back_are_not_written(tmp_path, w, message):
    trainer = make_trainer("softmax")
    trainer.model.w = w
    with pytest.raises(ValueError, match=message):
        save(tmp_path / "w.npz", trainer, {})
    assert not any(tmp_path.iterdir())


def refusal(path: Path) -> str:
    """Load a file that must be refused; return what the error says after the path."""
    with pytest.raises(ValueError, match="^" + re.escape(f"{path}: ") + r".+\Z") as caught:
        load_weights(path)
    return str(caught.value).removeprefix(f"{path}: ")


def npy(array: NDArray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "is no .npz file"),
        (b"PK\x03", "is no .npz file"),
        (b"PK\x05\x06" + 18 * b"\0", "is no .npz file"),
        (b"hello\nworld\n", "is no .npz file"),
        (npy(np.zeros((785, 1))), "is no .npz file"),
        (pickle.dumps({"w": np.zeros((785, 1))}), "is no .npz file"),
    ],
)
def test_files_of_other_kinds_are_refused(tmp_path, content, message):
    path = tmp_path / "w.npz"
    if content is not None:
        path.write_bytes(content)
    assert refusal(path) == message


def test_a_folder_is_refused(tmp_path):
    assert refusal(tmp_path) == "is a folder"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "w.npz")
    assert refusal(tmp_path / "w.npz") == "is no regular file"


def test_a_file_cut_short_is_refused_wherever_it_ends(logistic_file):
    content = logistic_file.read_bytes()
    for length in [4, 30, 100, 1000, *range(len(content) - 400, len(content), 7)]:
        logistic_file.write_bytes(content[:length])
        assert refusal(logistic_file) == "is cut short"


def test_a_damaged_byte_is_refused_or_does_not_matter(logistic_file):
    content = logistic_file.read_bytes()
    original = load_weights(logistic_file)
    rng = np.random.default_rng(0)
    refusals = []
    # The headers and the directory have more ways to go wrong than the numbers between them.
    headers = [content.find(b"PK", start) for start in range(0, len(content), 40)]
    positions = {*rng.integers(0, len(content), 50)}
    positions |= {start + k for start in headers if start >= 0 for k in range(0, 100, 7)}
    for position in sorted(p for p in positions if p < len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.integers(8)
        logistic_file.write_bytes(damaged)
        try:
            saved = load_weights(logistic_file)
        except ValueError as error:
            refusals.append(str(error))
        else:
            np.testing.assert_array_equal(saved.w, original.w)
            assert saved.settings == original.settings
            assert repr(saved.train_history) == repr(original.train_history)
    assert len(refusals) > len(positions) / 2
    for message in refusals:
        assert message.startswith(f"{logistic_file}: ")
        assert "\n" not in message
        # NumPy advises to unpickle what it does not know.
        assert "allow_pickle" not in message


class Trap:
    """Would write a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_nothing_is_ever_unpickled(logistic_file):
    trap = logistic_file.with_name("sprung")
    pickle.loads(pickle.dumps(Trap(trap)))
    assert trap.exists()
    trap.unlink()
    replace_arrays(logistic_file, w=np.array([Trap(trap)], dtype=object))
    assert "Object arrays cannot be loaded" in refusal(logistic_file)
    assert not trap.exists()


def replace_arrays(path: Path, **changes: object) -> None:
    """Write a weights file anew with some arrays changed, or left out if the change is None."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {**archive, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"w": None}, "lacks w; expected a file of save_weights"),
        ({"settings": None, "val_loss_steps": None}, "lacks settings, val_loss_steps; expected"),
        ({"w": np.zeros(785, np.float32)}, "w is float32 of shape (785,); expected"),
        ({"w": np.zeros((785, 1), int)}, "w is int64 of shape (785, 1); expected float32 or"),
        ({"w": np.zeros((785, 1), complex)}, "w is complex128 of shape (785, 1); expected"),
        ({"w": np.full((785, 1), np.inf)}, "w has infinite or NaN values; expected finite"),
        ({"settings": np.array(3)}, "settings is int64 of shape (); expected one string"),
        ({"settings": np.array(["{}"])}, "settings is <U2 of shape (1,); expected one string"),
        ({"settings": np.array("{")}, "settings is not JSON: "),
        ({"settings": np.array("[]")}, "settings is []; expected a JSON object"),
        ({"settings": np.array("[" * 100_000)}, "is damaged (maximum recursion depth exceeded"),
        (
            {"val_loss_steps": np.arange(3)},
            "val_loss has steps of int64 (3,) and values of float64 (5,); expected",
        ),
        ({"train_loss_steps": np.arange(10.0)}, "train_loss has steps of float64 (10,) and"),
        ({"train_loss_values": np.zeros((10, 1))}, "train_loss has steps of int64 (10,) and"),
    ],
)
def test_contents_that_are_no_weights_are_refused(logistic_file, changes, message):
    replace_arrays(logistic_file, **changes)
    assert refusal(logistic_file).startswith(message)


def huge_npy() -> bytes:
    """Make an array file whose header claims 7 petabytes."""
    file = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**15, 1)}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


@pytest.mark.parametrize("content", [b"hello", npy(np.zeros((785, 1)))[:-8], huge_npy()])
def test_an_entry_that_is_no_array_is_refused(logistic_file, content):
    with zipfile.ZipFile(logistic_file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(logistic_file, "w") as archive:
        for name, old_content in entries.items():
            archive.writestr(name, content if name == "w.npy" else old_content)
    assert refusal(logistic_file)
