"""Mel projection: fixed points, accuracy, gradients, and reach."""

from pathlib import Path

import pytest
import torch

import vocoder
from vocoder.data.audio import read_audio
from vocoder.features.mel import PRESETS, MelSpec
from vocoder.features.projection import project_mel

WAV = Path(__file__).parents[2] / "egs" / "tiny" / "wavs" / "test" / "ru_0806.wav"
SMALL = MelSpec(
    sample_rate=8000, n_fft=32, hop_length=8, win_length=32, n_mels=6, f_min=0.0, f_max=4000.0,
    mel_scale="htk", mel_norm="none", power=1, log="ln", floor=1e-7, padding="center",
)  # fmt: skip


def speech(spec: MelSpec) -> torch.Tensor:
    """Two seconds, whole hops, in float64."""
    waveform = read_audio(WAV, spec.sample_rate).waveform[: 2 * spec.sample_rate]
    return waveform[None, : len(waveform) // spec.hop_length * spec.hop_length].double()


def log_amplitude(waveform: torch.Tensor, spec: MelSpec) -> torch.Tensor:
    frames = waveform.shape[1] // spec.hop_length
    return spec.log_amplitude(spec.mel(waveform))[:, :, :frames]


@pytest.mark.parametrize("name", PRESETS)
def test_a_waveform_that_meets_the_mel_stays_as_it_is(name: str):
    spec = PRESETS[name]
    waveform = speech(spec)
    wanted = log_amplitude(waveform, spec)
    out = project_mel(waveform, wanted, spec, passes=2)
    inside = slice(2 * spec.n_fft, -2 * spec.n_fft)  # the mel reflects the ends, silence is beyond
    change = (out - waveform)[:, inside].square().mean() / waveform[:, inside].square().mean()
    # Bands below the mel's floor are undetermined.
    assert float(change) < 1e-4


@pytest.mark.parametrize("name", ["speecht5_16k", "vocos_24k", "hifigan_22k"])
def test_a_louder_mel_makes_it_louder_and_every_pass_comes_closer(name: str):
    spec = PRESETS[name]
    waveform = speech(spec)
    wanted = log_amplitude(waveform, spec)
    inside = slice(2 * spec.n_fft, -2 * spec.n_fft)
    doubled = project_mel(waveform, wanted + 0.6931471805599453, spec)
    # All but what lies outside the filters, such as hum below 80 Hz.
    missing = (doubled - 2 * waveform)[:, inside].square().mean()
    assert float(missing / (2 * waveform)[:, inside].square().mean()) < 2e-3
    noise = torch.randn(waveform.shape, generator=torch.Generator().manual_seed(0)).double()
    start = waveform + 0.02 * noise
    distances = []
    for passes in (0, 1, 2, 4):
        own = log_amplitude(project_mel(start, wanted, spec, passes), spec)
        distances.append(float((own - wanted)[:, :, 8:-8].abs().mean()))
    assert distances == sorted(distances, reverse=True)
    assert distances[1] < 0.7 * distances[0]


def test_gradients_are_those_of_finite_differences():
    generator = torch.Generator().manual_seed(2)
    waveform = torch.randn(1, 64, generator=generator).double().requires_grad_()
    wanted = torch.randn(1, 6, 8, generator=generator).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda y, m: project_mel(y, m, SMALL, 2), (waveform, wanted))


def test_what_does_not_fit_is_refused():
    wanted = torch.zeros(1, 6, 8)
    with pytest.raises(ValueError, match="must be equally long"):
        project_mel(torch.zeros(1, 65), wanted, SMALL)
    with pytest.raises(ValueError, match="passes is -1"):
        project_mel(torch.zeros(1, 64), wanted, SMALL, passes=-1)
    assert torch.equal(project_mel(torch.zeros(1, 64), wanted, SMALL, 0), torch.zeros(1, 64))


def test_in_a_vocoder_chunks_are_the_whole_and_its_latency_holds():
    model = vocoder.load("source_filter_16k")
    mel = model.mel(read_audio(WAV, model.sample_rate).waveform)[:, :, :120]
    noise = torch.randn(1, 120 * 256, generator=torch.Generator().manual_seed(0))
    whole = model(mel, noise=noise, mel_projection=2)
    stream = model.stream(mel_projection=2)
    pieces = list(stream.chunks(mel, noise=noise, chunk_frames=17))
    assert torch.allclose(torch.cat(pieces, dim=1), whole, atol=2e-5)
    assert not torch.allclose(whole, model(mel, noise=noise), atol=1e-3)
    lookahead = stream.lookahead_frames
    changed = mel.clone()
    changed[:, :, 60 + lookahead :] += 1.0
    other = model(changed, noise=noise, mel_projection=2)
    assert torch.allclose(other[:, : 60 * 256], whole[:, : 60 * 256], atol=1e-5)
    with pytest.raises(ValueError, match="mel_projection is -1"):
        model(mel, mel_projection=-1)


def test_it_brings_the_shipped_weights_closer_to_their_mel():
    model = vocoder.load("source_filter_16k")
    mel = model.mel(read_audio(WAV, model.sample_rate).waveform)
    distances = []
    for passes in (0, 1, 2):
        out = model(mel, generator=torch.Generator().manual_seed(0), mel_projection=passes)
        own = model.mel(out[0])[:, :, : mel.shape[2]]
        distances.append(float((own - mel).abs().mean()))
    assert distances[2] < distances[1] < distances[0]
    assert distances[2] < 0.8 * distances[0]
