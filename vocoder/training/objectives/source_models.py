"""Objectives of NSF and DDSP: the spectral distances of their papers, F0 and voicing."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vocoder.data.segments import Batch
from vocoder.losses.spectral import (
    LogPowerLoss,
    LogPowerLossConfig,
    MultiScaleLoss,
    MultiScaleLossConfig,
)
from vocoder.models.ddsp import DDSP
from vocoder.models.nsf import NSF
from vocoder.training.objectives.base import Objective, StepOutput, Streams
from vocoder.training.objectives.pitch import PitchLossConfig, pitch_losses

NOISE, PREDICTED = 1, 2
"""Streams of random numbers within a step."""


class NSFLossConfig(PitchLossConfig):
    """Distance of log power spectra, and the pitch predictor's losses."""

    windows_key: ClassVar[str] = "loss.spectral.resolutions"

    objective: Literal["nsf"] = "nsf"
    spectral: LogPowerLossConfig = LogPowerLossConfig()

    @property
    def longest_window(self) -> int:
        return self.spectral.longest_window


class DDSPLossConfig(PitchLossConfig):
    """Distance of magnitudes and their logarithms, and the pitch predictor's losses."""

    objective: Literal["ddsp"] = "ddsp"
    spectral: MultiScaleLossConfig = MultiScaleLossConfig()

    @property
    def longest_window(self) -> int:
        return self.spectral.longest_window


class _ExcitedObjective(Objective):
    """Losses of a model that takes F0 and voicing, and predicts them from the mel."""

    gives_waveforms = True
    model: NSF | DDSP
    config: PitchLossConfig

    def __init__(
        self, model: NSF | DDSP, config: PitchLossConfig, spectral: LogPowerLoss | MultiScaleLoss
    ) -> None:
        super().__init__(model, config)
        self.spectral = spectral

    def draw(self, items: int, samples: int, streams: Streams) -> tuple[Tensor, ...]:
        chance = torch.rand(items, generator=streams(PREDICTED))
        noise = self.model.draw(items, samples, streams(NOISE), torch.empty(0))
        return chance < self.config.predicted_pitch, *noise

    def forward(
        self, batch: Batch, from_prediction: Bool[Tensor, " batch"], *noise: Float[Tensor, "..."]
    ) -> StepOutput:
        """Losses of one batch; the pitch predictor gets no gradient of the waveform losses."""
        model, config = self.model, self.config
        pitch = model.estimate_pitch(batch.mel)
        choose = from_prediction[:, None]
        left, right = model.context
        estimate = model.synthesise(
            batch.mel[:, :, left : batch.mel.shape[2] - right],
            torch.where(choose, pitch.f0_hz.detach(), batch.f0_hz),
            torch.where(choose, pitch.voicing.detach(), batch.voicing),
            *noise,
        )
        losses, counts = pitch_losses(pitch, batch, model.config.pitch, config)
        losses = {"spectral": self.spectral(batch.waveform, estimate)} | losses
        return StepOutput(losses, batch.waveform, estimate, counts)


class NSFObjective(_ExcitedObjective):
    """``½ Σ E (ln power - ln power)²`` over resolutions (arXiv 1904.12088), and pitch."""

    def __init__(self, model: NSF, config: NSFLossConfig) -> None:
        super().__init__(model, config, LogPowerLoss(config.spectral))


class DDSPObjective(_ExcitedObjective):
    """Multi-scale distance of magnitudes and log magnitudes (arXiv 2001.04643), and pitch."""

    def __init__(self, model: DDSP, config: DDSPLossConfig) -> None:
        super().__init__(model, config, MultiScaleLoss(config.spectral))
