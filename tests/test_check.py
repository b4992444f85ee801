"""Checks solutions that are right, wrong, unfilled or hostile, as their authors would."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import utils
from check import CHECKS, FULL, __main__
from check.child import copy_solution, takes_lambda
from check.oracles import LOGISTIC, SOFTMAX, central_differences, right_model
from check.runner import Result, run_checks
from check.test_solution import stop_hint

ROOT = Path(utils.__file__).parent
SOLUTION = ROOT / "tests" / "check_solutions"
QUICK = [check for check in CHECKS if check != FULL]
TIMEOUT = 100
# By one of the three made-up folders.
MISSED = ("one_hot", "l2_gradient", "train_step")

# Sets of mistakes, each in another check: file, text, what stands there instead, and the hint.
MISTAKES = {
    "first": {
        "preprocessing": ("task2a", "X / 127.5", "X / 128", "divided by 128: 255 becomes 0.992"),
        "logistic_outputs": ("task2a", "exp(-X", "exp(X", "the sign of X w is wrong"),
        "logistic_loss": ("task2a", "np.mean(losses)", "np.mean(losses, axis=0)", "one element"),
        "logistic_gradient": ("task2a", " / X.shape[0]", "", "20 times too large: its 1/N"),
        "logistic_accuracy": ("task2", ">= 0.5", "> 0.5", "ŷ = 0.5 counts as 1"),
        "one_hot": ("task3a", "Y.reshape(-1)", "Y", "Y has two dimensions"),
        "softmax_outputs": ("task3a", "e / e.sum(axis=1, keepdims=True)", "e", "add up to 1"),
        "softmax_loss": ("task3a", "np.log(outputs + 1e-15)) / targets.shape[0]",
                         "np.log(outputs + 1e-15))", "divide by the batch size"),
        "softmax_gradient": ("task3a", "-X.T", "X.T", "has the wrong sign"),
        "l2_gradient": ("task3a", "2 * self.l2", "self.l2", "λ Σ w² is 2λw; yours has λw"),
        "softmax_accuracy": ("task3", "targets.argmax(axis=1))", "targets.argmax(axis=1)) * 100",
                             "percent"),
        "train_step": ("task2", "return cross_entropy_loss(Y_batch, outputs)",
                       "return cross_entropy_loss(Y_batch, self.model.forward(X_batch))",
                       "loss after the update"),
        "validation": ("task3", "loss, accuracy_train, accuracy_val",
                       "loss, accuracy_val, accuracy_train", "first comes the accuracy on"),
    },
    "second": {
        "preprocessing": ("task2a", "X / 127.5 - 1", "2 * X / 255.0 - 1", "since NumPy 2"),
        "logistic_outputs": ("task2a", "exp(-X.dot(self.w)", "exp(-X.dot(self.w)[:, 0]",
                             "a dimension is lost"),
        "logistic_loss": ("task2a", "np.mean(losses)", "np.sum(losses)", "losses are summed"),
        "logistic_gradient": ("task2a", " / X.shape[0]", " / X.shape[0] ** 2", "once too often"),
        "softmax_loss": ("task3a", "-np.sum(targets", "np.sum(targets", "a minus in front"),
        "l2_gradient": ("task3a", "2 * self.l2_reg_lambda * self.w",
                        "2 * self.l2_reg_lambda * self.w / X.shape[0]", "batch size"),
        "softmax_accuracy": ("task3", ".argmax(axis=1) ==", ".argmax(axis=1) !=", "what is wrong"),
        "large_logits": ("task3a", "z - z.max(axis=1, keepdims=True)", "z", "inf / inf is NaN"),
        "train_step": ("task3", "w - self.learning_rate *", "w -", "learning rate is missing"),
        "validation": ("task2", "return loss, accuracy_train, accuracy_val",
                       "return loss, accuracy_train", "a tuple: loss, accuracy_train"),
    },
    "third": {
        "preprocessing": ("task2a", "np.concatenate((np.ones((X.shape[0], 1)), X), axis=1)", "X",
                          "the column of ones of the bias trick is not there"),
        "logistic_loss": ("task2a", " + (1 - targets) * np.log(1 - outputs)", "", "targets of 1"),
        "softmax_loss": ("task3a", "-np.sum(targets * np.log(outputs + 1e-15)) /",
                         "-np.mean(targets * np.log(outputs + 1e-15)) + 0 *", "over classes, too"),
        "l2_gradient": ("task3a", "+= 2 *", "+= 0 *", "a switch for it is off"),
        "large_logits": ("task2a", "1e-15, 1 - 1e-15", "0, 1", "0 · ln 0 is NaN"),
        "train_step": ("task3", "w - self", "w + self", "goes up the gradient"),
        "validation": ("task3", "self.Y_val, self.model.forward(self.X_val)",
                       "self.Y_train, self.model.forward(self.X_train)", "not that of the valid"),
        "early_stopping": ("trainer", "self.model.w.copy()", "self.model.w", "w.copy()"),
    },
}  # fmt: skip
CASES = [(group, check) for group, mistakes in MISTAKES.items() for check in mistakes]


def solution(folder, *edits):
    """Copy the solution that is right and edit the copy: (file, text, other text)."""
    shutil.copytree(SOLUTION, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for module, text, other in edits:
        path = folder / f"{module}.py"
        source = path.read_text(encoding="utf-8")
        assert text in source
        path.write_text(source.replace(text, other), encoding="utf-8")
    return folder


def checks_of(group):
    return list(CHECKS) if FULL in MISTAKES[group] else QUICK


def contents(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def statuses(results):
    return {check: result.status for check, result in results.items()}


def run_python(*arguments):
    # What is set for the outer pytest is no matter of the inner one.
    outer = ("PYTEST", "PYTHONDONTWRITEBYTECODE")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(outer)}
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Run the checks once for each set of mistakes."""
    runs = {}

    def find(group):
        if group not in runs:
            edits = [mistake[:3] for mistake in MISTAKES[group].values()]
            folder = solution(tmp_path_factory.mktemp("wrong") / group, *edits)
            runs[group] = run_checks(folder, checks_of(group), TIMEOUT)
        return runs[group]

    return find


