"""What the report says, claim by claim: each judgement of its text holds for its own results.

The tables are those that an execution of the notebook shows. The curves are those of the stored
evidence, whose continued runs begin as the runs of the report do.
"""

from __future__ import annotations

import io
import itertools
import re

import numpy as np
import pandas as pd
import pytest

import task2
from tools.study import evidence, single_runs
from tools.study.tasks import LAMBDA_OF, PENALISED, SHUFFLED, UNPENALISED, UNSHUFFLED

STOP_STEPS = {UNSHUFFLED: 1038, UNPENALISED: 8339}


def number_in(cell):
    """Read the first number of a cell: of ``−0.07 (−0.13 to −0.01)`` the mean."""
    found = re.search(r"[-+−]?\d[\d\u202f]*(?:\.\d+)?", str(cell))
    return float(found[0].replace("\u202f", "").replace("−", "-")) if found else np.nan


def interval_in(cell):
    """Read the interval of ``−0.07 (−0.13 to −0.01)``."""
    return [number_in(end) for end in cell.partition("(")[2].split(" to ")]


@pytest.fixture(scope="module")
def shown(executed_report):
    """Give the tables that a fresh execution of the notebook shows, by their first heading."""
    found = {}
    for cell in executed_report.cells:
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                markdown = output.data["text/markdown"].replace("$\\lambda$", "λ")
                lines = [line.strip("|") for line in markdown.split("\n") if "---" not in line]
                table = pd.read_csv(io.StringIO("\n".join(lines)), sep=r"\s*\|\s*", engine="python")
                table.columns = table.columns.str.strip()
                name = table.columns[0]
                table[name] = table[name].astype(str).str.strip()
                found[name] = table.set_index(name)
    return found


def column(table, heading):
    return table[heading].map(number_in)


def rows_of(table):
    return [row.map(number_in) for _, row in table.iterrows()]


def run_of(configuration, stop_step=None):
    """Give the history of a run up to its early stop."""
    history = evidence.read_histories()[configuration]
    return history.loc[: stop_step or STOP_STEPS[configuration]]


@pytest.fixture(scope="module")
def early():
    """Give the means over the seeds of the early-stopped softmax runs, by λ."""
    return evidence.early_stopped()


@pytest.fixture(scope="module")
def optima():
    return evidence.optima()


# --- task 2 ----------------------------------------------------------------------------------


@pytest.mark.parametrize("configuration", [UNSHUFFLED, UNPENALISED])
def test_2b_3b_both_losses_fall_steeply_at_first_and_then_ever_more_slowly(configuration):
    history = run_of(configuration)
    for losses in (history.train_loss, history.val_loss):
        thirds = [np.median(part) for part in np.array_split(losses, 3)]
        falls = -np.diff([losses.iloc[0], *thirds])
        assert np.all(falls > 0)
        assert np.all(np.diff(falls) < 0)


def test_2b_the_validation_loss_peaks_again_and_again_at_the_same_batch():
    losses = run_of(UNSHUFFLED).val_loss.loc[100:]
    peaks = losses.index[losses > 1.5 * losses.median()]
    assert len(peaks) > 3
    assert set(peaks % 31) == {18}


def test_2b_the_training_loss_peaks_once_an_epoch_at_the_same_batch(binary_data):
    trainer = task2.make_trainer(binary_data, shuffle=False)
    trainer.train(500)
    losses = np.array(list(trainer.train_history["loss"].values()))[3 * 31 : 33 * 31]
    peaks = losses.reshape(30, 31).argmax(axis=1)
    # The step over the batch spoils the model for it and for the batch after it.
    assert np.mean(np.isin(peaks, (18, 19))) > 0.9


def test_2c_the_difference_of_the_accuracies_is_smaller_than_its_uncertainty(shown, binary_data):
    table = shown["runs of task 2"]["file"].map(number_in) / 100
    train, val = table["training accuracy"], table["validation accuracy"]
    N_train, N_val = len(binary_data[0]), len(binary_data[2])
    standard_error = np.sqrt(train * (1 - train) / N_train + val * (1 - val) / N_val)
    assert 0 < val - train < standard_error


