"""Vocoders that analyse the waveform instead of a mel."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.errors import AudioError


class WaveVocoder(ABC):
    """Waveform → frame parameters → waveform. These have more information than mel vocoders, which
    matters in comparisons."""

    sample_rate: int

    @abstractmethod
    def resynthesise(
        self,
        waveform: Float[Tensor, " samples"],
        f0_scale: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, " samples"]:
        """A waveform of the same length.

        Args:
            waveform: in [-1, 1] at ``sample_rate``.
            f0_scale: factor on F0.
            generator: of the noise, if any.

        Raises:
            AudioError: the waveform is empty, not of one dimension or not finite.
        """


def checked_waveform(waveform: Tensor) -> Float[Tensor, " samples"]:
    """The waveform in float64 on the CPU; raises AudioError if it is invalid."""
    if waveform.ndim != 1 or waveform.numel() == 0:
        raise AudioError(
            f"a waveform is (samples,), at least one of them, not {tuple(waveform.shape)}"
        )
    if not waveform.is_floating_point():
        raise AudioError(f"the waveform has the type {waveform.dtype}: use floats in [-1, 1]")
    if not bool(torch.isfinite(waveform).all()):
        raise AudioError("the waveform holds NaN or infinite samples")
    return waveform.detach().to("cpu", torch.float64)