@pytest.mark.parametrize(("group", "check"), CASES)
def test_a_mistake_fails_its_check_with_a_hint(found, group, check):
    result = found(group)[check]
    assert result.status == "failed"
    assert MISTAKES[group][check][3] in " ".join(result.text.split())


@pytest.mark.parametrize("group", MISTAKES)
def test_a_mistake_fails_no_other_check(found, group):
    checks = checks_of(group)
    expected = {check: "failed" if check in MISTAKES[group] else "passed" for check in checks}
    assert statuses(found(group)) == expected


def test_a_failure_says_what_was_called_what_came_back_and_what_was_expected(found):
    text = found("first")["logistic_loss"].text
    words = [line.split()[0] for line in text.splitlines() if not line.startswith(" ")]
    assert words == ["called", "returned", "expected", "hint"]
    assert all(len(line) <= 71 for line in text.splitlines())
    called, returned, expected = re.findall(r"(?:called|returned|expected) +(.*)", text)
    assert called.startswith("task2a.cross_entropy_loss(targets, outputs)")
    assert returned.removeprefix("array of shape (1,): ") == expected


def test_our_own_solution_passes_every_check_even_where_python_leaves_out_assertions(monkeypatch):
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    process = run_python("check", ".", "--full")
    assert process.stderr == ""
    *lines, total = process.stdout.splitlines()
    assert lines == [f"passed   {check}" for check in CHECKS]
    assert total == "15 of 15 checks passed"
    assert process.returncode == 0


def test_what_the_course_allows_passes(tmp_path):
    folder = solution(
        tmp_path / "solution",
        # The script trains when it is imported, with MNIST from its old address.
        ("task2", 'if __name__ == "__main__":', 'if plt.switch_backend("agg") is None:'),
        ("task2", "import numpy as np", "import matplotlib\nimport matplotlib.pyplot as plt\n"
         "matplotlib.use('TkAgg')\nimport numpy as np"),
        ("task3a", "np.zeros((785, self.num_outputs))", "np.zeros((785, 10), dtype=np.float32)"),
        ("task3a", "return -np.sum(", "return np.array(-1.0) * np.sum("),
        ("task3a", "np.eye(num_classes)", "np.eye(num_classes, dtype=np.uint8)"),
        ("task3a", "(self, l2_reg_lambda)", "(self, l2_reg_lambda=0)"),
        ("task2a", "def __init__(self)", "def __init__(self, l2_reg_lambda)"),
        ("task2", "BinaryModel()", "BinaryModel(0.0)"),
        ("task2a", "X / 127.5 - 1", "X.astype(np.float32) / 127.5 - 1"),
    )  # fmt: skip
    before = contents(folder)
    assert statuses(run_checks(folder, QUICK, TIMEOUT)) == dict.fromkeys(QUICK, "passed")
    assert contents(folder) == before


