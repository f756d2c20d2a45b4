"""The speaker of each utterance, from the files' folders, a corpus's manifest, or a CSV."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from vocoder.data.manifest import read_manifest
from vocoder.errors import VocoderError
from vocoder.reading import read_table

_HEADER = ("utterance", "speaker")


def speakers_of(utterances: Iterable[str], file: Path | None = None) -> dict[str, str]:
    """The speaker of every utterance; "" where unknown.

    Args:
        utterances: names, which are paths without suffix ("p225/p225_001").
        file: a `manifest.jsonl`, or a CSV with the columns `utterance` and `speaker`. A name in it
            matches an utterance if the shorter is the end of the other, folder by folder:
            "wavs/test/p225/p225_001" matches "p225/p225_001". Without a file, an utterance's folder
            is its speaker.

    Raises:
        VocoderError: the file cannot be read, an utterance is missing, or two matching lines name
            different speakers.
    """
    names = list(utterances)
    if file is None:
        return {name: _folder(name) for name in names}
    known: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for name, speaker in _read(file):
        parts = PurePosixPath(name).parts
        known.setdefault(parts[-1], []).append((parts, speaker))
    found = {name: _match(name, known, file) for name in names}
    missing = [name for name, speaker in found.items() if speaker is None]
    if missing:
        raise VocoderError(
            f"{file}: no speaker for {len(missing)} of {len(names)} utterances, such as "
            f"{missing[0]!r}; add a line for each (a CSV may leave the speaker empty)"
        )
    return {name: speaker for name, speaker in found.items() if speaker is not None}


def _folder(name: str) -> str:
    folder = PurePosixPath(name).parent.as_posix()
    return "" if folder == "." else folder


def _match(
    name: str, known: dict[str, list[tuple[tuple[str, ...], str]]], file: Path
) -> str | None:
    """The speaker named by all matching lines, or None without a match."""
    parts = PurePosixPath(name).parts
    fitting = {
        speaker
        for other, speaker in known.get(parts[-1], [])
        if other[-len(parts) :] == parts or parts[-len(other) :] == other
    }
    if len(fitting) > 1:
        raise VocoderError(
            f"{file}: {name!r} fits lines of {' and '.join(sorted(fitting))}; evaluate the folder "
            "above, so that the names tell them apart, or write a CSV"
        )
    return next(iter(fitting), None)


def _read(file: Path) -> list[tuple[str, str]]:
    """(path without suffix, speaker) of every line."""
    if file.suffix.lower() != ".csv":
        return [
            (utterance.path.with_suffix("").as_posix(), utterance.speaker)
            for utterance in read_manifest(file)
        ]
    lines = []
    for number, row in read_table(file, _HEADER, VocoderError):
        if not row["utterance"]:
            raise VocoderError(f"{file}:{number}: an utterance is needed")
        lines.append((row["utterance"], row["speaker"]))
    return lines
