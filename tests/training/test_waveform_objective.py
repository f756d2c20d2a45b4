"""Losses on the waveform, the published sums over discriminators, and steps of the real trainer."""

from pathlib import Path

import pytest
import soundfile
import torch
from pydantic import ValidationError
from torch import Tensor

from tests.models.gan import NAMES, build
from tests.training.tiny import trainer_of
from vocoder.data.segments import Batch, Recording
from vocoder.discriminators.period import PeriodDiscriminatorConfig
from vocoder.discriminators.scale import ScaleDiscriminatorConfig
from vocoder.discriminators.spectrogram import SpectrogramDiscriminatorConfig
from vocoder.features.mel import PRESETS
from vocoder.losses.spectral import SpectralLossConfig
from vocoder.training.objectives.adversarial import (
    AdversarialConfig,
    Discriminators,
    adversarial_objective,
    discriminator_objective,
    low_pass,
)
from vocoder.training.objectives.waveform import WaveformConfig, WaveformObjective
from vocoder.training.recipe import load_recipe

pytestmark = pytest.mark.slow

pytest_plugins = ["tests.training.fixtures"]

SPEC = PRESETS["speecht5_16k"]
SCALE = ScaleDiscriminatorConfig(channels=2)
PERIOD = PeriodDiscriminatorConfig(periods=(2, 3), channels=2, max_channels=8)
SPECTROGRAM = SpectrogramDiscriminatorConfig(layout="vocos", n_ffts=(512, 256, 128), channels=2)


