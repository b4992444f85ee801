"""Weights files: exact round trips, and a clear refusal of everything else."""

import io
import json
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
from common.errors import FileError
from runs.weights import load_weights, save_weights
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
    save_weights(
        path,
        w=trainer.model.w,
        settings=settings,
        train_history=trainer.train_history,
        val_history=trainer.val_history,
    )


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


def check_same(path: Path, trainer: BaseTrainer, settings: dict[str, Any]) -> None:
    """Compare what `load_weights` reads with the trainer, and the histories beside it."""
    assert load_weights(path).settings == settings
    np.testing.assert_array_equal(load_weights(path).w, trainer.model.w, strict=True)
    with np.load(path) as archive:
        for part in ("train", "val"):
            for quantity, values in getattr(trainer, f"{part}_history").items():
                rows = list(values.items())
                np.testing.assert_array_equal(archive[f"{part}_{quantity}"], rows)


def test_a_round_trip_gives_the_same_weights_and_histories(trained, tmp_path):
    trainer, settings = trained
    assert (len(trainer.train_history["loss"]), len(trainer.val_history["loss"])) == (30, 15)
    assert trainer.model.w.any()
    save(tmp_path / "new" / "folder" / "w.npz", trainer, settings)
    check_same(tmp_path / "new" / "folder" / "w.npz", trainer, settings)


@pytest.mark.parametrize("kind", ["logistic", "softmax"])
def test_float64_weights_stay_float64(kind, tmp_path):
    trainer = make_trainer(kind, np.float64)
    trainer.train(1)
    assert trainer.model.w.dtype == np.float64
    save(tmp_path / "w.npz", trainer, SETTINGS[kind])
    check_same(tmp_path / "w.npz", trainer, SETTINGS[kind])


def test_a_diverged_run_keeps_its_best_weights_and_its_infinite_losses(tmp_path):
    trainer = make_trainer("softmax", learning_rate=1e4)
    with pytest.raises(FloatingPointError):
        trainer.train(50)
    save(tmp_path / "w.npz", trainer, {})
    check_same(tmp_path / "w.npz", trainer, {})


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
        assert all(archive[name].dtype.kind in "fU" for name in archive)
        assert json.loads(str(archive["settings"]))["classes"] == [2, 3]
        assert list(archive["val_loss"][:, 0]) == [0, 2, 4, 6, 8]


def test_the_file_gets_just_the_given_name(tmp_path):
    save(tmp_path / "no_ending", make_trainer("softmax"), {})
    assert [path.name for path in tmp_path.iterdir()] == ["no_ending"]
    load_weights(tmp_path / "no_ending")


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
    "content",
    [
        b"",
        b"PK\x03",
        b"hello\nworld\n",
        npy(np.zeros((785, 1))),
        pickle.dumps({"w": np.zeros((785, 1))}),
    ],
)
def test_files_of_other_kinds_are_refused(tmp_path, content):
    path = tmp_path / "w.npz"
    path.write_bytes(content)
    assert refusal(path) == "is damaged, or not a weights file"


def test_what_cannot_be_opened_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "w.npz"):
        with pytest.raises(FileError, match=re.escape(f"{path}: ")):
            load_weights(path)


def test_a_file_cut_short_is_refused_wherever_it_ends(logistic_file):
    content = logistic_file.read_bytes()
    for length in [4, 30, 100, 1000, *range(len(content) - 400, len(content), 7)]:
        logistic_file.write_bytes(content[:length])
        assert refusal(logistic_file) == "is damaged, or not a weights file"


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
    assert len(refusals) > len(positions) / 4
    assert {*refusals} == {f"{logistic_file}: is damaged, or not a weights file"}


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
    assert refusal(logistic_file) == "is damaged, or not a weights file"
    assert not trap.exists()


def replace_arrays(path: Path, **changes: object) -> None:
    """Write a weights file anew with some arrays changed, or left out if the change is None."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {**archive, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize(
    "changes",
    [
        {"w": None},
        {"settings": None},
        {"w": np.zeros(785)},
        {"w": np.zeros((785, 1), int)},
        {"w": np.full((785, 1), np.inf)},
        {"settings": np.array("{")},
        {"settings": np.array("[3]")},
        {"settings": np.array("[" * 100_000)},
    ],
)
def test_contents_that_are_no_weights_are_refused(logistic_file, changes):
    replace_arrays(logistic_file, **changes)
    assert refusal(logistic_file) == "is damaged, or not a weights file"
