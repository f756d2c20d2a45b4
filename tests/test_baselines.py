"""The table of architectures, the recipes of the baselines, and a short run of each."""

from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState

from tests.training.tiny import MANIFEST, ROOT, quiet
from vocoder.data.audio import read_audio
from vocoder.errors import RecipeError
from vocoder.evaluation.resynthesis import resynthesise
from vocoder.features.mel import PRESETS
from vocoder.loading import load
from vocoder.models.base import Vocoder
from vocoder.models.registry import MODELS
from vocoder.training.recipe import load_recipe
from vocoder.training.run import train

pytestmark = pytest.mark.slow

pytest_plugins = ["tests.training.fixtures"]

RECIPES = ROOT / "recipes" / "baselines"
BUDGET = sorted(path for path in (RECIPES / "budget").glob("*.yaml") if path.stem != "common")
FIRST = {"hifigan": "hifigan_v1"}
"""Recipes with a config's default values, if named differently."""
STUDENT, TEACHER = "parallel_wavenet", "wavenet_gaussian"

LITTLE = (
    f"data.manifests=[{MANIFEST}]",
    "data.batch_size=1",
    "data.segment_frames=8",
    "training.budget_minutes=null",
    "training.steps=2",
    "training.threads=1",
    "training.snapshots=[0.5]",
)
"""Overrides that only reduce the run time."""
NO_BFLOAT16 = {"waveglow", "waveflow", "hifigan", "istftnet"}
"""Recipes trained in float32 here, in half the time or less on CPUs without bfloat16: the forward
passes of these networks run in bfloat16 in test_flows.py and test_gan_vocoders.py."""


def by_stem(paths: list[Path]):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"source_filter"}))
def test_defaults_are_the_paper_s(name: str):
    recipe = load_recipe(RECIPES / f"{FIRST.get(name, name)}.yaml")
    row = MODELS[name]
    assert recipe.model == row.config()
    assert recipe.mel == PRESETS[row.mel]


def test_the_budget_s_recipes_differ_in_what_they_may():
    ours = load_recipe(ROOT / "recipes/source_filter/budget.yaml")
    for path in BUDGET:
        recipe = load_recipe(path)
        assert (recipe.mel, recipe.pitch) == (ours.mel, ours.pitch), path
        free = {"batch_size": 1, "segment_frames": 8}
        assert recipe.data.model_copy(update=free) == ours.data.model_copy(update=free), path
        for name in ("threads", "ema_decay", "steps", "warmup_steps", "seed", "snapshots"):
            assert getattr(recipe.training, name) == getattr(ours.training, name), path
        shared = 2 if path.stem == STUDENT else 1
        assert recipe.training.budget_minutes == ours.training.budget_minutes / shared, path


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the teacher's recipe, of two steps."""
    AcceleratorState._reset_state(reset_partial_state=True)
    folder = tmp_path_factory.mktemp("teacher") / "run"
    train(load_recipe(RECIPES / "budget" / f"{TEACHER}.yaml", LITTLE), folder, quiet())
    return folder


@by_stem(BUDGET)
def test_every_budget_recipe_trains_and_speaks(
    path: Path, teacher: Path, tmp_path: Path, fresh_accelerator: None
):
    overrides = [*LITTLE]
    if path.stem == STUDENT:
        overrides.append(f"loss.teacher={teacher}")
    if path.stem in NO_BFLOAT16:
        overrides.append("training.precision=float32")
    recipe = load_recipe(path, overrides)
    start = recipe.build_model().state_dict()
    train(recipe, tmp_path / "run", quiet())
    model = load(tmp_path / "run")
    assert model.state_dict().keys() == start.keys()
    sound = read_audio(MANIFEST.parent / "wavs" / "test" / "ru_0806.wav").waveform[20000:21500]
    output = resynthesise(model, sound)
    assert output.shape == sound.shape
    assert output.isfinite().all()
    assert torch.equal(output, resynthesise(model, sound))
    # The snapshot is a valid, different model.
    halfway = load(tmp_path / "run" / "snapshots" / "at-0500")
    assert not _same(halfway, model)


def test_a_teacher_of_another_mel_is_refused(
    teacher: Path, tmp_path: Path, fresh_accelerator: None
):
    overrides = [*LITTLE, f"loss.teacher={teacher}", "mel=hifigan_22k"]
    recipe = load_recipe(RECIPES / "budget" / f"{STUDENT}.yaml", overrides)
    with pytest.raises(RecipeError, match=r"loss\.teacher: .* was trained on mel"):
        train(recipe, tmp_path / "run", quiet())


def test_a_model_and_another_one_s_objective_are_refused(tmp_path: Path):
    with pytest.raises(RecipeError, match="model vocos is trained for 'waveform', not 'flow'"):
        load_recipe(RECIPES / "budget" / "vocos.yaml", ["loss={objective: flow}"])
    with pytest.raises(RecipeError, match=r"model\.name: no 'vokos'; did you mean vocos"):
        load_recipe(RECIPES / "budget" / "vocos.yaml", ["model.name=vokos"])
    with pytest.raises(RecipeError, match="gives no waveforms;"):
        load_recipe(RECIPES / "budget" / "waveflow.yaml", ["adversarial={start_step: 0}"])


def _same(one: Vocoder, other: Vocoder) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
