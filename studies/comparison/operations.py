"""Counted operations of a training step, and bits per sample for models with a likelihood."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from accelerate import Accelerator

from studies.comparison.systems import System
from vocoder.data.manifest import Utterance
from vocoder.data.segments import Recording
from vocoder.evaluation.cost import count_operations
from vocoder.features.pitch import Pitch
from vocoder.training.recipe import Recipe
from vocoder.training.run import build_trainer
from vocoder.training.trainer import Trainer

NOISE_S = 8


@dataclass(frozen=True)
class StepOperations:
    """Floating-point operations of one training step: both passes, discriminators included.

    Attributes:
        before: operations of a step before the adversarial stage.
        after: operations of a step in it; the same without such a stage.
        start_step: first step of it.
    """

    before: float
    after: float
    start_step: int

    def until(self, step: int) -> float:
        """Operations of the first `step` steps.

        >>> StepOperations(2.0, 5.0, 10).until(12)
        30.0
        """
        early = min(step, self.start_step)
        return early * self.before + (step - early) * self.after


def count_step(recipe: Recipe, teacher: Recipe | None = None) -> StepOperations:
    """Count the trainer's operations per step for a recipe, on noise in place of speech.

    See `vocoder.evaluation.cost.count_operations`. The content does not matter, since all segments
    are equally long.

    Args:
        teacher: recipe of the model that a student learns from.
    """
    with TemporaryDirectory() as folder:
        trainer = trainer_on_noise(recipe, teacher, Path(folder), Accelerator(cpu=True))
        before = count_operations(trainer.train_step)
        start_step = 0 if recipe.adversarial is None else recipe.adversarial.start_step
        after = before
        if start_step:
            trainer.step = start_step
            after = count_operations(trainer.train_step)
    return StepOperations(before, after, start_step)


def trainer_on_noise(
    recipe: Recipe, teacher: Recipe | None, folder: Path, accelerator: Accelerator
) -> Trainer:
    """A recipe's trainer with a few seconds of noise to train on."""
    torch.manual_seed(0)
    model = recipe.build_model()
    taught = None if teacher is None else teacher.build_model().eval().requires_grad_(False)
    objective = recipe.build_objective(model, taught)
    return build_trainer(recipe, objective, [_noise(recipe)], folder, accelerator)


def _noise(recipe: Recipe) -> Recording:
    spec = recipe.mel
    samples = NOISE_S * spec.sample_rate
    noise = np.random.default_rng(0).normal(0, 3000, samples).astype(np.int16)
    frames = spec.frames(samples)
    pitch = Pitch(torch.full((frames,), 120.0), torch.ones(frames))
    utterance = Utterance(
        path=Path("noise.wav"), speaker="none", split="train", duration_s=NOISE_S, licence="none"
    )
    return Recording(utterance, utterance.path, noise, pitch, spec.sample_rate)


@dataclass(frozen=True)
class Operations:
    """Training cost and likelihood of a system.

    Attributes:
        step: operations of a step.
        teacher: operations of its teacher's step, None without a teacher.
        bits_per_sample: negative log-likelihood of 16-bit test speech, None if the model has no
            likelihood.
    """

    step: StepOperations
    teacher: StepOperations | None
    bits_per_sample: float | None

    def training(self, step: int, teacher_steps: int = 0) -> float:
        """Operations of a training, including the teacher's."""
        taught = 0.0 if self.teacher is None else self.teacher.until(teacher_steps)
        return taught + self.step.until(step)


def count_system(system: System, systems: dict[str, System]) -> tuple[StepOperations, ...]:
    """Operations of a system's step and, for a student, of its teacher's."""
    if system.teacher is None:
        return (count_step(system.recipe),)
    teacher = systems[system.teacher].recipe
    return count_step(system.recipe, teacher), count_step(teacher)
