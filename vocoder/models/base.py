"""What every vocoder has in common: a mel specification and the way from mel to waveform."""

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vocoder.features.mel import MelSpec


class Vocoder(nn.Module):
    """A module that turns a mel of its own ``spec`` into a waveform.

    ``v.mel(waveform)`` computes the mel, ``v(mel)`` the waveform, of
    ``frames * spec.hop_length`` samples.
    """

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        self.spec = spec

    @property
    def sample_rate(self) -> int:
        """Samples a second of what comes out."""
        return self.spec.sample_rate

    @property
    def parameters_count(self) -> int:
        """Number of trained parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    @torch.no_grad()
    def mel(self, waveform: Tensor) -> Float[Tensor, "batch n_mels frames"]:
        """Mel of a waveform, (samples,) or (batch, samples), at this vocoder's sample rate."""
        return self.spec.mel(waveform[None] if waveform.ndim == 1 else waveform)

    @abstractmethod
    def forward(self, mel: Float[Tensor, "batch n_mels frames"]) -> Float[Tensor, "batch samples"]:
        """Waveform for a mel."""
