"""The scores of the ladders, from the tables of `vocoder evaluate`."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from studies.validation.ladders import LADDERS
from studies.validation.score import BASE, TIERS
from vocoder.errors import VocoderError
from vocoder.evaluation.registry import METRICS


@dataclass(frozen=True)
class Scores:
    """All scores of one metric on one ladder.

    Attributes:
        metric: its name in the registry.
        ladder: its name.
        values: utterance → scores, the undegraded signal first, then mild to severe; None if
            undefined.
    """

    metric: str
    ladder: str
    values: dict[str, list[float | None]]

    def means(self) -> list[float | None]:
        """Mean over utterances of each rung, None without scores."""
        columns = zip(*self.values.values(), strict=True)
        scored = [[v for v in column if v is not None] for column in columns]
        return [sum(column) / len(column) if column else None for column in scored]


def read_scores(folder: Path) -> dict[tuple[str, str], Scores]:
    """Every metric on every scored ladder, by (metric, ladder).

    Raises:
        VocoderError: there are no scores, or a table lacks a rung.
    """
    found: dict[tuple[str, str], Scores] = {}
    for tier in TIERS:
        for ladder in LADDERS:
            path = folder / tier / ladder / "utterances.csv"
            if path.exists():
                found |= {(one.metric, ladder): one for one in _read(path, ladder)}
    if not found:
        raise VocoderError(f"{folder}: no scores; run studies/validation/score.py first")
    return found


def _read(path: Path, ladder: str) -> Iterator[Scores]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    systems = [BASE, *(f"{rung:g}" for rung in LADDERS[ladder].rungs)]
    cells = {(row["system"], row["utterance"]): row for row in rows}
    utterances = sorted({row["utterance"] for row in rows})
    missing = {(s, u) for s in systems for u in utterances} - set(cells)
    if missing:
        raise VocoderError(f"{path}: no row for {min(missing)}; score the ladder again")
    for metric in METRICS:
        if metric not in rows[0]:
            continue
        values = {}
        for utterance in utterances:
            row = [cells[system, utterance][metric] for system in systems]
            values[utterance] = [float(cell) if cell else None for cell in row]
        yield Scores(metric, ladder, values)
