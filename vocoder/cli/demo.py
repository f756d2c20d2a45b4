"""``vocoder demo``: resynthesises utterances with several systems, scores and plots them."""

import time
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from vocoder.data.audio import read_audio, resample, write_audio
from vocoder.data.manifest import read_manifest
from vocoder.dsp.framing import fit_length
from vocoder.evaluation.figures import spectrogram_figure
from vocoder.evaluation.resynthesis import resynthesise
from vocoder.metrics.f0 import f0_errors
from vocoder.metrics.pesq import pesq_wb
from vocoder.models.base import Vocoder

RATE = 16_000
"""Hz, at which everything is scored and drawn."""


class DemoRow(NamedTuple):
    """Scores of one system on one utterance."""

    utterance: str
    speaker: str
    system: str
    pesq_wb: float
    f0_cents: float
    voicing_error: float
    real_time_factor: float


def run_demo(systems: dict[str, Vocoder], manifest: Path, output: Path) -> list[DemoRow]:
    """Scores of each system on a manifest's utterances outside its training split.

    Writes ``recording/``, one folder of WAVs per system, and ``spectrograms.png`` into ``output``;
    the picture shows each recording above its resyntheses, up to 8 kHz. F0 and voicing are compared
    at 16 kHz. Real-time factors are medians of five calls with torch's current number of threads.
    """
    rows: list[DemoRow] = []
    pictures: dict[str, Tensor] = {}
    for utterance in read_manifest(manifest):
        if utterance.split == "train":
            continue
        path = manifest.parent / utterance.path
        name = path.stem
        recording = read_audio(path)
        write_audio(output / "recording" / f"{name}.wav", recording.waveform, recording.sample_rate)
        reference = resample(recording, RATE).waveform
        pictures[f"{name}: recording"] = reference
        for system, model in systems.items():
            estimate, factor = _timed(model, resample(recording, model.sample_rate).waveform)
            target = output / system / f"{name}.wav"
            write_audio(target, estimate, model.sample_rate)
            # The written file is scored, including its 16-bit rounding.
            written = fit_length(read_audio(target, RATE).waveform[None], len(reference))[0]
            errors = f0_errors(reference, written, RATE)
            rows.append(
                DemoRow(
                    name,
                    utterance.speaker,
                    system,
                    pesq_wb(reference, written, RATE),
                    errors.rmse_cents,
                    errors.voicing_error,
                    factor,
                )
            )
            pictures[f"{name}: {system}"] = written
    spectrogram_figure(pictures, RATE, output / "spectrograms.png")
    return rows


def _timed(model: Vocoder, waveform: Tensor, repeats: int = 3) -> tuple[Tensor, float]:
    """The resynthesis and the real-time factor of its mel → waveform step."""
    estimate = resynthesise(model, waveform)
    with torch.inference_mode():
        mel = model.mel(waveform)
        model(mel)
        times = []
        for _ in range(repeats):
            started = time.perf_counter()
            output = model(mel)
            times.append(time.perf_counter() - started)
    return estimate, sorted(times)[repeats // 2] / (output.shape[1] / model.sample_rate)
