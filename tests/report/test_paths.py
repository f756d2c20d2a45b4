"""Paths on the page reveal nothing about the local machine."""

from pathlib import Path

import pytest

from vocoder.report.paths import ShownPaths

HOME = Path("/srv/ann/work")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/srv/ann/work/out/ours", "out/ours"),
        ("/srv/ann/work/out/../data", "data"),
        ("/srv/ann/work", "."),
        ("/srv/ann/works/out", "…/out"),
        ("/data/speech/", "…/speech"),
        ("out/ours", "out/ours"),
        ("../other", "../other"),
    ],
)
def test_a_path(path, expected):
    assert ShownPaths(current=HOME).path(path) == expected


def test_the_root_as_current_folder_shortens_all():
    assert ShownPaths(current=Path("/")).path("/srv/ann/out") == "…/out"


def test_a_message_with_folders_that_contain_blanks():
    shown = ShownPaths(["/data/my speech", "/data/my speech/worse", "relative"], HOME)
    text = (
        "s/u: /data/my speech/worse/a b.wav: not an audio file (/usr/lib/x.so), "
        "/srv/ann/work/c.wav; 3 and/or 4, http://host/a/b"
    )
    assert shown.text(text) == (
        "s/u: …/worse/a b.wav: not an audio file (…/x.so), c.wav; 3 and/or 4, http://host/a/b"
    )


def test_a_command_line():
    command = (
        "vocoder evaluate --reference /data/rec --system 'a b=/data/my speech' "
        "--system x=/srv/ann/work/x --output=/srv/ann/o --metric-plugin /srv/ann/m.py:MINE "
        "--scheduler tcp://host:8786 --jobs 4"
    )
    assert ShownPaths(current=HOME).command(command) == (
        "vocoder evaluate --reference …/rec --system 'a b=…/my speech' --system x=x --output=…/o "
        "--metric-plugin …/m.py:MINE --scheduler tcp://host:8786 --jobs 4"
    )
    assert ShownPaths(current=HOME).command("it's /data/a/b") == "it's …/b"
    assert ShownPaths(current=HOME).command("") == ""
