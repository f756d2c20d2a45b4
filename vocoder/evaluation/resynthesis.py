"""Audio files through a vocoder: wav → mel → wav, or wav → a classical vocoder → wav."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from vocoder.data.audio import (
    Audio,
    audio_writer,
    find_audio,
    open_audio,
    read_audio,
)
from vocoder.dsp.framing import fit_length
from vocoder.errors import AudioError, VocoderError
from vocoder.features.mel_blocks import mel_sections
from vocoder.features.stretch import stretch_mel
from vocoder.models.base import NO_CHANGE, Vocoder, VoiceChange
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.source_filter import SourceFilter
from vocoder.models.source_filter.streaming import Stream
from vocoder.models.waveform import WaveVocoder

STREAMED_S = 300.0
"""Files longer than this are read, analysed, synthesised and written in pieces, if the model is a
source-filter vocoder."""


@dataclass(frozen=True)
class Resynthesis:
    """Result of one file or folder: ``error`` is empty if ``output`` was written."""

    source: Path
    output: Path
    duration_s: float = 0.0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    error: str = ""


def output_paths(
    inputs: Sequence[Path], output: Path
) -> tuple[dict[Path, Path], list[Resynthesis]]:
    """Output path of each input file: folders keep their inner structure, files their names.

    What lies in an output folder within an input folder is no input. Inputs that are missing,
    unreadable or without audio are returned as failed.

    Raises:
        AudioError: two inputs with the same output, or an output that would overwrite its input.
    """
    targets: dict[Path, Path] = {}
    failed: list[Resynthesis] = []
    made = Path(os.path.realpath(output))
    for given in inputs:
        try:
            sources = find_audio([given])
        except AudioError as error:
            failed.append(Resynthesis(given, output, error=str(error)))
            continue
        if Path(os.path.realpath(given)) in made.parents:
            sources = [s for s in sources if made not in Path(os.path.realpath(s)).parents]
        for source in sources:
            inner = source.relative_to(given) if given.is_dir() else Path(source.name)
            targets[source] = (output / inner).with_suffix(".wav")
    owners: dict[Path, Path] = {}
    for source, target in targets.items():
        if target in owners:
            raise AudioError(f"{source} and {owners[target]} would both become {target}")
        if os.path.realpath(target) == os.path.realpath(source):
            raise AudioError(f"{source}: --output would overwrite it; choose another folder")
        owners[target] = source
    return targets, failed


def resynthesise_files(
    model: Vocoder | WaveVocoder,
    targets: dict[Path, Path],
    change: VoiceChange = NO_CHANGE,
    seed: int = 0,
    on_done: Callable[[Resynthesis], None] | None = None,
    batch_size: int | None = None,
    speed: float = 1.0,
) -> list[Resynthesis]:
    """Resynthesise files; a bad file is reported without stopping the others.

    Each file's noise starts from ``seed``, so results do not depend on other files. The output has
    the length of the input at the model's rate, divided by ``speed`` (`stretch_mel`). Files longer
    than `STREAMED_S` are streamed; the seconds of these include reading and writing.

    Args:
        batch_size: files synthesised together, padded with silence to the longest. The default is
            16 for models for which a batch costs little more than one file; others take one file.

    Raises:
        VocoderError: a batch of several files for a model that takes one.
    """
    batched = isinstance(model, Vocoder) and model.batched
    if batch_size is None:
        batch_size = 16 if batched else 1
    if batch_size > 1 and not batched:
        raise VocoderError(f"{type(model).__name__} takes one file at a time; leave --batch out")
    results: dict[Path, Resynthesis] = {}

    def note(result: Resynthesis) -> None:
        results[result.source] = result
        if on_done is not None:
            on_done(result)

    sources = list(targets)
    if isinstance(model, SourceFilter):
        for source in filter(_is_long, sources):
            note(_stream(model, source, targets[source], change, seed, speed))
        sources = [source for source in sources if source not in results]
    # Files of similar length share a batch; only several batches' worth are read at a time, to
    # bound memory.
    stretch = batch_size if batch_size == 1 else 8 * batch_size
    for first in range(0, len(sources), stretch):
        done, read = _read(sources[first : first + stretch], targets, model.sample_rate)
        read.sort(key=lambda item: len(item[1].waveform))
        batches = (read[at : at + batch_size] for at in range(0, len(read), batch_size))
        written = (_batch(model, batch, targets, change, seed, speed) for batch in batches)
        for result in chain(done, chain.from_iterable(written)):
            note(result)
    return [results[source] for source in targets]


def _is_long(source: Path) -> bool:
    """Whether a file is, or may be, longer than `STREAMED_S`."""
    try:
        with open_audio(source) as file:
            return file.duration_s is None or file.duration_s > STREAMED_S
    except AudioError:  # reported when it is read
        return False


@torch.inference_mode()
def _stream(
    model: SourceFilter, source: Path, target: Path, change: VoiceChange, seed: int, speed: float
) -> Resynthesis:
    """Read, analyse, synthesise and write a file in pieces: memory does not grow with it, but for
    its mel at another speed."""
    started = time.perf_counter()
    rate, read, written, peak = model.sample_rate, 0, 0, 0.0
    stream = model.stream(
        **change._asdict(),
        generator=torch.Generator().manual_seed(seed),
        low_band_projection=None,
    )

    def counted(blocks: Iterator[Tensor]) -> Iterator[Tensor]:
        nonlocal read
        for block in blocks:
            read += len(block)
            yield block

    try:
        with open_audio(source) as file, audio_writer(target, rate) as write:
            # The last frames reach beyond the end of the file, so that the whole is cut to it.
            sections = mel_sections(model.spec, counted(file.blocks(rate)))
            pieces: Iterable[Tensor] = chain(
                map(stream.push, sections), map(Stream.flush, [stream])
            )
            if speed != 1:
                mel = torch.cat(list(sections), dim=2)
                pieces = stream.chunks(stretch_mel(mel, model.spec, speed))
            for piece in pieces:
                kept = piece[0, : _samples_at(speed, read) - written]
                peak = max(peak, float(kept.abs().amax())) if len(kept) else peak
                written += len(kept)
                write(kept)
            write(torch.zeros(_samples_at(speed, read) - written))
            notes = file.notes(rate)
    except VocoderError as error:
        return Resynthesis(source, target, error=str(error))
    notes += _peak_note(peak)
    return Resynthesis(source, target, read / rate, time.perf_counter() - started, notes)


def _samples_at(speed: float, samples: int) -> int:
    """Samples of a waveform at another speed."""
    return int(samples / speed + 0.5)


def _peak_note(peak: float) -> list[str]:
    return [f"output peak {peak:.2f} clipped"] if peak > 1 else []


def _read(
    sources: Sequence[Path], targets: dict[Path, Path], sample_rate: int
) -> tuple[list[Resynthesis], list[tuple[Path, Audio]]]:
    """Unreadable files, and the audio of the others."""
    failed, read = [], []
    for source in sources:
        try:
            read.append((source, read_audio(source, sample_rate)))
        except VocoderError as error:
            failed.append(Resynthesis(source, targets[source], error=str(error)))
    return failed, read


def _batch(
    model: Vocoder | WaveVocoder,
    batch: Sequence[tuple[Path, Audio]],
    targets: dict[Path, Path],
    change: VoiceChange,
    seed: int,
    speed: float,
) -> Iterator[Resynthesis]:
    """Synthesise files together and write them; the time is divided by their lengths."""
    started = time.perf_counter()
    try:
        given = [audio.waveform for _, audio in batch]
        waveforms = resynthesise_batch(model, given, change, seed, speed)
    except VocoderError as error:
        if len(batch) > 1:  # one file fails: retry the others without it
            for item in batch:
                yield from _batch(model, [item], targets, change, seed, speed)
        else:
            source = batch[0][0]
            yield Resynthesis(source, targets[source], error=str(error))
        return
    total = sum(audio.duration_s for _, audio in batch)
    seconds_per_second = (time.perf_counter() - started) / total
    for (source, audio), waveform in zip(batch, waveforms, strict=True):
        target = targets[source]
        notes = [*audio.notes, *_peak_note(float(waveform.abs().max()))]
        try:
            with audio_writer(target, model.sample_rate) as write:
                write(waveform)
        except VocoderError as error:
            yield Resynthesis(source, target, error=str(error))
        else:
            duration_s = audio.duration_s
            seconds = seconds_per_second * duration_s
            yield Resynthesis(source, target, duration_s, seconds, notes)


def resynthesise(
    model: Vocoder | WaveVocoder, waveform: Tensor, change: VoiceChange = NO_CHANGE, seed: int = 0
) -> Tensor:
    """Waveform (samples,) → mel → waveform of the same length."""
    return resynthesise_batch(model, [waveform], change, seed)[0]


@torch.inference_mode()
def resynthesise_batch(
    model: Vocoder | WaveVocoder,
    waveforms: Sequence[Tensor],
    change: VoiceChange = NO_CHANGE,
    seed: int = 0,
    speed: float = 1.0,
) -> list[Tensor]:
    """Waveforms (samples,) → mels, padded with silence to the longest → waveforms as long, or, at
    another ``speed``, of the samples divided by it.

    Raises:
        VocoderError: the model cannot change the voice so.
    """
    if isinstance(model, WaveVocoder):
        if speed != 1:
            raise VocoderError(f"{type(model).__name__} takes no mel; leave --speed out")
        f0_scale = change.arguments(("f0_scale",), type(model).__name__)["f0_scale"]
        return [
            model.resynthesise(waveform, f0_scale, torch.Generator().manual_seed(seed))
            for waveform in waveforms
        ]
    options = change.arguments(model.voice_changes, type(model).__name__)
    mels = [stretch_mel(model.mel(waveform), model.spec, speed) for waveform in waveforms]
    frames = max(mel.shape[2] for mel in mels)
    together = torch.cat([pad_silence(mel, model.spec, (0, frames - mel.shape[2])) for mel in mels])
    generators = [torch.Generator().manual_seed(seed) for _ in mels]
    output = model(together, generator=generators, **options)
    pairs = zip(output, waveforms, strict=True)
    return [fit_length(row[None], _samples_at(speed, len(w)))[0] for row, w in pairs]
