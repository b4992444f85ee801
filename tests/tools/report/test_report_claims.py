"""What the report says, claim by claim: each judgement of its text holds for its own results.

A reason is tested by taking its cause away. The tables are those that an execution of the notebook
shows; what takes long runs is in the stored evidence of the study.
"""

from __future__ import annotations

import io
import itertools
import re

import numpy as np
import pandas as pd
import pytest

import task2
import task3
import task4
from runs.training import train_all
from tools.study import evidence, single_runs
from tools.study.tasks import LAMBDA_OF, PENALISED, UNPENALISED, split_images

LAMBDAS = [f"λ = {value:g}" for value in LAMBDA_OF.values()]


def number_in(cell):
    """Read the first number of a cell: of ``−0.07 (−0.13 to −0.01)`` the mean."""
    found = re.search(r"[-+−]?\d[\d\u202f]*(?:\.\d+)?", str(cell))
    return float(found[0].replace("\u202f", "").replace("−", "-")) if found else np.nan


@pytest.fixture(scope="module")
def tables(executed_report):
    """Read the tables that a fresh execution of the notebook shows, by their first heading."""
    found = {}
    for cell in executed_report.cells:
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                markdown = output.data["text/markdown"].replace(r"$\lVert w \rVert^{2}$", "‖w‖²")
                markdown = re.sub(r"10\$?\^\{?-5\}?\$?|\$10\^\{-5\}\$", "10⁻⁵", markdown)
                markdown = re.sub(r"\$\\?(\w+)\$", r"\1", markdown)
                markdown = markdown.replace("lambda", "λ")
                lines = [line.strip("|") for line in markdown.split("\n") if "---" not in line]
                table = pd.read_csv(io.StringIO("\n".join(lines)), sep=r"\s*\|\s*", engine="python")
                table.columns = table.columns.str.strip()
                name = table.columns[0]
                table[name] = table[name].astype(str).str.strip()
                found[name] = table.set_index(name)
    return found


def column(table, heading):
    return table[heading].map(number_in)


@pytest.fixture(scope="module")
def not_shuffled(binary_data):
    trainer = task2.make_trainer(binary_data, shuffle=False)
    trainer.train(500)
    return trainer


@pytest.fixture(scope="module")
def plain(full_data):
    trainer = task3.make_trainer(full_data)
    trainer.train(500)
    return trainer


@pytest.fixture(scope="module")
def strong(full_data):
    trainer = task3.make_trainer(full_data, l2_reg_lambda=1.0)
    trainer.train(500)
    return trainer


@pytest.fixture(scope="module")
def orders(binary_data, not_shuffled):
    """Give the training sets that take the causes of the dips away, by name."""
    return single_runs.dip_experiments(
        binary_data, not_shuffled.model.w, batch=18, other=9, count=10, batch_size=128
    )


def train_in_order(data):
    trainer = task2.make_trainer(data, shuffle=False, patience=None)
    trainer.train(34)
    return trainer


# --- task 2 ----------------------------------------------------------------------------------


def assert_falls_ever_more_slowly(losses):
    thirds = [np.median(part) for part in np.array_split(losses, 3)]
    falls = -np.diff([losses[0], *thirds])
    assert np.all(falls > 0)
    assert np.all(np.diff(falls) < 0)


@pytest.mark.parametrize("run", ["not_shuffled", "plain"])
def test_2b_3b_both_losses_fall_steeply_at_first_and_then_ever_more_slowly(run, request):
    history = single_runs.validation_history(request.getfixturevalue(run))
    assert_falls_ever_more_slowly(history.train_loss.to_numpy())
    assert_falls_ever_more_slowly(history.val_loss.to_numpy())


def test_2b_the_peaks_recur_and_are_gone_without_the_cause_that_task_2e_names(not_shuffled, orders):
    losses = np.array(list(not_shuffled.train_history["loss"].values()))[31 : 33 * 31]
    # The training loss peaks at the batch that meets the shifted model.
    assert set(losses.reshape(-1, 31).argmax(axis=1)) == {19}
    val_losses = pd.Series(not_shuffled.val_history["loss"]).loc[100:]
    peaks = val_losses.index[val_losses > 1.5 * val_losses.median()]
    assert len(peaks) > 3
    assert set(peaks % 31) == {18}
    spread = pd.Series(train_in_order(orders["spread"]).val_history["loss"]).loc[100:]
    assert spread.max() < 1.5 * spread.median()


