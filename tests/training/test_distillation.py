"""Distillation: values, gradients, and that a student follows a teacher."""

import math

import pytest
import torch
from torch import Tensor

from tests.models.speech import seeded, speech
from vocoder.data.segments import Batch
from vocoder.errors import RecipeError
from vocoder.features.mel import MelSpec
from vocoder.losses.likelihood import gaussian_nll, logistic_mixture_density_nll
from vocoder.losses.power import magnitude_loss
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.parallel_wavenet import ParallelWaveNet, ParallelWaveNetConfig
from vocoder.models.wavenet import WaveNet, WaveNetConfig
from vocoder.training.objectives.distillation import DistillationConfig, DistillationObjective

pytestmark = pytest.mark.slow

SPEC = MelSpec(
    sample_rate=16000, n_fft=256, hop_length=64, win_length=256, n_mels=20, f_min=0, f_max=8000
)
HOP, FRAMES = SPEC.hop_length, 8
WAVEFORM = speech("speecht5_16k", 60)
BASES = pytest.mark.parametrize("base", ["gaussian", "logistic"])


def pair(base: str, **fields: object) -> tuple[ParallelWaveNet, WaveNet]:
    sizes = {"residual_channels": 8, "gate_channels": 16, "skip_channels": 8, "upsampling": (8, 8)}
    output = "gaussian" if base == "gaussian" else "mol"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        student = ParallelWaveNet(
            ParallelWaveNetConfig(base=base, layers=(4, 4), **{**sizes, **fields}), SPEC
        )
        teacher = WaveNet(
            WaveNetConfig(output=output, layers=4, stacks=1, mixtures=2, **sizes), SPEC
        )
    return student, teacher


def batch_for(student: ParallelWaveNet, items: int = 2) -> Batch:
    mel = SPEC.mel(WAVEFORM)
    starts = [20 + 12 * i for i in range(items)]
    waveform = torch.cat([WAVEFORM[:, s * HOP : (s + FRAMES) * HOP] for s in starts])
    mels = torch.cat([mel[:, :, s : s + FRAMES] for s in starts])
    empty = torch.empty(items, 0)
    return Batch(waveform, pad_silence(mels, SPEC, student.context), empty, empty)


def build(base: str, **fields: object) -> tuple[DistillationObjective, Batch, tuple[Tensor, ...]]:
    student, teacher = pair(base)
    config = DistillationConfig(teacher="runs/teacher", n_ffts=(256, 128), **fields)
    objective = DistillationObjective(student, config, teacher)
    draws = objective.draw(2, FRAMES * HOP, lambda stream: seeded(stream))
    return objective, batch_for(student), draws


@BASES
def test_the_teacher_learns_nothing_and_is_no_part_of_the_student(base):
    objective, batch, draws = build(base)
    before = {name: value.clone() for name, value in objective.teacher.state_dict().items()}
    sum(objective(batch, *draws).losses.values()).backward()
    assert all(p.grad is None for p in objective.teacher.parameters())
    missing = [name for name, p in objective.model.named_parameters() if p.grad is None]
    assert missing == []
    torch.optim.SGD([p for p in objective.parameters() if p.requires_grad], 0.1).step()
    for name, value in objective.teacher.state_dict().items():
        assert torch.equal(value, before[name])
    assert not any("teacher" in name for name in objective.model.state_dict())


@BASES
def test_the_gradient_goes_through_what_the_teacher_hears(base):
    objective, batch, draws = build(base, power_weight=0)
    heard = []
    hook = objective.teacher.first.register_full_backward_hook(
        lambda module, inputs, outputs: heard.append(outputs[0])
    )
    objective(batch, *draws).losses["divergence"].backward()
    hook.remove()
    assert len(heard) == 1
    assert float(heard[0].abs().max()) > 0


@torch.no_grad()
def test_the_gaussian_divergence_is_that_of_monte_carlo():
    objective, batch, _ = build("gaussian", regularisation=0, power_weight=0)
    # ln q(x) - ln p(x), averaged over x from the student: the chain rule's terms agree with that
    # of the whole waveform.
    count, differences, closed = 60, [], []
    for seed in range(count):
        (noise,) = objective.draw(2, FRAMES * HOP, lambda _, seed=seed: seeded(seed))
        student = objective.model.generate(noise, batch.mel)
        closed.append(objective(batch, noise).losses["divergence"])
        own = torch.stack([student.mean, student.log_scale], dim=-1)
        judged = objective.teacher.predict(student.waveform, batch.mel)
        log_q = -gaussian_nll(own, student.waveform, -20)
        differences.append((log_q + gaussian_nll(judged, student.waveform)).mean())
    found, expected = torch.stack(closed), torch.stack(differences)
    bound = 5 * float((found - expected).std()) / math.sqrt(count)
    assert abs(float((found - expected).mean())) < bound
    assert float(found.mean()) > 10 * bound


