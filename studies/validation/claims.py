"""The claims of each metric, and their evaluation."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from scipy.stats import kendalltau, spearmanr

LEAST_TAU = 0.9
"""A claim to order a ladder holds if the mean over utterances of Kendall's tau is at least this,"""
LEAST_ORDERED = 0.8
"""and this share of the utterances has its whole ladder strictly in the right order."""


class Claim(StrEnum):
    """What a metric claims about a ladder."""

    ORDERS = "+"
    BLIND = "="
    NONE = "."


@dataclass(frozen=True)
class Claims:
    """The claims of one metric.

    Attributes:
        by_ladder: one for each ladder.
        tolerance: largest change of a score that claims not to see a ladder, over all utterances
            and rungs.
        reason: for missing claims, in few words.
    """

    by_ladder: dict[str, Claim]
    tolerance: float
    reason: str


_COLUMNS = (
    "mp3", "opus", "white", "shaped", "low_pass", "world", "f0", "griffin_lim", "gain", "delay",
    "raw_delay", "polarity",
)  # fmt: skip

# + orders it   = does not see it   . claims nothing
# In the order of _COLUMNS: codecs, noise and bandwidth; vocoders and F0; irrelevant changes. Then
# the tolerance of "=" in the metric's unit, and the reason for missing claims. Claims follow from
# the purpose of a metric. They were written down before the first measurement and are not adjusted:
# failing ones are reported as failing. fmt: off
_TABLE: dict[str, tuple[str, float, str]] = {
    "pesq": ("+++++ +.+ ====", 0.02, "aligns level and delay itself; not made for shifted F0"),
    "pesq_nb": ("++++. +.+ ====", 0.02, "as PESQ-WB, and hears nothing above 3.4 kHz"),
    "stoi": ("..++. ... ==.=", 0.002, "intelligibility, from envelopes up to 4.3 kHz"),
    "estoi": ("..++. ... ==.=", 0.002, "as STOI"),
    "visqol": ("+++++ +.+ ====", 0.05, "aligns level and delay itself; not made for shifted F0"),
    "visqol_nsim": ("+++++ +.+ ====", 0.01, "as ViSQOL"),
    "mstft": ("+++++ +.+ +=.=", 0.001, "magnitudes: half a pitch period off is as bad as a whole"),
    "lsd": ("+++++ +.+ +=.=", 0.01, "as M-STFT"),
    "mel_distance": ("+++++ +.+ +=.=", 0.001, "bands too wide for the harmonics"),
    "mcd_mgcep": ("+++++ +.. +=.=", 0.01, "spectral envelope and level only"),
    "mcd_mcep": ("+++++ +.. +=.=", 0.01, "as MCD (mgcep)"),
    "mcd_world": ("+++++ +.. +=.=", 0.01, "as MCD (mgcep)"),
    "snr": ("+++++ ... +=..", 0.1, "phase counts: of no use for vocoders"),
    "si_sdr": ("+++++ ... .=.=", 0.1, "as SNR; the rounding of a quieter file is noise to it"),
    "f0_rmse_cents": ("....= .+. ==.=", 5.0, "F0 only"),
    "f0_rmse_hz": ("....= .+. ==.=", 1.0, "F0 only"),
    "f0_fine_rmse_cents": ("....= ... ==.=", 5.0, "leaves out what is off by more than 20 %"),
    "gross_pitch_error": ("....= ... ==.=", 0.005, "counts what is off by more than 20 %"),
    "voicing_error": ("..++. ... ==.=", 0.005, "voicing only"),
    "voicing_f1": ("..++. ... ==.=", 0.005, "voicing only"),
    "hnr_difference": ("..++. ... ==.=", 0.1, "noise in voiced frames only"),
    "aperiodicity_difference": ("..++. ... ==.=", 0.1, "noise in voiced frames only"),
    "level_difference": ("..... ... +=.=", 0.05, "level only"),
    "periodicity": ("..++. ... .=.=", 0.005, "periodicity; its silence is an absolute level"),
    "periodicity_vocos": ("..++. ... .=.=", 0.005, "as periodicity"),
    "periodicity_tiny": ("..++. ... .=.=", 0.005, "as periodicity"),
    "vuv_f1": ("..++. ... .=.=", 0.005, "voicing only; its silence is an absolute level"),
    "vuv_f1_vocos": ("..++. ... .=.=", 0.005, "as V/UV F1 (CREPE)"),
    "vuv_f1_tiny": ("..++. ... .=.=", 0.005, "as V/UV F1 (CREPE)"),
    "crepe_f0_rmse_cents": ("..... .+. .=.=", 5.0, "F0 only, in bins of 20 cents"),
    "speaker_similarity": ("..... ... ==.=", 0.01, "whose voice it is, not how well it is done"),
    "dnsmos": ("..++. ... ...=", 0.02, "no reference: background noise; level and length matter"),
    "dnsmos_p808": ("..++. ... ...=", 0.02, "as DNSMOS overall"),
    "distillmos": ("+++++ ... ....", 0.05, "no reference; length and polarity matter, not level"),
    "cer_english": ("..... ... ....", 0.0, "English only: not scored on these recordings"),
}
# fmt: on


