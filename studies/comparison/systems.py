"""Who takes part, what each is called, and where the files of a comparison lie."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from vocoder.errors import VocoderError
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
"""Systems without training, by the name that `vocoder resynth --model` takes."""
RECORDING = "recording"


@dataclass(frozen=True)
class System:
    """One neural system of the comparison."""

    name: str
    path: Path

    @property
    def label(self) -> str:
        """What tables and plots call it."""
        return LABELS.get(self.name, self.name)

    @cached_property
    def recipe(self) -> Recipe:
        """Its recipe, as it is in the repository."""
        return load_recipe(self.path)

    @property
    def teacher(self) -> str | None:
        """The system whose recipe trains the teacher; None for all that need none.

        Raises:
            VocoderError: the recipe wants a teacher and `TEACHERS` names none.
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
    """The systems of these names in the order of the table; all for none.

    Raises:
        VocoderError: a name that is none of them.
    """
    for name in names:
        if name not in systems:
            near = difflib.get_close_matches(name, systems, 1, cutoff=0.0)[0]
            raise VocoderError(
                f"no system {name!r}; did you mean {near!r}? There are: {', '.join(systems)}"
            )
    return [system for name, system in systems.items() if not names or name in names]


@dataclass(frozen=True)
class Trained:
    """How far a training run got.

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
    """What the newest checkpoint of a run says; None where there is none."""
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
    """Where the files of a comparison lie, below one folder."""

    root: Path

    def training(self, system: str, seed: int) -> Path:
        """Run of a system."""
        return self.root / "training" / system / f"seed-{seed}"

    def teacher(self, system: str, seed: int) -> Path:
        """Run of the teacher that a student had."""
        return self.root / "training" / system / f"seed-{seed}-teacher"

    @property
    def excerpts(self) -> Path:
        """The validation excerpts that the curves are measured on."""
        return self.root / "curves" / "recording"

    def curve(self, system: str, seed: int) -> Path:
        """Excerpts from every snapshot of a run, and their scores."""
        return self.root / "curves" / system / f"seed-{seed}"

    def test(self, system: str, seed: int | None = None) -> Path:
        """The test utterances from a finished run, or from a vocoder without training, and their
        scores."""
        folder = self.root / "test" / system
        return folder if seed is None else folder / f"seed-{seed}"

    @property
    def page(self) -> Path:
        """The report, and the evaluation that it shows."""
        return self.root / "page"


def settings_of(values: dict[str, object]) -> list[str]:
    """Overrides of a recipe as arguments of `vocoder train`."""
    arguments = []
    for key, value in values.items():
        text = yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()
        arguments += ["--set", f"{key}={text.removesuffix('...').strip()}"]
    return arguments
