"""From a batch to named losses; the same code serves training and validation."""

from collections.abc import Callable
from typing import NamedTuple, Self

import torch
from jaxtyping import Bool, Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from vocoder.config import Config
from vocoder.data.segments import Batch
from vocoder.discriminators.period import PeriodDiscriminator, PeriodDiscriminatorConfig
from vocoder.discriminators.spectrogram import (
    SpectrogramDiscriminator,
    SpectrogramDiscriminatorConfig,
)
from vocoder.losses.adversarial import (
    Kind,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)
from vocoder.losses.pitch import f0_classification_loss, voicing_loss
from vocoder.losses.spectral import SpectralLoss, SpectralLossConfig
from vocoder.models.source_filter import SourceFilter

EDGE_FRAMES = 4
"""Frames at either end of a segment that no waveform loss sees: the filters' windows reach out of
the segment there, and what sounds beyond is unknown."""


UNVOICED_WEIGHT = 0.1
"""What an unvoiced frame, whose F0 is interpolated, counts in the F0 loss."""


class LossConfig(Config):
    """Weights of the losses.

    ``predicted_pitch`` is the share of segments synthesised from the model's own F0 and voicing
    instead of Praat's, so that the filters meet in training what they get in use.
    """

    spectral: SpectralLossConfig = SpectralLossConfig()
    f0_weight: float = Field(0.1, ge=0)
    voicing_weight: float = Field(0.1, ge=0)
    predicted_pitch: float = Field(0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _one_mel_for_each_window(self) -> Self:
        windows, bands = len(self.spectral.n_ffts), len(self.spectral.n_mels)
        if windows == 0 or windows != bands:
            raise ValueError(
                f"spectral has {windows} n_ffts and {bands} n_mels: give one band count a window"
            )
        return self


class AdversarialConfig(Config):
    """The adversarial stage; it begins at ``start_step``, and a discriminator that is null is off.

    Waveforms are cropped to ``crop_frames`` frames for the discriminators, which cost more than
    everything else.
    """

    start_step: int = Field(ge=0)
    kind: Kind = "hinge"
    weight: float = Field(0.1, ge=0)
    feature_matching_weight: float = Field(0.2, ge=0)
    crop_frames: int = Field(32, ge=4)
    learning_rate: float = Field(4e-4, gt=0)
    spectrogram: SpectrogramDiscriminatorConfig | None = SpectrogramDiscriminatorConfig()
    period: PeriodDiscriminatorConfig | None = PeriodDiscriminatorConfig()

    @model_validator(mode="after")
    def _some_discriminator(self) -> Self:
        if self.spectrogram is None and self.period is None:
            raise ValueError("both discriminators are null; write adversarial: null instead")
        return self


class GeneratorOutput(NamedTuple):
    """Waveforms without the edges, (batch, samples), and the losses by name."""

    reference: Tensor
    estimate: Tensor
    losses: dict[str, Tensor]


class SourceFilterObjective(nn.Module):
    """Spectral, F0 and voicing losses of a source-filter vocoder on segments with context."""

    def __init__(self, model: SourceFilter, config: LossConfig) -> None:
        super().__init__()
        self.model, self.config = model, config
        self.spectral = SpectralLoss(config.spectral, model.sample_rate)

    def forward(
        self,
        batch: Batch,
        noise: Float[Tensor, "batch samples"],
        from_prediction: Bool[Tensor, " batch"],
    ) -> GeneratorOutput:
        """Losses of one batch; no gradient of the waveform reaches the pitch predictor."""
        model, config = self.model, self.config
        gain = model.log_gain(batch.mel)
        pitch = model.estimate_pitch(gain)
        choose = from_prediction[:, None]
        left, right = model.context
        estimate = model.synthesise(
            model.controls(gain),
            torch.where(choose, pitch.f0_hz.detach(), batch.f0_hz),
            torch.where(choose, pitch.voicing.detach(), batch.voicing),
            noise,
            mel_gain=gain[:, left : gain.shape[1] - right] if model.config.mel_correction else None,
        )
        edge = EDGE_FRAMES * model.spec.hop_length
        reference, estimate = batch.waveform[:, edge:-edge], estimate[:, edge:-edge]
        predictor = model.config.pitch
        losses = self.spectral(reference, estimate)
        losses["f0"] = config.f0_weight * f0_classification_loss(
            pitch.f0_logits,
            batch.f0_hz,
            batch.voicing,
            predictor.f0_min_hz,
            predictor.bin_cents,
            unvoiced_weight=UNVOICED_WEIGHT,
        )
        losses["voicing"] = config.voicing_weight * voicing_loss(pitch.voicing_logit, batch.voicing)
        return GeneratorOutput(reference, estimate, losses)


class Discriminators(nn.Module):
    """The discriminators that a recipe switches on, as one: scores and feature maps of all."""

    def __init__(self, config: AdversarialConfig) -> None:
        super().__init__()
        self.members = nn.ModuleList()
        if config.spectrogram is not None:
            self.members.append(SpectrogramDiscriminator(config.spectrogram))
        if config.period is not None:
            self.members.append(PeriodDiscriminator(config.period))

    def forward(
        self, waveform: Float[Tensor, "batch samples"]
    ) -> tuple[list[Tensor], list[list[Tensor]]]:
        scores: list[Tensor] = []
        features: list[list[Tensor]] = []
        for member in self.members:
            member_scores, member_features = member(waveform)
            scores += member_scores
            features += member_features
        return scores, features


def _halves(maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    pairs = [tensor.chunk(2) for tensor in maps]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def discriminator_objective(
    discriminators: nn.Module, reference: Tensor, estimate: Tensor, kind: Kind
) -> Float[Tensor, ""]:
    """Loss of the discriminators on recorded and generated segments, judged in one batch."""
    scores, _ = discriminators(torch.cat([reference, estimate.detach()]))
    return discriminator_loss(*_halves(scores), kind)


def adversarial_objective(
    discriminators: nn.Module,
    reference: Tensor,
    estimate: Tensor,
    config: AdversarialConfig,
    average: Callable[[Tensor], Tensor] = torch.clone,
) -> dict[str, Tensor]:
    """Weighted adversarial and feature-matching losses of the generator.

    Args:
        average: mean of a tensor over all processes that share the batch.
    """
    with torch.no_grad():
        _, real = discriminators(reference)
    scores, generated = discriminators(estimate)
    maps = [
        (r, g) for rs, gs in zip(real, generated, strict=True) for r, g in zip(rs, gs, strict=True)
    ]
    # The distance of two maps is relative to the size of the real one in the whole batch, of which
    # this process knows its part.
    sizes = torch.stack([r.abs().mean().clamp(min=1e-5) for r, _ in maps])
    matches = torch.stack([feature_matching_loss([[r]], [[g]]) for r, g in maps])
    matching = (matches * (sizes / average(sizes))).mean()
    return {
        "adversarial": config.weight * generator_loss(scores, config.kind),
        "feature_matching": config.feature_matching_weight * matching,
    }
