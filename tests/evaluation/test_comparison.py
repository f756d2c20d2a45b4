"""Paired comparisons of systems: numbers, families of comparisons and sentences."""

import math

import numpy as np
import pytest

from vocoder.evaluation.comparison import compare_systems
from vocoder.evaluation.registry import METRICS, Column, resolve_columns
from vocoder.evaluation.statistics import (
    FLIPS,
    bootstrap_interval,
    sign_flip_p_value,
    smallest_p_value,
    utterances_needed,
)

COLUMNS = resolve_columns(["pesq", "f0_rmse_cents"])
PESQ, F0 = ([column] for column in COLUMNS)


def paired(a, b, metric: str = "pesq") -> dict:
    """The scores of two systems, A and B."""
    return {
        name: {f"u{index:03}": {metric: value} for index, value in enumerate(values)}
        for name, values in (("A", a), ("B", b))
    }


# -- the interval --------------------------------------------------------------------------------


def test_the_interval_covers_the_true_difference_as_often_as_it_says():
    draw = np.random.default_rng(7)
    hits = 0
    for seed in range(300):
        a = 3.0 + draw.normal(size=40)
        b = a - 0.4 + 0.5 * draw.normal(size=40)
        found = compare_systems(paired(a, b), PESQ, resamples=1000, seed=seed)[0]
        hits += found.low < 0.4 < found.high
    # The percentile interval is a little narrow: 94 % for normal differences of 40 utterances.
    assert 0.91 <= hits / 300 <= 0.975


# -- the comparison ------------------------------------------------------------------------------


def test_numbers_are_those_of_an_oracle():
    draw = np.random.default_rng(3)
    a, b = draw.normal(3.2, 0.3, (2, 20))
    found = compare_systems(paired(a, b), PESQ, resamples=500, seed=5)[0]
    differences = [x - y for x, y in zip(a, b, strict=True)]
    mean = math.fsum(differences) / 20
    deviation = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / 19)
    assert found.n == 20
    assert found.difference == pytest.approx(mean, rel=1e-12)
    assert found.effect_size == pytest.approx(mean / deviation, rel=1e-12)
    assert (found.low, found.high) == bootstrap_interval(differences, resamples=500, seed=5)
    assert found.p_value == sign_flip_p_value(np.array(differences), FLIPS, 5)
    assert found.p_holm == found.p_value


def test_pairing_makes_a_small_steady_difference_visible():
    difficulty = np.random.default_rng(0).normal(3.0, 0.8, 30)
    steady = 0.02 + 0.01 * np.random.default_rng(1).normal(size=30)
    found = compare_systems(paired(difficulty + steady, difficulty), PESQ)[0]
    assert found.p_value < 1e-3
    assert found.effect_size > 1.0
    assert found.low > 0.0


def test_only_utterances_with_both_scores_count():
    scores = paired([3.0, 2.0, None, 4.0], [2.0, 1.5, 1.0, None])
    scores["A"]["extra"] = {"pesq": 4.5}
    found = compare_systems(scores, PESQ)[0]
    assert (found.n, found.difference) == (2, 0.75)


def test_every_pair_once_metric_by_metric_in_the_order_given():
    scores = {
        name: {f"u{i}": {"pesq": 2.0 + i + k, "f0_rmse_cents": 30.0 - k} for i in range(4)}
        for k, name in enumerate(("x", "b", "a"))
    }
    found = compare_systems(scores, COLUMNS)
    pairs = [("x", "b"), ("x", "a"), ("b", "a")]
    expected = [(m, *pair) for m in ("pesq", "f0_rmse_cents") for pair in pairs]
    assert [(c.metric, c.a, c.b) for c in found] == expected
    assert compare_systems({"x": scores["x"]}, COLUMNS) == ()


def test_a_copy_of_the_reference_is_compared_without_a_reference_only():
    columns = [Column(name, METRICS[name], False) for name in ("mstft", "dnsmos")]
    draw = np.random.default_rng(2)
    scores = {
        name: {f"u{i}": {"mstft": k + x, "dnsmos": 3.0 + 0.1 * x}
               for i, x in enumerate(draw.normal(size=8))}
        for k, name in enumerate(("recording", "a", "b"))
    }  # fmt: skip
    found = compare_systems(scores, columns, copies={"recording"})
    pairs = [(c.metric, c.a, c.b) for c in found]
    everybody = [("recording", "a"), ("recording", "b"), ("a", "b")]
    assert pairs == [("mstft", "a", "b"), *(("dnsmos", *pair) for pair in everybody)]
    # Four tests are adjusted for, not six: what is left out makes the others more sensitive.
    smallest = min(c.p_value for c in found)
    assert min(c.p_holm for c in found) == pytest.approx(4 * smallest)
    assert len(compare_systems(scores, columns)) == 6


# -- many comparisons ----------------------------------------------------------------------------


def test_a_difference_among_many_comparisons_has_to_be_clearer():
    draw = np.random.default_rng(11)
    base = draw.normal(3.0, 0.5, 12)
    scores = {f"s{k}": base + 0.1 * draw.normal(size=12) for k in range(6)}
    scores["better"] = base + 0.07 + 0.08 * draw.normal(size=12)
    table = {
        name: {f"u{i}": {"pesq": value} for i, value in enumerate(values)}
        for name, values in scores.items()
    }
    alone = compare_systems({name: table[name] for name in ("better", "s0")}, PESQ)[0]
    among = next(c for c in compare_systems(table, PESQ) if (c.a, c.b) == ("s0", "better"))
    assert among.p_value == alone.p_value
    assert alone.p_holm < 0.05 < among.p_holm
    assert alone.sentence.startswith("better above s0")
    assert among.sentence.startswith("s0 and better do not differ beyond chance")


