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
import task3
import tools.study
from common.errors import InputError
from tools.study import __main__ as command_line
from tools.study import engine, evidence, tasks
from tools.study.tasks import LAMBDA_OF, SHUFFLED, UNSHUFFLED, Task
from utils import batch_loader

distributed = pytest.importorskip("distributed")

ROOT = Path(tools.study.__file__).parents[2]
ONE = "softmax lambda=1"
KINDS = {*evidence.TABLES, "continued"}
TINY = [Task("run", SHUFFLED, seed, 0, 4) for seed in (0, 1)]
TINY += [Task("run", UNSHUFFLED, seed, 0, 4) for seed in (0, 1)]
TINY += [Task("continued", UNSHUFFLED, 0, 0, 2)]

# --- tasks -----------------------------------------------------------------------------------


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


def test_a_small_block_holds_out_all_other_images():
    images, _ = mnist.load_split("train", 60_000)
    (X, _, X_val, _), (X_held_out, _) = tasks.split_images("softmax", 3, 2000)
    assert (len(X), len(X_val), len(X_held_out)) == (2000, 10_000, 58_000)
    np.testing.assert_array_equal(np.rint((X[:, 300:320] + 1) * 127.5), images[6000:8000, 300:320])


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
    assert trainer.patience is None


def test_the_tasks_of_the_study_are_those_of_the_stored_evidence():
    stored = set()
    for kind, name in evidence.TABLES.items():
        table = evidence.read_table(name)
        stored |= set(zip(itertools.repeat(kind), table.configuration, table.seed, table.block))
    stored |= {("continued", name, 0, 0) for name in evidence.read_histories()}
    found = tasks.tasks_of_study(20, 500)
    assert len(found) == len(stored)
    assert {task[:4] for task in found} == stored
    epochs = {kind: {task.epochs for task in found if task.kind == kind} for kind in KINDS}
    assert epochs["continued"] == epochs["long"] == {400}
    assert epochs["few images"] == {1000}
    assert epochs["run"] == epochs["templates"] == {500}


def test_a_small_study_has_no_long_runs():
    found = tasks.tasks_of_study(1, 3)
    assert {task.kind for task in found} == KINDS
    assert {task.seed for task in found} == {0}
    assert max(task.epochs for task in found if task.kind not in ("optimum", "few images")) == 3
    # A tenth of the images: an epoch has a tenth of the steps.
    assert {task.epochs for task in found if task.kind == "few images"} == {30}


def test_runs_of_one_seed_begin_with_the_same_batch(binary_data):
    both = [Task("run", name, 3, 0, 1) for name in (SHUFFLED, UNSHUFFLED)]
    trainers = [tasks.make_trainer(task, binary_data) for task in both]
    batches = [
        batch_loader(t.X_train, t.Y_train, t.batch_size, t.shuffle_dataset, rng=t.rng)
        for t in trainers
    ]
    np.testing.assert_array_equal(*(next(batch)[0] for batch in batches))


