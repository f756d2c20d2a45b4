"""From a batch to losses: values, and blocked gradients."""

from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from vocoder.data.segments import Batch
from vocoder.losses.spectral import SpectralLossConfig
from vocoder.training.objectives.adversarial import (
    AdversarialConfig,
    Discriminators,
    adversarial_objective,
    discriminator_objective,
)
from vocoder.training.objectives.base import Objective, ObjectiveConfig
from vocoder.training.objectives.source_filter import (
    EDGE_FRAMES,
    SourceFilterLossConfig,
    SourceFilterObjective,
)
from vocoder.training.trainer import Trainer

pytest_plugins = ["tests.training.fixtures"]


@pytest.fixture
def trainer(make_trainer: Callable[..., Trainer]) -> Trainer:
    return make_trainer("adversarial=null")


def objective(trainer: Trainer, **weights: float) -> SourceFilterObjective:
    return SourceFilterObjective(trainer.model, SourceFilterLossConfig(**weights))


def noise(batch: Batch) -> Tensor:
    return torch.randn(batch.waveform.shape, generator=torch.Generator().manual_seed(0))


def chosen(batch: Batch, *flags: bool) -> Tensor:
    assert len(flags) == len(batch.waveform)
    return torch.tensor(flags)


def test_no_gradient_of_the_waveform_reaches_the_pitch_predictor(trainer: Trainer):
    batch = trainer.source.batch(0)
    output = objective(trainer)(batch, noise(batch), chosen(batch, True, True))
    (output.losses["stft"] + output.losses["mel"]).backward()
    assert all(p.grad is None for p in trainer.model.pitch_predictor.parameters())
    assert all(p.grad is not None for p in trainer.model.filter_network.parameters())


def test_f0_and_voicing_losses_reach_the_pitch_predictor_alone(trainer: Trainer):
    batch = trainer.source.batch(0)
    output = objective(trainer)(batch, noise(batch), chosen(batch, True, False))
    (output.losses["f0"] + output.losses["voicing"]).backward()
    assert all(p.grad is not None for p in trainer.model.pitch_predictor.parameters())
    assert all(p.grad is None for p in trainer.model.filter_network.parameters())


def test_each_segment_is_synthesised_from_the_pitch_that_was_drawn_for_it(trainer: Trainer):
    batch = trainer.source.batch(0)
    other_pitch = batch._replace(f0_hz=batch.f0_hz * 1.3)
    from_both = [
        objective(trainer)(one, noise(batch), chosen(batch, True, False)).estimate
        for one in (batch, other_pitch)
    ]
    same = (from_both[0] == from_both[1]).all(dim=1).tolist()
    assert same == [True, False]


def test_the_edges_of_a_segment_are_not_scored(trainer: Trainer):
    batch = trainer.source.batch(0)
    edge = EDGE_FRAMES * trainer.model.spec.hop_length
    spoilt = batch.waveform.clone()
    spoilt[:, :edge], spoilt[:, -edge:] = 9.0, -9.0
    clean, dirty = (
        objective(trainer)(one, noise(batch), chosen(batch, False, False))
        for one in (batch, batch._replace(waveform=spoilt))
    )
    assert clean.losses["stft"] == dirty.losses["stft"]
    assert clean.reference.shape == clean.estimate.shape
    assert clean.estimate.shape[1] == batch.waveform.shape[1] - 2 * edge


def test_weights_scale_their_losses(trainer: Trainer):
    batch = trainer.source.batch(0)
    plain, heavy = (
        objective(trainer, f0_weight=f0, voicing_weight=voicing)(
            batch, noise(batch), chosen(batch, False, False)
        ).losses
        for f0, voicing in ((1.0, 1.0), (3.0, 5.0))
    )
    assert heavy["f0"].item() == pytest.approx(3 * plain["f0"].item())
    assert heavy["voicing"].item() == pytest.approx(5 * plain["voicing"].item())


def test_discriminators_get_no_gradient_from_the_estimate_and_the_generator_does():
    config = AdversarialConfig(start_step=0, weight=2.0, feature_matching_weight=0.0)
    discriminators = Discriminators(config)
    generator = torch.Generator().manual_seed(0)
    reference = 0.1 * torch.randn(2, 4096, generator=generator)
    estimate = (0.1 * torch.randn(2, 4096, generator=generator)).requires_grad_()
    discriminator_objective(discriminators, reference, estimate, config).backward()
    assert estimate.grad is None
    adversarial_objective(discriminators, reference, estimate, config)["adversarial"].backward()
    assert float(estimate.grad.abs().max()) > 0


def test_features_of_the_recording_itself_match_it():
    config = AdversarialConfig(start_step=0)
    discriminators = Discriminators(config)
    waveform = 0.1 * torch.randn(2, 4096, generator=torch.Generator().manual_seed(0))
    losses = adversarial_objective(discriminators, waveform, waveform, config)
    assert losses["feature_matching"].item() == 0


def test_halves_of_a_batch_match_features_as_the_whole_does():
    """Two processes, one of which has a much louder half."""
    config = AdversarialConfig(start_step=0)
    discriminators = Discriminators(config)
    generator = torch.Generator().manual_seed(0)
    level = torch.tensor([[0.001], [0.5]])
    reference, estimate = (level * torch.randn(2, 4096, generator=generator) for _ in range(2))
    whole = adversarial_objective(discriminators, reference, estimate, config)["feature_matching"]
    sizes: list[Tensor] = []

    def note(size: Tensor) -> Tensor:
        sizes.append(size)
        return size

    for half in (slice(0, 1), slice(1, 2)):
        adversarial_objective(discriminators, reference[half], estimate[half], config, note)
    mean = (sizes[0] + sizes[1]) / 2
    halves = [
        adversarial_objective(
            discriminators, reference[half], estimate[half], config, lambda _: mean
        )
        for half in (slice(0, 1), slice(1, 2))
    ]
    shared = sum(half["feature_matching"].item() for half in halves) / 2
    assert shared == pytest.approx(whole.item(), rel=1e-5)
    alone = [
        adversarial_objective(discriminators, reference[half], estimate[half], config)
        for half in (slice(0, 1), slice(1, 2))
    ]
    unshared = sum(half["feature_matching"].item() for half in alone) / 2
    assert unshared != pytest.approx(whole.item(), rel=0.02)


def test_an_objective_draws_nothing_by_default(trainer: Trainer):
    config = ObjectiveConfig()
    objective = Objective(trainer.model, config)
    assert objective.model is trainer.model
    assert objective.config is config
    assert objective.draw(2, 100, lambda stream: torch.Generator()) == ()


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ValidationError, match="write adversarial: null instead"):
        AdversarialConfig(start_step=0, spectrogram=None, period=None)
    with pytest.raises(ValidationError, match="2 n_ffts and 1 n_mels"):
        SourceFilterLossConfig(spectral=SpectralLossConfig(n_ffts=(512, 256), n_mels=(40,)))
