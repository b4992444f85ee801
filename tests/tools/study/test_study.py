"""The study: its tasks, the engine that computes them, and the evidence that it keeps."""

from __future__ import annotations

import errno
import io
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dask
import numpy as np
import pandas as pd
import psutil
import pytest

import mnist
import tools.study
from common.errors import InputError
from tools.study import __main__ as command_line
from tools.study import engine, evidence, statistics, tasks
from tools.study.tasks import SHUFFLED, UNSHUFFLED, Task

distributed = pytest.importorskip("distributed")

ROOT = Path(tools.study.__file__).parents[2]
ONE = "softmax lambda=1"
TINY = [Task("run", SHUFFLED, seed, 0, 4) for seed in (0, 1)]
TINY += [Task("run", UNSHUFFLED, seed, 0, 4) for seed in (0, 1)]
TINY += [Task("continued", UNSHUFFLED, 0, 0, 2)]

# --- tasks -----------------------------------------------------------------------------------


def read_right(kind, configuration, block, part, folder=evidence.FOLDER):
    """Read which images the models of a configuration have right: [seeds, images]."""
    with np.load(folder / "right.npz") as archive:
        group = f"{kind} {configuration} {block} {part}_right/"
        found = {key.removeprefix(group): bits for key, bits in archive.items() if group in key}
    count, first = int(found.pop("images")), found.pop("first")
    seeds = sorted(found, key=int)
    return np.array([np.unpackbits(found[s] ^ first, count=count) for s in seeds]).astype(bool)


def test_held_out_images_are_those_of_the_other_blocks():
    images, _ = mnist.load_split("train", 60_000)
    # Block 0 is the assignment's, see below.
    (X, Y, X_val, _), (X_held_out, Y_held_out) = tasks.split_images("softmax", 1)
    assert (len(X), len(X_val), len(X_held_out)) == (20_000, 10_000, 40_000)
    assert len(Y) + len(Y_held_out) == 60_000
    some = slice(300, 320)
    found = np.rint((np.concatenate([X[:, some], X_held_out[:, some]]) + 1) * 127.5)
    expected = [images[20_000:40_000, some], images[:20_000, some], images[40_000:, some]]
    np.testing.assert_array_equal(found, np.concatenate(expected))


def test_block_0_is_the_assignments_training_set(binary_data):
    ours, _ = tasks.split_images("logistic", 0)
    for part, of_task2 in zip(ours, binary_data, strict=True):
        np.testing.assert_array_equal(part, of_task2)


def test_unshuffled_runs_take_one_order_of_the_images_and_differ_by_seed(binary_data):
    trainers = [tasks.make_trainer(Task("run", UNSHUFFLED, s, 0, 1), binary_data) for s in (0, 1)]
    assert not any(trainer.shuffle_dataset for trainer in trainers)
    X_train, Y_train, _, _ = binary_data
    key = np.random.default_rng(7).random(X_train.shape[1])
    for trainer in trainers:
        order, of_file = np.argsort(trainer.X_train @ key), np.argsort(X_train @ key)
        np.testing.assert_array_equal(trainer.X_train[order], X_train[of_file])
        np.testing.assert_array_equal(trainer.Y_train[order], Y_train[of_file])
    assert not np.array_equal(trainers[0].X_train, trainers[1].X_train)


def test_the_continued_run_without_shuffling_and_patience_is_in_the_order_of_the_file(binary_data):
    trainer = tasks.make_trainer(Task("continued", UNSHUFFLED, 0, 0, 1), binary_data)
    assert trainer.X_train is binary_data[0]
    assert trainer.patience > 10**6


def test_the_tasks_of_the_study_are_those_of_the_stored_evidence():
    stored = set()
    for kind, name in evidence.TABLES.items():
        table = evidence.read_table(name)
        stored |= set(zip(itertools.repeat(kind), table.configuration, table.seed, table.block))
    found = tasks.tasks_of_study(20, 500)
    assert len(found) == len(stored)
    assert {task[:4] for task in found} == stored
    assert {task.epochs for task in found if task.kind == "continued"} == {400}
    assert {task.epochs for task in tasks.tasks_of_study(1, 3) if task.kind != "optimum"} == {3}


def test_runs_of_one_seed_begin_with_the_same_batch(binary_data):
    both = [Task("run", name, 3, 0, 1) for name in (SHUFFLED, UNSHUFFLED)]
    trainers = [tasks.make_trainer(task, binary_data) for task in both]
    np.testing.assert_array_equal(*(next(t.batches(1))[0] for t in trainers))


