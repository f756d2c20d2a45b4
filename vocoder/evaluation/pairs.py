"""Score one pair of files. Whatever is wrong with it is written into its row."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vocoder.data.audio import Audio, find_audio, read_audio
from vocoder.errors import AudioError, VocoderError
from vocoder.evaluation.registry import Column, resolve_columns

MAX_DURATION_DIFFERENCE_S = 0.05
"""Two files of one utterance may differ by so much, a few mel frames; they are then cropped to
the shorter one. More than that is another recording, or a system that lost something."""


@dataclass(frozen=True)
class Row:
    """The scores of one utterance of one system; a score that failed is None."""

    system: str
    utterance: str
    duration_s: float | None = None
    scores: dict[str, float | None] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


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


def score_pair(
    system: str,
    utterance: str,
    reference: Path | None,
    estimate: Path | None,
    metrics: Sequence[str],
) -> Row:
    """Score what is on disk, at the rate of the reference file.

    Never raises for a bad file or a failing metric: the reasons stand in the row, and the other
    metrics and rows are not touched by them.

    Args:
        system: name of the system, for the row.
        utterance: name of the utterance, for the row.
        reference: the recording, or None if it is missing.
        estimate: the resynthesis, or None if it is missing.
        metrics: column names, see `resolve_columns`.
    """
    columns = resolve_columns(metrics)
    nothing: dict[str, float | None] = {column.name: None for column in columns}
    if reference is None or estimate is None:
        what = "the reference folder" if reference is None else "this system"
        return Row(system, utterance, None, nothing, (f"missing in {what}",))
    try:
        first = read_audio(reference)
        second = read_audio(estimate, first.sample_rate)
        first, second, cropped = _to_one_length(first, second)
    except VocoderError as error:
        return Row(system, utterance, None, nothing, (str(error),))
    scores, errors = _measure(columns, first, second)
    notes = (*(f"reference {note}" for note in first.notes), *second.notes, *cropped)
    return Row(system, utterance, first.duration_s, scores, errors, notes)


def _to_one_length(first: Audio, second: Audio) -> tuple[Audio, Audio, tuple[str, ...]]:
    """Crop both to the shorter one and say so; AudioError if they differ by too much."""
    rate, a, b = first.sample_rate, len(first.waveform), len(second.waveform)
    if a == b:
        return first, second, ()
    difference_s = (b - a) / rate
    if abs(difference_s) > MAX_DURATION_DIFFERENCE_S:
        raise AudioError(
            f"durations differ too much: reference {a / rate:.3f} s, system {b / rate:.3f} s, "
            f"allowed {MAX_DURATION_DIFFERENCE_S:g} s"
        )
    shorter = min(a, b)
    note = f"{'longer' if b > a else 'shorter'} than the reference by {abs(b - a)} samples, cropped"
    return (
        Audio(first.waveform[:shorter], rate, first.notes),
        Audio(second.waveform[:shorter], rate, second.notes),
        (note,),
    )


def _measure(
    columns: Sequence[Column], reference: Audio, estimate: Audio
) -> tuple[dict[str, float | None], tuple[str, ...]]:
    """All scores, each result measured once however many columns it fills."""
    results: dict[object, object] = {}
    scores: dict[str, float | None] = {}
    errors: list[str] = []
    for column in columns:
        if column.source not in results:
            results[column.source] = _attempt(column, reference, estimate)
        result = results[column.source]
        if isinstance(result, Exception):
            scores[column.name] = None
            errors.append(f"{column.name}: {_one_line(result)}")
            continue
        value = column.value(result)
        scores[column.name] = value if math.isfinite(value) else None
        if not math.isfinite(value):
            errors.append(f"{column.name}: {column.metric.undefined}")
    return scores, tuple(errors)


def _attempt(column: Column, reference: Audio, estimate: Audio) -> object:
    """The result, or the exception that it ended in."""
    try:
        return column.measure(reference.waveform, estimate.waveform, reference.sample_rate)
    # Metrics run foreign code on whatever a system has written; one cell must not end the run.
    except Exception as error:
        return error


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, VocoderError) else f"{type(error).__name__}: {text}"
