"""Objective of vocoders that map mel to waveform in one pass: spectral distances."""

from typing import Literal

from vocoder.data.segments import Batch
from vocoder.losses.mel import MelLoss, MelLossConfig
from vocoder.losses.spectral import SpectralLoss, SpectralLossConfig
from vocoder.models.base import Vocoder
from vocoder.training.objectives.base import Objective, ObjectiveConfig, StepOutput


class WaveformConfig(ObjectiveConfig):
    """Losses on the waveform; ``spectral``: multi-resolution losses, null for none."""

    objective: Literal["waveform"] = "waveform"
    mel: MelLossConfig = MelLossConfig()
    spectral: SpectralLossConfig | None = None

    @property
    def longest_window(self) -> int:
        return 0 if self.spectral is None else self.spectral.longest_window


class WaveformObjective(Objective):
    """Losses ``mel`` and, on request, ``multi_stft`` and ``multi_mel`` of whole segments.

    For models without random numbers and with their own padding (HiFi-GAN, iSTFTNet, Vocos).
    """

    gives_waveforms = True

    def __init__(self, model: Vocoder, config: WaveformConfig) -> None:
        super().__init__(model, config)
        self.mel = MelLoss(config.mel, model.spec)
        self.spectral = (
            None if config.spectral is None else SpectralLoss(config.spectral, model.sample_rate)
        )

    def forward(self, batch: Batch) -> StepOutput:
        estimate = self.model(batch.mel)
        losses = {"mel": self.mel(batch.waveform, estimate)}
        if self.spectral is not None:
            several = self.spectral(batch.waveform, estimate)
            losses |= {f"multi_{name}": value for name, value in several.items()}
        return StepOutput(losses, batch.waveform, estimate)
