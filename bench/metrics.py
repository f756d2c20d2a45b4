"""Computing time of each measurement per second of audio, on one thread.

    OMP_NUM_THREADS=1 python bench/metrics.py [METRIC ...]

Without names all metrics that can run here; metrics of one measurement are combined. Measured is
the CPU time of this process, both signals of the pair together, on two test recordings of egs/tiny
(8.7 s) in white noise at 20 dB; imports and loading of networks happen before, in an untimed call.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch

from vocoder.data.audio import read_audio
from vocoder.errors import VocoderError
from vocoder.evaluation.registry import METRICS, Column, resolve_columns

TEST = Path(__file__).parents[1] / "egs" / "tiny" / "wavs" / "test"
RECORDINGS = ("ru_0806.wav", "it_dir-firstlast.wav")


def pairs() -> list[tuple[torch.Tensor, torch.Tensor, int]]:
    """Recording, the same in noise, and the rate."""
    found = []
    for name in RECORDINGS:
        audio = read_audio(TEST / name)
        noise = torch.from_numpy(np.random.RandomState(0).randn(len(audio.waveform))).float()
        gain = 0.1 * audio.waveform.square().mean().sqrt()
        found.append((audio.waveform, audio.waveform + gain * noise, audio.sample_rate))
    return found


def runnable(names: list[str]) -> list[Column]:
    """The columns of these names or of all metrics; reports those with missing packages."""
    columns = []
    for name in names or list(METRICS):
        try:
            columns += resolve_columns([name])
        except VocoderError as error:
            if names:
                raise
            print(f"left out: {error}", file=sys.stderr)
    return columns


def main() -> None:
    """Measure and print a table."""
    torch.set_num_threads(1)
    of_source: dict[object, list[Column]] = {}
    for column in runnable(sys.argv[1:]):
        of_source.setdefault(column.source, []).append(column)
    print("| metrics | seconds |\n| --- | ---: |")
    for columns in of_source.values():
        measure = columns[0].measure
        measure(*pairs()[1])
        start, seconds = time.process_time(), 0.0
        for reference, estimate, rate in pairs():
            measure(reference, estimate, rate)
            seconds += len(reference) / rate
        names = ", ".join(f"`{column.name}`" for column in columns)
        print(f"| {names} | {(time.process_time() - start) / seconds:.3f} |", flush=True)


if __name__ == "__main__":
    main()
