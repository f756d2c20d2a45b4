"""The same weights from every convention of the mel: tables from the scores in the repository.

    python -m studies.conventions [--add runs/universal/test/scores] [--before OLD.csv]

`egs/universal/utterances.csv` has the scores of every utterance, system and mel. ``--add`` takes
those of a run of `egs/universal/score.sh` into it, in place of the same systems' earlier ones. The
tables of `egs/universal/RESULTS.md` and of the README are then built from it. ``--before`` prints
the change since an earlier version of that file.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from studies.scores import change_cell, csv_text, read_csv
from studies.scripts import renew_block, renew_readme, run, table
from vocoder.data.files import write_text
from vocoder.errors import VocoderError
from vocoder.evaluation.folders import TABLE_NAME
from vocoder.evaluation.summary import mean_score
from vocoder.features.mel import PRESETS

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "egs" / "universal"
README = ROOT / "README.md"
RESULTS_BLOCKS = ("mels", "other-sets")
OURS, THEIRS = "universal", "griffin_lim"
SYSTEMS = {OURS: "universal", "nano": "nano", THEIRS: "Griffin-Lim"}
METRICS = {
    "pesq": ("PESQ-WB ↑", 2, 1.0),
    "mstft": ("M-STFT ↓", 3, 1.0),
    "voicing_error": ("V/UV error, % ↓", 1, 100.0),
    "f0_fine_rmse_cents": ("F0 fine, cents ↓", 1, 1.0),
    "distillmos": ("Distill-MOS ↑", 2, 1.0),
}
"""Heading, decimals and factor of each metric."""

Line = Mapping[str, str]


def read_lines(path: Path) -> list[Line]:
    """The lines of a table of scores, one per system and utterance.

    Raises:
        VocoderError: it cannot be read, or a system is not named MEL-SYSTEM.
    """
    lines: list[Line] = [*read_csv(path)]
    for line in lines:
        mel, _, system = line["system"].rpartition("-")
        if mel not in PRESETS or system not in SYSTEMS:
            raise VocoderError(f"{path}: system {line['system']!r} is no MEL-SYSTEM; score again")
    return lines


def added(lines: Sequence[Line], more: Sequence[Line]) -> list[Line]:
    """The lines, those of the systems in ``more`` replaced."""
    renewed = {line["system"] for line in more}
    return [*(line for line in lines if line["system"] not in renewed), *more]


def as_text(lines: Sequence[Line]) -> str:
    """The lines as CSV, in the order of the presets and systems."""
    mels, systems = list(PRESETS), list(SYSTEMS)

    def place(line: Line) -> tuple[int, int]:
        mel, _, system = line["system"].rpartition("-")
        return mels.index(mel), systems.index(system)

    return csv_text(list(lines[0]), sorted(lines, key=place))


def scores_of(lines: Sequence[Line], mel: str, system: str, metric: str) -> list[float | None]:
    """One number per utterance; None where it is not defined."""
    own = [line[metric] for line in lines if line["system"] == f"{mel}-{system}"]
    return [float(value) if value else None for value in own]


def measured_mels(lines: Sequence[Line]) -> list[str]:
    """The mels that there are scores from, the highest rate and the best of ours first."""
    found = {line["system"].rpartition("-")[0] for line in lines}

    def rank(mel: str) -> tuple[int, float]:
        score = mean_score(scores_of(lines, mel, OURS, "pesq"))
        return -PRESETS[mel].sample_rate, -(score.mean or 0.0)

    return sorted(found, key=rank)


def cell(scores: Sequence[float | None], metric: str) -> str:
    """Mean and 95 % bootstrap interval over utterances; "–" where there are none.

    >>> cell([0.02, 0.02, 0.02], "voicing_error"), cell([None], "pesq")
    ('2.0 [2.0, 2.0]', '–')
    """
    _, decimals, factor = METRICS[metric]
    score = mean_score(scores)
    if score.mean is None:
        return "–"
    mean, low, high = (
        "–" if value is None else f"{factor * value:.{decimals}f}"
        for value in (score.mean, score.low, score.high)
    )
    return f"{mean} [{low}, {high}]"


def results_table(lines: Sequence[Line]) -> str:
    """Every mel, system and metric, with intervals over the utterances."""
    rows = [["mel", "rate, hop", "system", *(heading for heading, _, _ in METRICS.values())]]
    for mel in measured_mels(lines):
        spec = PRESETS[mel]
        label = [mel, f"{spec.sample_rate / 1000:g} kHz, {_hop_ms(mel):.1f} ms"]
        for system, name in SYSTEMS.items():
            if not scores_of(lines, mel, system, "pesq"):
                continue
            cells = [cell(scores_of(lines, mel, system, metric), metric) for metric in METRICS]
            rows.append([*label, name, *cells])
            label = ["", ""]
    return table(rows)


def readme_table(lines: Sequence[Line]) -> str:
    """Means from every mel, ours and Griffin-Lim's."""
    shown = {"pesq": "PESQ-WB, ours / Griffin-Lim", "mstft": "M-STFT",
             "voicing_error": "V/UV error, %", "distillmos": "Distill-MOS"}  # fmt: skip
    rows = [["mel", "rate, bands, hop", *shown.values()]]
    for mel in measured_mels(lines):
        spec = PRESETS[mel]
        label = f"{spec.sample_rate / 1000:g} kHz, {spec.n_mels}, {_hop_ms(mel):.1f} ms"
        cells = []
        for metric in shown:
            _, decimals, factor = METRICS[metric]
            means = [
                mean_score(scores_of(lines, mel, each, metric)).mean for each in (OURS, THEIRS)
            ]
            cells.append(" / ".join(f"{factor * (mean or 0.0):.{decimals}f}" for mean in means))
        rows.append([f"`{mel}`", label, *cells])
    return table(rows)


