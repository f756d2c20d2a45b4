"""Systems of a comparison, their labels, and the file layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from vocoder.errors import VocoderError, suggestion
from vocoder.loading import latest_checkpoint, read_metadata
from vocoder.training.checkpoint import RECIPE
from vocoder.training.recipe import Recipe, load_recipe

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
OURS = "source_filter"
COMMON = "common"
"""The file that the recipes of the budget include."""

TEACHERS = {"parallel_wavenet": "wavenet_gaussian"}
"""Students, and the system whose recipe trains their teacher."""

LABELS = {
    OURS: "this model",
    "ddsp": "DDSP",
    "hifigan": "HiFi-GAN",
    "istftnet": "iSTFTNet",
    "nsf": "NSF",
    "parallel_wavenet": "Parallel WaveNet",
    "vocos": "Vocos",
    "waveflow": "WaveFlow",
    "waveglow": "WaveGlow",
    "wavenet": "WaveNet (mixture of logistics)",
    "wavenet_gaussian": "WaveNet (Gaussian)",
    "wavenet_mulaw": "WaveNet (μ-law)",
    "wavernn": "WaveRNN",
    "wavernn_dual": "WaveRNN (dual softmax)",
}
CLASSICAL = {"world": "WORLD", "griffin_lim": "Griffin-Lim", "lpc": "LPC vocoder"}
"""Classical systems, by their names for `vocoder resynth --model`."""
RECORDING = "recording"


@dataclass(frozen=True)
class System:
    """One neural system of the comparison."""

    name: str
    path: Path

    @property
    def label(self) -> str:
        """Its name in tables and plots."""
        return LABELS.get(self.name, self.name)

    @cached_property
    def recipe(self) -> Recipe:
        """Its recipe, as it is in the repository."""
        return load_recipe(self.path)

    @property
    def teacher(self) -> str | None:
        """The system whose recipe trains the teacher; None if not needed.

        Raises:
            VocoderError: the recipe needs a teacher and `TEACHERS` has none.
        """
        if self.recipe.teacher is None:
            return None
        if self.name not in TEACHERS:
            raise VocoderError(
                f"{self.path}: needs a teacher (loss.teacher); name its system in TEACHERS of "
                "studies/comparison/systems.py"
            )
        return TEACHERS[self.name]


def all_systems(recipes: Path = RECIPES) -> dict[str, System]:
    """Ours first, then every recipe of the budget by name."""
    paths = {OURS: recipes / OURS / "budget.yaml"}
    found = sorted((recipes / "baselines" / "budget").glob("*.yaml"))
    paths |= {path.stem: path for path in found if path.stem != COMMON}
    return {name: System(name, path) for name, path in paths.items()}


def choose(names: Sequence[str], systems: dict[str, System]) -> list[System]:
    """The named systems in the order of the table; all if no name is given.

    Raises:
        VocoderError: an unknown name.
    """
    for name in names:
        if name not in systems:
            raise VocoderError(f"no system {name!r}{suggestion(name, list(systems))}")
    return [system for name, system in systems.items() if not names or name in names]


@dataclass(frozen=True)
class Trained:
    """Progress of a training run.

    Attributes:
        folder: of the run.
        step: steps done.
        spent_s: seconds of training.
        complete: whether its budget, or its steps, are used up.
    """

    folder: Path
    step: int
    spent_s: float
    complete: bool


def read_training(folder: Path) -> Trained | None:
    """Progress from the newest checkpoint of a run; None without checkpoints."""
    checkpoint = latest_checkpoint(folder / "checkpoints")
    if checkpoint is None:
        return None
    metadata = read_metadata(checkpoint)
    config = load_recipe(checkpoint / RECIPE).training
    step, spent_s = int(metadata["step"]), float(metadata["spent_s"])
    # The time in the metadata is rounded to milliseconds.
    over = config.budget_minutes is not None and spent_s >= 60 * config.budget_minutes - 1e-3
    return Trained(folder, step, spent_s, over or step >= config.steps)


@dataclass(frozen=True)
class Layout:
    """File layout of a comparison below one folder."""

    root: Path

    def training(self, system: str, seed: int) -> Path:
        """Run of a system."""
        return self.root / "training" / system / f"seed-{seed}"

    def teacher(self, system: str, seed: int) -> Path:
        """Run of a student's teacher."""
        return self.root / "training" / system / f"seed-{seed}-teacher"

    @property
    def excerpts(self) -> Path:
        """The validation excerpts for the curves."""
        return self.root / "curves" / "recording"

    def curve(self, system: str, seed: int) -> Path:
        """Resynthesised excerpts of every snapshot of a run, and their scores."""
        return self.root / "curves" / system / f"seed-{seed}"

    def test(self, system: str, seed: int | None = None) -> Path:
        """The test utterances of a finished run, or of a classical vocoder, and their scores."""
        folder = self.root / "test" / system
        return folder if seed is None else folder / f"seed-{seed}"

    @property
    def page(self) -> Path:
        """The report and its evaluation."""
        return self.root / "page"


def settings_of(values: dict[str, object]) -> list[str]:
    """Overrides of a recipe as arguments of `vocoder train`."""
    arguments = []
    for key, value in values.items():
        text = yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()
        arguments += ["--set", f"{key}={text.removesuffix('...').strip()}"]
    return arguments
