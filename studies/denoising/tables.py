"""Scores as tables and as a picture."""

import statistics
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from studies.denoising.noises import SNRS_DB, Kind
from studies.denoising.systems import (
    GAIN,
    GATE,
    LEARNED_RESYNTHESIS,
    NAMES,
    NOISY,
    RESYNTHESIS,
    SUBTRACTION,
    WIENER,
    WIENER_RESYNTHESIS,
)
from studies.scripts import table
from vocoder.data.files import replacing
from vocoder.evaluation.statistics import bootstrap_interval

matplotlib.use("Agg")

Scores = dict[str, dict[str, dict[str, float]]]
"""By condition, recording and metric."""
RECORDING, RESYNTHESISED = "recording", "recording, resynthesised"
METRICS = {
    "pesq": "PESQ-WB ↑",
    "stoi": "STOI ↑",
    "dnsmos": "DNSMOS ↑",
    "f0_rmse_cents": "F0 RMSE (cents) ↓",
    "f0_fine_rmse_cents": "without octave errors ↓",
    "voicing_error": "V/UV error ↓",
}
DECIMALS = (2, 3, 2, 0, 0, 3)
PAIRS = (
    (RESYNTHESIS, NOISY),
    (WIENER_RESYNTHESIS, WIENER),
    (LEARNED_RESYNTHESIS, GAIN),
    (WIENER_RESYNTHESIS, SUBTRACTION),
    (WIENER_RESYNTHESIS, GATE),
    (LEARNED_RESYNTHESIS, WIENER),
)
"""Paired comparisons on the same recordings; the first three with and without the model."""
LEVEL = 0.99
"""Level of the intervals of differences: there are many, over few recordings."""
COLOURS = {
    NOISY: "#888888",
    SUBTRACTION: "#e0a030",
    WIENER: "#2a78b4",
    GATE: "#4c9a4c",
    GAIN: "#c44e52",
    RESYNTHESIS: "#888888",
    WIENER_RESYNTHESIS: "#2a78b4",
    LEARNED_RESYNTHESIS: "#c44e52",
}
"""Colours; a system with and without the model shares one."""


def condition(system: str, kind: Kind, snr_db: int) -> str:
    """Name and folder of a system's output for one noise at one ratio."""
    return f"{kind}/{snr_db}/{system}"


def settings_table(settings: dict[str, str]) -> str:
    """The selected settings, and the mean PESQ-WB of the best and the worst setting."""
    rows = [["system", "chosen", "its PESQ-WB", "worst setting's"]]
    return table(rows + [[name, *text.split(" | ")] for name, text in settings.items()])


def bounds_table(scores: Scores) -> str:
    """The recording and its resynthesis: the upper bounds without and with the model."""
    heading = ["", *METRICS.values()]
    names = (RECORDING, RESYNTHESISED)
    return table([heading, *([n, *(_mean(scores[n], m) for m in METRICS)] for n in names)])


def scores_table(scores: Scores, kind: Kind) -> str:
    """Means over the recordings, of each system and metric at every ratio."""
    heading = [f"at {', '.join(map(str, SNRS_DB))} dB", *METRICS.values()]

    def cell(name: str, metric: str) -> str:
        return " / ".join(_mean(scores[condition(name, kind, snr)], metric) for snr in SNRS_DB)

    return table([heading, *([name, *(cell(name, m) for m in METRICS)] for name in NAMES)])


def differences_table(scores: Scores) -> str:
    """Paired differences, each recording's mean over the ratios, with intervals."""
    rows = [["difference", "noise", *METRICS.values()]]
    kinds: tuple[Kind, ...] = ("stationary", "babble")
    for first, second in PAIRS:
        for kind in kinds:
            cells = []
            for metric, decimals in zip(METRICS, DECIMALS, strict=True):
                a, b = (over_ratios(scores, name, kind, metric) for name in (first, second))
                values = [x - y for x, y in zip(a, b, strict=True)]
                low, high = bootstrap_interval(values, LEVEL)
                text = f"{statistics.mean(values):+.{decimals}f}"
                text = f"**{text}**" if low > 0 or high < 0 else text
                cells.append(f"{text} [{low:.{decimals}f}, {high:.{decimals}f}]")
            rows.append([f"{first} − {second}", kind, *cells])
    return table(rows)


def over_ratios(scores: Scores, name: str, kind: Kind, metric: str) -> list[float]:
    """Each recording's mean over the ratios, by the names of the recordings."""
    conditions = [scores[condition(name, kind, snr)] for snr in SNRS_DB]
    return [
        statistics.mean(each[recording][metric] for each in conditions)
        for recording in sorted(conditions[0])
    ]


def _mean(by_recording: dict[str, dict[str, float]], metric: str) -> str:
    decimals = dict(zip(METRICS, DECIMALS, strict=True))[metric]
    return f"{statistics.mean(each[metric] for each in by_recording.values()):.{decimals}f}"


def draw(path: Path, scores: Scores) -> None:
    """Four metrics over the signal-to-noise ratio, for both noises."""
    shown = ("pesq", "stoi", "dnsmos", "f0_rmse_cents")
    kinds: tuple[Kind, ...] = ("stationary", "babble")
    figure, axes = pyplot.subplots(2, 4, figsize=(12, 6.5), sharex=True, sharey="col")
    for row, kind in zip(axes, kinds, strict=True):
        for axis, metric in zip(row, shown, strict=True):
            for name in NAMES:
                means = [
                    statistics.mean(
                        each[metric] for each in scores[condition(name, kind, snr)].values()
                    )
                    for snr in SNRS_DB
                ]
                dashed = "resynthesis" in name
                style = {"linestyle": "--", "marker": "s"} if dashed else {"marker": "o"}
                axis.plot(SNRS_DB, means, color=COLOURS[name], label=name, markersize=4, **style)
            bound = statistics.mean(each[metric] for each in scores[RESYNTHESISED].values())
            axis.axhline(bound, color="black", linewidth=1, linestyle=":", label=RESYNTHESISED)
            axis.set_title(f"{METRICS[metric]}, {kind}", fontsize=10)
            axis.set_xticks(SNRS_DB)
    for axis in axes[-1]:
        axis.set_xlabel("signal-to-noise ratio (dB)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0.09, 1, 1))
    figure.legend(handles, labels, loc="lower center", ncols=5, frameon=False)
    figure.set_dpi(90)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    with replacing(path) as temporary:
        # A small palette reduces the size to a quarter.
        picture.quantize(64).save(temporary, optimize=True)
    pyplot.close(figure)