def changes_table(lines: Sequence[Line], before: Sequence[Line]) -> str:
    """Of each system, its scores less those before: the mean over all mels of an
    utterance, then over utterances, ± 1.96 standard errors."""
    rows = [["system", *(heading for heading, _, _ in METRICS.values())]]
    old = {(line["system"], line["utterance"]): line for line in before}
    for system in SYSTEMS:
        cells = []
        for metric, (_, decimals, factor) in METRICS.items():
            found: dict[str, list[float]] = {}
            for line in lines:
                earlier = old.get((line["system"], line["utterance"]))
                if not line["system"].endswith(f"-{system}") or earlier is None:
                    continue
                if line[metric] and earlier[metric]:
                    change = factor * (float(line[metric]) - float(earlier[metric]))
                    found.setdefault(line["utterance"], []).append(change)
            means = [float(np.mean(changes)) for changes in found.values()]
            cells.append(change_cell(means, decimals + 1))
        rows.append([SYSTEMS[system], *cells])
    return table(rows)


def _hop_ms(mel: str) -> float:
    return 1000 * PRESETS[mel].hop_length / PRESETS[mel].sample_rate


def main() -> None:
    """Take scores in, if there are any, and renew the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--add", type=Path, help="folder that `vocoder evaluate` has written")
    parser.add_argument("--before", type=Path, help="an earlier utterances.csv")
    options = parser.parse_args()
    path = FOLDER / TABLE_NAME
    lines = read_lines(path)
    if options.add is not None:
        lines = added(lines, read_lines(options.add / TABLE_NAME))
        write_text(path, as_text(lines))
    renew_block(FOLDER / "RESULTS.md", RESULTS_BLOCKS, "mels", results_table(lines))
    renew_readme(README, "mels", readme_table(lines))
    if options.before is not None:
        print(changes_table(lines, read_lines(options.before)))


if __name__ == "__main__":
    run(main)
