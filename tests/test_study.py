from __future__ import annotations

import contextlib
import io
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import scipy.stats
from threadpoolctl import threadpool_info

import mnist
import study
import study_runs
import study_workers
from study_runs import CONFIGURATIONS, LAMBDA_OF, SHUFFLED, UNSHUFFLED, Result, Run

REPOSITORY = Path(study.__file__).parent
STEPS_PER_EPOCH = 31
STEPS = np.arange(0, 1039, 6)
TINY = ["--seeds", "2", "--epochs", "1"]


def history(values, steps=STEPS):
    return dict(zip(steps.tolist(), np.broadcast_to(values, steps.shape).tolist(), strict=True))


def trend():
    return 0.97 + 0.002 * np.log1p(STEPS) - 0.0001 * np.log1p(STEPS) ** 2


def test_periodicity_of_a_curve_that_repeats_in_every_epoch_is_1(rng):
    profile = rng.normal(0, 0.001, STEPS_PER_EPOCH)
    curve = trend() + profile[STEPS % STEPS_PER_EPOCH]
    assert study.epoch_periodicity(history(curve), STEPS_PER_EPOCH) == pytest.approx(1, abs=1e-9)


def test_periodicity_of_noise_is_0_on_average_and_scatters_as_documented(rng):
    shares = [
        study.epoch_periodicity(history(trend() + rng.normal(0, 0.001, len(STEPS))), 31)
        for _ in range(1000)
    ]
    later = STEPS[STEPS >= 3 * STEPS_PER_EPOCH]
    m, p = len(later) - (STEPS_PER_EPOCH + 2), STEPS_PER_EPOCH - 1
    assert np.std(shares) == pytest.approx(math.sqrt(2 * p / (m * (m + p + 2))), rel=0.12)
    assert abs(np.mean(shares)) < 4 * np.std(shares) / math.sqrt(len(shares))


def test_periodicity_is_the_share_of_the_variance(rng):
    shares = []
    for _ in range(100):
        profile = rng.normal(0, 0.003, STEPS_PER_EPOCH)
        curve = profile[STEPS % STEPS_PER_EPOCH] + rng.normal(0, 0.004, len(STEPS))
        shares.append(study.epoch_periodicity(history(curve), STEPS_PER_EPOCH))
    assert np.mean(shares) == pytest.approx(9 / 25, abs=0.05)


def test_periodicity_of_another_period_is_not_counted(rng):
    profile = rng.normal(0, 0.001, 29)
    curve = history(trend() + profile[STEPS % 29])
    assert study.epoch_periodicity(curve, 29) == pytest.approx(1, abs=1e-9)
    assert study.epoch_periodicity(curve, STEPS_PER_EPOCH) < 0.5


def test_periodicity_ignores_the_first_epochs_and_the_trend(rng):
    curve = rng.normal(0, 0.001, len(STEPS))
    steep = np.where(STEPS < 3 * STEPS_PER_EPOCH, -0.5, 0) + trend()
    assert study.epoch_periodicity(history(curve + steep), STEPS_PER_EPOCH) == pytest.approx(
        study.epoch_periodicity(history(curve), STEPS_PER_EPOCH), abs=1e-9
    )


@pytest.mark.parametrize(
    "curve",
    [
        {},
        {0: 0.5},
        history(0.9),
        history(trend()),
        history(np.sin(STEPS[:45]), STEPS[:45]),
    ],
    ids=["empty", "one value", "constant", "trend only", "too short"],
)
def test_periodicity_without_an_answer_is_nan(curve):
    assert math.isnan(study.epoch_periodicity(curve, STEPS_PER_EPOCH))


def test_mean_absolute_change_is_that_of_epochs_3_to_9():
    jumps = np.where(np.arange(len(STEPS)) % 2, 0.95, 0.96)
    assert study.mean_absolute_change(history(jumps), STEPS_PER_EPOCH) == pytest.approx(0.01)
    outside = (STEPS < 3 * STEPS_PER_EPOCH) | (STEPS >= 10 * STEPS_PER_EPOCH)
    wild = np.where(outside, STEPS % 5, jumps)
    assert study.mean_absolute_change(history(wild), STEPS_PER_EPOCH) == pytest.approx(0.01)
    assert math.isnan(study.mean_absolute_change({0: 0.1, 6: 0.9}, STEPS_PER_EPOCH))


