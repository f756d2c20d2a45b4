"""Length and learning rate of a run: by steps, or by a time budget."""

import math
import time
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator

from vocoder.config import Config

Beta = Annotated[float, Field(ge=0, lt=1)]


class TrainingConfig(Config):
    """Length, schedule and bookkeeping of a run.

    The learning rate rises linearly over ``warmup_steps`` and falls along half a cosine to
    ``final_learning_rate`` at ``steps``. With ``budget_minutes`` the run and the cosine end when
    this time was spent on training steps (see :class:`Clock`; validation and saving do not count),
    or at ``steps`` if earlier; such a run depends on the machine's speed.

    ``betas``: decay per step, in [0, 1), of Adam's means of the gradient and of its square.
    ``precision``: "bfloat16" runs the networks in bfloat16 wherever autocast allows it; signal
    processing and losses stay in float32. Validation uses ``validate_utterances`` of the split
    "valid", evenly spaced; ``validate_every: null`` disables it. ``snapshots``: fractions of the
    run, in (0, 1], at which the weights are kept beside the checkpoints, for learning curves.
    """

    steps: int = Field(ge=1, lt=2**53)
    budget_minutes: float | None = Field(None, gt=0, allow_inf_nan=False)
    seed: int = Field(0, ge=0, lt=2**53)
    learning_rate: float = Field(1e-3, gt=0)
    final_learning_rate: float = Field(1e-5, ge=0)
    warmup_steps: int = Field(500, ge=1)
    betas: tuple[Beta, Beta] = (0.8, 0.99)
    weight_decay: float = Field(0.01, ge=0)
    max_gradient_norm: float = Field(5.0, gt=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: int = Field(2, ge=1, le=1024)
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
        share: for a run with a budget, the spent fraction s, 0 to 1. The position on the cosine,
            which otherwise follows from the step n, is then s (n - begin) / (n - s begin): what is
            done since ``begin`` if all steps take equally long, s itself for those from zero.
    """
    done = step - begin
    if done < config.warmup_steps:
        return peak * (done + 1) / config.warmup_steps
    if share is None:
        rest = max(config.steps - begin - config.warmup_steps, 1)
        place = (done - config.warmup_steps) / rest
    else:
        share = min(share, 1.0)  # beyond one the denominator could vanish
        place = share * done / (step - share * begin)
    floor = config.final_learning_rate
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * min(place, 1.0)))


class Clock:
    """Time spent on training: CPU time of the main thread on a CPU, wall-clock time elsewhere.

    On an idle machine the two are equal. On a shared CPU, CPU time excludes other work, so that a
    budget has the same meaning. With several threads, the main thread sleeps while waiting for
    helpers that are delayed by other work, and counts too little: use one thread on a shared
    machine.
    """

    def __init__(self, device: torch.device) -> None:
        self._now = time.thread_time if device.type == "cpu" else time.perf_counter
        self._started = 0.0

    def start(self) -> None:
        """Start counting."""
        self._started = self._now()

    def seconds(self) -> float:
        """Seconds since the last start."""
        return self._now() - self._started
