"""Debian packages: fetched once, verified, and read without dpkg."""

import hashlib
import stat
from pathlib import Path

import pytest

from tests.data.packages import deb, put
from vocoder.data.debian import Package, cache_folder, fetch, read_package
from vocoder.errors import CorpusError

FILES = {"usr/share/a.wav": b"sound" * 1001, "usr/share/doc/x/copyright": b"whose"}
CONTENT = deb(FILES)
PACKAGE = Package("speech-xx", "1.0-2", hashlib.sha256(CONTENT).hexdigest())


def fake_apt(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program of that name first in the search path."""
    folder.mkdir()
    program = folder / "apt-get"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_files_are_read_by_name(tmp_path: Path):
    (tmp_path / "a.deb").write_bytes(CONTENT)
    assert dict(read_package(tmp_path / "a.deb", lambda name: True)) == FILES
    wanted = dict(read_package(tmp_path / "a.deb", lambda name: name.endswith(".wav")))
    assert list(wanted) == ["usr/share/a.wav"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"<html>not found</html>", "not a Debian package"),
        (CONTENT[:100], "a Debian package without files"),
        (CONTENT[:-120], "a damaged package"),
        (CONTENT[:-60] + bytes(60), "a damaged package"),
    ],
)
def test_what_is_no_whole_package_is_refused(tmp_path: Path, content: bytes, complaint: str):
    (tmp_path / "a.deb").write_bytes(content)
    with pytest.raises(CorpusError, match=rf"a\.deb: {complaint}"):
        list(read_package(tmp_path / "a.deb", lambda name: True))


def test_a_file_that_is_there_is_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake_apt(tmp_path / "bin", "exit 1", monkeypatch)
    put(tmp_path / "downloads", PACKAGE.filename, FILES)
    path = tmp_path / "downloads" / "speech-xx_1.0-2_all.deb"
    assert fetch(PACKAGE, tmp_path / "downloads") == path


def test_apt_is_asked_for_the_exact_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mirror.deb").write_bytes(CONTENT)
    script = (
        f'[ "$1 $2 $3" = "download --quiet speech-xx=1.0-2" ] '
        f"&& cp {tmp_path}/mirror.deb {PACKAGE.filename}"
    )
    fake_apt(tmp_path / "bin", script, monkeypatch)
    assert fetch(PACKAGE, tmp_path / "new" / "downloads").read_bytes() == CONTENT


def test_a_failing_or_missing_apt_says_what_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fake_apt(tmp_path / "bin", "echo 'E: Version not found' >&2; exit 100", monkeypatch)
    with pytest.raises(CorpusError) as failed:
        fetch(PACKAGE, tmp_path / "downloads")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(CorpusError) as missing:
        fetch(PACKAGE, tmp_path / "downloads")
    assert "E: Version not found" in str(failed.value)
    for error in (failed, missing):
        message = str(error.value)
        assert "put speech-xx_1.0-2_all.deb there by hand" in message
        assert str(tmp_path / "downloads") in message
        assert "\n" not in message


def test_another_file_of_that_name_is_refused(tmp_path: Path):
    put(tmp_path, PACKAGE.filename, {"usr/share/a.wav": b"other"})
    with pytest.raises(
        CorpusError, match=r"speech-xx_1\.0-2_all\.deb: SHA-256 is [0-9a-f]{64}, not"
    ):
        fetch(PACKAGE, tmp_path)


def test_the_cache_can_be_moved(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VOCODER_CACHE", "/somewhere/else")
    assert cache_folder() == Path("/somewhere/else")
    monkeypatch.delenv("VOCODER_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "vocoder"
