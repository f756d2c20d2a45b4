"""Reading and writing audio files, with a note of every change."""

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
import soundfile
import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.data.files import replacing
from vocoder.errors import AudioError

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3"})

FULL_SCALE = 32767 / 32768
"""Magnitude from which a sample counts as clipped: the largest positive 16-bit value."""

CLIPPED_FRACTION = 1e-3
"""Fraction of full-scale samples above which a file is reported as clipped."""

SILENCE_PEAK = 1e-4
"""Peak (−80 dBFS) below which a file is reported as silent."""

UNKNOWN_SIZE = (0, 0xFFFFFFFF)
"""WAV data sizes written by programs that do not know the length (into a pipe)."""


@dataclass(frozen=True)
class Audio:
    """One channel of sound.

    waveform: float32 in [-1, 1], shape (samples,).
    sample_rate: Hz.
    notes: changes made while reading, and anomalies, one short phrase each.
    """

    waveform: Float[Tensor, " samples"]
    sample_rate: int
    notes: list[str] = field(default_factory=list)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.waveform.shape[0] / self.sample_rate


def read_audio(path: str | Path, sample_rate: int | None = None) -> Audio:
    """Read an audio file as one channel of float32, resampled to `sample_rate` (Hz) if given.

    Channels are averaged; resampling is soxr's band-limited "HQ" (linear phase, length
    round(samples * new / old)). `notes` reports both, and clipping (more than 0.1 % of the samples
    at full scale), samples beyond full scale, and silence (peak below -80 dBFS).

    Raises AudioError, naming the file, where it is missing, unreadable, not audio, truncated
    (fewer samples than its header promises), empty, or holds NaN or infinite samples.
    """
    path = Path(path)
    samples, source_rate = _decode(path)
    if samples.shape[0] == 0:
        raise AudioError(f"{path}: holds no samples; leave it out")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: holds NaN or infinite samples; write the file again or drop it")
    notes = []
    if samples.shape[1] > 1:
        notes.append(f"{samples.shape[1]} channels averaged to one")
    notes += _level_notes(samples)
    mono = Audio(torch.from_numpy(samples.mean(axis=1, dtype=np.float32)), source_rate, notes)
    audio = mono if sample_rate is None else resample(mono, sample_rate)
    if audio.waveform.shape[0] == 0:
        raise AudioError(f"{path}: too short to resample to {sample_rate} Hz; leave it out")
    return audio


def resample(audio: Audio, sample_rate: int) -> Audio:
    """Change the sample rate (Hz) by soxr's "HQ": linear phase, band limited, 100 dB down.

    The length becomes round(samples * new / old); the change is added to the notes. Audio already
    at that rate is returned unchanged.
    """
    if audio.sample_rate == sample_rate:
        return audio
    resampled = soxr.resample(audio.waveform.numpy(), audio.sample_rate, sample_rate, quality="HQ")
    note = f"resampled from {audio.sample_rate} to {sample_rate} Hz"
    return Audio(torch.from_numpy(resampled), sample_rate, [*audio.notes, note])


def write_audio(path: str | Path, waveform: Float[Tensor, " samples"], sample_rate: int) -> None:
    """Write a 16-bit PCM WAV atomically; a missing folder is created.

    The sample x becomes round(32768 x), clipped to [-32768, 32767]: the output of `read_audio` for
    a 16-bit file is written back bit for bit.

    Raises AudioError where the waveform is not one-dimensional, is empty or is not finite.
    """
    path = Path(path)
    samples = waveform.detach().cpu().double().numpy()
    if samples.ndim != 1 or samples.size == 0:
        raise AudioError(f"{path}: a waveform of shape (samples,) is needed, not {samples.shape}")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: the waveform holds NaN or infinite samples; not written")
    pcm = np.clip(np.round(samples * 32768), -32768, 32767).astype(np.int16)
    with replacing(path) as temporary:
        soundfile.write(temporary, pcm, sample_rate, format="WAV", subtype="PCM_16")


def find_audio(paths: Iterable[str | Path]) -> list[Path]:
    """Expand files and folders to audio files: folders in sorted order, each file once.

    A folder is searched recursively for .wav, .flac, .ogg and .mp3, except hidden names; a file
    given by name is accepted with any suffix.

    Raises AudioError where a path does not exist, or a folder cannot be read or holds no audio.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(_walk(path))
            if not inside:
                kinds = ", ".join(sorted(AUDIO_SUFFIXES))
                raise AudioError(f"{path}: no audio in this folder (looked for {kinds})")
            found.update(dict.fromkeys(inside))
        elif path.exists():
            found[path] = None
        else:
            raise AudioError(f"{path}: does not exist; check the path")
    return list(found)


def _walk(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> NoReturn:
        raise AudioError(f"{error.filename}: the folder cannot be read ({error.strerror})")

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                yield Path(parent) / name


def _decode(path: Path) -> tuple[Float[np.ndarray, "samples channels"], int]:
    """All samples of a file and its rate; every failure becomes a one-line AudioError."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            promised, present = _wav_data_bytes(file.read(1 << 16), size)
    except FileNotFoundError as error:
        raise AudioError(f"{path}: does not exist; check the path") from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror})") from error
    if size == 0:
        raise AudioError(f"{path}: an empty file; leave it out")
    if promised > present:
        raise AudioError(
            f"{path}: truncated, {present} of {promised} bytes of sound; copy the file again"
        )
    try:
        with soundfile.SoundFile(path) as file:
            samples = file.read(dtype="float32", always_2d=True)
            frames, rate = file.frames, file.samplerate
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(f"{path}: not an audio file that can be decoded ({error})") from error
    if samples.shape[0] < frames:
        raise AudioError(
            f"{path}: truncated, {samples.shape[0]} of {frames} samples; copy the file again"
        )
    return samples, rate


def _wav_data_bytes(head: bytes, file_size: int) -> tuple[int, int]:
    """Bytes of audio data: declared in a RIFF WAV's header, and present in the file.

    libsndfile silently reads a truncated WAV as a shorter one. (0, 0) for other formats, and for
    the placeholder sizes of programs that write into a pipe.
    """
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return 0, 0
    position = 12
    while position + 8 <= len(head):
        name, size = struct.unpack_from("<4sI", head, position)
        position += 8
        if name == b"data":
            return (0, 0) if size in UNKNOWN_SIZE else (size, file_size - position)
        position += size + size % 2
    return 0, 0


def _level_notes(samples: Float[np.ndarray, "samples channels"]) -> list[str]:
    magnitude = np.abs(samples)
    peak = float(magnitude.max())
    if peak < SILENCE_PEAK:
        return ["silent (peak below -80 dBFS)"]
    notes = []
    clipped = float((magnitude >= FULL_SCALE).mean())
    if clipped > CLIPPED_FRACTION:
        notes.append(f"clipped ({100 * clipped:.1f} % of the samples at full scale)")
    if peak > 1.0:
        notes.append(f"peak {peak:.2f} beyond full scale")
    return notes
