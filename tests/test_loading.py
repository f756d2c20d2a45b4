"""Loading by name, run or checkpoint: strict, with one-line errors."""

import json
import pickle
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import vocoder
from vocoder.errors import CheckpointError, VocoderError
from vocoder.features.mel import PRESETS
from vocoder.loading import (
    DESCRIPTION,
    METADATA,
    MODEL,
    SHIPPED,
    dump_description,
    find_checkpoint,
    load,
    parse_description,
    read_description,
    read_metadata,
)
from vocoder.models.classical import GriffinLim
from vocoder.models.lpc import LPCVocoder
from vocoder.models.source_filter import SourceFilter
from vocoder.models.world import WorldVocoder
from vocoder.training.checkpoint import (
    RECIPE,
    TRAINING,
    convert_checkpoint,
    publish_checkpoint,
    save_checkpoint,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
TEST_WAVS = ROOT / "egs" / "tiny" / "wavs" / "test"

pytest_plugins = ["tests.training.fixtures"]


@pytest.fixture
def checkpoint(trained_run: Path, tmp_path: Path) -> Path:
    """A copy of a trained checkpoint, to be spoilt."""
    return Path(
        shutil.copytree(trained_run / "checkpoints" / "step-00000030", tmp_path / "checkpoint")
    )


def refusal(model: str | Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_run_a_checkpoint_and_its_copy_give_the_same_model(trained_run: Path, checkpoint: Path):
    newest = trained_run / "checkpoints" / "step-00000030"
    assert find_checkpoint(trained_run) == newest
    assert find_checkpoint(str(newest)) == newest
    models = [load(trained_run), load(str(newest)), load(checkpoint)]
    mel = models[0].mel(0.1 * torch.randn(4000, generator=torch.Generator().manual_seed(0)))
    waveforms = [
        model(mel, generator=torch.Generator().manual_seed(1))  # type: ignore[call-arg]
        for model in models
    ]
    assert torch.equal(waveforms[0], waveforms[1])
    assert torch.equal(waveforms[0], waveforms[2])
    for model in models:
        assert isinstance(model, SourceFilter)
        assert not model.training
        assert not any(p.requires_grad for p in model.parameters())


def test_what_is_loaded_are_the_averaged_weights(trained_run: Path):
    stored = load_file(trained_run / "checkpoints" / "step-00000030" / TRAINING)
    model = load(trained_run)
    name, weight = next(model.named_parameters())
    assert torch.equal(weight, stored[f"averaged.{name}"])
    assert not torch.equal(weight, stored[f"generator.{name}"])


def test_a_model_without_its_training_state_can_be_used(checkpoint: Path):
    (checkpoint / TRAINING).unlink()
    assert load(checkpoint).sample_rate == 16000


def test_griffin_lim_is_a_model_by_name():
    model = load("griffin_lim")
    assert isinstance(model, GriffinLim)
    assert model.iterations == 32
    assert model.spec == PRESETS["speecht5_16k"]


def test_vocoders_that_start_from_the_waveform_come_through_the_same_door():
    assert isinstance(load("world"), WorldVocoder)
    assert isinstance(load("lpc"), LPCVocoder)


def test_loading_sees_nothing_of_training_or_evaluation():
    """Shipped weights load independently of training options and their imports."""
    code = "import sys, vocoder; vocoder.load(); print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    parts = {name.split(".")[1] for name in loaded if name.startswith("vocoder.")}
    assert parts == {
        "config", "dsp", "errors", "extras", "features", "loading", "models", "reading"
    }  # fmt: skip
    heavy = {"librosa", "joblib", "scipy", "accelerate", "matplotlib", "parselmouth", "numba",
             "tensorboard", "torchaudio", "pesq", "typer"}  # fmt: skip
    assert not heavy & loaded


def test_loading_and_speaking_need_the_core_packages_only(tmp_path: Path):
    """Inference needs neither training nor evaluation packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = {"numpy", "torch", "yaml", *(re.match(r"[\w-]+", d)[0] for d in project["dependencies"])}
    extras = {"accelerate", "auraloss", "jinja2", "joblib", "librosa", "matplotlib", "parselmouth",
              "pesq", "pystoi", "pyworld", "scipy", "tensorboard", "threadpoolctl", "torchaudio",
              "torchcrepe", "numba", "sklearn", "pandas"} - core  # fmt: skip
    # torch itself looks for networkx, sympy and jinja2; a missing jinja2 it can do without.
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(extras)!r}))\n"
        "import torch, vocoder\n"
        "v = vocoder.load()\n"
        "assert v(v.mel(0.1 * torch.randn(16000))).shape == (1, 16128)\n"
        "from vocoder.cli import app\n"
        f"app(['resynth', {str(TEST_WAVS)!r}, '--output', {str(tmp_path / 'out')!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").glob("*.wav"))) == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_device_and_dtype_are_chosen_at_the_door(dtype: torch.dtype):
    model = load(device="cpu", dtype=dtype)
    assert {p.dtype for p in model.parameters()} == {dtype}
    assert {b.dtype for b in model.buffers() if b.is_floating_point()} == {dtype}


def test_a_device_that_is_not_there_is_refused_in_one_line():
    device = "mps" if torch.cuda.is_available() else "cuda"
    with pytest.raises(VocoderError, match=f'device "{device}": PyTorch cannot use it') as caught:
        load(device=device)
    assert "\n" not in str(caught.value)


def test_the_shipped_weights_load_without_a_network():
    model = vocoder.load()
    assert isinstance(model, SourceFilter)
    assert model.spec == PRESETS["vocos_24k"]
    assert model.for_mel("speecht5_16k").sample_rate == 16000
    assert load("source_filter_16k").spec == PRESETS["speecht5_16k"]
    for name, folder in SHIPPED.items():
        assert 0.4e6 < load(name).parameters_count < 4e6
        assert load(name).parameters_count == load(folder).parameters_count


@pytest.mark.parametrize("name", ["nowhere", "griffin-lim", "/nowhere/at/all", "."])
def test_an_unknown_model_is_answered_with_those_there_are(name: str):
    message = refusal(name)
    assert message.startswith(
        f"{name}: neither a model's name (default, universal, nano, low_latency, source_filter_16k"
    )
    assert "griffin_lim" in message


def test_a_path_is_never_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint("nano") == SHIPPED["nano"]
    with pytest.raises(CheckpointError, match="nano: neither a model's name"):
        find_checkpoint(Path("nano"))
    with pytest.raises(CheckpointError, match="world: needs no weights"):
        find_checkpoint("world")


def test_a_run_without_a_checkpoint_is_no_model(tmp_path: Path):
    (tmp_path / "checkpoints").mkdir()
    assert "nor a folder with model.safetensors" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("filter_network.norm.weight"), "missing: filter_network.norm.weight"),
        (lambda t: t.update(extra=torch.ones(1)), "unknown: extra"),
        (
            lambda t: t.update({"filter_network.norm.weight": torch.ones(3)}),
            "of another shape: filter_network.norm.weight",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(checkpoint: Path, change, said: str):
    tensors = load_file(checkpoint / MODEL)
    change(tensors)
    save_file(tensors, checkpoint / MODEL)
    metadata = json.loads((checkpoint / METADATA).read_text())
    del metadata["sha256"]
    (checkpoint / METADATA).write_text(json.dumps(metadata))
    message = refusal(checkpoint)
    assert said in message
    assert str(checkpoint / MODEL) in message


def test_a_pickled_checkpoint_is_not_loaded(checkpoint: Path):
    state = load(checkpoint).state_dict()
    for write in (torch.save, lambda s, path: path.write_bytes(pickle.dumps(s))):
        write(state, checkpoint / MODEL)
        assert "pickled or truncated checkpoints are not loaded" in refusal(checkpoint)


def test_a_truncated_checkpoint_is_not_loaded(checkpoint: Path):
    whole = (checkpoint / MODEL).read_bytes()
    for size in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        (checkpoint / MODEL).write_bytes(whole[:size])
        assert str(checkpoint / MODEL) in refusal(checkpoint)


@pytest.mark.parametrize("name", [DESCRIPTION, METADATA])
def test_a_missing_file_of_a_checkpoint_is_named(checkpoint: Path, name: str):
    (checkpoint / name).unlink()
    assert str(checkpoint / name) in refusal(checkpoint)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (DESCRIPTION, "mel: [1"),
        (DESCRIPTION, "mel: speecht5_16k\nmodel: {name: vocoss}"),
        (DESCRIPTION, "mel: speecht5_16k\nmodel: {name: vocos, layerz: 3}"),
        (METADATA, "{"),
    ],
)
def test_a_corrupt_file_of_a_checkpoint_is_named(checkpoint: Path, name: str, text: str):
    (checkpoint / name).write_text(text)
    assert str(checkpoint / name) in refusal(checkpoint)


def test_weights_of_another_mel_are_refused(checkpoint: Path):
    text = (checkpoint / DESCRIPTION).read_text()
    assert "f_min: 80.0" in text
    (checkpoint / DESCRIPTION).write_text(text.replace("f_min: 80.0", "f_min: 60.0"))
    trained_on = json.loads((checkpoint / METADATA).read_text())["mel_fingerprint"]
    message = refusal(checkpoint)
    assert f"trained on mel {trained_on}" in message
    assert "from another checkpoint" in message


def test_use_does_not_read_the_recipe(checkpoint: Path):
    (checkpoint / RECIPE).write_text("training: {an_option_of_tomorrow: 1}")
    assert load(checkpoint).sample_rate == 16000


def test_an_older_checkpoint_is_converted_from_its_recipe(checkpoint: Path):
    before = read_description(checkpoint)
    (checkpoint / DESCRIPTION).unlink()
    assert f"`vocoder convert {checkpoint}` writes it" in refusal(checkpoint)
    assert convert_checkpoint(checkpoint) == checkpoint / DESCRIPTION
    assert read_description(checkpoint) == before
    assert load(checkpoint).sample_rate == 16000
    (checkpoint / RECIPE).unlink()
    with pytest.raises(CheckpointError, match=RECIPE):
        convert_checkpoint(checkpoint)


def test_a_description_reads_back_as_it_was(checkpoint: Path):
    description = read_description(checkpoint)
    assert parse_description(dump_description(description), "here") == description


def test_publishing_halves_the_weights_and_leaves_the_training_out(
    trained_run: Path, tmp_path: Path
):
    output = tmp_path / "published"
    source = publish_checkpoint(trained_run, output)
    assert source == trained_run / "checkpoints" / "step-00000030"
    assert {path.name for path in output.iterdir()} == {MODEL, DESCRIPTION, RECIPE, METADATA}
    assert (output / MODEL).stat().st_size < 0.6 * (source / MODEL).stat().st_size
    for one, other in zip(load(source).parameters(), load(output).parameters(), strict=True):
        assert other.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)
    publish_checkpoint(trained_run, output)  # again, onto itself


def test_publishing_never_clears_a_folder_of_other_things(trained_run: Path, tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(CheckpointError, match="holds other files, which would be lost"):
        publish_checkpoint(trained_run, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_loading_leaves_torchs_random_state_alone():
    before = torch.get_rng_state()
    load("nano")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_mean_of_checkpoints_is_published(trained_run: Path, checkpoint: Path, tmp_path: Path):
    first = load(trained_run).state_dict()
    other = {k: v + 1 if v.is_floating_point() else v for k, v in first.items()}
    texts = {DESCRIPTION: (checkpoint / DESCRIPTION).read_text(), RECIPE: "{}"}
    save_checkpoint(checkpoint, other, texts, read_metadata(checkpoint))
    output = tmp_path / "mean"
    publish_checkpoint(trained_run, output, [checkpoint, trained_run], part="filter_network")
    for name, tensor in load(output).state_dict().items():
        moved = 1 / 3 if name.startswith("filter_network.") else 0
        torch.testing.assert_close(tensor, first[name] + moved, rtol=1e-3, atol=1e-3)
    assert read_metadata(output)["mean_with"]["part"] == "filter_network"
    assert len(read_metadata(output)["mean_with"]["sha256"]) == 2

    publish_checkpoint(trained_run, output, [checkpoint])
    for name, tensor in load(output).state_dict().items():
        torch.testing.assert_close(tensor, first[name] + 0.5, rtol=1e-3, atol=1e-3)


def test_no_mean_of_different_models(trained_run: Path, tmp_path: Path):
    output = tmp_path / "mean"
    with pytest.raises(CheckpointError, match="of another mel"):
        publish_checkpoint(trained_run, output, ["universal"])
    with pytest.raises(CheckpointError, match="does not fit its model"):
        publish_checkpoint("universal", output, ["nano"])
    with pytest.raises(CheckpointError, match="its parts: filter_network, pitch"):
        publish_checkpoint(trained_run, output, [trained_run], part="net")
    with pytest.raises(CheckpointError, match="nothing is averaged"):
        publish_checkpoint(trained_run, output, part="filter_network")
    assert not output.exists()
