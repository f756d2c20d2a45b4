"""The universal weights on other sets of recordings: a table from scores that are kept.

    python -m studies.other_sets [--add festvox_ru speecht5_16k universal SCORES]

`egs/universal/other_sets.csv` has the scores of every utterance. ``--add`` takes those that
`vocoder evaluate` has written of one system into it, in place of earlier ones of the same set, mel
and system. The table of `egs/universal/RESULTS.md` is then built from it, with 95 % bootstrap
intervals over utterances.
"""

import argparse
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from studies.conventions import FOLDER, METRICS, RESULTS_BLOCKS, SYSTEMS
from studies.scripts import renew_block, run, table
from vocoder.data.files import write_text
from vocoder.errors import VocoderError
from vocoder.evaluation.folders import TABLE_NAME
from vocoder.evaluation.summary import mean_score

PATH = FOLDER / "other_sets.csv"
KEY = ("set", "mel", "system")
SHOWN = {metric: METRICS[metric] for metric in ("pesq", "mstft", "voicing_error", "distillmos")}
"""Heading, decimals and factor of each metric."""
SETS = {
    "fargan_ptdb": "PTDB, FARGAN's page, 16 kHz",
    "festvox_ru": "festvox_ru, sentences that were not trained on",
    "asterisk_it": "Asterisk it, a stranger",
    "asterisk_ru": "Asterisk ru, a stranger",
}

Line = Mapping[str, str]


def read_lines(path: Path = PATH) -> list[Line]:
    """The lines of a table of scores; of those that are kept, or that an evaluation has written.

    Raises:
        VocoderError: it cannot be read.
    """
    try:
        return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise VocoderError(f"{path}: cannot be read ({error.strerror})") from error


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
    text = io.StringIO()
    writer = csv.DictWriter(text, [*KEY, "utterance", *SHOWN], lineterminator="\n")
    writer.writeheader()
    sets, systems = list(SETS), list(SYSTEMS)
    writer.writerows(
        sorted(lines, key=lambda line: (sets.index(line["set"]), systems.index(line["system"])))
    )
    return text.getvalue()


def results_table(lines: Iterable[Line]) -> str:
    """Means of every set, mel and system, with intervals over the utterances.

    A metric that was not measured is "–".
    """
    groups: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        groups.setdefault(tuple(line[field] for field in KEY), []).append(line)
    rows = [["recordings", "mel", "system", "n", *(heading for heading, _, _ in SHOWN.values())]]
    for (name, mel, system), mine in groups.items():
        cells = []
        for metric, (_, decimals, factor) in SHOWN.items():
            score = mean_score([float(line[metric]) if line[metric] else None for line in mine])
            numbers = [score.mean, score.low, score.high]
            mean, low, high = (
                "–" if number is None else f"{factor * number:.{decimals}f}" for number in numbers
            )
            cells.append("–" if score.mean is None else f"{mean} [{low}, {high}]")
        rows.append([SETS[name], f"`{mel}`", SYSTEMS[system], str(len(mine)), *cells])
    return table(rows)


def _rounded(value: str) -> str:
    return f"{float(value):.4f}" if value else ""


def main() -> None:
    """Take scores in, if there are any, and renew the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--add", nargs=4, metavar=("SET", "MEL", "SYSTEM", "SCORES"), help="folder")
    options = parser.parse_args()
    lines = read_lines()
    if options.add is not None:
        *key, folder = options.add
        name, mel, system = key
        lines = added(lines, (name, mel, system), read_lines(Path(folder) / TABLE_NAME))
        write_text(PATH, as_text(lines))
    renew_block(FOLDER / "RESULTS.md", RESULTS_BLOCKS, "other-sets", results_table(lines))


if __name__ == "__main__":
    run(main)
