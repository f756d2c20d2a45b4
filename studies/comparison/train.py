"""Training under the budget."""

from dataclasses import dataclass
from pathlib import Path

from studies.comparison.commands import vocoder
from studies.comparison.systems import Layout, System, settings_of
from vocoder.errors import VocoderError


@dataclass(frozen=True)
class Budget:
    """Common budget of all systems.

    Attributes:
        manifest: of the corpus.
        minutes: of training.
        threads: of torch.
        overrides: additional overrides of every recipe, "key=value".
    """

    manifest: Path
    minutes: float
    threads: int
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One call of `vocoder train`."""

    recipe: Path
    output: Path
    settings: list[str]


def jobs(
    system: System, seed: int, budget: Budget, layout: Layout, systems: dict[str, System]
) -> list[Job]:
    """The runs of a system: one, or a teacher's and a student's.

    A student's budget includes the training of its teacher, half of the budget each. The teacher's
    run keeps no snapshots, since it is not evaluated.
    """
    further = [part for override in budget.overrides for part in ("--set", override)]

    def job(recipe: Path, output: Path, minutes: float, more: dict[str, object]) -> Job:
        settings = settings_of({
            "training.budget_minutes": minutes,
            "training.threads": budget.threads,
            "training.seed": seed,
            "data.manifests": [str(budget.manifest)],
        })  # fmt: skip
        return Job(recipe, output, [*settings, *further, *settings_of(more)])

    output = layout.training(system.name, seed)
    if system.teacher is None:
        return [job(system.path, output, budget.minutes, {})]
    teacher, half = layout.teacher(system.name, seed), budget.minutes / 2
    return [
        job(systems[system.teacher].path, teacher, half, {"training.snapshots": []}),
        job(system.path, output, half, {"loss.teacher": str(teacher)}),
    ]


def train(
    wanted: list[tuple[System, int]], budget: Budget, layout: Layout, systems: dict[str, System]
) -> list[str]:
    """Train systems with seeds sequentially; a failure does not stop the others.

    Complete runs are started too: the command detects completion, and rejects another recipe.

    Returns:
        One line per failure.
    """
    problems = []
    for system, seed in wanted:
        for job in jobs(system, seed, budget, layout, systems):
            try:
                vocoder("train", job.recipe, "--output", job.output, *job.settings)
            except VocoderError as error:
                problems.append(f"{system.name}, seed {seed}: {error}")
                break
    return problems