def test_fingerprint_covers_code_numpy_and_data_but_not_figures(monkeypatch, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "*.gz", "report.ipynb", "docs"))

    def fingerprint(folder, numpy_version="1"):
        tasks.fingerprint.cache_clear()
        monkeypatch.setattr(tasks, "ROOT", folder)
        monkeypatch.setattr(tasks, "__file__", str(folder / "study" / "tasks.py"))
        monkeypatch.setattr(np, "__version__", numpy_version)
        return tasks.fingerprint()

    usual = fingerprint(ROOT)
    assert fingerprint(copy) == usual
    assert fingerprint(copy, "2") != usual
    for name in ("plots/__init__.py", "cli/training.py", "study/engine.py", "README.md"):
        with (copy / name).open("a") as file:
            file.write("\n")
        assert fingerprint(copy) == usual, name
    seen = {usual}
    for name in (
        "trainer.py",
        "utils.py",
        "task4.py",
        "numerics/linear.py",
        "study/single_runs.py",
        "mnist/SHA256SUMS",
    ):
        with (copy / name).open("a") as file:
            file.write("\n")
        assert fingerprint(copy) not in seen, name
        seen.add(fingerprint(copy))
    monkeypatch.undo()
    tasks.fingerprint.cache_clear()


def test_task_for_other_code_or_data_fails():
    with pytest.raises(RuntimeError, match="code, data or NumPy here differ from those of the stu"):
        tasks.compute(TINY[0], "another")


def test_averaged_weights_are_the_mean_over_the_last_steps(binary_data, monkeypatch):
    monkeypatch.setattr(tasks, "AVERAGED_STEPS", 20)
    trainer = tasks.make_trainer(Task("averaged", SHUFFLED, 5, 0, 2), binary_data)
    seen = []
    trainer.after_step = lambda trainer: seen.append(trainer.model.w.copy())
    held_out = binary_data[2:]
    twin = tasks.make_trainer(Task("averaged", SHUFFLED, 5, 0, 2), binary_data)
    result = tasks.averaged(twin, 2, held_out)
    trainer.train(2)
    mean = np.mean(seen[-20:], axis=0, dtype=np.float64)
    last = np.array([trainer.model.forward(held_out[0]) for trainer.model.w in seen[-20:]])
    right = (last >= 0.5) == held_out[1]
    assert result["single_val_accuracy"] == pytest.approx(right.mean())
    assert result["single_held_out_accuracy"] == result["single_val_accuracy"]
    np.testing.assert_allclose(twin.model.w, mean, rtol=1e-6)
    assert result["norm"] == pytest.approx(np.sum(mean**2), rel=1e-5)


# --- the engine ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """Compute the tiny study in two processes."""
    cache = tmp_path_factory.mktemp("cache")
    return cache, engine.compute_all(TINY, cache, where=2)


def assert_same(result, other):
    assert result.keys() == other.keys()
    for name, value in result.items():
        np.testing.assert_array_equal(value, other[name])


def test_results_do_not_depend_on_the_process(computed):
    _, results = computed
    assert list(results) == TINY
    for task in TINY[1::2]:
        assert_same(results[task], tasks.compute(task, tasks.fingerprint()))


def test_what_is_in_the_cache_is_not_computed_again(computed, monkeypatch):
    cache, results = computed
    monkeypatch.setattr(engine, "dask_client", lambda *_: pytest.fail("something is computed"))
    for task, result in engine.compute_all(TINY, cache).items():
        assert_same(result, results[task])


@pytest.mark.parametrize("change", ["seed", "epochs", "block", "code"])
def test_cache_tells_settings_and_code_apart(tmp_path, monkeypatch, change):
    task = TINY[0]
    path = engine.path_of(task, tmp_path)
    if change == "code":
        monkeypatch.setattr(engine, "fingerprint", lambda: "another")
        assert engine.path_of(task, tmp_path) != path
    else:
        assert engine.path_of(task._replace(**{change: 7}), tmp_path) != path


def test_task_that_fails_and_worker_that_dies_are_named_and_the_others_go_on(
    tmp_path, monkeypatch, capsys
):
    def compute(task, fingerprint):
        if task.seed == 1:
            os._exit(1)
        if task.configuration == UNSHUFFLED:
            raise FloatingPointError("overflow at step 3")
        return {"norm": 1.5}

    monkeypatch.setattr(engine, "compute", compute)
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):  # It tries four times.
        results = engine.compute_all(TINY[:3], tmp_path, where=2)
    assert results == {TINY[0]: {"norm": 1.5}}
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 2
    for task, problem in (
        (TINY[1], "KilledWorker: Attempted to "),
        (TINY[2], "FloatingPointError: overflow at step 3"),
    ):
        assert any(f"error: {task}: {problem}" in line for line in err)


