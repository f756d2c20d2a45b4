"""The files of the report: audio, spectrograms, differences and F0 tracks of every utterance."""

import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from joblib import Parallel, delayed

from vocoder.data.audio import Audio, audio_writer, read_audio, resample
from vocoder.dsp.framing import fit_length
from vocoder.errors import VocoderError
from vocoder.evaluation.alignment import find_delay
from vocoder.metrics.level import level_difference_db
from vocoder.report.pictures import (
    difference_png,
    f0_range,
    f0_svg,
    f0_track,
    powers,
    spectrogram_png,
)
from vocoder.report.results import Preparation, Results

_NAME_LENGTH = 80
PLAYED_TYPES = {
    ".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".mp3": "audio/mpeg",
}  # fmt: skip
"""Media types of audio that browsers play, by suffix."""


@dataclass(frozen=True)
class Media:
    """The files of one player of one utterance; paths are relative to the page, None if absent."""

    audio: str | None = None
    spectrogram: str | None = None
    difference: str | None = None
    f0: str | None = None
    problem: str = ""


@dataclass(frozen=True)
class UtteranceMedia:
    """All files of one utterance.

    Attributes:
        duration_s: time span of the pictures: the recording, or without it the longest file.
        nyquist_hz: upper edge of the pictures.
        f0_span_hz: limits of the F0 axis, None without voiced frames.
        players: in the order of `Results.players`.
    """

    duration_s: float
    nyquist_hz: float
    f0_span_hz: tuple[float, float] | None
    players: tuple[Media, ...]


def file_names(names: Iterable[str]) -> dict[str, str]:
    """A file name for each name: ASCII, safe for URLs and file systems.

    >>> file_names(["ours", "Ours!", "a/б"])
    {'ours': 'ours', 'Ours!': 'Ours_2', 'a/б': 'a'}
    """
    given: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:_NAME_LENGTH] or "_"
        number, chosen = 1, plain
        # Some file systems ignore case.
        while chosen.lower() in taken:
            number += 1
            chosen = f"{plain}_{number}"
        given[name] = chosen
        taken.add(chosen.lower())
    return given


def write_media(
    results: Results,
    folder: Path,
    jobs: int,
    on_done: Callable[[], None] = lambda: None,
) -> dict[str, UtteranceMedia]:
    """Copy the audio and draw the pictures of all utterances into ``folder/assets``.

    Args:
        results: the evaluation.
        folder: of the page.
        jobs: worker processes.
        on_done: called after each utterance.
    """
    stems = file_names(results.utterances)
    places = [Path("assets") / name for name in file_names(results.players).values()]
    for place in places:
        (folder / place).mkdir(parents=True)
    tasks = (
        delayed(_write_utterance)(
            [files.get(name) for files in results.files.values()],
            [results.preparation(player, name) for player in results.players],
            [place / stems[name] for place in places],
            folder,
        )
        for name in results.utterances
    )
    made = {}
    parallel = Parallel(n_jobs=jobs, return_as="generator")
    for name, media in zip(results.utterances, parallel(tasks), strict=True):
        made[name] = media
        on_done()
    return made


def _write_utterance(
    sources: list[Path | None], prepared: list[Preparation], stems: list[Path], folder: Path
) -> UtteranceMedia:
    """Write all files of one utterance; an unreadable file is reported without affecting the
    others.

    Pictures show the signal as scored, with delay and level differences removed if the evaluation
    removed them; the audio is copied from disk unchanged, or, where browsers do not play its
    format, as a WAV.
    """
    read = [_read(source) for source in sources]
    sounds = {index: audio for index, audio in enumerate(read) if isinstance(audio, Audio)}
    problems = ["" if isinstance(audio, Audio) else audio for audio in read]
    if not sounds:
        return UtteranceMedia(0.0, 0.0, None, tuple(Media(problem=text) for text in problems))
    # All pictures use the rate and the duration of the recording.
    leading = sounds.get(0) or max(sounds.values(), key=lambda audio: audio.duration_s)
    rate, samples = leading.sample_rate, len(leading.waveform)
    waves = {index: resample(audio, rate).waveform for index, audio in sounds.items()}
    if 0 in waves:
        recording = waves[0]
        waves = {i: _as_scored(recording, wave, rate, prepared[i]) for i, wave in waves.items()}
    tracks = {index: f0_track(wave, rate) for index, wave in waves.items()}
    spectrograms = {index: powers(fit_length(wave[None], samples)[0], rate)
                    for index, wave in waves.items()}  # fmt: skip
    reference = spectrograms[0] if 0 in sounds else powers(leading.waveform, rate)
    loudest = float(reference.max())
    span_hz = f0_range(list(tracks.values()))

    def media(index: int) -> Media:
        source = sources[index]
        if source is None or index not in sounds:
            return Media(problem=problems[index])
        put = _Writer(folder, stems[index])
        audio = put.audio(source, sounds[index])
        spectrogram = put(".png", spectrogram_png(spectrograms[index], loudest))
        difference, f0 = None, None
        if index > 0 and 0 in sounds and prepared[index].compared:
            picture = difference_png(reference, spectrograms[index], loudest)
            difference = put(".difference.png", picture)
        if span_hz is not None:
            below = tracks.get(0) if index > 0 else None
            picture = f0_svg(tracks[index], below, span_hz, samples / rate).encode()
            f0 = put(".f0.svg", picture)
        return Media(audio, spectrogram, difference, f0)

    players = tuple(media(index) for index in range(len(sources)))
    return UtteranceMedia(samples / rate, rate / 2, span_hz, players)


class _Writer:
    """Writes files with a common stem, and returns their paths in the page."""

    def __init__(self, folder: Path, stem: Path) -> None:
        self.folder = folder
        self.stem = stem

    def __call__(self, ending: str, content: bytes) -> str:
        name = self.stem.as_posix() + ending
        (self.folder / name).write_bytes(content)
        return name

    def audio(self, source: Path, audio: Audio) -> str:
        """A copy of a file, byte for byte where browsers play it."""
        suffix = source.suffix.lower()
        plays = suffix in PLAYED_TYPES
        name = self.stem.as_posix() + (suffix if plays else ".wav")
        if plays:
            shutil.copyfile(source, self.folder / name)
        else:
            with audio_writer(self.folder / name, audio.sample_rate) as write:
                write(audio.waveform)
        return name


def _read(source: Path | None) -> Audio | str:
    """The audio, or the reason for its absence."""
    if source is None:
        return "missing"
    try:
        return read_audio(source)
    except VocoderError as error:
        return str(error)


def _as_scored(
    recording: Float[torch.Tensor, " samples"],
    wave: Float[torch.Tensor, " wave_samples"],
    sample_rate: int,
    prepared: Preparation,
) -> Float[torch.Tensor, " prepared_samples"]:
    """A waveform aligned to the recording in time and level, if it was scored so.

    Leading samples are cut; early waveforms are padded with zeros.
    """
    if prepared.aligned:
        delay = find_delay(recording, wave, sample_rate).samples
        wave = wave[delay:] if delay > 0 else torch.nn.functional.pad(wave, (-delay, 0))
    if prepared.matched:
        shorter = min(len(recording), len(wave))
        wave = wave * 10 ** (-level_difference_db(recording[:shorter], wave[:shorter]) / 20)
    return wave
