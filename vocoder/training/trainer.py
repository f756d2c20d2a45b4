"""The training loop.

Step ``s`` is a function of the weights and of ``(seed, s)`` alone: segments, noise, and all other
draws of the objective. A killed run is therefore resumed exactly, and any number of processes that
share the batch see the same utterances. (With a time budget the learning rate follows the clock, so
that results are not exactly reproducible.)
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from vocoder.data.segments import Batch, SegmentSource
from vocoder.errors import CheckpointError, MelError, TrainingError
from vocoder.loading import (
    DESCRIPTION,
    check_tensors,
    dump_description,
    latest_checkpoint,
    read_metadata,
    read_tensors,
    step_name,
)
from vocoder.models.registry import ModelDescription
from vocoder.training.checkpoint import (
    RECIPE,
    TRAINING,
    optimizer_tensors,
    provenance,
    prune_checkpoints,
    restore_optimizer,
    save_checkpoint,
    under_prefix,
    with_prefix,
)
from vocoder.training.losslog import LossLog, StepReport
from vocoder.training.objectives.adversarial import (
    AdversarialConfig,
    Discriminators,
    adversarial_objective,
    discriminator_objective,
    low_pass,
)
from vocoder.training.objectives.base import Objective
from vocoder.training.schedule import Clock, TrainingConfig, learning_rate, snapshot_name

CROP = 0
"""Random stream used by the trainer; the objective uses the others."""


class Trainer:
    """Owns the optimizers, the averaged weights and the checkpoints of one run."""

    def __init__(
        self,
        objective: Objective,
        source: SegmentSource,
        adversarial: AdversarialConfig | None,
        config: TrainingConfig,
        run_folder: Path,
        recipe_text: str,
        accelerator: Accelerator,
    ) -> None:
        model = objective.model
        self.model, self.source, self.config = model, source, config
        self.adversarial, self._draw = adversarial, objective.draw
        self.run_folder = run_folder
        description = ModelDescription(mel=model.spec, model=model.config)
        self.texts = {DESCRIPTION: dump_description(description), RECIPE: recipe_text}
        self.accelerator = accelerator
        self.step, self.spent_s = 0, 0.0
        self._clock = Clock(accelerator.device)
        betas, decay = config.betas, config.weight_decay
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, betas=betas, weight_decay=decay
        )
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
        self.averaged = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.checkpoints, self.snapshots = run_folder / "checkpoints", run_folder / "snapshots"

    @property
    def share(self) -> float:
        """Completed fraction of the run, 0 to 1: the larger of those of its steps and its
        budget."""
        by_steps = self.step / self.config.steps
        return min(max(by_steps, self._spent_share or 0.0), 1.0)

    @property
    def _spent_share(self) -> float | None:
        budget = self.config.budget_minutes
        return None if budget is None else self.spent_s / (60 * budget)

    # -- one step ----------------------------------------------------------------------------

    def train_step(self) -> StepReport:
        """One update of the generator and, in the adversarial stage, of the discriminators."""
        self._clock.start()
        step, rank = self.step, self.accelerator.process_index
        batch = self.source.batch(step, rank, self.accelerator.num_processes)
        batch = batch.to(self.accelerator.device)
        self._set_learning_rates(step)
        try:
            output = self.objective(batch, *self._draws(batch))
        except MelError as error:  # a model may compute the mel of its output
            raise TrainingError(f"{error}, in the output at step {step}; {self._advice}") from error
        losses = dict(output.losses)
        for name, count in output.counts.items():
            # Processes average over different numbers: weight by this process's share.
            losses[name] = losses[name] * (count / self._mean(count))
        adversarial = self.adversarial
        if adversarial is not None and step >= adversarial.start_step:
            reference, estimate = output.reference, output.estimate
            assert reference is not None
            assert estimate is not None
            if batch.band_limit_hz is not None:
                rate = (batch.spec or self.model.spec).sample_rate
                reference = low_pass(reference, batch.band_limit_hz, rate)
                estimate = low_pass(estimate, batch.band_limit_hz, rate)
            losses |= self._adversarial_step(reference, estimate, adversarial)
        watched = dict(losses)
        discriminator = watched.pop("discriminator", None)
        total = torch.stack(list(watched.values())).sum()
        self._check_finite(losses)
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(total)
        norm = clip_grad_norm_(self.model.parameters(), self.config.max_gradient_norm)
        self._check_finite({"gradient norm": norm})
        self.optimizer.step()
        self._average(step)
        self.step += 1
        self.spent_s += self._seconds_of_this_step()
        watched["total"] = total
        if discriminator is not None:
            watched["discriminator"] = discriminator
        seconds = batch.waveform[0].numel() * self.source.config.batch_size
        return StepReport(
            step,
            self._mean_over_processes(watched),
            float(norm),
            self.optimizer.param_groups[0]["lr"],
            seconds / (batch.spec or self.model.spec).sample_rate,
        )

    def _adversarial_step(
        self, reference: Tensor, estimate: Tensor, config: AdversarialConfig
    ) -> dict[str, Tensor]:
        """Update the discriminators on a crop; return the generator's losses on the same crop."""
        assert self.discriminators is not None
        length = min(config.crop_frames * self.model.spec.hop_length, reference.shape[1])
        slack = reference.shape[1] - length + 1
        start = int(torch.randint(slack, (), generator=self._generator(CROP)))
        reference = reference[:, start : start + length]
        estimate = estimate[:, start : start + length]
        parameters = list(self.discriminators.parameters())
        for parameter in parameters:
            parameter.requires_grad_(True)
        loss = discriminator_objective(self.discriminators, reference, estimate, config)
        self._check_finite({"discriminator": loss})
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        norm = clip_grad_norm_(parameters, self.config.max_gradient_norm)
        self._check_finite({"discriminator gradient norm": norm})
        self.discriminator_optimizer.step()
        # The generator's pass needs neither gradients of these weights nor their synchronisation.
        for parameter in parameters:
            parameter.requires_grad_(False)
        discriminators = self.accelerator.unwrap_model(self.discriminators)
        with self.accelerator.autocast():
            losses = adversarial_objective(discriminators, reference, estimate, config, self._mean)
        return losses | {"discriminator": loss.detach()}

    def _seconds_of_this_step(self) -> float:
        """Time of the clock, averaged over processes, so that all stop at the same step."""
        seconds = torch.tensor(self._clock.seconds(), device=self.accelerator.device)
        return float(self._mean(seconds))

    def _mean(self, value: Tensor) -> Tensor:
        """Mean over all processes."""
        mean: Tensor = self.accelerator.reduce(value, "mean")
        return mean

    def _draws(self, batch: Batch) -> tuple[Tensor, ...]:
        """This process's share of the step's random numbers."""
        total, rank = self.source.config.batch_size, self.accelerator.process_index
        items, samples = batch.waveform.shape
        drawn = self._draw(total, samples, self._generator)
        mine = slice(rank * items, (rank + 1) * items)
        return tuple(values[mine].to(self.accelerator.device) for values in drawn)

    def _generator(self, mark: int) -> torch.Generator:
        seed = (self.config.seed * 1_000_003 + self.step) * 8 + mark
        return torch.Generator().manual_seed(seed % 2**63)

    def _set_learning_rates(self, step: int) -> None:
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, config, config.learning_rate, share=self._spent_share)
        # The discriminators start late: their warm-up and decay begin then.
        if self.adversarial is not None and step >= self.adversarial.start_step:
            peak, begin = self.adversarial.learning_rate, self.adversarial.start_step
            for group in self.discriminator_optimizer.param_groups:
                group["lr"] = learning_rate(step, config, peak, begin, self._spent_share)

    def _check_finite(self, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            if not bool(torch.isfinite(value)):
                number = value.item()
                raise TrainingError(f"{name} is {number} at step {self.step}; {self._advice}")

    @property
    def _advice(self) -> str:
        return (
            f"no checkpoint was written after the last one in {self.checkpoints}: start a new run "
            "from it (initialise_from) with a lower training.learning_rate"
        )

    def _mean_over_processes(self, losses: dict[str, Tensor]) -> dict[str, float]:
        values = torch.stack([value.detach().float() for value in losses.values()])
        return dict(zip(losses, self._mean(values).tolist(), strict=True))

    @torch.no_grad()
    def _average(self, step: int) -> None:
        """Update the exponential average of the weights, over fewer steps at first; buffers, such
        as a BatchNorm's statistics, are the current ones."""
        decay = min(self.config.ema_decay, (1 + step) / (10 + step))
        weights = dict(self.model.named_parameters())
        averaged = [self.averaged[name] for name in weights]
        torch._foreach_lerp_(averaged, list(weights.values()), 1 - decay)
        for name, value in self.model.state_dict().items():
            if name not in weights:
                self.averaged[name].copy_(value)

    # -- checkpoints -------------------------------------------------------------------------

    def resume(self) -> bool:
        """Resume from the newest checkpoint of the run; returns False if there is none.

        Raises:
            CheckpointError: it is corrupt, a copy of another step, or was trained on other
                recordings.
        """
        folder = latest_checkpoint(self.checkpoints)
        if folder is None:
            return False
        metadata, path = read_metadata(folder), folder / TRAINING
        if step_name(metadata["step"]) != folder.name:
            raise CheckpointError(
                f"{folder}: holds step {metadata['step']}, so it is a copy; move it out of this "
                "folder"
            )
        if metadata.get("data_hash") not in (None, self.source.data_hash):
            raise CheckpointError(
                f"{folder}: the recordings of the train split have changed since; put them back, "
                "or start a new run from it (initialise_from)"
            )
        state = read_tensors(path)
        self._restore(self.model, under_prefix(state, "generator"), path)
        averaged = under_prefix(state, "averaged")
        check_tensors(averaged, self.averaged, path)
        for name, value in averaged.items():
            self.averaged[name].copy_(value)
        restore_optimizer(self.optimizer, state, "optimizer", path)
        if self.discriminators is not None:
            discriminators = self.accelerator.unwrap_model(self.discriminators)
            self._restore(discriminators, under_prefix(state, "discriminators"), path)
            restore_optimizer(self.discriminator_optimizer, state, "discriminator_optimizer", path)
        self.step = int(metadata["step"])
        self.spent_s = float(metadata.get("spent_s", 0.0))
        return True

    @staticmethod
    def _restore(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
        check_tensors(tensors, module.state_dict(), path)
        module.load_state_dict(tensors)

    def save(self, scores: dict[str, float]) -> Path | None:
        """Write the checkpoint of the current step; only the main process does.

        Raises:
            TrainingError: a value is not finite, or the processes have different weights; nothing
                is written.
        """
        self._refuse_drift()
        if not self.accelerator.is_main_process:
            return None
        state = {
            **with_prefix(self.model.state_dict(), "generator"),
            **with_prefix(self.averaged, "averaged"),
            **optimizer_tensors(self.optimizer, "optimizer"),
        }
        if self.discriminators is not None:
            discriminators = self.accelerator.unwrap_model(self.discriminators)
            state |= with_prefix(discriminators.state_dict(), "discriminators")
            state |= optimizer_tensors(self.discriminator_optimizer, "discriminator_optimizer")
        for name, value in state.items():
            if not bool(torch.isfinite(value).all()):
                raise TrainingError(f"{name} is not finite at step {self.step}; {self._advice}")
        folder = self.checkpoints / step_name(self.step)
        save_checkpoint(folder, self.averaged, self.texts, self._metadata(scores), state)
        prune_checkpoints(self.checkpoints, self.config.keep_checkpoints)
        return folder

    def _refuse_drift(self) -> None:
        """Raise unless all processes have equal weights, as averaged gradients ensure."""
        mine = torch.stack([p.detach().double().sum() for p in self.model.parameters()])
        all_of_them = self.accelerator.gather(mine[None])
        if not bool((all_of_them == mine).all()):
            raise TrainingError(
                f"the processes hold different weights at step {self.step}; {self._advice}"
            )

    def _metadata(self, scores: dict[str, float]) -> dict[str, Any]:
        return {
            "step": self.step,
            "spent_s": round(self.spent_s, 3),
            "scores": scores,
            "mel_fingerprint": self.model.spec.fingerprint,
            "data_hash": self.source.data_hash,
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
            on_step: called after every step.
            validate: called with the step and the averaged weights every ``validate_every`` steps
                and at the end; returns scores by name.
        """
        config = self.config
        log = LossLog(self.run_folder / "losses.jsonl", self.step, self.accelerator.is_main_process)
        while self.share < 1:
            before, started = self.share, time.perf_counter()
            report = self.train_step()
            log.add(report, time.perf_counter() - started)
            if on_step is not None:
                on_step(report)
            for share in config.snapshots:
                if before < share <= self.share:
                    self._save_snapshot(share)
            last, scores = self.share == 1, {}
            every = config.validate_every
            if validate is not None and every and (last or self.step % every == 0):
                if self.accelerator.is_main_process:
                    scores = validate(self.step, self.averaged)
                self.accelerator.wait_for_everyone()
            if last or self.step % config.save_every == 0:
                log.flush()
                self.save(scores)

    def _save_snapshot(self, share: float) -> None:
        """Save the current averaged weights, for inference but not for resuming."""
        if self.accelerator.is_main_process:
            folder = self.snapshots / snapshot_name(share)
            save_checkpoint(folder, self.averaged, self.texts, self._metadata({}))
