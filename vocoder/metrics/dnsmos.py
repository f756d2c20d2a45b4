"""DNSMOS: a neural prediction of listeners' opinion, from the estimate alone.

Needs the extra `evaluate` (speechmos with its networks, onnxruntime); nothing else imports them.
"""

from typing import NamedTuple

import numpy as np

from vocoder.errors import AudioError
from vocoder.extras import require_packages
from vocoder.metrics.signals import Signal, checked_pair, resample

CONVENTION = (
    "DNSMOS P.835 overall and P.808 by `speechmos` at 16 kHz, other rates resampled; no "
    "reference is used; signals under 9 s are repeated, peaks above 1 are clipped"
)
RATE = 16000


class Dnsmos(NamedTuple):
    """Predicted mean opinion scores from 1 to 5; higher is better."""

    overall: float
    p808: float


def require_dnsmos() -> None:
    """Raise a VocoderError that names the extra, unless DNSMOS's packages are installed."""
    require_packages("DNSMOS", ("speechmos", "onnxruntime", "librosa", "requests"))


def dnsmos(reference: Signal, estimate: Signal, sample_rate: int) -> Dnsmos:
    """DNSMOS P.835 overall and P.808 of the estimate.

    Args:
        reference: only validated; present for a uniform interface. To score the recordings,
            evaluate them as a system.
        estimate: the signal to score, shape (samples,), in [-1, 1].
        sample_rate: of both, in Hz.

    Raises:
        AudioError: invalid signals, or a silent estimate (outside the networks' domain).
        VocoderError: the extra is not installed.

    Source: Reddy, Gopal, Cutler, "DNSMOS P.835", ICASSP 2022, and "DNSMOS", ICASSP 2021 (P.808).
    """
    _, waveform = checked_pair(reference, estimate, sample_rate)
    if not waveform.any():
        raise AudioError("DNSMOS is not defined for digital silence")
    require_dnsmos()
    from speechmos import dnsmos as speechmos_dnsmos

    samples = resample(waveform, sample_rate, RATE).numpy().clip(-1.0, 1.0)
    scores = speechmos_dnsmos.run(np.ascontiguousarray(samples), RATE)
    return Dnsmos(float(scores["ovrl_mos"]), float(scores["p808_mos"]))
