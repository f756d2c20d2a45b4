"""Discriminators of periods, spectrograms and frames: shapes, receptive fields, sizes."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tests.discriminators.small import (
    SMALL_FRAMES,
    noise,
    seeded,
    small,
)
from vocoder.discriminators.frames import FrameDiscriminator, FrameDiscriminatorConfig
from vocoder.discriminators.period import PeriodDiscriminator, PeriodDiscriminatorConfig
from vocoder.discriminators.spectrogram import (
    SpectrogramDiscriminatorConfig,
)
from vocoder.losses.adversarial import discriminator_loss


@pytest.mark.parametrize("samples", [999, 1000, 1001])
def test_shapes_of_the_period_discriminator(samples):
    scores, features = small("period")(noise(3, samples))
    assert len(scores) == len(features) == 2
    for period, score, maps in zip((2, 5), scores, features, strict=True):
        rows = math.ceil(samples / period)
        heights = [rows := math.ceil(rows / 3) for _ in range(4)]
        assert [tuple(m.shape) for m in maps] == [
            (3, width, height, period)
            for width, height in zip((4, 8, 16, 16, 16), [*heights, heights[-1]], strict=True)
        ]
        assert score.shape == (3, 1, heights[-1], period)


def test_shapes_of_the_spectrogram_discriminator():
    scores, features = small("spectrogram")(noise(3, 1024))
    assert len(scores) == len(features) == 2
    for n_fft, score, maps in zip((256, 128), scores, features, strict=True):
        bins, frames = n_fft // 2 + 1, 1 + 1024 // (n_fft // 4)
        heights = [bins := math.ceil(bins / 2) for _ in range(3)]
        assert [tuple(m.shape) for m in maps] == [
            (3, 8, height, frames) for height in [*heights, heights[-1]]
        ]
        assert score.shape == (3, 1, heights[-1], frames)


def test_shapes_of_the_frame_discriminator():
    scores, features = small("frames")(noise(3, 1024))
    for n_fft, score, maps in zip((256, 128), scores, features, strict=True):
        frames = 1 + 1024 // (n_fft // 4)
        assert [tuple(m.shape) for m in maps] == [(3, 8, frames)] * 2
        assert score.shape == (3, 1, frames)


def test_a_frame_is_heard_as_far_as_the_layers_reach():
    # Two layers of five frames and an output of three reach five frames to either side. A sample in
    # the middle of a window of four hops is in those of the frames before and after as well: at two
    # hops the window is zero.
    original = noise(1, 4096)
    changed = original.clone()
    changed[:, 2048] += 1.0
    before, after = (small("frames")(x)[0][0][0, 0] for x in (original, changed))
    heard = (before != after).nonzero()[:, 0].tolist()
    middle = 2048 // 64
    assert heard == list(range(middle - 6, middle + 7))


def test_neither_level_nor_tilt_is_seen_without_the_local_mean():
    config = SMALL_FRAMES.model_copy(update={"less_local_mean": (9, 17)})
    plain, relative = small("frames"), FrameDiscriminator(config)
    relative.load_state_dict(plain.state_dict())
    original = noise(2, 4096)
    tilt = torch.linspace(0.0, 0.3, 2049)  # of log10 amplitude, 6 dB
    tilted = torch.fft.irfft(torch.fft.rfft(original) * 10**tilt, n=4096)

    def change(model: nn.Module, signal: torch.Tensor) -> float:
        pairs = zip(model(original)[0], model(signal)[0], strict=True)
        return max(float((score - moved).detach().abs().max()) for score, moved in pairs)

    for signal, share in ((10**0.15 * original, 0.02), (tilted, 0.3)):
        assert change(relative, signal) < share * change(plain, signal)
    assert change(relative, noise(2, 4096, seed=1)) > 0.5 * change(plain, noise(2, 4096, seed=1))


@pytest.mark.parametrize("wrong", [{"less_local_mean": (8, 17)}, {"kernel": 4}, {"n_ffts": (2,)}])
def test_sizes_without_a_middle_or_a_hop_are_refused(wrong):
    with pytest.raises(ValidationError, match=r"odd number|greater than or equal to 4"):
        FrameDiscriminatorConfig(**wrong)


@pytest.mark.parametrize(
    ("config", "wrong", "said"),
    [
        (PeriodDiscriminatorConfig, {"periods": (0,)}, r"periods\.0\n.*greater than or equal to 1"),
        (PeriodDiscriminatorConfig, {"periods": ()}, r"periods\n.*at least 1 item"),
        (SpectrogramDiscriminatorConfig, {"n_ffts": (2,)}, r"n_ffts\.0\n.*than or equal to 4"),
        (SpectrogramDiscriminatorConfig, {"n_ffts": ()}, r"n_ffts\n.*at least 1 item"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(config, wrong, said):
    with pytest.raises(ValidationError, match=said):
        config(**wrong)


@pytest.mark.slow
def test_a_copy_is_told_from_its_recording_where_recordings_differ_more():
    # Noise of any level within 40 dB; its copy has half a decibel more above 4 kHz of 12.
    model = small("frames")
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def pair(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        gain = 10 ** (-2 * torch.rand(16, 1, generator=seeded(seed)))
        real = gain * noise(16, 1024, seed=1000 + seed)
        spectrum = torch.fft.rfft(real)
        spectrum[:, 171:] *= 10 ** (0.5 / 20)
        return real, torch.fft.irfft(spectrum, n=1024)

    for step in range(120):
        real, fake = pair(step)
        value = discriminator_loss(model(real)[0], model(fake)[0], "relativistic")
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    with torch.no_grad():
        real, fake = pair(500)
        for good, bad in zip(model(real)[0], model(fake)[0], strict=True):
            assert (good.flatten(1).mean(1) > bad.flatten(1).mean(1)).all()
            # Yet a score alone says little: that of many a copy is above many a recording's.
            assert bad.flatten(1).mean(1).max() > good.flatten(1).mean(1).min()


def test_a_period_sees_its_own_columns():
    # Sample n is in column n mod period, and columns are never mixed.
    model = small("period")
    original = noise(1, 1000)
    changed = original.clone()
    changed[:, 3::5] += 0.1
    before, after = (model(x)[1][1] for x in (original, changed))
    for layer, other in zip(before, after, strict=True):
        columns = (layer - other).abs().amax(dim=(0, 1, 2))
        assert torch.equal(columns > 0, torch.tensor([False, False, False, True, False]))
    # A signal with that period is equal in all rows except those near the ends.
    periodic = noise(1, 5).repeat(1, 200)
    first_layer = model(periodic)[1][1][0][:, :, 1:-1]
    torch.testing.assert_close(first_layer, first_layer[:, :, :1].expand_as(first_layer))


def test_the_published_period_discriminator():
    # Kong et al., 2020: 1-32-128-512-1024-1024 channels, kernels of 5, a last one of 3. Their five
    # networks hold 41 092 165 weights and biases (the 41.1 M in use in the field), and weight
    # normalisation adds a size for each of 5 * (32 + 128 + 512 + 1024 + 1024 + 1) kernels.
    with torch.device("meta"):
        model = PeriodDiscriminator(
            PeriodDiscriminatorConfig(channels=32, growth=4, max_channels=1024)
        )
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    of_norms = sum(n for name, n in sizes.items() if name.endswith("weight.original0"))
    assert of_norms == 5 * (32 + 128 + 512 + 1024 + 1024 + 1)
    assert sum(sizes.values()) - of_norms == 41_092_165
    assert sum(sizes.values()) == pytest.approx(41.1e6, rel=1e-3)
