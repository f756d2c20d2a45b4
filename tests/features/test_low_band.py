"""The low band's projection: the same spectrum at a lower rate, and a signal nearer to its mel."""

import math

import pytest
import torch

import vocoder
from tests.models.speech import seeded
from vocoder.data.audio import read_audio
from vocoder.dsp.carry import Carry
from vocoder.features.low_band import (
    FADE_HZ,
    LOWEST_NYQUIST_HZ,
    decimated_hop,
    low_band_passes,
    project_low_band,
)
from vocoder.features.mel import PRESETS, MelSpec
from vocoder.features.projection import project_pieces

VOCOS = PRESETS["vocos_24k"]
ODD = PRESETS["hifigan_22k"].model_copy(
    update={"hop_length": 275, "win_length": 1024, "n_fft": 2048, "padding": "center"}
)
"""Neither hop nor window are multiples of the decimation."""


def spectrum_of(waveform: torch.Tensor, spec: MelSpec) -> torch.Tensor:
    """Spectra of the mel's windows, each at the start of its transform."""
    frames = waveform.shape[1] // spec.hop_length
    lead = spec.window_lead
    padded = torch.nn.functional.pad(waveform, (lead, spec.win_length))
    cut = padded.unfold(1, spec.win_length, spec.hop_length)[:, :frames]
    window = torch.hann_window(spec.win_length, dtype=waveform.dtype)
    return torch.fft.rfft(cut * window, n=spec.n_fft)


def energies_of(spectrum: torch.Tensor, spec: MelSpec) -> torch.Tensor:
    return spectrum.abs() ** spec.power @ spec.filterbank().to(spectrum.real).T


def hum(spec: MelSpec, frames: int, f0_hz: float = 110.0) -> torch.Tensor:
    """Harmonics up to 500 Hz, which swell and fade."""
    time = torch.arange(frames * spec.hop_length, dtype=torch.float64) / spec.sample_rate
    swell = torch.sin(math.pi * time / time[-1]) ** 2
    orders = range(1, int(500 / f0_hz) + 1)
    tones = [torch.cos(2 * math.pi * k * f0_hz * time + k) / k for k in orders]
    return (swell * torch.stack(tones).sum(0))[None]


def test_the_decimation_follows_from_hop_and_rate():
    names = ("vocos_24k", "espnet_24k", "hifigan_22k", "speecht5_16k")
    assert [decimated_hop(PRESETS[name]) for name in names] == [16, 19, 16, 32]
    assert low_band_passes(VOCOS, 4) == 64
    for spec in (*PRESETS.values(), ODD):
        factor = spec.hop_length / decimated_hop(spec)
        assert spec.sample_rate / factor / 2 >= LOWEST_NYQUIST_HZ
        assert factor > spec.sample_rate / 2 / LOWEST_NYQUIST_HZ / 2.5
    assert low_band_passes(ODD, 4) == 61
    high = PRESETS["r9y9_22k"]  # begins at 125 Hz
    assert low_band_passes(high, 4) == 0
    with pytest.raises(ValueError, match="low_band_projection is -1"):
        low_band_passes(VOCOS, -1)


@pytest.mark.parametrize("name", ["vocos_24k", "speecht5_16k", "espnet_24k", "odd"])
def test_a_low_signal_that_meets_its_mel_is_left_as_it_is(name):
    """The first free, the others anchored; the last two at rates that are no fractions."""
    spec = {**PRESETS, "odd": ODD}[name]
    spectrum = spectrum_of(hum(spec, 60), spec)
    found = project_low_band(spectrum, energies_of(spectrum, spec), spec, 8, Carry(whole=True))
    inner = slice(8, -8)
    error = (found - spectrum)[:, inner].abs().max()
    assert error < 2e-3 * spectrum.abs().max()


def test_bins_above_the_band_stay_and_those_below_follow_the_mel():
    generator = torch.Generator().manual_seed(0)
    spectrum = spectrum_of(hum(VOCOS, 60), VOCOS)
    energies = energies_of(spectrum, VOCOS)
    turned = torch.polar(
        spectrum.abs(), 2 * math.pi * torch.rand(spectrum.shape, generator=generator).double()
    )
    found = project_low_band(turned, energies, VOCOS, 64, Carry(whole=True))
    hertz = torch.arange(spectrum.shape[2]) * VOCOS.sample_rate / VOCOS.n_fft
    above = hertz >= FADE_HZ[1]
    assert torch.equal(found[..., above], turned[..., above])

    def distance(of: torch.Tensor) -> float:
        """Relative error of the mel of the waveform that comes nearest to a spectrum."""
        frames = torch.fft.irfft(of, n=VOCOS.n_fft)
        total = torch.zeros(1, (frames.shape[1] + 3) * 256, dtype=torch.float64)
        weight = torch.zeros_like(total)
        window = torch.hann_window(1024, dtype=torch.float64)
        for t in range(frames.shape[1]):
            total[:, t * 256 : t * 256 + 1024] += frames[:, t] * window
            weight[:, t * 256 : t * 256 + 1024] += window.square()
        waveform = (total / weight.clamp(min=1e-4))[:, 512 : 512 + 60 * 256]
        own = energies_of(spectrum_of(waveform, VOCOS), VOCOS)
        low = slice(0, 18)
        return float((own - energies)[:, 8:-8, low].abs().sum() / energies[:, 8:-8, low].sum())

    assert distance(found) < 0.25 * distance(turned)


def test_gradients_are_those_of_finite_differences():
    spec = VOCOS.model_copy(
        update={"sample_rate": 8000, "n_fft": 64, "win_length": 64, "hop_length": 16, "n_mels": 20,
                "f_max": 4000.0}
    )  # fmt: skip
    assert decimated_hop(spec) == 4
    waveform = torch.randn(1, 10 * 16, generator=seeded()).double().requires_grad_()
    wanted = torch.randn(1, 20, 10, generator=seeded(1)).double().requires_grad_()

    def projected(y: torch.Tensor, mel: torch.Tensor) -> torch.Tensor:
        return project_pieces(y, mel, spec, 1, Carry(whole=True), low_band_passes=3)

    assert torch.autograd.gradcheck(projected, (waveform, wanted), fast_mode=True)


@torch.inference_mode()
def test_it_brings_the_shipped_weights_closer_to_their_mel(repository):
    model = vocoder.load()
    recording = repository / "egs/tiny/wavs/test/ru_0806.wav"
    mel = model.mel(read_audio(recording, model.sample_rate).waveform)
    distances = []
    for cost in (0, 4):
        out = model(mel, generator=seeded(), low_band_projection=cost)
        own = model.mel(out[0])[:, :, : mel.shape[2]]
        distances.append(float((own - mel)[:, :20].abs().mean()))
    assert distances[1] < 0.6 * distances[0]
