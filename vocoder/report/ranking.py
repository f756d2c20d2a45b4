"""The best system on a metric, and those not significantly different from it."""

from collections.abc import Sequence
from typing import Literal

from vocoder.evaluation.statistics import LEVEL
from vocoder.evaluation.summary import Score, Summary

Rank = Literal["best", "tied", ""]


def rank(
    summary: Summary, metric: str, systems: Sequence[str], recordings: Sequence[str] = ()
) -> dict[str, Rank]:
    """Mark the best mean that is not above the recording's, and the systems tied with it.

    A system scored above the recording is not better than natural speech and gets no mark. If it is
    closer to the recording than all others, no system is marked, since the best of the others would
    be further from the recording.

    A system is "tied" if its paired comparison to the best one shows no difference, by the same
    rule as the sentence of that comparison (`p_holm` not below 0.05); without a comparison, if the
    intervals of both means overlap. A comparison with too few utterances to show any difference
    marks nothing. Fewer than two systems with a score are not ranked.

    Args:
        summary: the evaluation.
        metric: name of the metric.
        systems: the ranked systems, without the recording.
        recordings: evaluated systems that are the recording; empty if it was not evaluated.
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
    """Whether two intervals overlap; True without intervals (a single utterance)."""
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return True
    return first.low <= second.high and second.low <= first.high
