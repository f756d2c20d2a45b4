"""The discriminators of HiFi-GAN and Vocos: sizes, frequency range per scale, norms, layers."""

import math

import pytest
import torch
from torch import nn

from vocoder.discriminators.scale import GROUPS, ScaleDiscriminator, ScaleDiscriminatorConfig
from vocoder.discriminators.spectrogram import (
    SpectrogramDiscriminator,
    SpectrogramDiscriminatorConfig,
)
from vocoder.losses.adversarial import discriminator_loss

SMALL_SCALE = ScaleDiscriminatorConfig(channels=4)
SMALL_VOCOS = SpectrogramDiscriminatorConfig(layout="vocos", n_ffts=(512, 256), channels=8)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(kind: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "scale":
            return ScaleDiscriminator(SMALL_SCALE)
        return SpectrogramDiscriminator(SMALL_VOCOS)


EVERY_KIND = pytest.mark.parametrize("kind", ["scale", "vocos"])


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


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "loss"), [("scale", "least_squares"), ("vocos", "clipped_hinge")])
def test_a_toy_problem_is_learnt(kind, loss):
    # Recorded: a tone of 500 Hz in noise. Generated: noise of the same power.
    model = small(kind)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    tone = torch.sin(2 * math.pi * 500 / 16000 * torch.arange(1024))

    def pair(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        phase = int(torch.randint(32, (1,), generator=torch.Generator().manual_seed(seed)))
        real = 0.5 * math.sqrt(2) * tone.roll(phase) + 1.5 * noise(8, 1024, seed=seed)
        return real, 5 * math.sqrt(1.09) * noise(8, 1024, seed=1000 + seed)

    losses = []
    for step in range(40):
        real, fake = pair(step)
        value = discriminator_loss(model(real)[0], model(fake)[0], loss)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    assert losses[-1] < 0.5 * losses[0]
    with torch.no_grad():
        real, fake = pair(500)  # never seen
        for good, bad in zip(model(real)[0], model(fake)[0], strict=True):
            assert good.flatten(1).mean(dim=1).min() > bad.flatten(1).mean(dim=1).max()


@EVERY_KIND
def test_silence_has_finite_scores_and_gradients(kind):
    silence = torch.zeros(2, 1024, requires_grad=True)
    scores, features = small(kind)(silence)
    assert all(t.isfinite().all() for maps in features for t in maps)
    torch.stack([score.mean() for score in scores]).sum().backward()
    assert silence.grad is not None
    assert silence.grad.isfinite().all()


@EVERY_KIND
def test_the_waveform_hears_of_it_everywhere(kind):
    waveform = noise(1, 1024).requires_grad_()
    scores, _ = small(kind)(waveform)
    torch.stack([score.square().mean() for score in scores]).sum().backward()
    assert waveform.grad is not None
    assert (waveform.grad != 0).float().mean() > 0.99


@EVERY_KIND
def test_segments_of_a_batch_are_judged_one_by_one(kind):
    model, batch = small(kind).eval(), noise(3, 1024)
    together, _ = model(batch)
    for row in range(3):
        for score, alone in zip(together, model(batch[row : row + 1])[0], strict=True):
            torch.testing.assert_close(score[row : row + 1], alone, atol=1e-5, rtol=1e-4)
