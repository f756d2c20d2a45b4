"""The smallest complete training, for all tests that need a run or a trainer."""

import socket
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.console import Console
from torch import Tensor

from vocoder.data.segments import Recording
from vocoder.training.recipe import Recipe
from vocoder.training.run import build_trainer
from vocoder.training.trainer import Trainer

MakeTrainer = Callable[..., Trainer]
"""The fixture `make_trainer`: overrides of the tiny recipe, and the run's folder."""

ROOT = Path(__file__).resolve().parents[2]
TINY_RECIPE = ROOT / "recipes" / "source_filter" / "tiny.yaml"
MANIFEST = ROOT / "egs" / "tiny" / "manifest.jsonl"

SMALL = (
    f"data.manifests=[{MANIFEST}]",
    "data.batch_size=2",
    "model={channels: 16, blocks: 1, pitch: {channels: 16, layers: 2}}",
    "adversarial.spectrogram={n_ffts: [512], channels: 4, strided_layers: 2}",
    "adversarial.period={periods: [2, 3], channels: 2, max_channels: 8}",
    "training.warmup_steps=5",
)
"""Overrides of the tiny recipe: networks of a few thousand weights."""

UNINTERRUPTED = (
    *SMALL,
    "adversarial.start_step=7",
    "training.steps=30",
    "training.save_every=3",
    "training.validate_every=1000",
)
"""Overrides of the run that `trained_run` gives: the adversarial stage begins between two saves."""


def settings(overrides: tuple[str, ...] | list[str]) -> list[str]:
    """Overrides as arguments of the command line."""
    return [part for override in overrides for part in ("--set", override)]


def leftover(ending: str) -> str:
    """Name of what a killed process of this machine leaves while it writes."""
    beyond_every_process = 2**22 + 1
    return f".{socket.gethostname()}-{beyond_every_process}-0123abcd.{ending}"


def quiet() -> Console:
    """A console without output."""
    return Console(quiet=True)


def trainer_of(recipe: Recipe, recordings: list[Recording], folder: Path) -> Trainer:
    """The objects built by `vocoder.training.run.train`, without its display."""
    torch.manual_seed(recipe.training.seed)
    objective = recipe.build_objective(recipe.build_model())
    return build_trainer(recipe, objective, recordings, folder, Accelerator(cpu=True))


def copies(module: torch.nn.Module) -> dict[str, Tensor]:
    """The parameters as they are now."""
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two of :func:`copies` agree bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
