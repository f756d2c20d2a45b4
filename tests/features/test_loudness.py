"""A-weighting against librosa's, and loudness against the signal's spectrum."""

import librosa
import numpy as np
import pytest
import torch
from torch import Tensor

from vocoder.features.loudness import MelLoudness, a_weighting, loudness_weights
from vocoder.features.mel import PRESETS

SPECS = ["speecht5_16k", "hifigan_22k", "vocos_24k", "r9y9_22k"]


def a_weighted_level(waveform: Tensor, sample_rate: int) -> float:
    """Half the natural log of the A-weighted power, from the spectrum of the whole signal."""
    spectrum = torch.fft.rfft(waveform.double()).abs()
    frequency = torch.linspace(0, sample_rate / 2, len(spectrum), dtype=torch.float64)
    power = 2 * (spectrum * a_weighting(frequency)).square().sum() / len(waveform) ** 2
    return float(0.5 * power.log())


def test_the_weighting_is_the_standard_one():
    frequency = np.geomspace(20, 12000, 60)
    found = 20 * a_weighting(torch.from_numpy(frequency)).log10()
    np.testing.assert_allclose(found, librosa.A_weighting(frequency), atol=0.01)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("gain_db", [0.0, -40.0])
def test_noise_has_its_a_weighted_level(name, gain_db):
    spec = PRESETS[name]
    noise = torch.randn(1, 2 * spec.sample_rate, generator=torch.Generator().manual_seed(0))
    noise = 10 ** (gain_db / 20) * noise
    loudness = MelLoudness(spec)(spec.mel(noise))
    # Half a decibel: what lies above the highest band has no band of its own.
    expected = a_weighted_level(noise[0], spec.sample_rate)
    assert float(loudness.mean()) == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("name", SPECS)
def test_tones_differ_as_the_ear_hears_them(name):
    spec = PRESETS[name]
    seconds = torch.arange(spec.sample_rate) / spec.sample_rate
    loudness = MelLoudness(spec)
    levels = [
        float(loudness(spec.mel(0.1 * torch.sin(2 * torch.pi * hertz * seconds)[None])).median())
        for hertz in (300, 2500)
    ]
    # From 300 Hz to 2.5 kHz the weighting rises by 8.4 dB.
    assert (levels[1] - levels[0]) * 20 / np.log(10) == pytest.approx(8.4, abs=4.5)


def test_bands_cover_the_spectrum_once():
    spec = PRESETS["vocos_24k"]
    filters = spec.filterbank()
    centres = filters @ torch.linspace(0, 12000, 513).double() / filters.sum(1)
    share = loudness_weights(spec).double() / a_weighting(centres).square()
    assert float(share.sum()) == pytest.approx(1, abs=1e-5)
    assert float(share.min()) > 0