def test_early_stopping_tells_whether_the_best_weights_are_kept(found):
    text = " ".join(found("third")[FULL].text.split())
    assert "stopped at step 1038 with those of step 1038" in text


def test_a_run_that_stops_elsewhere_is_told_where_it_should():
    assert "nothing has stopped it" in stop_hint(1239, 1240)
    assert "not at the end of the epoch" in stop_hint(1053, 1240)
    assert "10 validations old at 1038" in stop_hint(1044, 1240)


def test_unfilled_starter_code_is_missing_and_not_failed(tmp_path, monkeypatch):
    # What somebody has set for their own tests is no matter of these.
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    folder = solution(
        tmp_path / "solution",
        ("task2a", "    X = X / 127.5 - 1\n", "    return X\n"),
        ("task2a", "    assert targets.shape == outputs.shape\n    outputs", "    raise"
         " NotImplementedError\n    outputs"),
        ("task2a", "        return 1 / (1 + np.exp(-X.dot(self.w)))", "        return None"),
        ("task2a", "-X.T.dot(targets - outputs) / X.shape[0]", "np.zeros_like(self.w)"),
        ("task3a", "assert targets.shape == outputs", "raise NotImplementedError\n    outputs"),
        ("task3a", "        return e / e.sum(axis=1, keepdims=True)", "        return None"),
        ("task3a", "-X.T.dot(targets - outputs) / X.shape[0]", "None\n        return"),
        ("task3a", "return np.eye", "raise NotImplementedError\n    return np.eye"),
        ("task2", "    return np.mean(", "    return 0.0\n    return np.mean("),
        ("task2", "outputs = self.model.forward(X_batch)", "loss = 0\n        return loss"),
    )  # fmt: skip
    (folder / "task3.py").unlink()
    results = run_checks(folder, QUICK, TIMEOUT)
    assert statuses(results) == dict.fromkeys(QUICK, "missing")
    assert results["softmax_accuracy"].text == "task3.py is not there"
    assert "NotImplementedError" in results["one_hot"].text


def test_a_crash_costs_only_the_checks_that_need_what_crashed(tmp_path):
    folder = solution(
        tmp_path / "solution",
        ("task2", "np.random.seed(0)", "import os; os.abort()"),
        ("task3", "import numpy as np", "import numpy as np\nnp.empty(5 << 27)"),
        ("task2a", "np.random.seed(1)", "open('task2a.py', 'w').close()"),
    )
    before = contents(folder)
    results = run_checks(folder, QUICK, TIMEOUT)
    concerned = {"logistic_accuracy", "softmax_accuracy", "train_step", "validation"}
    assert statuses(results) == {c: "error" if c in concerned else "passed" for c in QUICK}
    assert "SIGABRT" in results["train_step"].text
    assert "while task2.py was imported" in results["train_step"].text
    assert "Unable to allocate" in " ".join(results["softmax_accuracy"].text.split())
    assert contents(folder) == before


def test_what_the_code_raises_is_shown_with_its_place(tmp_path):
    folder = solution(
        tmp_path / "solution",
        ("task2a", "np.random.seed(1)", "raise SystemExit"),
        ("task2", "class LogisticTrainer(BaseTrainer):", "class LogisticTrainer(BaseTrainer)"),
        ("task3a", "import numpy as np", "import numpy as np\nanswer = input('how many? ')"),
    )
    checks = ["preprocessing", "logistic_accuracy", "one_hot"]
    results = run_checks(folder, checks, TIMEOUT)
    assert set(statuses(results).values()) == {"error"}
    texts = [" ".join(result.text.split()) for result in results.values()]
    assert "SystemExit" in texts[0]
    assert "where task2a.py, line 3" in texts[0]
    assert "SyntaxError" in texts[1]
    assert "where task2.py, line 1" in texts[1]
    assert "it reads from the keyboard" in texts[2]


