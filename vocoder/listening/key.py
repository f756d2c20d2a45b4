"""The key of a listening test: the sound behind each opaque name on its page."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from vocoder.config import Config
from vocoder.data.files import write_text
from vocoder.errors import VocoderError
from vocoder.reading import MOST_TABLE_BYTES, read_text

REFERENCE = "reference"
LOW_ANCHOR = "anchor_3k5"
MID_ANCHOR = "anchor_7k"
OWN_CONDITIONS = (REFERENCE, LOW_ANCHOR, MID_ANCHOR)
"""Conditions of a MUSHRA trial that are no system; reserved names."""

Kind = Literal["mushra", "abx"]


class Stimulus(Config):
    """One sound of the page.

    condition: the system, or one of `OWN_CONDITIONS`.
    gain_db: total gain applied to the file, by level alignment and clipping protection; anchors
        have the gain of the reference.
    """

    condition: str
    gain_db: float


class TrialKey(Config):
    """One trial.

    utterance: path in the folders without suffix.
    open_reference: name of the open reference's sound; None in ABX.
    stimuli: the sounds to be graded, by their names on the page.
    """

    utterance: str
    open_reference: str | None
    stimuli: dict[str, Stimulus]


class Key(Config):
    """Contents of `key.json`, which the page hides; do not show it to the assessors."""

    format: Literal["vocoder-listening-key"] = "vocoder-listening-key"
    version: Literal[1] = 1
    kind: Kind
    test: str
    title: str
    seed: int
    sample_rate: int
    level: Literal["loudness", "none"]
    repeats: int = Field(ge=1)
    reference: str
    systems: dict[str, str]
    notes: tuple[str, ...]
    training: dict[str, TrialKey]
    trials: dict[str, TrialKey] = Field(min_length=1)

    @model_validator(mode="after")
    def _trials_have_the_conditions(self) -> Self:
        known = {REFERENCE, *self.systems}
        if self.kind == "mushra":
            known |= {MID_ANCHOR, LOW_ANCHOR}
        for name, trial in self.trials.items():
            conditions = sorted(stimulus.condition for stimulus in trial.stimuli.values())
            if self.kind == "mushra" and conditions != sorted(known):
                raise ValueError(f"trials.{name}: its conditions are not {', '.join(known)}")
            if self.kind == "abx" and not (len(conditions) == 2 and set(conditions) <= known):
                raise ValueError(f"trials.{name}: its conditions are not two of {', '.join(known)}")
        return self


def write_key(path: Path, key: Key) -> None:
    """Write the key as JSON, atomically."""
    write_text(path, key.model_dump_json(indent=2) + "\n")


def read_key(path: Path) -> Key:
    """Read a key written by `write_key`.

    Raises:
        VocoderError: the file is missing, or is no key of a known version.
    """
    text = read_text(path, VocoderError, MOST_TABLE_BYTES)
    try:
        return Key.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise VocoderError(
            f"{path}: no key of a listening test ({first_problem(error)}); "
            "give the key.json that `vocoder listening-test build` wrote"
        ) from error


def first_problem(error: ValidationError) -> str:
    """The first validation error, with its location, in one line."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else str(first["msg"])
