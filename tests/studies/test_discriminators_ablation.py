"""Discriminators alone: pairs, crops, what counts as told, and the table of what was kept."""

import pytest
import torch
from torch import nn

from studies.ablations.discriminators import (
    BATCH,
    CROP,
    KEPT,
    KINDS,
    NETWORKS,
    Learned,
    Pair,
    crops,
    lines,
    pairs,
    told_apart,
)
from studies.ablations.speech import RESULTS, Utterance
from studies.scores import read_model
from vocoder.data.audio import read_audio
from vocoder.loading import load


def noise(seed: int) -> torch.Tensor:
    return torch.randn(CROP + 500, generator=torch.Generator().manual_seed(seed))


class Loudness(nn.Module):
    """One network whose score is the level of every sample."""

    def forward(self, waveform):
        return [waveform.square()[:, None]], [[]]


def test_recordings_and_copies_are_cut_at_the_same_places():
    found = [Pair(signal, 2 * signal) for signal in map(noise, range(5))]
    recordings, copies = crops(found, 7)
    assert recordings.shape == copies.shape == (BATCH, CROP)
    assert torch.equal(copies, 2 * recordings)
    assert not torch.equal(recordings, crops(found, 8)[0])


@pytest.mark.parametrize(("gain", "share"), [(0.9, 1.0), (1.1, 0.0)])
def test_a_pair_is_told_apart_where_the_recording_has_the_higher_score(gain, share):
    found = [Pair(signal, gain * signal) for signal in map(noise, range(5))]
    assert told_apart(Loudness(), found, "hinge")[0] == share


def test_copies_are_in_step_and_end_where_recordings_do(tiny_corpus):
    audio = read_audio(tiny_corpus / "wavs" / "test" / "ru_0806.wav")
    model = load("universal").for_mel("vocos_24k")
    with torch.inference_mode():
        (pair,) = pairs(model, [Utterance("ru", audio)])
    assert pair.recording.shape == pair.copy.shape
    for signal in pair:
        power = torch.fft.rfft(signal).abs().square()
        above = torch.linspace(0, model.sample_rate / 2, len(power)) > 7100
        assert power[above].sum() < 1e-9 * power.sum()
    # In step: the envelopes of 1 to 4 kHz rise and fall together.
    spectra = torch.fft.rfft(torch.stack(pair))
    hertz = torch.fft.rfftfreq(len(pair.copy), 1 / model.sample_rate)
    band = torch.fft.irfft(spectra * ((hertz > 1000) & (hertz < 4000)), n=len(pair.copy))
    envelopes = torch.nn.functional.avg_pool1d(band.square(), 48, 24)
    together = torch.corrcoef(envelopes)[0, 1]
    late = torch.corrcoef(torch.stack([envelopes[0, 3:], envelopes[1, :-3]]))[0, 1]
    assert together > 0.5
    assert together > late + 0.1


def test_the_table_is_that_of_what_was_kept():
    kept = read_model(Learned, KEPT)
    assert [(each.networks, each.kind) for each in kept.found] == [
        (name, kind) for name in NETWORKS for kind in KINDS
    ]
    assert lines(kept) in RESULTS.read_text(encoding="utf-8")
