"""Runs the scripts as commands, as a user does: in a folder of their own, without a display."""

from __future__ import annotations

import _thread
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pytest

import task2
import task2a
import task3
import task3a
import task4
import utils
from common import command_line
from common.numbers import number
from runs import training, weights
from runs.script import save_figures, task_parser
from task3a import SoftmaxModel

# Windows has no terminals of this kind.
pexpect = None if sys.platform == "win32" else importlib.import_module("pexpect")
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")

ROOT = Path(utils.__file__).parent
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")

FIGURES = {
    "task2.py": [
        "task2b_binary_train_loss.png",
        "task2c_binary_train_accuracy.png",
        "task2e_train_accuracy_shuffle_difference.png",
    ],
    "task3.py": ["task3b_softmax_train_loss.png", "task3c_softmax_train_accuracy.png"],
    "task4.py": [
        "task4b_softmax_weight.png",
        "task4c_l2_reg_accuracy.png",
        "task4e_l2_reg_norms.png",
    ],
}
MODULES = {"task2.py": task2, "task3.py": task3, "task4.py": task4}


def run(folder, script, *arguments, **options):
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    return subprocess.run(
        [sys.executable, ROOT / script, *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        **options,
    )


@pytest.fixture
def run_here(tmp_path, monkeypatch, capfd):
    """Run a command line in this process: quicker than `run`, and otherwise the same."""

    def run_here(script, *arguments):
        monkeypatch.chdir(tmp_path)
        plt.switch_backend("agg")  # also where windows could be opened
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        module = importlib.import_module(script.removesuffix(".py"))
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            command_line.run(module.main)
        return subprocess.CompletedProcess(sys.argv, ended.value.code, *capfd.readouterr())

    yield run_here
    plt.close("all")
    matplotlib.rcdefaults()


def assert_one_line_error(result, script, *parts):
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"{script}: error: ")
    for part in parts:
        assert part in result.stderr


