"""Outcome of a run as a small file in the repository, from which tables and figures are built.

`outcomes/SYSTEM-seed-N.json` holds a trained system: curve, test scores, steps, seconds and
operations; `outcomes/SYSTEM.json` the test scores of a classical vocoder, or of the recording;
`outcomes/costs.json` the output of `bench.baselines`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from studies.comparison.curves import measure_curve, read_snapshots
from studies.comparison.final import score_test
from studies.comparison.likelihood import bits_per_sample, has_likelihood
from studies.comparison.operations import Operations, count_system
from studies.comparison.systems import Layout, System, Trained, read_training
from studies.scores import Scores, read_model, write_model
from studies.scripts import today
from vocoder.config import Config
from vocoder.errors import VocoderError
from vocoder.loading import latest_checkpoint, read_metadata
from vocoder.training.checkpoint import RECIPE
from vocoder.training.recipe import dump_recipe, load_recipe


class Training(Config):
    """Length of a run.

    Fields:
        steps: of the optimizer.
        spent_s: seconds of training, on a CPU those of the main thread.
        threads: of torch.
        recipe_sha256: of the resolved recipe, without local file names.
        commit: revision of the training code.
    """

    steps: int = Field(ge=1)
    spent_s: float = Field(gt=0)
    threads: int = Field(ge=1)
    recipe_sha256: str
    commit: str


class Point(Config):
    """A snapshot during training.

    Fields:
        steps: of the run so far.
        spent_s: training time so far, including the teacher's.
        scores: of the validation excerpts.
    """

    steps: int
    spent_s: float
    scores: Scores


class Outcome(Config):
    """A trained system.

    Fields:
        system: stem of its recipe.
        seed: of its training.
        finished: day of the scoring.
        training: of the system itself.
        teacher: of its teacher, if it has one.
        operations: of training steps, and bits per sample.
        curve: snapshots in training order.
        test: scores of the test utterances at the end.
    """

    system: str
    seed: int
    finished: str
    training: Training
    teacher: Training | None
    operations: Operations
    curve: tuple[Point, ...]
    test: Scores


class Untrained(Config):
    """A classical vocoder, or the recording itself: scores of the test utterances."""

    system: str
    finished: str
    test: Scores


@dataclass(frozen=True)
class Outcomes:
    """The folder of outcomes."""

    folder: Path

    def path(self, system: str, seed: int) -> Path:
        """File of a trained system."""
        return self.folder / f"{system}-seed-{seed}.json"

    def untrained_path(self, system: str) -> Path:
        """File of a classical system."""
        return self.folder / f"{system}.json"

    @property
    def costs(self) -> Path:
        """File of the costs of generation."""
        return self.folder / "costs.json"

    def read(self, system: str, seed: int = 0) -> Outcome | None:
        """The outcome of a run; None if missing."""
        path = self.path(system, seed)
        return read_model(Outcome, path) if path.exists() else None

    def read_untrained(self, system: str) -> Untrained | None:
        """The outcome of a classical vocoder; None if missing."""
        path = self.untrained_path(system)
        return read_model(Untrained, path) if path.exists() else None

    def seeds(self, system: str) -> list[int]:
        """Seeds that have an outcome."""
        found = [path.stem.rpartition("-")[2] for path in self.folder.glob(f"{system}-seed-*.json")]
        return sorted(int(seed) for seed in found)


def measure_outcome(
    system: System,
    seed: int,
    systems: dict[str, System],
    layout: Layout,
    corpus: Path,
    metrics: tuple[tuple[str, ...], tuple[str, ...]],
    jobs: int,
) -> Outcome:
    """Score every snapshot and the end of a complete run.

    Args:
        system: of the run.
        seed: of the run.
        systems: all systems, for the teacher's recipe.
        layout: folders of the runs.
        corpus: folder with manifest.jsonl and wavs.
        metrics: of the curve and of the test.
        jobs: worker processes of the evaluation.

    Raises:
        VocoderError: no complete run, or one without snapshots.
    """
    run = layout.training(system.name, seed)
    trained = read_training(run)
    if trained is None or not trained.complete:
        raise VocoderError(f"{run}: not trained to the end of its budget")
    teacher = read_training(layout.teacher(system.name, seed)) if system.teacher else None
    before_s = 0.0 if teacher is None else teacher.spent_s
    scores = measure_curve(system, seed, layout, metrics[0], jobs)
    curve = [
        Point(steps=snapshot.step, spent_s=before_s + snapshot.spent_s, scores=scores[name])
        for name, snapshot in read_snapshots(run).items()
    ]
    steps, *taught = count_system(system, systems)
    bits = bits_per_sample(run, corpus) if has_likelihood(system.recipe) else None
    return Outcome(
        system=system.name,
        seed=seed,
        finished=today(),
        training=_training(trained),
        teacher=None if teacher is None else _training(teacher),
        operations=Operations(steps, taught[0] if taught else None, bits),
        curve=tuple(curve),
        test=score_test(run, layout.test(system.name, seed), corpus, metrics[1], jobs),
    )


def write_outcome(outcomes: Outcomes, outcome: Outcome | Untrained) -> Path:
    """Write an outcome into the repository; returns its path."""
    path = (
        outcomes.path(outcome.system, outcome.seed)
        if isinstance(outcome, Outcome)
        else outcomes.untrained_path(outcome.system)
    )
    write_model(path, outcome)
    return path


def read_all(outcomes: Outcomes, names: Mapping[str, object]) -> dict[str, Outcome]:
    """Seed 0 of every system that has an outcome, in the order of the names."""
    found = {name: outcomes.read(name) for name in names}
    return {name: outcome for name, outcome in found.items() if outcome is not None}


def _training(trained: Trained) -> Training:
    checkpoint = latest_checkpoint(trained.folder / "checkpoints")
    assert checkpoint is not None
    # The locations of the data and the teacher are not part of the recipe's identity.
    places = ["data.manifests=[manifest.jsonl]"]
    if load_recipe(checkpoint / RECIPE).teacher is not None:
        places.append("loss.teacher=teacher")
    recipe = load_recipe(checkpoint / RECIPE, places)
    return Training(
        steps=trained.step,
        spent_s=trained.spent_s,
        threads=recipe.training.threads,
        recipe_sha256=hashlib.sha256(dump_recipe(recipe).encode()).hexdigest()[:16],
        commit=read_metadata(checkpoint)["git_revision"],
    )
