"""Plots of listening test results."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vocoder.data.files import replacing
from vocoder.evaluation.statistics import t_interval
from vocoder.listening.abx import AbxScore
from vocoder.listening.mushra import Grades
from vocoder.listening.screening import outliers, quartiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABELS = {
    "reference": "hidden reference",
    "anchor_7k": "7 kHz anchor",
    "anchor_3k5": "3.5 kHz anchor",
}
_QUALITY = ("bad", "poor", "fair", "good", "excellent")
# Distinguishable by most colour-blind readers (Okabe, Ito 2008).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vP*X<>hd"


def draw_boxes(grades: Grades, path: Path) -> None:
    """One box per condition over all its grades, best mean first, as PNG and SVG.

    The box spans the quartiles and shows the median; the whiskers extend to the last grade within
    1.5 interquartile ranges, grades beyond are circles. The mean with its 95 % t interval over the
    assessors is beside the box.

    Args:
        grades: of the assessors kept by post-screening.
        path: of the plots, without suffix.
    """
    order = sorted(grades.conditions, key=lambda name: -grades.of(name).mean())
    figure, axis = _figure(1.6 + 1.1 * len(order), 5.2)
    boxes, places = [], np.arange(len(order))
    for place, name in zip(places, order, strict=True):
        values = grades.of(name)
        boxes.append(_box(values.ravel(), _LABELS.get(name, name)))
        mean = values.mean()
        low, high = t_interval(values.mean(axis=1)) or (mean, mean)
        axis.errorbar(place + 0.36, mean, [[mean - low], [high - mean]], fmt="D",
                      color=_COLOURS[1], markersize=4, capsize=3)  # fmt: skip
    axis.bxp(boxes, positions=places, widths=0.42, showfliers=True,
             medianprops={"color": _COLOURS[0], "linewidth": 2},
             flierprops={"markersize": 3, "markeredgecolor": "grey"})  # fmt: skip
    _quality_axis(axis)
    axis.tick_params(axis="x", rotation=30)
    for label in axis.get_xticklabels():
        label.set_horizontalalignment("right")
    assessors, items = len(grades.assessors), len(grades.utterances)
    axis.set_title(
        f"{assessors} assessors, {items} utterances; diamonds: mean and 95 % interval",
        loc="left",
        fontsize=9,
    )
    _save(figure, path)


def draw_utterances(grades: Grades, path: Path) -> None:
    """Mean and 95 % t interval per condition and utterance, as PNG and SVG."""
    width = max(8.0, 2.0 + 0.22 * len(grades.utterances) * (len(grades.conditions) + 1))
    figure, axis = _figure(width, 5.2)
    step = 0.8 / len(grades.conditions)
    for i, name in enumerate(grades.conditions):
        values = grades.of(name)
        means = values.mean(axis=0)
        ends = [t_interval(item) or (item.mean(), item.mean()) for item in values.T]
        reach = np.abs(np.array(ends).T - means)
        places = np.arange(len(means)) + (i - (len(grades.conditions) - 1) / 2) * step
        axis.errorbar(places, means, reach, fmt=_MARKERS[i % len(_MARKERS)], markersize=4,
                      capsize=2, color=_COLOURS[i % len(_COLOURS)],
                      label=_LABELS.get(name, name))  # fmt: skip
    axis.set_xticks(range(len(grades.utterances)), grades.utterances, rotation=30, ha="right")
    axis.set_xlim(-0.6, len(grades.utterances) - 0.4)
    _quality_axis(axis)
    figure.legend(loc="outside upper left", ncols=len(grades.conditions), frameon=False, fontsize=9)
    _save(figure, path)


def draw_proportions(scores: Mapping[str, AbxScore], path: Path) -> None:
    """Proportions of correct answers with exact intervals and the chance level; as PNG and SVG."""
    figure, axis = _figure(7.0, 1.4 + 0.34 * len(scores))
    for row, score in enumerate(scores.values()):
        reach = [[score.proportion - score.low], [score.high - score.proportion]]
        axis.errorbar(score.proportion, row, xerr=reach, fmt="o", color=_COLOURS[0], capsize=3)
    axis.axvline(0.5, color=_COLOURS[1], linestyle="--", linewidth=1)
    axis.set_yticks(range(len(scores)), list(scores))
    axis.set_ylim(len(scores) - 0.5, -0.5)
    axis.set_xlim(0, 1)
    axis.set_xlabel("proportion correct, 95 % interval; dashed: guessing")
    axis.grid(axis="x", alpha=0.3)
    _save(figure, path)


def _box(values: np.ndarray, label: str) -> dict[str, object]:
    lower, median, upper = quartiles(values)
    far = outliers(values)
    return {
        "label": label, "q1": lower, "med": median, "q3": upper, "fliers": values[far],
        "whislo": values[~far].min(), "whishi": values[~far].max(),
    }  # fmt: skip


def _figure(width: float, height: float) -> "tuple[Figure, Axes]":
    # Imported here, since matplotlib is slow to import.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _quality_axis(axis: "Axes") -> None:
    """Axis of grades from 0 to 100, with the scale's words at the right."""
    axis.set_ylim(-2, 102)
    axis.set_yticks(range(0, 101, 20))
    axis.set_ylabel("grade")
    axis.grid(axis="y", alpha=0.3)
    words = axis.secondary_yaxis("right")
    words.set_yticks(range(10, 100, 20), _QUALITY)
    words.tick_params(length=0)


def _save(figure: "Figure", path: Path) -> None:
    from matplotlib import rc_context

    # Equal grades give identical files.
    with rc_context({"svg.hashsalt": "vocoder"}):
        for kind in ("png", "svg"):
            with replacing(path.with_suffix(f".{kind}")) as temporary:
                metadata = {"Date": None} if kind == "svg" else None
                figure.savefig(temporary, dpi=130, format=kind, metadata=metadata)
