"""Objective of WaveFlow and WaveGlow: the exact likelihood of the waveform."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from vocoder.data.segments import Batch
from vocoder.losses.flow import flow_nll
from vocoder.models.waveflow import WaveFlow
from vocoder.models.waveglow import WaveGlow
from vocoder.training.objectives.base import Objective, ObjectiveConfig, StepOutput, Streams

DITHER = 1
"""Stream of random numbers within a step."""

STEP_16_BIT = 2.0**-15


class FlowLossConfig(ObjectiveConfig):
    """``sigma``: standard deviation of the noise that the flow maps to; 1 for WaveFlow, √0.5 for
    WaveGlow. ``dither`` adds uniform noise of one 16-bit step to each sample: without it the
    likelihood of digital silence, which is in every corpus and in the padding, is unbounded. The
    papers do not mention it."""

    objective: Literal["flow"] = "flow"
    sigma: float = Field(1.0, gt=0)
    dither: bool = True


class FlowObjective(Objective):
    """Negative log-likelihood in nats per sample."""

    model: WaveFlow | WaveGlow
    config: FlowLossConfig

    def draw(self, items: int, samples: int, streams: Streams) -> tuple[Tensor, ...]:
        return (torch.rand(items, samples, generator=streams(DITHER)),)

    def forward(self, batch: Batch, dither: Float[Tensor, "batch samples"]) -> StepOutput:
        waveform = batch.waveform
        if self.config.dither:
            waveform = waveform + STEP_16_BIT * (dither - 0.5)
        z, log_determinant = self.model.encode(waveform, batch.mel)
        nll = flow_nll(z, log_determinant, self.config.sigma)
        return StepOutput({"negative_log_likelihood": nll.mean()})