def test_what_hangs_is_stopped_with_all_that_it_has_started(tmp_path):
    folder = tmp_path / "solution"
    folder.mkdir()
    pid = tmp_path / "pid"
    (folder / "task2a.py").write_text(
        "import pathlib, subprocess, sys\n"
        "process = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(process.pid))\n"
        "__import__('time').sleep(1000)\n"
    )
    results = run_checks(folder, ["preprocessing", "logistic_loss"], 2)
    assert statuses(results) == {"preprocessing": "timeout", "logistic_loss": "timeout"}
    if pid.exists():
        state = Path("/proc", pid.read_text(), "stat")
        assert not state.exists() or state.read_text().split()[2] == "Z"


def test_words_and_lost_columns_are_wrong_answers_and_not_crashes(tmp_path):
    edits = [
        ("task2a", "return np.mean(losses)", 'return "x"'),
        ("task3a", "return e / e.sum(axis=1, keepdims=True)", 'return "abc"'),
        ("task3a", "return np.eye(num_classes)[Y.reshape(-1)]", "return Y.reshape(-1)"),
    ]
    folder = solution(tmp_path / "solution", *edits)
    results = run_checks(folder, ["logistic_loss", "one_hot", "softmax_outputs"], TIMEOUT)
    assert set(statuses(results).values()) == {"failed"}
    assert "returned  str 'x'" in results["logistic_loss"].text
    assert "returned  str 'abc'" in results["softmax_outputs"].text
    assert "returned  int64 of shape (100,)" in results["one_hot"].text
    assert "a dimension is lost" in results["one_hot"].text


def test_an_error_that_cannot_say_what_it_is_is_named_with_its_place(tmp_path):
    begin = "def cross_entropy_loss(targets, outputs):\n"
    mute = f"class Mute(Exception):\n    __str__ = None\n\n\n{begin}    raise Mute\n"
    folder = solution(tmp_path / "solution", ("task2a", begin, mute))
    [result] = run_checks(folder, ["logistic_loss"], TIMEOUT).values()
    assert result.status == "error"
    assert "in cross_entropy_loss" in result.text


def test_pytest_runs_the_same_checks(tmp_path):
    folder = solution(tmp_path / "solution", MISTAKES["first"]["l2_gradient"][:3])
    # pytest reads it from the original, before the copy is made.
    (folder / "tests").mkdir()
    (folder / "tests" / "conftest.py").write_text("import task3a\n")
    process = run_python("pytest", "check", "--solution", folder, "-k", "l2 or one_hot")
    assert process.returncode == 1
    assert "1 failed, 1 passed, 13 deselected" in process.stdout
    assert "the gradient of λ Σ w² is 2λw; yours has λw" in process.stdout
    assert "FAILED check/test_solution.py::test_l2_gradient" in process.stdout
    assert not list(folder.rglob("__pycache__"))


def test_a_csv_file_does_not_replace_what_is_checked(tmp_path):
    folder = solution(tmp_path / "solution")
    before = (folder / "task2a.py").read_bytes()
    with pytest.raises(ValueError, match="expected a file outside of what is checked"):
        __main__.main(["--csv", str(folder / "task2a.py"), str(folder)])
    assert (folder / "task2a.py").read_bytes() == before


def test_pytest_without_a_solution_asks_for_one():
    process = run_python("pytest", "check")
    assert process.returncode == pytest.ExitCode.USAGE_ERROR
    assert "the following arguments are required: --solution" in process.stderr


@pytest.fixture
def three(tmp_path, monkeypatch):
    """Make three folders whose results are known."""
    monkeypatch.chdir(tmp_path)
    results = {
        "anna": {},
        "ben": {"l2_gradient": Result("failed", "called    it\nhint      2λw")},
        "cleo": {"train_step": Result("timeout", "not done"), "one_hot": Result("missing", "no")},
    }
    for name in results:
        Path(name).mkdir()
        Path(name, "task2a.py").touch()

    def run(folder, checks, timeout):
        assert timeout == 7
        return {
            check: results.get(folder.name, {}).get(check, Result("passed")) for check in checks
        }

    monkeypatch.setattr(__main__, "run_checks", run)


