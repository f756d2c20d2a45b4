"""Noise of the voice: harmonics-to-noise ratio by Praat and aperiodicity by WORLD."""

import math

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from vocoder.errors import AudioError
from vocoder.features.pitch import Pitch
from vocoder.metrics.f0 import F0_MIN_HZ, HOP_S, pitch_track
from vocoder.metrics.signals import Signal, checked_pair
from vocoder.metrics.world import band_aperiodicity, require_world

CONVENTION = (
    "HNR difference: mean |difference| in dB of Praat's harmonicity (cc) every 10 ms, minimum "
    "pitch 60 Hz, silence threshold 0.1, one period per window, over frames voiced in both by "
    "Praat's F0 tracks (60-500 Hz)"
)
CONVENTION_APERIODICITY = (
    "aperiodicity difference: mean |difference| in dB of WORLD's band aperiodicity (D4C at 3, 6, … "
    "kHz, 3 kHz below Nyquist at most: one band at 16 kHz) every 10 ms, over bands and frames "
    "voiced in both by Praat's F0 tracks (60-500 Hz), which D4C is given"
)
_SILENCE_THRESHOLD = 0.1
_PERIODS_PER_WINDOW = 1.0
# Praat's value for undefined harmonicity.
_NONE_DB = -200.0


def hnr_difference(reference: Signal, estimate: Signal, sample_rate: int) -> float:
    """Mean absolute difference of harmonics-to-noise ratios in dB; lower is better. Symmetric.

        mean over frames voiced in both of |HNR - HNR'|,   HNR = 10 log10(r / (1 - r)),

    r the height of the normalised cross-correlation at the best pitch lag (`To Harmonicity (cc)`).
    It covers the whole band, dominated by low harmonics: a buzz above 4 kHz shows more clearly in
    `aperiodicity_difference`. Frames where Praat gives no harmonicity in one of the signals (too
    quiet) are excluded too.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz.

    Returns:
        The mean in dB, or NaN where no frame is voiced in both.

    Raises:
        AudioError: invalid signals.
        PitchError: from the tracker, when a signal cannot be analysed.

    Source: Boersma, "Accurate short-term analysis of the fundamental frequency and the
    harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17, 1993; through parselmouth.
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    voiced = _voiced_in_both(*(pitch_track(signal, sample_rate) for signal in (first, second)))
    if not voiced.any():
        return math.nan
    times_s, a = _harmonicity_db(first, sample_rate)
    _, b = _harmonicity_db(second, sample_rate)
    # Praat centres its frames in the sound: up to half a hop off those of the F0 tracks.
    nearest = np.round(times_s * sample_rate / round(HOP_S * sample_rate)).astype(int)
    used = voiced[nearest] & (a > _NONE_DB) & (b > _NONE_DB)
    return float(np.abs(a - b)[used].mean()) if used.any() else math.nan


def aperiodicity_difference(reference: Signal, estimate: Signal, sample_rate: int) -> float:
    """Mean absolute difference of WORLD's band aperiodicities in dB; lower is better. Symmetric.

    Each signal is analysed at its own F0. The aperiodicity is the noise share of the band around 3,
    6, … kHz, so that both a buzzing and a hoarse estimate score badly.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz, at least 12 kHz; below, D4C has no bands.

    Returns:
        The mean in dB, or NaN where no frame is voiced in both.

    Raises:
        AudioError: invalid signals, or a rate below 12 kHz.
        PitchError: from the tracker, when a signal cannot be analysed.
        VocoderError: the extra is not installed.

    Source: Morise, "D4C, a band-aperiodicity estimator for high-quality speech synthesis", Speech
    Communication 84, 2016; through pyworld.
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    if sample_rate < 12000:
        raise AudioError(f"WORLD has no band aperiodicity below 12 kHz, at {sample_rate} Hz")
    require_aperiodicity()
    tracks = [pitch_track(signal, sample_rate) for signal in (first, second)]
    voiced = _voiced_in_both(*tracks)
    if not voiced.any():
        return math.nan
    a, b = (
        _band_aperiodicity(signal, sample_rate, track)
        for signal, track in zip((first, second), tracks, strict=True)
    )
    return float(np.abs(a - b)[voiced].mean())


def require_aperiodicity() -> None:
    """Raise a VocoderError that names the extra, unless WORLD is installed."""
    require_world("the aperiodicity difference")


def _voiced_in_both(first: Pitch, second: Pitch) -> Bool[np.ndarray, " frames"]:
    return np.asarray((first.voicing > 0.5) & (second.voicing > 0.5))


def _harmonicity_db(
    waveform: Float[Tensor, " samples"], sample_rate: int
) -> tuple[Float[np.ndarray, " frames"], Float[np.ndarray, " frames"]]:
    """Times in seconds from the first sample, and Praat's harmonicity there."""
    import parselmouth  # imported here, since it loads Praat

    sound = parselmouth.Sound(
        waveform.double().numpy(), float(sample_rate), start_time=-0.5 / sample_rate
    )
    harmonicity = sound.to_harmonicity_cc(
        time_step=round(HOP_S * sample_rate) / sample_rate,
        minimum_pitch=F0_MIN_HZ,
        silence_threshold=_SILENCE_THRESHOLD,
        periods_per_window=_PERIODS_PER_WINDOW,
    )
    return harmonicity.xs(), harmonicity.values[0]


def _band_aperiodicity(
    waveform: Float[Tensor, " samples"], sample_rate: int, track: Pitch
) -> Float[np.ndarray, "frames bands"]:
    f0_hz = (track.f0_hz * track.voicing).double().numpy()
    hop_s = round(HOP_S * sample_rate) / sample_rate
    return band_aperiodicity(waveform.double().numpy(), sample_rate, f0_hz, hop_s)
