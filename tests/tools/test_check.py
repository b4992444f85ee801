"""Checks solutions that are right, wrong, unfilled or hostile, as their authors would."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import utils
from common.errors import FileError, InputError
from tools.check import CHECKS, FULL, __main__, mistakes, runner, sandbox
from tools.check.answers import agree, find_mistake, require, require_result
from tools.check.arguments import call, takes_lambda
from tools.check.folders import copy_solution, find_solution
from tools.check.oracles import LOGISTIC, SOFTMAX
from tools.check.runner import Result

ROOT = Path(utils.__file__).parent
SOLUTION = ROOT / "tests" / "tools" / "check_solutions"
QUICK = [check for check in CHECKS if check not in FULL]
TIMEOUT = 100
CHECK_NAMES = """preprocessing binary_dataset
logistic_initial_w logistic_outputs logistic_loss logistic_gradient logistic_large_logits
logistic_accuracy logistic_train_step logistic_validation
one_hot softmax_initial_w softmax_outputs softmax_loss softmax_gradient l2_gradient
softmax_large_logits softmax_accuracy softmax_train_step softmax_validation
validation_steps batch_loader early_stopping best_weights"""
# By one of the three made-up folders.
MISSED = ("one_hot", "l2_gradient", "softmax_train_step")

# Sets of mistakes, each in another check: file, text, its replacement, and the hint.
ONES = "np.concatenate((np.ones((X.shape[0], 1)), X), axis=1)"
LOSS = "targets * np.log(outputs) + (1 - targets) * np.log(1 - outputs)"
BEST = "best_loss, since_best, best_w = loss, 0, self.model.w.copy()"
MISTAKES = {
    "first": {
        "preprocessing": ("task2a", "X / 127.5", "X / 128", "divided by 128, not by 127.5"),
        "logistic_outputs": ("task2a", "exp(-X", "exp(X", "exp(z) and exp(-z) are exchanged"),
        "logistic_loss": ("task2a", "np.mean(losses)", "np.mean(losses, axis=0)", "one element"),
        "logistic_gradient": ("task2a", " / X.shape[0]", "", "20 times too large: its 1/N"),
        "logistic_accuracy": ("task2", ">= 0.5", "> 0.5", "> and np.round make it 0"),
        "logistic_train_step": ("task2", "return cross_entropy_loss(Y_batch, outputs)",
                                "return cross_entropy_loss(Y_batch, self.model.forward(X_batch))",
                                "this is the loss after the update"),
        "one_hot": ("task3a", "Y.reshape(-1)", "Y", "one axis too many"),
        "softmax_outputs": ("task3a", "e / e.sum(axis=1, keepdims=True)",
                            "e / (e.sum(axis=0) + 1e-99)", "the sum is over axis=1, not 0"),
        "softmax_loss": ("task3a", "np.log(outputs + 1e-15)) / targets.shape[0]",
                         "np.log(outputs + 1e-15))", "divide by the batch size"),
        "softmax_gradient": ("task3a", "-X.T", "X.T", "has the wrong sign"),
        "l2_gradient": ("task3a", "2 * self.l2", "self.l2",
                        "the gradient of λ Σ w² is 2λw; yours has λw. That would be right for"
                        " ½ λ Σ w²: --penalty half"),
        "softmax_accuracy": ("task3", "targets.argmax(axis=1))", "targets.argmax(axis=1)) * 100",
                             "not a percentage"),
        "softmax_validation": ("task3", "loss, accuracy_train, accuracy_val",
                               "loss, accuracy_val, accuracy_train",
                               "the two accuracies are exchanged"),
        "best_weights": ("trainer", "self.model.w.copy()", "self.model.w", "w.copy()"),
    },
    "second": {
        "preprocessing": ("task2a", "X / 127.5 - 1", "2 * X / 255.0 - 1", "2 * 200 is 144"),
        "binary_dataset": ("utils", "(Y[:, None] == class1)", "(Y[:, None] == class2)",
                           "1 is the first class, 2"),
        "logistic_initial_w": ("task2a", "np.zeros((self.I, 1))",
                               "np.random.normal(0, 0.01, (self.I, 1))", "starts at zero"),
        "logistic_loss": ("task2a", "np.mean(losses)", "np.sum(losses)", "losses are summed"),
        "logistic_gradient": ("task2a", " / X.shape[0]", " / X.shape[0] ** 2", "once too often"),
        "logistic_accuracy": ("task2", "(model.forward(X) >= 0.5) == targets",
                              "np.isclose(targets, model.forward(X), atol=0.5)",
                              "take it as right for both targets"),
        "softmax_loss": ("task3a", "-np.sum(targets * np.log(outputs + 1e-15)) /",
                         "-np.mean(np.sum(targets * np.log(outputs + 1e-15), axis=0)) + 0 *",
                         "sum over axis 1, mean over axis 0"),
        "l2_gradient": ("task3a", "2 * self.l2_reg_lambda * self.w",
                        "2 * self.l2_reg_lambda * self.w / X.shape[0]", "batch size"),
        "softmax_large_logits": ("task3a", "z - z.max(axis=1, keepdims=True)", "z",
                                 "subtract the largest logit"),
        "softmax_train_step": ("task3", "w - self", "w + self", "the step has the wrong sign"),
        "validation_steps": ("trainer", "step % steps_per_validation == 0", "step >= 0",
                             "validations come after every step"),
        "batch_loader": ("utils", " if drop_last else -(-len(X) // batch_size)", "",
                         "drop_last=False"),
        "best_weights": ("trainer", BEST, "best_loss, since_best = loss, 0\n"
                         "                    if accuracy_val > max([*val_history['accuracy']"
                         ".values()][:-1], default=0):\n                        best_w ="
                         " self.model.w.copy()",
                         "the best validation accuracy; expected the best loss"),
    },
    "third": {
        "preprocessing": ("task2a", ONES, "X", "the column of ones of the bias trick is missing"),
        "logistic_loss": ("task2a", "return np.mean(losses)",
                          "kept = 0 * targets\n    kept[:] = losses\n    return kept.mean()",
                          "np.zeros_like(targets)"),
        "logistic_large_logits": ("task2a", "1e-15, 1 - 1e-15", "0, 1", "np.clip(outputs"),
        "logistic_accuracy": ("task2", "(model.forward(X) >= 0.5) == targets",
                              "abs(targets - model.forward(X)) < 0.5", "right for neither"),
        "softmax_loss": ("task3a", "-np.sum(targets * np.log(outputs + 1e-15)) /",
                         "-np.mean(targets * np.log(outputs + 1e-15)) + 0 *", "over classes, too"),
        "l2_gradient": ("task3a", "+= 2 *", "+= 0 *", "a switch for it is off"),
        "batch_loader": ("utils", "    if shuffle:\n", "    if True:\n", "it always shuffles"),
        "early_stopping": ("trainer", "since_best == 10", "since_best == 20",
                           "20 validations after the best one"),
    },
    "fourth": {
        # The ones are appended before the pixels are scaled.
        "preprocessing": ("task2a", ONES, "np.insert((X + 1) * 127.5, 784, 1, axis=1) / 127.5 - 1",
                          "the ones of the bias trick are scaled, too"),
        "logistic_loss": ("task2a", "np.log(", "np.log10(", "the logarithm is log10"),
        "logistic_gradient": ("task2a", "-X.T", "-2 * X.T", "twice as large"),
        "logistic_accuracy": ("task2", "(model.forward(X) >= 0.5) == targets",
                              "model.forward(X) > 0.5", "whatever the targets are"),
        "logistic_train_step": ("task2", "w -= self", "w += self", "wrong sign"),
        "one_hot": ("task3a", "Y.reshape(-1)", "Y.reshape(-1) - 1", "too far to the left"),
        "softmax_initial_w": ("task3a", "np.zeros((785", "np.ones((785", "starts at zero"),
        "softmax_outputs": ("task3a", "e.sum(axis=1, keepdims=True)", "e.sum()",
                            "the outputs of the whole batch add up to 1"),
        "softmax_gradient": ("task3a", "-X.T", "-2 * X.T", "twice as large"),
        "l2_gradient": ("task3a", "self.grad += 2 * self.l2_reg_lambda * self.w",
                        "self.grad[1:] += 2 * self.l2_reg_lambda * self.w[1:]",
                        "leaves out the bias"),
        "softmax_accuracy": ("task3", "model.forward(X).argmax(axis=1) == targets.argmax(axis=1)",
                             "(np.round(model.forward(X)) == targets).all(axis=1)",
                             "take the argmax of each row"),
        "validation_steps": ("trainer", "steps_per_validation == 0", "steps_per_validation == 1",
                             "counting from 0"),
        "batch_loader": ("utils", "yield X[batch], Y[batch]", "yield X[batch], Y[np.sort(batch)]",
                         "samples with the targets of others"),
    },
    "fifth": {
        "preprocessing": ("task2a", "X = X / 127.5 - 1",
                          "X = 2.0 * X / X.max(axis=1, keepdims=True) - 1",
                          "each image is scaled by its own largest value"),
        "logistic_loss": ("task2a", LOSS, "outputs * np.log(targets + 1e-9) + (1 - outputs)"
                          " * np.log(1 - targets + 1e-9)", "outputs and targets are exchanged"),
        "softmax_loss": ("task3a", "targets * np.log(outputs + 1e-15)",
                         "outputs * np.log(targets + 1e-12)", "outputs and targets are exchanged"),
        "l2_gradient": ("task3a", "self.grad += 2", "self.grad -= 2", "has the wrong sign"),
        "softmax_accuracy": ("task3", "argmax(axis=1)", "argmax(axis=0)", "argmax is over samples"),
        "validation_steps": ("trainer", "step += 1", "step += 2", "step goes up twice a batch"),
        "batch_loader": ("utils", "np.random.shuffle(indices)",
                         "indices = np.random.choice(indices, len(X))", "some samples twice"),
    },
    "sixth": {
        "preprocessing": ("task2a", "X / 127.5 - 1", "X / 255", "scaled to 0…1"),
        "logistic_loss": ("task2a", " + (1 - targets) * np.log(1 - outputs)", "",
                          "half of the loss is missing"),
        "validation_steps": ("trainer", "step, best_loss, since_best, best_w = 0",
                             "step, best_loss, since_best, best_w = 1",
                             "counts steps from 0"),
        "batch_loader": ("utils", "    if shuffle:\n", "    if not shuffle:\n",
                         "the wrong way round"),
    },
    "seventh": {
        "preprocessing": ("task2a", "np.ones((X", "np.zeros((X", "holds zeros instead of ones"),
        "batch_loader": ("utils", "np.random.shuffle", "np.random.RandomState(0).shuffle",
                         "the same order in every epoch"),
        "early_stopping": ("trainer", "since_best += 1\n                    if loss < best_loss:\n"
                           "                        best_loss, since_best, best_w = loss, 0,",
                           "since_best += loss >= best_loss\n                    if loss <"
                           " best_loss:\n                        best_loss, best_w = loss,",
                           "an improvement does not reset the count"),
    },
    "eighth": {
        "preprocessing": ("task2a", ONES, "np.insert(X, 5, 1, axis=1)",
                          "neither the first nor the last"),
    },
    "ninth": {
        "preprocessing": ("task2a", "return " + ONES, "X[:, -1] = 1\n    return X",
                          "overwrite a column of pixels"),
    },
}  # fmt: skip
CASES = [(group, check) for group, edits in MISTAKES.items() for check in edits]
# Those that no text of the course calls mistakes, or not every text.
ADVICE = {
    ("first", "logistic_loss"),
    ("second", "softmax_large_logits"),
    ("third", "logistic_large_logits"),
    ("sixth", "validation_steps"),
    ("first", "best_weights"),
    ("second", "best_weights"),
}


def status_of(group, check):
    return "advice" if (group, check) in ADVICE else "failed"


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
    if group not in ("first", "second", "third"):  # Those have shown that other checks pass.
        return [*MISTAKES[group]]
    return list(CHECKS) if {*FULL} & {*MISTAKES[group]} else QUICK


def run_checks(folder, checks, timeout=TIMEOUT, options=(), in_sandbox=False):
    return runner.run_checks(folder, checks, timeout, options, in_sandbox)


def contents(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def statuses(results):
    return {check: result.status for check, result in results.items()}


def run_python(*arguments):
    # Settings of the outer pytest must not reach the inner one.
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
    assert result.status == status_of(group, check)
    assert MISTAKES[group][check][3] in " ".join(result.text.split())


@pytest.mark.parametrize("group", MISTAKES)
def test_a_mistake_fails_no_other_check(found, group):
    checks = checks_of(group)
    wrong = MISTAKES[group]
    expected = {c: status_of(group, c) if c in wrong else "passed" for c in checks}
    assert statuses(found(group)) == expected


def test_a_failure_says_what_was_called_what_came_back_and_what_was_expected(found):
    text = found("second")["logistic_loss"].text
    words = [line.split()[0] for line in text.splitlines() if not line.startswith(" ")]
    assert words == ["called", "returned", "expected", "hint"]
    assert all(len(line) <= 71 for line in text.splitlines())
    called, returned, expected = re.findall(r"^(?:called|returned|expected) +(.*)", text, re.M)
    assert called.startswith("task2a.cross_entropy_loss(targets, outputs)")
    assert float(returned) == pytest.approx(100 * float(expected))


def test_our_own_solution_passes_every_check():
    process = run_python("tools.check", ".", "--full")
    assert process.stderr == ""
    first, *lines, total = process.stdout.splitlines()
    assert first.startswith("No sandbox: bubblewrap" if sandbox.problem() else "In a sandbox")
    assert lines == [f"passed   {check}" for check in CHECK_NAMES.split()]
    assert total == "24 of 24 checks passed"
    assert process.returncode == 0


def test_what_the_course_allows_passes(tmp_path):
    folder = solution(
        tmp_path / "solution",
        # It loads MNIST when it is imported, by its own `mnist` that cannot, and trains.
        ("task2", "np.random.seed(0)", "data = utils.load_binary_dataset(2, 3)"),
        ("task2", 'if __name__ == "__main__":', "HALF = 0.5\nfrom math import floor\n"
         "run = train()\nother = run + 1\nif run:"),
        ("task2", ">= 0.5", ">= HALF + floor(HALF)"),
        ("task2", "import numpy as np", "import matplotlib\nimport matplotlib.pyplot as plt\n"
         "matplotlib.use('TkAgg')\nimport numpy as np"),
        ("task3a", "np.zeros((785, self.num_outputs))", "np.zeros((785, 10), dtype=np.float32)"),
        ("task3a", "return -np.sum(", "return np.array(-1.0) * np.sum("),
        ("task3a", "np.eye(num_classes)", "np.eye(num_classes, dtype=np.uint8)"),
        ("task3a", "(self, l2_reg_lambda)", "(self, l2_reg_lambda=0)"),
        ("task2a", "def __init__(self)", "def __init__(self, l2_reg_lambda)"),
        ("task2", "BinaryModel()", "BinaryModel(0.0)"),
        ("task2a", "X / 127.5 - 1", "X.astype(np.float32) / 127.5 - 1"),
        ("trainer", "train(self, num_epochs)", "train(self, num_epochs, early_stopping=False)"),
        ("trainer", "if since_best == 10", "if early_stopping and since_best == 10"),
        # It uses what `backward` returns, besides the gradient that it sets.
        ("task3a", "self.grad += 2 * self.l2_reg_lambda * self.w", "self.grad += 2 *"
         " self.l2_reg_lambda * self.w\n        return self.grad"),
        ("task3", "self.model.backward(X_batch, outputs, Y_batch)",
         "grad = self.model.backward(X_batch, outputs, Y_batch)"),
        ("task3", "self.learning_rate * self.model.grad", "self.learning_rate * grad"),
    )  # fmt: skip
    # No check needs this module, whose import would fail.
    unneeded = "class Model:\n    def backward(self): pass\nraise ValueError\ndef f(): pass\n"
    (folder / "task4.py").write_text(unneeded)
    before = contents(folder)
    assert statuses(run_checks(folder, list(CHECKS), TIMEOUT)) == dict.fromkeys(CHECKS, "passed")
    assert contents(folder) == before


def test_early_stopping_and_best_weights_name_the_steps(found):
    text = " ".join(found("first")["best_weights"].text.split())
    assert "expected those of step 978, which has the best validation loss" in text
    text = " ".join(found("third")["early_stopping"].text.split())
    assert "expected the last step was 1038, counted from 0" in text


def test_unfilled_starter_code_is_missing_and_not_failed(tmp_path, monkeypatch):
    # A user's settings for their own tests must not reach these.
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
        ("utils", "np.random.shuffle(indices)", "pass"),
    )  # fmt: skip
    (folder / "task3.py").unlink()
    results = run_checks(folder, QUICK, TIMEOUT)
    passed = (*PROVIDED, "logistic_initial_w", "softmax_initial_w")
    assert statuses(results) == {c: "passed" if c in passed else "missing" for c in QUICK}
    assert results["softmax_accuracy"].text == "task3.py is missing"
    assert "uses none of its arguments" in results["one_hot"].text


# The checks of what the course hands out complete.
PROVIDED = ("binary_dataset", "logistic_validation", "validation_steps")
# As the course hands it out, in short: sizes of None, losses of 0, models that return nothing.
STARTER = {
    "task2a": """
        import numpy as np
        import utils

        def pre_process_images(X):
            return X

        def cross_entropy_loss(targets, outputs):
            assert targets.shape == outputs.shape
            return 0

        class BinaryModel:
            def __init__(self):
                self.I = None
                self.w = np.zeros((self.I, 1))

            def forward(self, X):
                return None

            def backward(self, X, outputs, targets):
                self.grad = np.zeros_like(self.w)
        """,
    "task3a": """
        import numpy as np

        def cross_entropy_loss(targets, outputs):
            return 0.0

        class SoftmaxModel:
            def __init__(self, l2_reg_lambda):
                self.w = None
                self.grad = None

            def forward(self, X):
                return None

            def backward(self, X, outputs, targets):
                assert targets.shape == outputs.shape

        def one_hot_encode(Y, num_classes):
            raise NotImplementedError
        """,
}


def test_starter_code_with_sizes_of_none_and_losses_of_0_is_missing(tmp_path):
    folder = solution(
        tmp_path / "solution",
        ("task2", "    return np.mean(", "    return 0.0\n    return np.mean("),
        ("task3", "    return np.mean(", "    return 0.0\n    return np.mean("),
        ("utils", "np.random.shuffle(indices)", "pass"),
    )
    for module, text in STARTER.items():
        (folder / f"{module}.py").write_text(textwrap.dedent(text))
    results = run_checks(folder, list(CHECKS), TIMEOUT)
    # Among them what needs nothing of task 2, which is not filled in.
    passed = ("binary_dataset", "softmax_train_step", "softmax_validation")
    assert statuses(results) == {c: "passed" if c in passed else "missing" for c in CHECKS}
    assert "has a size of None" in results["logistic_initial_w"].text
    assert "uses none of its arguments, as in the starter code" in results["logistic_loss"].text


def test_a_trainer_that_nothing_can_stop_has_no_early_stopping(tmp_path):
    edit = ("trainer", "return train_history, val_history\n                step", "pass\n          "
            "      step")  # fmt: skip
    results = run_checks(solution(tmp_path / "solution", edit), list(FULL), TIMEOUT)
    assert statuses(results) == dict.fromkeys(FULL, "missing")
    assert "nothing has stopped" in results["early_stopping"].text


def test_what_was_taken_away_since_and_what_nothing_needs_is_there(tmp_path):
    folder = solution(
        tmp_path / "solution",
        ("task2a", "import numpy as np", "import numpy as np\nimport not_installed as it\n"
         "from not_there.at_all import something\nfrom numpy import Inf\nimport utils"),
        ("task2a", "def pre_process_images(X)", "def pre_process_images(X: it.Tensor | None)"),
        ("task2a", "X / 127.5", "X.astype(np.float) / 127.5"),
        ("task2a", "return 1 /", "return np.float_(1) /"),
        ("task2", "import utils", "import utils\nimport matplotlib.pyplot as plt\n"
         "plt.style.use('seaborn-white')"),
        ("task2", "self.model.w -= self.learning_rate * self.model.grad",
         "model.w -= learning_rate * model.grad + 0 * len(X_train)"),
        ("task3a", "import numpy as np", "import numpy as np\nfrom course.utils import batch_loader"
         "\ntry:\n    import perhaps\nexcept ImportError:\n    perhaps = None\n"
         "assert perhaps is None"),
        ("task3", "return np.mean(", "something.fit()\n    return np.mean("),
        ("task3", "import numpy as np", "import numpy as np\nfrom not_there import something"),
    )  # fmt: skip
    (folder / "mnist.py").unlink()
    # A folder of images is not a module.
    (folder / "mnist").mkdir()
    results = run_checks(folder, QUICK, TIMEOUT)
    advice = {
        "preprocessing": "np.Inf, in task2a.py, line 4 hint NumPy has removed it",
        "logistic_outputs": "np.float_, in task2a.py, line",
        "logistic_accuracy": "the style seaborn-white, in task2.py, line 5",
        "one_hot": "`import utils` is meant",
    }
    expected = {check: "advice" if check in advice else "passed" for check in QUICK}
    assert statuses(results) == expected | {"softmax_accuracy": "error"}
    for check, text in advice.items():
        assert text in " ".join(results[check].text.split())
    assert "Write float" in results["preprocessing"].text
    text = " ".join(results["softmax_accuracy"].text.split())
    assert "No module named 'not_there', and not_there.something.fit is used" in text
    assert "where task3.py, line" in text
    strict = run_checks(folder, ["preprocessing"], TIMEOUT, ["--strict-advice"])["preprocessing"]
    assert strict == Result("failed", results["preprocessing"].text)


def test_modules_of_a_solution_may_have_the_names_of_ours_and_of_libraries(tmp_path):
    folder = solution(
        tmp_path / "solution",
        # Its own, where the project and its tools have others.
        ("task2", "import utils", "import utils\nfrom common import HALF\nimport runs"),
        ("task2", ">= 0.5", ">= HALF * runs.ONE"),
        ("task3", "import numpy as np", "import numpy as np\nfrom tools.scores import argmax"),
        ("task3", "model.forward(X).argmax(axis=1)", "argmax(model.forward(X))"),
        # Libraries that are not installed, whose modules are called as one of the course's.
        ("task3a", "import numpy as np", "import numpy as np\nfrom keras.utils import"
         " to_categorical\nimport torch.utils as torch_tools"),
        ("task2a", "import numpy as np", "import numpy as np\nfrom assignment1.utils import *"),
        ("task2a", "np.random.seed(1)", "assert batch_loader and plot_loss"),
    )  # fmt: skip
    (folder / "common.py").write_text("HALF = 0.5\n")
    (folder / "runs").mkdir()
    (folder / "runs" / "__init__.py").write_text("ONE = 1\n")
    (folder / "tools").mkdir()
    (folder / "tools" / "__init__.py").touch()
    (folder / "tools" / "scores.py").write_text("def argmax(rows): return rows.argmax(axis=1)\n")
    (folder / "utils").mkdir()
    (folder / "utils.py").rename(folder / "utils" / "__init__.py")
    results = run_checks(folder, QUICK, TIMEOUT)
    assert statuses(results) == {c: "advice" if c == "preprocessing" else "passed" for c in QUICK}
    assert "`import utils` is meant" in " ".join(results["preprocessing"].text.split())


def test_what_a_solution_does_to_numpy_and_the_process_costs_no_other_check(tmp_path):
    folder = solution(
        tmp_path / "solution",
        ("task2a", "import numpy as np", "import numpy as np\nfrom numpy.core.numeric import"
         " Infinity\nfrom numpy.lib.function_base import average\n"
         "from numpy.linalg.linalg import norm\nnp.seterr(all='raise')\nnp.my_own = abs\n"
         "__import__('os').chdir('/')"),
        ("task2a", "np.mean(losses)",
         "average(np.minimum(losses, Infinity)) + norm([np.my_own(0)])"),
        # Among them what the checks use themselves.
        ("task3a", "e = np.exp(z - z.max(axis=1, keepdims=True))",
         "e = np.exp = np.max = np.abs = np.shape = 2 * z"),
        ("task3a", "assert targets.shape", "np.sum = len\n    assert targets.shape"),
        ("utils", "indices = np.arange(len(X))", "indices = np.arange(len(X))\n"
         "    import builtins\n    builtins.max = builtins.len = None"),
    )  # fmt: skip
    results = run_checks(folder, QUICK, TIMEOUT)
    expected = dict.fromkeys(QUICK, "passed") | {
        "preprocessing": "advice",
        "softmax_outputs": "failed",
        "softmax_loss": "failed",
        "batch_loader": "error",
    }
    assert statuses(results) == expected
    text = " ".join(results["preprocessing"].text.split())
    assert "np.Infinity, in task2a.py, line 2" in text
    assert "numpy.lib.function_base, in task2a.py, line 3" in text


def test_a_trainer_and_models_may_ask_for_more_than_the_courses(tmp_path):
    folder = solution(
        tmp_path / "solution",
        ("trainer", "shuffle_dataset, X_train", "shuffle_dataset, early_stop, X_train"),
        ("trainer", "self.model = model", "self.model, self.early_stop = model, early_stop"),
        ("trainer", "if since_best == 10", "if self.early_stop and since_best == 10"),
        ("trainer", "train(self, num_epochs)", "train(self, verbose, num_epochs)"),
        ("task2a", "__init__(self)", "__init__(self, num_features)"),
        ("task2a", "self.I = 785", "self.I = num_features"),
        ("task3a", "__init__(self, l2_reg_lambda)", "__init__(self, n_in, n_out, l2_reg_lambda)"),
        ("task3a", "self.num_outputs = 10", "self.num_outputs = n_out"),
        ("task3a", "np.zeros((785", "np.zeros((n_in"),
    )
    assert statuses(run_checks(folder, list(CHECKS))) == dict.fromkeys(CHECKS, "passed")


def test_a_function_that_gives_0_or_forgets_its_return_is_not_called_starter_code(tmp_path):
    folder = solution(
        tmp_path / "solution",
        ("task2", "return np.mean((model", "return 0 * np.mean((model"),
        ("task3", "return np.mean(model", "return 0 * np.mean(model"),
        ("task2a", "self.grad = -X.T", "self.grad = -0 * X.T"),
        ("task2a", "np.mean(losses)", "0 * np.mean(losses)"),
        ("task3a", "self.grad = -X.T", "pass\n        grad = -X.T"),
        ("task3a", "self.grad +=", "grad +="),
    )
    checks = [*(c for c in QUICK if c.endswith("accuracy")), "logistic_gradient", "logistic_loss"]
    results = run_checks(folder, [*checks, "softmax_gradient"])
    assert {results[check].status for check in checks} == {"failed"}
    assert "returned  0" in results["logistic_accuracy"].text
    assert results["softmax_gradient"] == Result(
        "missing", "SoftmaxModel.backward does not set .grad"
    )


def test_best_weights_fail_where_the_text_asks_for_them(tmp_path):
    edit = MISTAKES["first"]["best_weights"][:3]
    folder = solution(tmp_path / "solution", edit)
    options = ["--require-best-weights"]
    result = run_checks(folder, ["best_weights"], TIMEOUT, options)["best_weights"]
    assert result.status == "failed"
    assert "those of step 978, which has the best validation loss" in result.text


def test_a_course_file_that_is_not_there_costs_only_what_uses_it(tmp_path):
    edit = ("task3a", "import numpy as np", "import numpy as np\nfrom task2a import BinaryModel")
    folder = solution(tmp_path / "solution", edit)
    (folder / "task2a.py").rename(folder / "task_2a.py")
    (folder / "trainer.py").unlink()
    results = run_checks(folder, QUICK, TIMEOUT)
    there = {c for c in QUICK if c.startswith("softmax")} - {"softmax_accuracy"}
    there -= {"softmax_train_step", "softmax_validation"}
    there |= {"binary_dataset", "one_hot", "l2_gradient", "batch_loader"}
    assert statuses(results) == {c: "passed" if c in there else "missing" for c in QUICK}
    assert "did you mean task2a.py? There is task_2a.py" in results["preprocessing"].text
    assert "trainer.py is missing, and task3.py, line" in results["softmax_accuracy"].text


L2_MODEL = """
from task3a import SoftmaxModel


