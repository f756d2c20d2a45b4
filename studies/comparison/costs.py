"""Cost of generation, measured by `bench.baselines`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bench.baselines import PAPER, Row, chosen, measure
from studies.comparison.systems import CLASSICAL
from vocoder.data.files import write_text
from vocoder.errors import VocoderError
from vocoder.evaluation.cost import Cost


def measure_costs(path: Path, names: Sequence[str]) -> None:
    """Measure missing costs.

    Args:
        path: the output file.
        names: systems to measure and add. If empty, all systems, all sizes and the classical
            vocoders are measured in one run that replaces the file.
    """
    rows = read_costs(path)
    known = {row.name for row in rows}
    missing = [name for name in names if name not in known]
    # Only a complete run includes the classical vocoders.
    if not missing and (names or set(CLASSICAL) <= known):
        return
    measured = []
    for entry in chosen(missing):
        print(f"{entry.name}, {entry.size}: cost of generation", flush=True)
        measured.append(measure(entry))
    kept = rows if missing else []
    content = TypeAdapter(list[Row]).dump_json([*kept, *measured], indent=1)
    write_text(path, content.decode() + "\n")


def read_costs(path: Path) -> list[Row]:
    """The rows of the measurement; empty if missing."""
    if not path.exists():
        return []
    try:
        return TypeAdapter(list[Row]).validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise VocoderError(f"{path}: no costs ({error}); delete it, measure again") from error


def write_report_costs(
    rows: Sequence[Row], folder: Path, labels: dict[str, str]
) -> dict[str, Path]:
    """One file per system for `vocoder report --cost`, at the evaluated size.

    Args:
        rows: the measurements.
        folder: for the files.
        labels: of the systems in the evaluation, by name.

    Returns:
        The files by label.
    """
    files = {}
    for row in rows:
        if row.size != PAPER and row.name in labels:
            content: dict[str, Any] = {
                "model": row.name,
                "costs": [TypeAdapter(Cost).dump_python(row.cost, mode="json")],
            }
            write_text(folder / f"{row.name}.json", json.dumps(content) + "\n")
            files[labels[row.name]] = folder / f"{row.name}.json"
    return files
