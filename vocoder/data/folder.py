"""User recordings as a corpus: a folder of audio, speakers, a random but fixed split."""

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

from vocoder.data.audio import find_audio, open_audio, read_audio
from vocoder.data.layout import Recording
from vocoder.data.mels import MEL_SUFFIXES
from vocoder.errors import AudioError, CorpusError, printable
from vocoder.reading import read_table

BY_FOLDER = "by-folder"
HELD_OUT = 0.05
"""Share of the speakers, or of the utterances, that each of valid and test gets."""
MANY_SPEAKERS = 20
"""Least number of speakers for holding out whole speakers; below it, utterances are held out."""


def folder_corpus(
    source: Path,
    speakers: str = BY_FOLDER,
    licence: str = "not stated",
    mels: Path | None = None,
) -> list[Recording]:
    """Recordings of a folder, searched recursively.

    Args:
        source: the folder, with WAV, FLAC, Ogg, Opus, MP3, AIFF, AU, CAF or W64 files.
        speakers: "by-folder" (the first folder below the source; a single speaker if the files are
            in the source itself), a CSV with the columns utterance and speaker, or a regular
            expression whose first group is the speaker in a file's path below the source.
        licence: entered into the manifest for every recording.
        mels: folder of predicted mels, each under its recording's path with .npy or .pt.

    Raises:
        CorpusError: no audio, an unknown speaker, or a table or a folder that lacks a file.
    """
    if not source.is_dir():
        raise CorpusError(f"{source}: no such folder; name your recordings by --source")
    found = find_audio([source])
    paths = {printable(path.relative_to(source).with_suffix("").as_posix()): path for path in found}
    if len(paths) < len(found):
        raise CorpusError(
            f"{source}: files whose names differ in the suffix alone would become one recording"
        )
    speaker_of = _speakers(speakers, source)
    known = {name: speaker_of(name) for name in paths}
    splits = split_utterances(known)
    return [
        Recording(
            name,
            known[name],
            splits[name],
            licence,
            partial(read_audio, path),
            None if mels is None else _mel_of(name, mels),
            path,
        )
        for name, path in paths.items()
    ]


def _mel_of(name: str, mels: Path) -> Path:
    """The absolute path of a recording's mel."""
    for suffix in MEL_SUFFIXES:
        path = mels / f"{name}{suffix}"
        if path.is_file():
            return path.resolve()
    raise CorpusError(f"{mels}: no {name}.npy or .pt; predict a mel for each recording")


def split_utterances(speakers: Mapping[str, str]) -> dict[str, str]:
    """Split of each utterance, from the speakers by utterance name.

    With 20 speakers or more, about 5 % of the speakers are "valid" and about 5 % "test", with all
    their utterances. With fewer speakers, about 5 % of the utterances each. A hash of the name
    decides: the split is random, the same on every machine, and unchanged when files are added
    later. If a split would be empty, as in a small corpus, the names with the lowest hashes fill
    valid and test.

    Raises:
        CorpusError: fewer than three utterances.
    """
    if len(speakers) < 3:
        raise CorpusError(
            f"{len(speakers)} recordings: at least three are needed, for train, valid and test"
        )
    names = set(speakers.values())
    if len(names) >= MANY_SPEAKERS:
        by_speaker = _drawn(names)
        return {utterance: by_speaker[speaker] for utterance, speaker in speakers.items()}
    return _drawn(speakers)


def _drawn(names: Collection[str]) -> dict[str, str]:
    """A split for each name, by its hash."""
    places = {
        name: int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64 for name in names
    }
    splits = {
        name: "valid" if place < HELD_OUT else "test" if place < 2 * HELD_OUT else "train"
        for name, place in places.items()
    }
    if len(set(splits.values())) < 3:
        ordered = sorted(places, key=places.__getitem__)
        count = max(1, round(HELD_OUT * len(ordered)))
        splits = (
            dict.fromkeys(ordered, "train")
            | dict.fromkeys(ordered[:count], "valid")
            | dict.fromkeys(ordered[count : 2 * count], "test")
        )
    return splits


def own_rates(source: Path) -> dict[Path, int]:
    """Sample rate (Hz) of every audio file, from the headers; unreadable files are skipped."""
    found = {}
    for path in find_audio([source]):
        try:
            with open_audio(path) as file:
                found[path] = file.sample_rate
        except AudioError:  # the audio reader reports it later
            continue
    if not found:
        raise CorpusError(f"{source}: no audio file whose header can be read")
    return found


def _speakers(how: str, source: Path) -> Callable[[str], str]:
    """Speaker by utterance name."""
    if how == BY_FOLDER:
        return lambda name: name.split("/")[0] if "/" in name else source.resolve().name
    if how.endswith(".csv"):
        return _from_table(Path(how))
    try:
        pattern = re.compile(how)
    except re.error as error:
        raise CorpusError(f"--speakers {how}: not a regular expression ({error})") from error
    if pattern.groups < 1:
        raise CorpusError(f"--speakers {how}: put the speaker into a group, as in '^([^_]+)_'")

    def matched(name: str) -> str:
        match = pattern.search(name)
        if match is None or not match[1]:
            raise CorpusError(f"{source / name}: --speakers {how} finds no speaker in its name")
        return match[1]

    return matched


def _from_table(path: Path) -> Callable[[str], str]:
    rows = read_table(path, ("utterance", "speaker"), CorpusError)
    table = {row["utterance"]: row["speaker"] for _, row in rows}

    def looked_up(name: str) -> str:
        if not table.get(name):
            raise CorpusError(f"{path}: no speaker of {name}; add the line or remove the file")
        return table[name]

    return looked_up