def _parse(symbols: str) -> dict[str, Claim]:
    claims = [Claim(symbol) for symbol in symbols.replace(" ", "")]
    return dict(zip(_COLUMNS, claims, strict=True))


CLAIMS = {
    metric: Claims(_parse(symbols), tolerance, reason)
    for metric, (symbols, tolerance, reason) in _TABLE.items()
}


_ROUNDING = "not for files at different levels: the rounding to 16 bits counts"
_FEW_FRAMES = "not for noise 30 dB down and less: a few frames decide"
_BANDWIDTH = "some cents between systems of different bandwidth are no error of F0"
_FAINT_NOISE = "not for noise 30 dB down and less: without a reference it may take it for better"
_NEIGHBOURS = "not for one utterance: neighbouring rates change places, by up to {}"
# Of the squared error of CREPE `tiny` that white noise 30 dB down makes, 43, 82 and 86 % lie in
# frames that are under -60 dB in the recording, where periodicity is set to 0, and above in noise.
_PAUSES = "not for noise 20 dB down and less: pauses that rise above -60 dB decide"
_NOT_MONOTONE = "not near its top, where a degraded signal may get more than an equal one; use NSIM"
_CREPE_POLARITY = "not between systems of opposite polarity: CREPE is not symmetric"

FAILING: dict[tuple[str, str], str] = {
    ("pesq", "griffin_lim"): "not to choose between 32 and 100 iterations",
    ("pesq_nb", "griffin_lim"): "not to choose between 32 and 100 iterations",
    ("mstft", "griffin_lim"): "not for phase where magnitudes have converged",
    ("lsd", "griffin_lim"): "not for phase: it puts 8 iterations above 100",
    ("mcd_mgcep", "opus"): "not between systems that both lack the upper band",
    ("voicing_error", "white"): _FEW_FRAMES,
    ("voicing_f1", "white"): _FEW_FRAMES,
    ("voicing_error", "shaped"): _FEW_FRAMES,
    ("voicing_f1", "shaped"): _FEW_FRAMES,
    ("f0_rmse_cents", "low_pass"): _BANDWIDTH,
    ("f0_rmse_hz", "low_pass"): _BANDWIDTH,
    ("f0_fine_rmse_cents", "low_pass"): _BANDWIDTH,
    ("pesq", "gain"): _ROUNDING,
    ("pesq_nb", "gain"): _ROUNDING,
    ("aperiodicity_difference", "gain"): _ROUNDING,
    ("speaker_similarity", "gain"): "not for files at different levels: it raises quiet ones only",
    ("pesq", "raw_delay"): "not without alignment, its own is not enough",
    ("pesq_nb", "raw_delay"): "not without alignment, its own is not enough",
    ("visqol", "white"): "not between systems below 1.3: its lower end is flat",
    ("visqol", "low_pass"): "not for bandwidth: it puts 3 kHz above 4 kHz; use NSIM",
    ("visqol", "world"): _NOT_MONOTONE,
    ("visqol", "griffin_lim"): _NOT_MONOTONE,
    ("visqol", "gain"): _ROUNDING,
    ("visqol_nsim", "low_pass"): "not for a cut-off above what the recording has",
    ("visqol_nsim", "griffin_lim"): "not to choose between 16 and 100 iterations",
    ("periodicity", "white"): _PAUSES,
    ("vuv_f1", "white"): _PAUSES,
    ("periodicity_vocos", "white"): _PAUSES,
    ("vuv_f1_vocos", "white"): _PAUSES,
    ("periodicity_tiny", "white"): _PAUSES,
    ("vuv_f1_tiny", "white"): _PAUSES,
    ("periodicity_tiny", "polarity"): _CREPE_POLARITY,
    ("vuv_f1_tiny", "polarity"): _CREPE_POLARITY,
    ("dnsmos", "white"): _FAINT_NOISE,
    ("dnsmos", "shaped"): _FAINT_NOISE,
    ("dnsmos_p808", "shaped"): _FAINT_NOISE,
    ("distillmos", "white"): _FAINT_NOISE,
    ("distillmos", "shaped"): _FAINT_NOISE,
    ("distillmos", "mp3"): _NEIGHBOURS.format("0.3"),
    ("distillmos", "opus"): _NEIGHBOURS.format("0.1"),
    ("distillmos", "low_pass"): "not for bandwidth: 3 kHz may get more than the full band",
}
"""Claims that do not hold, and the consequence for using the metric."""