def rows_of(values, configuration=SHUFFLED):
    return [
        dict.fromkeys(study.COLUMNS, math.nan)
        | {"configuration": configuration, "seed": seed, "val_accuracy": float(value)}
        for seed, value in enumerate(values)
    ]


def test_paired_difference_agrees_with_scipys_bootstrap(rng):
    a, b = rng.normal(0.98, 0.002, 20), rng.normal(0.97, 0.003, 20)
    rows = rows_of(a) + rows_of(b, UNSHUFFLED)
    mean, low, high, count = study.paired_difference(rows, SHUFFLED, UNSHUFFLED, "val_accuracy")
    expected = scipy.stats.bootstrap(
        (a - b,), np.mean, n_resamples=10_000, method="percentile", rng=1
    ).confidence_interval
    assert mean == pytest.approx(np.mean(a - b))
    assert count == 20
    width = expected.high - expected.low
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.05 * width)
    reversed_sign = study.paired_difference(rows, UNSHUFFLED, SHUFFLED, "val_accuracy")
    assert reversed_sign[:3] == pytest.approx((-mean, -high, -low), abs=0.05 * width)


def test_paired_difference_pairs_by_seed(rng):
    level = rng.normal(0.9, 0.1, 20)
    rows = rows_of(level + 0.01) + rows_of(level, UNSHUFFLED)
    mixed = [rows[k] for k in rng.permutation(len(rows))]
    only_first = {**rows_of([0.5] * 21)[20], "configuration": UNSHUFFLED}
    without_value = [{**row, "seed": 30, "val_accuracy": math.nan} for row in (rows[0], rows[20])]
    result = study.paired_difference(
        [*mixed, only_first, *without_value], SHUFFLED, UNSHUFFLED, "val_accuracy"
    )
    assert result == pytest.approx((0.01, 0.01, 0.01, 20))


def test_paired_difference_refuses_what_has_no_interval():
    rows = rows_of([0.9, 0.8]) + rows_of([0.7], UNSHUFFLED)
    with pytest.raises(ValueError, match="a val_accuracy for 1 seeds in common; expected at lea"):
        study.paired_difference(rows, SHUFFLED, UNSHUFFLED, "val_accuracy")
    with pytest.raises(ValueError, match="configuration is 'no such'; expected one that has rows"):
        study.paired_difference(rows, SHUFFLED, "no such", "val_accuracy")


def test_csv_gives_back_every_bit(tmp_path, rng):
    rows = rows_of([*rng.random(50), 1 / 3, 5e-324])
    for row in rows:
        row.update(stop_step=7, best_step=2**40, norm=float(rng.lognormal(0, 30)))
    study.write_csv(tmp_path / "rows.csv", rows)
    read = study.read_csv(tmp_path / "rows.csv")
    assert repr(read) == repr(rows)
    assert b"\r" not in (tmp_path / "rows.csv").read_bytes()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("logistic shuffled,x,1,1,1,1,1,1,1,,", "line 2: .*'x'"),
        ("logistic shuffled,0,1,1,1,1,1,y,1,,", "line 2: .*'y'"),
        ("logistic shuffled,0,1,1,1,1", "line 2"),
        ("logistic shuffled,0,1,1,1,1,1,1,1,,,9", "line 2"),
    ],
)
def test_csv_with_a_wrong_line_is_refused(tmp_path, line, problem):
    path = tmp_path / "rows.csv"
    path.write_text(",".join(study.COLUMNS) + f"\n{line}\n")
    with pytest.raises(ValueError, match=f"rows.csv: {problem}"):
        study.read_csv(path)


def test_csv_with_other_columns_is_refused(tmp_path):
    (tmp_path / "rows.csv").write_text("configuration,seed\n")
    with pytest.raises(ValueError, match=r"rows.csv: columns are \['configuration', 'seed'\]"):
        study.read_csv(tmp_path / "rows.csv")


