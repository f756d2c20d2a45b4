"""Audio files through a vocoder: wav → mel → wav, or wav → WORLD's parameters → wav."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from vocoder.data.audio import find_audio, read_audio, write_audio
from vocoder.dsp.framing import fit_length
from vocoder.errors import AudioError, VocoderError
from vocoder.evaluation.degradations import World
from vocoder.features.mel import PRESETS
from vocoder.metrics.world import require_world
from vocoder.models.base import Vocoder
from vocoder.models.source_filter import SourceFilter

WORLD = "world"
"""Name of the vocoder that starts from the waveform: no mel goes into it, nothing is loaded."""


@dataclass(frozen=True)
class WorldVocoder:
    """WORLD's analysis and synthesis at the rate of the shipped vocoder; it has no noise to seed.

    Raises:
        VocoderError: the extra `evaluate` is not installed.
    """

    sample_rate: int = PRESETS["speecht5_16k"].sample_rate

    def __post_init__(self) -> None:
        require_world("the vocoder WORLD")

    def resynthesise(self, waveform: Tensor, f0_scale: float) -> Tensor:
        """Waveform (samples,) → F0, envelope, aperiodicity → waveform of the same length."""
        analysed = World.analyse(waveform, self.sample_rate)
        return analysed.synthesise(cents=1200 * math.log2(f0_scale))


AnyVocoder = Vocoder | WorldVocoder


@dataclass(frozen=True)
class Resynthesis:
    """What became of one file or folder: ``error`` is empty where ``output`` was written."""

    source: Path
    output: Path
    duration_s: float = 0.0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    error: str = ""


def output_paths(
    inputs: Sequence[Path], output: Path
) -> tuple[dict[Path, Path], list[Resynthesis]]:
    """Where each input file's result goes: folders keep their inner structure, files their names.

    Inputs that are missing, unreadable or without audio come back as failed, beside the rest.

    Raises:
        AudioError: two inputs with one output, or an output that would overwrite its input.
    """
    targets: dict[Path, Path] = {}
    failed: list[Resynthesis] = []
    for given in inputs:
        try:
            sources = find_audio([given])
        except AudioError as error:
            failed.append(Resynthesis(given, output, error=str(error)))
            continue
        for source in sources:
            inner = source.relative_to(given) if given.is_dir() else Path(source.name)
            targets[source] = (output / inner).with_suffix(".wav")
    owners: dict[Path, Path] = {}
    for source, target in targets.items():
        if target in owners:
            raise AudioError(f"{source} and {owners[target]} would both become {target}")
        if target.resolve() == source.resolve():
            raise AudioError(f"{source}: --output would overwrite it; choose another folder")
        owners[target] = source
    return targets, failed


def resynthesise_files(
    model: AnyVocoder,
    targets: dict[Path, Path],
    f0_scale: float = 1.0,
    seed: int = 0,
    on_done: Callable[[Resynthesis], None] | None = None,
) -> list[Resynthesis]:
    """Resynthesise files one by one; a bad file is reported and the others go on.

    Each file's noise starts from ``seed``, so a result does not depend on its neighbours. The
    output has the length of the input at the model's rate.
    """
    results = []
    for source, target in targets.items():
        try:
            result = _resynthesise(model, source, target, f0_scale, seed)
        except (VocoderError, OSError) as error:
            result = Resynthesis(source, target, error=str(error))
        results.append(result)
        if on_done is not None:
            on_done(result)
    return results


@torch.inference_mode()
def _resynthesise(
    model: AnyVocoder, source: Path, target: Path, f0_scale: float, seed: int
) -> Resynthesis:
    audio = read_audio(source, model.sample_rate)
    started = time.perf_counter()
    waveform = resynthesise(model, audio.waveform, f0_scale, seed)
    seconds = time.perf_counter() - started
    notes = list(audio.notes)
    peak = float(waveform.abs().max())
    if peak > 1:
        notes.append(f"output peak {peak:.2f} clipped")
    write_audio(target, waveform, model.sample_rate)
    return Resynthesis(source, target, audio.duration_s, seconds, notes)


@torch.inference_mode()
def resynthesise(
    model: AnyVocoder, waveform: Tensor, f0_scale: float = 1.0, seed: int = 0
) -> Tensor:
    """Waveform (samples,) → mel → waveform of the same length."""
    if isinstance(model, WorldVocoder):
        return model.resynthesise(waveform, f0_scale)
    generator = torch.Generator().manual_seed(seed)
    mel = model.mel(waveform)
    if isinstance(model, SourceFilter):
        output = model(mel, f0_scale=f0_scale, generator=generator)
    elif f0_scale != 1.0:
        raise VocoderError(f"{type(model).__name__} has no F0 to scale; leave --f0-scale out")
    else:
        output = model(mel, generator=generator)
    return fit_length(output, len(waveform))[0]
