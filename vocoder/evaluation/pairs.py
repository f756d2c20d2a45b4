"""Score one pair of files; errors are written into its row."""

import contextlib
import filecmp
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

from vocoder.data.audio import Audio, find_audio, read_audio
from vocoder.errors import AudioError, OutputError, PitchError, VocoderError, one_line, printable
from vocoder.evaluation.alignment import (
    DEFAULT_MAX_DELAY_MS,
    DEFAULT_MAX_LENGTH_DIFFERENCE_S,
    align,
    is_noted,
    level_text,
    match_level,
)
from vocoder.evaluation.cache import (
    CorruptEntryError,
    Entry,
    ScoreCache,
    StoredScore,
    fresh_scores,
    metric_fingerprint,
)
from vocoder.evaluation.plugins import load_plugins
from vocoder.evaluation.registry import Column, resolve_columns
from vocoder.metrics.level import level_difference_db

_T = TypeVar("_T")


@dataclass(frozen=True)
class Row:
    """The scores of one utterance of one system; None where a score failed."""

    system: str
    utterance: str
    duration_s: float | None = None
    scores: dict[str, float | None] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    speaker: str = ""


@dataclass(frozen=True)
class Scoring:
    """Settings of scoring, shared by all pairs and processes.

    Attributes:
        metrics: column names, see `resolve_columns`.
        max_delay_ms: see `vocoder.evaluation.alignment.remove_delay`.
        cache: of scores, or None.
        plugins: files or modules of user-defined metrics, see
            `vocoder.evaluation.plugins.load_metrics`; absolute paths.
        max_length_difference_s: see `vocoder.evaluation.alignment.align`.
        match_level: scale each estimate to its recording's RMS, see
            `vocoder.evaluation.alignment.match_level`.
        sample_rate: scoring rate in Hz; None for that of each recording.
    """

    metrics: tuple[str, ...]
    max_delay_ms: float = DEFAULT_MAX_DELAY_MS
    cache: ScoreCache | None = None
    plugins: tuple[str, ...] = ()
    max_length_difference_s: float = DEFAULT_MAX_LENGTH_DIFFERENCE_S
    match_level: bool = False
    sample_rate: int | None = None

    @property
    def settings(self) -> tuple[float | None, ...]:
        """All settings of reading and alignment."""
        return (
            float(self.max_delay_ms),
            float(self.max_length_difference_s),
            self.match_level,
            self.sample_rate,
        )


@dataclass(frozen=True)
class Pair:
    """One utterance of one system: the recording and the resynthesis, None if missing."""

    system: str
    utterance: str
    reference: Path | None
    estimate: Path | None


def files_by_utterance(folder: Path) -> dict[str, Path]:
    """Audio files of a folder, searched recursively, by relative path without suffix.

    Raises:
        AudioError: the folder does not exist, cannot be read or holds no audio, or two file names
            differ only in the suffix.
    """
    if not folder.is_dir():
        raise AudioError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for path in find_audio([folder]):
        name = printable(path.relative_to(folder).with_suffix("").as_posix())
        if name in found:
            raise AudioError(f"{path}: {found[name].name} is the same utterance; remove one")
        found[name] = path
    return found


def is_copy(pair: Pair, scoring: Scoring) -> bool:
    """Whether both waveforms of a pair are equal, sample for sample.

    They are compared after decoding, resampling and alignment, before level matching: a FLAC of the
    recording, or the recording with a constant delay, is a copy of it. False if the pair cannot be
    compared.
    """
    if pair.reference is None or pair.estimate is None:
        return False
    try:
        if filecmp.cmp(pair.reference, pair.estimate, shallow=False):
            return True
        reference, estimate, _ = _read_aligned(pair.reference, pair.estimate, scoring)
    except (VocoderError, OSError):
        return False
    return torch.equal(reference.waveform, estimate.waveform)


def remembered_row(pair: Pair, scoring: Scoring, columns: Sequence[Column]) -> Row | None:
    """The row of a pair with all scores in the cache; None if any is missing."""
    _, entry, _ = _look_up(pair, scoring)
    scores = fresh_scores(entry, columns)
    if entry is None or len(scores) < len(columns):
        return None
    return _row(pair, scoring, columns, entry.model_copy(update={"scores": scores}))


def score_pair(pair: Pair, scoring: Scoring) -> Row:
    """Score a pair of files at `scoring.sample_rate`, or at the rate of the reference file.

    Never raises for a bad file or a failing metric: the reason is written into the row, and the
    other metrics and rows are unaffected. Cached scores are reused; the others are stored before
    this returns. Everything is computed on one thread: the number of threads changes the last digit
    of sums, and the processes share the cores anyway.
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
    """Limit torch and numpy's linear algebra to one thread, and restore the setting afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def _score(pair: Pair, scoring: Scoring, columns: list[Column]) -> Row:
    """As `score_pair`, but raises VocoderError if the pair cannot be compared."""
    if pair.reference is None or pair.estimate is None:
        what = "the reference folder" if pair.reference is None else "this system"
        raise AudioError(f"missing in {what}")
    key, remembered, said = _look_up(pair, scoring)
    known = fresh_scores(remembered, columns)
    first, second, notes = _read_aligned(pair.reference, pair.estimate, scoring)
    level_db = level_difference_db(first.waveform, second.waveform)
    scored = second
    if scoring.match_level:
        scored, matching = match_level(first, second)
        notes += matching
    missing = [column for column in columns if column.name not in known]
    measured: dict[str, StoredScore] = {}
    transient_failures: set[str] = set()
    for estimate, of_level in ((scored, False), (second, True)):
        some = [column for column in missing if column.metric.measures_level == of_level]
        found, failed = _measure(some, first, estimate)
        measured |= found
        transient_failures |= failed
    entry = Entry(
        duration_s=first.duration_s,
        notes=notes,
        scores={**known, **measured},
        level_db=level_db if math.isfinite(level_db) else None,
    )
    if scoring.cache is not None and key is not None and missing:
        kept = {**(remembered.scores if remembered else {}), **measured}
        for name in transient_failures:
            del kept[name]
        said += _remember(scoring.cache, key, entry.model_copy(update={"scores": kept}))
    return _row(pair, scoring, columns, entry, said)