def test_2c_the_validation_images_are_easier_than_other_images_of_the_training_set(not_shuffled):
    best = not_shuffled.summary()
    assert best["val_accuracy"] > best["train_accuracy"]
    _, (X, Y) = split_images("logistic", 0)
    held_out_accuracy = task2.calculate_accuracy(X, Y, not_shuffled.model)
    # Measured on images of the training set's kind, the lead turns into a gap.
    assert held_out_accuracy < best["train_accuracy"]


def test_2d_early_stopping_ends_the_run_ten_validations_after_the_lowest_loss(not_shuffled):
    losses = not_shuffled.val_history["loss"]
    assert (not_shuffled.stop_step, not_shuffled.best_step) == (1038, 978)
    assert not_shuffled.stop_epoch == 1038 // 31 == 33
    assert min(losses, key=losses.get) == 978
    assert list(losses).index(1038) - list(losses).index(978) == 10
    assert losses[1038] > losses[978]


def test_2e_the_hardest_images_of_the_batch_are_threes(binary_data, orders):
    X, Y = binary_data[:2]
    changed = np.flatnonzero((orders["spread"][0] != X).any(axis=1))
    in_batch = changed[changed // 128 == 18]
    assert len(in_batch) == 10
    assert np.all(Y[in_batch] == 0)
    # Each batch keeps its numbers of twos and threes.
    for name in ("moved", "spread"):
        np.testing.assert_array_equal(orders[name][1], Y)


def test_2e_the_batch_shifts_the_model_towards_three_and_the_next_one_pulls_it_back(tables):
    table = tables["validation accuracy on"]
    before = column(table, "before batch 18")
    after = column(table, "after batch 18")
    later = column(table, "after batch 19")
    assert after["twos"] < before["twos"] - 5
    assert after["threes"] > before["threes"] + 1
    assert later["twos"] > before["twos"] - 0.5
    assert later["threes"] < after["threes"] - 1


def depths_of_dips(trainer):
    """Measure, from epoch 3 on, how far each accuracy is below the mean of its two neighbours."""
    values = pd.Series(trainer.val_history["accuracy"])
    return ((values.shift(1) + values.shift(-1)) / 2 - values).loc[3 * 31 :]


def test_2e_the_spikes_are_186_steps_apart_after_that_batch_and_not_there_with_shuffling(
    not_shuffled, binary_data
):
    depths = depths_of_dips(not_shuffled)
    spikes = depths.index[depths > 0.01]
    assert len(spikes) == 5
    assert set(spikes % 31) == {18}
    assert set(np.diff(spikes)) == {np.lcm(31, 6)} == {186}
    shuffled = task2.make_trainer(binary_data, shuffle=True, patience=None)
    shuffled.train(34)
    assert depths_of_dips(shuffled).max() < 0.01


def test_2e_without_either_cause_there_is_no_spike(tables):
    table = tables["training images"]
    at_18 = column(table, "after batch 18, points")
    lowest = column(table, "lowest, points")
    assert at_18["order of the file"] == lowest["order of the file"] < -2
    assert lowest["spread over 10 batches"] > -0.3
    assert lowest["order of the file, pixels centred"] > -0.15


def test_2e_the_dip_moves_with_the_images(tables):
    table = tables["training images"]
    at_9 = column(table, "after batch 9, points")
    moved = "10 images moved to batch 9"
    assert column(table, "after batch 18, points")[moved] > -0.3
    # More than half of the dip.
    assert at_9[moved] < column(table, "after batch 18, points")["order of the file"] / 2
    assert at_9["order of the file"] > -0.3


# --- task 3 ----------------------------------------------------------------------------------


def test_3b_the_validation_loss_is_lower_at_first_and_the_training_loss_in_the_end(plain):
    history = single_runs.validation_history(plain)
    first, *_, last = np.array_split((history.val_loss - history.train_loss).to_numpy(), 8)
    assert np.median(first) < 0 < np.median(last)


def test_3c_the_validation_accuracy_is_higher_at_first_and_the_gap_widens_slowly(plain):
    history = single_runs.validation_history(plain)
    gap = history.train_accuracy - history.val_accuracy
    eighths = [part.mean() for part in np.array_split(gap, 8)]
    assert eighths[0] < 0 < eighths[-1]
    assert np.all(np.diff(eighths) > 0)


def test_3d_both_gaps_grow_while_the_model_still_improves_on_the_validation_images(tables):
    half_way, end = (row.map(number_in) for _, row in tables["means of ten validations"].iterrows())
    for gap in ("gap, points", "loss gap"):
        assert 0 < half_way[gap] < end[gap]
    assert end["training accuracy"] > half_way["training accuracy"]
    assert end["validation accuracy"] > half_way["validation accuracy"]
    assert end["validation loss"] < half_way["validation loss"]


def test_3d_the_validation_curves_are_nearly_flat_by_the_end(plain):
    losses = list(plain.val_history["loss"].values())
    accuracies = list(plain.val_history["accuracy"].values())
    assert abs(np.mean(losses[-10:]) - np.mean(losses[-20:-10])) < 0.001
    assert abs(np.mean(accuracies[-10:]) - np.mean(accuracies[-20:-10])) < 0.0005


def test_3d_without_early_stopping_the_validation_loss_rises_again_much_later(tables, plain):
    lowest, end = (row.map(number_in) for _, row in tables["400 epochs, one seed"].iterrows())
    assert lowest["around step"] > 2 * plain.stop_step
    assert end["validation loss"] > lowest["validation loss"] + 0.001
    assert end["training loss"] < lowest["training loss"]


# --- task 4 ----------------------------------------------------------------------------------


def test_4b_with_a_strong_penalty_the_weights_are_nearly_differences_of_mean_images(strong, plain):
    data = strong.X_train, strong.Y_train
    assert single_runs.class_mean_correlation(strong.model.w, *data) > 0.98
    assert single_runs.class_mean_correlation(plain.model.w, *data) < 0.8


def rebuilt_from_errors_of_classes(trainer):
    """Make weights by the formula, with the same error for all images of a digit.

    Their quirks have then averaged out. Returns the correlation with the trainer's weights.
    """
    X, Y = trainer.X_train, trainer.Y_train
    errors = Y - trainer.model.forward(X)
    of_class = Y.T @ errors / Y.sum(axis=0)[:, np.newaxis]
    rebuilt = X.T @ (Y @ of_class)
    pairs = zip(rebuilt[:-1].T, trainer.model.w[:-1].T, strict=True)
    return np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs])


