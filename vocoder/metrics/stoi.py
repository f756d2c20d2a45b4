"""STOI and ESTOI: intelligibility of the estimate relative to the reference, by pystoi."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from vocoder.errors import AudioError
from vocoder.extras import require_packages
from vocoder.metrics.signals import Signal, checked_pair, resample

CONVENTION = (
    "STOI (Taal et al. 2011) and ESTOI (Jensen, Taal 2016) by pystoi at 10 kHz, other rates "
    "resampled by soxr HQ: 15 third-octave bands from 150 Hz, segments of 384 ms, without the "
    "frames of the reference more than 40 dB below its loudest"
)
RATE = 10000
_SEGMENT = 30
_SHORTEST_S = (_SEGMENT + 2) * 128 / RATE


class Stoi(NamedTuple):
    """Mean correlations of short-time band envelopes, at most 1; higher is better.

    Attributes:
        stoi: each band separately, with the estimate clipped at a signal-to-distortion ratio of -15
            dB.
        estoi: whole spectra, each band normalised first; sensitive to modulated maskers too.
    """

    stoi: float
    estoi: float


def require_pystoi() -> None:
    """Raise a VocoderError where pystoi is not installed."""
    require_packages("STOI", ("pystoi",))


def stoi(reference: Signal, estimate: Signal, sample_rate: int) -> Stoi:
    """STOI and ESTOI of one utterance.

    Frames of 25.6 ms every 12.8 ms, with silent frames removed from both signals, give the
    envelopes X_j(m) = sqrt(Σ |x̂(k, m)|² over the bins of third-octave band j). On every segment of
    30 frames, x and y being the envelopes of one band there,

        STOI:   mean over bands and segments of corr(x, min(y ||x|| / ||y||, (1 + 10^0.75) x))
        ESTOI:  mean over frames and segments of the correlation of spectra, after normalising each
        band of the segment to mean 0 and norm 1

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long. Silence scores 0.
        sample_rate: of both, in Hz.

    Raises:
        AudioError: invalid signals, a silent reference, or fewer than 30 frames (0.41 s) of speech
            in the reference.

    Source: Taal, Hendriks, Heusdens, Jensen, "An algorithm for intelligibility prediction of
    time-frequency weighted noisy speech", IEEE TASLP 19(7), 2011; Jensen, Taal, "An algorithm for
    predicting the intelligibility of speech masked by modulated noise maskers", IEEE/ACM TASLP
    24(11), 2016; github.com/mpariente/pystoi.
    """
    import pystoi

    first, second = checked_pair(reference, estimate, sample_rate)
    if not first.any():
        raise AudioError("STOI is not defined for a silent reference")
    x, y = (resample(x, sample_rate, RATE).double().numpy() for x in (first, second))
    too_short = AudioError(
        f"STOI needs at least {_SEGMENT} frames ({_SHORTEST_S:.2f} s) of speech in the reference: "
        "leave so short a file out"
    )
    if len(x) < _SHORTEST_S * RATE:
        raise too_short
    if not y.any():
        return Stoi(0.0, 0.0)
    with warnings.catch_warnings(), _fixed_noise():
        warnings.filterwarnings("error", message="Not enough STFT frames")
        try:
            scores = [pystoi.stoi(x, y, RATE, extended) for extended in (False, True)]
        except RuntimeWarning as warning:
            raise too_short from warning
    # Rounding in sums over equal segments.
    return Stoi(*(round(float(score), 12) for score in scores))


@contextlib.contextmanager
def _fixed_noise() -> Iterator[None]:
    """Seed numpy's global generator, and restore its state afterwards.

    pystoi adds noise of 2e-16 from it to ESTOI's envelopes. If the estimate is digital silence for
    a whole segment, that noise alone determines the score.
    """
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)
