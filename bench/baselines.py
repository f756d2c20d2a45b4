"""Cost of every vocoder, at its paper's size and at that of the common budget, in one run.

    python -m bench.baselines [--json] [NAME …]

One thread, random weights: costs do not depend on them. Times are the thread's CPU time, equal to
wall-clock time on an idle machine, so that other work does not count.

For each recipe in `recipes/baselines/`, each in `recipes/baselines/budget/`, and ours: parameters,
multiply-accumulates per second of audio, real-time factor, latency (the future mel frames on which
a sample depends, times the hop; undefined for models that see the whole utterance) and peak memory
of a fresh process, including the interpreter and torch.

The length of the audio is chosen so that a call takes about a second, at most `--seconds`: some
hundredths of a second, at least two frames, for models that run sample by sample, seconds for the
others; each row states it. WORLD and the LPC vocoder analyse the waveform and resynthesise it, the
others start from the mel.
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from vocoder.errors import VocoderError
from vocoder.evaluation.cost import Cost, count_macs, measure_memory
from vocoder.evaluation.resynthesis import resynthesise
from vocoder.loading import UNTRAINED, load
from vocoder.models.base import Vocoder
from vocoder.models.waveform import WaveVocoder
from vocoder.training.recipe import load_recipe

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
INCLUDED = {"ljspeech", "common"}
"""Files beside the recipes that are no recipes."""
OURS = "source_filter"
PAPER, BUDGET, CLASSICAL = "paper", "budget", "classical"
"""Sizes: of the paper, of the comparison under one budget, and of classical vocoders."""
CALL_S = 1.0
LEAST_FRAMES = 2
WAVE_HOP = 4096
"""Samples per frame for vocoders without frames."""


@dataclass(frozen=True)
class Entry:
    """One line of the table: a system, its size, and the recipe or name that it is made from."""

    name: str
    size: str
    source: str


@dataclass(frozen=True)
class Row:
    """Measurements of an entry; ``latency_s`` is None if the whole utterance is needed."""

    name: str
    size: str
    sample_rate: int
    latency_s: float | None
    cost: Cost


class FromRecipe:
    """A recipe's model with random weights; picklable, rebuilt in other processes."""

    def __init__(self, path: str) -> None:
        torch.manual_seed(0)
        self.path = path
        self.vocoder = load_recipe(path).build_model().eval().requires_grad_(False)

    def __reduce__(self) -> tuple[Any, ...]:
        return FromRecipe, (self.path,)

    def __call__(self, mel: Tensor) -> Tensor:
        return self.vocoder(mel, generator=torch.Generator().manual_seed(0))