def test_4b_the_weights_are_smooth_because_all_images_of_a_digit_pull_them_the_same_way(
    strong, plain
):
    assert rebuilt_from_errors_of_classes(strong) > 0.98
    # Where images of a digit pull in different ways, the same formula does not give the weights.
    assert rebuilt_from_errors_of_classes(plain) < 0.9


def share_of_class_means(trainer):
    """Compute which part of the squared errors remains if each is replaced by its class's mean."""
    Y = trainer.Y_train
    errors = Y - trainer.model.forward(trainer.X_train)
    of_class = Y.T @ errors / Y.sum(axis=0)[:, np.newaxis]
    return np.square(Y @ of_class).sum() / np.square(errors).sum()


def test_4b_with_a_strong_penalty_all_images_of_a_digit_have_nearly_the_same_error(strong, plain):
    assert share_of_class_means(strong) > 0.9
    assert share_of_class_means(plain) < 0.5


def test_4b_a_difference_of_mean_images_is_smooth_and_a_single_image_is_not(full_data):
    X, Y = full_data[:2]
    means = single_runs.class_mean_differences(X[:, :-1], Y)
    single = X[:1000, :-1] - X[:, :-1].mean(axis=0)
    assert single_runs.roughness(means) < 0.5 * single_runs.roughness(single)


def test_4b_without_a_penalty_training_begins_with_the_same_smooth_weights(full_data, strong):
    begun = task3.make_trainer(full_data)
    single_runs.train_up_to(begun, strong.best_step)
    roughness = single_runs.roughness(begun.model.w[:-1].T)
    assert roughness < 1.05 * single_runs.roughness(strong.model.w[:-1].T)
    pairs = zip(begun.model.w[:-1].T, strong.model.w[:-1].T, strict=True)
    assert np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs]) > 0.95


def test_4b_about_half_of_the_fine_detail_added_later_is_that_of_other_training_images():
    """Take the training images away: trained on others, which part of it comes again?"""
    for _, run in evidence.read_table("templates").iterrows():
        assert 0.8 < run.added_correlation < 0.95
        assert 0.4 < run.added_detail_correlation < 0.65


