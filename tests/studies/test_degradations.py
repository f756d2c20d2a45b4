"""Degradations have the specified size, the recording's length, and no delay."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from studies.validation import degradations
from vocoder.data.audio import read_audio
from vocoder.errors import AudioError, VocoderError
from vocoder.metrics.f0 import f0_errors
from vocoder.metrics.spectral_distance import log_spectral_distance
from vocoder.models.world import World

pytestmark = pytest.mark.slow

RATE = 16000


@pytest.fixture(scope="module")
def speech(repository: Path) -> Tensor:
    """1.5 s of a man's voice, the first of its words with no pause before."""
    path = repository / "egs" / "tiny" / "wavs" / "test" / "ru_0806.wav"
    return read_audio(path).waveform[8000:32000]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def lag(reference: Tensor, estimate: Tensor) -> int:
    """Where the cross-correlation of two waveforms peaks, in samples."""
    spectra = [np.fft.rfft(x.double().numpy(), 2 * len(x)) for x in (reference, estimate)]
    correlation = np.fft.irfft(spectra[1] * spectra[0].conj())
    peak = int(correlation.argmax())
    return peak if peak < len(reference) else peak - 2 * len(reference)


@pytest.mark.parametrize("snr_db", [40.0, 0.0, -5.0])
def test_noise_has_the_energy_that_was_asked_for(speech: Tensor, snr_db: float):
    for noise in (
        degradations.white_noise(len(speech), generator()),
        degradations.speech_shaped_noise(speech, generator()),
    ):
        added = degradations.add_noise(speech, noise, snr_db).double() - speech.double()
        found = 10 * torch.log10(speech.double().square().sum() / added.square().sum())
        assert float(found) == pytest.approx(snr_db, abs=1e-4)


def test_white_noise_is_white_and_shaped_noise_has_the_spectrum_of_speech(speech: Tensor):
    white = degradations.white_noise(len(speech), generator())
    octaves = torch.fft.rfft(white).abs().square()[1:].reshape(4, -1).mean(1)
    assert float(octaves.max() / octaves.min()) < 1.15
    shaped = degradations.speech_shaped_noise(speech, generator())
    spectra = [torch.fft.rfft(x.double()).abs() for x in (speech, shaped)]
    torch.testing.assert_close(spectra[0], spectra[1], rtol=1e-3, atol=1e-3)
    # Steady: of speech, every other stretch is much louder than the next.
    levels = [x.reshape(30, -1).square().mean(1).log10() for x in (speech, shaped)]
    assert float(levels[1].std()) < 0.3 * float(levels[0].std())


@pytest.mark.parametrize("cutoff_hz", [3000.0, 7000.0])
def test_the_low_pass_keeps_what_is_below_and_loses_what_is_above(cutoff_hz: float):
    time = torch.arange(RATE, dtype=torch.float64) / RATE
    inside = slice(1000, -1000)
    for hertz, gain in ((cutoff_hz - 150, 1.0), (cutoff_hz, 0.5), (cutoff_hz + 150, 0.0)):
        tone = torch.sin(2 * torch.pi * hertz * time).float()
        filtered = degradations.low_pass(tone, RATE, cutoff_hz)
        torch.testing.assert_close(filtered[inside], gain * tone[inside], rtol=0, atol=3e-4)
        response = degradations.low_pass_response(np.array([hertz]), RATE, cutoff_hz)
        assert float(response[0]) == pytest.approx(gain, abs=2e-4)


def test_a_delay_shifts_by_exactly_so_many_samples(speech: Tensor):
    delayed = degradations.delay(speech, 37)
    assert len(delayed) == len(speech)
    assert not delayed[:37].any()
    assert torch.equal(delayed[37:], speech[:-37])
    assert torch.equal(degradations.delay(speech, 0), speech)


@pytest.mark.parametrize(
    ("codec", "kbit_s", "most"), [("mp3", 64, 0), ("mp3", 8, 0), ("opus", 24, 0), ("opus", 6, 3)]
)
def test_codecs_are_lossy_as_long_and_not_late(
    speech: Tensor, codec: str, kbit_s: float, most: int
):
    coded = degradations.code(speech, RATE, codec, kbit_s)
    assert len(coded) == len(speech)
    assert abs(lag(speech, coded)) <= most
    assert 0.3 < float(coded.std() / speech.std()) < 1.1
    assert float((coded - speech).std() / speech.std()) > 0.01


def test_a_lower_rate_loses_more(speech: Tensor):
    for codec in ("mp3", "opus"):
        errors = [
            float((degradations.code(speech, RATE, codec, kbit_s) - speech).std())
            for kbit_s in (48, 16, 8)
        ]
        assert errors == sorted(errors)


def test_world_shifts_f0_by_known_cents_and_nothing_else(speech: Tensor):
    world = World.analyse(speech, RATE)
    plain = world.synthesise()
    assert len(plain) == len(speech)
    assert torch.equal(plain, world.synthesise()), "its noise is the same each time"
    for cents in (-200.0, 100.0):
        errors = f0_errors(plain, world.synthesise(cents), RATE)
        assert errors.rmse_cents == pytest.approx(abs(cents), rel=0.03)
        assert errors.gross_pitch_error == 0.0
        assert errors.voicing_error < 0.05


def test_fewer_coefficients_are_farther_from_the_envelope(speech: Tensor):
    world = World.analyse(speech, RATE)
    plain = world.synthesise()
    distances = [
        log_spectral_distance(plain, world.synthesise(coefficients=count), RATE)
        for count in (40, 12, 3)
    ]
    assert 0 < distances[0] < distances[1] < distances[2]


def test_bad_input_is_refused_with_one_clear_line(speech: Tensor, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(AudioError, match="make them as long"):
        degradations.add_noise(speech, speech[1:], 10)
    with pytest.raises(AudioError, match="silence"):
        degradations.add_noise(torch.zeros(100), torch.ones(100), 10)
    with pytest.raises(AudioError, match="no low-pass at 8000 Hz"):
        degradations.low_pass(speech, RATE, 8000)
    with pytest.raises(AudioError, match="cannot be delayed"):
        degradations.delay(speech, len(speech))
    with pytest.raises(VocoderError, match="no codec 'aac'; there are: mp3, opus"):
        degradations.code(speech, RATE, "aac", 64)
    with pytest.raises(AudioError, match="NaN"):
        degradations.code(torch.full((100,), float("nan")), RATE, "mp3", 64)
    with pytest.raises(AudioError, match=r"ffmpeg could not code or decode: \w+") as caught:
        degradations.code(speech, RATE, "opus", 5000)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(shutil, "which", lambda program: None)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("called all the same"))
    with pytest.raises(VocoderError, match=r"need the program ffmpeg: apt-get install ffmpeg"):
        degradations.code(speech, RATE, "mp3", 64)