def files_in(folder):
    return sorted(path.name for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("script", "arguments"),
    [("task2.py", []), ("task3.py", ["--epochs", 2]), ("task4.py", ["--epochs", 2])],
)
def test_script_leaves_its_figures_and_weights(tmp_path, script, arguments):
    result = run(tmp_path, script, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert files_in(tmp_path / "figures") == FIGURES[script]
    for name in FIGURES[script]:
        image = matplotlib.image.imread(tmp_path / "figures" / name)
        assert image.shape[1] > 900
        assert np.std(image[..., :3]) > 0.01
    rows = result.stdout.split("\n")
    assert max(map(len, rows)) < 80
    for path in [*(tmp_path / "weights").iterdir(), *(tmp_path / "figures").iterdir()]:
        assert f"wrote {path.relative_to(tmp_path)}" in rows
        if path.suffix == ".npz":
            saved = weights.load_weights(path)
            assert number(saved.settings["best_step"], ",") in result.stdout
    if script == "task2.py":
        table = {row[:14].rstrip(): row[16:].split("  ")[0] for row in rows}
        assert table["run"] == "not shuffled"
        assert table["ended"] == "early stop"
        stop = {"stop step": "1038", "stop epoch": "33", "best step": "978"}
        assert {key: table[key] for key in stop} == stop


def test_tables_and_figures_name_the_settings_that_are_not_the_assignments(tmp_path, capsys):
    folders = ["--figures", str(tmp_path / "figures"), "--weights", str(tmp_path / "weights")]
    parser = task_parser("", learning_rate=task2.LEARNING_RATE)
    data_dir = tmp_path / "kuzushi"
    for arguments, note in (
        ([], ""),
        (["--epochs", "500"], ""),
        (
            ["--learning-rate", "0.02", "--data-dir", str(data_dir)],
            f"data dir {data_dir}, learning rate 0.02",
        ),
    ):
        figure = plt.figure()
        save_figures({"a.png": figure}, parser.parse_args([*arguments, *folders]))
        assert figure.get_supxlabel() == note
        plt.close(figure)
    assert task2.main(["--digits", "4", "9", "--epochs", "1", *folders]) == 0
    settings, header = capsys.readouterr().out.splitlines()[:2]
    assert settings == "not the assignment's settings: digits 4 and 9, epochs 1"
    assert header.split("  ")[0] == "run"


# Digits are told apart by how many images of them there are. λ, learning rate, shuffled?
ASSIGNMENT = {
    "task2.py": {"not shuffled": (0, 0.05, False), "shuffled": (0, 0.05, True)},
    "task3.py": {"λ = 0": (0, 0.01, True)},
    "task4.py": {f"λ = {value}": (value, 0.01, True) for value in (0, 0.001, 0.01, 0.1, 1)},
}


@pytest.mark.parametrize("script", ASSIGNMENT)
def test_a_script_without_options_trains_as_the_assignment_says(run_here, monkeypatch, script):
    started = {}

    def note(trainers, num_epochs, interrupted, quiet):
        started.update({trainer.name: trainer for trainer in trainers})
        started["epochs"] = num_epochs

    monkeypatch.setattr(training, "train_with_progress", note)
    run_here(script)
    assert started.pop("epochs") == 500
    assert list(started) == list(ASSIGNMENT[script])
    for name, trainer in started.items():
        l2_reg_lambda = getattr(trainer.model, "l2_reg_lambda", 0)
        found = l2_reg_lambda, trainer.learning_rate, trainer.shuffle_dataset
        assert found == ASSIGNMENT[script][name]
        assert (trainer.batch_size, trainer.patience) == (128, 10)
        images = (4_005, 2_042) if script == "task2.py" else (20_000, 10_000)
        assert (len(trainer.X_train), len(trainer.X_val)) == images
        assert trainer.steps_per_validation == images[0] // 128 // 5
        assert not trainer.model.w.any()
        assert trainer.rng.random() == np.random.default_rng(0).random()
    if script == "task2.py":
        twos = {(len(Y), int(Y.sum())) for Y in (trainer.Y_train, trainer.Y_val)}
        assert twos == {(4_005, 1_929), (2_042, 1_032)}


@pytest.mark.parametrize(
    ("module", "figures", "limits"),
    [
        (task2, "LOSS_LIMITS", (0, 0.2)),
        (task2, "ACCURACY_LIMITS", (0.93, 0.99)),
        (task3, "LOSS_LIMITS", (0.2, 0.6)),
        (task3, "ACCURACY_LIMITS", (0.89, 0.93)),
    ],
)
def test_figures_have_the_assignments_limits(module, figures, limits):
    assert getattr(module, figures) == limits


@pytest.mark.parametrize(
    ("module", "loss"), [(task2a, "the loss is ln 2"), (task3a, "the loss is ln 10")]
)
def test_the_checks_of_a_task_pass_and_say_what_they_found(module, loss, capsys):
    module.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert loss in lines[1]
    for line in lines[2:]:
        assert float(line.rpartition("error is ")[2]) < 1e-6


@pytest.mark.parametrize("script", MODULES)
def test_help_explains_every_option_and_its_default(run_here, script):
    result = run_here(script, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    options = ["--data-dir", "--seed", "--epochs", "--learning-rate", "--batch-size", "--patience"]
    options += ["--figures", "--weights"]
    options.append("--digits" if script == "task2.py" else "--l2")
    for option in [*options, "--show", "--quiet"]:
        assert option in result.stdout
    assert result.stdout.count("(default:") == len(options)


def test_quiet_prints_nothing(run_here, tmp_path):
    result = run_here("task2.py", "--quiet", "--epochs", 1)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert files_in(tmp_path / "figures") == FIGURES["task2.py"]


def test_penalties_that_hardly_differ_are_runs_of_their_own(run_here, tmp_path, monkeypatch):
    monkeypatch.setattr(task4, "draw", lambda trainers: {})
    assert run_here("task4.py", "--l2", 0.1, 0.1000001, "--epochs", 1, "--quiet").returncode == 0
    names = ["task4_l2_0.1.npz", "task4_l2_0.1000001.npz", "task4_l2_0.npz"]
    assert files_in(tmp_path / "weights") == names


def test_no_penalty_but_zero_leaves_the_figures_that_need_none(run_here, tmp_path):
    result = run_here("task4.py", "--l2", 0, "--epochs", 1)
    assert (result.returncode, result.stderr) == (0, "")
    assert files_in(tmp_path / "figures") == ["task4b_softmax_weight.png"]
    assert files_in(tmp_path / "weights") == ["task4_l2_0.npz"]


def test_options_change_the_run(run_here, tmp_path):
    arguments = ["--digits", 7, 1, "--epochs", 2, "--learning-rate", 0.02, "--batch-size", 64]
    arguments += ["--patience", 3, "--seed", 5, "--figures", "f", "--weights", "w"]
    result = run_here("task2.py", *arguments)
    assert result.returncode == 0
    saved = weights.load_weights(tmp_path / "w" / "task2_shuffled.npz")
    expected = {
        "classes": [7, 1],
        "learning_rate": 0.02,
        "batch_size": 64,
        "patience": 3,
        "data": "MNIST",
        "epochs": 2,
        "seed": 5,
    }
    assert {key: saved.settings[key] for key in expected} == expected
    assert files_in(tmp_path / "f") == FIGURES["task2.py"]


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("task2.py", ["--digits", 7, 1, "--epochs", 2, "--learning-rate", 0.02, "--seed", 5]),
        ("task4.py", ["--l2", 0.3, "--epochs", 1, "--batch-size", 500, "--patience", 2]),
    ],
)
def test_a_run_can_be_made_again_from_what_its_weights_file_says(
    run_here, tmp_path, monkeypatch, full_data, script, arguments
):
    monkeypatch.setattr(MODULES[script], "draw", lambda trainers: {})
    assert run_here(script, *arguments, "--quiet").returncode == 0
    paths = list((tmp_path / "weights").iterdir())
    assert len(paths) == 2
    for path in paths:
        saved = weights.load_weights(path)
        names = ("learning_rate", "batch_size", "patience", "seed")
        settings = {name: saved.settings[name] for name in names}
        if saved.settings["model"] == "logistic":
            settings["shuffle"] = saved.settings["shuffle"]
            trainer = task2.make_trainer(task2.load_data(saved.settings["classes"]), **settings)
        else:
            assert saved.settings["classes"] == list(range(10))
            settings["l2_reg_lambda"] = saved.settings["l2_reg_lambda"]
            assert path.name == f"task4_l2_{settings['l2_reg_lambda']:g}.npz"
            trainer = task3.make_trainer(full_data, **settings)
        trainer.train(saved.settings["epochs"])
        assert trainer.shuffle_dataset == saved.settings["shuffle"]
        np.testing.assert_allclose(saved.w, trainer.model.w, atol=1e-5)
        with np.load(path) as archive:
            steps_and_losses = list(trainer.train_history["loss"].items())
            np.testing.assert_allclose(archive["train_loss"], steps_and_losses, rtol=1e-4)
        for name in ("ended", "stop_step", "stop_epoch", "best_step"):
            assert saved.settings[name] == getattr(trainer, name)


