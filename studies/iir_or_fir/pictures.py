"""The study's pictures."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator

from studies.iir_or_fir.departure import Departure, bandwidth_hz
from studies.iir_or_fir.fitting import Fit

matplotlib.use("Agg")
MARKERS = "osD^vP"
HIGHEST_DB = 10.0
"""Of the distances drawn."""
LOWEST_DB = -65.0
"""Lower limit of the error plots."""


def draw_families(path: Path, fits: Sequence[Fit]) -> None:
    """Distance against multiplications for both methods, parameters and time."""
    figure, axes = pyplot.subplots(2, 2, figsize=(9, 7), sharey=True, layout="constrained")
    axes = axes.flatten()
    labels = ["multiplications a sample, sample-wise", "multiplications a sample, frame-wise"]
    labels += ["parameters a frame", "CPU seconds of training, nearest size of each"]
    for label, marker in zip(dict.fromkeys(f.family.label for f in fits), MARKERS, strict=True):
        own = [one for one in fits if one.family.label == label]
        distances = [one.mean_db for one in own]
        families = [one.family for one in own]
        counts = [
            [family.sample_macs for family in families],
            [family.frame_macs for family in families],
            [float(family.parameters) for family in families],
        ]
        for axis, count in zip(axes[:3], counts, strict=True):
            axis.plot(count, distances, marker=marker, markersize=5, label=label)
        best = min(own, key=lambda one: one.mean_db)
        seconds = [step * best.step_s for step in best.steps]
        axes[3].plot(seconds[1:], best.course_db[1:])
    for axis, label in zip(axes, labels, strict=True):
        axis.set(xscale="log", xlabel=label, ylim=(0, HIGHEST_DB))
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    for axis in axes[::2]:
        axis.set_ylabel("log-spectral distance (dB)")
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=85)
    pyplot.close(figure)


def draw_departure(
    path: Path,
    speech: Sequence[Departure],
    radii: Sequence[Departure],
    speeds: Sequence[Departure],
    rest: Sequence[Departure],
) -> None:
    """Error against hop, radius, speed, and for a constant filter."""
    figure, axes = pyplot.subplots(2, 2, figsize=(9, 8), layout="constrained")
    (by_hop, by_radius), (by_speed, at_rest) = axes
    _lines(by_hop, speech, [one.at for one in speech])
    by_hop.set(title="speech, order 22", xlabel="hop (samples)", xscale="log")
    hops = sorted({one.at for one in speech})
    by_hop.set_xticks(hops, [f"{hop:g}" for hop in hops])
    by_hop.minorticks_off()
    _lines(by_radius, radii, [bandwidth_hz(one.at) for one in radii])
    by_radius.set(
        title="one resonance, 10 Hz/ms, hop 80", xlabel="its bandwidth (Hz)", xscale="log"
    )
    _lines(by_speed, speeds, [one.at for one in speeds])
    by_speed.set(
        title="one resonance of 51 Hz, hop 80",
        xlabel="its speed (Hz/ms)",
        xscale="symlog",
    )
    ticks = sorted({one.at for one in speeds})
    by_speed.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    by_speed.minorticks_off()
    _lines(at_rest, rest, [bandwidth_hz(one.at) for one in rest])
    at_rest.set(title="one resonance that stays", xlabel="its bandwidth (Hz)", xscale="log")
    for axis, found in ((by_radius, radii), (at_rest, rest)):
        widths = sorted({bandwidth_hz(one.at) for one in found})
        axis.set_xticks(widths, [f"{width:.0f}" for width in widths])
        axis.minorticks_off()
    for axis in (by_hop, by_radius, by_speed, at_rest):
        axis.set_ylim(LOWEST_DB, 5)
        axis.set_ylabel("error (dB)")
        axis.grid(alpha=0.3)
    at_rest.legend(frameon=False, fontsize=7)
    handles, labels = by_hop.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.savefig(path, dpi=85)
    pyplot.close(figure)


def _lines(axis: Axes, found: Sequence[Departure], places: Sequence[float]) -> None:
    """Draw a line of means for each method, clipped at the lower limit."""
    for way, marker in zip(dict.fromkeys(one.way for one in found), MARKERS, strict=False):
        values: dict[float, list[float]] = {}
        for one, place in zip(found, places, strict=True):
            if one.way == way:
                values.setdefault(place, []).append(one.error_db)
        means = [max(LOWEST_DB, statistics.mean(each)) for each in values.values()]
        axis.plot(list(values), means, marker=marker, markersize=5, label=way)
