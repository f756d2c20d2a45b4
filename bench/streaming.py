"""Latency of a stream: when the first sound comes, and what a push costs, on one thread.

    python bench/streaming.py [--model universal] [--mels vocos_24k hifigan_22k] [--seconds 10]
        [--onnx FILE.onnx ...]

One row per mel and number of frames per push: duration of the mel that must have come before the
first sound; median and 95th percentile of the computing time of a push, in ms of CPU time, which
other processes disturb less than wall-clock time; and the real-time factor, the median per duration
of the frames. FILE is what `vocoder export --streaming` has written; it runs in ONNX Runtime.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from vocoder.features.mel import MelSpec
from vocoder.loading import load
from vocoder_runtime import OnnxStream, OnnxVocoder

CHUNKS = (1, 4, 16)
Samples = Tensor | np.ndarray


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="universal")
    parser.add_argument("--mels", nargs="*", default=["vocos_24k", "hifigan_22k", "speecht5_16k"])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--onnx", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    columns = ("frames a push", "first sound, ms", "push, ms", "95 %, ms", "RTF")
    table = Table("stream", *columns)
    model = load(options.model)
    for name in options.mels if model.serves_any_mel else [options.model]:
        vocoder = model.for_mel(name) if model.serves_any_mel else model
        for size in CHUNKS:
            speak = torch.inference_mode()(vocoder.stream().push)
            table.add_row(name, *measure(speak, vocoder.spec, size, options.seconds))
    for path in options.onnx:
        exported = OnnxVocoder(path)
        spec = MelSpec.model_validate_json(exported.metadata["mel"])
        for size in CHUNKS:
            push = partial(_push_array, exported.stream())
            table.add_row(path.name, *measure(push, spec, size, options.seconds))
    Console().print(table)


def _push_array(stream: OnnxStream, mel: Tensor) -> np.ndarray:
    return stream.push(mel.numpy())


def measure(
    push: Callable[[Tensor], Samples], spec: MelSpec, size: int, seconds: float
) -> list[str]:
    """A row of the table, of ``size`` frames per push."""
    frames = int(seconds * spec.sample_rate / spec.hop_length)
    generator = torch.Generator().manual_seed(0)
    mel = spec.mel(0.1 * torch.randn(1, frames * spec.hop_length, generator=generator))
    hop_ms = 1000 * spec.hop_length / spec.sample_rate
    first_frame, times_ms = 0, []
    for start in range(0, frames - size + 1, size):
        began = time.process_time()
        ready = push(mel[:, :, start : start + size])
        took_ms = 1000 * (time.process_time() - began)
        if first_frame:
            times_ms.append(took_ms)
        elif ready.shape[1]:
            first_frame = start + size
    median = statistics.median(times_ms)
    late = sorted(times_ms)[int(0.95 * len(times_ms))]
    first_ms, factor = first_frame * hop_ms, median / (size * hop_ms)
    return [str(size), f"{first_ms:.0f}", f"{median:.2f}", f"{late:.2f}", f"{factor:.4f}"]


if __name__ == "__main__":
    main()
