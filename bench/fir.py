"""Frame-wise FIR filtering compared with its FFTs alone.

    python bench/fir.py [--repeats 30]

8 × 1 s at 16 kHz, one thread. The bare FFTs are those of the frames, of the taps and the inverse
ones of their products, each of the fastest length for a frame's output, without multiplication and
overlap-add. Both alternate, so that a noisy machine slows both alike; the best CPU time of the
repeats counts.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from rich.console import Console
from rich.table import Table

from vocoder.dsp.filters.fir import fast_length, filter_frames

BATCH, SAMPLES = 8, 16000
SIZES = [(80, 80), (80, 160), (80, 257), (128, 128), (160, 80), (160, 257), (200, 257), (250, 257)]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("hop", "taps", "FFT", "bare FFTs ms", "filter ms", "×", "with gradients ×")
    for hop, n_taps in SIZES:
        frames = SAMPLES // hop
        signal, taps = torch.randn(BATCH, hop * frames), torch.randn(BATCH, frames, n_taps)
        n_fft = fast_length(hop + n_taps - 1)
        forward = partial(bare, n_fft=n_fft)
        ways: list[Callable[[], object]] = [
            partial(forward, signal, taps),
            partial(filter_frames, signal, taps),
            partial(backward, forward, signal, taps),
            partial(backward, lambda s, t: (filter_frames(s, t),), signal, taps),
        ]
        best = [float("inf")] * len(ways)
        for _ in range(options.repeats):
            best = [min(b, seconds(way)) for b, way in zip(best, ways, strict=True)]
        table.add_row(
            str(hop),
            str(n_taps),
            str(n_fft),
            f"{1e3 * best[0]:.2f}",
            f"{1e3 * best[1]:.2f}",
            f"{best[1] / best[0]:.2f}",
            f"{best[3] / best[2]:.2f}",
        )
    Console().print(table)


def bare(signal: torch.Tensor, taps: torch.Tensor, n_fft: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The transforms alone; the inverse one is of the taps' spectrum."""
    spectrum = torch.fft.rfft(signal.unflatten(1, (taps.shape[1], -1)), n=n_fft)
    return spectrum, torch.fft.irfft(torch.fft.rfft(taps, n=n_fft), n=n_fft)


def backward(
    run: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]],
    signal: torch.Tensor,
    taps: torch.Tensor,
) -> None:
    """Forward and backward."""
    outputs = run(signal.clone().requires_grad_(), taps.clone().requires_grad_())
    torch.autograd.backward(outputs, [torch.ones_like(y) for y in outputs])


def seconds(run: Callable[[], object]) -> float:
    """CPU time of this thread."""
    started = time.thread_time()
    run()
    return time.thread_time() - started


if __name__ == "__main__":
    main()
