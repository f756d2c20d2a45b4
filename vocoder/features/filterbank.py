"""Triangular filters on the mel scale, in the two conventions that are in use."""

from typing import Literal

import numpy as np
from jaxtyping import Float

MelScale = Literal["slaney", "htk"]

# Slaney's scale: linear to 1 kHz at 200/3 Hz per mel, then logarithmic, 27 mels per factor of 6.4.
_HZ_PER_MEL = 200.0 / 3.0
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(hz: Float[np.ndarray, "..."], scale: MelScale) -> Float[np.ndarray, "..."]:
    """Frequency in mel.

    HTK: 2595 log10(1 + f / 700). Slaney: 3 f / 200 below 1 kHz, 15 + 27 log_6.4(f / 1000) above.

    >>> hz_to_mel(np.array([0.0, 1000.0, 6400.0]), "slaney").round(9).tolist()
    [0.0, 15.0, 42.0]

    Source: Young et al., "The HTK Book", section 5.4; Slaney, "Auditory Toolbox", Interval Research
    TR 1998-010.
    """
    hz = np.asarray(hz, dtype=np.float64)
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0))
    above = _KNEE_MEL + np.log(np.maximum(hz, _KNEE_HZ) / _KNEE_HZ) / _LOG_STEP
    return np.where(hz >= _KNEE_HZ, above, hz / _HZ_PER_MEL)


def mel_to_hz(mel: Float[np.ndarray, "..."], scale: MelScale) -> Float[np.ndarray, "..."]:
    """Frequency in Hz: the inverse of :func:`hz_to_mel`.

    >>> mel_to_hz(np.array([0.0, 15.0, 42.0]), "slaney").round(6).tolist()
    [0.0, 1000.0, 6400.0]
    """
    mel = np.asarray(mel, dtype=np.float64)
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    above = _KNEE_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _KNEE_MEL) - _KNEE_MEL))
    return np.where(mel >= _KNEE_MEL, above, _HZ_PER_MEL * mel)


def mel_filters(
    sample_rate: int,
    n_fft: int,
    n_mels: int,
    f_min: float,
    f_max: float,
    scale: MelScale,
    area_normalised: bool,
) -> Float[np.ndarray, "n_mels bins"]:
    """Triangles between neighbouring edges e_0 … e_{n+1}, equally spaced in mel:

        F_i(f) = max(0, min((f - e_i) / (e_{i+1} - e_i), (e_{i+2} - f) / (e_{i+2} - e_{i+1})))

    Args:
        sample_rate: in Hz.
        n_fft: of the spectrum; there are n_fft // 2 + 1 bins.
        n_mels: number of filters.
        f_min, f_max: lowest and highest edge, Hz.
        scale: of the spacing.
        area_normalised: divide each filter by half its width in Hz, Slaney's normalisation.

    Returns:
        float64, agreeing with librosa's `filters.mel`.
    """
    ends = hz_to_mel(np.array([f_min, f_max]), scale)
    edges_hz = mel_to_hz(np.linspace(ends[0], ends[1], n_mels + 2), scale)
    widths_hz = np.diff(edges_hz)
    ramps = edges_hz[:, None] - np.fft.rfftfreq(n_fft, 1.0 / sample_rate)
    rising = -ramps[:-2] / widths_hz[:-1, None]
    falling = ramps[2:] / widths_hz[1:, None]
    filters = np.maximum(0.0, np.minimum(rising, falling))
    if area_normalised:
        filters *= (2.0 / (edges_hz[2:] - edges_hz[:-2]))[:, None]
    return filters
