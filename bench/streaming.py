"""Latency of a stream: when the first sound comes, and what a push costs, on one thread.

    python bench/streaming.py [--model universal] [--mels vocos_24k hifigan_22k] [--seconds 10]

One row per mel and number of frames per push: the mel that must have come before the first sound
(the lookahead and, on average, half a push), its time in ms; the median and the 95th percentile of
the computing time of a push, in ms of CPU, so that other processes disturb it less; the real-time
factor, the former per duration of the frames; and the size of the state.
"""

import argparse
import statistics
import time

import torch
from rich.console import Console
from rich.table import Table

from vocoder.loading import load

CHUNKS = (1, 4, 16)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="universal")
    parser.add_argument("--mels", nargs="*", default=["vocos_24k", "hifigan_22k", "speecht5_16k"])
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = Table(
        "mel", "frames per push", "first sound, ms", "push, ms", "95 %, ms", "RTF", "state, kB"
    )
    model = load(options.model)
    for name in options.mels if model.serves_any_mel else [options.model]:
        vocoder = model.for_mel(name) if model.serves_any_mel else model
        spec = vocoder.spec
        frames = int(options.seconds * spec.sample_rate / spec.hop_length)
        mel = spec.mel(0.1 * torch.randn(1, frames * spec.hop_length))
        hop_ms = 1000 * spec.hop_length / spec.sample_rate
        for size in CHUNKS:
            stream = vocoder.stream()
            first_frame, times = 0, []
            with torch.inference_mode():
                for start in range(0, frames - size + 1, size):
                    piece = mel[:, :, start : start + size]
                    began = time.thread_time()
                    ready = stream.push(piece)
                    took_ms = 1000 * (time.thread_time() - began)
                    if first_frame:
                        times.append(took_ms)
                    elif ready.shape[1]:
                        first_frame = start + size
            median = statistics.median(times)
            table.add_row(
                name,
                str(size),
                f"{first_frame * hop_ms:.0f}",
                f"{median:.2f}",
                f"{sorted(times)[int(0.95 * len(times))]:.2f}",
                f"{median / (size * hop_ms):.4f}",
                f"{sum(t.nbytes for t in stream.state().values()) / 1000:.0f}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