class Penalised(SoftmaxModel):
    def backward(self, X, outputs, targets):
        super().backward(X, outputs, targets)
        self.grad += self.l2_reg_lambda * self.w
"""


def test_the_penalty_may_be_in_a_model_of_task_4_and_be_half_as_large(tmp_path):
    edit = ("task3a", "        self.grad += 2 * self.l2_reg_lambda * self.w\n", "")
    folder = solution(tmp_path / "solution", edit)
    (folder / "task4.py").write_text(L2_MODEL)
    checks = ["l2_gradient", "softmax_accuracy"]
    half = run_checks(folder, checks, TIMEOUT, ["--penalty=half"])
    assert half["l2_gradient"] == Result("passed", "found     the penalty is in task4.Penalised")
    assert half["softmax_accuracy"] == Result("passed")
    (folder / "task4.py").write_text(L2_MODEL.replace("+= self", "+= 2 * self"))
    other = run_checks(folder, ["l2_gradient"], TIMEOUT, ["--penalty=half"])["l2_gradient"]
    assert "the gradient of ½ λ Σ w² is λw; yours has 2λw" in " ".join(other.text.split())


def test_what_the_edition_of_2020_asks_otherwise_is_advice(tmp_path):
    folder = solution(
        tmp_path / "solution",
        ("task2a", "X / 127.5 - 1", "X / 255"),
        ("task3a", ") / targets.shape[0]", ") / targets.size"),
        ("task3a", "-X.T.dot(targets - outputs) /", "-X.T.dot(targets - outputs) / 10 /"),
        ("task3", "from task3a", "from task4a"),
        ("task3", "from trainer import BaseTrainer", "BaseTrainer = object"),
        ("task2", "from trainer import BaseTrainer\n", "def train(num_epochs): pass\n"),
        ("task2", "class LogisticTrainer(BaseTrainer)", "class Unused"),
        ("task3", "class SoftmaxTrainer(BaseTrainer)", "class Unused"),
        ("utils", "def batch_loader", "def unused"),
        ("utils", "(class1, class2):", "(class1, class2, val_percentage):"),
    )
    (folder / "trainer.py").unlink()
    (folder / "task3a.py").rename(folder / "task4a.py")
    (folder / "task3.py").rename(folder / "task4.py")
    assert "files of 2020" in find_solution(folder)[1][0]
    results = run_checks(folder, QUICK, TIMEOUT)
    advice = {"preprocessing", "softmax_loss", "softmax_gradient"}
    not_there = {f"{kind}_{part}" for kind in ("logistic", "softmax")
                 for part in ("train_step", "validation")}  # fmt: skip
    not_there |= {"validation_steps", "batch_loader"}
    assert statuses(results) == {
        c: "advice" if c in advice else "missing" if c in not_there else "passed" for c in QUICK
    }
    assert all("2020" in results[check].text for check in advice)


def test_a_crash_costs_only_the_checks_that_need_what_crashed(tmp_path):
    folder = solution(
        tmp_path / "solution",
        ("task2", "np.random.seed(0)", "import os; os.abort()"),
        ("task3", "import numpy as np", "import numpy as np\nnp.empty(5 << 27)"),
        ("task2a", "np.random.seed(1)", "open('task2a.py', 'w').close()"),
    )
    before = contents(folder)
    results = run_checks(folder, QUICK, TIMEOUT)
    concerned = {c for c in QUICK if c.endswith(("accuracy", "train_step", "validation", "_steps"))}
    assert statuses(results) == {c: "error" if c in concerned else "passed" for c in QUICK}
    assert "SIGABRT" in results["logistic_train_step"].text
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
    assert "EOFError" in texts[2]
    assert "where task3a.py, line 2, in <module>" in texts[2]


def test_what_hangs_is_stopped_with_all_that_it_has_started(tmp_path):
    folder = tmp_path / "solution"
    folder.mkdir()
    pid = tmp_path / "pid"
    (folder / "task2a.py").write_text(
        "import pathlib, subprocess, sys\n"
        "process = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(process.pid))\n"
        "__import__('time').sleep(1000)\n"
        "def pre_process_images(X): pass\n"
    )
    # After the second timeout, the last one has no turn.
    checks = ["preprocessing", "logistic_loss", "one_hot"]
    assert statuses(run_checks(folder, checks, 1)) == dict.fromkeys(checks, "timeout")
    if pid.exists():
        wait_until(lambda: not is_running(f"/proc/{pid.read_text()}/stat"))


# Each attempt would harm the machine of whoever runs the check.
MALICE = """
import os, pathlib, resource, signal, socket
here = pathlib.Path({here!r})
for attempt in (
    lambda: (here / "written").touch(),
    lambda: (here / "read").write_text((here / "secret").read_text()),
    lambda: os.kill({pid}, signal.SIGKILL),
    lambda: socket.create_connection(("127.0.0.1", {port}), timeout=5),
):
    try:
        attempt()
    except OSError:
        pass
