"""Confidence intervals and paired tests of scores, with the adjustment for many tests."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer
from scipy.stats import binomtest, bootstrap, t

from vocoder.errors import VocoderError

LEVEL = 0.95
"""Confidence level of every interval; 1 - LEVEL is the level of significance."""

LARGEST_EXACT = 12
"""Up to this many differences, the sign-flip test enumerates every assignment of signs."""

FLIPS = 10_000
"""Assignments drawn for more differences than that, in a family of up to a hundred tests."""

_FLIPS_PER_COMPARISON = 100
_BLOCK = 1_000_000
"""Values drawn at once, so that memory does not grow with the number of utterances."""


# -- intervals -----------------------------------------------------------------------------------


def bootstrap_interval(
    values: Sequence[float] | Float[np.ndarray, " values"],
    level: float = LEVEL,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean, by `scipy.stats.bootstrap`.

    `resamples` samples are drawn with replacement, each as large as `values`; the interval lies
    between the (1 - level) / 2 and (1 + level) / 2 quantiles of their means. It covers the choice
    of utterances, but neither other speakers nor another training run. Below about ten values it
    is too narrow.

    Args:
        values: one per utterance, at least two, finite.
        level: coverage probability, in (0, 1).
        resamples: number of samples drawn.
        seed: the same scores and seed give the same interval.

    Raises:
        VocoderError: fewer than two values, or one that is not finite.

    Source: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or len(scores) < 2 or not np.isfinite(scores).all():
        raise VocoderError("a bootstrap interval needs at least two finite values")
    interval = bootstrap(
        (scores,),
        np.mean,
        method="percentile",
        confidence_level=level,
        n_resamples=resamples,
        batch=max(1, _BLOCK // len(scores)),
        vectorized=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def t_interval(
    values: Float[np.ndarray, " values"], level: float = LEVEL
) -> tuple[float, float] | None:
    """Interval of the mean by Student's t: mean ± t s / √n, with n − 1 degrees of freedom.

    Args:
        values: independent of each other, such as one mean grade per assessor.
        level: coverage probability.

    Returns:
        Its limits; None for fewer than two values.

    Source: Recommendation ITU-R BS.1534-1 (2003), section 9.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size < 2:
        return None
    reach = t.ppf((1 + level) / 2, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size)
    return float(values.mean() - reach), float(values.mean() + reach)


def crossed_bootstrap(
    values: Float[np.ndarray, "assessors items"],
    level: float = LEVEL,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the mean over both assessors and items.

    Assessors and items are drawn with replacement, independently of each other, and the mean over
    all their pairs is taken; the interval lies between the (1 ± level) / 2 quantiles of those
    means. It is wider than an interval over assessors alone, and conservative.

    Returns:
        Its limits; None for fewer than two assessors or two items.

    Source: Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007.
    """
    values = np.asarray(values, dtype=np.float64)
    assessors, items = values.shape
    if min(assessors, items) < 2:
        return None
    draw = np.random.default_rng(seed)
    # Counts per draw: the mean over all pairs is then a product of the two counts.
    of_assessors = draw.multinomial(assessors, np.full(assessors, 1 / assessors), resamples)
    of_items = draw.multinomial(items, np.full(items, 1 / items), resamples)
    means = np.einsum("ra,ai,ri->r", of_assessors, values, of_items) / values.size
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def clopper_pearson(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Exact interval of a proportion, with at least the given coverage probability.

    Raises:
        VocoderError: no trials, or not 0 ≤ successes ≤ trials.

    Source: Clopper, Pearson, "The use of confidence or fiducial limits illustrated in the case of
    the binomial", Biometrika 26(4), 1934.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise VocoderError(f"{successes} successes in {trials} trials give no proportion")
    interval = binomtest(successes, trials).proportion_ci(level, method="exact")
    return float(interval.low), float(interval.high)


# -- paired tests --------------------------------------------------------------------------------


def sign_flip_p_value(
    differences: Sequence[float] | Float[np.ndarray, " n"], flips: int = FLIPS, seed: int = 0
) -> float:
    """Two-sided p-value of paired differences for the hypothesis of zero mean.

    If the two systems do not differ, both signs of each difference are equally likely. The p-value
    is the fraction of sign assignments whose mean is at least as far from zero as the observed
    mean. Up to n = 12, all 2^n assignments are enumerated; beyond, `flips` are drawn and

        p = (1 + number as far from zero) / (1 + flips),

    which counts the observed assignment and is never 0.

    Args:
        differences: one per utterance, at least one, finite.
        flips: number of assignments drawn.
        seed: of the drawing.

    Raises:
        VocoderError: no differences, or one that is not finite.

    Source: Fisher, "The Design of Experiments", 1935, section 21; the +1: Phipson, Smyth,
    "Permutation p-values should never be zero", Stat. Appl. Genet. Mol. Biol. 9(1), 2010.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise VocoderError("a sign-flip test needs at least one finite difference")
    # scipy.stats.permutation_test(permutation_type="samples") gives the same p-values where it
    # enumerates. Where it draws, it is 40 to 80 times slower, doubles the smaller tail instead of
    # counting both, and misses ties where the observed mean is near 0: its tolerance is relative
    # to that mean. A comparison of 33 systems needs 528 tests of 52,800 flips each.
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
    """Number of sign assignments (1 kept, 0 flipped) with a sum as far from 0 as the observed."""
    sums = 2 * (kept @ values) - values.sum()
    # Tolerance for rounding: discrete scores, such as error rates, have many ties.
    return int((np.abs(sums) >= abs(values.sum()) - 1e-12 * np.abs(values).sum()).sum())


def smallest_p_value(n: int, flips: int = FLIPS) -> float:
    """The smallest p-value that `sign_flip_p_value` can give for n differences.

    2 / 2^n where all sign assignments are enumerated (the observed one and its mirror image are
    always as extreme), 1 / (1 + flips) beyond.

    >>> smallest_p_value(5)
    0.0625
    """
    return 2 / 2**n if n <= LARGEST_EXACT else 1 / (1 + flips)


def utterances_needed(comparisons: int) -> int:
    """Least number of utterances for one of `comparisons` tests to be significant after Holm.

    >>> utterances_needed(1), utterances_needed(60)
    (6, 12)
    """
    n = 1
    while comparisons * smallest_p_value(n, drawn_flips(comparisons)) >= 1 - LEVEL:
        n += 1
    return n


def drawn_flips(comparisons: int) -> int:
    """Assignments to draw per test in a family of `comparisons` tests.

    The number grows with the family, since 1 / (1 + flips) is the smallest p-value before Holm.
    """
    return max(FLIPS, _FLIPS_PER_COMPARISON * comparisons)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjustment, which bounds the probability of any false finding in the family.

    The k-th smallest of m values becomes the largest of (m - j + 1) p_j over j = 1 … k, at most
    1. The bound holds for any dependence between the tests. None stays None and does not count.
       (SciPy has only the Benjamini-Hochberg and Benjamini-Yekutieli adjustments.)

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
