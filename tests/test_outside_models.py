"""Models outside the package, named module:Class: wherever a model goes, or one clear line."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from tests.training.tiny import MANIFEST, ROOT, quiet
from vocoder.cli import app
from vocoder.errors import CheckpointError, RecipeError, VocoderError
from vocoder.loading import DESCRIPTION, MODEL, PicklableVocoder, dump_description, load
from vocoder.models.registry import ModelDescription
from vocoder.training.checkpoint import (
    RECIPE,
    convert_checkpoint,
    publish_checkpoint,
    save_checkpoint,
)
from vocoder.training.recipe import dump_recipe, load_recipe
from vocoder.training.run import train

pytest_plugins = ["tests.training.fixtures"]

SOURCE = """
from pydantic import Field
from torch import nn

from vocoder.config import Config
from vocoder.dsp.framing import interpolate_linear
from vocoder.models.base import Vocoder


class SizeConfig(Config):
    name: str
    channels: int = Field(4, ge=1)


class Own(Vocoder):
    '''A hop of samples from each frame, by two layers.'''

    Config = SizeConfig

    def __init__(self, config, spec):
        super().__init__(spec)
        self.config = config
        self.layers = nn.Sequential(
            nn.Linear(spec.n_mels, config.channels),
            nn.Tanh(),
            nn.Linear(config.channels, spec.hop_length),
        )

    def forward(self, mel, *, generator=None):
        return 0.01 * self.layers(mel.mT).flatten(1)


class Normed(Own):
    '''With statistics, which are no parameters.'''

    def __init__(self, config, spec):
        super().__init__(config, spec)
        self.norm = nn.BatchNorm1d(spec.n_mels)

    def forward(self, mel, *, generator=None):
        return super().forward(self.norm(mel))


class Forgetful(Own):
    def __init__(self, config, spec):
        super().__init__(config, spec)
        self.config = None


class Unaimed(Own):
    objective = "wavefrom"


class Flowing(Own):
    objective = "flow"


class Plain(nn.Module):
    Config = SizeConfig


class Bare(Vocoder):
    pass


class Loose(Vocoder):
    Config = dict


class Nameless(Vocoder):
    class Config(Config):
        channels: int = 4


