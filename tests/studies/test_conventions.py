"""The tables of the same weights from every mel follow from the scores in the repository."""

from pathlib import Path

import pytest

from studies.conventions import (
    FOLDER,
    README,
    SYSTEMS,
    added,
    as_text,
    changes_table,
    measured_mels,
    read_lines,
    readme_table,
    results_table,
    scores_of,
)
from vocoder.errors import VocoderError

LINES = read_lines(FOLDER / "utterances.csv")


def test_ten_mels_have_the_same_utterances_of_all_systems():
    mels = measured_mels(LINES)
    assert len(mels) == 10
    for mel in mels:
        for system in SYSTEMS:
            assert len(scores_of(LINES, mel, system, "pesq")) == 54


def test_new_scores_replace_those_of_the_same_system_alone(tmp_path: Path):
    path = tmp_path / "scores.csv"
    better = [line | {"pesq": "4.5"} for line in LINES if line["system"] == "vocos_24k-universal"]
    path.write_text(as_text(added(LINES, better)), encoding="utf-8")
    found = read_lines(path)
    assert len(found) == len(LINES)
    assert set(scores_of(found, "vocos_24k", "universal", "pesq")) == {4.5}
    for mel, system in (("vocos_24k", "griffin_lim"), ("hifigan_22k", "universal")):
        before, after = (scores_of(lines, mel, system, "pesq") for lines in (LINES, found))
        assert before == after
    assert "| `vocos_24k` | 24 kHz, 100, 10.7 ms | 4.50 / " in readme_table(found)
    assert "universal | 4.50 [4.50, 4.50] |" in results_table(found)


def test_a_change_is_the_mean_over_mels_and_utterances():
    before = [
        line | {"pesq": str(float(line["pesq"]) - 0.25)}
        if line["system"].endswith("-nano")
        else line
        for line in LINES
    ]
    rows = changes_table(LINES, before).splitlines()
    assert rows[2].startswith("| universal | +0.000 ± 0.000 |")
    assert rows[3].startswith("| nano | +0.250 ± 0.000 | +0.0000 ± 0.0000 |")


def test_a_system_of_an_unknown_mel_is_refused(tmp_path: Path):
    path = tmp_path / "scores.csv"
    path.write_text("system,utterance,pesq\nmy_mel-universal,a,3\n", encoding="utf-8")
    with pytest.raises(VocoderError, match=r"scores\.csv: system 'my_mel-universal' is no MEL"):
        read_lines(path)


def test_the_tables_in_the_repository_are_those_of_its_scores():
    for path, table in (
        (README, readme_table(LINES)),
        (FOLDER / "RESULTS.md", results_table(LINES)),
    ):
        assert f"<!-- begin mels -->\n\n{table}" in path.read_text(encoding="utf-8"), path.name