def test_the_table_says_of_each_run_what_it_was(run_here, monkeypatch):
    trained = {}
    monkeypatch.setattr(task4, "draw", lambda trainers: trained.update(trainers) or {})
    output = run_here("task4.py", "--l2", 0.1, 1, "--epochs", 9).stdout.replace("\u202f", "")
    table = [re.split(r"\s{2,}", row) for row in output.splitlines()[1:11]]
    rows = {name: cells for name, *cells in table}
    for column, trainer in enumerate(trained.values()):
        best = trainer.best_step
        losses = [trainer.train_history["loss"][step] for step in range(best - 30, best + 1)]
        assert {name: cells[column] for name, cells in rows.items()} == {
            "run": trainer.name,
            "ended": trainer.ended,
            "stop step": f"{trainer.stop_step}",
            "stop epoch": f"{trainer.stop_epoch}",
            "best step": f"{best}",
            "train loss": f"{np.mean(losses):.4f}",
            "val loss": f"{trainer.val_history['loss'][best]:.4f}",
            "train accuracy": f"{trainer.train_history['accuracy'][best]:.2%}",
            "val accuracy": f"{trainer.val_history['accuracy'][best]:.2%}",
            "seconds": f"{trainer.seconds:.1f}",
        }
    assert len({trainer.stop_step for trainer in trained.values()}) > 1


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        (
            "task2.py",
            ["--batch-size", 5000],
            "--batch-size is 5000; expected at most 801, a fifth of the 4005 training samples, so"
            " that an epoch has at least five validations",
        ),
        (
            "task3.py",
            ["--batch-size=100000"],
            "--batch-size is 100000; expected at most 4000, a fifth of the 20000 training samples,"
            " so that an epoch has at least five validations",
        ),
        (
            "task2.py",
            ["--batch-size", 0],
            "argument --batch-size: '0' given; expected a positive integer",
        ),
        (
            "task2.py",
            ["--epochs", "many"],
            "argument --epochs: 'many' given; expected a positive integer",
        ),
        (
            "task3.py",
            ["--learning-rate", -0.1],
            "argument --learning-rate: '-0.1' given; expected a positive number",
        ),
        (
            "task3.py",
            ["--learning-rate", "nan"],
            "argument --learning-rate: 'nan' given; expected a positive number",
        ),
        (
            "task3.py",
            ["--patience", 2.5],
            "argument --patience: '2.5' given; expected a positive integer",
        ),
        (
            "task3.py",
            ["--seed", -1],
            "argument --seed: '-1' given; expected a non-negative integer",
        ),
        (
            "task3.py",
            ["--l2", -1],
            "argument --l2: '-1' given; expected a non-negative number",
        ),
        (
            "task4.py",
            ["--l2", 1, "x"],
            "argument --l2: 'x' given; expected a non-negative number",
        ),
        (
            "task2.py",
            ["--digits", "4,9"],
            "argument --digits: '4,9' given; expected two digits, such as --digits 4 9",
        ),
        (
            "task2.py",
            ["--digits", 2, 11],
            "argument --digits: '11' given; expected two digits, such as --digits 4 9",
        ),
        (
            "task2.py",
            ["--digits", 2, 2],
            "argument --digits: 2 2 given; expected two different digits",
        ),
        ("task3.py", ["--data-dir", "nowhere"], "nowhere: is not a directory; expected one with"),
        ("task3.py", ["--data-dir", "."], "contains neither train-labels-idx1-ubyte nor"),
        ("task3.py", ["--no-such-option"], "unrecognized arguments: --no-such-option"),
        ("task3.py", ["--epoch", 1], "unrecognized arguments: --epoch 1"),
        ("task2.py", ["--show"], "--show needs an interactive Matplotlib backend"),
        ("task2.py", ["--figures", "a-file"], "a-file: is not a directory"),
        ("task2.py", ["--weights", "a-file/weights"], "a-file: is not a directory"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_one_line_and_exit_code_2(
    run_here, tmp_path, script, arguments, message
):
    (tmp_path / "a-file").write_text("")
    assert_one_line_error(run_here(script, *arguments), script, message)
    assert [path.name for path in tmp_path.iterdir()] == ["a-file"]


def broken(model_class, mistake):
    """Make a model with a mistake of a student in its backward pass."""

    class Broken(model_class):
        def backward(self, X, outputs, targets):
            mistake(X, outputs, targets)

    return Broken


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        (lambda X, outputs, targets: X @ (outputs - targets), ValueError),
        (lambda X, outputs, targets: X[:, 800], IndexError),
        (lambda X, outputs, targets: int("ten"), ValueError),
        (lambda X, outputs, targets: np.load("my_weights.npy"), FileNotFoundError),
        (lambda X, outputs, targets: 1 // 0, ZeroDivisionError),
        (lambda X, outputs, targets: np.float64(1).no_such_name, AttributeError),
    ],
    ids=["shape", "index", "value", "file", "division", "attribute"],
)
def test_a_students_own_mistake_keeps_its_traceback(run_here, monkeypatch, mistake, error):
    monkeypatch.setattr(task3, "SoftmaxModel", broken(task3a.SoftmaxModel, mistake))
    with pytest.raises(error):
        command_line.run(lambda: task3.main(["--quiet", "--epochs", "1"]))


