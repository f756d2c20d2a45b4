"""Cached scores: one small JSON file per pair of audio files, named by a digest of their
contents."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from vocoder.config import Config
from vocoder.data.debian import cache_folder
from vocoder.data.files import write_text
from vocoder.errors import AudioError, VocoderError
from vocoder.evaluation.alignment import ALIGNMENT_VERSION
from vocoder.evaluation.plugins import PluginMeasure
from vocoder.evaluation.registry import Column
from vocoder.evaluation.versions import package_version, package_versions
from vocoder.reading import open_file

_FORMAT = 4  # before 4, a metric could change the signals of those after it


class StoredScore(Config):
    """One cell: a number, or the reason for its absence.

    Fields:
        value: the score, finite, or None.
        error: the reason if `value` is None, as shown in the table.
        fingerprint: of the metric, see `metric_fingerprint`; a score with another fingerprint is
            recomputed.
    """

    value: float | None = Field(allow_inf_nan=False)
    error: str | None
    fingerprint: str


class Entry(Config):
    """Scores of a pair of files, with notes on reading and alignment.

    Fields:
        duration_s: compared length in seconds.
        notes: on reading and alignment, as shown in the table.
        scores: by column.
        level_db: level of the estimate relative to the recording before level matching, in dB; None
            if either is silent.
    """

    duration_s: float = Field(gt=0, allow_inf_nan=False)
    notes: tuple[str, ...]
    scores: dict[str, StoredScore]
    level_db: float | None = Field(default=None, allow_inf_nan=False)


class CorruptEntryError(Exception):
    """A cache file that is no valid entry; the pair is scored again."""


@dataclass(frozen=True)
class ScoreCache:
    """A folder of entries, safe for concurrent reading and writing by several processes.

    An entry is written atomically after its pair was scored; if two processes write the same entry,
    both have the same scores and the later one is kept. Entries are never removed: delete the
    folder to start over.
    """

    folder: Path

    def key(self, reference: Path, estimate: Path, settings: Sequence[float | None]) -> str:
        """Name of the entry: a digest of both files' contents and of everything common to all
        scores.

        This is `settings`, the version of the alignment, and the versions of this package and of
        the packages that read audio. Names, paths and dates of the files do not matter.

        Args:
            reference: file of the recording.
            estimate: file of the resynthesis.
            settings: of the alignment, see `vocoder.evaluation.pairs.Scoring.settings`.

        Raises:
            AudioError: a file cannot be read.
        """
        digests = map(_digest, (reference, estimate))
        parts = [_FORMAT, *digests, *settings, ALIGNMENT_VERSION, package_versions()]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=20).hexdigest()

    def read(self, key: str) -> Entry | None:
        """The entry, or None if there is none.

        Raises:
            CorruptEntryError: the file is no valid entry.
        """
        try:
            return Entry.model_validate_json(self._path(key).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise CorruptEntryError from error

    def write(self, key: str, entry: Entry) -> None:
        """Write the entry. Raises OutputError if the folder cannot be written."""
        write_text(self._path(key), entry.model_dump_json())

    def check(self) -> None:
        """Create the folder; raises VocoderError if that fails."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VocoderError(
                f"{self.folder}: the score cache cannot be made ({error.strerror}); set "
                "VOCODER_CACHE to another folder, or use --no-cache"
            ) from error

    def _path(self, key: str) -> Path:
        # 256 folders keep each one small.
        return self.folder / key[:2] / f"{key[2:]}.json"


def default_cache() -> ScoreCache:
    """The cache in `$VOCODER_CACHE` or ~/.cache/vocoder, beside the downloads and pitch tracks."""
    return ScoreCache(cache_folder() / "scores")


def metric_fingerprint(column: Column) -> str:
    """One line that changes whenever a column's metric would give other scores.

    It contains the field and version of the metric, the versions of its declared packages and, for
    a user-defined metric, the digest of its file.
    """
    metric = column.metric
    parts = [f"version {metric.version}"]
    if metric.field is not None:
        parts.insert(0, metric.field)
    if isinstance(metric.measure, PluginMeasure):
        parts.append(f"file {metric.measure.digest}")
    parts += [f"{name}={package_version(name)}" for name in sorted(metric.packages)]
    return " ".join(parts)


def fresh_scores(entry: Entry | None, columns: Sequence[Column]) -> dict[str, StoredScore]:
    """The scores of an entry whose metrics still have the same fingerprint."""
    if entry is None:
        return {}
    return {
        column.name: score
        for column in columns
        if (score := entry.scores.get(column.name)) is not None
        and score.fingerprint == metric_fingerprint(column)
    }


def _digest(path: Path) -> str:
    with open_file(path, AudioError) as (file, _):
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()