def test_several_folders_make_a_table_and_counts(three, capsys):
    assert __main__.main(["anna", "ben", "cleo", "--timeout", "7"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [str(number) for number in range(1, 15)]
    assert [line.split() for line in lines[1:4]] == [
        ["anna", *"." * 14],
        ["ben", *".........F...."],
        ["cleo", *".....-......T."],
    ]
    assert [line.split() for line in lines[-14:]] == [
        [str(number), check, "2" if check in MISSED else "3", "of", "3", "passed"]
        for number, check in enumerate(QUICK, start=1)
    ]
    assert max(map(len, lines)) <= 80


def test_a_single_folder_makes_a_line_for_each_check_and_says_why(three, capsys):
    assert __main__.main(["anna", "--timeout", "7"]) == 0
    assert __main__.main(["ben", "--timeout", "7"]) == 1
    lines = capsys.readouterr().out.splitlines()[len(QUICK) + 1 :]
    start = QUICK.index("l2_gradient")
    assert lines[start : start + 3] == [
        "failed   l2_gradient",
        "         called    it",
        "         hint      2λw",
    ]
    assert lines[-1] == "13 of 14 checks passed"


def test_the_csv_file_has_a_row_for_each_folder(three, capsys):
    __main__.main(["ben", "cleo", "--full", "--csv", "out/all.csv", "--timeout", "7"])
    with open("out/all.csv", newline="") as file:
        header, ben, cleo = csv.reader(file)
    assert header == ["folder", *CHECKS]
    assert ben == ["ben", *("failed" if c == "l2_gradient" else "passed" for c in CHECKS)]
    assert cleo[1:] == [
        {"one_hot": "missing", "train_step": "timeout"}.get(c, "passed") for c in CHECKS
    ]
    assert [path.name for path in Path("out").iterdir()] == ["all.csv"]


def test_what_is_no_solution_is_said_and_the_others_are_checked(three, capsys):
    Path("empty").mkdir()
    assert __main__.main(["nowhere", "anna", "empty", "--timeout", "7", "--csv", "all.csv"]) == 2
    out, err = capsys.readouterr()
    assert "nowhere: is no folder" in err
    assert "empty: has none of the course's files" in err
    assert out.splitlines()[1].split() == ["anna", *"." * 14]
    assert __main__.main(["nowhere", "--csv", "other.csv"]) == 2
    assert not Path("other.csv").exists()


def test_a_folder_above_the_solution_is_told_where_it_is(three, capsys):
    assert __main__.main(["."]) == 2
    assert (
        ".: has none of the course's files, such as task2a.py; anna has" in capsys.readouterr().err
    )


@pytest.mark.parametrize("kind", [LOGISTIC, SOFTMAX], ids=["logistic", "softmax"])
def test_central_differences_agree_with_the_derivation(kind):
    X, targets, w = kind.samples(20)
    model = right_model(kind, object)()
    model.w = w
    model.backward(X, model.forward(X), targets)
    differences = central_differences(kind, X, targets, w)
    np.testing.assert_allclose(differences, model.grad, rtol=0, atol=1e-8)


def test_a_copy_leaves_out_what_is_no_part_of_a_solution(tmp_path):
    folder = tmp_path / "solution"
    for name in ("data", ".git", "venv", "__pycache__"):
        (folder / name).mkdir(parents=True)
    (folder / "venv" / "pyvenv.cfg").touch()
    (folder / "data" / "labels").write_text("7")
    (folder / "again").symlink_to(folder)
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    (folder / "elsewhere").symlink_to(folder / "data")
    os.mkfifo(folder / "pipe")
    copy_solution(folder, tmp_path / "copy")
    copied = {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*")}
    assert copied == {"data", "data/labels", "elsewhere", "elsewhere/labels"}


def test_the_penalty_may_have_several_names():
    def model(*parameters):
        namespace = {}
        exec(f"class Model:\n    def __init__(self, {', '.join(parameters)}): pass", namespace)
        return namespace["Model"]

    assert takes_lambda(model("l2_reg_lambda")) == "l2_reg_lambda"
    assert takes_lambda(model("I=785", "reg=0")) == "reg"
    assert takes_lambda(model("strength")) == "strength"
    assert takes_lambda(model("I=785")) is None
