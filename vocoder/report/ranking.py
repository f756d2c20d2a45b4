"""The best system on a metric, and those that do not differ from it significantly."""

from collections.abc import Sequence
from typing import Literal

from vocoder.evaluation.statistics import LEVEL
from vocoder.evaluation.summary import Score, Summary

Rank = Literal["best", "tied", ""]


def rank(
    summary: Summary, metric: str, systems: Sequence[str], recordings: Sequence[str] = ()
) -> dict[str, Rank]:
    """Mark the best mean that is not beyond the recording's, and what does not differ from it.

    A metric that scores a system above the recording has not found better speech than speech. Such
    a system gets no mark; if it is closer to the recording than every other, nobody gets one, since
    the best of the others would be a system that is further from the recording.

    A system is "tied" where its paired comparison to the best one finds no difference, by the same
    rule as the sentence of that comparison (`p_holm` not below 0.05); where the two were not
    compared, where the intervals of both means overlap. A comparison of so few utterances that it
    could find no difference at all marks nothing. Fewer than two systems with a score are
    not ranked.

    Args:
        summary: the evaluation.
        metric: which.
        systems: those that compete; the recording itself is no competitor.
        recordings: evaluated systems that are the recording; none where it was not evaluated.
    """
    scores = {name: summary.systems[name].scores[metric] for name in systems}
    means = {name: score.mean for name, score in scores.items() if score.mean is not None}
    ranks: dict[str, Rank] = dict.fromkeys(systems, "")
    if len(means) < 2:
        return ranks
    sign = 1 if summary.metrics[metric].better == "higher" else -1
    limits = [summary.systems[name].scores[metric].mean for name in recordings]
    known = [sign * limit for limit in limits if limit is not None]
    if known:
        limit = max(known)
        nearest = min(means, key=lambda name: abs(sign * means[name] - limit))
        if sign * means[nearest] > limit:
            return ranks
        means = {name: mean for name, mean in means.items() if sign * mean <= limit}
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
            unlike = comparison.p_holm is not None and comparison.p_holm < 1 - LEVEL
            return not unlike and not comparison.too_few
    return _overlap(*(summary.systems[name].scores[metric] for name in (best, other)))


def _overlap(first: Score, second: Score) -> bool:
    """Whether two intervals overlap; True where a single utterance has no interval."""
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return True
    return first.low <= second.high and second.low <= first.high
