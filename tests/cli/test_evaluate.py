"""The command `evaluate`: scores, comparisons, options and their errors."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.tools import SPEECH, files, refusal, vocoder

pytestmark = pytest.mark.slow


@pytest.fixture
def two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A reference with an utterance, and a system that has it too; a score cache of their own."""
    monkeypatch.setenv("VOCODER_CACHE", str(tmp_path / "cache"))
    reference, system = tmp_path / "reference", tmp_path / "system"
    reference.mkdir()
    system.mkdir()
    shutil.copy(SPEECH, reference / "a.wav")
    soundfile.write(system / "a.wav", 0.9 * soundfile.read(SPEECH)[0], 16000)
    return reference, system


def test_evaluate_scores_and_writes(two_folders: tuple[Path, Path], tmp_path: Path):
    reference, system = two_folders
    arguments = ("--output", tmp_path / "scores", "--metrics", "pesq, mel_distance", "--jobs", 1)
    folders = ("--reference", reference, "--system", f"ours={system}")
    result = vocoder("evaluate", *folders, *arguments, "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary == json.loads((tmp_path / "scores" / "summary.json").read_text())
    assert summary["systems"]["ours"]["scores"]["pesq"]["mean"] > 4.4
    assert (tmp_path / "scores" / "utterances.csv").read_text().startswith("system,utterance,")
    # As a table, with an utterance that is missing: said, and exit status 1.
    shutil.copy(SPEECH, reference / "b.wav")
    result = vocoder("evaluate", *folders, *arguments)
    assert result.exit_code == 1
    assert "| ours | 2 |" in result.stdout
    assert "ours/b: missing in this system" in result.stderr


def test_evaluate_compares_aligns_remembers_and_names_the_speakers(
    two_folders: tuple[Path, Path], tmp_path: Path
):
    reference, system = two_folders
    recorded = soundfile.read(SPEECH)[0]
    (tmp_path / "late").mkdir()
    soundfile.write(tmp_path / "late" / "a.wav", np.concatenate([np.zeros(40), recorded]), 16000)
    # Not all the same as the reference: a copy would not be compared.
    soundfile.write(tmp_path / "late" / "b.wav", 0.95 * recorded, 16000)
    for folder, level in ((reference, 1.0), (system, 0.9)):
        soundfile.write(folder / "b.wav", level * recorded, 16000)
    (tmp_path / "who.csv").write_text("utterance,speaker\na,Ann\nb,Bob\n")
    arguments = (
        "evaluate", "--reference", reference, "--system", f"quiet={system}",
        "--system", f"late={tmp_path / 'late'}", "--output", tmp_path / "scores",
        "--metrics", "mstft", "--speakers", tmp_path / "who.csv", "--jobs", 1,
    )  # fmt: skip
    result = vocoder(*arguments)
    assert result.exit_code == 0, result.output
    # Two utterances can show nothing: one sentence says so, and the pairs are in a file.
    assert "Paired comparisons (95 %" in result.stdout
    assert "n = 2: too few to show any difference (smallest possible p 0.5," in result.stdout
    assert "- quiet and late" not in result.stdout
    written = tmp_path / "scores" / "comparisons.txt"
    assert result.stdout.endswith(f"All comparisons: {written}\n")
    assert "- quiet and late: too few to show a difference on M-STFT: 0." in written.read_text()
    rows = (tmp_path / "scores" / "utterances.csv").read_text().splitlines()
    assert rows[0] == "system,utterance,speaker,duration_s,mstft,error,note"
    assert [row.split(",")[2] for row in rows[1:]] == ["Ann", "Bob", "Ann", "Bob"]
    late = next(row for row in rows if row.startswith("late,a"))
    assert late.split(",", 4)[4] == '0,,"delayed by 40 samples, aligned"'
    # Remembered by default, by content: a and b are the same to "quiet". As JSON, and without the
    # cache: the same.
    remembered = files(tmp_path / "cache" / "scores")
    assert len(remembered) == 3
    with_cache = json.loads(vocoder(*arguments, "--json").stdout)
    without = json.loads(vocoder(*arguments, "--json", "--no-cache").stdout)
    assert with_cache == without
    (comparison,) = without["comparisons"]
    assert (comparison["metric"], comparison["a"], comparison["b"]) == ("mstft", "quiet", "late")
    assert comparison["sentence"] in written.read_text()
    assert [entry["speaker"] for entry in without["speakers"]] == ["Ann", "Ann", "Bob", "Bob"]
    assert files(tmp_path / "cache" / "scores") == remembered
    # Beyond the bound: an error in the row, and exit status 1.
    result = vocoder(*arguments, "--max-delay-ms", 2)
    assert result.exit_code == 1
    assert "late/a: delayed by 40 samples (2.5 ms), allowed 2 ms" in result.stderr


def test_evaluate_takes_folders_that_are_named_cut_and_levelled_otherwise(tmp_path: Path):
    recorded = soundfile.read(SPEECH)[0]
    for name, sound in (
        ("reference/a", recorded),
        ("theirs/a_gen", np.concatenate([np.zeros(2400), 0.5 * recorded, np.zeros(9600)])),
    ):
        (tmp_path / name).parent.mkdir()
        soundfile.write(tmp_path / f"{name}.wav", sound, 16000)
    (tmp_path / "map.csv").write_text("system,file,utterance\ntheirs,a_gen,a\n")
    folders = ("--reference", tmp_path / "reference", "--system", f"theirs={tmp_path / 'theirs'}")
    arguments = (
        "evaluate", *folders, "--output", tmp_path / "scores", "--no-cache", "--jobs", 1,
        "--metrics", "mstft,level_difference", "--max-delay-ms", 200,
    )  # fmt: skip
    options = ("--max-length-difference", 0.7, "--match-level", "--sample-rate", "reference")
    for names in (("--strip-suffix", "_gen"), ("--map", tmp_path / "map.csv")):
        result = vocoder(*arguments, *options, *names)
        assert result.exit_code == 0, result.output
        assert "Scored at the rate of each recording, 16000 Hz.\n" in result.stdout
        row = (tmp_path / "scores" / "utterances.csv").read_text().splitlines()[1]
        mstft, level, rest = row.split(",", 6)[4:]
        assert float(mstft) < 0.01
        assert float(level) == pytest.approx(6.02, abs=0.01)
        assert rest == (
            ',"delayed by 2400 samples, aligned; longer than the reference by 9600 samples '
            '(600.0 ms), cropped; level -6.0 dB, matched"'
        )
    # What is allowed by default is less, and the error names the option.
    result = vocoder(*arguments, "--strip-suffix", "_gen")
    assert result.exit_code == 1
    assert "allowed 0.5 s (--max-length-difference)" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--system", "ours"), "--system ours: write it as NAME=FOLDER"),
        (("--system", "ours=/nowhere"), "/nowhere: no such folder"),
        (("--system", "ours={system}", "--metrics", "pesk"), "did you mean pesq?"),
        (("--system", "ours={system}", "--system", "ours={system}"), "ours stands there twice"),
        (("--system", "ours={system}", "--max-delay-ms", "900"), "max_delay_ms: 900 is not"),
        (("--system", "ours={system}", "--max-length-difference", "-1"), "max_length_difference:"),
        (("--system", "ours={system}", "--sample-rate", "16k"), "--sample-rate 16k: write a rate"),
        (("--system", "ours={system}", "--sample-rate", "16"), "sample_rate: 16 is neither"),
        (("--system", "ours={system}", "--strip-suffix", "_x"), "--strip-suffix '_x': no file's"),
        (("--system", "ours={system}", "--map", "/nowhere.csv"), "/nowhere.csv: cannot be"),
        (("--system", "ours={system}", "--speakers", "/nowhere.csv"), "/nowhere.csv: cannot be"),
        (("--system", "ours={system}", "--backend", "dask"), "needs --scheduler"),
    ],
)
def test_evaluate_refuses_what_it_cannot_do(
    two_folders: tuple[Path, Path], tmp_path: Path, arguments: tuple[str, ...], said: str
):
    reference, system = two_folders
    given = [argument.format(system=system) for argument in arguments]
    message = refusal("evaluate", "--reference", reference, "--output", tmp_path / "s", *given)
    assert said in message
    assert not (tmp_path / "s").exists()
