"""The adversarial stage: the discriminators, their losses and those of the generator."""

from collections.abc import Callable
from typing import Any, Literal, Self

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from vocoder.config import Config
from vocoder.discriminators.base import Discriminator
from vocoder.discriminators.frames import FrameDiscriminator, FrameDiscriminatorConfig
from vocoder.discriminators.period import PeriodDiscriminator, PeriodDiscriminatorConfig
from vocoder.discriminators.scale import ScaleDiscriminator, ScaleDiscriminatorConfig
from vocoder.discriminators.spectrogram import (
    SpectrogramDiscriminator,
    SpectrogramDiscriminatorConfig,
)
from vocoder.losses.adversarial import (
    Kind,
    absolute_feature_matching_loss,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)

AnyDiscriminatorConfig = (
    SpectrogramDiscriminatorConfig
    | PeriodDiscriminatorConfig
    | ScaleDiscriminatorConfig
    | FrameDiscriminatorConfig
)
DISCRIMINATORS: dict[str, Callable[[Any], Discriminator]] = {
    "spectrogram": SpectrogramDiscriminator,
    "period": PeriodDiscriminator,
    "scale": ScaleDiscriminator,
    "frames": FrameDiscriminator,
}
"""By the field of :class:`AdversarialConfig` that describes it; ``…_weight`` is its weight."""


class AdversarialConfig(Config):
    """The adversarial stage; it begins at ``start_step``, and discriminators set to null are
    disabled.

    Waveforms are cropped to ``crop_frames`` frames for the discriminators, which dominate the cost
    (shorter segments are used whole).

    ``reduction`` combines the losses of the discriminators' networks, one per period, resolution or
    scale. "mean": their mean; feature matching is the mean over all layers, each distance relative
    to the magnitude of the recording's features. "sum": their sum, weighted per discriminator;
    feature matching is the sum over layers of absolute distances, including the scores, as in
    HiFi-GAN and its successors.
    """

    start_step: int = Field(ge=0)
    kind: Kind = "hinge"
    weight: float = Field(0.1, ge=0)
    feature_matching_weight: float = Field(0.2, ge=0)
    crop_frames: int = Field(32, ge=4)
    learning_rate: float = Field(4e-4, gt=0)
    spectrogram: SpectrogramDiscriminatorConfig | None = SpectrogramDiscriminatorConfig()
    period: PeriodDiscriminatorConfig | None = PeriodDiscriminatorConfig()
    scale: ScaleDiscriminatorConfig | None = None
    frames: FrameDiscriminatorConfig | None = None
    reduction: Literal["mean", "sum"] = "mean"
    spectrogram_weight: float = Field(1.0, ge=0, description="of each of its networks, in a sum")
    period_weight: float = Field(1.0, ge=0)
    scale_weight: float = Field(1.0, ge=0)
    frames_weight: float = Field(1.0, ge=0)

    @property
    def enabled(self) -> dict[str, AnyDiscriminatorConfig]:
        """The discriminators that are not null, in the order of :class:`Discriminators`."""
        configs = {name: getattr(self, name) for name in DISCRIMINATORS}
        return {name: config for name, config in configs.items() if config is not None}

    @model_validator(mode="after")
    def _some_discriminator(self) -> Self:
        if not self.enabled:
            raise ValueError("all discriminators are null; write adversarial: null instead")
        weights = {getattr(self, f"{name}_weight") for name in DISCRIMINATORS}
        if self.reduction == "mean" and weights != {1.0}:
            raise ValueError("a mean knows no weights of discriminators; write reduction: sum")
        return self

    @property
    def network_weights(self) -> list[float] | None:
        """Weight of each network, in the order of :class:`Discriminators`; None for a mean."""
        if self.reduction == "mean":
            return None
        return [
            getattr(self, f"{name}_weight")
            for name, config in self.enabled.items()
            for _ in range(config.networks)
        ]


class Discriminators(nn.Module):
    """All enabled discriminators of a recipe: scores and feature maps of all networks."""

    def __init__(self, config: AdversarialConfig) -> None:
        super().__init__()
        self.members = nn.ModuleList(
            DISCRIMINATORS[name](each) for name, each in config.enabled.items()
        )

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


def low_pass(
    signal: Float[Tensor, "batch samples"], limit_hz: Float[Tensor, " batch"], sample_rate: int
) -> Float[Tensor, "batch samples"]:
    """``X(f)`` for f up to ``limit_hz`` (Hz, one for each item), zero above, by one transform of
    the whole signal. Beyond the band of a recording nothing is known, and its emptiness would tell
    it from what is generated."""
    spectrum = torch.fft.rfft(signal)
    hertz = torch.fft.rfftfreq(signal.shape[1], 1 / sample_rate, device=signal.device)
    below = hertz <= limit_hz.to(signal.device)[:, None]
    return torch.fft.irfft(spectrum * below, n=signal.shape[1])


def _halves(maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    pairs = [tensor.chunk(2) for tensor in maps]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def discriminator_objective(
    discriminators: nn.Module, reference: Tensor, estimate: Tensor, config: AdversarialConfig
) -> Float[Tensor, ""]:
    """Loss of the discriminators on recorded and generated segments, in one batch."""
    scores, _ = discriminators(torch.cat([reference, estimate.detach()]))
    return discriminator_loss(*_halves(scores), config.kind, config.network_weights)


def adversarial_objective(
    discriminators: nn.Module,
    reference: Tensor,
    estimate: Tensor,
    config: AdversarialConfig,
    average: Callable[[Tensor], Tensor] = torch.clone,
) -> dict[str, Tensor]:
    """Weighted adversarial and feature-matching losses of the generator.

    Args:
        average: function to the mean of a tensor over all processes of the batch.
    """
    with torch.no_grad():
        real_scores, real = discriminators(reference)
    scores, generated = discriminators(estimate)
    weights = config.network_weights
    if weights is None:
        matching = feature_matching_loss(real, generated, average)
    else:
        matching = absolute_feature_matching_loss(
            _with_scores(real, real_scores), _with_scores(generated, scores), weights
        )
    return {
        "adversarial": config.weight * generator_loss(real_scores, scores, config.kind, weights),
        "feature_matching": config.feature_matching_weight * matching,
    }


def _with_scores(features: list[list[Tensor]], scores: list[Tensor]) -> list[list[Tensor]]:
    return [[*maps, score] for maps, score in zip(features, scores, strict=True)]
