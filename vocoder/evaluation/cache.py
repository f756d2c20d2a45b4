"""Remembered scores: one small JSON file per pair of audio files, named by their contents."""

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
from vocoder.evaluation.alignment import ALIGNMENT_VERSION
from vocoder.evaluation.plugins import PluginMeasure
from vocoder.evaluation.registry import Column
from vocoder.evaluation.versions import package_version, package_versions

_FORMAT = 3


class StoredScore(Config):
    """One cell: a number, or why there is none.

    Fields:
        value: the score, finite, or None.
        error: the reason where `value` is None, as the table says it.
        fingerprint: of the metric that measured it, see `metric_fingerprint`; a score with
            another one is measured again.
    """

    value: float | None = Field(allow_inf_nan=False)
    error: str | None
    fingerprint: str


class Entry(Config):
    """Scores of a pair of files, and how the two were read and aligned.

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

    An entry is written atomically, after its pair was scored; where two processes write the same
    entry, both have the same scores and the later one stays. Nothing is ever removed: delete the
    folder to start over.
    """

    folder: Path

    def key(self, reference: Path, estimate: Path, settings: Sequence[float | None]) -> str:
        """Name of the entry: a digest of both contents and of all that every score depends on.

        That is `settings`, the version of the alignment, and the versions of this package and of
        those that read audio. Names, places and dates of the files do not matter.

        Args:
            reference: file of the recording.
            estimate: file of the resynthesis.
            settings: of the alignment, see `vocoder.evaluation.pairs.Scoring.settings`.

        Raises:
            OSError: a file cannot be read.
        """
        digests = map(_digest, (reference, estimate))
        parts = [_FORMAT, *digests, *settings, ALIGNMENT_VERSION, package_versions()]
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
        # 256 folders, so that none becomes too large for the file system.
        return self.folder / key[:2] / f"{key[2:]}.json"


def default_cache() -> ScoreCache:
    """The cache in `$VOCODER_CACHE` or ~/.cache/vocoder, beside the downloads and pitch tracks."""
    return ScoreCache(cache_folder() / "scores")


def metric_fingerprint(column: Column) -> str:
    """One line that differs whenever a column's metric would give other scores.

    It holds the field and version of the metric, the versions of the packages that it declares
    and, for a user's own metric, the digest of its file.
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
    """The scores of an entry whose metrics have the same fingerprint now."""
    if entry is None:
        return {}
    return {
        column.name: score
        for column in columns
        if (score := entry.scores.get(column.name)) is not None
        and score.fingerprint == metric_fingerprint(column)
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()
