"""What the source-filter vocoder is trained for: spectra, F0 and voicing."""

import math
from itertools import product
from typing import Literal, cast

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from vocoder.data.segments import Batch
from vocoder.features.mel import MelSpec
from vocoder.features.smoothing import smooth_mel
from vocoder.losses.spectral import SpectralLoss, SpectralLossConfig
from vocoder.models.source_filter import SourceFilter
from vocoder.training.objectives.base import Objective, StepOutput, Streams
from vocoder.training.objectives.pitch import PitchLossConfig, pitch_losses

NOISE, PREDICTED, PASSES, SMOOTHING = 1, 2, 3, 4
"""Streams of random numbers within a step."""

SMOOTHINGS = tuple(extents for extents in product((1, 3, 5), (1, 3, 5)) if extents != (1, 1))
"""Bands and frames."""

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

    ``smoothed_mels``: share of the batches whose mels are smoothed over 1, 3 or 5 bands and frames
    (`smooth_mel`), as acoustic models predict them, and spoken with one pass or none: such a mel is
    that of no speech, and should not be met exactly.
    """

    objective: Literal["source_filter"] = "source_filter"
    spectral: SpectralLossConfig = SpectralLossConfig()
    pulses_in_step: bool = False
    fewer_passes: float = Field(0.0, ge=0, le=1)
    smoothed_mels: float = Field(0.0, ge=0, le=1)

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
        passes, smoothing = self._draw_passes(streams(PASSES), streams(SMOOTHING))
        # The same for all items, each process's share of them included.
        return (
            noise,
            chance < self.config.predicted_pitch,
            torch.full((items,), passes),
            torch.tensor(smoothing).expand(items, 2),
        )

    def _draw_passes(
        self, of_passes: torch.Generator, of_smoothing: torch.Generator
    ) -> tuple[int, tuple[int, int]]:
        """Passes of the mel projection of a batch; bands and frames to smooth its mels over."""
        config, passes = self.config, self.model.config.mel_projection
        fewer, which = torch.rand(2, generator=of_passes).tolist()
        smoothed, extent = torch.rand(2, generator=of_smoothing).tolist()
        if smoothed < config.smoothed_mels:
            return min(round(which), passes), SMOOTHINGS[int(extent * len(SMOOTHINGS))]
        return int(which * passes) if fewer < config.fewer_passes else passes, (1, 1)

    def forward(
        self,
        batch: Batch,
        noise: Float[Tensor, "batch samples"],
        from_prediction: Bool[Tensor, " batch"],
        passes: Int[Tensor, " batch"] | None = None,
        smoothing: Int[Tensor, "batch 2"] | None = None,
    ) -> StepOutput:
        """Losses of one batch; no gradient of the waveform reaches the pitch predictor.

        Args:
            passes: of the mel projection, the same for all items; without them the model's own.
            smoothing: bands and frames that the mels are smoothed over, the same for all items;
                without it they stay as they are.
        """
        model, spectral, config = self.model, self.spectral, self.config
        if batch.spec is not None:
            model, spectral = self._at_mel(batch.spec)
        mel = batch.mel if smoothing is None else smooth_mel(batch.mel, *smoothing[0].tolist())
        gain = model.log_gain(mel)
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
