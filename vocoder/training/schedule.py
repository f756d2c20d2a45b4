"""How long a run lasts and how its learning rate goes: by steps, or by a budget of time."""

import math
import time
from typing import Literal, Self

import torch
from pydantic import Field, field_validator, model_validator

from vocoder.config import Config


class TrainingConfig(Config):
    """Length, schedule and bookkeeping of a run.

    The learning rate rises linearly over ``warmup_steps`` and falls along half a cosine to
    ``final_learning_rate`` at ``steps``. With ``budget_minutes`` the run ends, and the cosine too,
    when so much time was spent on training steps (see :class:`Clock`; validation and saving do not
    count), or at ``steps`` if these come first; such a run depends on the machine's speed.

    ``precision``: "bfloat16" runs the networks in bfloat16 wherever autocast allows it; signal
    processing and losses stay in float32. Validation takes ``validate_utterances`` of the split
    "valid", evenly spread; ``validate_every: null`` leaves it out. ``snapshots``: shares of the
    run, in (0, 1], at which the weights are kept beside the checkpoints, for curves.
    """

    steps: int = Field(ge=1)
    budget_minutes: float | None = Field(None, gt=0)
    seed: int = Field(0, ge=0)
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
    validate_every: int | None = Field(2000, ge=1)
    validate_utterances: int = Field(50, ge=1)
    save_every: int = Field(1000, ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    snapshots: tuple[float, ...] = ()

    @field_validator("snapshots")
    @classmethod
    def _are_shares(cls, snapshots: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < share <= 1 for share in snapshots):
            raise ValueError("give shares of the run, above 0 and up to 1")
        return snapshots

    @model_validator(mode="after")
    def _snapshots_have_names(self) -> Self:
        names = [snapshot_name(share) for share in self.snapshots]
        if len(set(names)) < len(names):
            raise ValueError("snapshots: two lie within a thousandth of the run; drop one")
        return self


def snapshot_name(share: float) -> str:
    """Folder of a snapshot, in thousandths of the run.

    >>> snapshot_name(0.125)
    'at-0125'
    """
    return f"at-{round(1000 * share):04d}"


def learning_rate(
    step: int, config: TrainingConfig, peak: float, begin: int = 0, share: float | None = None
) -> float:
    """Linear warm-up from step ``begin``, then half a cosine from ``peak`` to the final rate.

    Args:
        share: of a run with a budget, how much of it is spent, 0 to 1; it then stands for the place
            on the cosine, which otherwise follows from the step.
    """
    done = step - begin
    if done < config.warmup_steps:
        return peak * (done + 1) / config.warmup_steps
    rest = max(config.steps - begin - config.warmup_steps, 1)
    place = (done - config.warmup_steps) / rest if share is None else share
    floor = config.final_learning_rate
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * min(place, 1.0)))


class Clock:
    """Time spent on training: on a CPU what the main thread computed, elsewhere what went by.

    On an idle machine the two are the same. Where other work shares the CPU, the first leaves out
    the time in which that work ran, so that a budget means the same there. On several threads
    the main one sleeps while it waits for a helper that other work holds up, and counts less than
    it had to wait: on a shared machine one thread is the fair measure.
    """

    def __init__(self, device: torch.device) -> None:
        self._now = time.thread_time if device.type == "cpu" else time.perf_counter
        self._started = 0.0

    def start(self) -> None:
        """Begin to count."""
        self._started = self._now()

    def seconds(self) -> float:
        """Seconds since the last start."""
        return self._now() - self._started