def test_unshuffled_runs_take_one_order_of_the_images_and_differ_by_seed(binary_data):
    trainers = [study_runs.make_trainer(UNSHUFFLED, seed) for seed in (0, 1)]
    assert not any(trainer.shuffle_dataset for trainer in trainers)
    X_train, Y_train, X_val, _ = binary_data
    key = np.random.default_rng(7).random(X_train.shape[1])
    for trainer in trainers:
        assert not np.array_equal(trainer.X_train, X_train)
        order, of_file = np.argsort(trainer.X_train @ key), np.argsort(X_train @ key)
        np.testing.assert_array_equal(trainer.X_train[order], X_train[of_file])
        np.testing.assert_array_equal(trainer.Y_train[order], Y_train[of_file])
        np.testing.assert_array_equal(trainer.X_val, X_val)
    assert not np.array_equal(trainers[0].X_train, trainers[1].X_train)


def test_runs_of_one_seed_begin_with_the_same_batch():
    batches = [
        next(study_runs.make_trainer(configuration, 3).batches(1))[0]
        for configuration in (SHUFFLED, UNSHUFFLED)
    ]
    np.testing.assert_array_equal(*batches)


def test_unknown_configuration_is_refused():
    with pytest.raises(ValueError, match="configuration is 'linear'; expected one of logistic sh"):
        study_runs.make_trainer("linear", 0)


def test_a_run_has_the_blas_threads_it_asks_for_and_no_longer_than_it_takes(monkeypatch):
    def threads():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    seen = []
    make_trainer = study_runs.make_trainer
    monkeypatch.setattr(
        study_runs, "make_trainer", lambda *args: seen.append(threads()) or make_trainer(*args)
    )
    before = threads()
    for count in (1, 2):
        study_runs.train([Run(SHUFFLED, 0, 1, count, study_runs.fingerprint())])
    assert seen == [{1}, {2}]
    assert threads() == before


def test_result_describes_the_kept_weights():
    [result] = study_runs.train([Run(SHUFFLED, 0, 500, 1, study_runs.fingerprint())])
    trainer = study_runs.make_trainer(SHUFFLED, 0)
    trainer.train(500)
    w = trainer.model.w.astype(np.float64)
    y_hat = 1 / (1 + np.exp(-trainer.X_train @ w))
    y = trainer.Y_train
    assert result.train_loss == pytest.approx(
        -np.mean(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat)), rel=1e-5
    )
    assert result.train_accuracy == pytest.approx(np.mean((y_hat >= 0.5) == y))
    assert result.val_accuracy == pytest.approx(np.mean((trainer.X_val @ w >= 0) == trainer.Y_val))
    assert result.norm == pytest.approx(np.linalg.norm(w) ** 2)
    assert (result.stop_step, result.best_step) == (trainer.stop_step, trainer.best_step)
    assert result.steps_per_epoch == len(y) // 128
    row = study.row_of(result)
    assert row["periodicity"] == study.epoch_periodicity(result.val_accuracies, 31)
    assert row["mean_change"] == study.mean_absolute_change(result.val_accuracies, 31)


def test_fingerprint_covers_sources_numpy_and_data(monkeypatch, tmp_path):
    study_runs.fingerprint.cache_clear()
    usual = study_runs.fingerprint()
    seen = {usual}

    def fresh():
        study_runs.fingerprint.cache_clear()
        return study_runs.fingerprint()

    assert fresh() == usual
    sources = study_runs.SOURCES
    for position, source in enumerate(sources):
        changed = tmp_path / source.name
        changed.write_bytes(source.read_bytes() + b"\n")
        copies = [*sources[:position], changed, *sources[position + 1 :]]
        monkeypatch.setattr(study_runs, "SOURCES", copies)
        seen.add(fresh())
    monkeypatch.setattr(study_runs, "SOURCES", sources)
    with monkeypatch.context() as patch:
        patch.setattr(np, "__version__", "0.0")
        seen.add(fresh())
    X, *others = study_runs.load_full_mnist()
    X = X.copy()
    X[-1, -1] += 1
    monkeypatch.setattr(study_runs, "load_full_mnist", lambda _: (X, *others))
    seen.add(fresh())
    assert len(seen) == len(sources) + 3
    study_runs.fingerprint.cache_clear()