def test_scheduler_that_does_not_answer_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(engine, "WAIT_SECONDS", 0.5)
    with pytest.raises(
        InputError, match=r"^scheduler tcp://127\.0\.0\.1:9: Timed out trying to co"
    ):
        engine.compute_all(TINY[:1], tmp_path, where="tcp://127.0.0.1:9")


def test_what_is_not_an_address_of_a_scheduler_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"^scheduler somewhere: missing port number"):
        engine.compute_all(TINY[:1], tmp_path, where="somewhere")


def test_a_machine_whose_processes_cannot_share_a_lock_is_an_error(monkeypatch, tmp_path):
    def no_lock():
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(engine.multiprocessing, "Lock", no_lock)
    with pytest.raises(InputError, match=r"^no shared memory in /dev/shm: Read-only"):
        engine.compute_all(TINY[:1], tmp_path)


def test_workers_of_a_cluster_compute_the_same(computed, tmp_path, monkeypatch):
    _, results = computed
    monkeypatch.setattr(engine, "WAIT_SECONDS", 5)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster:
        [result] = engine.compute_all(TINY[:1], tmp_path, where=cluster.scheduler_address).values()
    assert_same(result, results[TINY[0]])


class Terminal(io.StringIO):
    """Standard error that is a terminal; tells a function what was written."""

    def __init__(self, read):
        super().__init__()
        self.read = read

    def isatty(self):
        return True

    def write(self, text):
        self.read(text)
        return super().write(text)


def test_while_a_long_task_computes_the_time_goes_on_and_no_time_left_is_guessed(
    tmp_path, monkeypatch
):
    seen = tmp_path / "seen"
    lines = []

    def compute(task, fingerprint):
        while not seen.exists():
            time.sleep(0.01)
        return {"norm": 1.5}

    def read(text):
        lines.extend(re.findall(r"\d.*", text))
        if len(set(lines)) == 3:
            seen.touch()

    monkeypatch.setattr(engine, "compute", compute)
    monkeypatch.setattr(engine, "REFRESH_SECONDS", 0.1)
    np.savez(engine.path_of(TINY[0], tmp_path), norm=1.0)
    monkeypatch.setattr(sys, "stderr", Terminal(read))
    engine.compute_all(TINY[:2], tmp_path, where=1, quiet=False)
    shown = list(dict.fromkeys(line.strip() for line in lines))
    assert len(shown) >= 3
    for line in shown:
        assert re.fullmatch(r"[12] of 2 tasks done, the longest come first; \d\d:\d\d", line)
    assert shown[0] == "1 of 2 tasks done, the longest come first; 00:00"
    assert shown[1].startswith("1 of 2 ")
    assert shown[-1].startswith("2 of 2 ")


def test_no_progress_is_shown_if_quiet(tmp_path, monkeypatch):
    terminal = Terminal(lambda text: None)
    monkeypatch.setattr(engine, "compute", lambda task, fingerprint: {"norm": 1.5})
    monkeypatch.setattr(sys, "stderr", terminal)
    assert engine.compute_all(TINY[:1], tmp_path, where=1) == {TINY[0]: {"norm": 1.5}}
    assert terminal.getvalue() == ""


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("presses", [1, 3], ids=["while it starts", "while it computes"])
def test_ctrl_c_is_one_line_and_leaves_no_process(tmp_path, presses):
    command = [sys.executable, "-m", "tools.study", "--seeds", "2", "--epochs", "3", "--jobs", "1"]
    for option in ("cache", "output"):
        command += [f"--{option}", str(tmp_path / option)]
    process = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    started = psutil.Process(process.pid)
    # The first child keeps account of semaphores, the second one is the worker.
    while time.monotonic() < deadline and len(started.children()) < min(presses, 2):
        time.sleep(0.05)
    time.sleep(1.5 if presses > 1 else 0)
    processes = started.children(recursive=True)
    for _ in range(presses):
        # A terminal sends it to all processes of the command. Impatient users press it again.
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.2)
    _, err = process.communicate(timeout=30)
    assert err == (
        "python -m tools.study: error: interrupted; run the same command again to resume:"
        f" finished tasks are kept in {tmp_path / 'cache'}\n"
    )
    assert process.returncode == 130
    assert not (tmp_path / "output").exists()
    assert not psutil.wait_procs(processes, timeout=5)[1]


# --- evidence --------------------------------------------------------------------------------