class Classical:
    """A classical vocoder by name; picklable, rebuilt in other processes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.vocoder: Vocoder | WaveVocoder = load(name)

    def __reduce__(self) -> tuple[Any, ...]:
        return Classical, (self.name,)

    def __call__(self, signal: Tensor) -> Tensor:
        if isinstance(self.vocoder, Vocoder):
            return self.vocoder(signal, generator=torch.Generator().manual_seed(0))
        return resynthesise(self.vocoder, signal[0])[None]


def entries() -> list[Entry]:
    """All systems: ours, the recipes by name, the classical ones."""
    found = [
        Entry(OURS, PAPER, str(RECIPES / OURS / "multispeaker.yaml")),
        Entry(OURS, BUDGET, str(RECIPES / OURS / "budget.yaml")),
    ]
    baselines = RECIPES / "baselines"
    for folder, size in ((baselines, PAPER), (baselines / "budget", BUDGET)):
        paths = [path for path in sorted(folder.glob("*.yaml")) if path.stem not in INCLUDED]
        found += [Entry(path.stem, size, str(path)) for path in paths]
    return found + [Entry(name, CLASSICAL, name) for name in UNTRAINED]


def measure(entry: Entry, longest_s: float = 5.0, repeats: int = 3) -> Row:
    """All costs of one system."""
    made = Classical(entry.source) if entry.size == CLASSICAL else FromRecipe(entry.source)
    vocoder = made.vocoder
    hop = vocoder.spec.hop_length if isinstance(vocoder, Vocoder) else WAVE_HOP
    rate = vocoder.sample_rate
    short = signal_for(vocoder, LEAST_FRAMES)
    made(short)  # the first call warms up
    seconds = timed(made, short)
    # Calls have a fixed cost, so the audio is lengthened step by step.
    frames, ceiling = LEAST_FRAMES, max(LEAST_FRAMES, math.ceil(longest_s * rate / hop))
    while seconds < CALL_S / 2 and frames < ceiling:
        frames = min(ceiling, max(2 * frames, math.floor(frames * min(CALL_S / seconds, 20))))
        signal = signal_for(vocoder, frames)
        seconds = timed(made, signal)
    signal = signal_for(vocoder, frames)
    seconds = statistics.median([seconds, *(timed(made, signal) for _ in range(repeats - 1))])
    audio_s = frames * hop / rate
    # Counting many small operations is slow: use the short signal.
    counted = LEAST_FRAMES if isinstance(vocoder, Vocoder) and vocoder.batched else frames
    macs = 0.0
    if isinstance(vocoder, Vocoder):
        macs = count_macs(made, signal_for(vocoder, counted)) / (counted * hop / rate)
    cost = Cost(
        threads=1,
        audio_s=audio_s,
        seconds=seconds,
        real_time_factor=seconds / audio_s,
        parameters=vocoder.parameters_count if isinstance(vocoder, Vocoder) else 0,
        macs_per_second=macs,
        memory=measure_memory(made, signal),
    )
    lookahead = vocoder.lookahead_frames if isinstance(vocoder, Vocoder) else None
    latency_s = None if lookahead is None else lookahead * hop / rate
    return Row(entry.name, entry.size, rate, latency_s, cost)


def signal_for(vocoder: Vocoder | WaveVocoder, frames: int) -> Tensor:
    """Mel of white noise with a number of frames; the noise itself for waveform vocoders."""
    generator = torch.Generator().manual_seed(0)
    if not isinstance(vocoder, Vocoder):
        return 0.1 * torch.randn(1, frames * WAVE_HOP, generator=generator)
    samples = max(frames * vocoder.spec.hop_length, vocoder.spec.n_fft)
    return vocoder.mel(0.1 * torch.randn(1, samples, generator=generator))[:, :, :frames]


@torch.inference_mode()
def timed(synthesise: Callable[[Tensor], Tensor], signal: Tensor) -> float:
    """CPU seconds of this thread, the only one, in one call."""
    started = time.thread_time()
    synthesise(signal)
    return time.thread_time() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only these systems")
    parser.add_argument("--seconds", type=float, default=5.0, help="longest audio")
    parser.add_argument("--repeats", type=int, default=3, help="timed calls; the median counts")
    parser.add_argument("--json", action="store_true", help="print JSON for a script")
    options = parser.parse_args()
    torch.set_num_threads(1)
    wanted = list(chosen(options.names))
    rows = [
        measure(entry, options.seconds, options.repeats)
        for entry in track(wanted, "measuring", console=Console(stderr=True))
    ]
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        Console(width=120).print(table(rows))
        print(
            "MMAC/s: million multiply-accumulates for a second of audio, matrix products, "
            "convolutions and Fourier transforms within torch. Latency: of the model itself, "
            "without the mel's window. –: not countable, or the whole utterance."
        )


def chosen(names: list[str]) -> Iterator[Entry]:
    """The entries of these names, or all."""
    every = entries()
    if unknown := sorted(set(names) - {entry.name for entry in every}):
        known = ", ".join(dict.fromkeys(entry.name for entry in every))
        raise VocoderError(f"no system {unknown[0]!r}; there are: {known}")
    return (entry for entry in every if not names or entry.name in names)


def table(rows: list[Row]) -> Table:
    """One line per system and size."""
    made = Table("system", "size", box=None)
    for heading in ("kHz", "audio\n(s)", "parameters\n(M)", "MMAC/s", "RTF", "latency\n(ms)",
                    "peak memory\n(MB)", "by synthesis\n(MB)"):  # fmt: skip
        made.add_column(heading, justify="right")
    for column in made.columns:
        column.no_wrap = True
    for row in rows:
        cost = row.cost
        assert cost.memory is not None
        made.add_row(
            row.name,
            row.size,
            f"{row.sample_rate / 1000:g}",
            f"{cost.audio_s:.2f}",
            f"{cost.parameters / 1e6:.2f}" if cost.parameters else "–",
            f"{cost.macs_per_second / 1e6:.0f}" if cost.macs_per_second else "–",
            f"{cost.real_time_factor:.4g}",
            "–" if row.latency_s is None else f"{1000 * row.latency_s:.0f}",
            f"{cost.memory.peak / 1e6:.0f}",
            f"{cost.memory.increase / 1e6:.0f}",
        )
    return made


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        try:
            main()
        except VocoderError as error:
            sys.exit(f"error: {error}")
