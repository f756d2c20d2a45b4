"""The manifest of a corpus: JSON lines, one per utterance."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import Field, ValidationError

from vocoder.config import Config
from vocoder.data.files import write_text
from vocoder.errors import CorpusError
from vocoder.reading import MOST_TABLE_BYTES, read_text


class Utterance(Config):
    """One recording.

    path: audio file, relative to the folder of the manifest (or absolute).
    speaker: name of the speaker, unique within the corpus.
    split: "train", "valid", "test", "unused", or a corpus-specific name ("test-other").
    duration_s: length in seconds.
    licence: short name of the licence; the full notices are beside the manifest.
    mel: file of the mel that an acoustic model predicts for it, .npy or .pt, relative as `path`.
    """

    path: Path
    speaker: str = Field(min_length=1)
    split: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    duration_s: float = Field(gt=0, allow_inf_nan=False)
    licence: str = Field(min_length=1)
    mel: Path | None = None


def read_manifest(path: str | Path) -> list[Utterance]:
    """Read the utterances of a manifest, in its order.

    Raises CorpusError if the file is missing or empty, names a file twice, or holds an invalid line
    (the message names it).
    """
    path = Path(path)
    try:
        lines = read_text(path, CorpusError, MOST_TABLE_BYTES).splitlines()
    except CorpusError as error:
        raise CorpusError(f"{error}; `vocoder prepare CORPUS` writes a manifest") from error
    utterances = [
        _parse(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()
    ]
    if not utterances:
        raise CorpusError(f"{path}: the manifest is empty; prepare the corpus again")
    seen: set[Path] = set()
    for utterance in utterances:
        if utterance.path in seen:
            raise CorpusError(f"{path}: {utterance.path} stands there twice; prepare again")
        seen.add(utterance.path)
    return utterances


def write_manifest(path: str | Path, utterances: Iterable[Utterance]) -> None:
    """Write utterances as JSON lines, in the order given, atomically."""
    write_text(
        Path(path), "".join(f"{entry.model_dump_json(exclude_none=True)}\n" for entry in utterances)
    )


def _parse(line: str, where: str) -> Utterance:
    try:
        return Utterance.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the line"
        raise CorpusError(f"{where}: {field}: {first['msg']}; prepare the corpus again") from error