def test_a_changed_study_does_not_touch_the_evidence(computed, tmp_path, monkeypatch, capsys):
    _, results = computed
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command_line, "tasks_of_study", lambda *_: TINY)
    monkeypatch.setattr(command_line, "compute_all", lambda *_, **__: results)
    monkeypatch.setattr(evidence, "FOLDER", tmp_path / "evidence-of-the-report")
    assert command_line.main(["--seeds", "2"]) == 0
    assert not evidence.FOLDER.exists()
    assert f"wrote {Path('study-evidence/runs.csv')}" in capsys.readouterr().out
    assert command_line.main(["--quiet"]) == 0
    assert evidence.read_table("runs", evidence.FOLDER).seed.tolist() == [0, 1, 0, 1]
    assert capsys.readouterr().out == ""
    # A task that failed leaves it as it was.
    before = {path.name: path.read_bytes() for path in evidence.FOLDER.iterdir()}
    monkeypatch.setattr(
        command_line, "compute_all", lambda *_, **__: dict(list(results.items())[1:])
    )
    assert command_line.main(["--quiet"]) == 2
    err = "error: 1 of 5 tasks failed; the others are in .study_cache\n"
    assert capsys.readouterr().err.endswith(err)
    assert before == {path.name: path.read_bytes() for path in evidence.FOLDER.iterdir()}


def test_evidence_gives_back_every_bit(computed, tmp_path):
    _, results = computed
    paths = evidence.write(results, tmp_path)
    contents = [path.read_bytes() for path in paths]
    table = evidence.read_table("runs", tmp_path)
    for task in TINY[:4]:
        row = table[(table.configuration == task.configuration) & (table.seed == task.seed)].iloc[0]
        for name, value in results[task].items():
            if np.ndim(value) == 0:
                np.testing.assert_equal(row[name], value)
        for part in evidence.PARTS:
            right = read_right("run", task.configuration, 0, part, tmp_path)
            np.testing.assert_array_equal(right[task.seed], results[task][f"{part}_right"])
    history = evidence.read_histories(tmp_path)[UNSHUFFLED]
    assert history.index.tolist() == list(range(0, 62, 6))
    differences = evidence.read_table("differences", tmp_path)
    assert differences.configuration.tolist() == [SHUFFLED, SHUFFLED]
    assert [path.read_bytes() for path in evidence.write(results, tmp_path)] == contents


def test_each_model_is_compared_with_its_references(rng):
    weak, plain = tasks.PENALISED[0], tasks.UNPENALISED
    models = [("run", name, seed, block) for name in (plain, weak) for seed in (0, 1)
              for block in (0, 1)]  # fmt: skip
    models += [("run", name, seed, 0) for name in (SHUFFLED, UNSHUFFLED) for seed in (0, 1)]
    models += [("optimum", weak, 0, 0), ("optimum", weak, 0, 1), ("continued", plain, 0, 0)]
    results = {
        Task(*model): {f"{part}_right": rng.random(90) < 0.7 for part in evidence.PARTS}
        for model in models
    }
    table = evidence.differences(results)
    expected = [
        ("run", weak, "run", plain, 0, 2),
        ("run", weak, "run", plain, 1, 2),
        ("run", SHUFFLED, "run", UNSHUFFLED, 0, 2),
        ("optimum", weak, "run", plain, 0, 2),
        ("optimum", weak, "continued", plain, 0, 1),
        ("optimum", weak, "run", plain, 1, 2),
    ]
    places = table[[name for name in evidence.PLACE if name != "images"]]
    found = list(places.itertuples(index=False, name=None))
    assert found == [place for place in expected for _ in evidence.PARTS]
    assert table.images.tolist() == list(evidence.PARTS) * len(expected)
    for row in table.to_dict("records"):
        ours, others = (
            [results[Task(kind, name, seed, row["block"])][f"{row['images']}_right"].mean()
             for seed in range(row["seeds"] if kind == "run" else 1)]
            for kind, name in ((row["kind"], row["configuration"]),
                               (row["reference_kind"], row["reference"]))
        )  # fmt: skip
        assert row["mean"] == pytest.approx(np.mean(ours) - np.mean(others))


