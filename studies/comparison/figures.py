"""Figures of quality against training time and training operations.

One figure per metric, two panels with a common vertical axis: minutes and operations, both
logarithmic. Every line has its own colour, dashes and marker, and its name at its right end; ours
is thick. Colours are those of Okabe and Ito, distinguishable for the colour-blind; line styles and
markers distinguish further systems.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from vocoder.data.files import replacing

# Okabe and Ito, "Color Universal Design", 2008, without yellow, which is invisible on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", "--", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h", "d")
OURS_COLOUR = "#000000"
TEXT_COLOUR = "#222222"
LABEL_POINTS = 7.5


@dataclass(frozen=True)
class Line:
    """One system's curve of one metric.

    Attributes:
        label: its name.
        minutes: training time of each point.
        operations: training operations of each point, None if not counted.
        means: score of each point.
        low, high: limits of the intervals; None for no intervals.
        ours: whether to highlight it.
    """

    label: str
    minutes: Sequence[float]
    operations: Sequence[float] | None
    means: Sequence[float]
    low: Sequence[float | None]
    high: Sequence[float | None]
    ours: bool = False


@dataclass(frozen=True)
class _End:
    """End point and style of a line."""

    label: str
    value: float
    colour: str
    dash: str
    marker: str


def draw_curves(
    path: Path,
    lines: Sequence[Line],
    title: str,
    level: tuple[str, float] | None = None,
) -> None:
    """Write one figure as PNG.

    Args:
        path: of the file, written atomically.
        lines: the systems; their order determines colour and marker.
        title: of the metric, with the better direction.
        level: name and value of a horizontal line, such as the recording's own score.
    """
    figure = Figure(figsize=(10, 4.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2, sharey=True)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    ends: list[_End] = []
    for place, line in enumerate(lines):
        colour, dash, marker = style(place, line.ours)
        for axis, xs in zip(axes, (line.minutes, line.operations), strict=True):
            if xs is not None:
                _draw(axis, xs, line, colour, dash, marker)
        ends.append(_End(line.label, line.means[-1], colour, dash, marker))
    for axis, name in zip(axes, ("training time (minutes)", "training operations"), strict=True):
        axis.set_xscale("log")
        axis.set_xlabel(name)
        axis.grid(color="#e0e0e0", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        if level is not None:
            axis.axhline(level[1], color="#777777", linewidth=1, linestyle=(0, (4, 3)))
    _minute_ticks(axes[0])
    if all(line.operations is None for line in lines):
        axes[1].text(0.5, 0.5, "not counted yet", transform=axes[1].transAxes, ha="center")
    if level is not None:
        axes[0].annotate(
            level[0], (0.01, level[1]), xycoords=("axes fraction", "data"), fontsize=LABEL_POINTS,
            color="#555555", va="bottom",
        )  # fmt: skip
    # Positions of the names depend on the axis limits.
    figure.canvas.draw()
    _name_ends(axes[1], ends)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


def style(place: int, ours: bool) -> tuple[str, str, str]:
    """Colour, dash and marker of a line by index; the first dozen are distinct."""
    if ours:
        return OURS_COLOUR, "-", "o"
    turn = place // len(PALETTE)
    return PALETTE[place % len(PALETTE)], DASHES[turn % len(DASHES)], MARKERS[place % len(MARKERS)]


def _draw(axis: Axes, xs: Sequence[float], line: Line, colour: str, dash: str, marker: str) -> None:
    axis.plot(
        xs, line.means, color=colour, linestyle=dash, marker=marker,
        linewidth=2.6 if line.ours else 1.3, markersize=5 if line.ours else 3.5,
        zorder=4 if line.ours else 3,
    )  # fmt: skip
    if line.ours:
        band = [
            (x, lower, upper)
            for x, lower, upper in zip(xs, line.low, line.high, strict=True)
            if lower is not None and upper is not None
        ]
        if band:
            shaded, low, high = zip(*band, strict=True)
            axis.fill_between(shaded, low, high, color=colour, alpha=0.1, linewidth=0)


def _minute_ticks(axis: Axes) -> None:
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _name_ends(axis: Axes, ends: Sequence[_End]) -> None:
    """Draw names at the right, at the height of the lines' ends, moved apart if they overlap."""
    height = axis.get_window_extent().height * 72 / axis.figure.dpi
    low, high = axis.get_ylim()
    gap = 1.25 * LABEL_POINTS / height
    wanted = sorted((((end.value - low) / (high - low), end) for end in ends), key=lambda e: e[0])
    places = spread([place for place, _ in wanted], gap)
    for (at, end), place in zip(wanted, places, strict=True):
        axis.plot(
            [1.0, 1.03, 1.06], [at, place, place], color=end.colour, linestyle=end.dash,
            linewidth=1, marker=end.marker, markersize=4, markevery=[2],
            transform=axis.transAxes, clip_on=False,
        )  # fmt: skip
        axis.annotate(
            end.label, (1.08, place), xycoords="axes fraction", fontsize=LABEL_POINTS,
            color=TEXT_COLOUR, va="center", annotation_clip=False,
        )  # fmt: skip


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Rising positions moved apart minimally to at least a gap, with unchanged mean.

    >>> [round(p, 2) for p in spread([0.1, 0.5, 0.5, 0.9], 0.2)]
    [0.1, 0.4, 0.6, 0.9]
    """
    # Touching groups are merged: a group is centred on the mean of its members' original positions.
    groups: list[tuple[float, int]] = []
    for place in places:
        mean, count = place, 1
        while groups and mean - groups[-1][0] < gap * (count + groups[-1][1]) / 2 - 1e-12:
            before, members = groups.pop()
            mean = (before * members + mean * count) / (members + count)
            count += members
        groups.append((mean, count))
    return [mean + gap * (i - (count - 1) / 2) for mean, count in groups for i in range(count)]


def draw_costs(path: Path, points: Mapping[str, tuple[float, float]], title: str) -> None:
    """Score of the final test against the real-time factor, one labelled dot per system.

    Args:
        path: of the PNG.
        points: real-time factor and score by label; the first is ours.
        title: of the metric.
    """
    figure = Figure(figsize=(7, 4.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    for place, (label, (factor, score)) in enumerate(points.items()):
        colour, _, marker = style(place, place == 0)
        axis.plot([factor], [score], color=colour, marker=marker, markersize=7)
        axis.annotate(
            label, (factor, score), xytext=(6, 3), textcoords="offset points",
            fontsize=LABEL_POINTS + 0.5, color=TEXT_COLOUR,
        )  # fmt: skip
    axis.set_xscale("log")
    factors = [factor for factor, _ in points.values()]
    axis.set_xlim(min(factors) / 2, max(factors) * 10 ** (0.25 * _decades(factors)))
    axis.axvline(1.0, color="#777777", linewidth=1, linestyle=(0, (4, 3)))
    axis.set_xlabel("real-time factor on one thread (left of the dashed line: faster than speech)")
    axis.grid(color="#e0e0e0", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _decades(values: Sequence[float]) -> float:
    return max(math.log10(max(values) / min(values)), 1.0)
