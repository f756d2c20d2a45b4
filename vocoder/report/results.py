"""Read the output of `vocoder evaluate`: the table, the summary, and the paths of the audio."""

import math
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from vocoder.errors import AudioError, VocoderError
from vocoder.evaluation.folders import SUMMARY_NAME, TABLE_NAME
from vocoder.evaluation.naming import Naming
from vocoder.evaluation.summary import Summary
from vocoder.reading import MOST_TABLE_BYTES, read_table, read_text

RECORDING = "recording"
"""Name of the reference in the report if no evaluated system is the reference folder."""

_ALIGNED = "aligned"
"""End of the note of a file scored without its delay, see `alignment.remove_delay`."""

_MATCHED = "dB, matched"
"""End of the note of a file scored at the recording's level: `alignment.match_level`."""


@dataclass(frozen=True)
class Preparation:
    """Processing of a file by the evaluation before scoring.

    Attributes:
        compared: it was compared with the recording: not too long, too late or missing.
        aligned: its delay was removed.
        matched: it was scaled to the recording's level.
    """

    compared: bool
    aligned: bool
    matched: bool


@dataclass(frozen=True)
class Cell:
    """One row of `utterances.csv`: one utterance of one system; failed scores are None."""

    system: str
    utterance: str
    speaker: str
    duration_s: float | None
    scores: dict[str, float | None]
    error: str
    note: str


@dataclass(frozen=True)
class Results:
    """An evaluation and its files.

    Attributes:
        folder: from which it was read.
        summary: its `summary.json`.
        cells: its `utterances.csv`, by (system, utterance).
        utterances: distinct names in order.
        speakers: the speaker of each utterance; "" if unknown.
        recording: name of the reference: the system whose folder is the reference's, else
            `RECORDING`.
        files: audio files by player and utterance, the recording first, then the systems in the
            order of the evaluation.
    """

    folder: Path
    summary: Summary
    cells: dict[tuple[str, str], Cell]
    utterances: tuple[str, ...]
    speakers: dict[str, str]
    recording: str
    files: dict[str, dict[str, Path]]

    @property
    def players(self) -> tuple[str, ...]:
        """All sources of audio: the recording, then the other systems."""
        return tuple(self.files)

    @property
    def rivals(self) -> tuple[str, ...]:
        """The ranked systems: all except the recording and copies of it."""
        return tuple(
            name
            for name, system in self.summary.systems.items()
            if name != self.recording and not system.copy_of_reference
        )

    @property
    def recordings(self) -> tuple[str, ...]:
        """The evaluated systems that are the recording or a copy of it."""
        return tuple(name for name in self.summary.systems if name not in self.rivals)

    def preparation(self, player: str, utterance: str) -> Preparation:
        """Processing of one file by the evaluation, from its row in the table."""
        cell = self.cells.get((player, utterance))
        if cell is None:
            return Preparation(False, False, False)
        notes = cell.note.split("; ")
        return Preparation(
            compared=cell.duration_s is not None,
            aligned=any(note.endswith(_ALIGNED) for note in notes),
            matched=any(note.endswith(_MATCHED) for note in notes),
        )

    def changed_since(self) -> list[Path]:
        """Audio files that were written after the scores."""
        scored = (self.folder / TABLE_NAME).stat().st_mtime
        files = {path for each in self.files.values() for path in each.values()}
        return sorted(path for path in files if path.stat().st_mtime > scored)

    def scores(self, system: str, metric: str) -> list[float]:
        """The available scores, in the order of the utterances."""
        cells = (self.cells.get((system, name)) for name in self.utterances)
        found = (cell.scores[metric] for cell in cells if cell is not None)
        return [score for score in found if score is not None]


def read_results(folder: Path) -> Results:
    """Read an output folder of `vocoder evaluate`, and find the scored audio.

    Raises:
        VocoderError: the folder or one of its files is missing or invalid, the table and the
            summary are of different evaluations, or an audio folder is missing (named with its
            system).
    """
    summary = _read_summary(folder / SUMMARY_NAME)
    cells = _read_table(folder / TABLE_NAME, summary)
    names = tuple(sorted({cell.utterance for cell in cells}))
    recording = _name_of_recording(summary)
    files = {recording: _audio_of(recording, summary.reference, folder, summary.naming)}
    for name, system in summary.systems.items():
        files[name] = _audio_of(name, system.folder, folder, summary.naming, name)
    return Results(
        folder=folder,
        summary=summary,
        cells={(cell.system, cell.utterance): cell for cell in cells},
        utterances=names,
        speakers={cell.utterance: cell.speaker for cell in cells},
        recording=recording,
        files=files,
    )


def _read_summary(path: Path) -> Summary:
    try:
        return Summary.model_validate_json(_text(path))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise VocoderError(
            f"{path}: {field}: {first['msg']}; evaluate again with this version"
        ) from error


def _read_table(path: Path, summary: Summary) -> list[Cell]:
    described = ("system", "utterance", "speaker", "duration_s", "error", "note")
    try:
        rows = read_table(path, (*described, *summary.metrics), VocoderError)
    except VocoderError as error:
        raise VocoderError(f"{error}; evaluate again") from error
    cells = [_cell(row, summary, f"{path}:{number}") for number, row in rows]
    if not cells:
        raise VocoderError(f"{path}: no utterances; evaluate again")
    if len({(cell.system, cell.utterance) for cell in cells}) < len(cells):
        raise VocoderError(f"{path}: an utterance of a system stands there twice; evaluate again")
    if strange := {cell.system for cell in cells} - summary.systems.keys():
        raise VocoderError(
            f"{path}: system {min(strange)!r} is not in {SUMMARY_NAME}; evaluate again"
        )
    return cells


def _cell(row: dict[str, str], summary: Summary, where: str) -> Cell:
    return Cell(
        system=row["system"],
        utterance=row["utterance"],
        speaker=row["speaker"],
        duration_s=_number(row["duration_s"], "duration_s", where),
        scores={metric: _number(row[metric], metric, where) for metric in summary.metrics},
        error=row["error"],
        note=row["note"],
    )


def _number(text: str, column: str, where: str) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise VocoderError(f"{where}: {column}: {text!r} is no number; evaluate again")
    return number


def _text(path: Path) -> str:
    try:
        return read_text(path, VocoderError, MOST_TABLE_BYTES)
    except VocoderError as error:
        raise VocoderError(
            f"{error}; `vocoder evaluate … --output {path.parent}` writes it"
        ) from error


def _name_of_recording(summary: Summary) -> str:
    """The system that is the reference, if one was evaluated; else a new name."""
    reference = Path(summary.reference).resolve()
    for name, system in summary.systems.items():
        if Path(system.folder).resolve() == reference:
            return name
    # If a system has that name, the reference gets another.
    return RECORDING if RECORDING not in summary.systems else f"{RECORDING} (reference)"


def _audio_of(
    name: str, folder: str, results: Path, naming: Naming, system: str | None = None
) -> dict[str, Path]:
    """Files by utterance; `system` is None for the recordings."""
    try:
        return naming.files(Path(folder), system)
    except AudioError as error:
        where = "" if Path(folder).is_absolute() else f" (looked for in {Path.cwd()})"
        raise VocoderError(
            f"{name}: {error}{where}; if it has moved since, evaluate again, and "
            f"write the scores into {results} anew"
        ) from error
