"""What a command line prints, and its exit code, however its `main` ends."""

import subprocess
import sys
from pathlib import Path

import pytest

import utils
from common import command_line
from common.errors import FileError, InputError

ROOT = Path(utils.__file__).parent


def outcome(main, monkeypatch, capsys, *words):
    """Run a command line; return its exit code and what it wrote to stderr."""
    monkeypatch.setattr(sys, "argv", ["tool.py", *words])
    with pytest.raises(SystemExit) as ended:
        command_line.run(main)
    return ended.value.code, capsys.readouterr().err


def raising(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("X is odd;\nexpected even"), "X is odd; expected even"),
        (FileError(2, "No such file", "a.npz"), "a.npz: No such file"),
        (FileError(None, "is not a directory", "b"), "b: is not a directory"),
    ],
    ids=["input", "file", "directory"],
)
def test_what_the_user_can_put_right_is_one_line(monkeypatch, capsys, error, message):
    found = outcome(raising(error), monkeypatch, capsys)
    assert found == (2, f"tool.py: error: {message}\n")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--batch-size", "0"], "--batch-size"),
        (["--quiet", "--batch-size=0"], "--batch-size"),
        (["--batch", "0"], "batch_size"),
        ([], "batch_size"),
    ],
    ids=["option", "with equals sign", "another option", "none"],
)
def test_an_error_names_the_option_that_was_typed(monkeypatch, capsys, words, name):
    error = InputError("batch_size is 0; expected 1", "batch_size")
    found = outcome(raising(error), monkeypatch, capsys, *words)
    assert found == (2, f"tool.py: error: {name} is 0; expected 1\n")


@pytest.mark.parametrize(
    "error", [ValueError("a"), OSError("b"), AssertionError("c"), ArithmeticError("d")], ids=repr
)
def test_any_other_exception_keeps_its_traceback(monkeypatch, error):
    with pytest.raises(type(error)) as found:
        command_line.run(raising(error))
    assert found.value is error


def test_ctrl_c_is_one_line_and_exit_code_130(monkeypatch, capsys):
    found = outcome(raising(KeyboardInterrupt()), monkeypatch, capsys)
    assert found == (130, "tool.py: error: interrupted\n")


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_exit_code_is_what_main_returns(monkeypatch, capsys, code):
    assert outcome(lambda: code, monkeypatch, capsys) == (code, "")


def test_a_reader_that_closes_the_pipe_early_is_no_error():
    code = "from common.command_line import run; run(lambda: print('line ' * 100_000) or 0)"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def test_the_program_is_named_as_the_user_called_it(monkeypatch):
    for path, name in (
        ("task2.py", "task2.py"),
        ("/a/b/task3.py", "task3.py"),
        (str(ROOT / "tools" / "check" / "__main__.py"), "python -m tools.check"),
    ):
        monkeypatch.setattr(sys, "argv", [path])
        assert command_line.program() == name


@pytest.mark.parametrize(
    ("option_type", "good", "bad", "expected"),
    [
        (command_line.positive_int, {"1": 1, "12": 12}, ["0", "-1", "1.5", "x", ""], "integer"),
        (command_line.non_negative_int, {"0": 0, "7": 7}, ["-1", "0.5", "x", ""], "integer"),
        (command_line.positive_float, {"1e-3": 0.001}, ["0", "-1", "nan", "inf", "x"], "number"),
        (command_line.non_negative_float, {"0": 0, "1e-3": 0.001}, ["-1", "nan", "x"], "number"),
        (command_line.digit, {"0": 0, "9": 9}, ["10", "-1", "4,9", "x", "", "²"], "--digits 4 9"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_options_that_are_no_such_number_say_what_is_expected(
    capsys, option_type, good, bad, expected
):
    parser = command_line.Parser()
    parser.add_argument("--option", type=option_type)
    for text, value in good.items():
        assert parser.parse_args([f"--option={text}"]).option == value
    for text in bad:
        with pytest.raises(SystemExit) as ended:
            parser.parse_args([f"--option={text}"])
        assert ended.value.code == 2
        message = capsys.readouterr().err
        assert f"argument --option: {text!r} given; expected" in message
        assert expected in message
        assert message.count("\n") == 1