seen = (here / "secret").exists()
limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]


def pre_process_images(X):
    raise ValueError(f"sees the secret: {{seen}}, at most {{limit}} processes")
"""
needs_posix = pytest.mark.skipif(os.name == "nt", reason="signals, links and sh are needed")
needs_sandbox = pytest.mark.skipif(bool(sandbox.problem()), reason=sandbox.problem())


@needs_posix
@pytest.mark.parametrize("in_sandbox", [pytest.param(True, marks=needs_sandbox), False])
def test_malicious_code_does_no_harm_in_the_sandbox_only(tmp_path, in_sandbox):
    (tmp_path / "secret").write_text("secret")
    tmp_path.chmod(0o777)
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    folder = solution(tmp_path / "solution")
    (folder / "link").symlink_to(tmp_path / "secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        malice = MALICE.format(here=str(tmp_path), pid=victim.pid, port=port)
        (folder / "task2a.py").write_text(malice)
        before = {*tmp_path.iterdir()}
        result = run_checks(folder, ["preprocessing"], TIMEOUT, (), in_sandbox)["preprocessing"]
        server.settimeout(0.2)
        try:
            server.accept()[0].close()
            connected = True
        except TimeoutError:
            connected = False
    time.sleep(0.1)
    killed = victim.poll() is not None
    victim.kill()
    victim.wait()
    written = {path.name for path in {*tmp_path.iterdir()} - before}
    found = connected, killed, written, f"sees the secret: {not in_sandbox}" in result.text
    assert result.status == "error"
    assert ("at most 512 processes" in result.text) == in_sandbox
    assert found == ((False, False, set(), True) if in_sandbox else
                     (True, True, {"written", "read"}, True))  # fmt: skip


@needs_sandbox
def test_a_folder_that_forks_without_end_is_stopped_and_the_next_finds_all_it_needs(tmp_path):
    name = f"bomb-{os.getpid()}"
    bomb = solution(tmp_path / name, ("task2a", "np.random.seed(1)", "import os, time\n"
                    "while True:\n    try:\n        os.fork()\n    except OSError:\n"
                    "        time.sleep(0.2)"))  # fmt: skip
    good = solution(tmp_path / "good", ("task2", "np.random.seed(0)", "import matplotlib.pyplot as"
                    " plt\nplt.plot(utils.load_binary_dataset(2, 3)[1])\n"
                    "plt.savefig('figure.png')\n__import__('pathlib').Path('~/new')"
                    ".expanduser().touch()"))  # fmt: skip
    stopped = run_checks(bomb, ["preprocessing"], timeout=2, in_sandbox=True)
    assert statuses(stopped) == {"preprocessing": "timeout"}
    checks = ["logistic_accuracy", "logistic_train_step"]
    results = run_checks(good, checks, in_sandbox=True)
    assert statuses(results) == dict.fromkeys(checks, "passed")
    command = f"/copy/{name}".encode()
    proc = Path("/proc")
    wait_until(lambda: not any(command in read(path) for path in proc.glob("[0-9]*/cmdline")))


def wait_until(condition):
    """Wait until a condition holds; a kill takes a moment."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def is_running(stat):
    return read(Path(stat)).split()[2:3] not in ([], [b"Z"])


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