def test_2d_early_stopping_ends_the_run_ten_validations_after_the_lowest_loss(shown):
    table = shown["validation"]
    setting = shown["setting"]["logistic regression"].map(number_in)
    kept, last = column(table, "step")
    assert list(table.index) == ["the lowest loss", "early stop"]
    assert (kept, last, number_in(table.epoch["early stop"])) == (978, 1038, 33)
    waited = setting["patience, in validations"] * setting["steps between validations"]
    assert last - kept == waited


def test_2d_the_loss_at_the_last_step_is_hardly_higher(shown):
    lowest, last = column(shown["validation"], "validation loss")
    assert lowest < last < 1.01 * lowest


def test_2d_the_same_run_comes_to_its_lowest_loss_about_twice_as_late_and_gains_little(shown):
    run = shown["medians of 25 validations"].loc["not shuffled"].map(number_in)
    assert 1.7 < run["lowest around step"] / 1038 < 2.3
    assert 0 < run["cost in loss"] < 0.02 * run["lowest loss"]


def test_2e_the_dips_come_back_at_one_batch_in_every_sixth_epoch_and_not_with_shuffling(shown):
    table = shown["dips of more than a point"]
    assert number_in(table["number"]["not shuffled"]) > 3
    assert number_in(table["number"]["shuffled, not stopped"]) == 0
    assert number_in(table["right after batch"]["not shuffled"]) == 18
    assert number_in(table["steps between them"]["not shuffled"]) == np.lcm(31, 6)


def test_2e_right_after_the_batch_fewer_twos_and_more_threes_are_recognised(shown):
    table = shown["validation images"]
    before, after = (column(table, f"after batch {batch}, accuracy") for batch in (17, 18))
    assert after["twos"] < before["twos"] - 5
    assert after["threes"] > before["threes"]


@pytest.fixture(scope="module")
def hard_threes(binary_data):
    """Give the ten hardest images of batch 18, by the finished run, and the losses of all."""
    trainer = task2.make_trainer(binary_data, shuffle=False)
    trainer.train(500)
    X, Y = binary_data[:2]
    z = (X @ trainer.model.w)[:, 0]
    loss = np.logaddexp(0, (1 - 2 * Y[:, 0]) * z)
    batch = np.arange(18 * 128, 19 * 128)
    return batch[np.argsort(loss[batch])[-10:]], loss


