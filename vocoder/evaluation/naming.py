"""Matching of files to utterances if a system's file names differ from the recordings'."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from vocoder.config import Config
from vocoder.data.audio import AUDIO_SUFFIXES
from vocoder.errors import AudioError, VocoderError
from vocoder.evaluation.pairs import files_by_utterance
from vocoder.reading import read_table

EVERY_SYSTEM = "*"
"""Stands for all systems in a map."""

_HEADER = ("system", "file", "utterance")


class MapLine(Config):
    """One line of a map: assigns an utterance to a file of a system.

    Fields:
        where: file and line number, for errors.
        system: name of a system, or `EVERY_SYSTEM`.
        file: path in the system's folder, with or without its suffix.
        utterance: name of the recording, its path in its folder without suffix.
    """

    where: str
    system: str
    file: str
    utterance: str


class Naming(Config):
    """Rules for the names by which files are matched.

    Fields:
        strip_suffixes: name endings ignored in recordings and systems' files; the longest match is
            removed, once.
        lines: individually named files; they take precedence over `strip_suffixes`.
    """

    strip_suffixes: tuple[str, ...] = ()
    lines: tuple[MapLine, ...] = ()

    def files(self, folder: Path, system: str | None = None) -> dict[str, Path]:
        """Audio files of a folder by utterance.

        Args:
            folder: searched recursively.
            system: name of the system; None for the recordings, to which map lines do not apply.

        Raises:
            AudioError: as `files_by_utterance`, or two files become one utterance.
        """
        files = files_by_utterance(folder)
        mapped: dict[str, str] = {}
        for line in self._lines_of(system):
            name = _name_in(files, line.file)
            # A line for all systems need not match each; `check` reports lines without a match.
            if name is not None:
                mapped[name] = self._stripped(_without_audio_suffix(line.utterance))
        found: dict[str, Path] = {}
        for name, path in files.items():
            utterance = mapped.get(name) or self._stripped(name)
            if utterance in found:
                raise AudioError(
                    f"{path}: {found[utterance]} becomes the utterance {utterance!r} too; name "
                    "them apart, or leave out the --strip-suffix or the line of --map"
                )
            found[utterance] = path
        return found

    def check(self, reference: Path, systems: Mapping[str, Path]) -> None:
        """Raise for probable mistakes, before anything is scored.

        Raises:
            VocoderError: a suffix that matches no file, or a map line with an unknown system, a
                missing file, an utterance without a recording, or a file named in an earlier line.
        """
        if not (self.strip_suffixes or self.lines):
            return
        recordings = files_by_utterance(reference)
        by_system = {name: files_by_utterance(folder) for name, folder in systems.items()}
        every_name = [*recordings, *(name for files in by_system.values() for name in files)]
        for suffix in self.strip_suffixes:
            if not suffix or not any(name.endswith(suffix) for name in every_name):
                raise VocoderError(
                    f"--strip-suffix {suffix!r}: no file's name ends like that (before .wav or "
                    f"another ending); there is {every_name[-1]!r}, for example"
                )
        utterances = {self._stripped(name) for name in recordings}
        named: dict[tuple[str, str], str] = {}
        for line in self.lines:
            own = by_system if line.system == EVERY_SYSTEM else {
                line.system: by_system.get(line.system)
            }  # fmt: skip
            if None in own.values():
                raise VocoderError(
                    f"{line.where}: system: there is no {line.system!r}; there are "
                    f"{', '.join(systems)}, and {EVERY_SYSTEM} for all of them"
                )
            found = {
                system: name
                for system, files in own.items()
                if (name := _name_in(files or {}, line.file)) is not None
            }
            if not found:
                folders = " or ".join(str(systems[system]) for system in own)
                raise VocoderError(f"{line.where}: file: no {line.file!r} in {folders}")
            utterance = self._stripped(_without_audio_suffix(line.utterance))
            if utterance not in utterances:
                raise VocoderError(
                    f"{line.where}: utterance: no recording {line.utterance!r} in {reference}"
                )
            for key in found.items():
                if key in named:
                    raise VocoderError(
                        f"{line.where}: file: {line.file!r} stands in {named[key]} already"
                    )
                named[key] = line.where

    def _lines_of(self, system: str | None) -> list[MapLine]:
        return [line for line in self.lines if system and line.system in (system, EVERY_SYSTEM)]

    def _stripped(self, name: str) -> str:
        stem = PurePosixPath(name).name
        # A name equal to the suffix is kept: an utterance needs a name.
        fitting = [end for end in self.strip_suffixes if stem.endswith(end) and end != stem]
        return name.removesuffix(max(fitting, key=len, default=""))


def read_map(file: Path) -> tuple[MapLine, ...]:
    """Read a CSV with the columns `system`, `file` and `utterance`.

    Raises:
        VocoderError: the file cannot be read, lacks a column, or a line lacks one of the three;
            the message begins with the file and the number of the line.
    """
    lines = []
    for number, row in read_table(file, _HEADER, VocoderError):
        for column in _HEADER:
            if not row[column]:
                raise VocoderError(f"{file}:{number}: {column}: nothing stands there")
        lines.append(
            MapLine(where=f"{file}:{number}", **{column: row[column] for column in _HEADER})
        )
    return tuple(lines)


def naming_of(strip_suffixes: Sequence[str] = (), map_file: Path | None = None) -> Naming:
    """The naming for two command-line options; see `read_map` for errors."""
    return Naming(
        strip_suffixes=tuple(strip_suffixes), lines=read_map(map_file) if map_file else ()
    )


def _name_in(files: Mapping[str, Path], file: str) -> str | None:
    """The key of a file given with or without its suffix; None if it is missing."""
    if file in files:
        return file
    name = _without_audio_suffix(file)
    return name if name in files and files[name].name == PurePosixPath(file).name else None


def _without_audio_suffix(name: str) -> str:
    path = PurePosixPath(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in AUDIO_SUFFIXES else name
