"""From a recipe to a finished training run."""

import copy
import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from vocoder.data.any_mel import AnyMelSource, load_native_recordings
from vocoder.data.audio import open_audio
from vocoder.data.debian import cache_folder
from vocoder.data.files import remove_leftovers, write_text
from vocoder.data.locks import locked
from vocoder.data.predicted_mels import PredictedMelSource, with_predicted_mels
from vocoder.data.segments import Recording, SegmentSource, load_recordings, recording_paths
from vocoder.errors import CheckpointError, RecipeError
from vocoder.loading import (
    DESCRIPTION,
    MODEL,
    find_checkpoint,
    latest_checkpoint,
    load,
    load_weights,
    read_description,
)
from vocoder.models.base import Vocoder
from vocoder.training.board import Board
from vocoder.training.checkpoint import RECIPE
from vocoder.training.losslog import StepReport, log_step
from vocoder.training.objectives.base import Objective
from vocoder.training.precision import SLOWER, bfloat16_time_ratio
from vocoder.training.processes import is_main_process
from vocoder.training.recipe import Recipe, difference, dump_recipe, load_recipe
from vocoder.training.trainer import Trainer
from vocoder.training.validation import Validator


def train(recipe: Recipe, run_folder: Path, console: Console | None = None) -> dict[str, float]:
    """Train by a recipe; the same call again resumes from the last checkpoint.

    Writes into ``run_folder``: ``recipe.yaml``, ``checkpoints/``, ``losses.jsonl``,
    ``tensorboard/``.

    Returns:
        The scores of the last validation, empty if the run was already finished.

    Raises:
        RecipeError: the folder has a run of another recipe.
        TrainingError: a loss or gradient that is not finite.
        OutputError: another process trains in this folder, or it cannot be written.
    """
    if not is_main_process():
        return _train(recipe, run_folder, console or Console())
    with locked(run_folder):
        remove_leftovers(run_folder)
        return _train(recipe, run_folder, console or Console())


def _train(recipe: Recipe, run_folder: Path, console: Console) -> dict[str, float]:
    """As :func:`train`, in a folder that no other run writes into."""
    _check_folder(run_folder, recipe)
    accelerator = make_accelerator(recipe)
    torch.set_num_threads(recipe.training.threads)  # accelerate may have chosen otherwise
    torch.manual_seed(recipe.training.seed)
    objective = _build_objective(recipe, run_folder)
    validated = accelerator.is_main_process and recipe.training.validate_every is not None
    # A separate model validates the averaged weights.
    validation_objective = copy.deepcopy(objective) if validated else None
    with _progress(console, accelerator.is_main_process) as progress:
        recordings = {
            split: _load(recipe, split, progress)
            for split in ("train", "valid")
            if split == "train" or validated
        }
    trainer = build_trainer(recipe, objective, recordings["train"], run_folder, accelerator)
    resumed = trainer.resume()
    scores: dict[str, float] = {}
    board = validator = None
    if accelerator.is_main_process:
        console.print(_opening(trainer, recordings, resumed), soft_wrap=True)
        _warn_of_lower_rates(recipe, console)
        _warn_of_slow_bfloat16(recipe, accelerator.device, console)
        # Steps logged by a killed run after its last checkpoint are repeated.
        board = Board(run_folder / "tensorboard", purge_step=trainer.step + 1)
        if not resumed:
            board.add_text("recipe", f"```yaml\n{dump_recipe(recipe)}\n```")
    if validation_objective is not None and board is not None:
        source = segment_source(recipe, validation_objective.model, recordings["valid"])
        validator = Validator(validation_objective, source, recipe.loss.validation_loss, board)

    with _progress(console, accelerator.is_main_process) as progress:
        # The bar counts seconds with a budget, steps otherwise.
        budget = recipe.training.budget_minutes
        total = recipe.training.steps if budget is None else math.ceil(60 * budget)
        task = progress.add_task("training", total=total)
        speed = Throughput()
        lines = Lines(console, total, "steps" if budget is None else "s")
        first_step = trainer.step

        def on_step(report: StepReport) -> None:
            # Not before a step has succeeded: a run refused earlier leaves the folder free.
            if accelerator.is_main_process and report.step == first_step:
                write_text(run_folder / RECIPE, dump_recipe(recipe))
            speed.add(report.audio_seconds)
            steps = report.step + 1
            done = steps if budget is None else round(trainer.spent_s)
            text = describe(report, speed.value)
            progress.update(task, completed=done, description=text)
            if accelerator.is_main_process:
                lines.add(done, text)
            if board is not None and (steps == 1 or steps % recipe.training.log_every == 0):
                log_step(board, report, speed.value)

        def validate(step: int, weights: dict[str, torch.Tensor]) -> dict[str, float]:
            assert validator is not None
            scores.update(validator(step, weights))
            shown = "  ".join(f"{name} {value:.3f}" for name, value in scores.items())
            progress.console.print(f"step {step}: {shown}", soft_wrap=True)
            return dict(scores)

        trainer.run(on_step, validate)
    if board is not None:
        board.close()
    return scores


