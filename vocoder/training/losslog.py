"""Logging of every training step: exact losses, and TensorBoard scalars."""

import json
import math
from pathlib import Path
from typing import NamedTuple

from torch.utils.tensorboard import SummaryWriter

from vocoder.data.files import naming_errors, write_text


class StepReport(NamedTuple):
    """Report of one step: losses by name, gradient norm, learning rate, seconds of audio."""

    step: int
    losses: dict[str, float]
    gradient_norm: float
    learning_rate: float
    audio_seconds: float


def log_step(board: SummaryWriter, report: StepReport, audio_rate: float) -> None:
    """Write scalars of a training step to TensorBoard, at the number of completed steps.

    ``audio_rate``: seconds of audio trained on per second.
    """
    done = report.step + 1
    for name, value in report.losses.items():
        board.add_scalar(f"train/{name}", value, done)
    board.add_scalar("train/gradient_norm", report.gradient_norm, done)
    board.add_scalar("train/learning_rate", report.learning_rate, done)
    board.add_scalar("train/audio_seconds_per_second", audio_rate, done)


class LossLog:
    """``losses.jsonl``: exact losses of every step; a resumed run removes steps to be repeated."""

    def __init__(self, path: Path, first_step: int, active: bool = True) -> None:
        self.path, self.active = path, active
        self.pending: list[str] = []
        if not self.active:
            return
        kept = []
        if path.is_file():
            lines = path.read_text().splitlines()
            kept = [line for line in lines if _step_of(line) < first_step]
        write_text(path, "".join(f"{line}\n" for line in kept))

    def add(self, report: StepReport, seconds: float) -> None:
        """Add a step; steps are written in groups of ten."""
        row = {"step": report.step, "seconds": round(seconds, 4), **report.losses}
        self.pending.append(json.dumps(row))
        if len(self.pending) >= 10:
            self.flush()

    def flush(self) -> None:
        """Write all added steps; OutputError, with the file's name, where the disk is full."""
        if self.active and self.pending:
            with naming_errors(self.path), self.path.open("a") as file:
                file.write("".join(f"{line}\n" for line in self.pending))
        self.pending = []


def _step_of(line: str) -> float:
    """Step of a log line; an incomplete line of a killed run counts as a later step."""
    try:
        return float(json.loads(line)["step"])
    except ValueError:
        return math.inf
