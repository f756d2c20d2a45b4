"""Objectives of NSF and DDSP: gradients, random draws, and overfitting one batch."""

import pytest
import torch
from torch import Tensor

from tests.models.speech import SPECS, relative_error, seeded, speech, speech_f0, speech_mel
from vocoder.data.segments import Batch
from vocoder.losses.spectral import LogPowerLossConfig, MultiScaleLossConfig
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.blocks.pitch_predictor import PitchPredictorConfig
from vocoder.models.ddsp import DDSP, DDSPConfig
from vocoder.models.nsf import NSF, NSFConfig
from vocoder.training.objectives.source_models import (
    DDSPLossConfig,
    DDSPObjective,
    NSFLossConfig,
    NSFObjective,
)

PITCH = PitchPredictorConfig(channels=16, layers=2)
SPEC = SPECS["speecht5_16k"]
FRAMES = 12
Excited = NSFObjective | DDSPObjective
BOTH = pytest.mark.parametrize("name", ["nsf", "ddsp"])


def objective(name: str, **options: float) -> Excited:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if name == "nsf":
            small = NSFConfig(
                channels=8, blocks=2, layers=5, noise_layers=3, condition_channels=8, pitch=PITCH
            )
            return NSFObjective(NSF(small, SPEC), NSFLossConfig(**options))
        small = DDSPConfig(channels=32, mlp_layers=1, gru_channels=32, harmonics=40, pitch=PITCH)
        return DDSPObjective(DDSP(small, SPEC), DDSPLossConfig(**options))


def batch_for(target: Excited, frames: int = FRAMES) -> Batch:
    """Two segments of a speech-like signal with the pitch it was made of."""
    mel = speech_mel("speecht5_16k", frames, fading=False)
    return Batch(
        speech("speecht5_16k", frames, fading=False).repeat(2, 1),
        pad_silence(mel, SPEC, target.model.context).repeat(2, 1, 1),
        speech_f0("speecht5_16k", frames).repeat(2, 1),
        torch.ones(2, frames),
    )


def draws(target: Excited, step: int = 0) -> tuple[Tensor, ...]:
    return target.draw(2, FRAMES * SPEC.hop_length, lambda stream: seeded(10 * step + stream))


def gradient(module: torch.nn.Module) -> float:
    return sum(float(p.grad.abs().sum()) for p in module.parameters() if p.grad is not None)


@BOTH
def test_the_waveform_does_not_teach_the_pitch_predictor_and_pitch_nothing_else(name):
    target = objective(name, predicted_pitch=1.0)
    predictor = target.model.pitch_predictor
    rest = [p for n, p in target.model.named_parameters() if not n.startswith("pitch_predictor")]
    losses = target(batch_for(target), *draws(target)).losses
    losses["spectral"].backward(retain_graph=True)
    assert gradient(predictor) == 0
    assert all(float(p.grad.abs().max()) > 0 for p in rest)
    target.model.zero_grad()
    (losses["f0"] + losses["voicing"]).backward()
    assert all(float(p.grad.abs().max()) > 0 for p in predictor.parameters())
    assert all(p.grad is None for p in rest)


@BOTH
def test_each_segment_is_synthesised_from_the_pitch_that_was_drawn_for_it(name):
    target = objective(name)
    _, *noise = draws(target)
    batch = batch_for(target)
    chosen = torch.tensor([True, False])
    outputs = [
        target(one, chosen, *noise).estimate
        for one in (batch, batch._replace(f0_hz=1.3 * batch.f0_hz))
    ]
    assert (outputs[0] == outputs[1]).all(dim=1).tolist() == [True, False]


@BOTH
def test_a_step_is_drawn_from_its_streams(name):
    target = objective(name, predicted_pitch=0.5)
    first, again, other = (draws(target, step) for step in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[-1], other[-1])
    assert all(len(drawn) == 2 for drawn in first)
    chance = target.draw(1000, 1, lambda stream: seeded(stream))[0].float().mean()
    assert float(chance) == pytest.approx(0.5, abs=0.06)
    whole = target(batch_for(target), *first)
    # A process that has the second half of the batch.
    half = target(Batch(*(part[1:] for part in batch_for(target)[:4])), *(d[1:] for d in first))
    torch.testing.assert_close(half.estimate, whole.estimate[1:], atol=1e-5, rtol=0)


@BOTH
def test_the_output_is_what_discriminators_may_judge(name):
    target = objective(name)
    batch = batch_for(target)
    output = target(batch, *draws(target))
    assert target.gives_waveforms
    assert torch.equal(output.reference, batch.waveform)
    assert output.estimate.shape == batch.waveform.shape
    assert output.estimate.requires_grad
    assert float(output.counts["f0"]) == pytest.approx(2 * FRAMES)


@BOTH
def test_weights_scale_their_losses(name):
    spectral = {"nsf": LogPowerLossConfig, "ddsp": MultiScaleLossConfig}[name]
    plain, heavy = (
        objective(name, f0_weight=a, voicing_weight=b, spectral=spectral(weight=c))
        for a, b, c in ((1.0, 1.0, 1.0), (3.0, 5.0, 7.0))
    )
    losses = [o(batch_for(o), *draws(o)).losses for o in (plain, heavy)]
    for loss, factor in (("f0", 3), ("voicing", 5), ("spectral", 7)):
        assert losses[1][loss].item() == pytest.approx(factor * losses[0][loss].item())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "share"), [("nsf", 0.5), ("ddsp", 0.6)])
def test_one_batch_is_learnt_by_heart(name, share):
    target = objective(name)
    batch = batch_for(target)
    optimizer = torch.optim.Adam(target.parameters(), lr=1e-2)
    history = []
    for step in range(30):
        losses = target(batch, *draws(target, step)).losses
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        history.append({key: loss.item() for key, loss in losses.items()})
    first, last = history[0], history[-1]
    assert last["spectral"] < share * first["spectral"]
    assert last["f0"] < 0.8 * first["f0"]
    assert last["voicing"] < 0.2 * first["voicing"]


@BOTH
def test_silent_segments_have_finite_gradients(name):
    target = objective(name)
    mel = SPEC.mel(torch.zeros(2, (FRAMES + 20) * SPEC.hop_length))
    frames = FRAMES + sum(target.model.context)
    silence = Batch(
        torch.zeros(2, FRAMES * SPEC.hop_length),
        mel[:, :, :frames],
        torch.full((2, FRAMES), 150.0),
        torch.zeros(2, FRAMES),
    )
    losses = target(silence, *draws(target)).losses
    torch.stack(list(losses.values())).sum().backward()
    assert all(p.grad.isfinite().all() for p in target.parameters())


@BOTH
def test_mixed_precision_sounds_the_same(name):
    target = objective(name)
    batch, drawn = batch_for(target), draws(target)
    chosen = torch.zeros_like(drawn[0])  # Praat's pitch, the same in both
    with torch.no_grad():
        exact = target(batch, chosen, *drawn[1:])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = target(batch, chosen, *drawn[1:])
    assert mixed.estimate.dtype == torch.float32
    assert relative_error(mixed.estimate, exact.estimate) < 0.03
    assert mixed.losses["spectral"].item() == pytest.approx(
        exact.losses["spectral"].item(), rel=0.01
    )
