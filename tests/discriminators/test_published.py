"""The discriminators of HiFi-GAN and Vocos: sizes, frequency range per scale, norms, layers."""

import math

import pytest
import torch
from torch import nn

from tests.discriminators.small import noise, small
from vocoder.discriminators.scale import GROUPS, ScaleDiscriminator, ScaleDiscriminatorConfig
from vocoder.discriminators.spectrogram import (
    SpectrogramDiscriminator,
    SpectrogramDiscriminatorConfig,
)


def weights_and_biases(model: nn.Module) -> int:
    """Without the sizes that weight normalisation adds."""
    return sum(
        p.numel() for name, p in model.named_parameters() if not name.endswith("weight.original0")
    )


def test_the_published_scale_discriminator():
    # Three times 9 867 137 weights and biases: 15·128 + 41·(32·128 + 8·256 + 16·512 + 32·1024 +
    # 64·1024) + 5·1024² + 3·1024, and a bias for each of 4097 channels.
    kernels = 15 * 128 + 41 * (32 * 128 + 8 * 256 + 16 * 512 + 32 * 1024 + 64 * 1024)
    kernels += 5 * 1024 * 1024 + 3 * 1024
    biases = 128 + 128 + 256 + 512 + 3 * 1024 + 1
    model = ScaleDiscriminator(ScaleDiscriminatorConfig())
    assert weights_and_biases(model) == 3 * (kernels + biases)
    layers = [m for m in model.stacks[0].modules() if isinstance(m, nn.Conv1d)]
    assert [layer.groups for layer in layers[:-1]] == list(GROUPS)


def test_the_published_spectrogram_discriminator():
    # Vocos: three times 1-64-64-64-64-64-1 channels, kernels 7×5, twice 5×3, three times 3×3.
    with torch.device("meta"):
        model = SpectrogramDiscriminator(
            SpectrogramDiscriminatorConfig(layout="vocos", n_ffts=(1024, 2048, 512), channels=64)
        )
    one = 64 * 35 + 2 * 64 * 64 * 15 + 2 * 64 * 64 * 9 + 64 * 9 + 5 * 64 + 1
    assert weights_and_biases(model) == 3 * one


@pytest.mark.parametrize("samples", [1000, 1024])
def test_shapes_of_the_scale_discriminator(samples):
    scores, features = small("scale")(noise(3, samples))
    assert len(scores) == len(features) == 3
    for scale, (score, maps) in enumerate(zip(scores, features, strict=True)):
        length, shapes = samples, []
        for _ in range(scale):
            length = length // 2 + 1
        for stride, width in zip((1, 2, 2, 4, 4, 1, 1), (4, 4, 8, 16, 32, 32, 32), strict=True):
            length = math.ceil(length / stride)
            shapes.append((3, width, length))
        assert [tuple(m.shape) for m in maps] == shapes
        assert score.shape == (3, 1, length)


def test_shapes_of_the_vocos_layout():
    scores, features = small("vocos")(noise(3, 1024))
    for n_fft, score, maps in zip((512, 256), scores, features, strict=True):
        bins, frames, shapes = n_fft // 2 + 1, 1 + 1024 // (n_fft // 4), []
        for along_time in (2, 1, 2, 1, 2):
            bins, frames = math.ceil(bins / 2), math.ceil(frames / along_time)
            shapes.append((3, 8, bins, frames))
        assert [tuple(m.shape) for m in maps] == shapes
        assert score.shape == (3, 1, bins, frames)


def test_coarser_scales_are_deaf_to_the_highest_frequency():
    # The mean of four has its zeros at half and a quarter of the rate: only the first network
    # responds to an alternating sign, and two respond to a period of eight, four at half the rate.
    model = small("scale").eval()
    n = torch.arange(1024)
    heard = []
    for tone in (torch.cos(math.pi * n), torch.cos(math.pi / 4 * n)):
        before, after = model(noise(1, 1024))[1], model(noise(1, 1024) + 0.1 * tone)[1]
        inside = slice(32, -32)  # away from the ends, where the tone begins
        changes = [
            float((b[0] - a[0])[..., inside].detach().abs().max())
            for a, b in zip(before, after, strict=True)
        ]
        heard.append([change > 1e-6 for change in changes])
    assert heard == [[True, False, False], [True, True, False]]


def test_norms():
    model = small("scale").eval()
    for index, stack in enumerate(model.stacks):
        for layer in [*stack.layers, stack.output]:
            matrix = layer.weight.detach().flatten(1)
            if index == 0:
                # The largest singular value is one, up to the accuracy of power iterations.
                assert float(torch.linalg.matrix_norm(matrix, 2)) == pytest.approx(1, rel=0.1)
            else:
                size = layer.parametrizations.weight.original0
                torch.testing.assert_close(matrix.norm(dim=1), size.detach().flatten().abs())


def test_the_vocos_layout_hears_levels_and_the_logarithmic_one_ratios():
    # Doubling a quiet signal moves magnitudes by their size, and their logarithms by ln 2 / 3.
    quiet = 1e-2 * noise(1, 1024)
    linear = small("vocos").stacks[0]
    config = SpectrogramDiscriminatorConfig(n_ffts=(512,), channels=8, strided_layers=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        logarithmic = SpectrogramDiscriminator(config).stacks[0]
    moved = [
        float((stack(2 * quiet)[1][0] - stack(quiet)[1][0]).detach().abs().mean())
        / float((stack(200 * quiet)[1][0] - stack(100 * quiet)[1][0]).detach().abs().mean())
        for stack in (linear, logarithmic)
    ]
    assert moved[0] < 0.1
    assert 0.2 < moved[1] < 5
