"""Universal vocoders: the same weights at every mel and every rate."""

import math

import numpy as np
import pytest
import torch

from tests.models.speech import ODD_HOP, SMALL, new_model, relative_error, seeded
from vocoder.data.segments import Batch
from vocoder.errors import MelError
from vocoder.features.envelope import band_centres_hz, bin_weights
from vocoder.features.mel import PRESETS, MelSpec
from vocoder.losses.spectral import SpectralLoss, SpectralLossConfig
from vocoder.models.classical import GriffinLim
from vocoder.models.source_filter import SourceFilter
from vocoder.models.source_filter.bands import (
    CANONICAL,
    describe_spec,
    from_canonical,
    silence_above,
    to_canonical,
)
from vocoder.training.objectives.source_filter import SourceFilterLossConfig, SourceFilterObjective

UNIVERSAL = SMALL.model_copy(
    update={"universal": True, "mel_correction": False, "mel_projection": 2}
)
AT_48K = CANONICAL.model_copy(
    update={"sample_rate": 48000, "n_fft": 2048, "win_length": 2048, "hop_length": 512}
)
SERVED = {
    **{name: PRESETS[name] for name in ("vocos_24k", "hifigan_22k", "speecht5_16k", "espnet_24k")},
    "cosyvoice2_24k": PRESETS["cosyvoice2_24k"],
    "48 kHz": AT_48K,
    "an odd hop": ODD_HOP,
    "power": PRESETS["hifigan_22k"].model_copy(update={"power": 2, "magnitude_eps": 0.0}),
}
EVERY_SERVED = pytest.mark.parametrize("name", SERVED)


def universal(seed: int = 0) -> SourceFilter:
    return new_model(CANONICAL, UNIVERSAL, seed).eval()


def voice(sample_rate: int, seconds: float = 1.0) -> torch.Tensor:
    """(1, samples): harmonics of 160 Hz below 7 kHz, 6 dB per octave down, and faint noise."""
    time = torch.arange(int(seconds * sample_rate), dtype=torch.float64) / sample_rate
    tones = [torch.sin(2 * math.pi * 160 * k * time + k * k) / k for k in range(1, 44)]
    noise = torch.randn(len(time), generator=seeded(), dtype=torch.float64)
    return (0.1 * torch.stack(tones).sum(0) + 1e-3 * noise).float()[None]


def test_nothing_is_interpolated_for_the_canonical_mel():
    torch.testing.assert_close(to_canonical(CANONICAL), torch.eye(100), atol=1e-6, rtol=0)
    torch.testing.assert_close(from_canonical(24000, 257), bin_weights(CANONICAL, 257))
    assert describe_spec(CANONICAL).abs().max() == 0


@EVERY_SERVED
def test_a_line_over_frequency_stays_one_on_canonical_bands_and_back(name):
    spec = SERVED[name]
    centres, canonical = band_centres_hz(spec), band_centres_hz(CANONICAL)
    inside = (canonical > centres[0]) & (canonical < centres[-1])
    slope = 1e-3 * torch.from_numpy(centres).float()
    found = (slope @ to_canonical(spec)).numpy()
    np.testing.assert_allclose(found[inside], 1e-3 * canonical[inside], atol=1e-3)
    assert np.allclose(found[canonical > centres[-1]], 1e-3 * centres[-1], atol=1e-3)
    hertz = np.linspace(0, spec.sample_rate / 2, 200)
    known = (hertz > canonical[0]) & (hertz < canonical[-1])
    bins = (
        torch.from_numpy(1e-3 * canonical).float() @ from_canonical(spec.sample_rate, 200)
    ).numpy()
    np.testing.assert_allclose(bins[known], 1e-3 * hertz[known], atol=1e-3)


@EVERY_SERVED
def test_white_noise_looks_the_same_in_every_mel(name):
    spec = SERVED[name]
    model = universal().for_mel(spec)
    noise = torch.randn(1, 4 * spec.sample_rate, generator=seeded())
    seen = model.synthesis.network_input(model.log_gain(spec.mel(noise)))
    # Zero nepers, which the networks see as 2; a narrow band's mean logarithm lies below.
    assert seen[0, 5:-5, :100].mean() == pytest.approx(2, abs=0.06)
    assert torch.equal(seen[0, 3, 100:], describe_spec(spec))


