"""Parallel WaveNet's student: its distribution, its determinant, its inverse, and its edges."""

import math

import pytest
import torch
from torch.distributions import Normal

from tests.models.speech import seeded, speech
from vocoder.errors import MelError
from vocoder.features.mel import PRESETS, MelSpec
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.parallel_wavenet import ParallelWaveNet, ParallelWaveNetConfig

pytestmark = pytest.mark.slow

# A short hop and few bands, so that a Jacobian is small.
SPEC = MelSpec(
    sample_rate=16000, n_fft=64, hop_length=16, win_length=64, n_mels=8, f_min=0, f_max=8000
)
HOP = SPEC.hop_length
MEL = SPEC.mel(speech("speecht5_16k", 60))[:, :, 100:200]
BASES = pytest.mark.parametrize("base", ["gaussian", "logistic"])


def small(base: str = "gaussian", **fields: object) -> ParallelWaveNet:
    """Random weights in double precision."""
    sizes = {"layers": (3, 4), "residual_channels": 6, "gate_channels": 8, "skip_channels": 6}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ParallelWaveNetConfig(base=base, **{**sizes, "upsampling": (4, 4), **fields})
        model = ParallelWaveNet(config, SPEC)
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.double().eval()


def inputs(model: ParallelWaveNet, frames: int, batch: int = 1) -> tuple[torch.Tensor, ...]:
    mel = MEL[:, :, :frames].double().expand(batch, -1, -1)
    noise = model.draw(batch, frames * HOP, seeded(), mel)
    return noise, pad_silence(mel, SPEC, model.context)


@BASES
def test_the_log_determinant_is_that_of_the_jacobian(base):
    model = small(base)
    noise, mel = inputs(model, 3)
    jacobian = torch.autograd.functional.jacobian(
        lambda z: model.generate(z[None], mel).waveform[0], noise[0]
    )
    # Later noise changes nothing earlier; each sample follows its own noise by its scale.
    assert float(jacobian.triu(1).abs().max()) == 0
    student = model.generate(noise, mel)
    torch.testing.assert_close(jacobian.diagonal(), student.log_scale[0].exp().detach())
    determinant = torch.linalg.slogdet(jacobian)
    assert float(determinant.sign) == 1
    total = student.log_scale[0].sum().detach()
    torch.testing.assert_close(determinant.logabsdet, total, atol=1e-9, rtol=0)
    assert float(student.log_scale.detach().std()) > 0.01


@BASES
def test_the_inverse_gives_the_noise_back(base):
    model = small(base)
    noise, mel = inputs(model, 3, batch=2)
    student = model.generate(noise, mel)
    assert student.waveform.std() > 0.05
    torch.testing.assert_close(model.invert(student.waveform, mel), noise, atol=1e-8, rtol=0)


@torch.no_grad()
def test_given_the_noise_before_a_sample_has_the_declared_distribution():
    model, at, count = small(), 20, 4000
    noise, mel = inputs(model, 2)
    many = noise.repeat(count, 1)
    many[:, at] = torch.randn(count, generator=seeded(1), dtype=torch.float64)
    student = model.generate(many, mel.expand(count, -1, -1))
    mean, scale = student.mean[0, at], student.log_scale[0, at].exp()
    torch.testing.assert_close(student.mean[:, at], mean.expand(count))
    torch.testing.assert_close(student.waveform[:, at], mean + scale * many[:, at])
    # Its density, from the change of variables, is that normal distribution's.
    by_flow = Normal(0.0, 1.0).log_prob(noise[0]) - student.log_scale[0]
    clean = model.generate(noise, mel)
    expected = Normal(clean.mean[0], clean.log_scale[0].exp()).log_prob(clean.waveform[0])
    torch.testing.assert_close(by_flow[:at], expected[:at])


