"""Files are written completely or not at all, and what cannot be written is said beforehand."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import utils
from common.errors import FileError
from common.files import atomic_path, check_directory, check_file

ROOT = Path(utils.__file__).parent
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")


def test_a_new_file_gets_its_directory_and_the_usual_permissions(tmp_path):
    path = tmp_path / "new" / "directory" / "file.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("complete")
        assert temporary.suffix == ".txt"
        assert not path.exists()
    assert path.read_text() == "complete"
    assert [file.name for file in path.parent.iterdir()] == ["file.txt"]
    other = tmp_path / "other.txt"
    other.write_text("")
    assert path.stat().st_mode == other.stat().st_mode


def test_an_older_file_stays_if_writing_fails(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail_half_way():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


@posix_only
@pytest.mark.parametrize("target", ["file.txt", "missing.txt", "below/file.txt"])
def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path, target):
    (tmp_path / "below").mkdir()
    (tmp_path / "file.txt").write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / target)
    check_file(link)
    with atomic_path(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert (tmp_path / target).read_text() == "new"


def run_child(code: str, path: Path, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, **options
    )


@posix_only
def test_a_kill_while_writing_keeps_the_older_file(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    code = """
import os, signal, sys
from common.files import atomic_path
with atomic_path(sys.argv[1]) as temporary:
    temporary.write_bytes(b"new" * 1000)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert run_child(code, path).returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


@posix_only
def test_a_full_disk_is_one_line_and_keeps_the_older_file(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    code = """
import resource, signal, sys
from common.command_line import run
from common.files import atomic_path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
def main():
    with atomic_path(sys.argv[1]) as temporary:
        temporary.write_bytes(b"x" * 5000)
run(main)
"""
    child = run_child(code, path)
    assert (child.returncode, child.stderr) == (2, f"-c: error: {path}: File too large\n")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["weights.bin"]


def test_a_directory_in_the_place_of_a_file_is_refused(tmp_path):
    with pytest.raises(FileError) as found:
        check_file(tmp_path)
    assert str(found.value) == f"{tmp_path}: is a directory; expected a file"
    with pytest.raises(FileError, match="directory"), atomic_path(tmp_path) as temporary:
        temporary.write_text("")
    assert list(tmp_path.iterdir()) == []


@posix_only
def test_a_pipe_or_device_would_not_be_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for path in (tmp_path / "pipe", tmp_path / "link", Path("/dev/null")):
        with pytest.raises(FileError, match="is not a regular file"):
            check_file(path)


@posix_only
@pytest.mark.parametrize("name", ["a-file", "a-file/new/directory", "dangling-link"])
def test_what_is_in_the_way_of_a_directory_is_named(tmp_path, name):
    (tmp_path / "a-file").write_text("")
    (tmp_path / "dangling-link").symlink_to("nowhere")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FileError) as found:
        check_directory(tmp_path / name)
    assert str(found.value) == f"{tmp_path / name.partition('/')[0]}: is not a directory"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /sys, where nobody may write")
def test_a_directory_that_nobody_may_write_to_is_refused():
    with pytest.raises(FileError, match="/sys: cannot write to it"):
        check_directory("/sys/figures")


def test_a_directory_that_can_be_made_is_accepted_and_not_made(tmp_path):
    assert check_directory(tmp_path / "new" / "figures") == tmp_path / "new" / "figures"
    assert list(tmp_path.iterdir()) == []


@posix_only
def test_a_loop_of_links_is_not_a_directory(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(FileError, match="is not a directory"):
        check_directory(tmp_path / "a")
