"""PESQ: perceptual evaluation of speech quality, wide and narrow band."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from pesq import BufferTooShortError, NoUtterancesError
from pesq import pesq as score_pesq
from torch import Tensor

from vocoder.errors import AudioError
from vocoder.metrics.signals import Signal, checked_pair, resample

CONVENTION = (
    "PESQ-WB (ITU-T P.862.2, mapped MOS-LQO) by the `pesq` package at 16 kHz, other rates "
    "resampled; longer than 20 s: mean over equal pieces of at most 20 s"
)
CONVENTION_NB = (
    "PESQ-NB (ITU-T P.862 mapped by P.862.1, MOS-LQO) by the `pesq` package at 8 kHz, other rates "
    "resampled; longer than 20 s: mean over equal pieces of at most 20 s"
)
RATE = 16000
RATE_NB = 8000
_LONGEST_S = 20.0


def pesq_wb(reference: Signal, estimate: Signal, sample_rate: int) -> float:
    """PESQ-WB, the mapped mean opinion score between 1.04 and 4.64; higher is better.

    `pesq(16000, reference, estimate, "wb")` after resampling, as BigVGAN and Vocos report it.
    PESQ aligns levels and delays itself. The C code overruns its memory with more than 50 speech
    segments (at least 0.4 s each with pause), and the standard is meant for short utterances;
    longer signals are therefore split into the fewest equal pieces of at most 20 s, and the pieces
    in which PESQ finds speech are averaged.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz.

    Raises:
        AudioError: invalid signals, shorter than 0.25 s, or no speech found in them.

    Source: ITU-T P.862 (2001), P.862.2 (2007).
    """
    return _mean_of_pieces(reference, estimate, sample_rate, RATE, "wb")


def pesq_nb(reference: Signal, estimate: Signal, sample_rate: int) -> float:
    """PESQ-NB, the mapped mean opinion score between 1.02 and 4.55; higher is better.

    `pesq(8000, reference, estimate, "nb")` after resampling: the telephone band, up to 4 kHz. Split
    into pieces as in `pesq_wb`. The two scales are not comparable.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz.

    Raises:
        AudioError: invalid signals, shorter than 0.25 s, or no speech found in them.

    Source: ITU-T P.862 (2001), P.862.1 (2003).
    """
    return _mean_of_pieces(reference, estimate, sample_rate, RATE_NB, "nb")


def _mean_of_pieces(
    reference: Signal, estimate: Signal, sample_rate: int, rate: int, band: Literal["wb", "nb"]
) -> float:
    """The mean of PESQ over equal pieces, at the rate and in the band of the standard."""
    first, second = checked_pair(reference, estimate, sample_rate)
    first, second = resample(first, sample_rate, rate), resample(second, sample_rate, rate)
    pieces = math.ceil(first.numel() / (_LONGEST_S * rate))
    scores = [
        _piece(a, b, rate, band)
        for a, b in zip(
            torch.tensor_split(first, pieces), torch.tensor_split(second, pieces), strict=True
        )
    ]
    scored = [score for score in scores if score is not None]
    if not scored:
        raise AudioError(
            "PESQ finds no speech that both signals have: is one silent, or of another utterance?"
        )
    return sum(scored) / len(scored)


def _piece(
    reference: Float[Tensor, " samples"],
    estimate: Float[Tensor, " samples"],
    rate: int,
    band: Literal["wb", "nb"],
) -> float | None:
    """PESQ of one piece, or None where it finds no speech."""
    # The package divides by the larger of both peaks, which gives NaN for silence.
    if not reference.any() or not estimate.any():
        return None
    try:
        return float(score_pesq(rate, reference.numpy(), estimate.numpy(), band))
    except NoUtterancesError:
        return None
    except BufferTooShortError as error:
        raise AudioError(
            f"PESQ needs at least 0.25 s, got {reference.numel() / rate:.3f} s"
        ) from error
