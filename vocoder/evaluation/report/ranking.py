"""Which system is best on a metric, and which cannot be told from it."""

from collections.abc import Sequence
from typing import Literal

from vocoder.evaluation.comparison import LEVEL
from vocoder.evaluation.summary import Score, Summary

Rank = Literal["best", "tied", ""]


def rank(summary: Summary, metric: str, systems: Sequence[str]) -> dict[str, Rank]:
    """Mark the best mean, and what the evaluation cannot tell from it.

    A system is "tied" where its paired comparison to the best one finds no difference, by the same
    rule as the sentence of that comparison (`p_holm` not below 0.05); where the two were not
    compared, where the intervals of both means overlap. Fewer than two systems with a score are
    not ranked.

    Args:
        summary: the evaluation.
        metric: which.
        systems: those that compete; the recording itself is no competitor.
    """
    scores = {name: summary.systems[name].scores[metric] for name in systems}
    means = {name: score.mean for name, score in scores.items() if score.mean is not None}
    ranks: dict[str, Rank] = dict.fromkeys(systems, "")
    if len(means) < 2:
        return ranks
    sign = 1 if summary.metrics[metric].better == "higher" else -1
    best = max(means, key=lambda name: sign * means[name])
    for name in means:
        if name == best:
            ranks[name] = "best"
        elif _tied(summary, metric, best, name):
            ranks[name] = "tied"
    return ranks


def _tied(summary: Summary, metric: str, best: str, other: str) -> bool:
    for comparison in summary.comparisons:
        if comparison.metric == metric and {comparison.a, comparison.b} == {best, other}:
            return comparison.p_holm is None or comparison.p_holm >= 1 - LEVEL
    return _overlap(*(summary.systems[name].scores[metric] for name in (best, other)))


def _overlap(first: Score, second: Score) -> bool:
    """Whether two intervals meet; a single utterance has none, and tells nothing apart."""
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return True
    return first.low <= second.high and second.low <= first.high