NOT_DECISIVE = ("__init__", "gradient_check", "threads")


def test_sources_are_all_modules_that_a_run_imports():
    code = (
        "import study_runs, sys; print(*(getattr(m, '__file__', 0) for m in sys.modules.values()))"
    )
    files = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split()
    imported = {Path(file) for file in files if Path(file).is_relative_to(REPOSITORY)}
    # These check, draw, print and save, but decide nothing of a result.
    without_effect = {REPOSITORY / "numerics" / f"{name}.py" for name in NOT_DECISIVE}
    decisive = {path for path in imported if path.parent.name not in ("cli", "plots")}
    assert set(study_runs.SOURCES) == decisive - without_effect


def test_run_for_other_code_or_data_fails():
    [(_, outcome)] = study_workers.attempt([Run(SHUFFLED, 0, 1, 1, "another fingerprint")])
    assert isinstance(outcome, RuntimeError)
    assert "code, data or NumPy here differ" in str(outcome)


def test_groups_are_the_runs_with_the_same_batches():
    runs = [Run(name, seed, 5, 1, "f") for seed in (0, 1) for name in CONFIGURATIONS]
    grouped = study_runs.groups(runs)
    assert sorted(run for group in grouped for run in group) == sorted(runs)
    assert [len(group) for group in grouped] == [5, 5, 1, 1, 1, 1]
    for group in grouped[:2]:
        assert {run.configuration for run in group} == set(LAMBDA_OF)
        assert len({run.seed for run in group}) == 1


def test_result_does_not_depend_on_the_rest_of_its_group():
    runs = [Run(name, 0, 1, 1, study_runs.fingerprint()) for name in LAMBDA_OF]
    whole = study_runs.train(runs)
    assert study_runs.train(runs[1:3]) + study_runs.train(runs[4:]) == [*whole[1:3], whole[4]]


def test_run_that_fails_does_not_take_its_group_with_it():
    good = Run("softmax lambda=1", 0, 1, 1, study_runs.fingerprint())
    bad = good._replace(configuration="softmax lambda=7")
    (run, result), (_, error) = study_workers.attempt([good, bad])
    assert (run, result.configuration) == (good, good.configuration)
    assert isinstance(error, ValueError)


def start_study(folder, *arguments, **options):
    command = [sys.executable, str(REPOSITORY / "study.py"), *arguments]
    return subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )


def kept_in(cache):
    return len(list(Path(cache).rglob("output.pkl")))


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def workers_of(pid):
    """Find the processes that make runs, as opposed to loky's own helpers."""
    workers = []
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.Error):
            if any("popen_loky" in word for word in child.cmdline()):
                workers.append(child)
    return workers


@pytest.fixture(scope="module")
def tiny_study(tmp_path_factory):
    """Make a study with two processes, as a command."""
    folder = tmp_path_factory.mktemp("study")
    process = start_study(folder, *TINY, "--jobs", "2")
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    return folder, output


def test_command_writes_table_and_figures_and_says_so(tiny_study):
    folder, output = tiny_study
    rows = study.read_csv(folder / "study.csv")
    assert [(row["configuration"], row["seed"]) for row in rows] == [
        (configuration, seed) for configuration in CONFIGURATIONS for seed in (0, 1)
    ]
    for name in ("accuracy_bands", "paired_differences", "norms"):
        assert (folder / "figures" / f"study_{name}.png").read_bytes().startswith(b"\x89PNG")
        assert f"study_{name}.png" in output
    mean, low, high, _ = study.paired_difference(
        rows, "softmax lambda=1", "softmax lambda=0", "val_accuracy"
    )
    expected = f"{100 * mean:+.3f} [{100 * low:+.3f}, {100 * high:+.3f}] points against softmax"
    assert expected in output