def test_fingerprint_covers_code_numpy_and_data_but_not_figures(monkeypatch, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "*.gz", "report.ipynb", "docs"))

    def fingerprint(folder, numpy_version="1"):
        tasks.fingerprint.cache_clear()
        monkeypatch.setattr(tasks, "ROOT", folder)
        monkeypatch.setattr(tasks, "__file__", str(folder / "tools" / "study" / "tasks.py"))
        monkeypatch.setattr(np, "__version__", numpy_version)
        return tasks.fingerprint()

    usual = fingerprint(ROOT)
    assert fingerprint(copy) == usual
    assert fingerprint(copy, "2") != usual
    for name in ("runs/figures.py", "runs/training.py", "tools/study/engine.py", "README.md"):
        with (copy / name).open("a") as file:
            file.write("\n")
        assert fingerprint(copy) == usual, name
    seen = {usual}
    for name in (
        "trainer.py",
        "utils.py",
        "task4.py",
        "common/linear.py",
        "tools/study/single_runs.py",
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


@pytest.mark.parametrize(("kind", "images"), [("long", 20_000), ("few images", 2000)])
def test_runs_without_early_stopping_are_scored_at_their_last_step(kind, images):
    task = Task(kind, "softmax lambda=0.1", 1, 2, 3)
    result = tasks.compute(task, tasks.fingerprint())
    data, held_out = tasks.split_images("softmax", 2, images)
    trainer = task3.make_trainer(data, l2_reg_lambda=0.1, seed=1, patience=1)
    seen = []
    trainer.patience = None
    trainer.after_step = lambda trainer: seen.append(trainer.model.w)
    trainer.train(3)
    assert result["stop_step"] == len(seen) - 1 == 3 * (images // 128) - 1
    assert result["norm"] == pytest.approx(np.sum(np.square(seen[-1], dtype=float)), rel=1e-5)
    trainer.model.w = seen[-1]
    for part, (X, Y) in (("train", data[:2]), ("val", data[2:]), ("held_out", held_out)):
        accuracy = trainer.accuracy(Y, trainer.model.forward(X))
        assert result[f"{part}_accuracy"] == pytest.approx(accuracy, abs=1e-4)


def test_templates_of_several_training_sets_are_compared(monkeypatch):
    """With the same training set twice they are equal."""
    monkeypatch.setattr(tasks, "EARLY_STEP", 20)
    monkeypatch.setattr(tasks, "BLOCKS", (1, 1))
    task = Task("templates", tasks.UNPENALISED, 0, 0, 1)
    result = tasks.compute(task, tasks.fingerprint())
    assert result["added_correlation"] == pytest.approx(1)
    assert result["added_detail_correlation"] == pytest.approx(1)


def test_templates_of_different_training_sets_differ():
    task = Task("templates", tasks.UNPENALISED, 0, 0, 3)
    result = tasks.compute(task, tasks.fingerprint())
    assert result["added_detail_correlation"] < result["added_correlation"] < 0.99


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
    models += [("optimum", weak, 0, 0), ("optimum", weak, 0, 1)]
    models += [("long", name, seed, 0) for name in (plain, weak) for seed in (0, 1, 2)]
    results = {
        Task(*model): {f"{part}_right": rng.random(90) < 0.7 for part in evidence.PARTS}
        for model in models
    }
    table = evidence.differences(results)
    expected = [
        ("long", weak, "long", plain, 0, 3),
        ("run", weak, "run", plain, 0, 2),
        ("run", weak, "run", plain, 1, 2),
        ("run", SHUFFLED, "run", UNSHUFFLED, 0, 2),
        ("optimum", weak, "run", plain, 0, 2),
        ("optimum", weak, "long", plain, 0, 3),
        ("optimum", weak, "run", plain, 1, 2),
    ]
    places = table[[name for name in evidence.PLACE if name != "images"]]
    found = list(places.itertuples(index=False, name=None))
    assert found == [place for place in expected for _ in evidence.PARTS]
    assert table.images.tolist() == list(evidence.PARTS) * len(expected)
    for row in table.to_dict("records"):
        ours, others = (
            [results[Task(kind, name, seed, row["block"])][f"{row['images']}_right"].mean()
             for seed in range(1 if kind == "optimum" else row["seeds"])]
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
    assert set(evidence.read_histories()) == set(tasks.CONTINUED)
    for name, count in (("long", 3), ("few_images", 10)):
        table = evidence.read_table(name)
        assert table.configuration.value_counts().to_dict() == dict.fromkeys(LAMBDA_OF, count)
    assert len(evidence.read_table("templates")) == 3
    optima = evidence.read_table("optima")
    assert sorted(optima[optima.block == 0].l2_reg_lambda) == sorted(tasks.GRID)
    assert sorted(optima.block) == [0] * len(tasks.GRID) + [1, 2]
    assert optima.gradient_norm.max() < 1e-4
    assert sum(path.stat().st_size for path in evidence.FOLDER.iterdir()) < 1e6


NOISY = ("iterations", "gradient_norm")


@pytest.mark.parametrize(
    "task",
    [
        Task("run", UNSHUFFLED, 3, 0, 500),
        Task("run", ONE, 2, 1, 500),
        Task("few images", ONE, 0, 4, 1000),
        Task("templates", tasks.UNPENALISED, 2, 0, 500),
        Task("optimum", ONE, 0, 0, 0),
        Task("continued", UNSHUFFLED, 0, 0, 400),
    ],
    ids=lambda task: f"{task.kind} {task.configuration}",
)
def test_the_stored_evidence_has_the_numbers_of_a_new_computation(task):
    result = tasks.compute(task, tasks.fingerprint())
    # Another processor rounds differently: a bit in each step, a few images in the end.
    tolerance = {"rtol": 1e-3, "atol": 3e-4}
    if task.kind == "continued":
        for name, values in evidence.read_histories()[task.configuration].items():
            np.testing.assert_allclose(values, result[name], **tolerance)
        return
    table = evidence.read_table(evidence.TABLES[task.kind])
    place = {"configuration": task.configuration, "block": task.block, "seed": task.seed}
    [row] = table[(table[list(place)] == pd.Series(place)).all(axis=1)].to_dict("records")
    compared = row.keys() & result.keys() - set(NOISY)
    assert len(compared) >= 2
    for name in compared:
        np.testing.assert_allclose(row[name], result[name], err_msg=name, **tolerance)


def test_models_by_lambda_are_those_of_the_assignments_training_images():
    runs = evidence.read_table("runs")
    early = evidence.means_by_lambda("runs")
    assert early.index.tolist() == [0, 0.001, 0.01, 0.1, 1]
    for value, norm in early.norm.items():
        chosen = runs[(runs.configuration == f"softmax lambda={value:g}") & (runs.block == 0)]
        assert norm == pytest.approx(chosen.norm.mean())
    table, optima = evidence.read_table("optima"), evidence.optima()
    assert optima.index.tolist() == sorted(tasks.GRID)
    few = evidence.read_table("few_images")
    chosen = few[few.configuration == "softmax lambda=0.1"]
    assert evidence.means_by_lambda("few_images").norm[0.1] == pytest.approx(chosen.norm.mean())
    for value, cost in optima.cost.items():
        assert [cost] == table.cost[(table.l2_reg_lambda == value) & (table.block == 0)].tolist()


def test_long_runs_end_where_the_curves_of_the_continued_runs_end():
    long = evidence.read_table("long").query("seed == 0").set_index("configuration")
    for name in ("softmax lambda=0", "softmax lambda=0.001"):
        last = evidence.read_histories()[name].iloc[-25:]
        for column in ("train_accuracy", "val_accuracy"):
            assert long[column][name] == pytest.approx(last[column].mean(), abs=0.004)


def test_the_stored_differences_are_those_of_the_stored_accuracies():
    tables = {
        kind: evidence.read_table(evidence.TABLES[kind]) for kind in ("run", "long", "optimum")
    }

    def accuracy(kind, name, block, images):
        table = tables[kind]
        chosen = table[(table.configuration == name) & (table.block == block)]
        return chosen[f"{images}_accuracy"].mean()

    for row in evidence.read_table("differences").to_dict("records"):
        where = row["block"], row["images"]
        expected = accuracy(row["kind"], row["configuration"], *where)
        expected -= accuracy(row["reference_kind"], row["reference"], *where)
        assert row["mean"] == pytest.approx(expected, abs=1e-6), row
        assert row["low"] <= row["mean"] <= row["high"]
