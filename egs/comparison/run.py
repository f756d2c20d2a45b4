"""The comparison, stage by stage; `run.sh` calls it.

python -m egs.comparison.run --corpus data/festvox_ru --run runs/comparison … [SYSTEM …]
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from egs.comparison import costs, curves, final
from egs.comparison.commands import vocoder
from egs.comparison.curves import measure_curve, nearest_rival, write_excerpts
from egs.comparison.final import evaluate_test, resynthesise_test
from egs.comparison.systems import OURS, Layout, System, all_systems, choose
from egs.comparison.tables import write_results
from egs.comparison.train import Budget, train
from egs.scripts import run
from vocoder.errors import VocoderError

STAGES = ("train", "curves", "seeds", "test", "costs", "tables", "report")


def main() -> None:
    """Do the stages asked for, in order; what fails is told at the end, with status 1."""
    options = _options()
    systems = all_systems()
    wanted = choose(options.systems, systems)
    layout = Layout(options.run)
    overrides = tuple(options.overrides)
    budget = Budget(options.corpus / "manifest.jsonl", options.minutes, options.threads, overrides)
    reference = options.corpus / "wavs" / "test"
    stages = options.stages
    torch.set_num_threads(1)

    problems: list[str] = []
    first, *more = options.seeds
    if "train" in stages:
        problems += train([(system, first) for system in wanted], budget, layout, systems)
    if "curves" in stages:
        problems += _curves(wanted, layout, options)
    if "seeds" in stages and more:
        rival = nearest_rival(layout, list(systems.values()))
        print(f"nearest rival: {systems[rival].label}")
        repeated = [systems[name] for name in (OURS, rival) if systems[name] in wanted]
        pairs = [(system, seed) for seed in more for system in repeated]
        problems += train(pairs, budget, layout, systems)
        problems += _curves(repeated, layout, options)
    if "test" in stages:
        problems += resynthesise_test(wanted, layout, reference)
        metrics = options.metrics or final.METRICS
        evaluate_test(list(systems.values()), layout, reference, metrics, options.threads)
    if "costs" in stages:
        costs.measure_costs(layout, options.systems)
        finished = [system for system in wanted if first in layout.seeds(system.name)]
        costs.measure_operations(finished, systems, layout, options.corpus)
    if "tables" in stages:
        print(write_results(options.results, layout, list(systems.values())))
    if "report" in stages:
        _report(systems, layout, options.threads)
    if problems:
        raise VocoderError("; ".join(problems))


def _curves(wanted: Sequence[System], layout: Layout, options: argparse.Namespace) -> list[str]:
    """All curves of these systems; what failed, a line each."""
    write_excerpts(options.corpus, layout.excerpts, wanted[0].recipe.mel.sample_rate)
    problems = []
    for system in wanted:
        seeds = layout.seeds(system.name)
        if not seeds:
            print(f"{system.label}: not trained to the end, no curve")
        for seed in seeds:
            try:
                measure_curve(
                    system, seed, layout, options.metrics or curves.METRICS, options.threads
                )
            except VocoderError as error:
                problems.append(f"{system.name}, seed {seed}: {error}")
    return problems


def _report(systems: dict[str, System], layout: Layout, jobs: int) -> None:
    labels = {system.name: system.label for system in systems.values()}
    evaluated = curves.read_summary(layout.test_scores).systems
    found = costs.write_report_costs(layout, labels | final.CLASSICAL)
    named = [
        part
        for label, file in found.items()
        if label in evaluated
        for part in ("--cost", f"{label}={file}")
    ]
    vocoder(
        "report", layout.test_scores, "--output", layout.page,
        "--title", "Vocoders under one budget", *named, "--jobs", str(jobs),
    )  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("systems", nargs="*", help="all, if none is named")
    parser.add_argument(
        "--corpus", type=Path, required=True, help="what `vocoder prepare` laid out"
    )
    parser.add_argument("--run", type=Path, required=True, help="folder for everything made")
    parser.add_argument("--results", type=Path, required=True, help="folder of RESULTS.md")
    parser.add_argument("--minutes", type=float, default=30.0, help="of training, for each system")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--seeds",
        type=_numbers,
        default=(0, 1, 2),
        help="0 for all systems, the others: see README",
    )
    parser.add_argument("--stages", type=_stages, default=STAGES, help=" ".join(STAGES))
    parser.add_argument("--metrics", type=_words, help="other ones, comma-separated")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    return parser.parse_args()


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(word) for word in text.split())
    if numbers[:1] != (0,) or len(set(numbers)) < len(numbers):
        raise argparse.ArgumentTypeError("seeds begin with 0, and each stands there once")
    return numbers


def _stages(text: str) -> tuple[str, ...]:
    stages = tuple(text.split())
    if unknown := sorted(set(stages) - set(STAGES)):
        raise argparse.ArgumentTypeError(f"no stage {unknown[0]!r}; there are: {' '.join(STAGES)}")
    return stages


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


if __name__ == "__main__":
    run(main)
