"""Tables and picture of the study."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import torch
from matplotlib import pyplot
from torch import Tensor

from studies.dereverberation.contest import Chosen, Score
from studies.dereverberation.measures import STEP_S
from studies.dereverberation.rooms import (
    RATE,
    ROOMS,
    early_to_late_db,
    reverberation_time,
    schroeder_db,
)
from studies.scripts import table

matplotlib.use("Agg")
COLUMNS = (
    ("pesq", "PESQ", 2),
    ("stoi", "STOI", 3),
    ("visqol", "ViSQOL", 2),
    ("dnsmos", "DNSMOS", 2),
    ("t60_s", "T60 left (s)", 2),
    ("c50_db", "C50 (dB)", 1),
)
DRAWN = {
    "reverberant": ("black", "-"),
    "homomorphic": ("#c44e52", "-"),
    "WPE (nara_wpe)": ("#dd8452", "-"),
    "model, fitted in powers": ("#55a868", "-"),
    "model, fitted to the waveform": ("#2a78b4", "-"),
}


class Likeness(NamedTuple):
    """Distances, one for each utterance, between it in the true room and in another."""

    name: str
    mstft: list[float]
    lsd_db: list[float]


def spread(values: Sequence[float], decimals: int) -> str:
    """Mean and standard deviation over the utterances."""
    mean = f"{statistics.mean(values):.{decimals}f}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {statistics.stdev(values):.{decimals}f}"


def rooms_table(responses: Sequence[Tensor]) -> str:
    """Sizes and measured T60 of the test rooms."""
    rows = [["room", "size (m)", "talker to microphone (m)", "T60 (s)", "C50 (dB)"]]
    for room, taps in zip(ROOMS, responses, strict=True):
        source, microphone = (torch.tensor(place) for place in room.places_m["test"])
        rows.append(
            [
                room.name,
                " × ".join(map(str, room.size_m)),
                f"{torch.dist(source, microphone):.1f}",
                f"{reverberation_time(taps.square(), 1 / RATE):.2f}",
                f"{early_to_late_db(taps.square(), 1 / RATE):.1f}",
            ]
        )
    return table(rows)


def settings_table(chosen: Chosen) -> str:
    """The selected settings, and their STOI on the validation utterances."""
    cepstrum, powers = chosen.cepstrum, chosen.powers
    described = {
        "cepstrum": (
            f"segments of {cepstrum.segment} samples, weight falling by {cepstrum.fall:g} Np, "
            f"quefrencies {cepstrum.first} … {cepstrum.last}, share {cepstrum.share:g}"
        ),
        "wpe": f"{chosen.wpe.taps} taps, delay {chosen.wpe.delay}",
        "powers": (
            f"sparseness {powers.sparseness:g}, depth {powers.depth_db:g} dB, "
            f"tail at {powers.level_db:g} dB a tap"
        ),
        "waveform": (
            f"from there {chosen.waveform.waveform_steps} steps of {chosen.waveform.step:g}, "
            f"sparseness {chosen.waveform.waveform_sparseness:g}"
        ),
    }
    names = {
        "cepstrum": "homomorphic",
        "wpe": "WPE",
        "powers": "model, in powers",
        "waveform": "model, to the waveform",
    }
    rows = [["contestant", "chosen", "STOI (valid)"]]
    rows += [[names[key], text, f"{chosen.stoi[key]:.3f}"] for key, text in described.items()]
    return table(rows)


def scores_table(rooms: Sequence[Sequence[Score]], bounds: Sequence[Score]) -> str:
    """Every system in every room, and the upper bounds without a room."""
    rows = [["room", "system", *(label for _, label, _ in COLUMNS)]]
    named = [*zip([room.name for room in ROOMS], rooms, strict=True), ("none", bounds)]
    for name, scores in named:
        for system in dict.fromkeys(s.system for s in scores):
            own = [s.values for s in scores if s.system == system]
            cells = [spread([v[key] for v in own], decimals) for key, _, decimals in COLUMNS]
            rows.append([name, system, *cells])
    return table(rows)


def learned_table(true: Sequence[Tensor], learned: Sequence[Tensor]) -> str:
    """T60 and C50 of the true and the learned responses, one per utterance."""
    rows = [["room", "T60 (s)", "learned", "error", "C50 (dB)", "learned"]]
    for room, taps, found in zip(ROOMS, true, learned, strict=True):
        t60 = reverberation_time(taps.square(), 1 / RATE)
        ours = [reverberation_time(f.square(), 1 / RATE) for f in found]
        error = statistics.mean(abs(t / t60 - 1) for t in ours)
        c50 = [early_to_late_db(f.square(), 1 / RATE) for f in found]
        rows.append(
            [
                room.name,
                f"{t60:.2f}",
                spread(ours, 2),
                f"{100 * error:.0f} %",
                f"{early_to_late_db(taps.square(), 1 / RATE):.1f}",
                spread(c50, 1),
            ]
        )
    return table(rows)


def another_table(rooms: Sequence[Sequence[Likeness]]) -> str:
    """Another utterance in the true room, against the same in other rooms."""
    rows = [["room", "put into", "M-STFT", "LSD (dB)"]]
    for room, versions in zip(ROOMS, rooms, strict=True):
        rows += [[room.name, v.name, spread(v.mstft, 3), spread(v.lsd_db, 2)] for v in versions]
    return table(rows)


def draw(
    path: Path,
    rooms: Sequence[Sequence[Score]],
    true: Sequence[Tensor],
    learned: Sequence[Tensor],
) -> None:
    """Above, the energy decay of each output relative to the dry recording; below, that of the true
    and the learned responses."""
    figure, axes = pyplot.subplots(
        2, len(ROOMS), figsize=(10, 6), layout="constrained", sharex="col", sharey=True
    )
    for column, (room, scores) in enumerate(zip(ROOMS, rooms, strict=True)):
        above, below = axes[:, column]
        for system, (colour, style) in DRAWN.items():
            mean = torch.stack([s.response for s in scores if s.system == system]).mean(dim=0)
            time_s = torch.arange(len(mean)) * STEP_S
            above.plot(time_s, schroeder_db(mean), style, color=colour, label=system)
        for taps in learned[column]:
            curve = schroeder_db(taps.square())[::80]
            below.plot(torch.arange(len(curve)) * 80 / RATE, curve, color="#2a78b4", alpha=0.6)
        curve = schroeder_db(true[column].square())[::80]
        below.plot(torch.arange(len(curve)) * 80 / RATE, curve, color="black")
        t60 = reverberation_time(true[column].square(), 1 / RATE)
        above.set_title(f"{room.name}, T60 {t60:.2f} s", loc="left", fontsize=10)
        above.set(ylim=(-40, 1), xlim=(0, 0.8 * t60))
        below.set_xlabel("time (s)")
    axes[0, 0].set_ylabel("outputs: energy left (dB)")
    axes[1, 0].set_ylabel("responses: energy left (dB)")
    axes[1, 0].legend(["learned, one an utterance"], fontsize=8, frameon=False)
    axes[1, -1].legend(
        [axes[1, -1].lines[-1]], ["true (black)"], fontsize=8, frameon=False, loc="upper right"
    )
    axes[0, -1].legend(fontsize=7, frameon=False, loc="upper right")
    figure.savefig(path, dpi=85)
    pyplot.close(figure)
