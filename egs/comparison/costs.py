"""What generation costs."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from egs.comparison.systems import CLASSICAL, RECIPES
from vocoder.data.files import write_text
from vocoder.errors import VocoderError
from vocoder.evaluation.cost import Cost

BENCH = RECIPES.parent / "bench" / "baselines.py"
FULL, BUDGET, NOTHING_LEARNT = "paper", "budget", "classical"


@dataclass(frozen=True)
class Row:
    """What `bench/baselines.py` found of one system at one size; see there."""

    name: str
    size: str
    sample_rate: int
    latency_s: float | None
    cost: Cost


def measure_costs(path: Path, names: Sequence[str]) -> None:
    """Generation: `bench/baselines.py --json`, for what is not known yet.

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
    print(f"$ {' '.join(['python', 'bench/baselines.py', '--json', *missing])}", flush=True)
    command = [sys.executable, str(BENCH), "--json", *missing]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise VocoderError(f"bench/baselines.py ended with status {done.returncode}")
    measured = _parse(done.stdout, "bench/baselines.py")
    kept = rows if missing else []
    content = TypeAdapter(list[Row]).dump_json([*kept, *measured], indent=1)
    write_text(path, content.decode() + "\n")


def read_costs(path: Path) -> list[Row]:
    """The rows of that run; none where it was not done."""
    if not path.exists():
        return []
    return _parse(path.read_text(encoding="utf-8"), str(path))


def _parse(text: str, where: str) -> list[Row]:
    try:
        return TypeAdapter(list[Row]).validate_json(text)
    except ValidationError as error:
        raise VocoderError(f"{where}: no costs ({error}); delete it, measure again") from error


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
        if row.size != FULL and row.name in labels:
            content: dict[str, Any] = {
                "model": row.name,
                "costs": [TypeAdapter(Cost).dump_python(row.cost, mode="json")],
            }
            write_text(folder / f"{row.name}.json", json.dumps(content) + "\n")
            files[labels[row.name]] = folder / f"{row.name}.json"
    return files
