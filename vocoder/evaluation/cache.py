"""Scores remembered by what they were measured on: a small JSON file a pair of audio files."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from vocoder.config import Config
from vocoder.data.debian import cache_folder
from vocoder.data.files import write_text
from vocoder.errors import VocoderError
from vocoder.evaluation.alignment import align
from vocoder.evaluation.provenance import provenance
from vocoder.evaluation.registry import Column
from vocoder.metrics.signals import lowpass_7k

_FORMAT = 2


class StoredScore(Config):
    """One cell: a number, or why there is none.

    Fields:
        value: the score, finite, or None.
        error: the reason where `value` is None, as the table says it.
        made_by: what measured it, see `made_by`; any difference makes the score void.
    """

    value: float | None = Field(allow_inf_nan=False)
    error: str | None
    made_by: str


class Entry(Config):
    """What is known of a pair of files.

    Fields:
        duration_s: length of what was compared, in seconds.
        notes: of the reading and the alignment, as the table says them.
        scores: by column.
        level_db: of the estimate beside the recording before levels are matched, in dB; None
            where one of them is silent.
    """

    duration_s: float = Field(gt=0, allow_inf_nan=False)
    notes: tuple[str, ...]
    scores: dict[str, StoredScore]
    level_db: float | None = Field(default=None, allow_inf_nan=False)


class CorruptEntryError(Exception):
    """A file of the cache that holds no entry; the pair is measured again."""


@dataclass(frozen=True)
class ScoreCache:
    """A folder of entries that any number of processes may read and write at once.

    An entry is written whole or not at all, after its pair; of two processes that write the
    same one the later wins, and both wrote what is true. Nothing is ever removed: delete the
    folder to start anew.
    """

    folder: Path

    def key(self, reference: Path, estimate: Path, settings: Sequence[float | None]) -> str:
        """Name of the entry: a digest of both contents and of how they are read and aligned.

        Names, places and dates of the files do not matter.

        Args:
            reference: file of the recording.
            estimate: file of the resynthesis.
            settings: all that decides what becomes of the two files before they are measured, see
                `vocoder.evaluation.pairs.Scoring.settings`.

        Raises:
            OSError: a file cannot be read.
        """
        parts: list[object] = [_FORMAT, *map(_digest, (reference, estimate)), *settings]
        parts.append(provenance(align).text)
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=20).hexdigest()

    def read(self, key: str) -> Entry | None:
        """The entry, or None if there is none.

        Raises:
            CorruptEntryError: the file holds something else.
        """
        try:
            return Entry.model_validate_json(self._path(key).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise CorruptEntryError from error

    def write(self, key: str, entry: Entry) -> None:
        """Write the entry. Raises OSError where the folder cannot be written."""
        write_text(self._path(key), entry.model_dump_json())

    def check(self) -> None:
        """Make the folder; VocoderError if that is not possible."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VocoderError(
                f"{self.folder}: the score cache cannot be made ({error.strerror}); set "
                "VOCODER_CACHE to another folder, or use --no-cache"
            ) from error

    def _path(self, key: str) -> Path:
        # Folders of some hundred entries each, whatever the size of the evaluations.
        return self.folder / key[:2] / f"{key[2:]}.json"


def default_cache() -> ScoreCache:
    """The cache in `$VOCODER_CACHE` or ~/.cache/vocoder, beside the downloads and pitch tracks."""
    return ScoreCache(cache_folder() / "scores")


def made_by(column: Column) -> str:
    """The version of a column's metric, its code and the packages under it, as one line."""
    parts = [f"version {column.metric.version}", provenance(column.metric.measure).text]
    if column.metric.field is not None:
        parts.insert(0, column.metric.field)
    if column.to_7k:
        parts.append(f"low-pass {provenance(lowpass_7k).text}")
    return " ".join(parts)


def fresh_scores(entry: Entry | None, columns: Sequence[Column]) -> dict[str, StoredScore]:
    """The scores of an entry that these columns' metrics, as they are now, would give again."""
    if entry is None:
        return {}
    return {
        column.name: score
        for column in columns
        if (score := entry.scores.get(column.name)) is not None and score.made_by == made_by(column)
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()