@torch.no_grad()
def test_the_logistic_divergence_is_the_mean_log_ratio_of_densities():
    objective, batch, draws = build("logistic", trials=64, power_weight=0)
    found = float(objective(batch, *draws).losses["divergence"])
    noise, _ = draws
    student = objective.model.generate(noise, batch.mel)
    judged = objective.teacher.predict(student.waveform, batch.mel)
    # The same integral on a grid of quantiles of the student's distribution.
    quantiles = (torch.arange(400) + 0.5) / 400
    z = torch.logit(quantiles)[:, None, None]
    x = student.mean + student.log_scale.exp() * z
    log_q = -(z + 2 * torch.nn.functional.softplus(-z)) - student.log_scale
    density = logistic_mixture_density_nll(judged.expand(400, -1, -1, -1), x)
    expected = float((log_q + density).mean())
    assert found == pytest.approx(expected, abs=0.03)
    assert expected > 0.1


def test_a_student_that_is_its_teacher_pays_nothing():
    # Both predict N(0.3, e^-2) for any input.
    student, teacher = pair("gaussian")
    for model in (*student.flows, teacher):
        model.stack.output.parametrizations.weight.original0.data.zero_()
    student.flows[0].stack.output.bias.data[:] = torch.tensor([0.2, -1.5])
    student.flows[1].stack.output.bias.data[:] = torch.tensor([0.3 - 0.2 * math.exp(-0.5), -0.5])
    teacher.stack.output.bias.data[:] = torch.tensor([0.3, -2.0])
    config = DistillationConfig(teacher="runs/teacher", power_weight=0, n_ffts=(128,))
    objective = DistillationObjective(student, config, teacher)
    draws = objective.draw(2, FRAMES * HOP, lambda stream: seeded(stream))
    loss = objective(batch_for(student), *draws).losses["divergence"]
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)


@BASES
def test_a_student_comes_nearer_to_its_teacher(base):
    # Without the power loss, which wants speech, and not what this teacher wants: narrow scales.
    objective, batch, draws = build(base, power_weight=0)
    student = objective.model
    scales = slice(1, 2) if base == "gaussian" else slice(4, 6)
    objective.teacher.stack.output.bias.data[scales] = -2
    optimizer = torch.optim.Adam(student.parameters(), 3e-3)
    first = {k: float(v.detach()) for k, v in objective(batch, *draws).losses.items()}
    for _ in range(40):
        loss = sum(objective(batch, *draws).losses.values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 5)
        optimizer.step()
    last = {k: float(v.detach()) for k, v in objective(batch, *draws).losses.items()}
    assert last["divergence"] < 0.5 * first["divergence"]


def test_magnitudes_of_white_noise_differ_by_twice_their_variance():
    # Rayleigh magnitudes of mean square one: E (R - R')² = 2 (1 - π / 4); equal ones by nothing.
    noise = torch.randn(2, 200_000, generator=seeded(), dtype=torch.float64)
    found = magnitude_loss(noise[:1], noise[1:], (1024, 512))
    assert float(found) == pytest.approx(2 * (1 - math.pi / 4), rel=0.02)
    assert float(magnitude_loss(noise, noise, (512,))) == 0


def test_a_teacher_that_does_not_fit_is_refused():
    student, teacher = pair("gaussian")
    config = DistillationConfig(teacher="runs/teacher")
    with pytest.raises(RecipeError, match="WaveNet with output mol, runs/teacher has gaussian"):
        DistillationObjective(pair("logistic")[0], config, teacher)
    with pytest.raises(RecipeError, match="is a ParallelWaveNet; train a WaveNet first"):
        DistillationObjective(student, config, student)
    other = WaveNet(teacher.config, SPEC.model_copy(update={"f_max": 7000.0}))
    said = r"loss\.teacher: runs/teacher was trained on mel .*f_max.*; set the recipe's mel"
    with pytest.raises(RecipeError, match=said):
        DistillationObjective(student, config, other)
    narrow = pair("gaussian", mel_side_frames=0)[0]
    with pytest.raises(RecipeError, match="sees 3 mel frames to either side, the student 1"):
        DistillationObjective(narrow, config, teacher)
