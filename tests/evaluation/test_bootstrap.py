import numpy as np
import pytest
from scipy.stats import norm

from vocoder.errors import VocoderError
from vocoder.evaluation.bootstrap import bootstrap_interval


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
