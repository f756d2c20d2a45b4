"""The all-pole filter, by line spectral frequencies."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from studies.iir_or_fir.family import (
    HOP,
    OVERLAPS,
    RATE,
    Family,
    middles,
    to_samples,
    transform_macs,
)
from vocoder.dsp.analysis.prediction import (
    expand_bandwidth,
    line_spectra_from_gaps,
    predictor_from_line_spectra,
)
from vocoder.dsp.filters.allpole import all_pole_overlapped, all_pole_samples
from vocoder.dsp.framing import interpolate_linear

BANDWIDTH_HZ = 16.0
"""Added to every resonance, about the spacing of an envelope's bins: a sharper one could be between
them."""


@dataclass(frozen=True)
class AllPole(Family):
    """Gain over a prediction polynomial: log gain, and the gaps of line spectral frequencies."""

    label = "all-pole"
    sizes = (10, 14, 18, 22, 26, 30)

    @property
    def parameters(self) -> int:
        """The gaps add up to one, which removes one degree of freedom."""
        return self.size + 1

    @property
    def sample_macs(self) -> float:
        """One per pole, and the gain."""
        return self.size + 1

    @property
    def frame_macs(self) -> float:
        """Frame, polynomial and quotient transformed; a division counts as eight."""
        n_fft = OVERLAPS * HOP
        return (3 * transform_macs(n_fft) + 8 * n_fft / 2) / HOP

    def start(self) -> Tensor:
        """Evenly spaced frequencies: a polynomial of one."""
        return torch.zeros(self.size + 2, dtype=torch.float64)

    def predictor(self, line_spectra: Tensor) -> Tensor:
        """Predictor from line spectral frequencies, without resonances narrower than the bins."""
        return expand_bandwidth(predictor_from_line_spectra(line_spectra), BANDWIDTH_HZ, RATE)

    def response(self, numbers: Tensor, n_fft: int) -> Tensor:
        """Gain over the transform of the polynomial."""
        predictor = self.predictor(line_spectra_from_gaps(numbers[..., 1:]))
        polynomial = torch.fft.rfft(pad(predictor, (1, 0), value=1.0), n=n_fft)
        return numbers[..., :1].exp() / polynomial

    def samples(self, signal: Tensor, boundaries: Tensor) -> Tensor:
        """Linearly interpolated line spectra."""
        spectra = line_spectra_from_gaps(boundaries[..., 1:])
        driven = signal * interpolate_linear(boundaries[..., 0].exp(), HOP)
        return all_pole_samples(driven, self.predictor(to_samples(spectra)))[0]

    def frames(self, signal: Tensor, boundaries: Tensor) -> Tensor:
        """Overlapped frames."""
        spectra = middles(line_spectra_from_gaps(boundaries[..., 1:]))
        driven = signal * interpolate_linear(boundaries[..., 0].exp(), HOP)
        return all_pole_overlapped(driven, self.predictor(spectra), OVERLAPS * HOP)