def test_the_floor_holds_in_every_flow():
    model = small(log_scale_floor=-1.0)
    for flow in model.flows:
        flow.stack.output.bias.data[1] = -20
    noise, mel = inputs(model, 2)
    log_scale = model.generate(noise, mel).log_scale
    torch.testing.assert_close(log_scale, torch.full_like(log_scale, -2.0))


@BASES
@torch.no_grad()
def test_an_utterance_in_a_padded_batch_is_what_it_is_alone(base):
    model = small(base)
    frames = (5, 9, 7)
    mels = [MEL[:, :, 10 * n : 11 * n].double() for n in frames]
    padded = torch.full((3, SPEC.n_mels, 9), SPEC.log_floor, dtype=torch.float64)
    for row, mel in enumerate(mels):
        padded[row, :, : mel.shape[2]] = mel[0]
    together = model(padded, generator=[seeded(i) for i in range(3)])
    for row, mel in enumerate(mels):
        alone = model(mel, generator=[seeded(row)])
        same = mel.shape[2] * HOP
        assert alone.shape == (1, same)
        torch.testing.assert_close(together[row : row + 1, :same], alone, atol=1e-10, rtol=0)


def test_a_sample_looks_ahead_as_far_as_declared():
    model = small()
    noise, mel = inputs(model, 8)
    mel = mel.clone().requires_grad_(True)
    model.generate(noise, mel).waveform[:, : 4 * HOP].sum().backward()
    assert mel.grad is not None
    reached = mel.grad.abs().sum((0, 1)).nonzero()[:, 0]
    assert int(reached.max()) - model.context[0] == 3 + model.lookahead_frames


@BASES
@torch.no_grad()
def test_temperature_scales_the_noise(base):
    warm, cold = small(base), small(base, temperature=0.5)
    mel = MEL[:, :, :4].double()
    noise = warm.draw(1, 4 * HOP, seeded(), mel)
    padded = pad_silence(mel, SPEC, cold.context)
    expected = cold.generate(0.5 * noise, padded).waveform.clamp(-1, 1)
    torch.testing.assert_close(cold(mel, generator=seeded()), expected)
    assert not torch.allclose(warm(mel, generator=seeded()), expected)


@BASES
def test_noise_has_the_variance_of_its_base(base):
    noise = small(base).draw(4, 50_000, seeded(), torch.empty(0, dtype=torch.float64))
    variance = 1 if base == "gaussian" else math.pi**2 / 3
    assert float(noise.mean()) == pytest.approx(0, abs=0.02)
    assert float(noise.var()) == pytest.approx(variance, rel=0.03)


def test_the_default_has_the_parameters_of_its_layers():
    # Six flows of: ten blocks (64→128 taps of three, 80→128, 64→64 twice but once in the last),
    # 1→64, 64→64 and 64→2; 80→80 of five; two kernels of three by 32.
    block = (3 * 64 * 128 + 2 * 128) + (80 * 128 + 128) + 2 * (64 * 64 + 2 * 64)
    flow = 10 * block - (64 * 64 + 2 * 64) + 3 * 64 + (64 * 64 + 2 * 64) + (2 * 64 + 2 * 2)
    expected = 6 * flow + 5 * 80 * 80 + 2 * (3 * 32 + 2)
    model = ParallelWaveNet(ParallelWaveNetConfig(), PRESETS["hifigan_22k"])
    assert model.parameters_count == expected


def test_weights_survive_a_strict_round_trip():
    model, other = small(), small()
    for parameter in other.parameters():
        parameter.data.zero_()
    other.load_state_dict(model.state_dict(), strict=True)
    mel = MEL[:, :, :3].double()
    assert torch.equal(model(mel, generator=seeded()), other(mel, generator=seeded()))


def test_impossible_sizes_are_refused():
    with pytest.raises(MelError, match=r"upsampling 16 × 16 = 256.*hop_length 16:"):
        ParallelWaveNet(ParallelWaveNetConfig(), SPEC)
    with pytest.raises(ValueError, match="at least one"):
        ParallelWaveNetConfig(layers=(10, 0))