def test_a_penalty_beyond_float32_is_one_line(run_here):
    result = run_here("task4.py", "--l2", 1e300, "--epochs", 1, "--quiet")
    assert_one_line_error(result, "task4.py", "λ = 1e+300", "at step 0")


def test_divergence_is_one_line_and_keeps_the_best_weights(run_here, tmp_path):
    result = run_here("task3.py", "--learning-rate", 2, "--l2", 1, "--epochs", 1)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "at step 77 with learning rate 2; choose a smaller learning rate" in result.stderr
    assert "diverged" in result.stdout
    saved = weights.load_weights(tmp_path / "weights" / "task3_softmax.npz")
    assert saved.settings["ended"] == "diverged"
    assert files_in(tmp_path / "figures") == FIGURES["task3.py"]


def in_a_terminal(folder, script, *arguments):
    """Start a script in a terminal of the usual width."""
    return pexpect.spawn(
        sys.executable,
        [str(ROOT / script), *map(str, arguments)],
        cwd=folder,
        dimensions=(24, 80),
        encoding="utf-8",
        timeout=60,
    )


def end_of(terminal):
    """Wait for the end of a script; give its exit code and what it showed since the last wait."""
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert "Traceback" not in terminal.before
    return terminal.exitstatus, terminal.before


@posix_only
def test_ctrl_c_keeps_what_was_done_and_marks_it(tmp_path, full_data):
    terminal = in_a_terminal(tmp_path, "task4.py", "--patience", 1000, "--l2", 0.1)
    for run in ("λ = 0", "λ = 0.1"):
        terminal.expect(f"{run}: step [1-9]")
    terminal.sendintr()
    exit_code, shown = end_of(terminal)
    assert exit_code == 130
    assert "task4.py: error: interrupted; the best weights so far were kept" in shown
    assert files_in(tmp_path / "figures") == FIGURES["task4.py"]
    for name in ("task4_l2_0.npz", "task4_l2_0.1.npz"):
        saved = weights.load_weights(tmp_path / "weights" / name)
        assert saved.settings["ended"] == "interrupted"
        with np.load(tmp_path / "weights" / name) as archive:
            losses = dict(archive["val_loss"])
        assert saved.settings["best_step"] == min(losses, key=losses.get)
        X_val, Y_val = full_data[2:]
        model = SoftmaxModel(0)
        model.w = saved.w
        loss = task3a.cross_entropy_loss(Y_val, model.forward(X_val))
        assert loss == pytest.approx(min(losses.values()), rel=1e-6)


