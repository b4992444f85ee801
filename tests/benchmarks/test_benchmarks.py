"""The benchmark's own code: do the rivals do the same work, and is it compared rightly?"""

from __future__ import annotations

import importlib
import re

import numpy as np
import pytest

import task3
from benchmarks import bench, common, floor, measure, results

SETTINGS = {"learning_rate": 0.01, "batch_size": 32, "patience": 3, "seed": 4}


@pytest.fixture(scope="module")
def small_data(full_data):
    X_train, Y_train, X_val, Y_val = full_data
    return X_train[:700].copy(), Y_train[:700].copy(), X_val[:300].copy(), Y_val[:300].copy()


@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_a_rival_does_the_work_of_the_projects_run(name, small_data):
    if name != "numpy":
        pytest.importorskip(name, reason=f"{name} is installed for the benchmark only")
    trainer = task3.make_trainer(small_data, **SETTINGS)
    trainer.train(100)
    assert trainer.ended == "early stop"

    w, measured = importlib.import_module(f"benchmarks.rival_{name}").train(
        small_data, 100, **SETTINGS
    )

    assert (measured["stop_step"], measured["best_step"]) == (trainer.stop_step, trainer.best_step)
    assert measured["best_loss"] == pytest.approx(trainer.best_loss, abs=1e-5)
    assert measured["last_loss"] == pytest.approx(
        trainer.val_history["loss"][trainer.stop_step], abs=1e-5
    )
    assert measured["best_accuracy"] == pytest.approx(
        trainer.val_history["accuracy"][trainer.best_step]
    )
    np.testing.assert_allclose(w, trainer.model.w, atol=1e-4)


def one_round(**changes):
    run = {"stop_step": 8339, "best_loss": 0.29695, "last_loss": 0.29701}
    return {name: run | changes.get(name, {}) for name in ("project", *bench.SAME_WORK)}


def test_rivals_that_did_the_same_work_are_accepted():
    bench.check_same_work(one_round(jax={"best_loss": 0.29702}))


@pytest.mark.parametrize("rival", bench.SAME_WORK)
@pytest.mark.parametrize(
    "change", [{"stop_step": 8308}, {"best_loss": 0.2972}, {"last_loss": float("nan")}]
)
def test_a_rival_that_did_other_work_is_refused(rival, change):
    with pytest.raises(SystemExit, match=f"{rival} .*{next(iter(change)).split('_')[0]}"):
        bench.check_same_work(one_round(**{rival: change}))


def test_ratios_compare_within_a_round():
    rounds = [
        {"project": {"seconds": project}, "jax": {"seconds": jax}}
        for project, jax in [(1.0, 2.0), (10.0, 20.0), (2.0, 6.0)]
    ]
    ratios = results.ratios(rounds, "jax", "seconds")
    assert ratios == [2, 2, 3]
    assert results.median_and_range(ratios) == "2.00 (2.00 … 3.00)"


def test_the_summary_has_medians_within_a_round_and_the_kernel():
    names = ("project", "jax", "torch", "numpy", "floor in slices")
    run = {"kernel": "openblas 1.2, Haswell", "stop_step": 8339}
    rounds = [
        {name: run | {"seconds": value} for name, value in zip(names, seconds, strict=True)}
        for seconds in [(2, 3, 8, 10, 1), (18, 36, 63, 99, 13.5), (1, 4, 3, 5, 1)]
    ]
    text = " ".join(results.summary(rounds).split())
    for words in (
        "8340 steps, takes 2.00 s",
        "NumPy with openblas 1.2, Haswell",
        "JAX takes 2.00 times as long, PyTorch 3.50 times, plain NumPy in float64 5.00 times",
        "take 0.75 of its time",
    ):
        assert words in text


def test_each_side_is_named_with_its_kernel_and_what_holds_it_back(monkeypatch):
    kernels = {name: {"kernel": "openblas 1.2, Haswell"} for name in results.ROWS}
    rounds = [kernels | {"torch": {"kernel": "oneMKL, AVX512"}}]
    monkeypatch.setattr(results, "PACKAGES", ())
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    monkeypatch.delenv("OPENBLAS_L2_SIZE", raising=False)
    text = results.machine(rounds, bench.held_back())
    assert (
        "Haswell (this project, JAX, straightforward NumPy, float64, scikit-learn, lbfgs)" in text
    )
    assert "AVX512 (PyTorch)" in text
    assert "NumPy picks its kernel itself" in text
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "512")
    text = results.machine(rounds, bench.held_back())
    assert "under **OPENBLAS_CORETYPE=Haswell, OPENBLAS_L2_SIZE=512**" in text


def test_the_kernel_of_numpys_products_is_named():
    assert re.fullmatch(r"\w+ [\w.]+, \w+", measure.numpy_kernel())


@pytest.mark.parametrize(
    ("in_slices", "shapes"),
    [(False, [(32, 10), (785, 10)]), (True, [(1, 10, 32), (1, 10, 785)])],
)
def test_the_floor_makes_as_many_steps_and_validations_as_it_is_told(
    small_data, monkeypatch, in_slices, shapes
):
    products = []
    matmul = np.matmul

    def counted(A, B, out):
        products.append(out.shape)
        return matmul(A, B, out=out)

    monkeypatch.setattr(np, "matmul", counted)
    # 21 batches make a validation every 4 steps: two validations wait for the steps 0 and 4.
    passes = [("val", 2), ("train", 2)]
    floor.multiply(small_data, 5, passes, in_slices=in_slices, batch_size=32)
    assert products == 5 * shapes
    with pytest.raises(ValueError, match="9 steps are too many for 2 validations"):
        floor.multiply(small_data, 9, passes, in_slices=in_slices, batch_size=32)


def test_validations_stop_when_the_best_loss_is_as_old_as_the_patience():
    validations = common.Validations(patience=2)
    stops = []
    for step, loss in enumerate([3.0, 2.0, 2.5, 1.0, 1.0, float("nan")]):
        validations.add(step, loss, 0.5, 0.5)
        stops.append(validations.should_stop)
    assert stops == [False] * 5 + [True]
    assert validations.best_step == 3