def test_2e_the_hard_images_of_the_batch_are_threes_and_more_than_in_other_batches(
    hard_threes, binary_data
):
    hardest, loss = hard_threes
    assert np.all(binary_data[1][hardest] == 0)
    limit = np.sort(loss)[-100]  # The hundred hardest of 4005 images.
    counts = np.bincount(np.flatnonzero(loss >= limit) // 128, minlength=31)[:31]
    assert counts[18] == counts.max() >= 2 * np.median(counts)


def test_2e_the_gradients_of_the_hard_threes_point_the_same_way(hard_threes, binary_data):
    hardest, _ = hard_threes
    X = binary_data[0][hardest]  # All errors ŷ - 0 are positive: the gradients are multiples.
    cosines = X @ X.T / np.linalg.norm(X, axis=1) / np.linalg.norm(X, axis=1)[:, np.newaxis]
    assert cosines.min() > 0.5


def test_2e_spread_over_other_batches_the_images_do_no_harm(shown):
    lowest = column(shown["order of the training images"], "lowest, points")
    assert lowest["spread over 10 batches"] > 0.15 * lowest["order of the file"]


def test_2e_over_random_orders_no_difference_in_the_depth_of_dips_was_found(shown):
    [heading] = [name for name in shown["runs of task 2"] if "minus" in name]
    low, high = interval_in(shown["runs of task 2"][heading]["deepest dip of the accuracy"])
    assert low < 0 < high


# --- task 3 ----------------------------------------------------------------------------------


def test_3b_the_training_loss_scatters_more_and_is_a_little_lower_in_the_end():
    last = run_of(UNPENALISED).iloc[-50:]
    assert last.train_loss.std() > 5 * last.val_loss.std()
    assert 0.9 < last.train_loss.mean() / last.val_loss.mean() < 1


def test_3c_the_training_accuracy_becomes_the_higher_one_and_the_gap_widens():
    history = run_of(UNPENALISED)
    gap = history.train_accuracy - history.val_accuracy
    eighths = [part.mean() for part in np.array_split(gap, 8)]
    assert eighths[0] < 0
    assert np.all(np.diff(eighths) > 0)


def test_3d_the_gap_grows_while_validation_accuracy_rises_and_validation_loss_falls(shown):
    middle, end = shown["the run at"].map(number_in).to_dict("records")
    assert end["gap, points"] > 1.5 * middle["gap, points"] > 0
    assert end["validation accuracy"] > middle["validation accuracy"]
    assert end["validation loss"] < middle["validation loss"]
    # New images profit, but less than the training images.
    rise = {name: end[name] - middle[name] for name in middle if "accuracy" in name}
    assert rise["training accuracy"] > rise["validation accuracy"] > 0


def test_3d_trained_on_the_model_overfits_slowly_by_its_loss(shown):
    minimum, end = shown["continued run"].map(number_in).to_dict("records")
    assert end["training loss"] < minimum["training loss"]
    assert 1 < end["validation loss"] / minimum["validation loss"] < 1.02


# --- task 4 ----------------------------------------------------------------------------------


def test_4b_the_strongly_penalised_run_ends_near_its_minimum(shown):
    assert number_in(shown["last 250 steps"]["J over its minimum"]["λ = 1"]) < 0.5


def test_4b_with_a_strong_penalty_templates_are_nearly_differences_of_mean_images(shown):
    correlation, roughness, share = (
        row.map(number_in) for _, row in shown["weights as images"].iterrows()
    )
    assert correlation["λ = 1"] > 0.98 > 0.9 > correlation["λ = 0"]
    assert share["λ = 1"] > 90 > 50 > share["λ = 0"]
    assert roughness["λ = 1"] < 0.8 * roughness["λ = 0"]


def test_4b_training_begins_with_the_same_smooth_templates_and_becomes_rough_later(shown):
    correlation, roughness, share = (
        row.map(number_in) for _, row in shown["weights as images"].iterrows()
    )
    assert roughness["λ = 0, step 248"] < 1.05 * roughness["λ = 1"]
    assert correlation["λ = 0, step 248"] > 0.95
    assert roughness["λ = 0"] > 1.3 * roughness["λ = 0, step 248"]
    assert share["λ = 0"] < share["λ = 0, step 248"]


def test_4b_a_mean_image_is_smooth_and_single_handwritings_are_not(full_data):
    X, Y = full_data[:2]
    means = single_runs.class_mean_differences(X[:, :-1], Y)
    single = X[:1000, :-1] - X[:, :-1].mean(axis=0)
    assert single_runs.roughness(means) < 0.5 * single_runs.roughness(single)


def test_4c_the_larger_lambda_the_lower_the_accuracy_and_the_earlier_the_stop(shown):
    table = shown["run"]
    penalised = [name for name in table.index if name != "λ = 0"]
    for heading in ("validation accuracy", "last step"):
        values = column(table, heading)[penalised].tolist()
        assert all(a > b for a, b in itertools.pairwise(values))


def test_4c_the_curve_of_the_largest_lambda_jumps_by_far_the_most(shown):
    stops = column(shown["run"], "last step")
    changes = {}
    for name in PENALISED:
        accuracy = run_of(name, int(stops[f"λ = {LAMBDA_OF[name]:g}"])).val_accuracy
        changes[name] = accuracy.iloc[5:].diff().abs().mean()
    *others, largest = changes.values()
    assert largest > 3 * max(others)


def test_4d_the_accuracy_falls_with_every_lambda(shown):
    accuracy = column(shown["run"], "validation accuracy")
    assert (accuracy.drop("λ = 0") < accuracy["λ = 0"]).all()


def test_4d_the_unpenalised_run_ends_before_overfitting_does_harm(shown):
    middle, end = shown["the run at"].map(number_in).to_dict("records")
    assert end["validation accuracy"] > middle["validation accuracy"]
    losses = run_of(UNPENALISED).val_loss
    assert losses.iloc[-10:].median() < 1.002 * losses.min()
    assert column(shown["medians of 25 validations"], "lowest around step")["softmax, λ = 0"] > 8339


def test_4d_a_strong_penalty_underfits(shown):
    table = shown["run"]
    train, gap = column(table, "training accuracy"), column(table, "gap, points")
    assert train["λ = 1"] < train["λ = 0"] - 10
    assert gap["λ = 1"] < 0 < gap["λ = 0"]
    assert train.is_monotonic_decreasing
    assert gap.is_monotonic_decreasing


def test_4d_at_the_minimum_a_very_small_lambda_overfits(optima):
    assert optima.train_accuracy.is_monotonic_decreasing
    best = optima.val_accuracy.idxmax()
    assert best > optima.index[0]
    assert optima.val_accuracy.iloc[0] < optima.val_accuracy[best] - 0.01
    assert optima.val_loss.iloc[0] > 1.3 * optima.val_loss.min()


def test_4d_at_the_minimum_a_weak_penalty_helps_and_a_strong_one_costs_accuracy(optima, early):
    assert optima.val_accuracy[0.001] > optima.val_accuracy.iloc[0]
    assert (optima.val_accuracy.loc[0.01:] < early.val_accuracy[0]).all()
    assert optima.val_accuracy.loc[0.001:].is_monotonic_decreasing


def test_4e_the_larger_lambda_the_smaller_the_weights(shown):
    norms = column(shown["run"], "‖w‖²")
    assert norms.is_monotonic_decreasing


def test_4e_on_the_left_the_early_stopped_models_level_off_and_the_minima_do_not(shown, optima):
    norms = column(shown["run"], "‖w‖²")
    assert norms["λ = 0.001"] > 0.85 * norms["λ = 0"]
    assert optima.norm[0.001] > 2 * norms["λ = 0.001"]
    assert optima.norm.is_monotonic_decreasing


def test_4e_from_one_hundredth_on_both_curves_meet(shown, optima):
    norms = column(shown["run"], "‖w‖²")
    for value in (0.01, 0.1, 1):
        assert norms[f"λ = {value:g}"] == pytest.approx(optima.norm[value], rel=0.06)


# --- beyond the questions --------------------------------------------------------------------


def test_beyond_none_of_the_three_runs_had_come_to_its_minimum(shown):
    table = shown["medians of 25 validations"]
    kept, lowest = column(table, "kept step"), column(table, "lowest around step")
    assert (kept < lowest).all()
    assert (column(table, "its loss") > column(table, "lowest loss")).all()


def test_beyond_early_stopping_saves_half_of_the_steps_and_more_in_the_other_runs(shown):
    lowest = column(shown["medians of 25 validations"], "lowest around step")
    runs = evidence.read_table("runs").query("block == 0 and seed == 0").set_index("configuration")
    stops = [1038, runs.stop_step[SHUFFLED], runs.stop_step[UNPENALISED]]
    first, *others = 1 - np.array(stops) / lowest
    assert 0.4 < first < 0.6
    assert min(others) > 0.6


def test_beyond_the_curves_are_flat_around_the_minimum():
    for name in (UNSHUFFLED, SHUFFLED, UNPENALISED):
        curve = single_runs.smooth(evidence.read_histories()[name].val_loss)
        near = curve.index[curve < 1.01 * curve.min()]
        assert near.max() > 1.3 * near.min()


def test_beyond_after_the_minimum_the_loss_rises_and_two_of_three_are_better_at_the_end(shown):
    table = shown["medians of 25 validations"]
    last = column(table, "last loss")
    assert (last > column(table, "lowest loss")).all()
    assert np.count_nonzero(last < column(table, "its loss")) == 2


def test_beyond_the_dip_goes_along_with_the_images_and_they_make_it_only_together(shown):
    table = shown["order of the training images"]
    at_18, at_9 = (column(table, f"after batch {batch}, points") for batch in (18, 9))
    lowest = column(table, "lowest, points")
    moved, spread = "10 images moved to batch 9", "spread over 10 batches"
    assert at_18["order of the file"] == lowest["order of the file"] < -2
    assert at_18[moved] > 0.1 * at_18["order of the file"]
    assert at_9[moved] == lowest[moved] < 0.5 * lowest["order of the file"]
    assert lowest[spread] > 0.15 * lowest["order of the file"]


def test_beyond_what_repeats_with_the_epoch_goes_away_with_shuffling(shown):
    table = shown["runs of task 2"]
    share = table.loc["share that repeats"]
    assert number_in(share["fixed"]) > 50 > 10 > number_in(share["shuffled"])
    [heading] = [name for name in table if "minus" in name]
    assert interval_in(share[heading])[1] < 0


@pytest.mark.parametrize("what", ["mean change", "deepest dip", "validation"])
def test_beyond_shuffling_makes_no_difference_that_was_found(shown, what):
    table = shown["runs of task 2"]
    [heading] = [name for name in table if "minus" in name]
    [cell] = table[heading][table.index.str.startswith(what)]
    low, high = interval_in(cell)
    assert low < 0 < high


def test_beyond_the_deepest_dip_of_the_file_is_more_than_six_times_as_deep_as_usual(shown):
    dips = shown["runs of task 2"].loc["deepest dip of the accuracy"]
    usual = max(number_in(dips[kind]) for kind in ("fixed", "shuffled"))
    assert number_in(dips["file"]) > 6 * usual


def test_beyond_with_shuffling_runs_end_earlier_with_fewer_training_images_right(shown):
    table = shown["runs of task 2"]
    [heading] = [name for name in table if "minus" in name]
    for what in ("last step", "training accuracy"):
        assert interval_in(table[heading][what])[1] < 0


def test_beyond_the_continued_run_overfits_slowly_from_three_times_as_late_on(shown):
    minimum, end = shown["continued run"].map(number_in).to_dict("records")
    assert 2.7 < minimum["around step"] / 8339 < 3.4
    assert end["validation loss"] > minimum["validation loss"]
    assert end["training loss"] < minimum["training loss"]
    assert abs(end["validation accuracy"] - minimum["validation accuracy"]) < 0.1
    assert end["gap, points"] > minimum["gap, points"] + 0.5


def test_beyond_every_interval_of_a_penalty_lies_below_zero():
    table = evidence.read_table("differences")
    runs = table[(table.kind == "run") & table.configuration.isin(PENALISED)]
    assert len(runs) == 4 * 3 * 2
    assert runs.high.max() < 0


def test_beyond_the_weakest_penalty_costs_little_which_one_run_mostly_does_not_show(shown):
    table = shown["λ, minus λ = 0"].loc["λ = 0.001"]
    means = pd.concat([table[name].map(number_in) for name in table if "interval" in name])
    assert (means.min(), means.max()) == (-0.091, -0.042)
    differences = evidence.read_table("differences")
    runs = differences[
        (differences.configuration == PENALISED[0])
        & (differences.kind == "run")
        & (differences.images == "val")
    ]
    assert (runs.significantly_lower < runs.seeds / 2).all()


def test_beyond_the_smallest_lambda_overfits_at_the_minimum(optima):
    weakest = optima.iloc[0]
    assert weakest.train_accuracy == optima.train_accuracy.max()
    assert weakest.held_out_accuracy < optima.held_out_accuracy[0.001] - 0.01


def test_beyond_the_lowest_validation_loss_is_that_of_one_thousandth(optima):
    assert optima.val_loss.idxmin() == 0.001
    falls, rises = optima.val_loss[:0.001], optima.val_loss[0.001:]
    assert falls.is_monotonic_decreasing
    assert rises.is_monotonic_increasing


def against(reference_kind, images):
    table = evidence.read_table("differences")
    [row] = table[
        (table.kind == "optimum")
        & (table.configuration == "softmax lambda=0.001")
        & (table.block == 0)
        & (table.reference_kind == reference_kind)
        & (table.images == images)
    ].to_dict("records")
    return row


def test_beyond_the_best_minimum_gains_on_held_out_images_and_perhaps_not_on_validation_images():
    assert against("run", "held_out")["low"] > 0
    assert against("run", "val")["low"] < 0 < against("run", "val")["high"]


def test_beyond_no_penalty_trained_on_to_its_lowest_validation_loss_does_no_worse():
    for images in evidence.PARTS:
        found = against("continued", images)
        assert found["low"] < 0 < found["high"]


def test_beyond_the_noise_of_steps_costs_accuracy_only_with_a_strong_penalty(shown):
    gain = column(shown["last 250 steps"], "gain, points")
    assert gain["λ = 1"] > 1
    assert (gain.drop("λ = 1") < 0.25).all()
    assert (gain[["λ = 0", "λ = 0.001", "λ = 0.01"]] < 0.1).all()


def test_beyond_for_strong_penalties_noise_is_all_that_keeps_the_cost_above_its_minimum(shown):
    table = shown["last 250 steps"]
    single, mean = (column(table, f"J {what}") for what in ("over its minimum", "of their mean"))
    for name in ("λ = 1", "λ = 0.1"):
        assert single[name] > 0.1
        assert mean[name] == 0
    assert mean["λ = 0.001"] > 0.9 * single["λ = 0.001"]
