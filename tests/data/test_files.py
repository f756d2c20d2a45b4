"""Atomic files, and the lock of a folder."""

import fcntl
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.training.tiny import leftover
from vocoder.data import files
from vocoder.data.files import remove_leftovers, replacing, replacing_folder, write_text
from vocoder.data.locks import LOCK, locked
from vocoder.errors import OutputError

HOLD = """
import sys
from pathlib import Path
from vocoder.data.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_content_and_name_are_forced_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    forced: list[str] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        forced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    write_text(tmp_path / "a.txt", "text")
    assert [Path(path).suffix for path in forced] == [".txt", ""]
    assert forced[-1] == str(tmp_path)
    forced.clear()
    with replacing_folder(tmp_path / "b") as fresh:
        (fresh / "c").write_text("c")
    assert [Path(path).name for path in forced[:1]] == ["c"]
    assert forced[-1] == str(tmp_path)


def test_names_as_long_as_the_file_system_allows_are_written(tmp_path: Path):
    path = tmp_path / ("a" * 250 + ".txt")
    write_text(path, "text")
    assert path.read_text() == "text"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    for write in (replacing, replacing_folder):
        said = r"file/a: cannot be written .*; free space, or"
        with pytest.raises(OutputError, match=said), write(tmp_path / "file" / "a"):
            pass


def test_only_what_dead_processes_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    dead = tmp_path / "wavs" / leftover("part.wav")
    dead.parent.mkdir()
    (tmp_path / leftover("old")).mkdir()
    own = tmp_path / f"{files._mark()}.part.wav"
    other_host = tmp_path / leftover("part").replace(socket.gethostname(), "elsewhere")
    for path in (dead, own, other_host, tmp_path / ".hidden.part"):
        path.touch()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {
        own.name, other_host.name, ".hidden.part",
    }  # fmt: skip
    assert not (tmp_path / leftover("old")).exists()


def test_a_folder_has_one_owner_until_it_ends_or_is_killed(tmp_path: Path):
    run = tmp_path / "run"
    command = [sys.executable, "-c", HOLD, str(run)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        said = rf'run: in use by another process .*"pid": {owner.pid}, "host": '
        with pytest.raises(OutputError, match=said), locked(run):
            pass
        assert (run / LOCK).exists()
        owner.kill()
    assert (run / LOCK).exists()  # stale
    with locked(run):
        assert f'"pid": {os.getpid()}' in (run / LOCK).read_text()
    assert not run.exists()


def test_a_lock_whose_file_was_removed_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The first owner ends between the second's opening and locking of the file, then comes a
    third, who finds the folder in use."""
    run = tmp_path / "run"
    first = ExitStack()
    first.enter_context(locked(run))
    flock = fcntl.flock

    def flock_after_the_first(descriptor: int, operation: int) -> None:
        monkeypatch.undo()
        first.close()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock_after_the_first)
    with locked(run):
        assert (run / LOCK).exists()
        with pytest.raises(OutputError, match="in use by another process"), locked(run):
            pass
    assert not run.exists()


def test_a_folder_with_content_stays(tmp_path: Path):
    with locked(tmp_path / "run"):
        (tmp_path / "run" / "losses.jsonl").touch()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["losses.jsonl"]