@EVERY_SERVED
@torch.inference_mode()
def test_every_mel_is_spoken_by_the_same_weights(name):
    spec, model = SERVED[name], universal()
    sibling = model.for_mel(spec)
    assert sibling.filter_network is model.filter_network
    assert sibling.state_dict().keys() == model.state_dict().keys()
    given = voice(spec.sample_rate)
    mel = spec.mel(given)
    spoken = sibling(mel, generator=seeded(), f0_hz=torch.full((1, mel.shape[2]), 160.0))
    assert spoken.shape == (1, mel.shape[2] * spec.hop_length)
    # Untrained networks leave the mel's own envelope, and projection meets it.
    frames = slice(6, given.shape[1] // spec.hop_length - 6)
    wanted, own = (
        spec.log_amplitude(spec.mel(wave))[0, :, frames]
        for wave in (given, spoken[:, : given.shape[1]])
    )
    loud = wanted > wanted.max() - 4
    assert (wanted - own)[loud].abs().mean() < 0.5


@EVERY_SERVED
@torch.inference_mode()
def test_chunks_are_the_whole_at_every_mel(name):
    spec = SERVED[name]
    model = universal().for_mel(spec)
    mel = spec.mel(voice(spec.sample_rate))
    noise = torch.randn(1, mel.shape[2] * spec.hop_length, generator=seeded())
    whole = model(mel, noise=noise)
    pieces = torch.cat(list(model.stream().chunks(mel, noise=noise, chunk_frames=17)), dim=1)
    assert relative_error(pieces, whole) < 1e-3


@torch.inference_mode()
def test_nothing_sounds_above_what_mel_and_bands_know():
    model = universal().for_mel(AT_48K)
    mel = AT_48K.mel(0.1 * torch.randn(1, 48000, generator=seeded()))
    spoken = model(mel, generator=seeded())[0].double()
    power = torch.fft.rfft(spoken * torch.hann_window(len(spoken))).abs().square()
    hertz = torch.linspace(0, 24000, len(power))
    above, below = power[hertz > 13500].mean(), power[(hertz > 6000) & (hertz < 11000)].mean()
    assert 10 * torch.log10(above / below) < -60
    assert silence_above(CANONICAL, 257).abs().max() == 0


def test_gradients_of_every_mel_reach_the_shared_weights():
    model = new_model(CANONICAL, UNIVERSAL)
    losses = SourceFilterLossConfig(spectral=SpectralLossConfig(n_ffts=(512,), n_mels=(40,)))
    objective = SourceFilterObjective(model, losses)
    for name in ("hifigan_22k", "speecht5_16k"):
        spec, frames = PRESETS[name], 40
        model.zero_grad()
        waveform = voice(spec.sample_rate)[:, : frames * spec.hop_length]
        batch = Batch(
            waveform,
            model.for_mel(spec).pad_context(spec.mel(waveform)[:, :, :frames]),
            torch.full((1, frames), 160.0),
            torch.ones(1, frames),
            torch.tensor([7600.0]),
            spec,
        )
        noise = torch.randn(waveform.shape, generator=seeded())
        output = objective(batch, noise, torch.tensor([False]))
        assert output.estimate.shape == output.reference.shape
        torch.stack(list(output.losses.values())).sum().backward()
        for parameter in model.parameters():
            assert parameter.grad is not None
            assert parameter.grad.isfinite().all()
        assert model.filter_network.input.conv.weight.grad[:, 100:].abs().sum() > 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"hop_length": 600, "win_length": 1024}, "hop_length 600 is 25.0 ms"),
        ({"n_mels": 20}, "n_mels 20"),
        ({"f_max": 4000.0}, "f_max 4000"),
        ({"sample_rate": 96000}, "sample_rate 96000"),
        ({"n_mels": 400}, "n_mels 400 leaves filters without a bin"),
    ],
)
def test_mels_that_cannot_be_served_well_are_refused(change: dict, field: str):
    spec = MelSpec.model_validate({**CANONICAL.model_dump(), **change})
    with pytest.raises(MelError, match=field):
        universal().for_mel(spec)


def test_other_vocoders_serve_their_own_mel_only():
    dedicated = new_model(PRESETS["speecht5_16k"])
    assert dedicated.for_mel("speecht5_16k") is dedicated
    with pytest.raises(MelError, match=r"sample_rate: 16000 here, 24000 there"):
        dedicated.for_mel("vocos_24k")
    with pytest.raises(MelError, match=r"no mel preset 'vocos_24'.*vocos_24k"):
        universal().for_mel("vocos_24")


def test_griffin_lim_serves_any_mel():
    other = GriffinLim(PRESETS["speecht5_16k"], iterations=2).for_mel("vocos_24k")
    assert other.sample_rate == 24000
    assert other(other.mel(voice(24000, 0.3))).shape == (1, 29 * 256)


def test_a_band_limit_hides_what_lies_above_from_the_loss():
    loss = SpectralLoss(SpectralLossConfig(n_ffts=(1024, 256), n_mels=(80, 0)), 24000)
    reference = voice(24000)
    time = torch.arange(24000) / 24000
    hiss = 0.05 * torch.sin(2 * math.pi * 10000 * time)[None]
    limited = loss(reference, reference + hiss, torch.tensor([7600.0]))
    open_ = loss(reference, reference + hiss, torch.tensor([12000.0]))
    assert limited["stft"] < 0.02 < open_["stft"]
    assert limited["mel"] < 0.02 < open_["mel"]
    whole = loss(reference, 0.5 * reference)
    for name, value in loss(reference, 0.5 * reference, torch.tensor([12000.0])).items():
        torch.testing.assert_close(value, whole[name])
