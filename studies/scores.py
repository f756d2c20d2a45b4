"""Scores per utterance as small files in the repository, from which tables are built."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, Field, ValidationError, model_validator

from vocoder.config import Config
from vocoder.data.files import write_text
from vocoder.errors import VocoderError
from vocoder.evaluation.folders import TABLE_NAME
from vocoder.evaluation.pairs import Row
from vocoder.evaluation.registry import METRICS, Column

_Model = TypeVar("_Model", bound=BaseModel)
_DESCRIPTION = {"system", "utterance", "speaker", "duration_s", "error", "note"}


def read_csv(path: Path) -> list[dict[str, str]]:
    """The lines of a table of scores.

    Raises:
        VocoderError: it cannot be read.
    """
    try:
        return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise VocoderError(f"{path}: cannot be read ({error.strerror})") from error


def csv_text(fields: Sequence[str], lines: Iterable[Mapping[str, str]]) -> str:
    """Lines as CSV, under a heading."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def change_cell(changes: Sequence[float], decimals: int) -> str:
    """Mean of paired differences ± 1.96 standard errors.

    >>> change_cell([0.1, 0.2, 0.3], 2)
    '+0.20 ± 0.11'
    """
    error = 1.96 * np.std(changes, ddof=1) / len(changes) ** 0.5
    return f"{np.mean(changes):+.{decimals}f} ± {error:.{decimals}f}"


class Scores(Config):
    """Scores of one system per utterance.

    Fields:
        utterances: their names.
        values: by metric, one number per utterance; None if undefined.
        notes: alignment, cropping or resampling, by utterance; empty notes are omitted.
    """

    utterances: tuple[str, ...]
    values: dict[str, tuple[float | None, ...]]
    notes: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_each(self) -> "Scores":
        for metric, values in self.values.items():
            if len(values) != len(self.utterances):
                raise ValueError(
                    f"{metric} has {len(values)} values for {len(self.utterances)} utterances"
                )
        return self

    def rows(self, system: str, metrics: Iterable[str]) -> list[Row]:
        """Rows as in an evaluation; unmeasured metrics are None."""
        nothing = (None,) * len(self.utterances)
        columns = {metric: self.values.get(metric, nothing) for metric in metrics}
        return [
            Row(system, utterance, None, {name: values[i] for name, values in columns.items()})
            for i, utterance in enumerate(self.utterances)
        ]

    def merged(self, more: "Scores") -> "Scores":
        """These metrics and those of another evaluation of the same utterances."""
        if more.utterances != self.utterances:
            raise VocoderError(
                f"scores of {', '.join(more.utterances)} cannot be added to those of "
                f"{', '.join(self.utterances)}"
            )
        return Scores(
            utterances=self.utterances,
            values={**self.values, **more.values},
            notes={**more.notes, **self.notes},
        )


def read_evaluation(folder: Path) -> dict[str, Scores]:
    """Scores by system from the output of `vocoder evaluate`, in its order.

    Raises:
        VocoderError: no readable table.
    """
    by_system: dict[str, list[Mapping[str, str]]] = {}
    for line in read_csv(folder / TABLE_NAME):
        by_system.setdefault(line["system"], []).append(line)
    return {
        system: Scores(
            utterances=tuple(line["utterance"] for line in own),
            values={
                metric: tuple(float(line[metric]) if line[metric] else None for line in own)
                for metric in own[0]
                if metric not in _DESCRIPTION
            },
            notes={line["utterance"]: line["note"] for line in own if line["note"]},
        )
        for system, own in by_system.items()
    }


def columns_of(metrics: Sequence[str]) -> list[Column]:
    """Columns of previously measured metrics; their packages need not be installed."""
    unknown = [metric for metric in metrics if metric not in METRICS]
    if unknown:
        raise VocoderError(f"scores of {unknown[0]!r}, which is no metric; measure them again")
    return [Column(metric, METRICS[metric], False) for metric in metrics]


def write_model(path: Path, content: BaseModel) -> None:
    """Write a typed value as JSON, atomically; lists of numbers or words on one line."""
    text = json.dumps(content.model_dump(mode="json"), indent=1, ensure_ascii=False)
    flat = re.sub(r"\[[^\[\]{}]*\]", lambda found: re.sub(r"\s*\n\s*", " ", found[0]), text)
    write_text(path, flat + "\n")


def read_model(kind: type[_Model], path: Path) -> _Model:
    """Read a file written by `write_model`.

    Raises:
        VocoderError: the file cannot be read or is invalid.
    """
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise VocoderError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise VocoderError(f"{path}: {where}: {first['msg']}; measure it again") from error
