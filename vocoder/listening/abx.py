"""Analysis of an ABX test: whether listeners can distinguish A and B."""

import math
from collections.abc import Iterable, Sequence

from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import binomtest

from vocoder.config import Config
from vocoder.errors import VocoderError
from vocoder.evaluation.statistics import clopper_pearson
from vocoder.listening.answers import AbxAnswers, AbxTrial, unheard_notes
from vocoder.listening.key import Key


class AbxScore(Config):
    """Proportion of correct answers.

    trials, correct: counts. proportion: correct / trials; low, high: its exact 95 % interval.
    p_value: of the exact binomial test, one-sided: the probability of at least as many correct
        answers by guessing. d_prime: see `abx_d_prime`.
    """

    trials: int
    correct: int
    proportion: float
    low: float
    high: float
    p_value: float
    d_prime: float | None


class AbxSummary(Config):
    """The whole result of an ABX test, as stored in `summary.json`."""

    kind: str = "abx"
    test: str
    title: str
    systems: dict[str, str]
    convention: str
    pooled: AbxScore
    participants: dict[str, AbxScore]
    utterances: dict[str, AbxScore]
    notes: tuple[str, ...]
    refused: tuple[str, ...]


CONVENTION = (
    "correct / trials with the exact (Clopper-Pearson) 95 % interval; p: exact binomial test "
    "against guessing, one-sided, not corrected for the number of rows; d': independent "
    "observations, given from chance to below all correct"
)


def abx_score(correct: int, trials: int) -> AbxScore:
    """Proportion, interval, test and d' of a number of answers.

    Raises VocoderError unless trials > 0 and 0 ≤ correct ≤ trials.
    """
    low, high = clopper_pearson(correct, trials)
    return AbxScore(
        trials=trials,
        correct=correct,
        proportion=correct / trials,
        low=low,
        high=high,
        p_value=float(binomtest(correct, trials, 0.5, alternative="greater").pvalue),
        d_prime=abx_d_prime(correct / trials),
    )


def abx_d_prime(proportion: float) -> float | None:
    """Sensitivity d' of an unbiased listener with this proportion of correct ABX trials.

    The solution of p = Φ(d'/√2) Φ(d'/2) + Φ(−d'/√2) Φ(−d'/2): A, B and X are independent
    observations, and the listener chooses the more likely of A and B.

    Returns:
        d' ≥ 0; None below chance, where the model has no solution, and at 1, where it is infinite.

    Raises:
        VocoderError: the proportion is not in [0, 1].

    Source: Macmillan, Creelman, "Detection Theory: A User's Guide", 2nd edition, 2005, chapter 9.
    """
    if not 0 <= proportion <= 1:
        raise VocoderError(f"a proportion is between 0 and 1, not {proportion}")
    if not 0.5 <= proportion < 1:
        return None
    return float(brentq(lambda d: abx_proportion(d) - proportion, 0.0, 40.0))


def abx_proportion(d_prime: float) -> float:
    """Proportion of correct answers for a given d': the inverse of `abx_d_prime`."""
    apart, between = d_prime / math.sqrt(2), d_prime / 2
    return float(ndtr(apart) * ndtr(between) + ndtr(-apart) * ndtr(-between))


def summarise_abx(key: Key, answers: Sequence[AbxAnswers], refused: Sequence[str]) -> AbxSummary:
    """Scores over all answers, per participant and per utterance."""
    trials = [trial for one in answers for trial in one.trials]
    by_utterance: dict[str, list[AbxTrial]] = {}
    for trial in trials:
        by_utterance.setdefault(key.trials[trial.trial].utterance, []).append(trial)
    return AbxSummary(
        test=key.test,
        title=key.title,
        systems=key.systems,
        convention=CONVENTION,
        pooled=_score(trials),
        participants={one.participant: _score(one.trials) for one in answers},
        utterances={name: _score(by_utterance[name]) for name in sorted(by_utterance)},
        notes=(*_notes(answers), *unheard_notes(answers)),
        refused=tuple(refused),
    )


def _score(trials: Sequence[AbxTrial]) -> AbxScore:
    return abx_score(sum(trial.choice == trial.x for trial in trials), len(trials))


def _notes(answers: Sequence[AbxAnswers]) -> Iterable[str]:
    positions = [trial.choice == trial.a for one in answers for trial in one.trials]
    bias = binomtest(sum(positions), len(positions), 0.5)
    if bias.pvalue < 0.01:
        yield (
            f"answers lean to one side: {sum(positions)} of {len(positions)} are A "
            f"(two-sided p = {bias.pvalue:.2g})"
        )
