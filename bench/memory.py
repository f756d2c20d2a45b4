"""Resident memory on long audio: ten minutes in one call, and an hour in chunks.

    python bench/memory.py

Each measurement uses a separate process, on Linux. For the hour, memory is read after every tenth
chunk: it must be constant.
"""

from pathlib import Path

import torch

from vocoder.evaluation.cost import measure_memory
from vocoder.loading import load
from vocoder.models.source_filter import SourceFilter


def resident_mb() -> float:
    """Resident memory of this process, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmRSS: this measurement needs Linux")


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    model = load()
    assert isinstance(model, SourceFilter)
    spec = model.spec
    minute = 60 * spec.sample_rate // spec.hop_length
    mel = torch.full((1, spec.n_mels, 10 * minute), -2.0)
    memory = measure_memory(model, mel)
    print(f"ten minutes in one call: peak {memory.peak / 2**20:.0f} MB resident")
    mel = torch.full((1, spec.n_mels, 60 * minute), -2.0)
    readings, samples = [], 0
    with torch.inference_mode():
        for index, piece in enumerate(model.stream().chunks(mel)):
            samples += piece.shape[1]
            if index % 10 == 5:
                readings.append(resident_mb())
    print(
        f"an hour in chunks ({samples / spec.sample_rate / 60:.0f} min, {len(readings)} readings): "
        f"{min(readings):.0f} to {max(readings):.0f} MB resident"
    )


if __name__ == "__main__":
    main()
