"""WORLD analyses used by metrics: spectral envelope and band aperiodicity.

Needs the extra `evaluate` (pyworld).
"""

import numpy as np
from jaxtyping import Float

from vocoder.features.world import pyworld, require_world


def smoothed_spectrum(
    samples: Float[np.ndarray, " samples"],
    sample_rate: int,
    hop_s: float,
    f0_min_hz: float,
    f0_max_hz: float,
    fft_size: int,
) -> Float[np.ndarray, "frames bins"]:
    """CheapTrick's power spectra at Harvest's F0.

    Args:
        samples: float64 of any scale.
        sample_rate: in Hz.
        hop_s: time between frames; the first one is at 0 s.
        f0_min_hz: lower edge of Harvest's search.
        f0_max_hz: upper edge.
        fft_size: of CheapTrick. It treats F0 below 3 · rate / (fft_size - 3) as unvoiced.

    Raises:
        VocoderError: the extra is not installed.

    Source: Morise, "Harvest", Interspeech 2017; "CheapTrick", Speech Communication 67, 2015.
    """
    require_world()
    world = pyworld()
    f0_hz, times_s = world.harvest(
        samples, sample_rate, f0_floor=f0_min_hz, f0_ceil=f0_max_hz, frame_period=1000 * hop_s
    )
    spectrum: np.ndarray = world.cheaptrick(samples, f0_hz, times_s, sample_rate, fft_size=fft_size)
    return spectrum


def band_aperiodicity(
    samples: Float[np.ndarray, " samples"],
    sample_rate: int,
    f0_hz: Float[np.ndarray, " frames"],
    hop_s: float,
) -> Float[np.ndarray, "frames bands"]:
    """D4C's aperiodicity in dB (0 is noise, -60 a pure tone) at 3, 6, … kHz.

    As many bands as lie at least 3 kHz below Nyquist, up to 15 kHz: one at 16 kHz, three at 24
    kHz, none below 12 kHz. D4C's own voicing decision is switched off; frames without F0 are
    meaningless.

    Args:
        samples: float64.
        sample_rate: in Hz.
        f0_hz: of the frames at 0, hop_s, 2 hop_s, … seconds; 0 where unvoiced.
        hop_s: time from frame to frame.

    Raises:
        VocoderError: the extra is not installed.

    Source: Morise, "D4C, a band-aperiodicity estimator", Speech Communication 84, 2016.
    """
    require_world()
    world = pyworld()
    times_s = hop_s * np.arange(len(f0_hz))
    aperiodicity = world.d4c(samples, f0_hz, times_s, sample_rate, threshold=0.0)
    coded: np.ndarray = world.code_aperiodicity(aperiodicity, sample_rate)
    return coded
