"""Analyses of a recording are computed once for all systems, without changing scores."""

import csv
from pathlib import Path

import pytest
import torch

from tests.golden.networks import recording
from tests.metrics.golden import with_noise
from vocoder.data.audio import write_audio
from vocoder.evaluation.folders import evaluate_folders
from vocoder.metrics import periodicity

pytestmark = pytest.mark.slow

RATE = 16000
METRICS = ("periodicity_tiny",)


@pytest.fixture
def crepe_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lengths of the signals that went through CREPE, which is the small one here."""
    pytest.importorskip("torchcrepe")
    calls: list[int] = []
    crepe = periodicity._crepe

    def counted(waveform: torch.Tensor, hop_length: int, model: str, block: int | None):
        calls.append(len(waveform))
        return crepe(waveform, hop_length, "tiny", block)

    monkeypatch.setattr(periodicity, "_crepe", counted)
    periodicity._remembered.cache_clear()
    yield calls
    periodicity._remembered.cache_clear()


def test_the_track_of_a_recording_is_computed_once_and_is_the_same(crepe_calls):
    clean = recording("train/es_please-try-again")[6000:18000]
    others = [with_noise(clean, snr_db) for snr_db in (30.0, 20.0, 10.0)]
    for measure in (periodicity.periodicity_errors, periodicity.periodicity_errors_vocos):
        del crepe_calls[:]
        reused = [measure(clean, other, RATE) for other in others]
        assert len(crepe_calls) == 1 + len(others)
        anew = []
        for other in others:
            periodicity._remembered.cache_clear()
            anew.append(measure(clean, other, RATE))
        assert reused == anew
    # Another recording, another number of frames or another convention is another track.
    del crepe_calls[:]
    periodicity.periodicity_errors(others[0], clean, RATE)
    periodicity.periodicity_errors(clean[:-300], others[0][:-300], RATE)
    periodicity.periodicity_errors(clean, others[0], 16001)
    assert len(crepe_calls) == 6


def test_systems_of_an_utterance_are_scored_in_a_row(crepe_calls, tmp_path: Path):
    names = [f"{number:02}" for number in range(periodicity._RECORDINGS + 2)]
    clean = recording("train/es_please-try-again")
    for number, name in enumerate(names):
        piece = clean[6000 + 500 * number :][:8000]
        for folder, sound in (
            ("r", piece), ("a", with_noise(piece, 30.0)), ("b", with_noise(piece, 15.0)),
        ):  # fmt: skip
            write_audio(tmp_path / folder / f"{name}.wav", torch.from_numpy(sound), RATE)
    systems = {name: tmp_path / name for name in "ab"}
    evaluate_folders(tmp_path / "r", systems, tmp_path / "out", METRICS, jobs=1, progress=False)
    assert len(crepe_calls) == 3 * len(names)
    with (tmp_path / "out" / "utterances.csv").open(newline="") as file:
        rows = [(row["system"], row["utterance"]) for row in csv.DictReader(file)]
    assert rows == [(system, name) for system in "ab" for name in names]
