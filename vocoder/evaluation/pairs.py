"""Score one pair of files. Whatever is wrong with it is written into its row."""

import contextlib
import filecmp
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

from vocoder.data.audio import Audio, find_audio, read_audio
from vocoder.errors import AudioError, PitchError, VocoderError
from vocoder.evaluation.alignment import DEFAULT_MAX_DELAY_MS, align
from vocoder.evaluation.cache import (
    CorruptEntryError,
    Entry,
    ScoreCache,
    StoredScore,
    fresh_scores,
    made_by,
)
from vocoder.evaluation.plugins import load_plugins
from vocoder.evaluation.registry import Column, resolve_columns

_T = TypeVar("_T")


@dataclass(frozen=True)
class Row:
    """The scores of one utterance of one system; a score that failed is None."""

    system: str
    utterance: str
    duration_s: float | None = None
    scores: dict[str, float | None] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    speaker: str = ""


@dataclass(frozen=True)
class Scoring:
    """What is measured on every pair, and how: the same in every process.

    Attributes:
        metrics: column names, see `resolve_columns`.
        max_delay_ms: see `vocoder.evaluation.alignment.remove_delay`.
        cache: where scores are remembered, or None.
        plugins: where the metrics are that the user brings, see
            `vocoder.evaluation.plugins.load_metrics`; absolute paths.
    """

    metrics: tuple[str, ...]
    max_delay_ms: float = DEFAULT_MAX_DELAY_MS
    cache: ScoreCache | None = None
    plugins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """One utterance of one system: the recording and the resynthesis, None where missing."""

    system: str
    utterance: str
    reference: Path | None
    estimate: Path | None


def files_by_utterance(folder: Path) -> dict[str, Path]:
    """Audio files of a folder, searched to any depth, by their path in it without suffix.

    Raises:
        AudioError: the folder does not exist, cannot be read or holds no audio, or two files
            have the same name but for the suffix.
    """
    if not folder.is_dir():
        raise AudioError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for path in find_audio([folder]):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise AudioError(f"{path}: {found[name].name} is the same utterance; remove one")
        found[name] = path
    return found


def is_copy(pair: Pair, max_delay_ms: float) -> bool:
    """Whether what is scored of a pair is the same waveform twice, sample for sample.

    That is decided after decoding, resampling and alignment: a FLAC of the recording, or the
    recording a constant delay later, is a copy of it. False where the pair cannot be compared.
    """
    if pair.reference is None or pair.estimate is None:
        return False
    try:
        if filecmp.cmp(pair.reference, pair.estimate, shallow=False):
            return True
        reference = read_audio(pair.reference)
        estimate = read_audio(pair.estimate, reference.sample_rate)
        reference, estimate, _ = align(reference, estimate, max_delay_ms)
    except (VocoderError, OSError):
        return False
    return torch.equal(reference.waveform, estimate.waveform)


def remembered_row(pair: Pair, scoring: Scoring, columns: Sequence[Column]) -> Row | None:
    """The row of a pair whose every score is in the cache; None if anything is to be measured."""
    _, entry, _ = _look_up(pair, scoring)
    scores = fresh_scores(entry, columns)
    if entry is None or len(scores) < len(columns):
        return None
    return _row(pair, columns, entry.duration_s, scores, entry.notes)


