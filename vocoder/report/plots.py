"""Plots as inline SVG: distributions of scores, and quality against cost.

The page sets the colours, for light and dark mode: elements of system number i have the class
`s<i>`. Every colour is labelled by name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from scipy.stats import gaussian_kde

from vocoder.evaluation.summary import Score

MOST_DOTS = 150
"""Largest number of utterances drawn as dots; beyond, the density is drawn, with outliers as
dots."""

_WIDTH = 380
_LABELS = 108
_RIGHT = 370
_ROW = 30
_AXIS = 22
_LABEL_LETTERS = 15
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` to pixels from `start` to `end`, linearly or
    logarithmically."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        if self.logarithmic:
            value, low, high = math.log(value), math.log(self.low), math.log(self.high)
        else:
            low, high = self.low, self.high
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values inside the range, about three to eight."""
        if self.logarithmic:
            return _decades(self.low, self.high)
        step = round_step((self.high - self.low) / 7)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]


def round_step(about: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below the value.

    >>> round_step(0.3), round_step(12)
    (0.5, 20.0)
    """
    power = 10.0 ** math.floor(math.log10(about))
    factor = next(f for f in (1, 2, 5, 10) if f * power >= about * (1 - 1e-9))
    return factor * power


def distribution_svg(scores: Mapping[str, Sequence[float]], classes: Mapping[str, str]) -> str:
    """One row per system: the utterances as dots (or their density), quartiles, and the median.

    Args:
        scores: of one metric by system, one number per utterance.
        classes: CSS class by system.

    Returns:
        The element; "" if no system has a score. `data-low`, `data-high`, `data-start`, `data-end`
        and `data-row` define the mapping from values to positions.
    """
    every = [value for values in scores.values() for value in values]
    if not every:
        return ""
    scale = _padded(min(every), max(every), _LABELS, _RIGHT)
    bottom = _ROW * len(scores)
    parts = [_axis_below(scale, bottom)]
    for row, (name, values) in enumerate(scores.items()):
        middle = _ROW * (row + 0.5)
        label = name if len(name) <= _LABEL_LETTERS else name[: _LABEL_LETTERS - 1] + "…"
        parts.append(
            f'<g class="{classes[name]}"><text x="{_LABELS - 10}" y="{middle:g}" dy=".35em" '
            f'text-anchor="end"><title>{escape(name)}</title>{escape(label)}</text>'
            f"{_row(values, scale, middle)}</g>"
        )
    return (
        f'<svg class="distribution" viewBox="0 0 {_WIDTH} {bottom + _AXIS}" role="img" '
        f'data-low="{scale.low!r}" data-high="{scale.high!r}" data-start="{_LABELS}" '
        f'data-end="{_RIGHT}" data-row="{_ROW}">{"".join(parts)}</svg>'
    )


@dataclass(frozen=True)
class Point:
    """One system in the cost–quality plot."""

    name: str
    css_class: str
    cost: float
    score: Score


def cost_svg(points: Sequence[Point], ceiling: tuple[str, float] | None) -> str:
    """Mean score with its interval over cost, on a logarithmic axis.

    Args:
        points: systems with a mean and a cost above 0.
        ceiling: name and mean of the recording, drawn as a line across; None without.

    Returns:
        The element; "" without points.
    """
    placed = [(point, point.score.mean) for point in points if point.score.mean is not None]
    if not placed:
        return ""
    edges = [edge for point, mean in placed for edge in (mean, point.score.low, point.score.high)]
    heights = [edge for edge in edges if edge is not None] + ([ceiling[1]] if ceiling else [])
    top, bottom, left = 14.0, 246.0, 50.0
    y = _padded(min(heights), max(heights), bottom, top)
    costs = [point.cost for point, _ in placed]
    x = Scale(min(costs) / 1.6, max(costs) * 1.6, left, _RIGHT, logarithmic=True)
    parts = [_axis_below(x, bottom, top), _axis_left(y, left)]
    if ceiling:
        name, mean = ceiling
        parts.append(
            f'<path class="ceiling" d="M{left:g} {y(mean):.1f}H{_RIGHT}"/>'
            f'<text class="axis" x="{_RIGHT}" y="{y(mean) - 5:.1f}" text-anchor="end">'
            f"{escape(name)}</text>"
        )
    taken: list[tuple[float, float]] = []
    for point, mean in sorted(placed, key=lambda pair: y(pair[1])):
        at_x, at_y = x(point.cost), y(mean)
        bar = ""
        if point.score.low is not None and point.score.high is not None:
            low, high = y(point.score.low), y(point.score.high)
            bar = f'<path class="bar" d="M{at_x:.1f} {low:.1f}V{high:.1f}"/>'
        # Near the right edge, names are left of their points.
        side, anchor = (-10, "end") if at_x > 0.62 * _WIDTH else (10, "start")
        text_y = _free_height(at_x, at_y, taken)
        parts.append(
            f'<g class="{point.css_class}">{bar}<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="5"/>'
            f'<text x="{at_x + side:.1f}" y="{text_y:.1f}" dy=".35em" text-anchor="{anchor}">'
            f"{escape(point.name)}</text></g>"
        )
    frame = f'viewBox="0 0 {_WIDTH} {bottom + _AXIS:g}"'
    return f'<svg class="cost" {frame} role="img">{"".join(parts)}</svg>'


def _row(values: Sequence[float], scale: Scale, middle: float) -> str:
    """One system's dots or density, with its quartiles."""
    if not values:
        return f'<text class="axis" x="{scale.start:g}" y="{middle:g}" dy=".35em">no score</text>'
    first, median, third = np.percentile(values, [25, 50, 75])
    half = 5.0
    box = (
        f'<rect class="box" x="{scale(first):.1f}" y="{middle - half:g}" rx="2" '
        f'width="{max(scale(third) - scale(first), 1):.1f}" height="{2 * half:g}"/>'
    )
    line = f'<path class="median" d="M{scale(median):.1f} {middle - 8:g}v16"/>'
    if len(values) <= MOST_DOTS:
        return box + _dots(values, scale, middle) + line
    reach = 1.5 * (third - first)
    outside = [value for value in values if not first - reach <= value <= third + reach]
    return _violin(values, scale, middle) + box + _dots(outside, scale, middle) + line


def _dots(values: Sequence[float], scale: Scale, middle: float) -> str:
    """Points as lines of zero length in one path, much cheaper than one circle per point.

    Heights follow multiples of the golden ratio: evenly spread and deterministic.
    """
    heights = ((index * _GOLDEN % 1 - 0.5) * 14 for index in range(len(values)))
    path = "".join(
        f"M{scale(value):.1f} {middle + height:.1f}h0"
        for value, height in zip(values, heights, strict=True)
    )
    return f'<path class="dots" d="{path}"/>'


def _violin(values: Sequence[float], scale: Scale, middle: float) -> str:
    """Gaussian kernel density (Scott's rule), mirrored."""
    low, high = min(values), max(values)
    if low == high:
        return ""
    at = np.linspace(low, high, 60)
    density = gaussian_kde(values)(at)
    heights = 12 * density / density.max()
    edge = [(scale(float(x)), float(h)) for x, h in zip(at, heights, strict=True)]
    upper = "L".join(f"{x:.1f} {middle - h:.1f}" for x, h in edge)
    lower = "L".join(f"{x:.1f} {middle + h:.1f}" for x, h in reversed(edge))
    return f'<path class="violin" d="M{upper}L{lower}Z"/>'


def _padded(low: float, high: float, start: float, end: float) -> Scale:
    """A linear scale with a margin at both ends and positive width."""
    room = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    # Errors and rates are non-negative: their axis starts at 0.
    floor = 0.0 if low >= 0 and low - room < 0 else low - room
    return Scale(floor, high + room, start, end)


def _axis_below(scale: Scale, bottom: float, top: float = 0.0) -> str:
    """Ticks with numbers, and lines up through the plot."""
    parts = []
    for tick in scale.ticks():
        at = scale(tick)
        parts.append(
            f'<path class="grid" d="M{at:.1f} {top:g}V{bottom:g}"/>'
            f'<text class="axis" x="{at:.1f}" y="{bottom + 15:g}" text-anchor="middle">'
            f"{tick:.10g}</text>"
        )
    return "".join(parts)


def _axis_left(scale: Scale, left: float) -> str:
    parts = []
    for tick in scale.ticks():
        at = scale(tick)
        parts.append(
            f'<path class="grid" d="M{left:g} {at:.1f}H{_RIGHT}"/>'
            f'<text class="axis" x="{left - 8:g}" y="{at:.1f}" dy=".35em" text-anchor="end">'
            f"{tick:.10g}</text>"
        )
    return "".join(parts)


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten in the range; 2 and 5 times them too if there are few."""
    for factors in ((1,), (1, 3), (1, 2, 5)):
        exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        found = [factor * 10.0**exponent for exponent in exponents for factor in factors]
        found = [value for value in found if low <= value <= high]
        if len(found) >= 3:
            return found
    return found


def _free_height(x: float, y: float, taken: list[tuple[float, float]]) -> float:
    """Find a free height near y around x, and mark it as used."""
    while any(abs(x - other) < 0.4 * _WIDTH and abs(y - height) < 13 for other, height in taken):
        y += 4
    taken.append((x, y))
    return y