@pytest.mark.parametrize(
    ("arguments", "where"),
    [(["--jobs", "3"], 3), (["--scheduler", "tcp://x:1"], "tcp://x:1"), ([], None)],
)
def test_the_command_line_says_where_to_compute(monkeypatch, tmp_path, arguments, where):
    called = []
    monkeypatch.setattr(command_line, "compute_all", lambda **given: called.append(given) or {})
    monkeypatch.chdir(tmp_path)
    assert command_line.main([*arguments, "--seeds", "2", "--cache", "kept"]) == 2
    expected_tasks = tasks.tasks_of_study(2, 500)
    assert called == [
        {"tasks": expected_tasks, "cache": Path("kept"), "where": where, "quiet": False}
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "argument --seeds: '0' given"),
        (["--cache", f"{__file__}/deeper"], "test_study.py: is not a directory"),
    ],
)
def test_wrong_argument_is_one_line_and_exit_code_2(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        command_line.run(lambda: command_line.main([*arguments, "--output", str(tmp_path)]))
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line


# --- the evidence of the report --------------------------------------------------------------


def test_the_stored_evidence_is_complete_and_small():
    table = evidence.read_table("runs")
    counts = table.groupby(["configuration", "block"]).size()
    assert set(counts) == {20}
    assert len(counts) == 5 * 3 + 2
    assert set(evidence.read_histories()) == set(tasks.CONFIGURATIONS)
    assert set(evidence.read_table("continued").configuration) == set(tasks.CONFIGURATIONS)
    assert set(evidence.read_table("averaged").configuration) == set(tasks.LAMBDA_OF)
    optima = evidence.read_table("optima")
    assert sorted(optima[optima.block == 0].l2_reg_lambda) == sorted(tasks.GRID)
    assert sorted(optima.block) == [0] * len(tasks.GRID) + [1, 2]
    assert optima.gradient_norm.max() < 1e-4
    assert sum(path.stat().st_size for path in evidence.FOLDER.iterdir()) < 1e6


NOISY = ("periodicity", "mean_change", "deepest_dip", "iterations", "gradient_norm")


@pytest.mark.parametrize(
    "task",
    [
        Task("run", UNSHUFFLED, 3, 0, 500),
        Task("run", ONE, 2, 1, 500),
        Task("averaged", ONE, 0, 0, 500),
        Task("optimum", ONE, 0, 0, 0),
        Task("continued", SHUFFLED, 0, 0, 400),
    ],
    ids=lambda task: f"{task.kind} {task.configuration}",
)
def test_the_stored_evidence_has_the_numbers_of_a_new_computation(task):
    result = tasks.compute(task, tasks.fingerprint())
    # Another processor rounds differently: a bit in each step, a few images in the end.
    tolerance = {"rtol": 1e-3, "atol": 3e-4}
    if task.kind == "continued":
        for name, values in evidence.read_histories()[task.configuration].items():
            np.testing.assert_allclose(values, result[f"history_{name}"], **tolerance)
    table = evidence.read_table(evidence.TABLES[task.kind])
    place = {"configuration": task.configuration, "block": task.block, "seed": task.seed}
    [row] = table[(table[list(place)] == pd.Series(place)).all(axis=1)].to_dict("records")
    compared = row.keys() & result.keys() - set(NOISY)
    assert {"train_accuracy", "val_accuracy"} <= compared
    for name in compared:
        np.testing.assert_allclose(row[name], result[name], err_msg=name, **tolerance)
    if "val_right" in result:
        right = read_right(task.kind, task.configuration, task.block, "val")
        same = right[min(task.seed, len(right) - 1)] == result["val_right"]
        assert np.mean(same) > 0.998


def test_models_by_lambda_are_those_of_the_assignments_training_images():
    runs = evidence.read_table("runs")
    early = evidence.early_stopped()
    assert early.index.tolist() == [0, 0.001, 0.01, 0.1, 1]
    for value, norm in early.norm.items():
        chosen = runs[(runs.configuration == f"softmax lambda={value:g}") & (runs.block == 0)]
        assert norm == pytest.approx(chosen.norm.mean())
    table, optima = evidence.read_table("optima"), evidence.optima()
    assert optima.index.tolist() == sorted(tasks.GRID)
    for value, cost in optima.cost.items():
        assert [cost] == table.cost[(table.l2_reg_lambda == value) & (table.block == 0)].tolist()


@pytest.mark.parametrize("images", evidence.PARTS)
def test_the_stored_differences_are_those_of_the_stored_images(images):
    name, reference, block = "softmax lambda=0.001", tasks.UNPENALISED, 0
    right, right_other = (read_right("run", n, block, images) for n in (name, reference))
    table = evidence.read_table("differences")
    chosen = table[
        (table.kind == "run")
        & (table.configuration == name)
        & (table.block == block)
        & (table.images == images)
    ]
    [row] = chosen.to_dict("records")
    for column, value in statistics.difference(right, right_other).items():
        assert row[column] == pytest.approx(value, abs=1e-12), column