def _build_objective(recipe: Recipe, run_folder: Path) -> Objective:
    """The recipe's objective; the model's weights are fresh, or those of ``initialise_from`` in a
    run that has no checkpoint yet.

    Raises:
        RecipeError: the model cannot be trained on several mels, or weights or teacher do not fit.
        CheckpointError: there are no such weights, or they are damaged.
    """
    model = recipe.build_model()
    if recipe.data.mels is not None and not model.serves_any_mel:
        raise RecipeError(
            f"data.mels: {recipe.model.name} serves its own mel only; write data.mels: null, or "
            "model.universal: true with source_filter"
        )
    if recipe.initialise_from is not None and latest_checkpoint(run_folder / "checkpoints") is None:
        _start_from(recipe.initialise_from, model, recipe)
    teacher = None if recipe.teacher is None else load(recipe.teacher)
    return recipe.build_objective(model, teacher)


def make_accelerator(recipe: Recipe) -> Accelerator:
    """Accelerator with a recipe's device and precision; accelerate allows only one precision per
    process."""
    mixed = {"float32": "no", "bfloat16": "bf16"}[recipe.training.precision]
    # Without CUDA accelerate would use MPS, which has no float64, or not connect torchrun's
    # processes.
    return Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=mixed)


def segment_source(
    recipe: Recipe, model: Vocoder, recordings: Sequence[Recording]
) -> SegmentSource:
    """Segments of these recordings in the recipe's mel, with its model's context."""
    source = PredictedMelSource if recipe.data.predicted_mels else SegmentSource
    return source(recordings, recipe.data, recipe.mel, model.context, recipe.training.seed)


def training_source(
    recipe: Recipe, model: Vocoder, recordings: Sequence[Recording]
) -> SegmentSource:
    """Segments to train on: in the recipe's mel, or in the mels that ``data.mels`` draws."""
    draws, seed = recipe.data.mels, recipe.training.seed
    if draws is None:
        return segment_source(recipe, model, recordings)
    return AnyMelSource(recordings, recipe.data, draws, recipe.mel, model.context, seed)


def build_trainer(
    recipe: Recipe,
    objective: Objective,
    recordings: Sequence[Recording],
    run_folder: Path,
    accelerator: Accelerator,
) -> Trainer:
    """The trainer of a recipe on these recordings; ``objective`` is the recipe's own."""
    return Trainer(
        objective,
        training_source(recipe, objective.model, recordings),
        recipe.adversarial,
        recipe.training,
        run_folder,
        dump_recipe(recipe),
        accelerator,
    )


