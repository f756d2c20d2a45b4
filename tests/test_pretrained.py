"""Loading by name, run or checkpoint: strictly, or with one clear line."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import vocoder
from vocoder.errors import CheckpointError
from vocoder.features.mel import PRESETS
from vocoder.models.classical import GriffinLim
from vocoder.models.source_filter import SourceFilter
from vocoder.pretrained import SHIPPED, find_checkpoint, load, publish
from vocoder.training.checkpoint import METADATA, MODEL, RECIPE, TRAINING

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


def test_the_shipped_weights_load_without_a_network():
    model = vocoder.load()
    assert isinstance(model, SourceFilter)
    assert model.sample_rate == 16000
    assert model.spec == PRESETS["speecht5_16k"]
    assert 0.5e6 < model.parameters_count < 2.5e6
    for name, folder in SHIPPED.items():
        assert load(name).parameters_count == load(folder).parameters_count


@pytest.mark.parametrize("name", ["nowhere", "griffin-lim", "/nowhere/at/all", "."])
def test_an_unknown_model_is_answered_with_those_there_are(name: str):
    message = refusal(name)
    assert message.startswith(f"{name}: neither a model's name (default, source_filter_16k")
    assert "griffin_lim" in message


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


@pytest.mark.parametrize("name", [RECIPE, METADATA])
def test_a_missing_file_of_a_checkpoint_is_named(checkpoint: Path, name: str):
    (checkpoint / name).unlink()
    assert str(checkpoint / name) in refusal(checkpoint)


@pytest.mark.parametrize(("name", "text"), [(RECIPE, "mel: [1"), (METADATA, "{")])
def test_a_corrupt_file_of_a_checkpoint_is_named(checkpoint: Path, name: str, text: str):
    (checkpoint / name).write_text(text)
    assert str(checkpoint / name) in refusal(checkpoint)


def test_weights_of_another_mel_are_refused(checkpoint: Path):
    text = (checkpoint / RECIPE).read_text()
    assert "f_min: 80.0" in text
    (checkpoint / RECIPE).write_text(text.replace("f_min: 80.0", "f_min: 60.0"))
    trained_on = json.loads((checkpoint / METADATA).read_text())["mel_fingerprint"]
    message = refusal(checkpoint)
    assert f"trained on mel {trained_on}" in message
    assert "from another checkpoint" in message


def test_publishing_halves_the_weights_and_leaves_the_training_out(
    trained_run: Path, tmp_path: Path
):
    output = tmp_path / "published"
    source = publish(trained_run, output)
    assert source == trained_run / "checkpoints" / "step-00000030"
    assert {path.name for path in output.iterdir()} == {MODEL, RECIPE, METADATA}
    assert (output / MODEL).stat().st_size < 0.6 * (source / MODEL).stat().st_size
    for one, other in zip(load(source).parameters(), load(output).parameters(), strict=True):
        assert other.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)
    publish(trained_run, output)  # again, onto itself


def test_publishing_never_clears_a_folder_of_other_things(trained_run: Path, tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(CheckpointError, match="holds other files, which would be lost"):
        publish(trained_run, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
