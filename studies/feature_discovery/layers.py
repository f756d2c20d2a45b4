"""First layers of a regression on windows of a series, each giving log powers (batch, bands).

Frequencies are fractions of Nyquist, between 0 and 1; series have unit sampling.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv1d, softplus

from vocoder.dsp.filters.fir import frequency_sampled_fir, sinc_low_pass

FLOOR = 1e-6
"""Added to powers before the logarithm; the series have unit power."""
TAPS = 64


def log_powers(x: Float[Tensor, "batch samples"], taps: Float[Tensor, "bands taps"]) -> Tensor:
    """Log mean power of each filter's output, (batch, bands), where the filter is inside the
    window."""
    filtered = conv1d(x[:, None], taps.flip(-1)[:, None])
    return torch.log(filtered.square().mean(dim=2) + FLOOR)


class Bands(nn.Module):
    """Band-pass filters with learned centres and widths, initially evenly spaced.

    A width is the distance between the two frequencies at which the gain is a half.
    """

    def __init__(self, bands: int, generator: torch.Generator) -> None:
        super().__init__()
        spread = (torch.arange(bands) + torch.rand(bands, generator=generator)) / bands
        centre = 0.02 + 0.96 * spread
        self.centre_logit = nn.Parameter(torch.logit(centre))
        self.raw_width = nn.Parameter(torch.full((bands,), _inverse_softplus(1.0 / bands)))

    @property
    def centre(self) -> Float[Tensor, " bands"]:
        """Centres as fractions of Nyquist."""
        return torch.sigmoid(self.centre_logit)

    @property
    def width(self) -> Float[Tensor, " bands"]:
        """Widths as fractions of Nyquist, limited by the resolution of the taps."""
        return 1 / TAPS + softplus(self.raw_width)

    def taps(self) -> Float[Tensor, "bands taps"]:
        """The filters."""
        raise NotImplementedError

    def forward(self, x: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch bands"]:
        """Log powers."""
        return log_powers(x, self.taps())


class GaussianBands(Bands):
    """Gain ``2^-(2 (f - c) / w)²``: it never vanishes, so that gradients reach distant bands."""

    def taps(self) -> Float[Tensor, "bands taps"]:
        """Frequency-sampled filters."""
        f = torch.linspace(0, 1, TAPS // 2 + 1)
        away = 2 * (f - self.centre[:, None]) / self.width[:, None]
        return frequency_sampled_fir(torch.exp2(-away.square()))


class SincBands(Bands):
    """Difference of two sinc low-passes, as SincNet's (M. Ravanelli and Y. Bengio, arXiv
    1808.00158): a gain of one within the band and steep edges."""

    def taps(self) -> Float[Tensor, "bands taps"]:
        """Windowed sinc filters."""
        low = (self.centre - self.width / 2).clamp(1e-3, 1 - 1e-3)
        high = (self.centre + self.width / 2).clamp(1e-3, 1 - 1e-3)
        # The low-passes have a gain of one at 0 Hz each, so their difference has none there.
        return sinc_low_pass(high, TAPS + 1) - sinc_low_pass(low, TAPS + 1)


class FreeTaps(nn.Module):
    """Unconstrained filters: every tap is learned."""

    def __init__(self, bands: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(bands, TAPS, generator=generator) / math.sqrt(TAPS))

    def taps(self) -> Float[Tensor, "bands taps"]:
        """The filters."""
        return self.weight

    def forward(self, x: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch bands"]:
        """Log powers."""
        return log_powers(x, self.weight)


def peaks(taps: Float[Tensor, "bands taps"]) -> tuple[Tensor, Tensor]:
    """Centre and width of any filters: the middle half of the power gain.

    The centre is the median of the power gain over frequency and the width the distance of its
    quartiles times two, which for a rectangular band is the band.
    """
    gain = torch.fft.rfft(taps.detach(), n=2048).abs().square()
    share = gain.cumsum(1) / gain.sum(1, keepdim=True)
    f = torch.linspace(0, 1, share.shape[1])
    low, middle, high = (f[(share < q).sum(1).clamp(max=len(f) - 1)] for q in (0.25, 0.5, 0.75))
    return middle, 2 * (high - low)


def _inverse_softplus(value: float) -> float:
    return math.log(math.expm1(value))
