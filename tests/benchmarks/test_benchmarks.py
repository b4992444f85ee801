"""The benchmark: do the rivals do the same work, and is it compared rightly?"""

import importlib
import json
import os
import sys

import matplotlib.image
import numpy as np
import pytest

import task3
from benchmarks import bench, measure, project, results, work
from benchmarks.results import LABELS, OTHER_WORK, Measurement
from common.command_line import run
from common.errors import InputError

SAME_WORK = sorted(LABELS.keys() - OTHER_WORK)
REQUIRES = {"rival_torch": "torch", "rival_jax": "jax"}


@pytest.fixture(scope="module")
def small_data(full_data):
    X_train, Y_train, X_val, Y_val = full_data
    return X_train[:700].copy(), Y_train[:700].copy(), X_val[:300].copy(), Y_val[:300].copy()


def rival(name):
    """Import a rival; skip the test if its library is missing."""
    if name in REQUIRES:
        pytest.importorskip(REQUIRES[name], reason="installed in .venv-bench only")
    return importlib.import_module(f"benchmarks.{name}")


def assert_same_run(found, expected):
    (w, measured), (expected_w, expected_run) = found, expected
    assert measured.stop_step == expected_run.stop_step
    for quantity in ("best_loss", "last_loss", "accuracy"):
        assert getattr(measured, quantity) == pytest.approx(
            getattr(expected_run, quantity), abs=1e-5
        )
    np.testing.assert_allclose(w, expected_w, atol=1e-4)


@pytest.mark.parametrize("name", SAME_WORK)
def test_each_rival_stops_early_where_the_trainer_does_with_its_losses_and_weights(
    name, small_data
):
    settings = work.Settings(num_epochs=100, batch_size=32, patience=3, seed=4)
    trainer = task3.make_trainer(small_data, batch_size=32, patience=3, seed=4)
    trainer.train(100)
    assert trainer.ended == "early stop"
    expected = work.Run(
        seconds=trainer.seconds,
        stop_step=trainer.stop_step,
        best_loss=trainer.best_loss,
        last_loss=trainer.val_history["loss"][trainer.stop_step],
        accuracy=trainer.val_history["accuracy"][trainer.best_step],
        kernel="",
    )
    assert_same_run(rival(name).run(small_data, settings), (trainer.model.w, expected))


@pytest.mark.parametrize("name", SAME_WORK)
def test_each_rival_makes_the_steps_after_the_last_validation_too(name, small_data):
    # 21 batches in an epoch, a validation every 4 steps: the last of 2 epochs is at step 40.
    settings = work.Settings(num_epochs=2, batch_size=32)
    measured = rival(name).run(small_data, settings)
    assert measured[1].stop_step == 41
    assert_same_run(measured, project.run(small_data, settings))


def test_logistic_regression_learns_the_digits(small_data):
    w, measured = rival("rival_lbfgs").run(small_data, work.Settings())
    assert w.shape == (785, 10)
    assert measured.accuracy > 0.8


def test_a_measuring_process_prints_the_run_that_the_command_line_names(
    small_data, monkeypatch, capsys
):
    monkeypatch.setattr(task3, "load_data", lambda: small_data)
    monkeypatch.setattr(sys, "argv", ["measure.py", "rival_numpy", "2"])
    measure.main()
    found = work.Run(**json.loads(capsys.readouterr().out))
    _, expected = project.run(small_data, work.Settings(num_epochs=2))
    assert found.stop_step == expected.stop_step == 9
    assert found.last_loss == pytest.approx(expected.last_loss)


@pytest.mark.skipif(os.name != "posix", reason="needs os.wait4")
def test_a_measurement_has_seconds_memory_and_none_of_the_variables_that_hold_numpy_back(
    monkeypatch, tmp_path
):
    # In place of the real one: its validation losses tell what it got from the environment.
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "measure.py").write_text(
        "import json, os, sys\n"
        "held_back = sum(key.startswith('OPENBLAS_') for key in os.environ)\n"
        "names = 'seconds stop_step best_loss last_loss accuracy kernel'.split()\n"
        "memory = bytearray(200_000_000)\n"
        "print(json.dumps(dict.fromkeys(names, held_back)))\n"
    )
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "512")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    measured = bench.measure("rival_numpy", 1)
    assert measured.run == work.Run(*[1] * 6)
    assert measured.process_seconds > 0
    assert 0.2e9 < measured.peak_memory < 2e9


@pytest.mark.skipif(os.name != "posix", reason="needs os.wait4")
def test_a_run_that_fails_is_named(capfd):
    with pytest.raises(InputError, match="measure rival_unknown 1 failed"):
        bench.measure("rival_unknown", 1)
    assert "No module named 'benchmarks.rival_unknown'" in capfd.readouterr().err


def measurement(seconds=1.0, stop_step=8339, best_loss=0.29695, last_loss=0.29701, kernel="eigen"):
    run = work.Run(seconds, stop_step, best_loss, last_loss, accuracy=0.91524, kernel=kernel)
    return Measurement(run, process_seconds=seconds + 1, peak_memory=200_400_000)


