"""Intervals, post-screening and sensitivity against scipy, simulation and the standard's rules."""

import numpy as np
import pytest
from scipy import stats

from vocoder.errors import VocoderError
from vocoder.evaluation.statistics import (
    clopper_pearson,
    crossed_bootstrap,
    t_interval,
)
from vocoder.listening.abx import abx_d_prime, abx_proportion, abx_score
from vocoder.listening.screening import outliers, quartiles, screen


def test_the_t_interval_is_that_of_scipy():
    values = np.random.default_rng(0).normal(60, 12, 17)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert t_interval(values) == pytest.approx((expected.low, expected.high))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.8)
    assert t_interval(values, 0.8) == pytest.approx((expected.low, expected.high))
    assert t_interval(values[:1]) is None


def test_the_t_interval_covers_as_often_as_it_says():
    draw = np.random.default_rng(1)
    intervals = [t_interval(draw.normal(50, 10, 6)) for _ in range(4000)]
    covered = np.mean([low <= 50 <= high for low, high in intervals])
    assert covered == pytest.approx(0.95, abs=0.015)


def test_the_crossed_bootstrap_knows_the_variance_of_both_factors():
    draw = np.random.default_rng(2)
    assessors, items = 40, 30
    people, things = draw.normal(0, 5, (assessors, 1)), draw.normal(0, 8, (1, items))
    values = 50 + people + things + draw.normal(0, 2, (assessors, items))
    low, high = crossed_bootstrap(values, resamples=4000)
    # Of a mean of crossed random effects: the variances of the two factors' means add up.
    variance = values.mean(axis=1).var(ddof=1) / assessors + values.mean(axis=0).var(ddof=1) / items
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.3)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(variance), rel=0.1)
    over_people = t_interval(values.mean(axis=1))
    assert high - low > 1.5 * (over_people[1] - over_people[0])
    assert crossed_bootstrap(values, resamples=4000) == (low, high)
    assert crossed_bootstrap(values[:1]) is None
    assert crossed_bootstrap(values[:, :1]) is None


@pytest.mark.parametrize(
    ("correct", "trials"), [(0, 5), (5, 5), (9, 16), (14, 16), (1, 1), (63, 100)]
)
def test_proportions_and_p_values_are_those_of_scipy(correct, trials):
    expected = stats.binomtest(correct, trials).proportion_ci(0.95, "exact")
    assert clopper_pearson(correct, trials) == pytest.approx((expected.low, expected.high))
    score = abx_score(correct, trials)
    assert (score.low, score.high) == pytest.approx((expected.low, expected.high))
    # The tail of the binomial, term by term.
    tail = sum(stats.binom.pmf(k, trials, 0.5) for k in range(correct, trials + 1))
    assert score.p_value == pytest.approx(tail)
    assert score.proportion == correct / trials


def test_a_proportion_of_nothing_is_refused():
    for correct, trials in ((0, 0), (3, 2), (-1, 4)):
        with pytest.raises(VocoderError, match="give no proportion"):
            abx_score(correct, trials)


def test_d_prime_is_that_of_a_simulated_listener():
    draw = np.random.default_rng(3)
    d_prime, trials = 1.5, 400_000
    a, b = draw.standard_normal(trials), d_prime + draw.standard_normal(trials)
    x_is_b = draw.random(trials) < 0.5
    x = np.where(x_is_b, d_prime, 0.0) + draw.standard_normal(trials)
    # The likelier of the two: with A and B heard as a and b, X goes with that side of their
    # midpoint on which it lies, and which side is B's is told by whether b is above a.
    says_b = np.where(b > a, x > d_prime / 2, x < d_prime / 2)
    proportion = np.mean(says_b == x_is_b)
    assert abx_proportion(d_prime) == pytest.approx(proportion, abs=0.003)
    assert abx_d_prime(float(proportion)) == pytest.approx(d_prime, abs=0.02)


