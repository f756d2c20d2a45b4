"""F0 and voicing errors between two signals, from Praat's tracks of both."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vocoder.errors import AudioError
from vocoder.features.pitch import Pitch, extract_pitch
from vocoder.metrics.signals import Signal, checked_pair

CONVENTION = (
    "F0 by Praat (60-500 Hz) on both signals every 10 ms; RMSE in cents and in Hz over all frames "
    "voiced in both, octave errors included; gross pitch error: share of those that are off by "
    "more than 20 %; V/UV error: share of all frames whose voicing differs; V/UV F1: 2 TP / (2 TP "
    "+ FP + FN) with voiced as the positive and the reference as the truth"
)
HOP_S = 0.01
F0_MIN_HZ = 60.0
F0_MAX_HZ = 500.0
_GROSS = 0.2


class F0Errors(NamedTuple):
    """F0 and voicing errors of one utterance. F0 errors are NaN where no frame is voiced in both.

    Attributes:
        rmse_cents: root mean square of 1200 log2(f/f') over frames voiced in both.
        fine_rmse_cents: the same without the gross errors.
        gross_pitch_error: fraction of the frames voiced in both with |f'/f - 1| > 0.2, in [0, 1].
        voicing_error: fraction of all frames that are voiced in one signal only, in [0, 1].
        voiced_frames: number of frames voiced in both.
        rmse_hz: root mean square of f' - f over frames voiced in both.
        voicing_f1: 2 TP / (2 TP + FP + FN), in [0, 1], higher is better; TP frames are voiced in
            both, FP in the estimate only and FN in the reference only. NaN where neither signal
            has a voiced frame.
    """

    rmse_cents: float
    fine_rmse_cents: float
    gross_pitch_error: float
    voicing_error: float
    voiced_frames: int
    rmse_hz: float
    voicing_f1: float


def f0_errors(
    reference: Signal,
    estimate: Signal,
    sample_rate: int,
    f0_min_hz: float = F0_MIN_HZ,
    f0_max_hz: float = F0_MAX_HZ,
) -> F0Errors:
    """F0 RMSE in cents and Hz, gross pitch error, V/UV error and V/UV F1.

    Lower is better and 0 is best, except for the F1, which is best at 1. The F1 uses Praat's
    tracks; papers that threshold torchcrepe's periodicity report other values.

    Both signals are tracked every 10 ms (rounded to whole samples) independent of the vocoder's
    hop, so that systems of different hops compare. A single octave error weighs 1200 cents in the
    RMSE; `fine_rmse_cents` excludes such errors.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz.
        f0_min_hz: lower edge of the search.
        f0_max_hz: upper edge of the search.

    Raises:
        AudioError: invalid signals.
        PitchError: from the tracker, when a signal cannot be analysed.

    Source: gross pitch error and voicing decision error: Chu, Alwan, "Reducing F0 frame error of
    F0 tracking algorithms under noisy conditions", ICASSP 2009. Tracker: Boersma 1993 (Praat).
    """
    first, second = checked_pair(reference, estimate, sample_rate)

    a, b = (pitch_track(signal, sample_rate, f0_min_hz, f0_max_hz) for signal in (first, second))
    return compare_tracks(a.f0_hz, a.voicing, b.f0_hz, b.voicing)


def pitch_track(
    waveform: Float[Tensor, " samples"],
    sample_rate: int,
    f0_min_hz: float = F0_MIN_HZ,
    f0_max_hz: float = F0_MAX_HZ,
) -> Pitch:
    """Praat's F0 and voicing at 0, 10, 20, … ms (the hop rounded to whole samples)."""
    hop_length = round(HOP_S * sample_rate)
    frames = 1 + waveform.numel() // hop_length
    return extract_pitch(waveform, sample_rate, hop_length, frames, 0, f0_min_hz, f0_max_hz)


def compare_tracks(
    reference_f0_hz: Float[Tensor, " frames"],
    reference_voicing: Float[Tensor, " frames"],
    estimate_f0_hz: Float[Tensor, " estimate_frames"],
    estimate_voicing: Float[Tensor, " estimate_frames"],
) -> F0Errors:
    """The errors between two tracks of equal length; voicing above 0.5 counts as voiced.

    Raises:
        AudioError: the tracks are empty or differ in length.
    """
    frames = reference_f0_hz.numel()
    if frames == 0 or frames != estimate_f0_hz.numel():
        raise AudioError(
            f"F0 tracks of {frames} and {estimate_f0_hz.numel()} frames cannot be compared"
        )
    voiced, voiced_too = reference_voicing > 0.5, estimate_voicing > 0.5
    both = voiced & voiced_too
    f, g = reference_f0_hz[both].double(), estimate_f0_hz[both].double()
    cents = 1200 * torch.log2(g / f)
    gross = (g / f - 1).abs() > _GROSS
    return F0Errors(
        rmse_cents=_rms(cents),
        fine_rmse_cents=_rms(cents[~gross]),
        gross_pitch_error=float(gross.double().mean()),
        voicing_error=float((voiced != voiced_too).double().mean()),
        voiced_frames=int(both.sum()),
        rmse_hz=_rms(g - f),
        voicing_f1=_f1(voiced, voiced_too),
    )


def _f1(truth: Bool[Tensor, " frames"], found: Bool[Tensor, " frames"]) -> float:
    positives = int(truth.sum()) + int(found.sum())
    return 2 * int((truth & found).sum()) / positives if positives else math.nan


def _rms(values: Float[Tensor, " values"]) -> float:
    return float(values.square().mean().sqrt())
