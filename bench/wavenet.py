"""WaveNet's cached generation at full size, compared with recomputation, and batched.

    python bench/wavenet.py [--samples 768] [--repeats 5] [--threads 1]

The default model (r9y9's mixture of logistics) with random weights. Three methods alternate, so
that a noisy machine slows all of them alike, and the best of the repeats counts; on one thread, CPU
time is used:

- one utterance with cached queues;
- a batch of sixteen with cached queues;
- one utterance where each sample recomputes its receptive field by the full forward pass, with the
  conditioning computed beforehand; a few samples of it.
"""

import argparse
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from vocoder.features.mel import PRESETS
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.wavenet import WaveNet, WaveNetConfig

RECOMPUTED = 8
BATCH = 16


def seconds() -> float:
    """CPU time of this thread if it is the only one, wall-clock time otherwise."""
    return time.thread_time() if torch.get_num_threads() == 1 else time.perf_counter()


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = WaveNet(WaveNetConfig(), PRESETS["speecht5_16k"]).eval()
    frames = -(-options.samples // model.spec.hop_length)
    ways: dict[str, tuple[int, Callable[[], float]]] = {
        "cached, one utterance": (1, lambda: cached(model, frames, 1)),
        f"cached, batch of {BATCH}": (BATCH, lambda: cached(model, frames, BATCH)),
        "recomputed, one utterance": (1, lambda: recomputed(model)),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(options.repeats):
        for name, (_, run) in ways.items():
            best[name] = min(best[name], run())
    table = Table("generation", "ms a sample step", "samples/s", "× one cached")
    first = best["cached, one utterance"]
    for name, (items, _) in ways.items():
        rate = items / best[name]
        table.add_row(name, f"{1e3 * best[name]:.3f}", f"{rate:.0f}", f"{rate * first:.3f}")
    console = Console()
    console.print(
        f"{model.parameters_count / 1e6:.2f} M parameters, receptive field "
        f"{model.receptive_field} samples, {options.threads} thread(s)"
    )
    console.print(table)
    console.print(f"cached / recomputed: {best['recomputed, one utterance'] / first:.0f} times")


def cached(model: WaveNet, frames: int, batch: int) -> float:
    """Seconds a time step."""
    mel = torch.full((batch, model.spec.n_mels, frames), -2.0)
    samples = frames * model.spec.hop_length
    drawn = model.draw(batch, samples, torch.Generator().manual_seed(0), mel)
    started = seconds()
    model.generate(mel, drawn)
    return (seconds() - started) / samples


@torch.inference_mode()
def recomputed(model: WaveNet) -> float:
    """Seconds a time step."""
    frames = -(-model.receptive_field // model.spec.hop_length)
    mel = torch.full((1, model.spec.n_mels, frames), -2.0)
    condition = model.conditioning(pad_silence(mel, model.spec, model.context))
    condition = condition[:, :, -model.receptive_field :]
    generator = torch.Generator().manual_seed(0)
    drawn = model.draw(1, RECOMPUTED, generator, mel)
    waveform = torch.zeros(1, model.receptive_field)
    model.predict_from(waveform, condition)
    started = seconds()
    for index in range(RECOMPUTED):
        parameters = model.predict_from(waveform, condition)[:, -1]
        sample = model.sample(parameters, drawn[:, index])
        waveform = torch.cat([waveform[:, 1:], sample[:, None]], dim=1)
    return (seconds() - started) / RECOMPUTED


if __name__ == "__main__":
    main()