def test_table_is_the_same_for_one_process_bit_for_bit(tiny_study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert study.main([*TINY, "--jobs", "1", "--quiet"]) == 0
    assert Path("study.csv").read_bytes() == (tiny_study[0] / "study.csv").read_bytes()


def test_second_call_makes_no_run(tiny_study, tmp_path, monkeypatch, capfd):
    folder, _ = tiny_study
    monkeypatch.chdir(tmp_path)
    monkeypatch.delattr(study_workers, "outcomes")
    started = time.monotonic()
    assert study.main([*TINY, "--cache", str(folder / ".study_cache"), "--quiet"]) == 0
    assert time.monotonic() - started < 5
    assert Path("study.csv").read_bytes() == (folder / "study.csv").read_bytes()
    assert capfd.readouterr() == ("", "")


def fake_result(run, stop_step=0):
    return Result(run.configuration, run.seed, stop_step, 0, 0.1, 0.1, 0.9, 0.9, 1.0, 31, {0: 0.9})


@pytest.fixture
def counted_runs(monkeypatch):
    """Let runs be made at once, and say which."""
    made = []

    def outcomes(runs, jobs, scheduler):
        made.append(list(runs))
        for run in runs:
            yield run, fake_result(run, stop_step=len(made))

    monkeypatch.setattr(study_workers, "outcomes", outcomes)
    return made


def test_only_missing_runs_are_made(tmp_path, counted_runs):
    runs = [Run(SHUFFLED, seed, 5, 1, "f") for seed in range(6)]
    study_workers.make_runs(runs[::2], 1, cache=tmp_path)
    results = study_workers.make_runs(runs, 1, cache=tmp_path)
    assert counted_runs == [runs[::2], runs[1::2]]
    assert [result.seed for result in results] == list(range(6))
    assert [result.stop_step for result in results] == [1, 2] * 3


@pytest.mark.parametrize(
    "change",
    [
        {"configuration": UNSHUFFLED},
        {"seed": 1},
        {"epochs": 6},
        {"blas_threads": 2},
        {"fingerprint": "g"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_cache_tells_settings_code_and_data_apart(tmp_path, counted_runs, change):
    run = Run(SHUFFLED, 0, 5, 1, "f")
    study_workers.make_runs([run], 1, cache=tmp_path)
    study_workers.make_runs([run._replace(**change)], 1, cache=tmp_path)
    assert counted_runs == [[run], [run._replace(**change)]]


def test_cache_does_not_depend_on_where_the_same_data_are(tmp_path, counted_runs):
    run = Run(SHUFFLED, 0, 5, 1, "f")
    study_workers.make_runs([run], 1, cache=tmp_path)
    study_workers.make_runs([run._replace(data_dir="elsewhere")], 1, cache=tmp_path)
    assert counted_runs == [[run]]


def test_damaged_result_in_the_cache_is_made_anew(tmp_path, counted_runs, caplog):
    run = Run(SHUFFLED, 0, 5, 1, "f")
    study_workers.make_runs([run], 1, cache=tmp_path)
    [kept] = tmp_path.rglob("output.pkl")
    kept.write_bytes(kept.read_bytes()[:20])
    [result] = study_workers.make_runs([run], 1, cache=tmp_path)
    assert result == fake_result(run, stop_step=2)
    assert not caplog.records
    assert study_workers.make_runs([run], 1, cache=tmp_path) == [result]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("progress", [True, False])
def test_progress_counts_all_runs_and_tells_the_time_left(
    tmp_path, counted_runs, monkeypatch, progress
):
    runs = [Run(SHUFFLED, seed, 5, 1, "f") for seed in range(4)]
    study_workers.make_runs(runs[:1], 1, cache=tmp_path)
    monkeypatch.setattr(sys, "stderr", Terminal())
    study_workers.make_runs(runs, 1, cache=tmp_path, progress=progress)
    shown = sys.stderr.getvalue()
    if progress:
        assert re.search(r"study:  25%.* 1/4 \[00:00<\?", shown)
        assert re.search(r"study: 100%.* 4/4 \[00:00<00:00", shown)
    else:
        assert shown == ""


def test_run_that_fails_is_reported_and_the_others_go_on(capsys):
    good = Run(SHUFFLED, 0, 1, 1, study_runs.fingerprint())
    bad = good._replace(configuration="softmax lambda=7")
    results = study_workers.make_runs([bad, good, bad._replace(seed=5)], 2)
    assert [result.configuration for result in results] == [SHUFFLED]
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    for seed in (0, 5):
        start = f"error: softmax lambda=7, seed {seed}: ValueError: configuration is 'softmax la"
        assert sum(start in line for line in errors) == 1


def test_worker_that_dies_fails_its_runs_only(tiny_study, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    arguments = [*TINY, "--jobs", "2", "--quiet"]

    def kill_a_worker():
        wait_until(lambda: kept_in(".study_cache") >= 2)
        workers_of(os.getpid())[0].kill()

    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    code = study.main(arguments)
    killer.join()
    assert code == 2
    *failures, last = capfd.readouterr().err.splitlines()
    failed = [
        (configuration, seed)
        for configuration in CONFIGURATIONS
        for seed in (0, 1)
        if f"error: {configuration}, seed {seed}: its worker process died" in "".join(failures)
    ]
    # A single run, or the softmax runs of a seed.
    assert len(failures) == len(failed) in (1, 5)
    expected = f"{len(failed)} of 14 runs failed, and nothing is written; .study_cache keeps the o"
    assert expected in last
    assert kept_in(".study_cache") == 14 - len(failed)
    assert not Path("study.csv").exists()

    made = []
    outcomes = study_workers.outcomes

    def listen(runs, *where):
        made.extend((run.configuration, run.seed) for run in runs)
        return outcomes(runs, *where)

    monkeypatch.setattr(study_workers, "outcomes", listen)
    assert study.main(arguments) == 0
    assert sorted(made) == sorted(failed)
    assert Path("study.csv").read_bytes() == (tiny_study[0] / "study.csv").read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_while_the_processes_start_is_one_line(tmp_path, jobs):
    process = start_study(tmp_path, "--epochs", "3", "--jobs", str(jobs), start_new_session=True)
    wait_until(lambda: len(workers_of(process.pid)) == jobs)
    for worker in workers_of(process.pid):
        status = Path(f"/proc/{worker.pid}/status").read_text()
        deaf = [int(mask, 16) for mask in re.findall(r"Sig(?:Blk|Ign):\s*(\w+)", status)]
        assert any(mask >> (signal.SIGINT - 1) & 1 for mask in deaf), status
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors.count("\n")) == (130, "", 1), errors
    assert errors.startswith("study.py: error: interrupted; ")


def test_ctrl_c_keeps_what_has_ended_and_leaves_no_process(tmp_path):
    process = start_study(tmp_path, "--epochs", "3", "--jobs", "2", start_new_session=True)
    wait_until(lambda: kept_in(tmp_path / ".study_cache") >= 2)
    workers = workers_of(process.pid)
    assert len(workers) == 2
    # As a terminal does, this interrupts all processes.
    os.killpg(process.pid, signal.SIGINT)
    interrupted = time.monotonic()
    output, errors = process.communicate(timeout=30)
    # The runs under way would take longer.
    assert time.monotonic() - interrupted < 2
    assert process.returncode == 130
    assert (output, errors) == (
        "",
        "study.py: error: interrupted; .study_cache keeps the runs that have ended\n",
    )
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    assert kept_in(tmp_path / ".study_cache") >= 2
    assert not (tmp_path / "study.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--seeds", "1"], "argument --seeds: '1' given; expected an integer from 2 up"),
        (["--jobs", "0"], "argument --jobs: '0' given; expected an integer from 1 up"),
        (["--data-dir", "no/such"], "no/such: is no folder"),
        (["--output", "file/study.csv"], "file: is no folder; expected a folder"),
        (["--cache", "file"], "file: is no folder; expected a folder"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_argument_is_one_line_and_exit_code_2(
    tmp_path, monkeypatch, capsys, arguments, problem
):
    import cli

    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(SystemExit) as exit_:
        cli.run(lambda: study.main(arguments))
    assert exit_.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert problem in line


def test_other_data_can_be_studied(tmp_path):
    elsewhere = tmp_path / "data"
    elsewhere.mkdir()
    for name in ("train-images", "train-labels", "t10k-images", "t10k-labels"):
        [source] = mnist.DATA_DIR.glob(f"{name}-idx?-ubyte.gz")
        (elsewhere / source.name).symlink_to(source)
    run = Run("softmax lambda=1", 0, 1, 1, study_runs.fingerprint(str(elsewhere)), str(elsewhere))
    assert run.fingerprint == study_runs.fingerprint()
    assert study_runs.train([run]) == study_runs.train([run._replace(data_dir=None)])


@pytest.fixture(scope="module")
def committed_rows():
    return study.read_csv()


def test_committed_table_has_every_run(committed_rows):
    found = [(row["configuration"], row["seed"]) for row in committed_rows]
    assert found == [(name, seed) for name in CONFIGURATIONS for seed in range(20)]


@pytest.mark.parametrize(
    ("configuration", "seed"),
    [
        (SHUFFLED, 0),
        (SHUFFLED, 19),
        (UNSHUFFLED, 7),
        ("softmax lambda=1", 12),
        ("softmax lambda=0.1", 5),
    ],
)
def test_committed_table_has_the_numbers_of_a_new_run(committed_rows, configuration, seed):
    [result] = study_runs.train([Run(configuration, seed, 500, 1, study_runs.fingerprint())])
    [row] = [
        row
        for row in committed_rows
        if (row["configuration"], row["seed"]) == (configuration, seed)
    ]
    # Another processor sums float32 products in another order, which moved losses by up to 8e-7.
    for column in study.COLUMNS[1:]:
        expected = pytest.approx(row[column], rel=5e-6, abs=0, nan_ok=True)
        assert study.row_of(result)[column] == expected, column


def made_up_rows():
    rng = np.random.default_rng(3)
    rows = []
    for level, configuration in enumerate(CONFIGURATIONS):
        of_configuration = rows_of(rng.normal(0.9 - 0.01 * level, 0.001, 5), configuration)
        for row in of_configuration:
            row["norm"] = 100 / (level + 1) + row["seed"]
        rows += of_configuration
    return rows


def test_figure_of_paired_differences_shows_the_intervals():
    rows = made_up_rows()
    figure = study.figure_paired_differences(rows)
    [axes] = figure.axes
    assert "validation accuracy, percentage points" in axes.get_xlabel()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == "shuffled − not shuffled"
    assert labels[1:] == [f"λ = {value} − λ = 0" for value in ("0.001", "0.01", "0.1", "1")]
    assert len(axes.containers) == len(study.REFERENCES)
    for container, (a, b) in zip(axes.containers, study.REFERENCES.items(), strict=True):
        point, _, [bar] = container
        mean, low, high, _ = study.paired_difference(rows, a, b, "val_accuracy")
        assert point.get_xdata()[0] == pytest.approx(100 * mean)
        assert bar.get_segments()[0][:, 0] == pytest.approx([100 * low, 100 * high])


def test_figure_of_norms_shows_means_and_ranges():
    rows = made_up_rows()
    [axes] = study.figure_norms(rows).axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale()) == ("λ", "‖w‖²", "log")
    [(line, _, [bars])] = axes.containers
    assert line.get_xdata().tolist() == [0.001, 0.01, 0.1, 1]
    for mean, segment, name in zip(
        line.get_ydata(), bars.get_segments(), study.PENALISED, strict=True
    ):
        norms = [row["norm"] for row in rows if row["configuration"] == name]
        assert mean == pytest.approx(np.mean(norms))
        assert segment[:, 1] == pytest.approx([min(norms), max(norms)])


def test_figure_of_bands_ends_each_band_with_its_first_run():
    histories = {
        name: [dict.fromkeys(range(0, 200 + 10 * seed, 10), 0.9 + 0.01 * seed) for seed in range(3)]
        for name in CONFIGURATIONS
    }
    left, right = study.figure_accuracy_bands(histories).axes
    assert [len(left.lines), len(right.lines)] == [2, len(LAMBDA_OF)]
    for line in (*left.lines, *right.lines):
        assert (line.get_xdata()[0], line.get_xdata()[-1]) == (30, 190)
        np.testing.assert_allclose(line.get_ydata(), 0.91)
    for axes in (left, right):
        assert axes.get_xlabel() == "gradient steps"
        assert axes.get_legend() is not None
