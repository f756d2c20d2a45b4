"""What generation costs, measured by `bench.baselines`."""

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
    """Measure what is not known yet.

    Args:
        path: the file that gets it.
        names: systems to measure, added to what is known. All for none, all sizes and the
            classical vocoders too, in one run that replaces what is known.
    """
    rows = read_costs(path)
    known = {row.name for row in rows}
    missing = [name for name in names if name not in known]
    # Only a run of all has the classical vocoders.
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
    """The rows of that run; none where it was not done."""
    if not path.exists():
        return []
    try:
        return TypeAdapter(list[Row]).validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise VocoderError(f"{path}: no costs ({error}); delete it, measure again") from error


def write_report_costs(
    rows: Sequence[Row], folder: Path, labels: dict[str, str]
) -> dict[str, Path]:
    """One file a system as `vocoder report --cost` wants it, at the size that was evaluated.

    Args:
        rows: what was measured.
        folder: for the files.
        labels: what the evaluation calls the systems, by name.

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
