"""The comparison, stage by stage; `run.sh` calls it.

python -m studies.comparison.run --corpus data/festvox_ru --run runs/comparison … [SYSTEM …]
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from studies.comparison import curves, final
from studies.comparison.commands import evaluate, vocoder
from studies.comparison.costs import measure_costs, read_costs, write_report_costs
from studies.comparison.curves import write_excerpts
from studies.comparison.outcome import (
    Outcomes,
    Untrained,
    measure_outcome,
    read_all,
    write_outcome,
)
from studies.comparison.systems import (
    CLASSICAL,
    OURS,
    RECORDING,
    Layout,
    System,
    all_systems,
    choose,
    read_training,
)
from studies.comparison.tables import nearest_rival, readme_table, write_results
from studies.comparison.train import Budget, train
from studies.scripts import renew_readme, run, stages_of, today
from vocoder.errors import VocoderError

HERE = Path(__file__).resolve().parent
STAGES = ("train", "score", "seeds", "costs", "tables", "report")


def main() -> None:
    """Run the requested stages in order; failures are reported at the end, with status 1."""
    options = _options()
    systems = all_systems()
    wanted = choose(options.systems, systems)
    layout, outcomes = Layout(options.run), Outcomes(options.results / "outcomes")
    budget = Budget(
        options.corpus / "manifest.jsonl",
        options.minutes,
        options.threads,
        tuple(options.overrides),
    )
    stages = options.stages
    torch.set_num_threads(1)

    problems: list[str] = []
    first, *more = options.seeds
    runs = [(system, first) for system in wanted]
    if "train" in stages:
        problems += train(_missing(runs, outcomes), budget, layout, systems)
    if "score" in stages:
        problems += _score(_missing(runs, outcomes), systems, layout, outcomes, options)
        problems += _score_untrained(layout, outcomes, options)
    if "seeds" in stages and more:
        rival = nearest_rival(read_all(outcomes, systems))
        print(f"nearest rival: {systems[rival].label}")
        repeated = [systems[name] for name in (OURS, rival) if systems[name] in wanted]
        runs = _missing([(system, seed) for seed in more for system in repeated], outcomes)
        problems += train(runs, budget, layout, systems)
        problems += _score(runs, systems, layout, outcomes, options)
    if "costs" in stages:
        measure_costs(outcomes.costs, options.systems)
    if "tables" in stages:
        print(write_results(options.results, outcomes, systems))
        if options.results.resolve() == HERE:
            renew_readme(HERE.parents[1] / "README.md", "budget", readme_table(outcomes, systems))
    if "report" in stages:
        _report(systems, layout, outcomes, options)
    if problems:
        raise VocoderError("; ".join(problems))


def _missing(runs: Sequence[tuple[System, int]], outcomes: Outcomes) -> list[tuple[System, int]]:
    """The runs without an outcome."""
    found = []
    for system, seed in runs:
        path = outcomes.path(system.name, seed)
        if path.exists():
            print(f"{path}: is there; delete it to train and score {system.label} again")
        else:
            found.append((system, seed))
    return found


def _score(
    runs: Sequence[tuple[System, int]],
    systems: dict[str, System],
    layout: Layout,
    outcomes: Outcomes,
    options: argparse.Namespace,
) -> list[str]:
    """Write the outcome of every complete run; returns one line per failure."""
    problems = []
    given = options.metrics
    for system, seed in runs:
        trained = read_training(layout.training(system.name, seed))
        if trained is None or not trained.complete:
            print(f"{system.label}, seed {seed}: not trained to the end, no outcome yet")
            continue
        write_excerpts(options.corpus, layout.excerpts, system.recipe.mel.sample_rate)
        try:
            outcome = measure_outcome(
                system, seed, systems, layout, options.corpus,
                (given or curves.METRICS, given or final.METRICS), options.threads,
            )  # fmt: skip
        except VocoderError as error:
            problems.append(f"{system.name}, seed {seed}: {error}")
        else:
            print(f"{write_outcome(outcomes, outcome)}: written; commit it")
    return problems


def _score_untrained(layout: Layout, outcomes: Outcomes, options: argparse.Namespace) -> list[str]:
    """Score the recording and the classical vocoders, unless done."""
    problems = []
    for name in (RECORDING, *CLASSICAL):
        if outcomes.untrained_path(name).exists():
            continue
        metrics = options.metrics or final.METRICS
        try:
            scores = final.score_test(
                name, layout.test(name), options.corpus, metrics, options.threads
            )
        except VocoderError as error:
            problems.append(f"{name}: {error}")
        else:
            untrained = Untrained(system=name, finished=today(), test=scores)
            print(f"{write_outcome(outcomes, untrained)}: written; commit it")
    return problems


def _report(
    systems: dict[str, System],
    layout: Layout,
    outcomes: Outcomes,
    options: argparse.Namespace,
) -> None:
    """Write a report of the runs with local audio."""
    folders = {system.label: layout.test(name, 0) for name, system in systems.items()}
    folders |= {label: layout.test(name) for name, label in CLASSICAL.items()}
    folders = {label: folder / "audio" for label, folder in folders.items()}
    present = {label: folder for label, folder in folders.items() if folder.exists()}
    if not present:
        raise VocoderError(f"{layout.root}: no audio to make a page of; the stage score makes it")
    reference = options.corpus / "wavs" / "test"
    metrics = options.metrics or final.METRICS
    scores = layout.page / "scores"
    evaluate(reference, {RECORDING: reference, **present}, scores, metrics, options.threads)
    labels = {name: system.label for name, system in systems.items()} | CLASSICAL
    costs = write_report_costs(read_costs(outcomes.costs), layout.page / "costs", labels)
    named = [
        part
        for label, file in costs.items()
        if label in present
        for part in ("--cost", f"{label}={file}")
    ]
    vocoder(
        "report", scores, "--output", layout.page / "html",
        "--title", "Vocoders under one budget", *named, "--jobs", str(options.threads),
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
    parser.add_argument("--stages", type=stages_of(STAGES), default=STAGES, help=" ".join(STAGES))
    parser.add_argument("--metrics", type=_words, help="other ones, comma-separated")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    return parser.parse_args()


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(word) for word in text.split())
    if numbers[:1] != (0,) or len(set(numbers)) < len(numbers):
        raise argparse.ArgumentTypeError("seeds begin with 0, and each stands there once")
    return numbers


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


if __name__ == "__main__":
    run(main)
