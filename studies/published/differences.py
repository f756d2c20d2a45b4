"""Paired differences between ours and theirs: interval, wins, and sufficiency of n."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from studies.scores import Scores
from vocoder.evaluation.registry import METRICS
from vocoder.evaluation.statistics import bootstrap_interval, sign_flip_p_value

LEVEL = 0.05
TOO_FEW = "too few"


@dataclass(frozen=True)
class Difference:
    """Advantage of ours on one metric; negative if worse.

    Attributes:
        n: utterances with both scores.
        mean: mean advantage in the metric's unit, positive if ours is better for either direction
            of the metric; None if n is 0.
        low, high: 95 % bootstrap interval over the utterances; None below n = 2.
        wins: utterances on which ours is strictly better.
        p_value: two-sided sign-flip test; None where n is 0.
    """

    n: int
    mean: float | None
    low: float | None
    high: float | None
    wins: int
    p_value: float | None

    @property
    def too_few(self) -> bool:
        """Whether no result can be significant: 2^(1-n) is the smallest p."""
        return smallest_p_value(self.n) >= LEVEL


def smallest_p_value(n: int) -> float:
    """The p-value of a two-sided sign-flip test when all n differences have one sign.

    >>> smallest_p_value(5), smallest_p_value(6)
    (0.0625, 0.03125)
    """
    return min(1.0, 2.0 ** (1 - n))


def summarised(advantages: Sequence[float]) -> Difference:
    """Mean, interval, wins and test of ours' advantages per utterance."""
    n = len(advantages)
    low, high = bootstrap_interval(advantages) if n > 1 else (None, None)
    return Difference(
        n=n,
        mean=statistics.mean(advantages) if n else None,
        low=low,
        high=high,
        wins=sum(advantage > 0 for advantage in advantages),
        p_value=sign_flip_p_value(advantages) if n else None,
    )


def advantages(metric: str, ours: Scores, theirs: Sequence[Scores]) -> list[float]:
    """Ours minus the mean of theirs where higher is better, and the reverse otherwise.

    Only utterances with all scores.
    """
    sign = 1.0 if METRICS[metric].better == "higher" else -1.0
    own = _by_utterance(metric, ours)
    others = [_by_utterance(metric, scores) for scores in theirs]
    found = []
    for utterance, value in own.items():
        rivals = [scores.get(utterance) for scores in others]
        if value is not None and None not in rivals:
            found.append(sign * (value - float(np.mean([r for r in rivals if r is not None]))))
    return found


def _by_utterance(metric: str, scores: Scores) -> Mapping[str, float | None]:
    values = scores.values.get(metric)
    return {} if values is None else dict(zip(scores.utterances, values, strict=True))