def score_pair(pair: Pair, scoring: Scoring) -> Row:
    """Score what is on disk, at the rate of the reference file.

    Never raises for a bad file or a failing metric: the reasons stand in the row, and the other
    metrics and rows are not touched by them. Scores that the cache has are not measured again;
    the others are in it before this returns. All is computed on one thread: over several, sums
    come out another in the last digit, and the processes share the cores anyway.
    """
    columns = resolve_columns(scoring.metrics, more=load_plugins(scoring.plugins))
    try:
        with _one_thread():
            return _score(pair, scoring, columns)
    except VocoderError as error:
        nothing: dict[str, float | None] = {column.name: None for column in columns}
        return Row(pair.system, pair.utterance, None, nothing, (str(error),))


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Torch and the linear algebra under numpy on one thread, as many as before at the end."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def _score(pair: Pair, scoring: Scoring, columns: list[Column]) -> Row:
    """As `score_pair`, with a VocoderError where the pair cannot be compared at all."""
    if pair.reference is None or pair.estimate is None:
        what = "the reference folder" if pair.reference is None else "this system"
        raise AudioError(f"missing in {what}")
    key, entry, said = _look_up(pair, scoring)
    known = fresh_scores(entry, columns)
    first = read_audio(pair.reference)
    second = read_audio(pair.estimate, first.sample_rate)
    reading = (*(f"reference {note}" for note in first.notes), *second.notes)
    first, second, aligning = align(first, second, scoring.max_delay_ms)
    missing = [column for column in columns if column.name not in known]
    measured, passing = _measure(missing, first, second)
    notes = (*reading, *aligning)
    if scoring.cache is not None and key is not None and missing:
        kept = {**(entry.scores if entry else {}), **measured}
        for name in passing:
            del kept[name]
        said += _remember(scoring.cache, key, Entry(
            duration_s=first.duration_s, notes=notes, scores=kept
        ))  # fmt: skip
    return _row(pair, columns, first.duration_s, {**known, **measured}, (*notes, *said))


def _look_up(pair: Pair, scoring: Scoring) -> tuple[str | None, Entry | None, tuple[str, ...]]:
    """The pair's key in the cache, its entry, and a note if that was corrupt.

    Without a key where there is no cache, or no file to make it of.
    """
    if scoring.cache is None or pair.reference is None or pair.estimate is None:
        return None, None, ()
    try:
        key = scoring.cache.key(pair.reference, pair.estimate, scoring.max_delay_ms)
    except OSError:
        # What is wrong with the file is said by who reads it as audio.
        return None, None, ()
    try:
        return key, scoring.cache.read(key), ()
    except CorruptEntryError:
        return key, None, ("its entry in the score cache was corrupt, measured again",)


def _remember(cache: ScoreCache, key: str, entry: Entry) -> tuple[str, ...]:
    """Write an entry; a note where that fails, since the scores are good all the same."""
    try:
        cache.write(key, entry)
    except OSError as error:
        return (f"not put into the score cache ({error.strerror})",)
    return ()


def _row(
    pair: Pair,
    columns: Sequence[Column],
    duration_s: float,
    scores: dict[str, StoredScore],
    notes: tuple[str, ...],
) -> Row:
    values = {column.name: scores[column.name].value for column in columns}
    reasons = [(column.name, scores[column.name].error) for column in columns]
    errors = tuple(f"{name}: {reason}" for name, reason in reasons if reason is not None)
    return Row(pair.system, pair.utterance, duration_s, values, errors, notes)


def _measure(
    columns: Sequence[Column], reference: Audio, estimate: Audio
) -> tuple[dict[str, StoredScore], set[str]]:
    """All scores, each result measured once however many columns it fills.

    Also the names of those that failed for a reason that may have passed the next time, such as
    a lack of memory, and are not to be remembered.
    """
    results: dict[object, object] = {}
    scores: dict[str, StoredScore] = {}
    passing: set[str] = set()
    signals = (reference.waveform, estimate.waveform, reference.sample_rate)
    for column in columns:
        if column.source not in results:
            results[column.source] = _attempt(column.measure, *signals)
        result = results[column.source]
        number = result if isinstance(result, Exception) else _attempt(column.value, result)
        value, error = None, None
        if isinstance(number, Exception):
            error = _one_line(number)
            if not isinstance(number, AudioError | PitchError):
                passing.add(column.name)
        elif math.isfinite(number):
            value = number
        else:
            error = column.metric.undefined
        scores[column.name] = StoredScore(value=value, error=error, made_by=made_by(column))
    return scores, passing


def _attempt(function: Callable[..., _T], *arguments: object) -> _T | Exception:
    """What the function gives, or the exception that it ended in."""
    try:
        return function(*arguments)
    # Metrics run foreign code on whatever a system has written; one cell must not end the run.
    except Exception as error:
        return error


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, VocoderError) else f"{type(error).__name__}: {text}"