def test_4c_the_larger_lambda_the_lower_the_accuracy_and_the_earlier_the_stop(full_data):
    trainers = list(task4.make_trainers(full_data).values())[1:]
    assert [trainer.name for trainer in trainers] == LAMBDAS[1:]
    train_all(trainers, 500)
    accuracies = [trainer.summary()["val_accuracy"] for trainer in trainers]
    stops = [trainer.stop_step for trainer in trainers]
    for values in (accuracies, stops):
        assert all(a > b for a, b in itertools.pairwise(values))


def test_4d_the_accuracy_is_lower_with_every_lambda_and_so_is_the_training_accuracy(tables):
    for heading in ("training accuracy", "validation accuracy"):
        accuracy = column(tables["best step of the run"], heading)
        assert list(accuracy.index) == LAMBDAS
        assert accuracy.is_monotonic_decreasing
        assert accuracy.is_unique
    train = column(tables["best step of the run"], "training accuracy")
    assert train["λ = 1"] < train["λ = 0"] - 10


def test_4d_the_length_of_the_weights_does_not_matter(plain, strong):
    X, Y = plain.X_val, plain.Y_val
    shorter = task3.SoftmaxModel(0.0)
    ratio = task4.squared_norm(strong.model.w) / task4.squared_norm(plain.model.w)
    shorter.w = plain.model.w * np.float32(np.sqrt(ratio))
    accuracy = task3.calculate_accuracy(X, Y, plain.model)
    assert task3.calculate_accuracy(X, Y, shorter) == pytest.approx(accuracy, abs=1e-4)


def test_4d_the_penalty_takes_away_the_finer_differences_first_and_the_model_needs_them(
    plain, strong
):
    X = plain.X_train[:, :-1].astype(np.float64)
    _, components = np.linalg.eigh(np.cov(X.T))
    components = components[:, ::-1]

    def share_kept(first, end):
        axes = components[:, first:end].T
        kept, all_of_it = (np.square(axes @ run.model.w[:-1]).sum() for run in (strong, plain))
        return kept / all_of_it

    # Coarse differences between images have large variances, fine ones small variances.
    assert share_kept(0, 5) > 4 * share_kept(20, 50) > 8 * share_kept(50, 100)
    # Take the finer differences away from the weights without a penalty.
    coarse = components[:, :20]
    blurred = task3.SoftmaxModel(0.0)
    blurred.w = plain.model.w.copy()
    mean = X.mean(axis=0)
    blurred.w[:-1] = coarse @ (coarse.T @ plain.model.w[:-1])
    blurred.w[-1] += mean @ (plain.model.w[:-1] - blurred.w[:-1])
    loss_of_accuracy = task3.calculate_accuracy(
        plain.X_val, plain.Y_val, plain.model
    ) - task3.calculate_accuracy(plain.X_val, plain.Y_val, blurred)
    assert loss_of_accuracy > 0.03


def test_4d_the_gap_is_negative_mainly_on_the_easier_validation_images(tables):
    gap = column(tables["best step of the run"], "gap, points")
    assert gap["λ = 1"] < -1
    means = evidence.means_by_lambda("runs").loc[1.0]
    assert 100 * (means.train_accuracy - means.val_accuracy) < -1
    # On images of the training set's kind, underfitting brings the gap to zero, not below it.
    assert abs(100 * (means.train_accuracy - means.held_out_accuracy)) < 0.5


@pytest.mark.parametrize("images", evidence.PARTS)
def test_4d_early_stopping_is_not_the_reason(images):
    """Take early stopping away: the accuracy still falls with every λ, for each seed."""
    runs = evidence.read_table("long").set_index(["configuration", "seed"])
    accuracy = runs[f"{images}_accuracy"].unstack("configuration")
    assert len(accuracy) > 1
    for name in PENALISED[1:]:
        assert (accuracy[name] < accuracy[UNPENALISED]).all()
    # The weakest penalty by the mean over the seeds: the difference is small.
    assert accuracy[PENALISED[0]].mean() < accuracy[UNPENALISED].mean()
    # Nor has the model lost accuracy by then, compared with early stopping.
    stopped = evidence.means_by_lambda("runs")[f"{images}_accuracy"][0]
    assert accuracy[UNPENALISED].min() > stopped


@pytest.mark.parametrize("images", evidence.PARTS)
def test_4d_where_there_is_something_to_repair_a_penalty_helps(images):
    """Take away nine tenths of the images: the model overfits, and a penalty repairs that."""
    runs = evidence.read_table("few_images").set_index(["configuration", "block"])
    train = runs.train_accuracy[UNPENALISED]
    accuracy = runs[f"{images}_accuracy"]
    assert (train > 0.98).all()
    assert (accuracy[UNPENALISED] < train - 0.09).all()
    assert (accuracy["softmax lambda=0.01"] > accuracy[UNPENALISED]).all()


