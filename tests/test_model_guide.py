"""docs/model.md: its code runs, and its last lines hold."""

from pathlib import Path

from tests.test_readme import newcomer
from tests.test_streaming_guide import run_python

GUIDE = (Path(__file__).parent.parent / "docs" / "model.md").read_text(encoding="utf-8")


def test_each_step_brings_the_output_nearer_to_the_mel(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(newcomer(tmp_path))
    session = run_python(GUIDE)
    nearer = [session["distance"](session[n]) for n in ("networks_alone", "one_pass", "all_of_it")]
    assert nearer[0] > 2 * nearer[1] > 2 * nearer[2]
