"""Systems without a speech model: weighted prediction error, and homomorphic deconvolution."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from nara_wpe.utils import istft, stft
from nara_wpe.wpe import wpe_v8
from torch import Tensor

from vocoder.dsp.analysis.homomorphic import signal_cepstrum
from vocoder.dsp.rooms.reverb import fft_convolve

WPE_FFT, WPE_HOP = 512, 128
QUIET_DB = 40.0
"""Segments this far below the loudest are ignored."""


@dataclass(frozen=True)
class WpeSettings:
    """Taps and delay in frames of 8 ms, iterations."""

    taps: int
    delay: int
    iterations: int = 3


def weighted_prediction_error(
    wet: Float[Tensor, " samples"], settings: WpeSettings
) -> Float[Tensor, " samples"]:
    """Single-channel WPE by nara_wpe: subtracts the delayed linear prediction from the past.

    Source: T. Nakatani et al., "Speech dereverberation based on variance-normalized delayed linear
    prediction", IEEE TASLP 18, 2010.
    """
    spectrum = stft(wet.double().numpy()[None], size=WPE_FFT, shift=WPE_HOP)
    per_bin = np.ascontiguousarray(spectrum.transpose(2, 0, 1))
    clean = wpe_v8(per_bin, settings.taps, settings.delay, settings.iterations)
    signal = istft(clean.transpose(1, 2, 0), size=WPE_FFT, shift=WPE_HOP)[0]
    return torch.from_numpy(signal[: len(wet)]).to(wet.dtype)


@dataclass(frozen=True)
class CepstrumSettings:
    """Segment (samples), decay of its weight from beginning to end (nepers), quefrency range
    (samples) of the room, and the fraction of its cepstrum that is subtracted."""

    segment: int
    fall: float
    first: int
    last: int
    share: float


def mean_cepstrum(
    waveforms: Float[Tensor, "batch samples"], segment: int, fall: float
) -> Float[Tensor, " n_fft"]:
    """Mean real cepstrum of exponentially weighted loud segments, a quarter apart.

    The weight r^n maps a convolution to one of weighted signals and moves zeros into the unit
    circle, where the real cepstrum describes the room completely.
    """
    pieces = waveforms.double().unfold(1, segment, segment // 4).flatten(0, 1)
    power = pieces.square().mean(dim=1)
    loud = pieces[power > 10 ** (-QUIET_DB / 10) * power.max()]
    weight = torch.exp(-fall * torch.arange(segment, dtype=torch.float64) / segment)
    return signal_cepstrum(loud * weight, 2 * segment).mean(dim=0)


def homomorphic(
    wet: Float[Tensor, " samples"],
    speech: Float[Tensor, " n_fft"],
    settings: CepstrumSettings,
) -> Float[Tensor, " samples"]:
    """Subtract the speaker's mean cepstrum from the recording's; the difference is the room's, and
    the exponential of its negative is the inverse filter.

    Args:
        speech: :func:`mean_cepstrum` of dry speech of the same speaker, with the same segments.

    Source: A. Oppenheim, R. Schafer and T. Stockham, "Nonlinear filtering of multiplied and
    convolved signals", Proc. IEEE 56, 1968; segments weighted as in D. Bees, M. Blostein and P.
    Kabal, "Reverberant speech enhancement using cepstral processing", ICASSP 1991.
    """
    room = mean_cepstrum(wet[None], settings.segment, settings.fall) - speech
    n = torch.arange(len(room))
    # Minimum phase: twice the positive quefrencies, none of the negative.
    chosen = (n >= settings.first) & (n <= settings.last)
    inverse = torch.fft.irfft(torch.fft.rfft(-2 * settings.share * room * chosen).exp())
    inverse = inverse[: settings.segment]
    rise = torch.exp(settings.fall * n[: settings.segment] / settings.segment)
    return fft_convolve(wet.double()[None], inverse * rise)[0].to(wet.dtype)