number = 1
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a module with models, in a folder on the import path; forgotten afterwards."""
    folder = tmp_path / "modules"
    (folder / "outside_package").mkdir(parents=True)
    (folder / "outside_package" / "__init__.py").touch()
    (folder / "outside_package" / "models.py").write_text(SOURCE)
    (folder / "outside_package" / "broken.py").write_text("raise RuntimeError('no\\nGPU')\n")
    (folder / "outside_package" / "needy.py").write_text("import a_missing_dependency\n")
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield "outside_package.models"
    for name in set(sys.modules) - before:
        if name.startswith("outside_package"):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write_recipe(model: str) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(
            f"mel: speecht5_16k\nmodel:\n  {model}\n"
            f"data: {{manifests: [{MANIFEST}], batch_size: 2, segment_frames: 12}}\n"
            "training: {steps: 4, warmup_steps: 1, threads: 1, save_every: 2, validate_every: 4}\n"
        )
        return path

    return write_recipe


@pytest.fixture
def checkpoint(outside: str, tmp_path: Path, write) -> Path:
    """A checkpoint of fresh weights, as a training saves it."""
    recipe = load_recipe(write(f'name: "{outside}:Own"'))
    model = recipe.build_model()
    texts = {DESCRIPTION: dump_description(recipe.description), RECIPE: dump_recipe(recipe)}
    metadata = {"step": 0, "mel_fingerprint": recipe.mel.fingerprint}
    save_checkpoint(tmp_path / "checkpoint", model.state_dict(), texts, metadata)
    return tmp_path / "checkpoint"


def line(kind: type[VocoderError], call: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- recipes -------------------------------------------------------------------------------------


def test_a_recipe_names_it_and_reads_back(outside: str, write, tmp_path: Path):
    recipe = load_recipe(write(f'name: "{outside}:Own"'), ["model.channels=7"])
    assert recipe.model.name == f"{outside}:Own"
    assert recipe.model.channels == 7
    assert recipe.loss.objective == "waveform"
    assert type(recipe.build_model()).__name__ == "Own"
    (tmp_path / "resolved.yaml").write_text(dump_recipe(recipe))
    assert load_recipe(tmp_path / "resolved.yaml") == recipe


def test_its_class_names_the_objective(outside: str, write):
    path = write(f'name: "{outside}:Flowing"')
    assert load_recipe(path).loss.objective == "flow"
    said = line(RecipeError, lambda: load_recipe(path, ["loss.objective=waveform"]))
    assert f"model {outside}:Flowing is trained for 'flow', not 'waveform'" in said


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("chanels: 3", "unknown key model.chanels; did you mean channels?"),
        ("channels: 0", "model.channels: Input should be greater than or equal to 1"),
        ("channels: many", "model.channels: Input should be a valid integer"),
    ],
)
def test_its_configuration_is_checked_with_line_and_key(outside: str, write, entry: str, said: str):
    path = write(f'name: "{outside}:Own"\n  {entry}')
    message = line(RecipeError, lambda: load_recipe(path))
    assert message.startswith(f"{path}, line 4: {said}")
    assert ";" not in message.removeprefix(f"{path}, line 4: {said}")


REFUSED = [
    ("nowhere_at_all:Own", "No module named 'nowhere_at_all'); install it or put its folder"),
    ("outside_package.nothing:Own", "'outside_package.nothing'); install it or put its folder"),
    ("outside_package.broken:Own", "cannot be imported (RuntimeError: no GPU); `python -c"),
    ("outside_package.needy:Own", "'a_missing_dependency'); `python -c 'import outside_package.n"),
    ("outside_package.models:Owm", "models.py) has no class Owm"),
    ("outside_package.models:number", "number is no subclass of vocoder.models.base.Vocoder"),
    ("outside_package.models:Plain", "Plain is no subclass of vocoder.models.base.Vocoder"),
    ("outside_package.models:Bare", "Bare.Config must be a subclass of vocoder.config.Config"),
    ("outside_package.models:Loose", "Loose.Config must be a subclass of vocoder.config.Config"),
    ("outside_package.models:Nameless", "Config has no field `name`"),
    ("outside_package/models.py:Own", "is written my_package.my_model:MyVocoder"),
    (":Own", "is written my_package.my_model:MyVocoder"),
    ("outside_package.models:", "is written my_package.my_model:MyVocoder"),
]


@pytest.mark.parametrize(("name", "said"), REFUSED)
def test_a_name_that_is_no_model_is_refused_by_recipes(outside: str, write, name: str, said: str):
    path = write(f'name: "{name}"')
    message = line(RecipeError, lambda: load_recipe(path))
    assert message.startswith(f"{path}, line 3: model.name: ")
    assert said in message
    assert message.endswith(f"(given: {name!r})")


def test_an_unknown_objective_is_refused(outside: str, write):
    path = write(f'name: "{outside}:Unaimed"')
    message = line(RecipeError, lambda: load_recipe(path))
    assert message.startswith(f"{path}, line 3: model.name: its class attribute `objective` is")
    assert "did you mean waveform?" in message


def test_a_model_that_forgets_its_configuration_is_refused(outside: str, write):
    recipe = load_recipe(write(f'name: "{outside}:Forgetful"'))
    assert "set `self.config = config`" in line(VocoderError, recipe.build_model)


# -- checkpoints ---------------------------------------------------------------------------------


def test_a_checkpoint_is_loaded_strictly(checkpoint: Path, outside: str):
    model = load(checkpoint)
    assert model.config.name == f"{outside}:Own"
    mel = model.mel(0.1 * torch.randn(4000))
    assert model(mel).shape == (1, mel.shape[2] * 256)
    assert torch.equal(PicklableVocoder(checkpoint)(mel), model(mel))
    text = (checkpoint / DESCRIPTION).read_text()
    (checkpoint / DESCRIPTION).write_text(text.replace("channels: 4", "channels: 5"))
    assert "of another shape: layers.0.bias" in line(CheckpointError, lambda: load(checkpoint))


@pytest.mark.parametrize(("name", "said"), REFUSED)
def test_a_name_that_is_no_model_is_refused_by_loading(checkpoint: Path, name: str, said: str):
    path = checkpoint / DESCRIPTION
    path.write_text(path.read_text().replace("outside_package.models:Own", f"'{name}'"))
    message = line(CheckpointError, lambda: load(checkpoint))
    assert message.startswith(f"{path}: model.name {name}: ")
    assert said in message
    assert "another version" not in message


def test_a_key_that_its_code_does_not_know_is_named(checkpoint: Path):
    path = checkpoint / DESCRIPTION
    path.write_text(path.read_text().replace("channels: 4", "channelz: 4"))
    message = line(CheckpointError, lambda: load(checkpoint))
    assert message.startswith(f"{path}: model.channelz: ")
    assert "another version of its code" in message


def test_it_is_published_converted_and_described(checkpoint: Path, tmp_path: Path, outside: str):
    description = (checkpoint / DESCRIPTION).read_text()
    (checkpoint / DESCRIPTION).unlink()
    convert_checkpoint(checkpoint)
    assert (checkpoint / DESCRIPTION).read_text() == description
    publish_checkpoint(checkpoint, tmp_path / "published")
    result = CliRunner().invoke(app, ["info", str(tmp_path / "published"), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["model"] == "Own"


def test_a_module_is_imported_by_its_name_only(checkpoint: Path):
    """Neither the package's own weights nor their copies touch modules outside."""
    for name in [name for name in sys.modules if name.startswith("outside_package")]:
        del sys.modules[name]
    load()
    assert "outside_package.models" not in sys.modules
    load(checkpoint)
    assert "outside_package.models" in sys.modules


