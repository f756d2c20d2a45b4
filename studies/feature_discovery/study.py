"""Both parts of the study, their tables and pictures.

python -m studies.feature_discovery.study --corpus data/festvox_ru [--seeds 3] [--jobs 2]
"""

import statistics
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import torch
from joblib import Parallel, delayed
from matplotlib import pyplot

from studies.feature_discovery import known, speech
from studies.feature_discovery.layers import peaks
from studies.scripts import renew_results, run, study_parser, table

matplotlib.use("Agg")
FOLDER = Path(__file__).parent
FILTERS = (3, 6, 12)
HELD_OUT = 1000
"""Windows of the validation split, and of the test split."""


def main() -> None:
    """Train everything, then write RESULTS.md and the pictures."""
    options = study_parser(__doc__, FOLDER, seeds=3, jobs=2).parse_args()
    workers = Parallel(options.jobs, return_as="list", verbose=5)
    seeds = range(options.seeds)
    found = workers(
        delayed(discover)(front, filters, seed)
        for front in known.FRONTS
        for filters in FILTERS
        for seed in seeds
    )
    training = speech.read_windows(options.corpus, "train", speech.SIZES[-1])
    valid = speech.read_windows(options.corpus, "valid", HELD_OUT)
    tried = workers(
        delayed(regress)(front, training, valid, speech.SIZES[1], options.seeds, rate)
        for front in speech.FRONTS
        for rate in speech.LEARNING_RATES
    )
    rates = {
        front: max((s for s in tried if s.front == front), key=lambda s: s.r2).learning_rate
        for front in speech.FRONTS
    }
    test = speech.read_windows(options.corpus, "test", HELD_OUT)
    scores = workers(
        delayed(regress)(front, training, test, size, seed, rates[front])
        for front in speech.FRONTS
        for size in speech.SIZES
        for seed in seeds
    )
    blocks = {"known": known_table(found), "speech": speech_table(scores)}
    renew_results(options.results, blocks)
    draw_bands(options.results / "bands.png")
    draw_sizes(options.results / "sizes.png", scores)


def discover(front: str, filters: int, seed: int) -> known.Found:
    """`known.discover` on one thread, without the layer."""
    torch.set_num_threads(1)
    return known.discover(front, filters, seed)[0]


def regress(
    front: str,
    training: speech.Windows,
    held_out: speech.Windows,
    size: int,
    seed: int,
    learning_rate: float,
) -> speech.Score:
    """`speech.regress` on one thread."""
    torch.set_num_threads(1)
    return speech.regress(front, training, held_out, size, seed, learning_rate)


def known_table(found: Sequence[known.Found]) -> str:
    """Means over the seeds; errors over those where a band was found."""
    rows = [["first layer", "filters", "bands found of 3", "centre off by", "width", "R²"]]
    for front in known.FRONTS:
        for filters in FILTERS:
            own = [f for f in found if (f.front, f.filters) == (front, filters)]
            some = [f for f in own if f.missed < len(known.BANDS)]
            hit = statistics.mean(len(known.BANDS) - f.missed for f in own)
            off = statistics.mean(f.centre_error for f in some) if some else float("nan")
            width = statistics.mean(f.width_ratio for f in some) if some else float("nan")
            r2 = statistics.mean(f.r2 for f in own)
            row = [front, str(filters), f"{hit:.1f}", f"{100 * off:.0f} %", f"{width:.2f}"]
            rows.append([*row, f"{r2:.3f}"])
    return table(rows)


def speech_table(scores: Sequence[speech.Score]) -> str:
    """R² of each training size, mean and spread over the seeds."""
    heading = [
        "first layer",
        "parameters",
        "learning rate",
        *(f"{n} windows" for n in speech.SIZES),
    ]
    rows = [[*heading, f"RMS error of {speech.SIZES[-1]} (octaves)"]]
    for front in speech.FRONTS:
        own = [s for s in scores if s.front == front]
        cells = []
        for size in speech.SIZES:
            r2 = [s.r2 for s in own if s.size == size]
            cells.append(f"{statistics.mean(r2):.3f} ({min(r2):.3f} … {max(r2):.3f})")
        rms = statistics.mean(s.rms_octaves for s in own if s.size == speech.SIZES[-1])
        counts = [str(own[0].parameters), f"{own[0].learning_rate:g}"]
        rows.append([front, *counts, *cells, f"{rms:.3f}"])
    return table(rows)


def draw_bands(path: Path) -> None:
    """The filters of one training of each kind, over the known bands."""
    figure, axes = pyplot.subplots(
        len(known.FRONTS), 1, figsize=(7, 6), sharex=True, layout="constrained"
    )
    for axis, front in zip(axes, known.FRONTS, strict=True):
        found, layer = known.discover(front, 6, 0)
        taps = layer.taps().detach()
        gain = torch.fft.rfft(taps, n=1024).abs()
        shares = torch.linspace(0, 1, gain.shape[1])
        for (centre, width), weight in zip(known.BANDS, known.WEIGHTS, strict=True):
            colour = "#2a78b4" if weight > 0 else "#c44e52"
            axis.axvspan(centre - width / 2, centre + width / 2, color=colour, alpha=0.25)
        axis.plot(shares, (gain / gain.amax(1, keepdim=True)).T, linewidth=1)
        axis.plot(peaks(taps)[0], torch.full((len(taps),), 1.05), "kv", markersize=4)
        axis.set_title(f"{front}: R² {found.r2:.2f}", fontsize=10, loc="left")
        axis.set_ylabel("gain")
    axes[-1].set_xlabel("frequency (share of Nyquist); shaded: what makes the target")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def draw_sizes(path: Path, scores: Sequence[speech.Score]) -> None:
    """R² against the number of training windows."""
    figure, axis = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for front, marker in zip(speech.FRONTS, "osD^v", strict=True):
        means = [
            statistics.mean(s.r2 for s in scores if (s.front, s.size) == (front, size))
            for size in speech.SIZES
        ]
        axis.plot(speech.SIZES, means, marker=marker, label=front)
    axis.set(xscale="log", xlabel="training windows", ylabel="R² on test windows")
    axis.set_xticks(speech.SIZES, [str(size) for size in speech.SIZES])
    axis.minorticks_off()
    axis.legend(frameon=False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    run(main)
