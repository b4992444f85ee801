"""What the README files say can be tried: links, targets of make, the example, the timings."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import utils

ROOT = Path(utils.__file__).parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
OURS = ["task2", "task3", "task4", "tools"]
ALL = [*ROOT.glob("*.md"), *ROOT.glob("[!.]*/*.md"), *ROOT.glob("tools/*/*.md")]
ALL = sorted(path.relative_to(ROOT) for path in ALL)


@pytest.mark.parametrize("path", ALL, ids=str)
def test_links_lead_to_files(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert (ROOT / path.parent / target).exists(), target


@pytest.mark.parametrize("path", ALL, ids=str)
def test_commands_have_targets_and_options_that_exist(path, capsys):
    text = (ROOT / path).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in re.findall(
        r"^    (?:\$ )?(make .*|.*python (?!-m [\w.]+:).*)", text, flags=re.MULTILINE
    ):
        program, *words = line.partition("#")[0].split()
        if program == "make":
            assert f"\n{words[0]}:" in makefile, line
        tool = words[1] + ".__main__" if words[0] == "-m" else words[0].removesuffix(".py")
        if program == "python" and tool.partition(".")[0] in OURS:
            with pytest.raises(SystemExit):
                importlib.import_module(tool).main(["--help"])
            explained = capsys.readouterr().out
            for option in re.findall(r"--[\w-]+", line.partition("#")[0]):
                assert option in explained, line


def test_the_example_for_python_runs_from_elsewhere(tmp_path):
    section = README.partition("## From Python")[2].partition("\n## ")[0]
    example = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))
    assert "make_trainer" in example
    (tmp_path / "my_script.py").write_text(example, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "my_script.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.stderr == ""
    assert 0.8 < float(result.stdout) < 1


def test_what_is_said_of_speed_is_what_the_benchmark_wrote():
    measured = (ROOT / "benchmarks" / "results.md").read_text(encoding="utf-8")
    for text in (README, measured):
        assert "The softmax run without a penalty" in text
    said = README.partition("## Speed\n\n")[2].partition("\n\n")[0]
    assert said in measured