def test_a_description_of_the_package_s_own_is_as_before():
    text = (ROOT / "vocoder/weights/source_filter_16k/model.yaml").read_text(encoding="utf-8")
    model = load("source_filter_16k")
    assert "name: source_filter\n" in text
    description = ModelDescription(mel=model.spec, model=model.config)
    assert description == ModelDescription(mel="speecht5_16k", model=model.config.model_dump())


# -- training ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_trains_resumes_and_speaks(outside: str, write, tmp_path: Path, fresh_accelerator: None):
    recipe = load_recipe(write(f'name: "{outside}:Own"'))
    run = tmp_path / "run"
    train(recipe, run, quiet())
    newest = run / "checkpoints" / "step-00000004"
    weights = load_file(newest / MODEL)
    shutil.rmtree(newest)
    train(recipe, run, quiet())
    for name, tensor in load_file(newest / MODEL).items():
        assert torch.equal(tensor, weights[name])
    arguments = ["resynth", str(MANIFEST.parent / "wavs/test"), "--output", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--model", str(run)])
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out").glob("*.wav"))) == 3


@pytest.mark.slow
def test_statistics_of_a_normalisation_are_saved_and_loaded(
    outside: str, write, tmp_path: Path, fresh_accelerator: None
):
    recipe = load_recipe(write(f'name: "{outside}:Normed"'))
    train(recipe, tmp_path / "run", quiet())
    weights = load_file(tmp_path / "run" / "checkpoints" / "step-00000004" / MODEL)
    assert int(weights["norm.num_batches_tracked"]) == 4
    assert float(weights["norm.running_mean"].abs().max()) > 0.1
    loaded = load(tmp_path / "run").state_dict()
    assert torch.equal(loaded["norm.running_mean"], weights["norm.running_mean"])
