"""Paired comparison of systems on the same utterances: size and significance."""

import itertools
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from vocoder.config import Config
from vocoder.evaluation.registry import Column
from vocoder.evaluation.statistics import (
    LARGEST_EXACT,
    LEVEL,
    bootstrap_interval,
    drawn_flips,
    holm,
    sign_flip_p_value,
    smallest_p_value,
)

METHOD = (
    f"{100 * LEVEL:g} % percentile bootstrap interval of the mean paired difference; two-sided p "
    f"by sign flips (all of them up to n = {LARGEST_EXACT}), in brackets adjusted by Holm over all "
    "comparisons of the run, which decides what is called a difference; effect size: Cohen's d_z"
)


class Comparison(Config):
    """Two systems and one metric, over the utterances with both scores.

    Fields:
        metric: name of the column.
        a, b: names of the systems, in the given order.
        n: utterances with both scores.
        difference: mean of (a's score - b's score), in the metric's unit; None where n is 0.
        low, high: 95 % percentile bootstrap interval of `difference`; None where n is below 2.
        p_value: two-sided, of the sign-flip test; None where n is 0.
        p_holm: adjusted for the number of comparisons of the whole run.
        effect_size: Cohen's d_z, `difference` over the standard deviation (n - 1) of the paired
            differences; None where n is below 2 or all differences are equal.
        sentence: the result in words, the better system first.
        smallest_p_holm: the smallest possible `p_holm` for this n and this number of comparisons;
            None where n is 0.
    """

    metric: str
    a: str
    b: str
    n: int
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_holm: float | None
    effect_size: float | None
    sentence: str
    smallest_p_holm: float | None = None

    @property
    def too_few(self) -> bool:
        """Whether there are too few utterances to show a difference of any size."""
        return self.smallest_p_holm is not None and self.smallest_p_holm >= 1 - LEVEL


def compare_systems(
    scores: Mapping[str, Mapping[str, Mapping[str, float | None]]],
    columns: Sequence[Column],
    resamples: int = 2000,
    seed: int = 0,
    copies: Collection[str] = (),
) -> tuple[Comparison, ...]:
    """Every pair of systems on every metric, by metric, systems in the given order.

    A copy of the reference, such as the recordings given as a system, has the best score on every
    intrusive metric by definition. Such tests are uninformative and make all other tests less
    sensitive, so `copies` are compared only on metrics without a reference.

    Among many tests some are significant by chance, so `p_holm` is adjusted over all of them, and
    only a difference with `p_holm` below 0.05 is reported as one. Beyond a hundred comparisons the
    number of sign flips grows with the family, so that significance stays possible.

    Args:
        scores: by system, utterance and column; None where a score failed.
        columns: the metrics to compare.
        resamples: of the bootstrap.
        seed: of the bootstrap and of the flips.
        copies: systems whose waveforms are the reference's.
    """
    triples = [
        (column, a, b, _differences(scores[a], scores[b], column.name))
        for column in columns
        for a, b in itertools.combinations(scores, 2)
        if not (column.metric.intrusive and {a, b}.intersection(copies))
    ]
    tested = sum(len(differences) > 0 for _, _, _, differences in triples)
    flips = drawn_flips(tested)
    p_values = [
        sign_flip_p_value(differences, flips, seed) if len(differences) else None
        for _, _, _, differences in triples
    ]
    adjusted = holm(p_values)
    # Holm's values never grow when others decrease: this is the best case for each.
    best = holm([
        smallest_p_value(len(differences), flips) if len(differences) else None
        for _, _, _, differences in triples
    ])  # fmt: skip
    return tuple(
        _comparison(*triple, p_value, p_holm, smallest, tested, resamples, seed)
        for triple, p_value, p_holm, smallest in zip(triples, p_values, adjusted, best, strict=True)
    )


def _differences(
    a: Mapping[str, Mapping[str, float | None]],
    b: Mapping[str, Mapping[str, float | None]],
    metric: str,
) -> Float[np.ndarray, " n"]:
    """Score of a minus score of b, over the utterances that have both, sorted by name."""
    pairs = [(a[name].get(metric), b[name].get(metric)) for name in sorted(a.keys() & b.keys())]
    return np.array([x - y for x, y in pairs if x is not None and y is not None])


def _comparison(
    column: Column,
    a: str,
    b: str,
    differences: Float[np.ndarray, " n"],
    p_value: float | None,
    p_holm: float | None,
    smallest_p_holm: float | None,
    family: int,
    resamples: int,
    seed: int,
) -> Comparison:
    n = len(differences)
    low, high, effect_size = None, None, None
    if n > 1:
        low, high = bootstrap_interval(list(differences), LEVEL, resamples, seed)
        deviation = float(differences.std(ddof=1))
        # For equal differences the deviation is rounding error, and d_z is meaningless.
        if deviation > 1e-9 * float(np.abs(differences).max()):
            effect_size = float(differences.mean()) / deviation
    comparison = Comparison(
        metric=column.name,
        a=a,
        b=b,
        n=n,
        difference=float(differences.mean()) if n else None,
        low=low,
        high=high,
        p_value=p_value,
        p_holm=p_holm,
        effect_size=effect_size,
        sentence="",
        smallest_p_holm=smallest_p_holm,
    )
    return comparison.model_copy(update={"sentence": _sentence(comparison, column, family)})


def _sentence(comparison: Comparison, column: Column, family: int) -> str:
    """The comparison in words; if significant, the better system comes first.

    "above" where higher is better, "better than" where lower is; the amount is then positive.
    """
    a, b, n, difference = comparison.a, comparison.b, comparison.n, comparison.difference
    low, high, p_value, p_holm = (
        comparison.low, comparison.high, comparison.p_value, comparison.p_holm,
    )  # fmt: skip
    if difference is None or low is None or high is None or p_value is None or p_holm is None:
        shared = "one utterance" if n == 1 else "no utterance"
        return f"{a} and {b} have {shared} with scores of both on {column.label}: not compared"
    chance = _p_text(p_value, p_holm, family)
    decimals = column.metric.decimals
    if p_holm >= 1 - LEVEL:
        if difference == low == high == 0.0:
            return f"{a} and {b} are equal on {column.label}, n = {n}"
        interval = f"[{low:.{decimals}f}, {high:.{decimals}f}]"
        numbers = f"{difference:.{decimals}f} {interval}, {chance}, n = {n}"
        if comparison.too_few:
            return f"{a} and {b}: too few to show a difference on {column.label}: {numbers}"
        return f"{a} and {b} do not differ beyond chance on {column.label}: {numbers}"
    if difference < 0.0:
        difference, low, high = -difference, -high, -low
        first, second = b, a
    else:
        first, second = a, b
    relation = "above"
    if column.metric.better == "lower":
        first, second, relation = second, first, "better than"
    interval = f"[{low:.{decimals}f}, {high:.{decimals}f}]"
    return (
        f"{first} {relation} {second} on {column.label} by "
        f"{difference:.{decimals}f} {interval}, {chance}, n = {n}"
    )


def _p_text(p_value: float, p_holm: float, family: int) -> str:
    """As in "p = 0.012 (0.06)"; the bracket is left out in a family of one comparison."""

    def written(p: float) -> str:
        return "< 0.0001" if p < 1e-4 else f"= {p:.2g}"

    adjusted = "" if family < 2 else f" ({written(p_holm).removeprefix('= ')})"
    return f"p {written(p_value)}{adjusted}"
