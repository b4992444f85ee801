"""The tables of the report: what they say of runs made by hand, and of the stored evidence."""

from __future__ import annotations

import dataclasses
import functools
from types import SimpleNamespace

import numpy as np
import pytest

import mnist
from common.errors import InputError
from common.numbers import number
from tools.report import settings, tables
from tools.study import evidence
from tools.study.tasks import LAMBDA_OF, PENALISED, UNPENALISED
from trainer import BaseTrainer


@pytest.fixture
def run():
    """Make what tables need of a run: 24 steps of 4 in an epoch, a validation at every other."""
    steps = range(0, 24, 2)
    val_loss = dict(zip(steps, [9, 5, 4, 3, 2.5, 2.2, 2, 1.9, 1.8, 1.7, 1.75, 1.8], strict=True))
    val_accuracy = dict.fromkeys(steps, 0.9) | {14: 0.8, 18: 0.7}
    made = SimpleNamespace(
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
    made.summary = functools.partial(BaseTrainer.summary, made)
    return made


def by_name(table):
    return table.set_index(table.columns[0])


def test_settings_are_those_of_the_trainers(run):
    table = by_name(tables.settings({"logistic": run}, (7, 1), 500)).logistic
    assert table["distinguishes"] == "7 (target 1) or 1 (target 0)"
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


def test_accuracies_around_a_batch():
    profiles = {"twos": np.array([0.9, 0.8, 0.7, 0.75, 0.6])}
    table = by_name(tables.accuracies_around_batch(profiles, 2))
    assert list(table.loc["twos"].to_dict().items()) == [
        ("before batch 2", "80.00\u202f%"),
        ("after batch 2", "70.00\u202f%"),
        ("after batch 3", "75.00\u202f%"),
    ]


def test_dips_are_points_from_the_median_of_the_batches():
    profiles = {"order of the file": np.array([0.97, 0.9, 0.98, 0.97, 0.96])}
    table = by_name(tables.dips_after_batches(profiles, (1, 2)))
    found = table.loc["order of the file"]
    assert found.tolist() == pytest.approx([-7, 1, -7])
    headings = ["after batch 1, points", "after batch 2, points", "lowest, points"]
    assert found.index.tolist() == headings


def test_half_way_and_end_are_means_of_the_ten_validations_before(run):
    table = by_name(tables.half_way_and_end(run))
    assert table.index.tolist() == ["half-way", "at the end"]
    half, end = table.to_dict("records")
    train = 0.9 + np.mean([0, 2, 4, 6, 8, 10]) / 1000
    assert half["training accuracy"] == pytest.approx(train)
    assert half["validation accuracy"] == pytest.approx(0.9)
    assert half["gap, points"] == "+0.5"
    losses = list(run.val_history["loss"].values())[-10:]
    assert end["validation loss"] == pytest.approx(np.mean(losses))
    # The losses of the two batches since the validation before: 24 - step each.
    train_losses = [24 - step + 0.5 for step in range(4, 24, 2)]
    assert end["training loss"] == pytest.approx(np.mean(train_losses))
    assert end["loss gap"] == number(np.mean(losses) - np.mean(train_losses), "+.4f")


def test_accuracies_have_the_gap_and_the_norm(run):
    [row] = tables.accuracies_and_norms([run]).to_dict("records")
    assert row["training accuracy"] == pytest.approx(0.918)
    assert row["validation accuracy"] == 0.7
    assert row["gap, points"] == "+21.8"
    assert row["‖w‖²"] == "12.0"


# --- of the stored evidence ------------------------------------------------------------------


def test_the_minimum_and_the_end_are_medians_of_25_validations():
    history = evidence.read_histories()[UNPENALISED]
    minimum, end = tables.minimum_and_end().to_dict("records")
    assert end["validation loss"] == pytest.approx(history.val_loss.iloc[-25:].median())
    gap = history.train_accuracy.iloc[-25:].median() - history.val_accuracy.iloc[-25:].median()
    assert end["gap, points"] == f"{100 * gap:+.1f}"
    assert minimum["validation loss"] < end["validation loss"]


def interval_cell(mean, low, high, spec):
    return f"{mean:{spec}} ({low:{spec}} to {high:{spec}})".replace("-", "−")


def test_differences_are_those_of_the_evidence_in_points():
    table = tables.differences_from_no_penalty()
    stored = evidence.read_table("differences")
    places = [("run", PENALISED[0], block) for block in range(3)]
    places += [("long", PENALISED[0], 0), *(("run", name, 0) for name in PENALISED[1:])]
    for (kind, name, block), row in zip(places, table.to_dict("records"), strict=True):
        assert row["trained on"].endswith("400 epochs") == (kind == "long")
        for images, heading in (("val", "validation"), ("held_out", "held-out")):
            [found] = stored[
                (stored.kind == kind)
                & (stored.reference_kind == kind)
                & (stored.configuration == name)
                & (stored.block == block)
                & (stored.images == images)
            ].to_dict("records")
            points = (100 * found[key] for key in ("mean", "low", "high"))
            assert row[f"{heading} (95 % interval)"] == interval_cell(*points, "+.3f")


def test_models_without_early_stopping_are_those_of_the_evidence():
    table = by_name(tables.without_early_stopping((1e-05, 0.01)))
    long = evidence.read_table("long")
    for name, value in LAMBDA_OF.items():
        of_lambda = long[long.configuration == name]
        row = table.loc[f"λ = {value:g}, 400 epochs"]
        assert row["held-out accuracy"] == pytest.approx(of_lambda.held_out_accuracy.mean())
        assert row["validation loss"] == pytest.approx(of_lambda.val_loss.mean())
    optima = evidence.read_table("optima").query("block == 0").set_index("l2_reg_lambda")
    for name, value in (("λ = 10⁻⁵, minimum of J", 1e-05), ("λ = 0.01, minimum of J", 0.01)):
        assert table["training accuracy"][name] == optima.train_accuracy[value]
    assert len(table) == len(LAMBDA_OF) + 2


def test_held_out_accuracies_are_means_over_the_seeds_of_the_assignments_training_set():
    table = by_name(tables.held_out_accuracies())
    runs = evidence.read_table("runs").query("block == 0")
    softmax = runs[runs.configuration == UNPENALISED]
    row = table.loc["softmax regression, λ = 0"]
    for heading, column in (("validation", "val"), ("held-out", "held_out")):
        mean = softmax[f"{column}_accuracy"].mean()
        assert row[f"{heading} accuracy"] == pytest.approx(mean)


def test_templates_of_training_sets_are_means_over_the_seeds():
    table = by_name(tables.templates_of_training_sets())
    stored = evidence.read_table("templates")
    assert table.correlation.tolist() == [
        f"{stored.added_correlation.mean():.2f}",
        f"{stored.added_detail_correlation.mean():.2f}",
    ]


# --- the settings of the report --------------------------------------------------------------


ASSIGNED = {name.upper(): value for name, value in dataclasses.asdict(settings.Settings()).items()}


def test_settings_of_the_assignment_are_recognised_in_any_form():
    assert settings.read(ASSIGNED).changes() == {}
    # As papermill hands them over, and from another spelling of the same directory.
    texts = {name: str(value) for name, value in ASSIGNED.items()}
    lists = {"DIGITS": [2, 3], "LAMBDAS": [1.0, 0.1, 0.01, 0.001]}
    for given in (texts, ASSIGNED | lists, ASSIGNED | {"DATA_DIR": f"{mnist.DATA_DIR}/../mnist"}):
        assert settings.read(given).changes() == {}


def test_other_settings_are_named_with_their_values(tmp_path):
    other = {"DIGITS": "[4, 9]", "LAMBDAS": "0.5, 0", "SEED": 3, "DATA_DIR": str(tmp_path)}
    found = settings.read(ASSIGNED | other)
    assert found.changes() == {
        "DIGITS": (4, 9),
        "LAMBDAS": (0.5, 0),
        "SEED": 3,
        "DATA_DIR": tmp_path.resolve(),
    }
    assert (found.digits, found.seed, found.patience) == ((4, 9), 3, 10)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DIGITS", (2, 2)),
        ("DIGITS", (2,)),
        ("DIGITS", (1, 2, 3)),
        ("DIGITS", (7, 10)),
        ("DIGITS", (1.0, 2)),
        ("DIGITS", 5),
        ("DIGITS", "[4, 9"),
        ("DIGITS", "two"),
        ("DIGITS", ([1], 2)),
        ("LAMBDAS", 0.1),
        ("LAMBDAS", "0.1"),
        ("LAMBDAS", (0.1, -1)),
        ("LAMBDAS", [float("nan")]),
        ("LAMBDAS", [float("inf")]),
        ("LAMBDAS", ("0.1", "1")),
        ("LAMBDAS", None),
        ("SEED", -1),
        ("SEED", 1.5),
        ("SEED", True),
        ("SEED", "first"),
        ("PATIENCE", 0),
        ("PATIENCE", "long"),
        ("EPOCHS", 2.5),
        ("BATCH_SIZE", -128),
        ("LOGISTIC_LEARNING_RATE", "fast"),
        ("SOFTMAX_LEARNING_RATE", 0),
        ("DATA_DIR", "no such directory"),
        ("DATA_DIR", 3),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_in_one_line(name, value):
    with pytest.raises(InputError, match=rf"\A{name} is .*; expected .*\Z"):
        settings.read(ASSIGNED | {name: value})
