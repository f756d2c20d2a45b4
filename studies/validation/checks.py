"""Theoretical values: the score of a metric for a degradation of known size."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from studies.validation.degradations import low_pass_response
from studies.validation.ladders import LADDERS, RECORDING
from studies.validation.scores import Scores
from vocoder.data.audio import read_audio
from vocoder.metrics.spectral_distance import FLOOR_DB, HOP_S, WINDOW_S

Expected = Callable[[Path, float], float]
"""Function from the recording's file and the rung to the expected score."""


@dataclass(frozen=True)
class Check:
    """A theoretically known score.

    Attributes:
        metric: name in the registry.
        ladder: name of the ladder.
        why: the expected number, as shown in the table.
        expected: the number.
        absolute: absolute tolerance.
        relative: relative tolerance; the larger one applies.
        rungs: of the ladder; all by default.
        typical: check the median utterance of each rung; otherwise every one.
        at_most: the number is an upper bound.
        missed: for a number that is known not to be met: the consequence.
    """

    metric: str
    ladder: str
    why: str
    expected: Expected
    absolute: float
    relative: float = 0.0
    rungs: tuple[float, ...] | None = None
    typical: bool = False
    at_most: bool = False
    missed: str = ""


@dataclass(frozen=True)
class Outcome:
    """Deviation of the scores from the expected values, and whether it is within tolerance."""

    check: Check
    worst: float
    worst_rung: float
    scores: int
    undefined: int
    holds: bool


def _same(recording: Path, rung: float) -> float:
    return rung


def _snr_of_gain(recording: Path, gain_db: float) -> float:
    return -20 * math.log10(1 - 10 ** (gain_db / 20))


def _mcd_of_gain(recording: Path, gain_db: float) -> float:
    """10 √2 / ln 10 |Δc0|, with Δc0 = g ln 10 / 20."""
    return abs(gain_db) / math.sqrt(2)


def _lsd_of_gain(recording: Path, gain_db: float) -> float:
    return _lsd_of_filter(recording, lambda hertz: np.full_like(hertz, gain_db))


def lsd_of_low_pass(recording: Path, khz: float) -> float:
    """The expected log-spectral distance of the ladder's low-pass, in dB."""
    return _lsd_of_filter(recording, lambda hertz: _response_db(hertz, 1000 * khz))


def _response_db(hertz: np.ndarray, cutoff_hz: float) -> np.ndarray:
    response = low_pass_response(hertz, 2 * float(hertz[-1]), cutoff_hz)
    return 20 * np.log10(np.abs(response).clip(min=1e-9))


def _lsd_of_filter(recording: Path, response_db: Callable[[np.ndarray], np.ndarray]) -> float:
    """LSD of a filter H, computed from the recording alone: mean √(mean (L - max(L + H, floor))²).

    The filter is assumed to be short relative to the window, so that it adds H(k) to each level.
    """
    audio = read_audio(recording)
    waveform, rate = audio.waveform.double().numpy(), audio.sample_rate
    size, hop = round(WINDOW_S * rate), round(HOP_S * rate)
    window = np.hanning(size + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(waveform, size)[::hop] * window
    magnitude = 2 * np.abs(np.fft.rfft(frames)) / window.sum()
    level_db = 20 * np.log10(magnitude.clip(min=1e-12))
    filtered_db = level_db + response_db(np.fft.rfftfreq(size, 1 / rate))
    difference = level_db.clip(min=FLOOR_DB) - filtered_db.clip(min=FLOOR_DB)
    return float(np.sqrt((difference**2).mean(axis=1)).mean())


_FROM_20 = (20, 50, 100, 200, 400)
# At the precision of float the same gains give 14.15 dB (WORLD) and 13.2 dB (mcep) where 14.14 are
# due; rounded to 16 bits, the pauses of the cleanest recording become digital silence.
_ROUNDING = "not for files at different levels: the rounding to 16 bits counts"

# fmt: off
CHECKS = (
    Check("snr", "white", "the noise's", _same, 0.1),
    Check("snr", "shaped", "the noise's", _same, 0.1),
    Check("snr", "gain", "−20 log10(1 − g)", _snr_of_gain, 0.1),
    Check("snr", "polarity", "10 log10(1/4)", lambda *_: 10 * math.log10(0.25), 0.001),
    Check("si_sdr", "polarity", "the ceiling", lambda *_: 100.0, 0.001),
    Check("lsd", "gain", "the gain, but for the floor", _lsd_of_gain, 0.1),
    Check("lsd", "low_pass", "of spectrum and filter", lsd_of_low_pass, 0.5),
    Check("mcd_world", "gain", "gain / √2, in c0 alone", _mcd_of_gain, 0.02, 0.02,
          missed=_ROUNDING),
    # Time warping may pair louder frames with quieter ones.
    Check("mcd_mcep", "gain", "at most gain / √2", _mcd_of_gain, 0.02, 0.02, at_most=True,
          missed=_ROUNDING),
    Check("f0_rmse_cents", "f0", "the shift", _same, 2.0, 0.05, _FROM_20, typical=True),
    Check("f0_fine_rmse_cents", "f0", "the shift", _same, 2.0, 0.05, (20, 50, 100, 200),
          missed="not for 20 cents and less of one utterance: Praat's own deviations are as large"),
    Check("gross_pitch_error", "f0", "none up to 20 %", lambda *_: 0.0, 0.01, 0, (50, 100, 200)),
    Check("gross_pitch_error", "f0", "all: 400 cents are 26 %", lambda *_: 1.0, 0.02, 0, (400,)),
    Check("crepe_f0_rmse_cents", "f0", "the shift", _same, 5.0, 0.05, _FROM_20, typical=True),
)
# fmt: on


def run_check(
    check: Check, scores: Mapping[tuple[str, str], Scores], audio: Path
) -> Outcome | None:
    """Compare a metric's scores with the expected numbers; None if not scored."""
    found = scores.get((check.metric, check.ladder))
    if found is None:
        return None
    base = LADDERS[check.ladder].base
    folder = audio / (RECORDING if base == RECORDING else base)
    misses: dict[float, float] = {}
    excesses: dict[float, float] = {}
    count = undefined = 0
    for position, rung in enumerate(LADDERS[check.ladder].rungs, start=1):
        if check.rungs is not None and rung not in check.rungs:
            continue
        off, allowed = [], []
        for utterance, values in found.values.items():
            value = values[position]
            if value is None:
                undefined += 1
                continue
            due = check.expected(folder / f"{utterance}.wav", rung)
            off.append(value - due if check.at_most else abs(value - due))
            allowed.append(max(check.absolute, check.relative * abs(due)))
        if not off:
            continue
        count += len(off)
        pick = median if check.typical else max
        misses[rung] = pick(off)
        excesses[rung] = pick(o - a for o, a in zip(off, allowed, strict=True))
    if not misses:
        return Outcome(check, math.nan, math.nan, 0, undefined, False)
    worst = max(excesses, key=excesses.__getitem__)
    holds = undefined == 0 and excesses[worst] <= 0
    return Outcome(check, misses[worst], worst, count, undefined, holds)