@dataclass(frozen=True)
class Verdict:
    """Result of a metric on a ladder. Numbers are NaN if no utterance has all scores.

    Attributes:
        claim: of the metric.
        utterances: number with a score on every rung; only these are used below.
        undefined: number of the others.
        tau: mean over utterances of Kendall's tau-b between severity and badness, in [-1, 1].
        rho: the same of Spearman's rank correlation.
        ordered: share of utterances whose whole ladder gets strictly worse, in [0, 1].
        change: largest |score - score of the undegraded signal| of any utterance and rung.
        weakest: position of the rung that most often is not worse than the previous one.
        weakest_share: fraction of utterances for which it is not.
        holds: whether the claim holds; None without a claim.
    """

    claim: Claim
    utterances: int
    undefined: int
    tau: float
    rho: float
    ordered: float
    change: float
    weakest: int
    weakest_share: float
    holds: bool | None


def judge(
    ladders: Sequence[Sequence[float | None]],
    better: Literal["higher", "lower"],
    claim: Claim,
    tolerance: float,
) -> Verdict:
    """Compare a metric's scores with the order of the rungs.

    Args:
        ladders: for each utterance its scores, the undegraded signal first, then from mild to
            severe; None where a score is undefined.
        better: direction of better scores.
        claim: of the metric.
        tolerance: of the claim not to see the ladder.
    """
    complete = [scores for scores in ladders if None not in scores]
    undefined = len(ladders) - len(complete)
    if not complete:
        holds = None if claim is Claim.NONE else False
        nan = math.nan
        return Verdict(claim, 0, undefined, nan, nan, nan, nan, 0, nan, holds)
    scores = np.array(complete, dtype=np.float64)
    badness = scores if better == "lower" else -scores
    severity = range(scores.shape[1])
    steps = np.diff(badness, axis=1) > 0
    tau = float(np.mean([_rank(kendalltau, severity, row) for row in badness]))
    rho = float(np.mean([_rank(spearmanr, severity, row) for row in badness]))
    ordered = float(steps.all(axis=1).mean())
    change = float(np.abs(scores - scores[:, :1]).max())
    wrong = 1 - steps.mean(axis=0)
    weakest = int(wrong.argmax())
    holds = {
        Claim.ORDERS: undefined == 0 and tau >= LEAST_TAU and ordered >= LEAST_ORDERED,
        Claim.BLIND: undefined == 0 and change <= tolerance,
        Claim.NONE: None,
    }[claim]
    return Verdict(
        claim, len(complete), undefined, tau, rho, ordered, change,
        weakest + 1, float(wrong[weakest]), holds,
    )  # fmt: skip


def _rank(correlation: Callable[..., Any], severity: Sequence[int], badness: np.ndarray) -> float:
    """A rank correlation; 0 if all scores are equal."""
    if all(a == b for a, b in itertools.pairwise(badness)):
        return 0.0
    return float(correlation(severity, badness).statistic)
