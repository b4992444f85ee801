"""The tables of the report: what they say of runs made by hand, and of the stored evidence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.special

import task3
from common.numbers import number
from tools.report import settings, tables
from tools.study import evidence
from tools.study.tasks import PENALISED, SHUFFLED, UNPENALISED, UNSHUFFLED


@pytest.fixture
def run():
    """Make what tables need of a run: 24 steps of 4 in an epoch, a validation at every other."""
    steps = range(0, 24, 2)
    val_loss = dict(zip(steps, [9, 5, 4, 3, 2.5, 2.2, 2, 1.9, 1.8, 1.7, 1.75, 1.8], strict=True))
    val_accuracy = dict.fromkeys(steps, 0.9) | {14: 0.8, 18: 0.7}
    return SimpleNamespace(
        name="a run",
        ended="early stop",
        stop_step=22,
        stop_epoch=5,
        best_step=18,
        best_loss=1.7,
        seconds=1.0,
        batches_per_epoch=4,
        steps_per_validation=2,
        learning_rate=0.05,
        batch_size=16,
        patience=2,
        shuffle_dataset=False,
        X_train=np.zeros((64, 3)),
        X_val=np.zeros((20, 3)),
        model=SimpleNamespace(w=np.full((3, 1), 2.0), l2_reg_lambda=0.1),
        train_history={
            "loss": {step: 24.0 - step for step in range(24)},
            "accuracy": {step: 0.9 + step / 1000 for step in steps},
        },
        val_history={"loss": val_loss, "accuracy": val_accuracy},
    )


def by_name(table):
    return table.set_index(table.columns[0])


def test_settings_are_those_of_the_trainers(run):
    table = by_name(tables.settings({"logistic": run}, (7, 1), 500)).logistic
    assert table["tells apart"] == "7 (target 1) or 1 (target 0)"
    assert table["order of the images"] == "that of the file"
    for name, value in {
        "training images": "64",
        "validation images": "20",
        "weights, all zero at first": "3 × 1",
        "learning rate": 0.05,
        "batch size": 16,
        "steps in an epoch": 4,
        "steps between validations": 2,
        "patience, in validations": 2,
        "epochs, at most": 500,
    }.items():
        assert table[name] == value, name


def test_gradient_checks_have_their_errors():
    table = tables.gradient_checks([("C", 785, 4e-9), ("J", 7850, 1.25e-8)])
    table = by_name(table)
    assert table["largest relative difference"].to_dict() == {"C": "4.0 × 10⁻⁹", "J": "1.2 × 10⁻⁸"}
    assert table.weights.tolist() == [785, 7850]


def test_the_kept_and_the_last_validation(run):
    table = by_name(tables.kept_and_last(run))
    assert table.loc["the lowest loss"].tolist() == [18, 4, 1.7]
    assert table.loc["early stop"].tolist() == [22, 5, 1.8]


def test_deep_dips_are_found_with_their_batch_and_distance(run):
    [row] = tables.deep_dips([run]).to_dict("records")
    assert (row["number"], row["steps between them"], row["right after batch"]) == (2, "4", "2")
    run.val_history["accuracy"] = dict.fromkeys(run.val_history["accuracy"], 0.9)
    [row] = tables.deep_dips([run]).to_dict("records")
    assert (row["number"], row["steps between them"], row["right after batch"]) == (0, "–", "–")


def test_accuracies_around_a_batch():
    table = by_name(tables.around_batch({"twos": np.array([0.9, 0.8, 0.7])}, 2))
    row = table.loc["twos"].to_dict()
    assert list(row.items()) == [("after batch 1, accuracy", 0.8), ("after batch 2, accuracy", 0.7)]


def test_depths_are_points_from_the_median_of_the_batches():
    profiles = {"order of the file": np.array([0.97, 0.9, 0.98, 0.97, 0.96])}
    table = by_name(tables.depths(profiles, (1, 2)))
    found = table.loc["order of the file"].tolist()
    assert found == pytest.approx([-7, 1, -7])


def test_halves_are_means_of_the_ten_validations_before(run):
    table = by_name(tables.halves(run))
    assert table.step.tolist() == [10, 22]
    half = [0.9 + np.mean([0, 2, 4, 6, 8, 10]) / 1000, 0.9]
    assert table.loc["half time"].iloc[1:4].tolist() == pytest.approx(
        [*half, 100 * (half[0] - 0.9)]
    )
    end = np.mean(list(run.val_history["loss"].values())[-10:])
    assert table["validation loss"]["its end"] == pytest.approx(end)


def test_accuracies_have_the_gap_the_norm_and_the_last_step(run):
    [row] = tables.accuracies([run]).to_dict("records")
    assert row["training accuracy"] == pytest.approx(0.918)
    assert row["validation accuracy"] == 0.7
    assert row["gap, points"] == pytest.approx(21.8)
    assert (row["‖w‖²"], row["last step"]) == ("12.0", 22)


def test_measures_of_templates_are_those_of_each_model(rng):
    X, Y = rng.normal(size=(60, 785)), np.eye(3)[rng.integers(0, 3, 60)]
    means = np.array([X[Y[:, k] == 1].mean(axis=0) - X.mean(axis=0) for k in range(3)])
    weights = {"means": means.T, "noise": rng.normal(size=(785, 3))}
    errors = {"means": Y @ rng.normal(size=(3, 3)), "noise": rng.normal(size=Y.shape)}
    table = by_name(tables.template_measures(weights, errors, X, Y))
    correlation, roughness, share = table.to_dict("records")
    assert correlation["means"] == "1.000"
    assert abs(float(correlation["noise"].replace("−", "-"))) < 0.2
    assert float(roughness["noise"]) == pytest.approx(1, abs=0.1)
    assert share["means"].startswith("100")
    assert float(share["noise"].split("\u202f")[0]) < 20


# --- of the stored evidence ------------------------------------------------------------------


def test_losses_without_early_stopping_are_medians_of_the_stored_curves():
    table = by_name(tables.without_early_stopping(978, 300, 8029))
    for name, configuration, kept in (
        ("not shuffled", UNSHUFFLED, 978),
        ("shuffled", SHUFFLED, 300),
        ("softmax, λ = 0", UNPENALISED, 8029),
    ):
        losses = evidence.read_histories()[configuration].val_loss
        row, place = table.loc[name], losses.index.get_loc(kept)
        assert row["its loss"] == pytest.approx(losses.iloc[place - 12 : place + 13].median())
        assert row["kept step"] == kept
        assert row["lowest loss"] == pytest.approx(losses.rolling(25, center=True).median().min())
        assert row["cost in loss"] == pytest.approx(row["its loss"] - row["lowest loss"])


def test_orders_are_compared_seed_by_seed(run):
    run.val_history["accuracy"] = dict.fromkeys(range(0, 200, 2), 0.9)
    run.train_history["accuracy"] = dict(run.val_history["accuracy"])
    run.train_history["loss"] = dict.fromkeys(range(200), 0.1)
    table = by_name(tables.orders(run))
    runs = evidence.read_table("runs").query("block == 0").set_index(["configuration", "seed"])
    change = runs.stop_step[SHUFFLED] - runs.stop_step[UNSHUFFLED]
    row = table.loc["last step"]
    assert row["file"] == "22"
    assert row["fixed"] == f"{runs.stop_step[UNSHUFFLED].mean():.0f}"
    assert row["shuffled"] == f"{runs.stop_step[SHUFFLED].mean():.0f}"
    assert row.iloc[-1].startswith(f"−{-change.mean():.0f} steps (−")
    assert table.loc["validation accuracy", "file"] == "90.00\u202f%"


def test_the_minimum_and_the_end_are_medians_of_25_validations():
    history = evidence.read_histories()[UNPENALISED]
    minimum, end = tables.minimum_and_end().to_dict("records")
    assert end["validation loss"] == pytest.approx(history.val_loss.iloc[-25:].median())
    gap = history.train_accuracy.iloc[-25:].median() - history.val_accuracy.iloc[-25:].median()
    assert end["gap, points"] == pytest.approx(100 * gap)
    assert minimum["validation loss"] < end["validation loss"]


def test_differences_are_those_of_the_evidence_in_points():
    table = tables.against_no_penalty()
    assert len(table) == len(PENALISED) + 2
    stored = evidence.read_table("differences")
    for (name, block), row in zip(
        [(PENALISED[0], 0), (PENALISED[0], 1), (PENALISED[0], 2), *((p, 0) for p in PENALISED[1:])],
        table.to_dict("records"),
        strict=True,
    ):
        for images, heading in (("val", "validation"), ("held_out", "held-out")):
            [found] = stored[
                (stored.kind == "run")
                & (stored.configuration == name)
                & (stored.block == block)
                & (stored.images == images)
            ].to_dict("records")
            mean, low, high = (100 * found[key] for key in ("mean", "low", "high"))
            cell = f"{mean:+.3f} ({low:+.3f} to {high:+.3f})".replace("-", "−")
            assert row[f"{heading} (95 % interval)"] == cell


def test_models_trained_to_the_end_are_those_of_the_evidence():
    table = by_name(tables.trained_to_the_end((1e-05, 0.01)))
    runs = evidence.read_table("runs").query("configuration == @UNPENALISED and block == 0")
    early = table["held-out accuracy"]["λ = 0, stopped early"]
    assert early == pytest.approx(runs.held_out_accuracy.mean())
    optima = evidence.read_table("optima").query("block == 0").set_index("l2_reg_lambda")
    for name, value in (("minimum of J, λ = 10⁻⁵", 1e-05), ("minimum of J, λ = 0.01", 0.01)):
        assert table["validation loss"][name] == optima.val_loss[value]


def test_averaged_weights_are_compared_with_the_single_ones(full_data, rng):
    trainers = [task3.make_trainer(full_data, l2_reg_lambda=value) for value in (0.0, 0.1)]
    w = trainers[1].model.w = rng.normal(scale=0.05, size=(785, 10))
    table = by_name(tables.averaged_weights(trainers))
    stored = evidence.read_table("averaged").set_index("configuration").loc["softmax lambda=0.1"]
    row = table.loc["λ = 0.1"]
    gain = 100 * (stored.held_out_accuracy - stored.single_held_out_accuracy)
    assert row["gain, points"] == pytest.approx(gain)
    X, Y = full_data[:2]
    cost = scipy.special.logsumexp(X @ w, axis=1).mean() - np.mean(np.sum(Y * (X @ w), axis=1))
    above = (cost + 0.1 * np.sum(w**2)) / evidence.optima().cost[0.1] - 1
    assert row["J over its minimum"] == number(above, "+.1%")
    mean = (stored.train_loss + 0.1 * stored.norm) / evidence.optima().cost[0.1] - 1
    assert row["J of their mean"] == number(mean, "+.1%")
    assert table.loc["λ = 0", "J over its minimum"] == "–"


# --- the settings of the report --------------------------------------------------------------


def test_settings_of_the_assignment_are_recognised_in_any_form():
    namespace = dict(settings.ASSIGNMENT) | {"DATA_DIR": str(settings.ASSIGNMENT["DATA_DIR"])}
    assert settings.others_than_assigned(namespace) == {}
    other = {"DIGITS": (4, 9), "SEED": 3, "DATA_DIR": "elsewhere"}
    found = settings.others_than_assigned(namespace | other)
    assert found == other | {"DATA_DIR": Path("elsewhere").resolve()}


@pytest.mark.parametrize("given", ["[2, 3]", "(2, 3)", [2, 3], (2, 3), "2, 3"])
def test_numbers_are_read_from_lists_and_from_text(given):
    assert settings.numbers(given) == (2, 3)


def test_every_table_is_a_data_frame_with_words_for_headings(run):
    for table in (tables.kept_and_last(run), tables.against_no_penalty(), tables.minimum_and_end()):
        assert isinstance(table, pd.DataFrame)
        assert all(isinstance(heading, str) for heading in table)
