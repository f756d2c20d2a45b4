"""FIR filters of linear and of minimum phase."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from studies.iir_or_fir.family import BINS, HOP, Family, middles, transform_macs
from vocoder.dsp.filters.fir import (
    fast_length,
    filter_frames,
    filter_frames_causal,
    filter_interpolated,
)
from vocoder.dsp.filters.tap_shapes import grid_log_gain, linear_phase_taps, minimum_phase_taps
from vocoder.dsp.framing import hold_ends


@dataclass(frozen=True)
class LinearPhase(Family):
    """Frequency-sampled taps about their middle: log gains at ``size / 2 + 1`` frequencies."""

    label = "FIR, linear phase"
    sizes = (64, 128, 256, 512, 1024)

    @property
    def parameters(self) -> int:
        """The number of points minus one: the window is zero at the outermost tap."""
        return self.size // 2

    @property
    def sample_macs(self) -> float:
        """One per tap."""
        return self.size

    @property
    def frame_macs(self) -> float:
        """Frame, taps and product transformed."""
        n_fft = fast_length(HOP + self.size - 1)
        return (3 * transform_macs(n_fft) + 2 * n_fft) / HOP

    def start(self) -> Tensor:
        """A gain of one."""
        return torch.zeros(self.size // 2 + 1, dtype=torch.float64)

    def taps(self, numbers: Float[Tensor, "*batch count"]) -> Float[Tensor, "*batch taps"]:
        """Taps of each filter."""
        return linear_phase_taps(numbers, self.size)

    def response(self, numbers: Tensor, n_fft: int) -> Tensor:
        """Response, delayed by half of the taps."""
        return torch.fft.rfft(self.taps(numbers), n=n_fft)

    def samples(self, signal: Tensor, boundaries: Tensor) -> Tensor:
        """Taps in lines from boundary to boundary."""
        return filter_interpolated(signal, self.taps(boundaries[:, :-1]))

    def frames(self, signal: Tensor, boundaries: Tensor) -> Tensor:
        """Taps of the frames' middles."""
        return filter_frames(signal, self.taps(middles(boundaries)))


@dataclass(frozen=True)
class MinimumPhase(LinearPhase):
    """Minimum-phase taps, from as many log gains with linear interpolation."""

    label = "FIR, minimum phase"

    @property
    def parameters(self) -> int:
        """Points."""
        return self.size // 2 + 1

    def taps(self, numbers: Tensor) -> Tensor:
        """Taps computed on twice the bins of an envelope, so that long responses hardly wrap
        around."""
        return minimum_phase_taps(grid_log_gain(numbers, 2 * BINS - 1), self.size)

    def samples(self, signal: Tensor, boundaries: Tensor) -> Tensor:
        """Taps in lines from boundary to boundary."""
        return interpolated_causal(signal, self.taps(boundaries[:, :-1]))

    def frames(self, signal: Tensor, boundaries: Tensor) -> Tensor:
        """Taps of the frames' middles."""
        return filter_frames_causal(signal, self.taps(middles(boundaries)))[0]


def interpolated_causal(
    signal: Float[Tensor, "batch samples"], taps: Float[Tensor, "batch frames taps"]
) -> Float[Tensor, "batch samples"]:
    """``filter_interpolated`` with the first tap on the current sample: the signal is padded and
    delayed, since the middle tap is used there."""
    n_samples, (n_frames, n_taps) = signal.shape[1], taps.shape[1:]
    hop, late = n_samples // n_frames, n_taps // 2
    more = -(-late // hop)
    delayed = pad(signal, (late, more * hop - late))
    return filter_interpolated(delayed, hold_ends(taps, 0, more))[:, :n_samples]
