"""docs/voice.md: its code and command run."""

from pathlib import Path

from tests.test_readme import commands, newcomer, run_commands
from tests.test_streaming_guide import run_python

GUIDE = (Path(__file__).parent.parent / "docs" / "voice.md").read_text(encoding="utf-8")


def test_the_voices_speak(tmp_path, monkeypatch) -> None:
    folder = newcomer(tmp_path)
    monkeypatch.chdir(folder)
    session = run_python(GUIDE)
    frames = session["mel"].shape[2]
    for name in ("higher", "smaller", "breathy", "monotone"):
        assert session[name].shape == (1, frames * 256)
        assert session[name].abs().max() > 0.1
    assert session["slower"].shape == (1, round(frames / 0.8) * 256)
    run_commands(commands(GUIDE), folder)
    assert (folder / "out" / "higher" / "ru_0806.wav").is_file()
