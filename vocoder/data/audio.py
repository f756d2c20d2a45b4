"""Reading and writing audio files, with a note of every change."""

import os
import struct
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
import soundfile
import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.data.containers import sound_bytes
from vocoder.data.files import replacing
from vocoder.errors import AudioError, VocoderWarning
from vocoder.reading import open_file

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"}
    | {".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64"}
)
"""Audio files within folders; a file given by name may have any suffix."""

UNREADABLE_SUFFIXES = frozenset({".m4a", ".aac", ".mp4", ".webm", ".wma", ".amr", ".ape", ".wv"})
"""Audio that libsndfile does not decode: named in a warning where folders are searched."""

FULL_SCALE = 32767 / 32768
"""Magnitude from which a sample counts as clipped: the largest positive 16-bit value."""

CLIPPED_FRACTION = 1e-3
"""Fraction of full-scale samples above which a file is reported as clipped."""

SILENCE_PEAK = 1e-4
"""Peak (−80 dBFS) below which a file is reported as silent."""

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 768_000
"""Range of the sample rates that are believed; headers of damaged files claim others."""

LONGEST_SAMPLES = 2**29
"""Most samples of one file after resampling, 6 hours at 24 kHz: a small file can claim, and a
compressed one hold, more than fits into memory."""

BLOCK_SAMPLES = 2**20
"""Samples decoded at a time, over all channels."""

_UNKNOWN_FRAMES = 2**63 - 1
"""What libsndfile says of a FLAC that was written into a pipe."""


class AudioWarning(VocoderWarning):
    """Audio that is changed, left out, or not that which was scored."""


class ClippingWarning(AudioWarning):
    """A waveform beyond full scale, written to a file."""


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


class _Sequential(soundfile.SoundFile):
    """A sound file that is read from beginning to end.

    soundfile seeks after each read of a seekable file, which fails at the end of a FLAC of unknown
    length, and does not read all of a file that is not seekable, such as GSM 6.10.
    """

    def seekable(self) -> bool:
        return False


