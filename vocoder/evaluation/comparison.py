"""Paired comparison of systems on the same utterances: how much better, and is it chance."""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Integer

from vocoder.config import Config
from vocoder.errors import VocoderError
from vocoder.evaluation.bootstrap import bootstrap_interval
from vocoder.evaluation.registry import Column

LEVEL = 0.95
LARGEST_EXACT = 12
"""Up to so many utterances every assignment of signs is looked at."""

FLIPS = 10_000
_FLIPS_PER_COMPARISON = 100
_BLOCK = 1_000_000

METHOD = (
    f"{100 * LEVEL:g} % percentile bootstrap interval of the mean paired difference; two-sided p "
    f"by sign flips (all of them up to n = {LARGEST_EXACT}), in brackets adjusted by Holm over all "
    "comparisons of the run, which decides what is called a difference; effect size: Cohen's d_z"
)


class Comparison(Config):
    """Two systems and one metric, over the utterances that have both scores.

    Fields:
        metric: name of the column.
        a, b: names of the systems, in the order in which they were given.
        n: utterances with a score of both.
        difference: mean of (a's score - b's score), in the metric's unit; None where n is 0.
        low, high: 95 % percentile bootstrap interval of `difference`; None where n is below 2.
        p_value: two-sided, of the sign-flip test; None where n is 0.
        p_holm: adjusted for the number of comparisons of the whole run.
        effect_size: Cohen's d_z, `difference` over the standard deviation (n - 1) of the paired
            differences; None where n is below 2 or all differences are equal.
        sentence: the result in words, the better system first.
        smallest_p_holm: the smallest `p_holm` that this n and this number of comparisons allow,
            whatever the scores; None where n is 0.
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
        """Whether there are too few utterances for any difference to show, however large."""
        return self.smallest_p_holm is not None and self.smallest_p_holm >= 1 - LEVEL


def compare_systems(
    scores: Mapping[str, Mapping[str, Mapping[str, float | None]]],
    columns: Sequence[Column],
    resamples: int = 2000,
    seed: int = 0,
    copies: Collection[str] = (),
) -> tuple[Comparison, ...]:
    """Every pair of systems on every metric, each once: metric by metric, systems as given.

    A copy of the reference, such as the recordings given as a system, has the best score on every
    intrusive metric by definition. A test of that finds nothing out and makes all others less
    sensitive, so `copies` are compared on metrics without a reference only.

    A family of many tests finds differences by chance, so `p_holm` is adjusted over all of them,
    and only a difference with `p_holm` below 0.05 is called one. So that this stays possible,
    the sign flips drawn grow with the family beyond a hundred comparisons.

    Args:
        scores: by system, utterance and column; None where a score failed.
        columns: what to compare.
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
    flips = _flips(tested)
    p_values = [
        sign_flip_p_value(differences, flips, seed) if len(differences) else None
        for _, _, _, differences in triples
    ]
    adjusted = holm(p_values)
    # Holm's values never grow when others become smaller: this is the best case of each.
    best = holm([
        smallest_p_value(len(differences), flips) if len(differences) else None
        for _, _, _, differences in triples
    ])  # fmt: skip
    return tuple(
        _comparison(*triple, p_value, p_holm, smallest, tested, resamples, seed)
        for triple, p_value, p_holm, smallest in zip(triples, p_values, adjusted, best, strict=True)
    )


def smallest_p_value(n: int, flips: int = FLIPS) -> float:
    """The smallest p-value that `sign_flip_p_value` can give for n differences.

    2 / 2^n where all assignments of signs are looked at (the observed one and its mirror image are
    always as extreme), 1 / (1 + flips) beyond.

    >>> smallest_p_value(5)
    0.0625
    """
    return 2 / 2**n if n <= LARGEST_EXACT else 1 / (1 + flips)


def utterances_needed(comparisons: int) -> int:
    """How many utterances a run of so many comparisons needs to show any difference.

    >>> utterances_needed(1), utterances_needed(60)
    (6, 12)
    """
    n = 1
    while comparisons * smallest_p_value(n, _flips(comparisons)) >= 1 - LEVEL:
        n += 1
    return n


def _flips(comparisons: int) -> int:
    """How many assignments are drawn beyond `LARGEST_EXACT` differences."""
    return max(FLIPS, _FLIPS_PER_COMPARISON * comparisons)


def sign_flip_p_value(
    differences: Sequence[float] | Float[np.ndarray, " n"], flips: int = FLIPS, seed: int = 0
) -> float:
    """Two-sided p-value of paired differences: is their mean zero?

    If the two systems did not differ, each difference could as well have had the other sign. The
    p-value is the share of sign assignments whose mean is at least as far from zero as the one
    observed. All 2^n are looked at up to n = 12; beyond, `flips` are drawn and

        p = (1 + number as far from zero) / (1 + flips),

    which counts the observed one and is never 0.

    Args:
        differences: one an utterance, at least one, finite.
        flips: how many assignments are drawn.
        seed: of the drawing.

    Raises:
        VocoderError: no differences, or one that is not finite.

    Source: Fisher, "The Design of Experiments", 1935, section 21; the +1: Phipson, Smyth,
    "Permutation p-values should never be zero", Stat. Appl. Genet. Mol. Biol. 9(1), 2010.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise VocoderError("a sign-flip test needs at least one finite difference")
    n = len(values)
    if n <= LARGEST_EXACT:
        every = np.arange(2**n)[:, None] >> np.arange(n) & 1
        return _count_extreme(values, every) / 2**n
    draw = np.random.default_rng(seed)
    block = max(1, _BLOCK // n)
    extreme = 0
    for start in range(0, flips, block):
        count = min(block, flips - start)
        drawn = np.frombuffer(draw.bytes(count * math.ceil(n / 8)), dtype=np.uint8)
        extreme += _count_extreme(values, np.unpackbits(drawn.reshape(count, -1), 1, n))
    return (1 + extreme) / (1 + flips)


def _count_extreme(
    values: Float[np.ndarray, " n"], kept: Integer[np.ndarray, "assignments n"]
) -> int:
    """How many assignments of signs (1 kept, 0 turned) have a sum as far from 0 as `values`."""
    sums = 2 * (kept @ values) - values.sum()
    # Equal sums come out unequal by rounding; scores in steps, such as error rates, have many.
    return int((np.abs(sums) >= abs(values.sum()) - 1e-12 * np.abs(values).sum()).sum())


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjustment: the chance of one false finding in the family stays below p.

    The k-th smallest of m values becomes the largest of (m - j + 1) p_j over j = 1 … k, at most
    1, whatever the dependence between the tests. None stays None and does not count.

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6,
    1979.
    """
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        adjusted[index] = largest
    return adjusted


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
        # Equal differences leave a deviation of rounding errors, and an effect without meaning.
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
    """The comparison in words; where it is a finding, the better system comes first.

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
    """As in "p = 0.012 (0.06)"; the bracket only where there is more than one comparison."""

    def written(p: float) -> str:
        return "< 0.0001" if p < 1e-4 else f"= {p:.2g}"

    adjusted = "" if family < 2 else f" ({written(p_holm).removeprefix('= ')})"
    return f"p {written(p_value)}{adjusted}"