@needs_posix
def test_without_a_sandbox_the_first_line_says_why(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(__main__, "run_checks", no_checks)
    folder = solution(tmp_path / "solution")
    warning = "Run only code that you would run yourself."
    reason = "No permissions to create namespaces"
    (tmp_path / "bwrap").write_text(f"#!/bin/sh\necho {reason} >&2; exit 1")
    (tmp_path / "bwrap").chmod(0o755)
    for path, options, why in (
        (tmp_path, ["--no-sandbox"], "--no-sandbox was given"),
        (tmp_path, [], f"bubblewrap does not work here ({reason})"),
        (folder, [], "bubblewrap is not installed"),
    ):
        monkeypatch.setenv("PATH", str(path))
        assert __main__.main([*options, str(folder)]) == 0
        first = " ".join(capsys.readouterr().out.partition("\npassed")[0].split())
        assert first == f"No sandbox: {why}. {warning}"


def no_checks(*_, **__):
    return dict.fromkeys(QUICK, Result("passed"))


def test_what_a_solution_writes_into_the_journal_harms_nobody(tmp_path):
    lies = ['["one_hot", "won", ""]', "no json", "[1]", "[" * 100_000, "7",
            '["one_hot", "error", "\\u001b[31m red"]']  # fmt: skip
    text = f"open(__import__('os').environ['CHECK_JOURNAL'], 'a').write({chr(10).join(lies)!r})"
    folder = solution(
        tmp_path / "solution",
        ("task3a", "import numpy as np", f"import numpy as np\n{text}\nimport os; os._exit(3)"),
    )
    results = run_checks(folder, ["preprocessing", "one_hot"], TIMEOUT)
    assert results == {
        "preprocessing": Result("passed"),
        "one_hot": Result("error", "?[31m red"),
    }


def test_what_cannot_be_called_as_the_course_does_says_where_it_is(tmp_path):
    folder = solution(
        tmp_path / "solution",
        ("task3a", "def one_hot_encode(Y, num_classes)", "def one_hot_encode(Y, num_classes, it)"),
        ("task3a", "def __init__(self, l2_reg_lambda)", "def __init__(self, my_own, reg)"),
        ("trainer", "X_val, Y_val\n    ):", "X_val, Y_val, my_own\n    ):"),
        ("task2a", "losses = -(", "float(targets[0] + [0.0])\n    losses = -("),
        ("task2a", "self.grad = -X.T", "targets -= outputs\n        self.grad = -X.T"),
        ("task2a", "X / 127.5 - 1", "X / 200"),
        ("task3", "import numpy as np", "from .utils import np"),
    )
    checks = ["preprocessing", "logistic_loss", "logistic_gradient", "one_hot", "softmax_outputs",
              "softmax_accuracy", "logistic_train_step", "batch_loader"]  # fmt: skip
    results = run_checks(folder, checks, TIMEOUT)
    texts = {check: " ".join(result.text.split()) for check, result in results.items()}
    # No mistake in the table gives this result.
    assert results["preprocessing"].status == "failed"
    assert "hint" not in results.pop("preprocessing").text
    assert {result.status for result in results.values()} == {"error", "passed"}
    assert "does not convert an array of one element: use Y[i, 0]" in texts["logistic_loss"]
    assert "targets, which are integers" in texts["logistic_gradient"]
    assert "attempted relative import" in texts["softmax_accuracy"]
    assert "missing 1 required positional argument: 'it'" in texts["one_hot"]
    assert "where task3a.py, line 29, in one_hot_encode" in texts["one_hot"]
    assert "argument: 'my_own' where task3a.py, line 10, in __init__" in texts["softmax_outputs"]
    assert "argument: 'my_own' where trainer.py, line 5" in texts["logistic_train_step"]


def test_pytest_runs_the_same_checks(tmp_path):
    edits = MISTAKES["first"]["l2_gradient"][:3], MISTAKES["first"]["logistic_loss"][:3]
    write = ("task3a", "import numpy as np", "import numpy as np\nopen('written', 'w').close()")
    folder = solution(tmp_path / "solution", *edits, write)
    # pytest reads it from the original, before the copy is made.
    (folder / "tests").mkdir()
    (folder / "tests" / "conftest.py").write_text("import task2a\n")
    before = contents(folder)
    names = "l2 or one_hot or logistic or early_stopping"
    process = run_python("pytest", "tools/check", "--solution", folder, "-k", names)
    assert process.returncode == 1
    assert "1 failed, 8 passed, 14 deselected, 1 advice" in process.stdout
    assert "the gradient of λ Σ w² is 2λw; yours has λw" in process.stdout
    assert "FAILED tools/check/test_solution.py::test_l2_gradient" in process.stdout
    assert "NumPy 2.4 does not convert an array of one element" in " ".join(process.stdout.split())
    assert contents(folder) == before


def test_pytest_without_a_solution_asks_for_one():
    process = run_python("pytest", "tools/check")
    assert process.returncode == pytest.ExitCode.USAGE_ERROR
    assert process.stdout == ""
    [line] = process.stderr.split("\n\n")[0].splitlines()
    assert line.startswith("ERROR: --solution is not given; expected --solution DIR")


@pytest.fixture
def three(tmp_path, monkeypatch):
    """Make three folders whose results are known."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sandbox, "problem", lambda: "")
    results = {
        "anna": {"softmax_large_logits": Result("advice", "called    it\nreturned  nan")},
        "ben": {"l2_gradient": Result("failed", "called    it\nhint      2λw")},
        "cleo": {
            "softmax_train_step": Result("timeout", "not done"),
            "one_hot": Result("missing", "no"),
        },
    }
    for name in results:
        Path(name).mkdir()
        Path(name, "task2a.py").touch()
        Path(name, "trainer.py").touch()

    def run(folder, checks, timeout, options, in_sandbox):
        assert (timeout, options, in_sandbox) == (7, ["--penalty=square"], True)
        known = results.get(folder.name, {})
        return {check: known.get(check, Result("passed")) for check in checks}

    monkeypatch.setattr(__main__, "run_checks", run)


def test_several_folders_make_a_table_and_counts(three, capsys):
    assert __main__.main(["anna", "ben", "cleo", "--timeout", "7"]) == 1
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == __main__.SANDBOX
    assert lines[0].split() == [str(number) for number in range(1, 23)]
    assert [line.split() for line in lines[1:4]] == [
        [*"................a.....", "anna"],
        [*"...............F......", "ben"],
        [*"..........-.......T...", "cleo"],
    ]
    assert [line.split() for line in lines[-22:]] == [
        [str(number), check, "2" if check in MISSED else "3", "of", "3", "passed"]
        for number, check in enumerate(QUICK, start=1)
    ]
    assert max(map(len, lines)) <= 80


def test_a_single_folder_makes_a_line_for_each_check_and_says_why(three, capsys):
    assert __main__.main(["anna", "--timeout", "7"]) == 0
    assert capsys.readouterr().out.endswith("22 of 22 checks passed, 1 of them with advice\n")
    assert __main__.main(["ben", "--timeout", "7"]) == 1
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == __main__.SANDBOX
    start = QUICK.index("l2_gradient")
    assert lines[start : start + 3] == [
        "failed   l2_gradient",
        "         called    it",
        "         hint      2λw",
    ]
    assert lines[-1] == "21 of 22 checks passed"
    twice = dict.fromkeys(["one_hot", "batch_loader"], Result("error", "raised    it"))
    assert "         the same as one_hot" in [*__main__.details(twice)]


def test_the_csv_file_has_a_row_and_the_reasons_for_each_folder(three, capsys):
    __main__.main(["ben", "cleo", "--full", "--csv", "out/all.csv", "--timeout", "7"])
    with open("out/all.csv", newline="") as file:
        header, ben, cleo = csv.reader(file)
    assert header == ["folder", *CHECKS, "reasons"]
    statuses = ["failed" if c == "l2_gradient" else "passed" for c in CHECKS]
    assert ben == ["ben", *statuses, "l2_gradient: called it hint 2λw"]
    assert cleo[1:-1] == [
        {"one_hot": "missing", "softmax_train_step": "timeout"}.get(c, "passed") for c in CHECKS
    ]
    assert cleo[-1] == "one_hot: no\nsoftmax_train_step: not done"
    assert [path.name for path in Path("out").iterdir()] == ["all.csv"]


def test_what_is_no_solution_has_a_letter_and_a_word_of_its_own(three, capsys):
    Path("empty").mkdir()
    assert __main__.main(["nowhere", "anna", "empty", "--timeout", "7", "--csv", "all.csv"]) == 2
    out, err = capsys.readouterr()
    assert "nowhere: is not a directory" in err
    assert "empty: has none of the course's files" in err
    rows = [line.split() for line in out.splitlines()[2:5]]
    assert rows == [
        [*"N" * 22, "nowhere"],
        [*"................a.....", "anna"],
        [*"N" * 22, "empty"],
    ]
    assert "N not found" in out
    with open("all.csv", newline="") as file:
        _, _, _, empty = csv.reader(file)
    assert empty[:-1] == ["empty", *["not found"] * 22]
    assert "has none of the course's files" in empty[-1]
    with pytest.raises(FileError, match="is a directory"):
        __main__.main(["anna", "--csv", "empty"])
    with pytest.raises(FileError, match="is not a directory"):
        __main__.main(["anna", "--feedback", "all.csv"])
    assert capsys.readouterr().out == ""
    assert __main__.main(["nowhere", "--csv", "other.csv"]) == 2
    assert not Path("other.csv").exists()


def test_feedback_is_a_file_for_each_folder_with_what_a_run_of_it_alone_prints(three, capsys):
    Path("2024/ben").mkdir(parents=True)
    shutil.copytree("anna", "2023/ben")
    arguments = ["anna", "2023/ben", "2024/ben", "--timeout", "7", "--feedback", "all/of/it"]
    assert __main__.main(arguments) == 2
    _, err = capsys.readouterr()
    files = {path.name: path.read_text() for path in Path("all/of/it").iterdir()}
    assert files.keys() == {"anna.txt", "2023-ben.txt", "2024-ben.txt"}
    for folder, name in (("anna", "anna.txt"), ("2023/ben", "2023-ben.txt")):
        __main__.main([folder, "--timeout", "7"])
        assert capsys.readouterr().out == files[name]
    assert " ".join(files["2024-ben.txt"].split()) in " ".join(err.split())


def test_a_folder_above_several_solutions_is_told_where_they_are(three, capsys):
    assert __main__.main(["."]) == 2
    message = ".: has several solutions below it: anna, ben, cleo; name one of them"
    assert message in capsys.readouterr().err
    for number in range(4):
        shutil.copytree("anna", f"more/{number}")
    assert __main__.main(["."]) == 2
    assert f"{Path('more/1')} and 2 more; name one" in capsys.readouterr().err


def test_files_below_are_found_and_that_is_said(three, capsys):
    Path("anna").rename("inner")
    Path("outer", "course").mkdir(parents=True)
    Path("inner").rename("outer/course/anna")
    # Files of another assignment, with the same names, are not a solution.
    Path("outer", "assignment2").mkdir()
    Path("outer/assignment2/task2a.py").write_text("def f(neurons_per_layer): pass\n")
    assert __main__.main(["outer", "--timeout", "7"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"outer: its files are in {Path('course/anna')}"
    assert "advice   softmax_large_logits" in lines


def test_the_outermost_of_nested_solutions_is_taken(tmp_path):
    right = tmp_path / "work" / "assignment1"
    for folder in (right, right / "solution", right / "old" / "copy", tmp_path / "venv" / "task"):
        folder.mkdir(parents=True)
        (folder / "task2a.py").touch()
    assert find_solution(tmp_path)[0] == right
    assert find_solution(right / "solution")[0] == right / "solution"


def write_notebook(path, *sources):
    cells = [{"cell_type": "code", "source": source} for source in sources]
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": "?"}, *cells]}))


def test_notebooks_misnamed_files_and_other_assignments_are_recognised(tmp_path):
    code = (SOLUTION / "task2a.py").read_text()
    notebook = tmp_path / "notebook.ipynb"

    def refusal():
        with pytest.raises(InputError) as refused:
            find_solution(tmp_path)
        return str(refused.value)

    notebook.touch()
    assert refusal().endswith("only the notebook notebook.ipynb, which is not of this assignment")
    layers = "class SoftmaxModel:\n    neurons_per_layer = [64, 10]\n"
    write_notebook(notebook, code.replace("BinaryModel", "SoftmaxModel"), layers)
    assert refusal().endswith("only the notebook notebook.ipynb, which is not of this assignment")
    write_notebook(notebook, textwrap.dedent(STARTER["task2a"]))
    assert refusal().endswith("only the notebook notebook.ipynb, which is unfilled")
    write_notebook(notebook, ["%matplotlib inline\n", "import numpy as np"], code)
    assert refusal().endswith("notebook.ipynb; export its code to task2a.py and so on: jupyter"
                              " nbconvert --to script")  # fmt: skip
    (tmp_path / "Task_2A.py").touch()
    assert refusal().endswith("did you mean task2a.py? There is Task_2A.py")
    (tmp_path / "task2a.py").write_text(layers)
    assert refusal() == "has only files of assignment 2, whose model has neurons_per_layer"
    (tmp_path / "task2a.py").write_text(textwrap.dedent(STARTER["task2a"]))
    [remark] = find_solution(tmp_path)[1]
    assert remark.startswith("its files are unfilled, but the notebook notebook.ipynb has a")
    (tmp_path / "task2a.py").write_text(code)
    assert find_solution(tmp_path) == (tmp_path, [])


def test_solutions_are_found_deep_below_and_not_in_hidden_folders(tmp_path):
    deep = tmp_path / "a" / "b" / "c" / "d"
    for folder in (deep, tmp_path / ".old"):
        folder.mkdir(parents=True)
        (folder / "task2a.py").touch()
    assert find_solution(tmp_path) == (deep, [f"its files are in {deep.relative_to(tmp_path)}"])
    (deep / "task2.py").write_text("import utils\n\ndef train(): pass\n")
    assert "files of 2020" in find_solution(tmp_path)[1][1]
    # An old copy far below is not a second solution.
    near, old = tmp_path / "x" / "assignment1", tmp_path / "x" / "old" / "by" / "year" / "2023"
    for folder in (near, old):
        folder.mkdir(parents=True)
        (folder / "task2a.py").touch()
    assert find_solution(tmp_path / "x")[0] == near
    shutil.rmtree(tmp_path / "x")
    # Other assignments are not offered as solutions, even if they are nearer.
    for folder in (tmp_path / "a" / "two", tmp_path / "three"):
        folder.mkdir()
        (folder / "task2a.py").write_text("neurons_per_layer = [64, 10]\n")
    assert find_solution(tmp_path)[0] == deep
    shutil.rmtree(deep)
    with pytest.raises(InputError, match=r"only files of assignment 2, whose .*, in .*three"):
        find_solution(tmp_path)


@pytest.mark.parametrize("kind", [LOGISTIC, SOFTMAX], ids=["logistic", "softmax"])
def test_central_differences_agree_with_the_derivation(kind):
    X, targets, w = kind.samples(20)
    model = kind.right_model(object)()
    model.w = w
    model.backward(X, model.forward(X), targets)
    differences = kind.gradient(X, targets, w)
    np.testing.assert_allclose(differences, model.grad, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("table", "right"),
    [
        (mistakes.OUTPUTS, lambda X, targets, w: SOFTMAX.activation(X @ w)),
        (mistakes.LOSS, lambda X, targets, w: SOFTMAX.loss(targets, SOFTMAX.activation(X @ w))),
        (mistakes.GRADIENT, SOFTMAX.gradient),
        (mistakes.PENALTY, lambda X, targets, w: 2 * mistakes.LAMBDA * w),
        (mistakes.STEP, lambda X, targets, w: -0.01 * SOFTMAX.gradient(X, targets, w)),
        (mistakes.ONE_HOT, lambda X, targets, w: np.eye(10)[targets[:, 0]]),
    ],
)
def test_every_mistake_is_told_from_the_others(table, right):
    X, targets, w = SOFTMAX.samples(30)
    if table is mistakes.ONE_HOT:
        targets = np.random.default_rng(0).integers(0, 9, (30, 1))
    expected = np.asarray(right(X, targets, w))
    case = mistakes.Case(SOFTMAX, X, targets, w, right=expected)
    for hint, compute in table.items():
        with np.errstate(all="ignore"):
            results = compute(case)
        for result in results if isinstance(results, tuple) else (results,):
            found = find_mistake(np.asarray(result, dtype=float), expected, table, case)
            # For one model, a mistake of the other may give the right result.
            assert agree(result, expected) or found == hint.format(N=30)


@pytest.mark.parametrize("returned", ["0.69", [[1], [2, 3]], (x for x in [1]), {"loss": 1}, 1j])
def test_what_is_no_array_of_numbers_is_shown_as_it_is(returned):
    for ask in (require_result, lambda called, value: require(called, value, 1.0)):
        with pytest.raises(pytest.fail.Exception) as failed:
            ask("f(X)", returned)
        shown = " ".join(str(failed.value).split())
        assert shown.startswith(f"called f(X) returned {type(returned).__name__} ")
        assert shown.endswith("expected numbers")


def test_a_copy_leaves_out_what_is_no_part_of_a_solution(tmp_path):
    folder = tmp_path / "solution"
    for name in ("data", ".git", "venv", "__pycache__"):
        (folder / name).mkdir(parents=True)
    (folder / "data" / "labels").write_text("7")
    (folder / "again").symlink_to(folder)
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "data" / "a_pipe")
    copy = copy_solution(folder, tmp_path / "copy")
    assert copy == tmp_path / "copy" / "solution"
    copied = {str(path.relative_to(copy)) for path in copy.rglob("*")}
    assert copied == {"data", "data/labels", "again", "gone"}
    assert (copy / "again").is_symlink()


@pytest.mark.parametrize(
    ("parameters", "found"),
    [(["l2_reg_lambda"], True), (["I=785", "reg=0"], True), (["I=785"], False), (["K"], False)],
)
def test_the_penalty_may_have_several_names(parameters, found):
    namespace = {}
    exec(f"class Model:\n    def __init__(self, {', '.join(parameters)}): pass", namespace)
    assert takes_lambda(namespace["Model"]) == found


TRAINER = ["model", "learning_rate", "X_train", "Y_train"]


@pytest.mark.parametrize(
    ("parameters", "values"),
    [
        ("model, learning_rate, X_train, Y_train", "m r x y"),
        ("model, learning_rate, use_early_stopping, X_train, Y_train", "m r True x y"),
        ("net, lr, images, labels", "m r x y"),
        ("X_train, Y_train, model, learning_rate, l2=1, patience=7", "x y m r 0.0 7"),
        ("model, lr, early_stop_count, x_train, y_train, early_stop=False", "m r 10 x y True"),
        ("model, *, learning_rate, Y_train, X_train, shuffle=False", "m r y x False"),
        ("model, eta, X_train, Y_train", "m r x y"),
        ("net, **others", "m {'learning_rate': 'r', 'X_train': 'x', 'Y_train': 'y'}"),
    ],
)
def test_arguments_are_given_by_name_wherever_a_solution_has_them(parameters, values):
    function = eval(f"lambda {parameters}: locals()")
    guesses = {"early_stopping": True, "patience": 10, "l2_reg_lambda": 0.0}
    found = call(function, dict(zip(TRAINER, "mrxy", strict=True)), guesses)
    assert " ".join(map(str, found.values())) == values


@pytest.mark.parametrize(
    ("parameters", "values"),
    [
        ("num_features, num_classes, l2_reg_lambda=1", "785 10 0.0"),
        ("I, O", "785 10"),
        ("output_size, input_size, name='model'", "10 785 model"),
        ("reg, nInputs, numOutputs=3", "0.0 785 3"),
    ],
)
def test_models_get_the_sizes_that_they_need(parameters, values):
    guesses = {"inputs": 785, "outputs": 10, "l2_reg_lambda": 0.0}
    found = call(eval(f"lambda {parameters}: locals()"), {}, guesses)
    assert " ".join(map(str, found.values())) == values


def test_a_function_that_takes_any_arguments_gets_them_in_the_courses_order():
    course = dict(zip(TRAINER, "mrxy", strict=True))
    assert call(lambda *arguments: arguments, course, {}) == (*"mrxy",)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'other'"):
        call(lambda model, other: 0, {"model": 0}, {})
