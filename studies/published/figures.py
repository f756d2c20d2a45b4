"""Quality against cost per second of audio: every published system, ours, the recording."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vocoder.data.files import replacing
from vocoder.evaluation.registry import METRICS

# Okabe and Ito, "Color Universal Design", 2008.
FAMILIES = {
    "autoregressive": ("#0072B2", "o"),
    "flow": ("#009E73", "s"),
    "GAN": ("#E69F00", "^"),
    "source-filter": ("#CC79A7", "D"),
    "flow matching": ("#56B4E9", "v"),
    "classical": ("#999999", "X"),
}
OWN_STYLES = (("#000000", "*"), ("#D55E00", "*"), ("#000000", "P"), ("#D55E00", "P"))
RECORDING = "recording"
LJSPEECH = "LJSpeech"
UNKNOWN_COST = 3e-3
"""Position of systems without published operations."""


@dataclass(frozen=True)
class Dot:
    """One system on one page.

    Attributes:
        number: in the tables; None for ours and the recording.
        kind: the family, our weights' label, or "recording".
        gmac_per_second: 10⁹ multiply-accumulates per second of audio; None if unknown.
        corpus: of the page.
        means: score by metric; None if undefined.
    """

    number: int | None
    kind: str
    gmac_per_second: float | None
    corpus: str
    means: Mapping[str, float | None]


def draw_quality(path: Path, dots: Sequence[Dot]) -> None:
    """PESQ and Distill-MOS against operations, for LJSpeech and the other corpora.

    Args:
        path: of the PNG, written atomically.
        dots: all systems.
    """
    figure = Figure(figsize=(13, 9.5), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    metrics = list(dots[0].means)
    axes = figure.subplots(len(metrics), 2, sharex=True, sharey="row", squeeze=False)
    own = list(
        dict.fromkeys(d.kind for d in dots if d.kind not in FAMILIES and d.kind != RECORDING)
    )
    styles = {**FAMILIES, **dict(zip(own, cycle(OWN_STYLES), strict=False))}
    for row, metric in zip(axes, metrics, strict=True):
        for axis, lj in zip(row, (True, False), strict=True):
            chosen = [dot for dot in dots if (LJSPEECH in dot.corpus) == lj]
            _panel(axis, chosen, metric, styles)
        row[0].set_ylabel(METRICS[metric].label)
    for axis, title in zip(
        axes[0], ("LJSpeech: most systems had heard the speaker", "other corpora"), strict=True
    ):
        axis.set_title(title, loc="left", fontsize=11)
    for axis in axes[-1]:
        axis.set_xlabel("10⁹ multiply-accumulates for a second of audio (far left: not published)")
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=colour, label=kind,
               markersize=13 if kind in own else 7)
        for kind, (colour, marker) in styles.items()
    ]  # fmt: skip
    handles.append(Line2D([], [], linestyle="--", color="#555555", label="recordings, each page"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=100)


def _panel(
    axis: Axes, dots: Sequence[Dot], metric: str, styles: Mapping[str, tuple[str, str]]
) -> None:
    axis.set_xscale("log")
    for dot in dots:
        score = dot.means[metric]
        if score is None:
            continue
        if dot.kind == RECORDING:
            axis.axhline(score, color="#777777", linewidth=0.6, linestyle="--", zorder=1)
            continue
        colour, marker = styles[dot.kind]
        cost = dot.gmac_per_second or UNKNOWN_COST
        mine = dot.number is None
        axis.plot([cost], [score], color=colour, marker=marker, markersize=11 if mine else 6,
                  alpha=0.75 if mine else 0.9, zorder=4 if mine else 3)  # fmt: skip
        if dot.number is not None:
            axis.annotate(str(dot.number), (cost, score), xytext=(4, 2),
                          textcoords="offset points", fontsize=7, color="#333333")  # fmt: skip
    axis.grid(color="#e6e6e6", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
