"""Visible and collapsed comparisons."""

from vocoder.evaluation.comparison import Comparison
from vocoder.report.comparisons import comparison_view


def comparison(a: str, b: str, metric: str = "m", smallest: float | None = 0.01) -> Comparison:
    numbers = dict.fromkeys(
        ("difference", "low", "high", "p_value", "p_holm", "effect_size"), 0.02
    )  # fmt: skip
    return Comparison(
        metric=metric, a=a, b=b, n=8, sentence=f"{a}/{b}", smallest_p_holm=smallest, **numbers
    )


def test_those_with_the_best_system_come_first():
    pairs = [comparison("a", "b"), comparison("a", "c"), comparison("b", "c")]
    view = comparison_view([*pairs, comparison("a", "b", metric="other")], "m", "b")
    assert view.with_best == ("a/b", "b/c")
    assert view.others == ("a/c",)
    assert comparison_view(pairs, "m", None).with_best == ()
    assert len(comparison_view(pairs, "m", None).others) == 3


def test_what_can_show_nothing_is_folded():
    pairs = [comparison("a", "b", smallest=0.0625), comparison("b", "c", smallest=None)]
    view = comparison_view(pairs, "m", "b")
    assert view.with_best == ("b/c",)
    assert view.others == ("a/b",)
