"""ONNX Runtime beside PyTorch: equality and quality on recordings, and speed on one thread.

    python bench/export.py FILE.onnx [FILE.onnx ...] [--model universal]
        [--folder egs/tiny/wavs/test] [--repeats 5]

Each FILE is what `vocoder export MODEL --output FILE.onnx` has written for whole utterances. One
row per file, over the recordings in the folder: precision of its weights, cost of its low-band
projection, size, the largest difference of the two waveforms from the same noise, the mean PESQ-WB
beside the recordings, and the real-time factors in CPU seconds, medians of calls in turn.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from vocoder.data.audio import read_audio
from vocoder.features.mel import MelSpec
from vocoder.loading import load
from vocoder.metrics.pesq import pesq_wb
from vocoder.models.base import Vocoder
from vocoder_runtime import OnnxVocoder

TEST = Path(__file__).parents[1] / "egs" / "tiny" / "wavs" / "test"
COLUMNS = ("precision", "low band", "MB", "difference", "PESQ")
OPTIONS = (
    "mel_projection",
    "low_band_projection",
    "formant_scale",
    "breath_db",
)
SPEEDS = ("RTF, PyTorch", "RTF, ONNX Runtime")


class Pair:
    """A recording's mel through PyTorch and through a file, with the file's options."""

    def __init__(self, exported: OnnxVocoder, model: Vocoder, path: Path) -> None:
        spec = MelSpec.model_validate_json(exported.metadata["mel"])
        self.exported, self.model = exported, model.for_mel(spec)
        self.recording = read_audio(path, spec.sample_rate).waveform
        self.mel = spec.mel(self.recording[None])
        samples = self.mel.shape[2] * spec.hop_length
        self.noise = torch.randn(1, samples, generator=torch.Generator().manual_seed(0))
        self.seconds = samples / spec.sample_rate

    @torch.inference_mode()
    def in_torch(self) -> Tensor:
        held = {name: json.loads(self.exported.metadata[name]) for name in OPTIONS}
        meets = self.exported.metadata["meets"]
        return self.model(self.mel, noise=self.noise, meets=meets, **held)

    def in_onnx(self) -> Tensor:
        return torch.from_numpy(self.exported(self.mel.numpy(), noise=self.noise.numpy()))

    def scores(self) -> tuple[float, float]:
        """Largest difference of the waveforms, and PESQ-WB of the file's."""
        found = self.in_onnx()
        count = min(len(self.recording), found.shape[1])
        return (
            float((found - self.in_torch()).abs().max()),
            pesq_wb(self.recording[:count], found[0, :count], self.exported.sample_rate),
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--model", default="universal")
    parser.add_argument("--folder", type=Path, default=TEST)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load(options.model)
    recordings = sorted(options.folder.rglob("*.wav"))
    table = Table("file", *COLUMNS, *SPEEDS)
    for path in options.files:
        exported = OnnxVocoder(path)
        pairs = [Pair(exported, model, recording) for recording in recordings]
        differences, scores = zip(*[pair.scores() for pair in pairs], strict=True)
        times_s = [
            (
                sum(cpu_seconds(pair.in_torch) for pair in pairs),
                sum(cpu_seconds(pair.in_onnx) for pair in pairs),
            )
            for _ in range(options.repeats)
        ]
        seconds = sum(pair.seconds for pair in pairs)
        factors = [statistics.median(column) / seconds for column in zip(*times_s, strict=True)]
        table.add_row(
            path.name,
            exported.metadata["precision"],
            exported.metadata["low_band_projection"],
            f"{path.stat().st_size / 1e6:.1f}",
            f"{max(differences):.1e}",
            f"{statistics.mean(scores):.3f}",
            *[f"{factor:.4f}" for factor in factors],
        )
    Console().print(table)


def cpu_seconds(call: Callable[[], Tensor]) -> float:
    """CPU time of one call, of all threads of the process."""
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    main()
