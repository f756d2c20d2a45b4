"""Level of an estimate relative to its recording."""

import math

from vocoder.errors import AudioError
from vocoder.metrics.signals import Signal, checked_pair

CONVENTION = (
    "level difference: |20 log10(rms(estimate) / rms(recording))| in dB over the aligned span, "
    "full band, pauses included, of the estimate as it is on disk also where levels are matched "
    "for the other metrics; the note of an utterance says in which direction"
)


def level_difference(reference: Signal, estimate: Signal, sample_rate: int) -> float:
    """|L| of `level_difference_db`: 0 dB where both are equally loud; lower is better.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz; it does not affect the result.

    Returns:
        The magnitude in dB; NaN for a silent estimate, which has no level.

    Raises:
        AudioError: invalid signals, or a silent reference.
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    if not first.any():
        raise AudioError("a level difference is not defined for a silent reference")
    return abs(level_difference_db(first, second))


def level_difference_db(reference: Signal, estimate: Signal) -> float:
    """L = 20 log10(rms(estimate) / rms(reference)) in dB, in double precision.

    Positive where the estimate is louder; NaN where either signal is silent.

    Args:
        reference: the recording, shape (samples,).
        estimate: the resynthesis, as long.

    >>> import torch
    >>> round(level_difference_db(torch.ones(8), 0.5 * torch.ones(8)), 2)
    -6.02
    """
    first, second = checked_pair(reference, estimate, 1)
    powers = [float(x.double().square().sum()) for x in (first, second)]
    if 0.0 in powers:
        return math.nan
    return 10 * math.log10(powers[1] / powers[0])
