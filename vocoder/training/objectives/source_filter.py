"""What the source-filter vocoder is trained for: spectra, F0 and voicing."""

import math
from typing import Literal, cast

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from vocoder.data.segments import Batch
from vocoder.features.mel import MelSpec
from vocoder.losses.spectral import SpectralLoss, SpectralLossConfig
from vocoder.models.source_filter import SourceFilter
from vocoder.training.objectives.base import Objective, StepOutput, Streams
from vocoder.training.objectives.pitch import PitchLossConfig, pitch_losses

NOISE, PREDICTED, PASSES = 1, 2, 3
"""Streams of random numbers within a step."""

EDGE_FRAMES = 4
"""Least number of frames at either end of a segment that no waveform loss sees: the windows of the
filters and of the mel reach out of the segment there, where the signal is unknown."""


class SourceFilterLossConfig(PitchLossConfig):
    """Losses of the source-filter vocoder: spectra at several resolutions, F0 and voicing.

    ``pulses_in_step``: the pulses stand on the recording's (`vocoder.dsp.analysis.modulation`), so
    that losses in windows shorter than a period teach how the sound moves within it. Elsewhere
    pulses begin anywhere, and what such losses reward is a sound that does not move.

    ``fewer_passes``: share of the batches that are spoken with fewer passes of the mel projection
    than the model makes, as many as is drawn evenly from none on. Passes hide what the networks
    say of gains, which wander where nobody looks; a voice that is steered is spoken without them.
    """

    objective: Literal["source_filter"] = "source_filter"
    spectral: SpectralLossConfig = SpectralLossConfig()
    pulses_in_step: bool = False
    fewer_passes: float = Field(0.0, ge=0, le=1)

    def edge_frames(self, spec: MelSpec) -> int:
        return max(EDGE_FRAMES, math.ceil(spec.win_length / spec.hop_length))

    @property
    def longest_window(self) -> int:
        return self.spectral.longest_window

    @property
    def validation_loss(self) -> SpectralLossConfig:
        return self.spectral


class SourceFilterObjective(Objective):
    """Spectral, F0 and voicing losses of a source-filter vocoder on segments with context."""

    gives_waveforms = True
    model: SourceFilter
    config: SourceFilterLossConfig

    def __init__(self, model: SourceFilter, config: SourceFilterLossConfig) -> None:
        super().__init__(model, config)
        self.spectral = SpectralLoss(config.spectral, model.sample_rate)
        self._siblings: dict[MelSpec, tuple[SourceFilter, SpectralLoss]] = {}

    def draw(self, items: int, samples: int, streams: Streams) -> tuple[Tensor, ...]:
        noise = torch.randn(items, samples, generator=streams(NOISE))
        chance = torch.rand(items, generator=streams(PREDICTED))
        passes = self._draw_passes(streams(PASSES))
        # One number for all items, each process's share of them included.
        return noise, chance < self.config.predicted_pitch, torch.full((items,), passes)

    def _draw_passes(self, generator: torch.Generator) -> int:
        """Passes of the mel projection of a batch."""
        passes = self.model.config.mel_projection
        fewer, which = torch.rand(2, generator=generator).tolist()
        return int(which * passes) if fewer < self.config.fewer_passes else passes

    def forward(
        self,
        batch: Batch,
        noise: Float[Tensor, "batch samples"],
        from_prediction: Bool[Tensor, " batch"],
        passes: Int[Tensor, " batch"] | None = None,
    ) -> StepOutput:
        """Losses of one batch, spoken with as many ``passes`` of the mel projection, the same for
        all items (the model's own without them); no gradient of the waveform reaches the pitch
        predictor."""
        model, spectral, config = self.model, self.spectral, self.config
        if batch.spec is not None:
            model, spectral = self._at_mel(batch.spec)
        gain = model.log_gain(batch.mel)
        pitch = model.estimate_pitch(gain)
        choose = from_prediction[:, None]
        left, right = model.context
        estimate = model.synthesis(
            model.controls(gain),
            torch.where(choose, pitch.f0_hz.detach(), batch.f0_hz),
            torch.where(choose, pitch.voicing.detach(), batch.voicing),
            noise,
            mel_gain=gain[:, left : gain.shape[1] - right],
            in_step_with=batch.waveform if config.pulses_in_step else None,
            mel_projection=None if passes is None else int(passes[0]),
        )
        edge = config.edge_frames(model.spec) * model.spec.hop_length
        reference, estimate = batch.waveform[:, edge:-edge], estimate[:, edge:-edge]
        losses, counts = pitch_losses(pitch, batch, model.config.pitch, config)
        losses = spectral(reference, estimate, batch.band_limit_hz) | losses
        return StepOutput(losses, reference, estimate, counts)

    def _at_mel(self, spec: MelSpec) -> tuple[SourceFilter, SpectralLoss]:
        """Model and loss for a batch's mel; kept, as building filterbanks takes milliseconds."""
        if spec not in self._siblings:
            loss = SpectralLoss(self.config.spectral, spec.sample_rate)
            device = next(self.model.parameters()).device
            model = cast(SourceFilter, self.model.for_mel(spec))
            self._siblings[spec] = (model, loss.to(device))
        return self._siblings[spec]