def recorded(tiny_corpus: Path, frames: int = 24) -> Batch:
    """Two stretches of a recording."""
    samples, rate = soundfile.read(tiny_corpus / "wavs" / "train" / "ru_0683.wav", dtype="float32")
    assert rate == SPEC.sample_rate
    length = frames * SPEC.hop_length
    starts = (len(samples) // 3, len(samples) // 2)
    waveform = torch.stack([torch.from_numpy(samples[s : s + length]) for s in starts])
    nothing = torch.zeros(2, frames)
    return Batch(waveform, SPEC.mel(waveform)[:, :, :frames], nothing, nothing)


# ---- the objective -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_one_batch_is_learnt(name, tiny_corpus: Path):
    batch = recorded(tiny_corpus, frames=12)
    model = build(name, SPEC, width=64 if name == "vocos" else 16)
    objective = WaveformObjective(model, WaveformConfig())
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        output = objective(batch, *objective.draw(2, 0, lambda _: torch.Generator()))
        loss = torch.stack(list(output.losses.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.45 * losses[0]


def test_what_is_scored(tiny_corpus: Path):
    batch = recorded(tiny_corpus)
    model = build("vocos", SPEC)
    spectral = SpectralLossConfig(n_ffts=(512, 128), n_mels=(20, 0))
    with torch.no_grad():
        plain = WaveformObjective(model, WaveformConfig())(batch)
        several = WaveformObjective(model, WaveformConfig(spectral=spectral))(batch)
    assert set(plain.losses) == {"mel"}
    assert set(several.losses) == {"mel", "multi_stft", "multi_mel"}
    assert torch.equal(plain.losses["mel"], several.losses["mel"])
    assert torch.equal(plain.reference, batch.waveform)
    assert torch.equal(plain.estimate, model(batch.mel).detach())
    perfect = batch._replace(waveform=plain.estimate)
    with torch.no_grad():
        assert float(WaveformObjective(model, WaveformConfig())(perfect).losses["mel"]) == 0.0


# ---- discriminators as published -----------------------------------------------------------------


def pair(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(0.1 * torch.randn(2, 4096, generator=generator) for _ in range(2))


def discriminators_of(config: AdversarialConfig) -> Discriminators:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Discriminators(config).eval()  # power iterations stand still


def published(**changes: object) -> AdversarialConfig:
    fields = {
        "start_step": 0,
        "kind": "least_squares",
        "weight": 1.0,
        "feature_matching_weight": 2.0,
        "reduction": "sum",
        "spectrogram": None,
        "period": PERIOD,
        "scale": SCALE,
    }
    return AdversarialConfig.model_validate(fields | changes)


@torch.no_grad()
def test_the_losses_of_hifigan():
    # Those of the paper and its code, λ = 2, summed over the networks, written out.
    config, (reference, estimate) = published(), pair()
    discriminators = discriminators_of(config)
    real_scores, real = discriminators(reference)
    scores, generated = discriminators(estimate)
    assert len(scores) == 2 + 3
    adversarial = sum(float(((s - 1) ** 2).mean()) for s in scores)
    parting = sum(
        float(((r - 1) ** 2).mean() + (s**2).mean())
        for r, s in zip(real_scores, scores, strict=True)
    )
    matching = 0.0
    for reals, fakes, r, s in zip(real, generated, real_scores, scores, strict=True):
        for one, other in zip([*reals, r], [*fakes, s], strict=True):
            matching += float((one - other).abs().mean())
    found = adversarial_objective(discriminators, reference, estimate, config)
    assert float(found["adversarial"]) == pytest.approx(adversarial, rel=1e-5)
    assert float(found["feature_matching"]) == pytest.approx(2 * matching, rel=1e-5)
    loss = discriminator_objective(discriminators, reference, estimate, config)
    assert float(loss) == pytest.approx(parting, rel=1e-5)


@torch.no_grad()
def test_the_weights_of_vocos():
    # The mean of the periods' losses and a tenth of the mean of the resolutions'.
    reference, estimate = pair()
    both = {"kind": "clipped_hinge", "scale": None, "spectrogram": SPECTROGRAM}
    config = published(**both, period_weight=1 / 2, spectrogram_weight=0.1 / 3)
    discriminators = discriminators_of(config)
    scores, _ = discriminators(estimate)
    margins = [float((1 - s).clamp(min=0).mean()) for s in scores]
    expected = 0.1 * sum(margins[:3]) / 3 + sum(margins[3:]) / 2
    found = adversarial_objective(discriminators, reference, estimate, config)
    assert float(found["adversarial"]) == pytest.approx(expected, rel=1e-5)


def test_features_of_the_recording_itself_match_it():
    config = published(spectrogram=SPECTROGRAM)
    discriminators, (waveform, _) = discriminators_of(config), pair()
    with torch.no_grad():
        losses = adversarial_objective(discriminators, waveform, waveform, config)
    assert float(losses["feature_matching"]) == 0.0
    # In training every forward pass advances the power iteration of the spectral norm.
    discriminators.train()
    with torch.no_grad():
        same = adversarial_objective(discriminators, waveform, waveform, config)["feature_matching"]
        other = adversarial_objective(discriminators, *pair(), config)["feature_matching"]
    assert float(same) < 0.01 * float(other)


def test_a_loss_without_weight_moves_nothing():
    # Scale discriminators with zero weight: the generator depends on the periods alone.
    config = published(scale_weight=0.0)
    discriminators, (reference, estimate) = discriminators_of(config), pair()
    estimate = estimate.requires_grad_()
    sum(adversarial_objective(discriminators, reference, estimate, config).values()).backward()
    assert float(estimate.grad.abs().max()) > 0
    discriminator_objective(discriminators, reference, estimate, config).backward()
    periods, scales = discriminators.members
    assert all(float(p.grad.abs().max()) == 0 for p in scales.parameters())
    assert any(float(p.grad.abs().max()) > 0 for p in periods.parameters())


@torch.no_grad()
def test_frames_compared_with_the_recordings():
    # Two networks of frames after two of periods, with weights of their own in a sum.
    frames = {"n_ffts": [256, 128], "channels": 4, "layers": 1}
    config = published(
        kind="relativistic", scale=None, frames=frames, frames_weight=0.5, period_weight=2.0
    )
    periods = len(config.network_weights) - 2
    assert config.network_weights == [2.0] * periods + [0.5] * 2
    discriminators, (reference, estimate) = discriminators_of(config), pair()
    real, generated = (discriminators(signal)[0] for signal in (reference, estimate))
    apart = [(r - g).double() for r, g in zip(real, generated, strict=True)]
    expected = sum(
        weight * float(torch.log1p(torch.exp(difference)).mean())
        for weight, difference in zip(config.network_weights, apart, strict=True)
    )
    found = adversarial_objective(discriminators, reference, estimate, config)
    assert float(found["adversarial"]) == pytest.approx(expected, rel=1e-5)


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ValidationError, match="write adversarial: null instead"):
        published(period=None, scale=None)
    with pytest.raises(ValidationError, match="a mean knows no weights"):
        published(reduction="mean", period_weight=0.5)
    with pytest.raises(ValidationError, match="a mean knows no weights"):
        published(reduction="mean", frames={}, frames_weight=0.5)
    assert published(scale=None, reduction="mean").network_weights is None


# ---- the trainer ---------------------------------------------------------------------------------

TINY = (
    "data.manifests=[egs/tiny/manifest.jsonl]",
    "data.batch_size=2",
    "training.steps=3",
    "training.threads=1",
    "training.precision=float32",
    "adversarial.period={periods: [2, 3], channels: 2, growth: 2, max_channels: 8}",
)


@pytest.mark.usefixtures("fresh_accelerator")
@pytest.mark.parametrize(
    ("recipe", "overrides"),
    [
        ("hifigan", ("model.channels=16", "adversarial.scale={scales: 2, channels: 2}")),
        ("vocos", ("model.channels=16", "model.hidden=32", "model.blocks=2")),
    ],
)
def test_both_sides_learn_from_the_first_step(
    recipe, overrides, repository: Path, recordings: list[Recording], tmp_path: Path
):
    path = repository / "recipes" / "baselines" / "budget" / f"{recipe}.yaml"
    trainer = trainer_of(load_recipe(path, [*TINY, *overrides]), recordings, tmp_path)
    discriminators = trainer.accelerator.unwrap_model(trainer.discriminators)
    before = [
        p.detach().clone() for p in (*trainer.model.parameters(), *discriminators.parameters())
    ]
    report = trainer.train_step()
    assert {"mel", "adversarial", "feature_matching", "discriminator"} <= set(report.losses)
    after = (*trainer.model.parameters(), *discriminators.parameters())
    moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert sum(moved) > 0.95 * len(moved)


@pytest.mark.usefixtures("fresh_accelerator")
def test_a_killed_run_goes_on_with_the_same_numbers(
    repository: Path, recordings: list[Recording], tmp_path: Path
):
    # The spectral norm's power iterations are part of what is kept.
    path = repository / "recipes" / "baselines" / "budget" / "hifigan.yaml"
    small = ("model.channels=16", "adversarial.scale={scales: 2, channels: 2}")
    recipe = load_recipe(path, [*TINY, *small, "training.budget_minutes=null"])
    whole = trainer_of(recipe, recordings, tmp_path)
    for _ in range(2):
        whole.train_step()
    whole.save({})
    expected = whole.train_step().losses
    resumed = trainer_of(recipe, recordings, tmp_path)
    assert resumed.resume()
    assert resumed.train_step().losses == expected


def test_beyond_the_band_of_a_recording_nothing_is_left():
    time = torch.arange(4800).double() / 16000
    low, high = (torch.sin(2 * torch.pi * hertz * time) for hertz in (1000, 6000))
    signal = torch.stack([low + high, low + high]).requires_grad_()
    kept = low_pass(signal, torch.tensor([4000.0, 8000.0]), 16000)
    torch.testing.assert_close(kept.detach(), torch.stack([low, low + high]))
    (gradient,) = torch.autograd.grad((kept[0] * high).sum(), signal)
    assert gradient.abs().max() < 1e-6