def test_d_prime_has_its_limits():
    assert abx_d_prime(0.5) == pytest.approx(0, abs=1e-9)
    assert abx_d_prime(0.499) is None
    assert abx_d_prime(1.0) is None
    grid = [abx_d_prime(p) for p in np.linspace(0.5, 0.999, 50)]
    assert all(np.diff(grid) > 0)
    for d_prime in (0.3, 1.0, 4.0):
        assert abx_d_prime(abx_proportion(d_prime)) == pytest.approx(d_prime, rel=1e-6)
    with pytest.raises(VocoderError, match="between 0 and 1"):
        abx_d_prime(1.2)


def test_quartiles_are_the_medians_of_the_halves():
    assert quartiles(np.array([7.0, 1.0, 3.0, 5.0])) == (2.0, 4.0, 6.0)
    # With an odd number the middle value is in both halves.
    assert quartiles(np.array([1.0, 2.0, 3.0, 4.0, 100.0])) == (2.0, 3.0, 4.0)
    assert quartiles(np.array([5.0])) == (5.0, 5.0, 5.0)
    with pytest.raises(VocoderError, match="at least one"):
        quartiles(np.array([]))


def test_outliers_lie_beyond_one_and_a_half_interquartile_ranges():
    values = np.array([10.0, 20.0, 30.0, 40.0, 50.0, 80.0, 80.1, -20.1])
    lower, _, upper = quartiles(values)
    reach = 1.5 * (upper - lower)
    expected = (values > upper + reach) | (values < lower - reach)
    assert outliers(values).tolist() == expected.tolist()
    assert outliers(np.array([50.0, 51, 52, 53, 54, 99])).tolist() == [False] * 5 + [True]
    assert not outliers(np.full(6, 70.0)).any()


def grades(rows: list[list[float]]) -> np.ndarray:
    return np.array(rows, dtype=np.float64)


def test_fifteen_percent_of_the_references_may_be_below_90():
    high = np.full((2, 20), 100.0)
    high[0, :3] = 89.0  # 15 %: allowed
    high[1, :4] = 89.0  # 20 %
    low = np.full((2, 20), 30.0)
    result = screen(high, low)
    assert result.reference_low.tolist() == [0.15, 0.2]
    assert result.kept.tolist() == [True, False]
    high[1, :4] = 90.0  # not below 90
    assert screen(high, low).kept.tolist() == [True, True]


def test_who_grades_the_mid_anchor_above_90_too_often_is_excluded():
    reference = np.full((8, 10), 100.0)
    anchor = np.full((8, 10), 50.0)
    anchor[0, :2] = 91.0  # 20 % of the items
    anchor[1, 0] = 91.0  # 10 %; 2 of 8 assessors are not more than 25 %
    anchor[2, :] = 90.0  # not above 90
    result = screen(reference, anchor)
    assert result.kept.tolist() == [False] + [True] * 7
    assert not result.waived.any()


def test_an_item_whose_anchor_a_quarter_grades_above_90_screens_nobody():
    reference = np.full((8, 10), 100.0)
    anchor = np.full((8, 10), 50.0)
    anchor[:3, :2] = 95.0  # 3 of 8 assessors: more than 25 % in two items
    anchor[0, 2] = 95.0
    result = screen(reference, anchor)
    assert result.waived.tolist() == [True, True] + [False] * 8
    assert result.anchor_high.tolist() == [0.125] + [0.0] * 7  # of the eight that are left
    assert result.kept.all()
    everywhere = screen(reference, np.full((8, 10), 95.0))
    assert everywhere.waived.all()
    assert everywhere.kept.all()


def test_screening_needs_grades_of_one_shape(unchecked_shapes):
    with pytest.raises(VocoderError, match="of shape"):
        screen(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(VocoderError, match="of shape"):
        screen(np.zeros((0, 3)), np.zeros((0, 3)))
