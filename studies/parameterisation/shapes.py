"""Parameters to log gains (nepers): seven descriptions of one filter.

Each maps (…, P) to (…, bins). Zeros give the identity filter for all of them: all descriptions
start from the same gain.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vocoder.dsp.analysis.prediction import (
    line_spectra_from_gaps,
    predictor_from_line_spectra,
    predictor_from_reflection,
)
from vocoder.dsp.filters.fir import frequency_sampled_fir
from vocoder.dsp.filters.tap_shapes import dct_log_gain, grid_log_gain, mel_cepstrum_log_gain

BINS = 257
ALPHA = 0.42
"""Warping of the mel-cepstrum: approximates mel at 16 kHz."""
TINY = 1e-10
"""Added to squared magnitudes of taps, which may be zero."""

Shape = Callable[[Float[Tensor, "*batch parameters"]], Float[Tensor, "*batch bins"]]


def raw_taps(x: Tensor) -> Tensor:
    """A unit pulse and the parameters: causal taps of any phase."""
    taps = torch.cat([x[..., :1] + 1, x[..., 1:]], dim=-1)
    return _log_magnitude(taps)


def frequency_samples(x: Tensor) -> Tensor:
    """Log magnitudes at P frequencies, taps by the frequency sampling method with its Hann window:
    DDSP's noise filter."""
    return _log_magnitude(frequency_sampled_fir(x.exp()))


def frequency_grid(x: Tensor) -> Tensor:
    """Log gains at P frequencies, linearly interpolated."""
    return grid_log_gain(x, BINS)


def dct(x: Tensor) -> Tensor:
    """Orthonormal DCT of the log gain: a cepstrum up to scale."""
    return dct_log_gain(x, BINS)


def mel_cepstrum(x: Tensor) -> Tensor:
    """Cosines on the warped frequency axis."""
    return mel_cepstrum_log_gain(x, BINS, ALPHA)


def reflection(x: Tensor) -> Tensor:
    """Log gain and P - 1 reflection coefficients by tanh: always stable."""
    return _all_pole(x[..., :1], predictor_from_reflection(torch.tanh(x[..., 1:])))


def line_spectra(x: Tensor) -> Tensor:
    """Log gain and P - 1 numbers whose softmax (with a zero) gives the gaps between line spectral
    frequencies: always stable."""
    spectra = line_spectra_from_gaps(pad(x[..., 1:], (1, 0)))
    return _all_pole(x[..., :1], predictor_from_line_spectra(spectra))


def _all_pole(log_gain: Tensor, predictor: Tensor) -> Tensor:
    return log_gain - _log_magnitude(pad(predictor, (1, 0), value=1.0))


def _log_magnitude(taps: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(taps, n=2 * (BINS - 1))
    return 0.5 * torch.log(spectrum.real.square() + spectrum.imag.square() + TINY)


SHAPES: dict[str, Shape] = {
    "raw taps": raw_taps,
    "frequency samples, windowed": frequency_samples,
    "frequency grid, lines": frequency_grid,
    "DCT": dct,
    "mel-cepstrum": mel_cepstrum,
    "reflection coefficients": reflection,
    "line spectra": line_spectra,
}