def test_4e_the_larger_lambda_the_smaller_the_weights(tables):
    norms = column(tables["best step of the run"], "‖w‖²")
    assert norms.is_monotonic_decreasing
    assert norms["λ = 0.001"] > 0.85 * norms["λ = 0"]


def test_4e_without_early_stopping_the_weakest_penalty_makes_much_smaller_weights(tables):
    norms = column(tables["model"], "‖w‖²")
    assert norms["λ = 0.001, 400 epochs"] < 0.6 * norms["λ = 0, 400 epochs"]
    stopped = column(tables["best step of the run"], "‖w‖²")
    assert norms["λ = 0, 400 epochs"] > 2 * stopped["λ = 0"]


# --- beyond the questions --------------------------------------------------------------------


def test_beyond_every_interval_of_early_stopped_runs_is_below_zero():
    table = evidence.read_table("differences").query("reference == @UNPENALISED")
    runs = table[(table.kind == "run") & table.configuration.isin(PENALISED)]
    assert len(runs) == 4 * 3 * 2
    assert runs.high.max() < 0
    weakest = table[(table.kind == "long") & (table.configuration == PENALISED[0])]
    highest = weakest.set_index("images").high
    assert highest["held_out"] < 0 < highest["val"]


def test_beyond_with_the_weakest_penalty_the_effect_is_small(tables):
    weakest = tables["minus λ = 0, points"].loc["λ = 0.001"]
    assert len(weakest) == 4
    for heading in weakest.columns[1:]:
        assert (weakest[heading].map(number_in) > -0.15).all()


@pytest.mark.parametrize("name", ["runs", "long", "few_images", "optima"])
def test_beyond_every_run_is_more_accurate_on_validation_images_than_on_held_out_ones(name):
    table = evidence.read_table(name)
    assert len(table) > 10
    assert (table.val_accuracy > table.held_out_accuracy).all()


def test_beyond_after_400_epochs_the_accuracy_falls_with_every_lambda(tables):
    table = tables["model"]
    long = [f"{name}, 400 epochs" for name in LAMBDAS]
    for heading in ("training accuracy", "validation accuracy", "held-out accuracy"):
        values = column(table, heading)[long].tolist()
        assert all(a > b for a, b in itertools.pairwise(values))


def test_beyond_the_validation_images_are_easier_for_both_models(tables):
    table = tables["means over twenty seeds"]
    held_out = column(table, "held-out accuracy")
    assert (column(table, "validation accuracy") > held_out + 0.3).all()
    assert (column(table, "training accuracy") > held_out).all()


def test_beyond_after_400_epochs_the_accuracy_on_validation_images_has_not_fallen(tables):
    lowest, end = (row.map(number_in) for _, row in tables["400 epochs, one seed"].iterrows())
    assert end["validation accuracy"] >= lowest["validation accuracy"]
    assert end["gap, points"] > lowest["gap, points"]


def test_beyond_at_the_minimum_a_very_small_lambda_overfits_and_a_larger_one_helps(tables):
    table = tables["model"]
    smallest, larger = "λ = 10⁻⁵, minimum of J", "λ = 0.001, minimum of J"
    train = column(table, "training accuracy")
    assert train[smallest] == train.max()
    for heading in ("validation accuracy", "held-out accuracy"):
        accuracy = column(table, heading)
        assert accuracy[smallest] < accuracy[larger] - 1


def test_beyond_no_minimum_is_more_accurate_on_held_out_images_than_no_penalty_for_400_epochs():
    long = evidence.means_by_lambda("long").held_out_accuracy[0]
    assert evidence.optima().held_out_accuracy.max() < long


def test_beyond_on_few_images_the_best_lambda_is_one_hundredth(tables):
    table = tables["2000 training images"]
    for heading in ("validation accuracy", "held-out accuracy"):
        assert column(table, heading).idxmax() == "λ = 0.01"


def test_beyond_gradients_agree_with_central_differences(tables):
    for cell in tables["gradient of"]["largest relative difference"]:
        exponent = re.search(r"10(?:⁻|<sup>−|\^?\{?[-−])([⁰¹²³⁴-⁹\d])", cell)
        assert exponent, cell
        digit = exponent[1].translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789"))
        assert int(digit) >= 7
