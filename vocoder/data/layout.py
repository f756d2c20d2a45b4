"""Resumable writing of a corpus: 16-bit WAVs in one folder per split, and a manifest."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from joblib import effective_n_jobs
from rich.progress import track

from vocoder.data.audio import Audio, audio_writer, open_audio
from vocoder.data.files import remove_leftovers, write_text
from vocoder.data.manifest import Utterance, write_manifest
from vocoder.errors import AudioError, CorpusError
from vocoder.reading import read_json

MANIFEST = "manifest.jsonl"
PREPARATION = "preparation.json"


@dataclass(frozen=True)
class Recording:
    """One recording of a corpus before it is written.

    name: its path under the split's folder, without a suffix.
    read: function from a sample rate (Hz) to the audio.
    mel: file of the mel that was predicted for it.
    source: its own file, if it has one: where that is newer, what is written is written again.
    """

    name: str
    speaker: str
    split: str
    licence: str
    read: Callable[[int], Audio]
    mel: Path | None = None
    source: Path | None = None

    @property
    def path(self) -> Path:
        """Output path, relative to the corpus folder."""
        return Path("wavs", self.split, f"{self.name}.wav")


def claim(output: Path, corpus: str, sample_rate: int) -> None:
    """Reserve `output` for one preparation; raise CorpusError if it holds another.

    This prevents mixing two corpora or two sample rates in one folder. What a killed preparation
    left half-written is removed.
    """
    remove_leftovers(output)
    wanted = {"corpus": corpus, "sample_rate": sample_rate}
    path = output / PREPARATION
    if not path.exists():
        write_text(path, json.dumps(wanted) + "\n")
    elif (present := read_json(path, CorpusError)) != wanted:
        raise CorpusError(
            f"{output}: holds another preparation ({present}, wanted {wanted}); "
            "choose another --output or delete it"
        )


def is_complete(output: Path, utterances: Sequence[Utterance]) -> bool:
    """Whether every file of a manifest is there with all its sound."""
    return all(_duration_s(output / utterance.path) for utterance in utterances)


def lay_out(
    recordings: Sequence[Recording], output: Path, sample_rate: int, *, jobs: int, progress: bool
) -> list[Utterance]:
    """Write every missing or damaged recording, then the manifest; return its utterances.

    The manifest is sorted by path and is written last, when all recordings exist. Raises
    CorpusError with the number of unreadable recordings and the first reason; the others are kept,
    so that the next run only retries the unreadable ones.
    """
    _refuse_duplicates(recordings, output)
    results = _written(recordings, output, sample_rate, effective_n_jobs(jobs))
    shown = track(results, "writing", total=len(recordings), disable=not progress, transient=True)
    utterances: list[Utterance] = []
    failures: list[AudioError] = []
    for result in shown:
        if isinstance(result, Utterance):
            utterances.append(result)
        else:
            failures.append(result)
    if failures:
        raise CorpusError(
            f"{output}: {len(failures)} of {len(recordings)} recordings could not be prepared, "
            f"the first: {min(map(str, failures))}; repair or remove them and run again"
        )
    utterances.sort(key=lambda utterance: utterance.path)
    write_manifest(output / MANIFEST, utterances)
    return utterances


def _written(
    recordings: Sequence[Recording], output: Path, sample_rate: int, threads: int
) -> Iterator[Utterance | AudioError]:
    """The results of `_write`, as they come.

    After an error no recording is begun, and those begun are ended: a thread that outlives the
    error would die with the process and leave its temporary file.
    """
    pool = ThreadPoolExecutor(threads)
    try:
        futures = [pool.submit(_write, recording, output, sample_rate) for recording in recordings]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _write(recording: Recording, output: Path, sample_rate: int) -> Utterance | AudioError:
    path = output / recording.path
    duration_s = None if _is_older(path, recording.source) else _duration_s(path)
    if duration_s is None:
        try:
            audio = recording.read(sample_rate)
            with audio_writer(path, sample_rate) as write:
                write(audio.waveform)
        except AudioError as error:
            return error
        duration_s = audio.duration_s
    return Utterance(
        path=recording.path,
        speaker=recording.speaker,
        split=recording.split,
        duration_s=duration_s,
        licence=recording.licence,
        mel=recording.mel,
    )


def _is_older(path: Path, source: Path | None) -> bool:
    """Whether a file was written before its source was changed."""
    if source is None or not path.exists():
        return False
    return path.stat().st_mtime_ns < source.stat().st_mtime_ns


def _duration_s(path: Path) -> float | None:
    """Length in seconds of a file written here; None if it is missing, truncated or empty."""
    try:
        with open_audio(path) as file:
            return file.duration_s or None
    except AudioError:
        return None


def _refuse_duplicates(recordings: Sequence[Recording], output: Path) -> None:
    seen: set[Path] = set()
    for recording in recordings:
        if recording.path in seen:
            raise CorpusError(f"{output}: two recordings would become {recording.path}")
        seen.add(recording.path)