def test_ctrl_c_leaves_older_files_of_runs_that_had_not_begun(run_here, tmp_path, monkeypatch):
    monkeypatch.setattr(task4, "draw", lambda trainers: {})
    assert run_here("task4.py", "--epochs", 1, "--l2", 1).returncode == 0
    path = tmp_path / "weights" / "task4_l2_1.npz"
    older = path.read_bytes()
    train_step = task3.SoftmaxTrainer.train_step

    def press_ctrl_c_in_the_first_run(trainer, *batch):
        if trainer.model.l2_reg_lambda == 0 and trainer.stop_step == 50:
            _thread.interrupt_main()
            time.sleep(0.1)
        return train_step(trainer, *batch)

    monkeypatch.setattr(task3.SoftmaxTrainer, "train_step", press_ctrl_c_in_the_first_run)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # one run after the other
    result = run_here("task4.py", "--epochs", 1, "--l2", 1)
    assert result.returncode == 130
    assert path.read_bytes() == older
    assert "λ = 1" not in result.stdout


@posix_only
def test_a_second_ctrl_c_ends_the_training_at_once(tmp_path):
    # This trainer goes on after the first one, as if its step took very long.
    code = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import task3, trainer
from common import command_line
trainer.BaseTrainer.after_step = property(
    lambda self: lambda trainer: self.callback(trainer) and None,
    lambda self, callback: setattr(self, "callback", callback),
)
command_line.run(task3.main)
"""
    terminal = pexpect.spawn(
        sys.executable,
        ["-c", code, str(ROOT), "--patience", "1000"],
        cwd=tmp_path,
        encoding="utf-8",
        timeout=60,
    )
    for _ in range(2):
        terminal.expect("step [1-9]")
        # Two that come at once count as one.
        time.sleep(0.1)
        terminal.sendintr()
    exit_code, shown = end_of(terminal)
    assert exit_code == 130
    assert "error: interrupted\r\n" in shown
    assert files_in(tmp_path) == []


def test_ctrl_c_before_the_training_leaves_older_files_alone(run_here, tmp_path, monkeypatch):
    assert run_here("task3.py", "--epochs", 1).returncode == 0
    older = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}

    def press_ctrl_c(*arguments):
        signal.raise_signal(signal.SIGINT)
        return task3_load_data(*arguments)

    task3_load_data = task3.load_data
    monkeypatch.setattr(task3, "load_data", press_ctrl_c)
    result = run_here("task3.py")
    assert (result.returncode, result.stdout) == (130, "")
    assert result.stderr == "task3.py: error: interrupted\n"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == older


def test_ctrl_c_after_the_training_does_not_lose_the_figures(run_here, tmp_path, monkeypatch):
    def press_ctrl_c(trainers):
        signal.raise_signal(signal.SIGINT)
        return task2_draw(trainers)

    task2_draw = task2.draw
    monkeypatch.setattr(task2, "draw", press_ctrl_c)
    result = run_here("task2.py", "--epochs", 1)
    assert result.returncode == 130
    assert files_in(tmp_path / "figures") == FIGURES["task2.py"]


@posix_only
def test_progress_shows_step_loss_accuracy_and_patience_in_80_columns(tmp_path):
    terminal = in_a_terminal(tmp_path, "task2.py", "--epochs", 12)
    exit_code, shown = end_of(terminal)
    assert exit_code == 0
    for run, last_step in (("not shuffled", 371), ("(?<!not )shuffled", 360)):
        assert re.search(
            rf"{run}: step \d+, val loss 0\.\d{{4}}, accuracy 9\d\.\d\d\u202f%, patience \d+/10",
            shown,
        )
        assert re.search(rf"{run}: step {last_step}, ", shown)


@pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="needs Debian's dataset-fashion-mnist")
def test_another_data_set_in_the_same_layout_is_taken(run_here, tmp_path, monkeypatch):
    monkeypatch.setattr(task3, "draw", lambda trainers: {})
    result = run_here("task3.py", "--data-dir", FASHION_MNIST, "--epochs", 2)
    assert (result.returncode, result.stderr) == (0, "")
    with np.load(tmp_path / "weights" / "task3_softmax.npz") as archive:
        assert 0.6 < archive["val_accuracy"][:, 1].max() < 0.9


def test_an_altered_file_of_the_shipped_data_is_refused(tmp_path):
    """A whole copy of the repository, so that its data folder counts as the shipped one."""
    left_out = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs", "*.ipynb")
    copy = shutil.copytree(ROOT, tmp_path / "copy", ignore=left_out)
    path = copy / "mnist" / "t10k-images-idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    result = subprocess.run(
        [sys.executable, "task3.py"], cwd=copy, capture_output=True, text=True, timeout=100
    )
    assert_one_line_error(result, "task3.py", "t10k-images-idx3-ubyte.gz: SHA-256 is")


def test_a_console_that_cannot_print_lambda_costs_no_result(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    result = subprocess.run(
        [sys.executable, str(ROOT / "task3.py"), "--epochs", "1"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="cp1252",
        timeout=100,
    )
    assert (result.returncode, result.stderr) == (0, "")
    settings, header, ended = result.stdout.splitlines()[:3]
    assert settings == "not the assignment's settings: epochs 1"
    assert header.split("  ")[-1].strip() == "lambda = 0"
    assert header.index("lambda = 0") == ended.rindex("last epoch")
    assert files_in(tmp_path / "figures") == FIGURES["task3.py"]


@pytest.mark.parametrize(("rate", "notes"), [(10, 2), (0.05, 0)])
def test_a_run_that_ends_worse_than_it_began_says_so(run_here, monkeypatch, rate, notes):
    monkeypatch.setattr(task2, "draw", lambda trainers: {})
    result = run_here("task2.py", "--learning-rate", rate, "--epochs", 3)
    assert (result.returncode, result.stderr) == (0, "")
    assert (
        result.stdout.count("the validation loss never fell below its initial value, 0.6931")
        == notes
    )