class AudioFile:
    """An audio file open for reading; `open_audio` makes one.

    Attributes:
        path: of the file.
        sample_rate: Hz.
        channels: how many are averaged to one.
        length: samples per channel that the header promises, None where it does not know.
    """

    def __init__(self, path: Path, file: soundfile.SoundFile) -> None:
        self.path, self._file = path, file
        self.sample_rate, self.channels = int(file.samplerate), int(file.channels)
        self.length: int | None = None if file.frames == _UNKNOWN_FRAMES else int(file.frames)
        self._levels = _Levels()
        if not LOWEST_RATE_HZ <= self.sample_rate <= HIGHEST_RATE_HZ:
            raise AudioError(
                f"{path}: its header claims a rate of {self.sample_rate} Hz, outside "
                f"{LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz; write it again with its true rate"
            )

    @property
    def duration_s(self) -> float | None:
        """Length in seconds that the header promises, None where it does not know."""
        return None if self.length is None else self.length / self.sample_rate

    def blocks(self, sample_rate: int | None = None) -> Iterator[Float[Tensor, " samples"]]:
        """The sound in pieces: the same samples and errors as of `read_audio`, at most once.

        Memory does not grow with the length of the file.
        """
        rate = sample_rate or self.sample_rate
        resampler = None
        if rate != self.sample_rate:
            resampler = soxr.ResampleStream(self.sample_rate, rate, 1, dtype="float32")
        total = 0
        for mono in self._decoded():
            last = len(mono) == 0
            piece = mono if resampler is None else resampler.resample_chunk(mono, last=last)
            total += len(piece)
            if total > LONGEST_SAMPLES:
                raise AudioError(
                    f"{self.path}: longer than {LONGEST_SAMPLES / rate / 3600:.1f} hours; cut it "
                    "into parts"
                )
            if len(piece):
                yield torch.from_numpy(piece)
        if total == 0:
            raise AudioError(f"{self.path}: too short to resample to {rate} Hz; leave it out")

    def notes(self, sample_rate: int | None = None) -> list[str]:
        """Notes of the blocks read: see `read_audio`."""
        notes = []
        if self.channels > 1:
            notes.append(f"{self.channels} channels averaged to one")
        notes += self._levels.notes()
        if sample_rate not in (None, self.sample_rate):
            notes.append(f"resampled from {self.sample_rate} to {sample_rate} Hz")
        return notes

    def _decoded(self) -> Iterator[Float[np.ndarray, " samples"]]:
        """Averaged channels in pieces, the last of which is empty."""
        count, block = 0, max(1, BLOCK_SAMPLES // self.channels)
        while True:
            try:
                samples = self._file.read(block, dtype="float32", always_2d=True)
            except (soundfile.SoundFileError, RuntimeError) as error:
                raise _undecodable(self.path, error) from error
            if not np.isfinite(samples).all():
                raise AudioError(
                    f"{self.path}: holds NaN or infinite samples; write the file again or drop it"
                )
            count += len(samples)
            if len(samples):
                self._levels.add(samples)
                yield samples.mean(axis=1, dtype=np.float32)
            if len(samples) < block:
                break
        if self.length is not None and count < self.length:
            raise AudioError(
                f"{self.path}: truncated, {count} of {self.length} samples; copy the file again"
            )
        if count == 0:
            raise AudioError(f"{self.path}: holds no samples; leave it out")
        yield np.zeros(0, dtype=np.float32)


@contextmanager
def open_audio(path: str | Path) -> Iterator[AudioFile]:
    """Open an audio file: the one place where audio of unknown origin is opened.

    Raises AudioError, naming the file, where it is missing, unreadable, a pipe or a device, empty,
    truncated as far as its header tells, not audio, or of a rate outside 1 to 768 kHz.
    """
    path = Path(path)
    with open_file(path, AudioError) as (raw, size):
        if size == 0:
            raise AudioError(f"{path}: an empty file; leave it out")
        promised, present = sound_bytes(raw, size)
        if promised > present:
            raise AudioError(
                f"{path}: truncated, {present} of {promised} bytes of sound; copy the file again"
            )
        os.lseek(raw.fileno(), 0, os.SEEK_SET)  # the buffer of `raw` has read ahead
        try:
            decoder = _Sequential(raw.fileno(), closefd=False)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise _undecodable(path, error) from error
        with decoder:
            yield AudioFile(path, decoder)


def read_audio(path: str | Path, sample_rate: int | None = None) -> Audio:
    """Read an audio file as one channel of float32, resampled to `sample_rate` (Hz) if given.

    Channels are averaged; resampling is soxr's band-limited "HQ" (linear phase, length
    round(samples * new / old)). `notes` reports both, and clipping (more than 0.1 % of the samples
    at full scale), samples beyond full scale, and silence (peak below -80 dBFS).

    Raises AudioError, naming the file, where it is missing, unreadable, a pipe or a device, not
    audio, truncated (fewer samples than its header promises), empty, longer than
    `LONGEST_SAMPLES`, of a rate outside 1 to 768 kHz, or holds NaN or infinite samples.
    """
    with open_audio(path) as file:
        blocks = list(file.blocks(sample_rate))
        return Audio(torch.cat(blocks), sample_rate or file.sample_rate, file.notes(sample_rate))


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

    Warns of a peak beyond full scale, which is clipped, by ClippingWarning.

    Raises AudioError where the waveform is not one-dimensional, is empty, not of floats or not
    finite, or the name is not that of a WAV; OutputError where the file cannot be written.
    """
    if Path(path).suffix.lower() != ".wav":
        raise AudioError(f"{path}: WAV is all that is written; let the name end in .wav")
    if not waveform.is_floating_point():
        raise AudioError(
            f"{path}: the waveform has the type {waveform.dtype}: use floats in [-1, 1]"
        )
    if waveform.ndim != 1 or len(waveform) == 0:
        shape = tuple(waveform.shape)
        raise AudioError(f"{path}: a waveform of shape (samples,) is needed, not {shape}")
    with audio_writer(path, sample_rate) as write:
        write(waveform)
    peak = float(waveform.detach().abs().max())
    if peak > 1:
        message = f"{path}: its peak of {peak:.2f} is clipped to 1; scale the waveform down"
        warnings.warn(message, ClippingWarning, stacklevel=2)


@contextmanager
def audio_writer(
    path: str | Path, sample_rate: int
) -> Iterator[Callable[[Float[Tensor, " samples"]], None]]:
    """A function that appends waveforms to a WAV, as `write_audio` writes them in one piece, but
    does not warn of clipping.

    The file appears under its name when the block ends without an error.
    """
    path = Path(path)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(_wav_header(0, sample_rate))

        def write(waveform: Float[Tensor, " samples"]) -> None:
            samples = waveform.detach().cpu().double().numpy()
            if not np.isfinite(samples).all():
                raise AudioError(f"{path}: the waveform holds NaN or infinite samples; not written")
            pcm = np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2")
            file.write(pcm.tobytes())

        yield write
        size = file.tell() - len(_wav_header(0, sample_rate))
        file.seek(0)
        file.write(_wav_header(size, sample_rate))


def _wav_header(size: int, sample_rate: int) -> bytes:
    """The 44 bytes before ``size`` bytes of 16-bit mono PCM."""
    form = struct.pack("<HHIIHH", 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    return struct.pack("<4sI8sI16s4sI", b"RIFF", size + 36, b"WAVEfmt ", 16, form, b"data", size)


def find_audio(paths: Iterable[str | Path]) -> list[Path]:
    """Expand files and folders to audio files: folders in sorted order, each file once.

    A folder is searched recursively for `AUDIO_SUFFIXES`, except hidden names; a file given by name
    is accepted with any suffix. `UNREADABLE_SUFFIXES` within a folder draw an AudioWarning.

    Raises AudioError where a path does not exist, or a folder cannot be read or holds no audio.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            files = sorted(_walk(path))
            inside = [each for each in files if each.suffix.lower() in AUDIO_SUFFIXES]
            unread = [each.suffix.lower() for each in files]
            unread = [suffix for suffix in unread if suffix in UNREADABLE_SUFFIXES]
            if unread:
                kinds = ", ".join(sorted(set(unread)))
                message = f"{path}: {len(unread)} {kinds} not read; convert to WAV or FLAC"
                warnings.warn(message, AudioWarning, stacklevel=2)
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
    """Every file below a folder, except hidden names."""

    def refuse(error: OSError) -> NoReturn:
        raise AudioError(f"{error.filename}: the folder cannot be read ({error.strerror})")

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                yield Path(parent) / name


def _undecodable(path: Path, error: Exception) -> AudioError:
    # libsndfile's own prefix names the descriptor
    reason = " ".join(str(getattr(error, "error_string", error)).split())
    return AudioError(f"{path}: not an audio file that can be decoded ({reason})")


class _Levels:
    """Level of the blocks of a file, before its channels are averaged."""

    def __init__(self) -> None:
        self._peak, self._clipped, self._count = 0.0, 0, 0

    def add(self, samples: Float[np.ndarray, "samples channels"]) -> None:
        magnitude = np.abs(samples)
        self._peak = max(self._peak, float(magnitude.max()))
        self._clipped += int((magnitude >= FULL_SCALE).sum())
        self._count += magnitude.size

    def notes(self) -> list[str]:
        """Notes of clipping, overshoot and silence."""
        if self._peak < SILENCE_PEAK:
            return ["silent (peak below -80 dBFS)"]
        notes = []
        clipped = self._clipped / self._count
        if clipped > CLIPPED_FRACTION:
            notes.append(f"clipped ({100 * clipped:.1f} % of the samples at full scale)")
        if self._peak > 1.0:
            notes.append(f"peak {self._peak:.2f} beyond full scale")
        return notes