def test_the_family_wide_error_is_kept():
    draw = np.random.default_rng(5)
    alarms = 0
    for _ in range(100):
        base = draw.normal(size=12)
        table = {
            f"s{k}": {f"u{i}": {"pesq": x} for i, x in enumerate(base + draw.normal(size=12))}
            for k in range(4)
        }
        alarms += any(c.p_holm < 0.05 for c in compare_systems(table, PESQ, resamples=20))
    assert alarms <= 10


def test_findings_stay_possible_in_a_large_family():
    # 33 systems make 528 comparisons: with 10,000 flips no adjusted p could be below 0.05.
    draw = np.random.default_rng(0)
    table = {
        f"s{k:02}": {f"u{i:02}": {"pesq": k + 0.01 * draw.normal()} for i in range(20)}
        for k in range(33)
    }
    found = compare_systems(table, PESQ, resamples=10)
    assert len(found) == 528
    assert all(c.p_holm < 0.02 for c in found)


# -- the sentence --------------------------------------------------------------------------------

STEADY = 0.01 * np.tile([1.0, -1.0], 20)


def test_the_better_system_comes_first_whatever_the_direction():
    higher, lower = 3.21 + STEADY, np.full(40, 3.0)
    for a, b, best, worst in ((higher, lower, "A", "B"), (lower, higher, "B", "A")):
        found = compare_systems(paired(a, b), PESQ)[0]
        assert found.sentence.startswith(f"{best} above {worst} on PESQ-WB by 0.210 [0.20")
        assert found.sentence.endswith("], p < 0.0001, n = 40")
        assert math.copysign(1, found.difference) == (1 if best == "A" else -1)
        found = compare_systems(paired(a, b, "f0_rmse_cents"), F0)[0]
        assert found.sentence.startswith(f"{worst} better than {best} on F0 RMSE (cents) by 0.2 [")


def test_no_difference_is_said_as_such():
    a = np.array([3.0, 3.1, 3.2, 3.3, 3.4, 3.5])
    found = compare_systems(paired(a, [3.1, 3.0, 3.4, 3.2, 3.5, 3.45]), PESQ)[0]
    assert not found.too_few
    assert found.sentence == (
        f"A and B do not differ beyond chance on PESQ-WB: -0.025 [{found.low:.3f}, "
        f"{found.high:.3f}], p = {found.p_value:.2g}, n = 6"
    )
    found = compare_systems(paired(a, a), PESQ)[0]
    assert found.sentence == "A and B are equal on PESQ-WB, n = 6"
    assert (found.p_value, found.effect_size) == (1.0, None)


@pytest.mark.parametrize(
    ("b", "shared"), [([2.0, None], "one utterance"), ([None, None], "no utt")]
)
def test_too_few_utterances_are_said(b, shared):
    found = compare_systems(paired([3.0, 3.1], b), PESQ)[0]
    assert f"A and B have {shared}" in found.sentence
    assert found.low is found.high is found.effect_size is None
    assert found.p_value == (1.0 if found.n else None)


def test_the_adjusted_value_stands_in_brackets():
    scores = paired(3.2 + STEADY[:6], np.full(6, 3.0))
    scores["C"] = {name: {"pesq": 3.2} for name in scores["A"]}
    a_b, a_c, b_c = compare_systems(scores, PESQ)
    assert "p = 0.031 (0.094)" in a_b.sentence
    assert a_b.p_holm == pytest.approx(3 * a_b.p_value)
    assert b_c.effect_size is None
    # The best six utterances can do among three comparisons is 0.094.
    assert a_b.too_few
    assert a_b.smallest_p_holm == a_b.p_holm
    assert a_c.sentence.startswith("A and C: too few to show a difference on PESQ-WB: 0.000 [")


# -- too few -------------------------------------------------------------------------------------


def far_apart(n: int, systems: int) -> dict:
    """Systems with maximal differences, so that every p-value is the smallest possible."""
    return {
        f"s{k}": {f"u{i:02}": {"pesq": 1.0 + k + 0.001 * i * k} for i in range(n)}
        for k in range(systems)
    }


@pytest.mark.parametrize("systems", [2, 3, 5])
def test_too_few_is_where_the_clearest_difference_is_not_shown(systems):
    family = systems * (systems - 1) // 2
    needed = utterances_needed(family)
    for n in range(2, needed + 3):
        found = compare_systems(far_apart(n, systems), PESQ, resamples=10)
        assert all(c.p_value == smallest_p_value(n) for c in found)
        assert [c.smallest_p_holm for c in found] == [c.p_holm for c in found]
        assert all(c.too_few == (c.p_holm >= 0.05) == (n < needed) for c in found)
        said = ["too few to show a difference" in c.sentence for c in found]
        assert all(said) if n < needed else not any(said)
    assert needed == {1: 6, 3: 7, 10: 9}[family]


def test_a_comparison_with_few_shared_utterances_is_too_few_beside_others_that_are_not():
    scores = far_apart(20, 3)
    scores["s2"] = dict(list(scores["s2"].items())[:4])
    found = compare_systems(scores, PESQ, resamples=10)
    assert [c.too_few for c in found] == [False, True, True]
    assert "above" in found[0].sentence