def test_rivals_that_did_the_same_work_are_accepted_whatever_those_of_other_work_did():
    measured = dict.fromkeys(LABELS, measurement())
    measured["rival_jax"] = measurement(best_loss=0.29702)
    measured["rival_lbfgs"] = measurement(stop_step=50, best_loss=0.3)
    bench.check_same_work(measured)


@pytest.mark.parametrize("name", [name for name in SAME_WORK if name != "project"])
@pytest.mark.parametrize(
    "change", [{"stop_step": 8308}, {"best_loss": 0.2972}, {"last_loss": float("nan")}], ids=str
)
def test_a_rival_that_did_other_work_is_refused(name, change):
    measured = dict.fromkeys(LABELS, measurement())
    measured[name] = measurement(**change)
    with pytest.raises(InputError, match=f"{name} .*{next(iter(change)).split('_')[0]}"):
        bench.check_same_work(measured)


@pytest.fixture
def command_line(monkeypatch, tmp_path):
    """Run the command without measuring; give its exit code, and who was measured."""
    measured = []

    def fake_measure(name, num_epochs):
        measured.append((name, num_epochs))
        return measurement()

    monkeypatch.setattr(bench, "measure", fake_measure)
    monkeypatch.setattr(results, "PACKAGES", ("numpy",))

    def call(load, *options):
        monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0), raising=False)
        monkeypatch.setattr(sys, "argv", ["bench.py", "--output", str(tmp_path), *options])
        with pytest.raises(SystemExit) as ended:
            run(bench.main)
        return ended.value.code, measured

    return call


def test_rounds_alternate_and_write_a_table_and_a_picture(command_line, tmp_path, capsys):
    code, measured = command_line(0.5, "--rounds", "3", "--epochs", "7")
    assert code == 0
    order = [(name, 7) for name in LABELS]
    assert measured == order + order[::-1] + order
    written = [tmp_path / "results.md", tmp_path / "results.png"]
    assert capsys.readouterr().out.splitlines() == [f"wrote {path}" for path in written]
    assert sorted(tmp_path.iterdir()) == written
    height, width, _ = matplotlib.image.imread(tmp_path / "results.png").shape
    assert width > height > 100


def test_a_busy_machine_is_refused_in_one_line_unless_told_otherwise(
    command_line, tmp_path, capsys
):
    code, measured = command_line(1.96)
    assert (code, measured) == (2, [])
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("bench.py: error: ")
    assert "load is 1.96" in line
    assert "--even-if-busy" in line
    assert list(tmp_path.iterdir()) == []
    assert command_line(1.96, "--even-if-busy", "--rounds", "1")[0] == 0
    assert "load of the machine before the first:\n  1.96" in (tmp_path / "results.md").read_text(
        encoding="utf-8"
    )


@pytest.fixture
def three_rounds():
    """Give three rounds in which the second one is slow for everyone."""
    seconds = {
        "project": (2, 18, 1),
        "rival_jax": (3, 36, 4),
        "rival_torch": (8, 63, 3),
        "rival_sklearn": (20, 90, 30),
        "rival_numpy": (10, 99, 5),
        "rival_lbfgs": (1, 1, 1),
    }
    return [
        {name: measurement(values[k], kernel=f"of {name}") for name, values in seconds.items()}
        for k in range(3)
    ]


def test_ratios_compare_within_a_round(three_rounds):
    assert results.ratios(three_rounds, "rival_torch") == [4, 3.5, 3]
    assert results.median_and_range([4, 3, 3.5]) == "3.50 (3.00 … 4.00)"


def test_the_summary_has_the_medians_of_the_ratios_and_the_kernel(three_rounds):
    text = " ".join(results.summary(three_rounds).split())
    for words in (
        "8340 steps, takes 2.00 s",
        "NumPy with of project",
        "JAX takes 2.00 times as long, PyTorch 3.50 times, scikit-learn 10.00 times, "
        "plain NumPy in float64 5.00 times",
    ):
        assert words in text


def test_the_summary_comes_first_and_the_table_has_a_row_for_each(three_rounds, monkeypatch):
    monkeypatch.setattr(results, "PACKAGES", ("numpy",))
    text = results.document(three_rounds, load=0.1)
    assert text.split("\n\n")[1] == results.summary(three_rounds)
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")][2:]
    found = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in rows}
    assert list(found) == list(LABELS.values())
    assert found["JAX"] == [
        "yes",
        "4.00 (3.00 … 36.00)",
        "2.00 (1.50 … 4.00)",
        "5.00 (4.00 … 37.00)",
        "200",
        "of rival_jax",
    ]
    assert found[LABELS["rival_lbfgs"]][0] == (
        "no: 8339 iterations of L-BFGS on all images, accuracy 91.52%"
    )


def test_the_kernel_of_numpys_products_is_named():
    assert work.numpy_kernel().count(", ") == 1