def _read_aligned(
    reference: Path, estimate: Path, scoring: Scoring
) -> tuple[Audio, Audio, tuple[str, ...]]:
    """Both files at one rate, aligned and equally long, and notes of the changes.

    Raises:
        AudioError: a file cannot be read, or they cannot be aligned.
    """
    first = read_audio(reference, scoring.sample_rate)
    second = read_audio(estimate, first.sample_rate)
    reading = (*(f"reference {note}" for note in first.notes), *second.notes)
    first, second, aligning = align(
        first, second, scoring.max_delay_ms, scoring.max_length_difference_s
    )
    return first, second, (*reading, *aligning)


def _look_up(pair: Pair, scoring: Scoring) -> tuple[str | None, Entry | None, tuple[str, ...]]:
    """The pair's key in the cache, its entry, and a note if the entry was corrupt.

    The key is None without a cache or if a file is missing.
    """
    if scoring.cache is None or pair.reference is None or pair.estimate is None:
        return None, None, ()
    try:
        key = scoring.cache.key(pair.reference, pair.estimate, scoring.settings)
    except AudioError:  # the audio reader reports it
        return None, None, ()
    try:
        return key, scoring.cache.read(key), ()
    except CorruptEntryError:
        return key, None, ("its entry in the score cache was corrupt, measured again",)


def _remember(cache: ScoreCache, key: str, entry: Entry) -> tuple[str, ...]:
    """Write an entry; on failure return a note, since the scores are still valid."""
    try:
        cache.write(key, entry)
    except OutputError as error:
        return (f"not put into the score cache ({error})",)
    return ()


def _row(
    pair: Pair,
    scoring: Scoring,
    columns: Sequence[Column],
    entry: Entry,
    said: tuple[str, ...] = (),
) -> Row:
    """The row of an entry; `said` are further notes, which are not cached."""
    values = {column.name: entry.scores[column.name].value for column in columns}
    reasons = [(column.name, entry.scores[column.name].error) for column in columns]
    errors = tuple(f"{name}: {reason}" for name, reason in reasons if reason is not None)
    notes = entry.notes
    level_db = entry.level_db
    # The column has the magnitude; the note has the sign.
    shown = any(column.metric.measures_level for column in columns) and not scoring.match_level
    if shown and level_db is not None and is_noted(level_db):
        notes += (level_text(level_db),)
    return Row(pair.system, pair.utterance, entry.duration_s, values, errors, (*notes, *said))


def _measure(
    columns: Sequence[Column], reference: Audio, estimate: Audio
) -> tuple[dict[str, StoredScore], set[str]]:
    """Scores by column, and the names of the columns with a transient failure.

    A result that fills several columns is computed once. A failure other than an `AudioError` or a
    `PitchError`, such as a lack of memory, is transient and must not be cached.
    """
    results: dict[object, object] = {}
    scores: dict[str, StoredScore] = {}
    transient_failures: set[str] = set()
    signals = (reference.waveform, estimate.waveform, reference.sample_rate)
    for column in columns:
        if column.source not in results:
            results[column.source] = _attempt(column.metric.timeout_s, column.measure, *signals)
        result = results[column.source]
        if isinstance(result, Exception):
            number: float | Exception = result
        else:
            number = _attempt(column.metric.timeout_s, column.value, result)
        value, error = None, None
        if isinstance(number, Exception):
            error = _reason(number)
            if not isinstance(number, AudioError | PitchError):
                transient_failures.add(column.name)
        elif math.isfinite(number):
            value = number
        else:
            error = column.metric.undefined
        scores[column.name] = StoredScore(
            value=value, error=error, fingerprint=metric_fingerprint(column)
        )
    return scores, transient_failures


def _attempt(timeout_s: float, function: Callable[..., _T], *arguments: object) -> _T | Exception:
    """The function's result, or the exception that it raised."""
    try:
        # Standard output is for --json.
        with contextlib.redirect_stdout(sys.stderr), _time_limit(timeout_s):
            return function(*arguments)
    # Metrics run third-party code on arbitrary files; one failing cell must not end the run.
    except Exception as error:
        return error
    except SystemExit as error:
        return RuntimeError(f"the metric ended the program (sys.exit({error.code!r}))")


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the main thread of a process after so many seconds."""
    if threading.current_thread() is not threading.main_thread():  # signals arrive only there
        yield
        return

    def stop(signum: int, frame: object) -> None:
        raise TimeoutError(f"no result after {seconds:g} s (timeout_s of the metric)")

    before = signal.signal(signal.SIGALRM, stop)
    # Again every second, in case the metric's code catches the first.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _reason(error: Exception) -> str:
    text = one_line(error)
    return text if isinstance(error, VocoderError) else f"{type(error).__name__}: {text}"
