"""LPC and WORLD, which start from the waveform: filters found again, and real speech."""

import numpy as np
import pytest
import torch
from scipy.signal import freqz, lfilter
from torch import Tensor

from tests.models.speech import seeded
from vocoder.data.audio import read_audio
from vocoder.errors import AudioError, OptionError, PitchError, VocoderError
from vocoder.features.pitch import extract_pitch
from vocoder.metrics.mel_distance import mel_distance
from vocoder.metrics.pesq import pesq_wb
from vocoder.models.lpc import LPCVocoder
from vocoder.models.waveform import WaveVocoder
from vocoder.models.world import WorldVocoder

RATE = 16000
BOTH = pytest.mark.parametrize("vocoder", [LPCVocoder(), WorldVocoder()], ids=["lpc", "world"])


def vowel(seconds: float = 1.0, f0_hz: float = 110.0) -> tuple[Tensor, np.ndarray]:
    """Pulses through four resonances, and the polynomial of the filter."""
    formants = ((600, 60), (1200, 80), (2500, 120), (3500, 150))
    poles = np.exp([np.pi * complex(-width, 2 * f) / RATE for f, width in formants])
    polynomial = np.poly(np.concatenate([poles, poles.conj()])).real
    pulses = np.zeros(int(seconds * RATE))
    pulses[:: round(RATE / f0_hz)] = 1.0
    waveform = lfilter([1.0], polynomial, pulses)
    return torch.from_numpy(0.5 * waveform / np.abs(waveform).max()).float(), polynomial


def test_linear_prediction_finds_the_resonances():
    waveform, polynomial = vowel()
    lpc = LPCVocoder(order=12)
    coefficients, gain = lpc.analyse(waveform.double())
    assert coefficients.shape == (200, 12)
    found = np.concatenate([[1.0], coefficients[100]])
    # The pre-emphasis is in the prediction: undone, the envelope is that of the vowel.
    hertz, emphasised = freqz(1.0, found, worN=2048, fs=RATE)
    envelope = np.abs(emphasised * freqz(1.0, [1.0, -0.97], worN=2048, fs=RATE)[1])
    expected = np.abs(freqz(1.0, polynomial, worN=2048, fs=RATE)[1])
    for formant in (600, 1200, 2500, 3500):
        near = np.abs(hertz - formant) < 150
        assert hertz[near][envelope[near].argmax()] == pytest.approx(
            formant, abs=80
        )  # drawn to a harmonic
    levels = 20 * np.log10(envelope / expected)[(hertz > 200) & (hertz < 4000)]
    assert np.std(levels) < 4
    assert float(gain[100]) > 0


def test_noise_stays_noise_of_the_same_power():
    noise = 0.1 * torch.randn(RATE, generator=seeded())
    output = LPCVocoder().resynthesise(noise, generator=seeded(1))
    assert float(output.std() / noise.std()) == pytest.approx(1, rel=0.1)
    octaves = torch.fft.rfft(output).abs().square()[1:].reshape(4, -1).mean(1)
    assert float(octaves.max() / octaves.min()) < 1.5
    assert abs(float((output * noise).mean())) < 0.1 * float(noise.square().mean())


@BOTH
@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_f0_is_what_it_was_times_the_scale(vocoder: WaveVocoder, scale: float):
    waveform, _ = vowel()
    output = vocoder.resynthesise(waveform, scale, seeded())
    track = extract_pitch(output, RATE, 80, 200, 40)
    inner = slice(20, -20)
    assert float(track.voicing[inner].mean()) > 0.95
    assert float(track.f0_hz[inner].median()) == pytest.approx(RATE / 145 * scale, rel=0.01)


@BOTH
@pytest.mark.parametrize("name", ["test/it_dir-firstlast", "train/es_please-try-again"])
def test_real_speech_is_understood(tiny_corpus, vocoder: WaveVocoder, name: str):
    waveform = read_audio(tiny_corpus / "wavs" / f"{name}.wav").waveform[: 2 * RATE]
    output = vocoder.resynthesise(waveform, generator=seeded())
    assert output.shape == waveform.shape
    assert output.dtype == torch.float32
    assert 0.7 < float(output.std() / waveform.std()) < 1.4
    assert mel_distance(waveform, output, RATE) < 0.45
    assert pesq_wb(waveform, output, RATE) > 1.6


@BOTH
def test_any_length_comes_out_as_long(vocoder: WaveVocoder):
    for samples in [1, 79, 80, 81, 800, 5000]:
        waveform = 0.1 * torch.randn(samples, generator=seeded())
        output = vocoder.resynthesise(waveform, generator=seeded())
        assert output.shape == waveform.shape
        assert output.isfinite().all()


@BOTH
def test_silence_comes_out_as_silence(vocoder: WaveVocoder):
    output = vocoder.resynthesise(torch.zeros(4000), generator=seeded())
    assert float(output.abs().max()) < 3e-4


def test_the_generator_decides_and_nothing_else():
    waveform = 0.1 * torch.randn(4000, generator=seeded())
    lpc = LPCVocoder()
    first, again, other = (lpc.resynthesise(waveform, generator=seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)


def test_another_rate_has_frames_as_long():
    lpc = LPCVocoder(sample_rate=22050, order=30)
    assert lpc.hop_length == 110
    waveform = 0.1 * torch.randn(22050, generator=seeded())
    assert lpc.analyse(waveform.double())[0].shape == (201, 30)
    output = lpc.resynthesise(waveform, generator=seeded())
    assert float(output.std() / waveform.std()) == pytest.approx(1, rel=0.1)


@BOTH
def test_bad_input_is_refused(vocoder: WaveVocoder, unchecked_shapes: None):
    for waveform, message in (
        (torch.zeros(0), "at least one of them"),
        (torch.zeros(1, 100), "at least one of them"),
        (torch.zeros(100, dtype=torch.int16), "use floats"),
        (torch.full((100,), float("nan")), "NaN"),
    ):
        with pytest.raises(AudioError, match=message):
            vocoder.resynthesise(waveform)


def test_world_refuses_a_scale_that_is_no_factor_and_keeps_the_type():
    waveform = vowel(0.2)[0]
    for scale in (0.0, -1.0, float("nan")):
        with pytest.raises(OptionError, match=r"f0_scale is .*: a factor above 0"):
            WorldVocoder().resynthesise(waveform, f0_scale=scale)
    assert WorldVocoder().resynthesise(waveform.double()).dtype == torch.float64


def test_f0_out_of_range_is_refused():
    with pytest.raises(PitchError, match="F0 is"):
        LPCVocoder().resynthesise(vowel(0.2)[0], f0_scale=1000.0)


def test_without_pyworld_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(VocoderError, match=r"WORLD needs the package pyworld.*\[classical\]"):
        WorldVocoder()
