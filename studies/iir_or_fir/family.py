"""Common interface of filter families: unbounded numbers to a response or a filtered signal.

Each member of a family (a size) takes ``numbers`` (…, count), any real ones, all of which are
optimised; they represent stable filters only. A member computes its frequency response, and filters
a signal in two ways, with numbers given at frame boundaries: ``samples``, with coefficients for
each sample, and ``frames``, with a response for each frame.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Complex, Float
from torch import Tensor

from vocoder.dsp.filters.spectral_filter import time_varying_filter
from vocoder.dsp.framing import interpolate_linear

RATE, HOP = 16000, 80
"""Hz, and samples between frames: 5 ms."""
BINS = 513
"""Bins of the envelopes, 0 Hz to Nyquist."""
OVERLAPS, STEPS = 8, 4
"""Hops per frame of the frame-wise all-pole filter, and of the short-time spectrum."""


@dataclass(frozen=True)
class Family(ABC):
    """A member of a family.

    Attributes:
        size: taps, poles, sections, bands or stages.
    """

    size: int
    label: ClassVar[str]
    sizes: ClassVar[tuple[int, ...]]

    @property
    def name(self) -> str:
        """Name in the tables."""
        return f"{self.label} {self.size}"

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Degrees of freedom per frame, including the gain."""

    @property
    @abstractmethod
    def sample_macs(self) -> float:
        """Multiplications per sample, for given coefficients."""

    @property
    def frame_macs(self) -> float:
        """Multiplications per sample in the short-time spectrum: two transforms and a response per
        hop."""
        n_fft = STEPS * HOP
        bins = n_fft / 2
        return (2 * transform_macs(n_fft) + 4 * bins + bins * self.response_macs) / HOP

    @property
    def response_macs(self) -> float:
        """Multiplications per frequency of the response."""
        raise NotImplementedError

    @abstractmethod
    def start(self) -> Float[Tensor, " count"]:
        """Initial numbers: a gain of about one at all frequencies."""

    @abstractmethod
    def response(
        self, numbers: Float[Tensor, "*batch count"], n_fft: int
    ) -> Complex[Tensor, "*batch bins"]:
        """Response of constant filters."""

    @abstractmethod
    def samples(
        self, signal: Float[Tensor, "batch samples"], boundaries: Float[Tensor, "batch edges count"]
    ) -> Float[Tensor, "batch samples"]:
        """Filter each sample, with controls linearly interpolated between the boundaries."""

    def frames(
        self, signal: Float[Tensor, "batch samples"], boundaries: Float[Tensor, "batch edges count"]
    ) -> Float[Tensor, "batch samples"]:
        """Responses at the boundaries, on the short-time spectrum."""
        response = self.response(boundaries[:, :-1], STEPS * HOP)
        return time_varying_filter(signal, response.real, response.imag)


def transform_macs(n_fft: int) -> float:
    """Multiplications of a real Fourier transform, n log₂ n: half of a complex one's n/2 log₂ n
    butterflies of four multiplications."""
    return n_fft * math.log2(n_fft)


def to_samples(boundaries: Float[Tensor, "batch edges count"]) -> Float[Tensor, "batch samples c"]:
    """Linear interpolation between frame boundaries."""
    lines = interpolate_linear(boundaries.mT.flatten(0, 1), HOP)
    return lines.unflatten(0, (len(boundaries), -1)).mT


def middles(boundaries: Float[Tensor, "batch edges count"]) -> Float[Tensor, "batch frames count"]:
    """Half-way between frame boundaries."""
    return (boundaries[:, :-1] + boundaries[:, 1:]) / 2