class Throughput:
    """Seconds of audio trained on per second, averaged over the last steps."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.value = 0.0

    def add(self, audio_seconds: float) -> None:
        """Count the audio of one step."""
        now = time.perf_counter()
        rate = audio_seconds / max(now - self._last, 1e-9)
        self._last = now
        self.value = rate if self.value == 0 else 0.95 * self.value + 0.05 * rate


class Lines:
    """One line per minute instead of a bar, for log files."""

    every_s = 60.0

    def __init__(self, console: Console, total: int, unit: str) -> None:
        self.console, self.total, self.unit = console, total, unit
        self._started = self._last = time.perf_counter()
        self._first: int | None = None

    def add(self, done: int, text: str) -> None:
        """Count a step; print if a minute has passed since the last line."""
        now = time.perf_counter()
        if self._first is None:
            self._first = done
        if self.console.is_terminal or now - self._last < self.every_s:
            return
        self._last = now
        speed = (done - self._first) / (now - self._started)
        left = f"{(self.total - done) / speed / 60:.0f} min left" if speed > 0 else ""
        self.console.print(f"{done}/{self.total} {self.unit}  {text}  {left}", soft_wrap=True)


def _opening(trainer: Trainer, recordings: dict[str, list[Recording]], resumed: bool) -> str:
    """One line about the model and the data."""
    seconds = sum(len(each.samples) / each.sample_rate for each in recordings["train"])
    processes = trainer.accelerator.num_processes
    budget = trainer.config.budget_minutes
    limit = "" if budget is None else f" or {budget:g} minutes"
    return (
        f"{'resumed at' if resumed else 'starting from'} step {trainer.step} of "
        f"{trainer.config.steps}{limit}: {trainer.model.parameters_count / 1e6:.2f} M parameters, "
        f"{seconds / 3600:.2f} h of speech, "
        f"{len(recordings.get('valid', []))} validation utterances, "
        f"{processes} process{'es' if processes > 1 else ''}"
    )


def describe(report: StepReport, audio_rate: float) -> str:
    """One line for the progress bar."""
    losses = " ".join(f"{name} {value:.3f}" for name, value in report.losses.items())
    return f"{losses} | {audio_rate:.0f} s/s"


def _check_folder(run_folder: Path, recipe: Recipe) -> None:
    """Raise if the folder has a run of another recipe; more steps or minutes are allowed."""
    saved = run_folder / RECIPE
    if saved.exists() and (changes := difference(load_recipe(saved), recipe)):
        raise RecipeError(
            f"{saved}: this folder holds a run of another recipe ({'; '.join(changes)}); "
            "choose another --output or set these back"
        )


def _warn_of_lower_rates(recipe: Recipe, console: Console) -> None:
    """Warn of recordings with a lower rate than the model: it would learn an empty upper band."""
    if recipe.data.mels is not None:
        return
    paths = recording_paths(recipe.data.manifests, "train", recipe.data.held_out)
    rates = [_sample_rate(path) for path in paths]
    lower = [rate for rate in rates if rate < recipe.mel.sample_rate]
    if lower:
        console.print(
            f"warning: {len(lower)} of {len(rates)} recordings have a lower rate than the model's "
            f"{recipe.mel.sample_rate} Hz, down to {min(lower)} Hz: the model learns that nothing "
            f"sounds above {min(lower) // 2} Hz",
            soft_wrap=True,
        )


def _warn_of_slow_bfloat16(recipe: Recipe, device: torch.device, console: Console) -> None:
    """Warn of a CPU on which the recipe's bfloat16 is slower than float32."""
    if recipe.training.precision != "bfloat16" or device.type != "cpu":
        return
    ratio = bfloat16_time_ratio()
    if ratio > SLOWER:
        console.print(
            f"warning: a convolution in bfloat16 takes {ratio:.1f} times as long as in float32 on "
            "this CPU; start the run with --set training.precision=float32",
            soft_wrap=True,
        )


def _sample_rate(path: Path) -> int:
    with open_audio(path) as file:
        return file.sample_rate


def _start_from(name: str, model: Vocoder, recipe: Recipe) -> None:
    """Load the weights of another checkpoint.

    Raises:
        RecipeError: they do not fit, and the checkpoint's model is another.
        CheckpointError: there is none, or it is damaged.
    """
    folder = find_checkpoint(name)
    try:
        load_weights(model, folder / MODEL)
    except CheckpointError as error:
        here: dict[str, object] = recipe.model_dump()["model"]
        there: dict[str, object] = read_description(folder).model_dump()["model"]
        differing = [key for key in here | there if here.get(key) != there.get(key)]
        if not differing:
            raise
        raise RecipeError(
            f"initialise_from: the weights of {name} do not fit the recipe's model, which differs "
            f"in {', '.join(f'model.{key}' for key in differing)}; take over the section `model` "
            f"of {folder / DESCRIPTION}, or leave initialise_from out"
        ) from error


def _load(recipe: Recipe, split: str, progress: Progress) -> list[Recording]:
    task = progress.add_task(f"loading {split}", total=None)
    data, cache, jobs = recipe.data, cache_folder() / "pitch", recipe.training.threads

    def loaded(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)

    if split == "train" and data.mels is not None:
        return load_native_recordings(
            data.manifests, split, recipe.pitch, cache, jobs, data.held_out, loaded
        )
    limit = recipe.training.validate_utterances if split == "valid" else None
    recordings = load_recordings(
        data.manifests, split, recipe.mel, recipe.pitch, cache, jobs, limit, loaded, data.held_out
    )
    return with_predicted_mels(recordings, recipe.mel) if data.predicted_mels else recordings


def _progress(console: Console, shown: bool) -> Progress:
    # The losses come last, since narrow terminals cut the line.
    losses = TextColumn(
        "{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")
    )
    return Progress(
        TextColumn("{task.completed}/{task.total}"),
        BarColumn(bar_width=20),
        TimeRemainingColumn(),
        losses,
        console=console,
        disable=not shown,
    )
