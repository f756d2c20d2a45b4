"""The universal weights on other sets of recordings: a table from scores that are kept.

    python -m studies.other_sets [--add festvox_ru speecht5_16k universal SCORES]

`egs/universal/other_sets.csv` has the scores of every utterance. ``--add`` takes those that
`vocoder evaluate` has written of one system into it, in place of earlier ones of the same set, mel
and system. The table of `egs/universal/RESULTS.md` is then built from it, with 95 % bootstrap
intervals over utterances.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from studies.conventions import FOLDER, METRICS, RESULTS_BLOCKS, SYSTEMS, cell
from studies.scores import csv_text, read_csv
from studies.scripts import renew_block, run, table
from vocoder.data.files import write_text
from vocoder.errors import VocoderError
from vocoder.evaluation.folders import TABLE_NAME

PATH = FOLDER / "other_sets.csv"
KEY = ("set", "mel", "system")
SHOWN = ("pesq", "mstft", "voicing_error", "distillmos")
SETS = {
    "fargan_ptdb": "PTDB, FARGAN's page, 16 kHz",
    "festvox_ru": "festvox_ru, sentences that were not trained on",
    "asterisk_it": "Asterisk it, a stranger",
    "asterisk_ru": "Asterisk ru, a stranger",
}

Line = Mapping[str, str]


def added(lines: Sequence[Line], key: tuple[str, str, str], scores: Sequence[Line]) -> list[Line]:
    """The lines, with these scores in place of those of the same set, mel and system.

    Raises:
        VocoderError: an unknown set or system, or scores of several systems.
    """
    name, _, system = key
    if name not in SETS or system not in SYSTEMS:
        known = f"sets {', '.join(SETS)}, systems {', '.join(SYSTEMS)}"
        raise VocoderError(f"{name}, {system}: there are {known}")
    if len(found := {line["system"] for line in scores}) != 1:
        raise VocoderError(f"scores of systems {', '.join(sorted(found))}; evaluate one alone")
    mine = [
        dict(zip(KEY, key, strict=True))
        | {"utterance": line["utterance"]}
        | {metric: _rounded(line.get(metric, "")) for metric in SHOWN}
        for line in scores
    ]
    others = [line for line in lines if tuple(line[field] for field in KEY) != key]
    return [*others, *sorted(mine, key=lambda line: line["utterance"])]


def as_text(lines: Sequence[Line]) -> str:
    """The lines as CSV, in the order of the sets and systems."""
    sets, systems = list(SETS), list(SYSTEMS)

    def place(line: Line) -> tuple[int, int]:
        return sets.index(line["set"]), systems.index(line["system"])

    return csv_text([*KEY, "utterance", *SHOWN], sorted(lines, key=place))


def results_table(lines: Iterable[Line]) -> str:
    """Means of every set, mel and system, with intervals over the utterances.

    A metric that was not measured is "–".
    """
    groups: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        groups.setdefault(tuple(line[field] for field in KEY), []).append(line)
    rows = [["recordings", "mel", "system", "n", *(METRICS[metric][0] for metric in SHOWN)]]
    for (name, mel, system), mine in groups.items():
        cells = [
            cell([float(line[metric]) if line[metric] else None for line in mine], metric)
            for metric in SHOWN
        ]
        rows.append([SETS[name], f"`{mel}`", SYSTEMS[system], str(len(mine)), *cells])
    return table(rows)


def _rounded(value: str) -> str:
    return f"{float(value):.4f}" if value else ""


def main() -> None:
    """Take scores in, if there are any, and renew the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--add", nargs=4, metavar=("SET", "MEL", "SYSTEM", "SCORES"), help="folder")
    options = parser.parse_args()
    lines: list[Line] = [*read_csv(PATH)]
    if options.add is not None:
        *key, folder = options.add
        name, mel, system = key
        lines = added(lines, (name, mel, system), read_csv(Path(folder) / TABLE_NAME))
        write_text(PATH, as_text(lines))
    renew_block(FOLDER / "RESULTS.md", RESULTS_BLOCKS, "other-sets", results_table(lines))


if __name__ == "__main__":
    run(main)
