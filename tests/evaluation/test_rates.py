"""The scoring rate for systems of several rates, and its effect on the scores."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch

from vocoder.data.audio import read_audio, write_audio
from vocoder.errors import VocoderError
from vocoder.evaluation.folders import evaluate_folders
from vocoder.evaluation.pairs import Pair
from vocoder.evaluation.rates import scoring_rate
from vocoder.evaluation.summary import format_table
from vocoder.metrics.mstft import mstft

RATE = 24000
NAMES = ("a", "b")


@pytest.fixture
def folders(tmp_path: Path, tiny_corpus: Path) -> dict[str, Path]:
    """Recordings at 24 kHz with sound up to 12 kHz, and systems that copy them at three rates."""
    draw = np.random.default_rng(0)
    for name in NAMES:
        speech = read_audio(tiny_corpus / "wavs/test/it_dir-firstlast.wav").waveform.numpy()
        wide = soxr.resample(speech, 16000, RATE) + 0.01 * draw.normal(size=len(speech) * 3 // 2)
        write_audio(tmp_path / "r" / f"{name}.wav", torch.from_numpy(wide).float(), RATE)
        for rate in (16000, RATE):
            written = torch.from_numpy(0.9 * soxr.resample(wide, RATE, rate)).float()
            write_audio(tmp_path / f"at{rate}" / f"{name}.wav", written, rate)
    return {name: tmp_path / name for name in ("r", "at16000", "at24000", "out")}


def table(output: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (output / "utterances.csv").open(newline="") as file:
        return {(row["system"], row["utterance"]): row for row in csv.DictReader(file)}


def evaluated(folders: dict[str, Path], *systems: str, **options):
    return evaluate_folders(
        folders["r"], {name: folders[name] for name in systems}, folders["out"], ("mstft",),
        jobs=1, progress=False, **options,
    )  # fmt: skip


def test_the_lowest_rate_decides_and_is_said(folders):
    summary = evaluated(folders, "at16000", "at24000")
    assert summary.sample_rate == 16000
    said = (
        "cored at 16000 Hz, the lowest rate among recordings and systems: recordings 24000 Hz, "
        "at16000 16000 Hz, at24000 24000 Hz"
    )
    assert summary.rate == "s" + said
    assert f"\nS{said}.\n" in format_table(summary)
    assert "resampled to 16000 Hz" in summary.alignment
    rows = table(folders["out"])
    assert rows["at16000", "a"]["note"] == "reference resampled from 24000 to 16000 Hz"
    assert rows["at24000", "a"]["note"] == (
        "reference resampled from 24000 to 16000 Hz; resampled from 24000 to 16000 Hz"
    )
    # Two copies of one recording score alike, whatever their rate.
    scores = [float(rows[name, "a"]["mstft"]) for name in ("at16000", "at24000")]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)
    pair = [read_audio(folders[name] / "a.wav", 16000).waveform for name in ("r", "at24000")]
    assert scores[1] == pytest.approx(mstft(*pair, 16000), rel=1e-5)


def test_at_the_rate_of_the_recordings_the_band_that_is_missing_counts(folders):
    summary = evaluated(folders, "at16000", "at24000", sample_rate="reference")
    assert (summary.sample_rate, summary.rate) == (
        RATE, "scored at the rate of each recording, 24000 Hz",
    )  # fmt: skip
    rows = table(folders["out"])
    missing, whole = (float(rows[name, "a"]["mstft"]) for name in ("at16000", "at24000"))
    assert missing > whole + 0.3
    assert rows["at24000", "a"]["note"] == ""


def test_one_rate_everywhere_changes_nothing(folders):
    summary = evaluated(folders, "at24000")
    assert summary.sample_rate == RATE
    assert summary.rate == "scored at 24000 Hz, the rate of all files"
    assert table(folders["out"])["at24000", "a"]["note"] == ""


def test_a_rate_asked_for_is_taken(folders):
    summary = evaluated(folders, "at16000", sample_rate=8000)
    assert (summary.sample_rate, summary.rate) == (8000, "scored at 8000 Hz, as asked for")
    notes = table(folders["out"])["at16000", "a"]["note"]
    assert notes.endswith("resampled from 16000 to 8000 Hz")


def test_a_copy_at_another_rate_is_none_and_at_the_common_one_it_is(folders, tmp_path):
    systems = {"copy": folders["r"], "at16000": folders["at16000"]}
    summary = evaluate_folders(
        folders["r"], systems, folders["out"], ("mstft",), jobs=1, progress=False
    )
    assert summary.sample_rate == 16000
    assert [system.copy_of_reference for system in summary.systems.values()] == [True, False]
    # The recordings as FLAC: the same after decoding and resampling.
    for name in NAMES:
        (tmp_path / "flac").mkdir(exist_ok=True)
        samples, rate = soundfile.read(folders["r"] / f"{name}.wav", dtype="int16")
        soundfile.write(tmp_path / "flac" / f"{name}.flac", samples, rate)
    systems["copy"] = tmp_path / "flac"
    summary = evaluate_folders(
        folders["r"], systems, folders["out"], ("mstft",), jobs=1, progress=False
    )
    assert summary.systems["copy"].copy_of_reference


def test_only_headers_of_complete_pairs_are_read(folders):
    bad = folders["r"] / "bad.wav"
    bad.write_bytes(b"no sound")
    at = folders["at16000"] / "a.wav"
    pairs = [
        Pair("s", "a", folders["r"] / "a.wav", folders["at24000"] / "a.wav"),
        Pair("s", "bad", bad, folders["at24000"] / "b.wav"),
        Pair("s", "missing", None, at),
        Pair("s", "surplus", at, None),
    ]
    assert scoring_rate(pairs) == (24000, "scored at 24000 Hz, the rate of all files")
    assert scoring_rate(pairs[1:2]) == (None, "")
    # Recordings of several rates keep them where that is asked for.
    pairs.append(Pair("s", "other", at, at))
    assert scoring_rate(pairs, "reference") == (
        None, "scored at the rate of each recording, 16000 and 24000 Hz",
    )  # fmt: skip
    assert scoring_rate(pairs)[0] == 16000


@pytest.mark.parametrize("sample_rate", [0, 3999, 500_000, "lowest"])
def test_what_is_no_rate_is_refused(folders, sample_rate):
    with pytest.raises(VocoderError, match=f"sample_rate: {sample_rate} is neither a rate from"):
        evaluated(folders, "at16000", sample_rate=sample_rate)
