"""Score the ladders with every metric: one evaluation per ladder.

    python -m studies.validation.score --audio DIR --output DIR [--jobs 2] [--tier cheap …]

writes DIR/<tier>/<ladder>/utterances.csv. Previous scores come from the cache of `vocoder
evaluate`, so that an interrupted run resumes.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from studies.scripts import run
from studies.validation.ladders import LADDERS, RECORDING
from vocoder.errors import VocoderError
from vocoder.evaluation.alignment import DEFAULT_MAX_DELAY_MS
from vocoder.evaluation.cache import default_cache
from vocoder.evaluation.folders import evaluate_folders
from vocoder.evaluation.pairs import files_by_utterance
from vocoder.evaluation.registry import METRICS, resolve_columns

BASE = "undegraded"


@dataclass(frozen=True)
class Tier:
    """Metrics of similar cost, and their ladders and recordings.

    Attributes:
        metrics: their names; None for all that are in no other tier.
        ladders: their ladders.
        all_utterances: all recordings; otherwise the first of each speaker.
    """

    metrics: tuple[str, ...] | None
    ladders: tuple[str, ...] = tuple(LADDERS)
    all_utterances: bool = False


TIERS = {
    "cheap": Tier(None, all_utterances=True),
    # 0.05 to 0.5 s of one core per second of audio.
    "slow": Tier((
        "mcd_world", "visqol", "visqol_nsim", "dnsmos", "dnsmos_p808", "distillmos",
        "periodicity_tiny", "vuv_f1_tiny",
    )),
    # Ten seconds per second of audio: only ladders with claims.
    "crepe": Tier(("periodicity", "vuv_f1", "crepe_f0_rmse_cents"), ladders=("white", "f0")),
    "crepe_vocos": Tier(("periodicity_vocos", "vuv_f1_vocos"), ladders=("white",)),
}  # fmt: skip

NOT_SCORED = {"cer_english": "for English speech only; these recordings are Italian and Russian"}

console = Console(stderr=True)


def metrics_of(tier: str) -> list[str]:
    """The metrics of a tier with installed packages; reports the excluded ones with reasons."""
    elsewhere = {name for other in TIERS.values() for name in other.metrics or ()}
    wanted = TIERS[tier].metrics
    if wanted is None:
        wanted = tuple(name for name in METRICS if name not in elsewhere | NOT_SCORED.keys())
    found = []
    for name in wanted:
        try:
            resolve_columns([name])
        except VocoderError as error:
            console.print(f"left out: {name} ({error})", markup=False, highlight=False)
        else:
            found.append(name)
    return found


def first_of_each_speaker(recordings: Path) -> list[str]:
    """Names of the utterances for the slower metrics."""
    first: dict[str, str] = {}
    for name in files_by_utterance(recordings):
        first.setdefault(name.partition("/")[0], name)
    return list(first.values())


def score(
    audio: Path,
    output: Path,
    metrics: Sequence[str],
    utterances: Sequence[str] | None = None,
    jobs: int = 2,
    ladders: Sequence[str] = tuple(LADDERS),
) -> None:
    """Evaluate the folders of each ladder, its undegraded signal first."""
    for name in ladders:
        ladder = LADDERS[name]
        reference = audio / ladder.base
        systems = {BASE: reference}
        systems |= {f"{rung:g}": audio / name / f"{rung:g}" for rung in ladder.rungs}
        console.print(f"{output.name}: {ladder.title}", highlight=False)
        delay_ms = DEFAULT_MAX_DELAY_MS if ladder.max_delay_ms is None else ladder.max_delay_ms
        evaluate_folders(
            reference,
            systems,
            output / name,
            metrics,
            utterances=utterances,
            jobs=jobs,
            command="studies/validation/run.sh",
            cache=default_cache(),
            max_delay_ms=delay_ms,
        )


def main() -> None:
    """Score the requested tiers sequentially."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--audio", type=Path, required=True, help="what ladders.py made")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tier", choices=TIERS, action="append", help="default: all")
    options = parser.parse_args()
    few = first_of_each_speaker(options.audio / RECORDING)
    for name in options.tier or TIERS:
        tier = TIERS[name]
        score(
            options.audio,
            options.output / name,
            metrics_of(name),
            None if tier.all_utterances else few,
            options.jobs,
            tier.ladders,
        )


if __name__ == "__main__":
    run(main)
