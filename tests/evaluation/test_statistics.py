"""Intervals and paired tests: against theory, SciPy, exact arithmetic and simulation."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import binom, binomtest, kstest, norm, permutation_test

from vocoder.errors import VocoderError
from vocoder.evaluation.statistics import (
    FLIPS,
    LARGEST_EXACT,
    bootstrap_interval,
    clopper_pearson,
    holm,
    sign_flip_p_value,
    smallest_p_value,
)

# -- intervals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_interval_of_a_normal_sample_is_the_theoretical_one(level):
    values = np.random.default_rng(3).normal(2.0, 0.5, 400)
    low, high = bootstrap_interval(values, level, resamples=4000)
    half = norm.ppf(0.5 + level / 2) * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.08 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.08 * half)


def test_it_covers_the_true_mean_about_as_often_as_it_says():
    draw = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        low, high = bootstrap_interval(draw.normal(size=40), resamples=300)
        hits += low < 0.0 < high
    assert 0.89 <= hits / 200 <= 0.99


def test_the_seed_decides():
    values = np.random.default_rng(1).normal(size=30)
    assert bootstrap_interval(values, seed=5) == bootstrap_interval(values, seed=5)
    assert bootstrap_interval(values, seed=5) != bootstrap_interval(values, seed=6)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("nan")]])
def test_too_little_to_draw_from_is_refused(values):
    with pytest.raises(VocoderError, match="at least two finite values"):
        bootstrap_interval(values)


@pytest.mark.parametrize("n", [2, 30, 3000])
def test_the_interval_is_the_quantiles_of_the_resampled_means(n):
    # The very draws by which the intervals in RESULTS.md files were computed.
    values = np.random.default_rng(n).normal(0.1, 1.0, n)
    drawn = np.random.default_rng(0).integers(n, size=(2000, n))
    expected = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    assert bootstrap_interval(values) == pytest.approx(tuple(expected), rel=1e-12)


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (3, 11), (14, 16), (20, 20)])
def test_the_exact_interval_leaves_a_tail_of_2_5_percent_at_each_end(successes, trials):
    low, high = clopper_pearson(successes, trials)
    if successes > 0:
        assert binom.sf(successes - 1, trials, low) == pytest.approx(0.025)
    if successes < trials:
        assert binom.cdf(successes, trials, high) == pytest.approx(0.025)
    assert (low == 0.0, high == 1.0) == (successes == 0, successes == trials)


# -- the sign-flip test --------------------------------------------------------------------------


def enumerated(numerators: list[int]) -> Fraction:
    """The p-value in exact arithmetic, over every assignment of signs."""
    observed = abs(sum(numerators))
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, numerators, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(numerators))
    ]
    return Fraction(sum(total >= observed for total in sums), len(sums))


@pytest.mark.parametrize("n", [2, 5, 9, LARGEST_EXACT])
def test_small_samples_are_scipys_exact_test(n):
    for seed in range(3):
        differences = np.random.default_rng(seed).normal(0.5, 1.0, n)
        expected = permutation_test(
            (differences, np.zeros(n)),
            lambda x, y, axis: np.mean(x - y, axis=axis),
            permutation_type="samples",
            n_resamples=np.inf,
            vectorized=True,
        )
        assert sign_flip_p_value(differences) == pytest.approx(expected.pvalue, abs=1e-12)


@pytest.mark.parametrize("n", [1, 3, 8, 11])
def test_ties_count_although_sums_are_rounded(n):
    # Sevenths and tenths have no exact binary form: the same sum comes out in several roundings.
    for seed, divisor in itertools.product(range(5), (7, 10)):
        numerators = np.random.default_rng(seed).integers(-3, 5, n)
        expected = enumerated([int(value) for value in numerators])
        assert sign_flip_p_value(numerators / divisor) == float(expected)


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.45])
def test_large_samples_come_close_to_scipys_test(shift):
    differences = np.random.default_rng(4).normal(shift, 1.0, 40)
    expected = permutation_test(
        (differences, np.zeros(40)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=20000,
        vectorized=True,
        rng=np.random.default_rng(0),
    ).pvalue
    found = sign_flip_p_value(differences)
    assert found == pytest.approx(expected, abs=4 * math.sqrt(expected / FLIPS) + 2e-4)


def test_drawn_flips_agree_with_all_of_them():
    # 14 differences have 16,384 assignments: too many for the exact branch, few enough for a loop.
    numerators = [3, 1, 4, -1, 5, 9, -2, 6, 5, -3, 5, 8, -9, 7]
    exact = float(enumerated(numerators))
    drawn = sign_flip_p_value(np.array(numerators) / 10, flips=200_000)
    assert drawn == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / 200_000))


def test_the_smallest_p_value_counts_the_observed_signs():
    assert sign_flip_p_value(np.full(40, 0.1)) == 1 / (1 + FLIPS)
    assert sign_flip_p_value([0.1] * 5) == 2 / 32
    assert sign_flip_p_value([0.0] * 20) == sign_flip_p_value([0.0] * 4) == 1.0


def test_neither_side_nor_unit_nor_order_matters():
    differences = np.random.default_rng(2).normal(0.3, 1.0, 10)
    p_value = sign_flip_p_value(differences)
    assert sign_flip_p_value(-differences) == sign_flip_p_value(1e6 * differences) == p_value
    assert sign_flip_p_value(differences[::-1]) == p_value


def test_the_seed_decides_and_blocks_do_not():
    differences = np.random.default_rng(1).normal(0.15, 1.0, 60)
    assert sign_flip_p_value(differences, seed=1) == sign_flip_p_value(differences, seed=1)
    assert sign_flip_p_value(differences, seed=1) != sign_flip_p_value(differences, seed=2)
    many = np.random.default_rng(1).normal(0.15, 1.0, 3000)
    assert 0.0 < sign_flip_p_value(many, flips=1000) <= 1.0


@pytest.mark.parametrize("n", [10, 25])
def test_p_values_are_uniform_where_nothing_differs(n):
    # Two systems that err alike: skewed errors of their own on utterances that both share.
    draw = np.random.default_rng(n)
    p_values = []
    for _ in range(400):
        difficulty = draw.normal(size=n)
        a, b = (difficulty + draw.exponential(size=n) for _ in range(2))
        p_values.append(sign_flip_p_value(a - b, flips=999, seed=int(draw.integers(2**31))))
    assert kstest(p_values, "uniform").pvalue > 0.01
    false_alarms = sum(p <= 0.05 for p in p_values)
    assert binomtest(false_alarms, 400, 0.05).pvalue > 0.01


@pytest.mark.parametrize("differences", [[], [float("nan")], [[1.0]]])
def test_nothing_to_flip_is_refused(differences):
    with pytest.raises(VocoderError, match="at least one finite difference"):
        sign_flip_p_value(differences)


def test_the_smallest_p_value_is_what_the_test_can_reach():
    for n in (1, 2, 5, LARGEST_EXACT, LARGEST_EXACT + 1, 40):
        assert sign_flip_p_value(np.full(n, 0.1)) == pytest.approx(smallest_p_value(n), abs=5e-4)
        assert sign_flip_p_value(np.full(n, 0.1)) >= smallest_p_value(n)


# -- many tests ----------------------------------------------------------------------------------


def test_holm_by_hand():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([]) == []
