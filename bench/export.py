"""ONNX Runtime beside PyTorch: equality on the shipped recordings, and speed on one thread.

    python bench/export.py FILE.onnx [--model universal] [--repeats 5]

FILE is what `vocoder export MODEL --output FILE.onnx` has written. One row per recording of
egs/tiny/wavs/test: its length, the largest difference of the two waveforms from the same noise, and
the real-time factors, medians of calls in turn, in CPU seconds.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from vocoder.data.audio import read_audio
from vocoder.features.mel import MelSpec
from vocoder.loading import load
from vocoder_runtime import OnnxVocoder

TEST = Path(__file__).parents[1] / "egs" / "tiny" / "wavs" / "test"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", default="universal")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    exported = OnnxVocoder(options.file)
    spec = MelSpec.model_validate_json(exported.metadata["mel"])
    model = load(options.model).for_mel(spec)
    table = Table("recording", "s", "difference", "RTF, PyTorch", "RTF, ONNX Runtime")
    for path in sorted(TEST.glob("*.wav")):
        mel = spec.mel(read_audio(path, spec.sample_rate).waveform[None])
        samples = mel.shape[2] * spec.hop_length
        noise = torch.randn(1, samples, generator=torch.Generator().manual_seed(0))
        seconds = samples / spec.sample_rate

        def in_torch(mel: torch.Tensor = mel, noise: torch.Tensor = noise) -> torch.Tensor:
            with torch.inference_mode():
                return model(mel, noise=noise, low_band_projection=0)

        def in_onnx(mel: torch.Tensor = mel, noise: torch.Tensor = noise) -> torch.Tensor:
            return torch.from_numpy(exported(mel.numpy(), noise=noise.numpy()))

        difference = float((in_torch() - in_onnx()).abs().max())
        times = [(cpu_seconds(in_torch), cpu_seconds(in_onnx)) for _ in range(options.repeats)]
        factors = [statistics.median(column) / seconds for column in zip(*times, strict=True)]
        table.add_row(
            path.stem, f"{seconds:.1f}", f"{difference:.1e}", *[f"{f:.4f}" for f in factors]
        )
    Console().print(table)


def cpu_seconds(call: Callable[[], torch.Tensor]) -> float:
    """CPU time of one call, of all threads of the process."""
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    main()
