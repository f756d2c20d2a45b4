"""The plots of a report: positions of marks, and valid SVG."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from vocoder.evaluation.summary import Score
from vocoder.report.plots import (
    MOST_DOTS,
    Point,
    Scale,
    cost_svg,
    distribution_svg,
    round_step,
)


def score(mean: float | None, half: float = 0.1) -> Score:
    edges = (None, None) if mean is None else (mean - half, mean + half)
    return Score(mean=mean, low=edges[0], high=edges[1], n=9, failures=0)


def test_scales_map_their_ends_and_middle():
    assert [Scale(2, 4, 10, 30)(v) for v in (2, 3, 4)] == [10, 20, 30]
    logarithmic = Scale(0.01, 1, 0, 100, logarithmic=True)
    assert [logarithmic(v) for v in (0.01, 0.1, 1)] == pytest.approx([0, 50, 100])
    assert Scale(2, 4, 30, 10)(4) == 10


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (2.31, 4.64), (-0.003, 0.002), (0, 350), (1e5, 1.1e5)]
)
def test_ticks_are_few_round_and_inside(low, high):
    ticks = Scale(low, high, 0, 1).ticks()
    assert 3 <= len(ticks) <= 9
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    step = round_step((high - low) / 7)
    assert np.allclose(np.diff(ticks), step)


@pytest.mark.parametrize(("low", "high"), [(0.003, 0.5), (0.9, 3.1), (10, 20), (1e-4, 1e3)])
def test_logarithmic_ticks_lie_inside(low, high):
    ticks = Scale(low, high, 0, 1, logarithmic=True).ticks()
    assert ticks
    assert all(low <= tick <= high for tick in ticks)
    assert ticks == sorted(ticks)


def rows(svg: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(svg).findall("g")


def dots(row: ElementTree.Element) -> list[float]:
    path = next(p for p in row.iter("path") if p.get("class") == "dots")
    return [float(x) for x in re.findall(r"M([\d.]+) ", path.get("d"))]


def test_every_utterance_is_a_dot_at_its_value():
    scores = {"<ours> & co": [1.0, 2.0, 3.0], "theirs": [2.5], "none": []}
    svg = distribution_svg(scores, {"<ours> & co": "s1", "theirs": "s2", "none": "s3"})
    root = ElementTree.fromstring(svg)
    low, high, start, end = (float(root.get(f"data-{k}")) for k in ("low", "high", "start", "end"))
    first, second, third = rows(svg)
    values = [low + (x - start) / (end - start) * (high - low) for x in dots(first)]
    assert values == pytest.approx([1, 2, 3], abs=0.01)
    assert len(dots(second)) == 1
    assert "no score" in "".join(third.itertext())
    assert first.find("text/title").text == "<ours> & co"
    assert [row.get("class") for row in rows(svg)] == ["s1", "s2", "s3"]


def test_of_many_utterances_the_density_and_the_outliers_are_drawn():
    values = [*np.random.default_rng(0).normal(size=MOST_DOTS), 9.0]
    (row,) = rows(distribution_svg({"s": values}, {"s": "s0"}))
    (violin,) = (p for p in row.iter("path") if p.get("class") == "violin")
    assert len(dots(row)) < 10
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", violin.get("d"))]
    # Widest where most of them are, in the middle of the lower half of the range.
    widest = int(np.argmin(heights[: len(heights) // 2])) / (len(heights) / 2)
    assert 0.1 < widest < 0.4


def test_equal_scores_and_single_ones_can_be_drawn():
    for values in ([0.0] * 5, [4.644] * 200, [1.0]):
        assert "nan" not in distribution_svg({"s": values}, {"s": "s0"})
    assert distribution_svg({"s": []}, {"s": "s0"}) == ""


def test_an_axis_of_errors_does_not_begin_below_zero():
    svg = distribution_svg({"s": [0.0, 0.01, 0.2]}, {"s": "s0"})
    assert float(ElementTree.fromstring(svg).get("data-low")) == 0.0


def test_cheaper_is_left_and_better_is_up():
    points = [
        Point("cheap", "s1", 0.01, score(2.0)),
        Point("dear", "s2", 1.0, score(3.0)),
        Point("unknown", "s3", 1.0, score(None)),
    ]
    svg = cost_svg(points, ("recording", 4.0))
    at = {
        "".join(row.itertext()): (
            float(row.find("circle").get("cx")),
            float(row.find("circle").get("cy")),
        )
        for row in rows(svg)
    }
    assert set(at) == {"cheap", "dear"}
    assert at["cheap"][0] < at["dear"][0]
    assert at["cheap"][1] > at["dear"][1]
    bars = re.findall(r'class="bar" d="M([\d.]+) ([\d.]+)V([\d.]+)"', svg)
    assert [float(low) > float(high) for _, low, high in bars] == [True, True]
    assert "recording" in svg
    assert cost_svg(points[2:], None) == ""


def test_names_of_points_at_one_place_do_not_cover_each_other():
    svg = cost_svg([Point(f"system {i}", "s1", 0.1, score(3.0)) for i in range(5)], None)
    heights = sorted(float(row.find("text").get("y")) for row in rows(svg))
    assert min(np.diff(heights)) >= 12
    assert not math.isnan(sum(heights))
