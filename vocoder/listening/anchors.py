"""The two anchors of every MUSHRA trial: the low-pass filtered reference."""

import math

import numpy as np
from jaxtyping import Float
from scipy.signal import fftconvolve, firwin, kaiserord

from vocoder.errors import AudioError

LOW_ANCHOR_HZ = 3500.0
MID_ANCHOR_HZ = 7000.0
LOWEST_RATE = 16000
"""Hz: below it the stop band of the 7 kHz anchor would be above Nyquist."""

_STOP_RATIO = 4000 / 3500
_ATTENUATION_DB = 60.0


def anchor(
    reference: Float[np.ndarray, " samples"], sample_rate: int, cutoff_hz: float
) -> Float[np.ndarray, " samples"]:
    """The reference low-pass filtered at `cutoff_hz`, without delay and with unchanged length.

    A linear-phase windowed sinc whose transition, from fc to 8/7 fc, and Kaiser window (60 dB)
    keep it within the mask of the standard for fc = 3.5 kHz: at most ±0.1 dB of ripple up to
    3.5 kHz, at least 25 dB of attenuation at 4 kHz and 50 dB at 4.5 kHz. The standard gives no mask
    for fc = 7 kHz; the scaled mask is used (25 dB at 8 kHz, 50 at 9 kHz). The signal is padded with
    silence.

    Args:
        reference: waveform, any scale.
        sample_rate: Hz, at least 16 kHz.
        cutoff_hz: end of the pass band, `LOW_ANCHOR_HZ` or `MID_ANCHOR_HZ`.

    Raises:
        AudioError: the rate is below 16 kHz.

    Source: Recommendation ITU-R BS.1534-3 (2015), section 5.1.
    """
    taps = anchor_filter(sample_rate, cutoff_hz)
    return fftconvolve(reference, taps, mode="full")[len(taps) // 2 :][: len(reference)]


def anchor_filter(sample_rate: int, cutoff_hz: float) -> Float[np.ndarray, " taps"]:
    """Impulse response of the low-pass of `anchor`: odd length, symmetric, gain 1 at 0 Hz."""
    if sample_rate < LOWEST_RATE:
        raise AudioError(
            f"a sample rate of {sample_rate} Hz is too low for the 7 kHz anchor of MUSHRA: "
            f"take recordings of at least {LOWEST_RATE} Hz, or build an ABX test"
        )
    stop_hz = cutoff_hz * _STOP_RATIO
    length, beta = kaiserord(_ATTENUATION_DB, (stop_hz - cutoff_hz) / (sample_rate / 2))
    return firwin(
        2 * math.ceil(length / 2) + 1,
        (cutoff_hz + stop_hz) / 2,
        window=("kaiser", beta),
        fs=sample_rate,
    )
