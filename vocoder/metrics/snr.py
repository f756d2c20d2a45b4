"""Signal-to-noise ratios of waveforms: the noise is the difference to the reference."""

import math
from typing import NamedTuple

from vocoder.errors import AudioError
from vocoder.metrics.signals import Signal, checked_pair

CONVENTION = (
    "SNR: energy of the recording over that of the difference, and SI-SDR: the same after the "
    "best gain, both in dB over the whole utterance, no mean removed, clipped to ±100 dB; phase "
    "counts: one sample of delay or a vocoder's own phases give low scores however good it sounds"
)
CEILING_DB = 100.0


class SignalToNoise(NamedTuple):
    """Ratios in dB from -100 to 100; higher is better, and equal signals get 100.

    Attributes:
        snr_db: 10 log10(Σ s² / Σ (s - ŝ)²). A silent estimate gets 0 dB.
        si_sdr_db: 10 log10(Σ (α s)² / Σ (α s - ŝ)²), α = Σ s ŝ / Σ s²: independent of gain.
            NaN for a silent estimate.
    """

    snr_db: float
    si_sdr_db: float


def signal_to_noise(reference: Signal, estimate: Signal, sample_rate: int) -> SignalToNoise:
    """Phase-sensitive SNR and its scale-invariant variant, SI-SDR.

    For codecs and other systems that preserve the waveform. A vocoder that generates its own phases
    is at or below 0 dB in both, regardless of quality; constant delays must be removed before. Both
    are clipped to ±100 dB, beyond the range of 16-bit files (98 dB), so that equal signals, whose
    ratio is infinite, score exactly 100.

    Args:
        reference: the recording s, shape (samples,), in [-1, 1].
        estimate: the resynthesis ŝ, as long.
        sample_rate: of both, in Hz; it does not affect the results.

    Raises:
        AudioError: invalid signals, or a silent reference.

    Source: Le Roux, Wisdom, Erdogan, Hershey, "SDR - half-baked or well done?", ICASSP 2019,
    eq. 2-5.
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    if not first.any():
        raise AudioError("a signal-to-noise ratio is not defined for a silent reference")
    s, estimated = first.double(), second.double()
    energy = float(s @ s)
    target = float(s @ estimated) / energy * s
    residual = float((target - estimated).square().sum())
    return SignalToNoise(
        snr_db=_ratio_db(energy, float((s - estimated).square().sum())),
        si_sdr_db=_ratio_db(float(target @ target), residual),
    )


def _ratio_db(signal: float, noise: float) -> float:
    """10 log10 of the ratio, within ±100 dB; NaN for 0 / 0."""
    if signal == 0.0 or noise == 0.0:
        return math.nan if signal == noise else math.copysign(CEILING_DB, signal - noise)
    return min(max(10 * math.log10(signal / noise), -CEILING_DB), CEILING_DB)
