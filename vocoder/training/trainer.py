"""The one training loop.

Step ``s`` is a function of the weights and of ``(seed, s)`` alone: its segments, its noise, and
which of them use predicted pitch. A killed run therefore goes on with the same numbers, and any
number of processes that share the batch see the same utterances.
"""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from accelerate import Accelerator
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from vocoder.config import Config
from vocoder.data.files import write_text
from vocoder.data.segments import Batch, SegmentSource
from vocoder.errors import CheckpointError, TrainingError
from vocoder.models.source_filter import SourceFilter
from vocoder.training.checkpoint import (
    MODEL,
    TRAINING,
    latest_checkpoint,
    optimizer_tensors,
    provenance,
    prune_checkpoints,
    read_metadata,
    read_tensors,
    restore_optimizer,
    save_checkpoint,
    under_prefix,
    with_prefix,
)
from vocoder.training.objectives import (
    AdversarialConfig,
    Discriminators,
    LossConfig,
    SourceFilterObjective,
    adversarial_objective,
    discriminator_objective,
)

MARK_NOISE, MARK_PITCH, MARK_CROP = 1, 2, 3
"""Streams of random numbers within a step."""


class TrainingConfig(Config):
    """Length, schedule and bookkeeping of a run.

    The learning rate rises linearly over ``warmup_steps`` and falls along half a cosine to
    ``final_learning_rate`` at ``steps``. ``precision``: "bfloat16" runs the networks in bfloat16
    wherever autocast allows it; signal processing and losses stay in float32.
    """

    steps: int = Field(ge=1)
    seed: int = 0
    learning_rate: float = Field(1e-3, gt=0)
    final_learning_rate: float = Field(1e-5, ge=0)
    warmup_steps: int = Field(500, ge=1)
    betas: tuple[float, float] = (0.8, 0.99)
    weight_decay: float = Field(0.01, ge=0)
    max_gradient_norm: float = Field(5.0, gt=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: int = Field(2, ge=1)
    log_every: int = Field(50, ge=1)
    validate_every: int = Field(2000, ge=1)
    save_every: int = Field(1000, ge=1)
    keep_checkpoints: int = Field(2, ge=1)


class StepReport(NamedTuple):
    """What one step did: losses by name, gradient norm, learning rate, seconds of audio."""

    step: int
    losses: dict[str, float]
    gradient_norm: float
    learning_rate: float
    audio_seconds: float


def learning_rate(step: int, config: TrainingConfig, peak: float) -> float:
    """Linear warm-up, then half a cosine from ``peak`` to the final rate."""
    if step < config.warmup_steps:
        return peak * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(config.steps - config.warmup_steps, 1)
    floor = config.final_learning_rate
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


class Trainer:
    """Owns the optimizers, the averaged weights and the checkpoints of one run."""

    def __init__(
        self,
        model: SourceFilter,
        source: SegmentSource,
        loss: LossConfig,
        adversarial: AdversarialConfig | None,
        config: TrainingConfig,
        run_folder: Path,
        recipe_text: str,
        accelerator: Accelerator,
    ) -> None:
        self.model, self.source, self.config = model, source, config
        self.loss, self.adversarial = loss, adversarial
        self.run_folder, self.recipe_text = run_folder, recipe_text
        self.accelerator = accelerator
        self.step = 0
        betas, decay = config.betas, config.weight_decay
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, betas=betas, weight_decay=decay
        )
        objective = SourceFilterObjective(model, loss)
        self.objective, self.optimizer = accelerator.prepare(objective, optimizer)
        self.discriminators: nn.Module | None = None
        if adversarial is not None:
            discriminators = Discriminators(adversarial)
            optimizer = torch.optim.AdamW(
                discriminators.parameters(),
                lr=adversarial.learning_rate,
                betas=betas,
                weight_decay=decay,
            )
            self.discriminators, self.discriminator_optimizer = accelerator.prepare(
                discriminators, optimizer
            )
        self.averaged = {name: value.detach().clone() for name, value in model.named_parameters()}
        self.checkpoints = run_folder / "checkpoints"

    # -- one step ----------------------------------------------------------------------------

    def train_step(self) -> StepReport:
        """One update of the generator and, in the adversarial stage, of the discriminators."""
        step, rank = self.step, self.accelerator.process_index
        batch = self.source.batch(step, rank, self.accelerator.num_processes)
        batch = Batch(*(part.to(self.accelerator.device) for part in batch))
        self._set_learning_rates(step)
        output = self.objective(batch, *self._draws(batch))
        losses = dict(output.losses)
        adversarial = self.adversarial
        if adversarial is not None and step >= adversarial.start_step:
            losses |= self._adversarial_step(output.reference, output.estimate, adversarial)
        watched = dict(losses)
        discriminator = watched.pop("discriminator", None)
        total = torch.stack(list(watched.values())).sum()
        self._refuse_broken(losses)
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(total)
        norm = clip_grad_norm_(self.model.parameters(), self.config.max_gradient_norm)
        self._refuse_broken({"gradient norm": norm})
        self.optimizer.step()
        self._average(step)
        self.step += 1
        watched["total"] = total
        if discriminator is not None:
            watched["discriminator"] = discriminator
        seconds = batch.waveform[0].numel() * self.source.config.batch_size
        return StepReport(
            step,
            self._mean_over_processes(watched),
            float(norm),
            self.optimizer.param_groups[0]["lr"],
            seconds / self.model.sample_rate,
        )

    def _adversarial_step(
        self, reference: Tensor, estimate: Tensor, config: AdversarialConfig
    ) -> dict[str, Tensor]:
        """Update the discriminators on a crop; give the generator's losses on the same crop."""
        assert self.discriminators is not None
        length = min(config.crop_frames * self.model.spec.hop_length, reference.shape[1])
        slack = reference.shape[1] - length + 1
        start = int(torch.randint(slack, (), generator=self._generator(MARK_CROP)))
        reference = reference[:, start : start + length]
        estimate = estimate[:, start : start + length]
        parameters = list(self.discriminators.parameters())
        for parameter in parameters:
            parameter.requires_grad_(True)
        loss = discriminator_objective(self.discriminators, reference, estimate, config.kind)
        self._refuse_broken({"discriminator": loss})
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        clip_grad_norm_(parameters, self.config.max_gradient_norm)
        self.discriminator_optimizer.step()
        # The generator's pass needs no gradients of these weights, nor their synchronisation.
        for parameter in parameters:
            parameter.requires_grad_(False)
        judges = self.accelerator.unwrap_model(self.discriminators)
        with self.accelerator.autocast():
            losses = adversarial_objective(judges, reference, estimate, config)
        return losses | {"discriminator": loss.detach()}

    def _draws(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """This process's share of the step's noise and of the segments with predicted pitch."""
        total, rank = self.source.config.batch_size, self.accelerator.process_index
        share = batch.waveform.shape[0]
        mine = slice(rank * share, (rank + 1) * share)
        generator = self._generator(MARK_NOISE)
        noise = torch.randn(total, batch.waveform.shape[1], generator=generator)[mine]
        chance = torch.rand(total, generator=self._generator(MARK_PITCH))[mine]
        device = self.accelerator.device
        return noise.to(device), (chance < self.loss.predicted_pitch).to(device)

    def _generator(self, mark: int) -> torch.Generator:
        seed = (self.config.seed * 1_000_003 + self.step) * 8 + mark
        return torch.Generator().manual_seed(seed % 2**63)

    def _set_learning_rates(self, step: int) -> None:
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, config, config.learning_rate)
        if self.adversarial is not None:
            for group in self.discriminator_optimizer.param_groups:
                group["lr"] = learning_rate(step, config, self.adversarial.learning_rate)

    def _refuse_broken(self, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            if not bool(torch.isfinite(value)):
                raise TrainingError(
                    f"{name} is {float(value)} at step {self.step}; no checkpoint was written. "
                    f"Resume from the last one in {self.checkpoints} with a lower learning_rate"
                )

    def _mean_over_processes(self, losses: dict[str, Tensor]) -> dict[str, float]:
        values = torch.stack([value.detach().float() for value in losses.values()])
        values = self.accelerator.reduce(values, "mean")
        return dict(zip(losses, values.tolist(), strict=True))

    @torch.no_grad()
    def _average(self, step: int) -> None:
        """Exponential average of the weights, over fewer steps at first."""
        decay = min(self.config.ema_decay, (1 + step) / (10 + step))
        names, current = zip(*self.model.named_parameters(), strict=True)
        torch._foreach_lerp_([self.averaged[name] for name in names], list(current), 1 - decay)

    # -- checkpoints -------------------------------------------------------------------------

    def resume(self) -> bool:
        """Go on from the newest checkpoint of the run; False where there is none."""
        folder = latest_checkpoint(self.checkpoints)
        if folder is None:
            return False
        state = read_tensors(folder / TRAINING)
        expected = {**with_prefix(self.model.state_dict(), "generator")}
        if missing := sorted(expected.keys() - state):
            raise CheckpointError(f"{folder / TRAINING}: lacks {missing[0]}; start a new run")
        self.model.load_state_dict(under_prefix(state, "generator"))
        with torch.no_grad():
            for name, value in under_prefix(state, "averaged").items():
                self.averaged[name].copy_(value)
        restore_optimizer(self.optimizer, state, "optimizer")
        if self.discriminators is not None:
            judges = self.accelerator.unwrap_model(self.discriminators)
            judges.load_state_dict(under_prefix(state, "discriminators"))
            restore_optimizer(self.discriminator_optimizer, state, "discriminator_optimizer")
        self.step = int(read_metadata(folder)["step"])
        return True

    def save(self, scores: dict[str, float]) -> Path | None:
        """Write the checkpoint of the current step; only the main process does."""
        if not self.accelerator.is_main_process:
            return None
        state = {
            **with_prefix(self.model.state_dict(), "generator"),
            **with_prefix(self.averaged, "averaged"),
            **optimizer_tensors(self.optimizer, "optimizer"),
        }
        if self.discriminators is not None:
            judges = self.accelerator.unwrap_model(self.discriminators)
            state |= with_prefix(judges.state_dict(), "discriminators")
            state |= optimizer_tensors(self.discriminator_optimizer, "discriminator_optimizer")
        folder = self.checkpoints / f"step-{self.step:08d}"
        save_checkpoint(folder, self.averaged, self.recipe_text, self._metadata(scores), state)
        prune_checkpoints(self.checkpoints, self.config.keep_checkpoints)
        return folder

    def _metadata(self, scores: dict[str, float]) -> dict[str, Any]:
        return {
            "step": self.step,
            "scores": scores,
            "mel_fingerprint": self.model.spec.fingerprint,
            **provenance(),
        }

    # -- the loop ----------------------------------------------------------------------------

    def run(
        self,
        on_step: Callable[[StepReport], None] | None = None,
        validate: Callable[[int, dict[str, Tensor]], dict[str, float]] | None = None,
    ) -> None:
        """Train to the last step.

        Args:
            on_step: told of every step.
            validate: called with the step and the averaged weights every ``validate_every`` steps
                and at the end; gives scores by name.
        """
        config, scores = self.config, {}
        log = LossLog(self.run_folder / "losses.jsonl", self.step, self.accelerator)
        while self.step < config.steps:
            started = time.perf_counter()
            report = self.train_step()
            log.add(report, time.perf_counter() - started)
            if on_step is not None:
                on_step(report)
            last = self.step == config.steps
            if validate is not None and (last or self.step % config.validate_every == 0):
                if self.accelerator.is_main_process:
                    scores = validate(self.step, self.averaged)
                self.accelerator.wait_for_everyone()
            if last or self.step % config.save_every == 0:
                log.flush()
                self.save(scores)


class LossLog:
    """``losses.jsonl``: the losses of every step, exactly; a resumed run drops what comes again."""

    def __init__(self, path: Path, first_step: int, accelerator: Accelerator) -> None:
        self.path, self.active = path, accelerator.is_main_process
        self.pending: list[str] = []
        if not self.active:
            return
        kept = []
        if path.is_file():
            lines = path.read_text().splitlines()
            kept = [line for line in lines if _step_of(line) < first_step]
        write_text(path, "".join(f"{line}\n" for line in kept))

    def add(self, report: StepReport, seconds: float) -> None:
        """Note a step; it is written with the next tenth."""
        row = {"step": report.step, "seconds": round(seconds, 4), **report.losses}
        self.pending.append(json.dumps(row))
        if len(self.pending) >= 10:
            self.flush()

    def flush(self) -> None:
        """Append what is noted."""
        if self.active and self.pending:
            with self.path.open("a") as file:
                file.write("".join(f"{line}\n" for line in self.pending))
        self.pending = []


def _step_of(line: str) -> float:
    """Step of a line of the log; a line that a killed run left unfinished counts as the future."""
    try:
        return float(json.loads(line)["step"])
    except ValueError:
        return math.inf


def initialise_from(model: nn.Module, folder: Path) -> None:
    """Start from the weights of another run's checkpoint."""
    from vocoder.training.checkpoint import load_weights

    load_weights(model, folder / MODEL)
