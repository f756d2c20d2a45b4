"""The commands around training: `prepare`, `train`, `publish`, `convert`."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.tools import files, refusal, vocoder
from tests.training.tiny import MANIFEST, SMALL, TINY_RECIPE, UNINTERRUPTED, settings
from vocoder.training.recipe import dump_recipe, load_recipe

pytestmark = pytest.mark.slow

pytest_plugins = ["tests.training.fixtures"]


def test_prepare_lays_out_the_tiny_corpus(tmp_path: Path):
    source = MANIFEST.parent
    arguments = ("prepare", "tiny", "--source", source, "--output", tmp_path / "tiny")
    splits = json.loads(vocoder(*arguments, "--json").stdout)
    assert {split: row["utterances"] for split, row in splits.items()} == {
        "train": 4,
        "valid": 1,
        "test": 3,
    }
    assert "manifest.jsonl" in vocoder(*arguments).stdout
    assert (tmp_path / "tiny" / "manifest.jsonl").is_file()


def test_prepare_needs_a_source_and_a_known_corpus(tmp_path: Path):
    assert "name the folder of your local copy by --source" in refusal(
        "prepare", "ljspeech", "--output", tmp_path
    )
    result = vocoder("prepare", "timit", "--output", tmp_path)
    assert result.exit_code == 2
    assert "timit" in result.stderr


def test_train_prints_the_resolved_recipe(tmp_path: Path, fresh_accelerator: None):
    overrides = [*SMALL, "adversarial=null", "training.steps=1"]
    result = vocoder("train", TINY_RECIPE, "--output", tmp_path / "run", *settings(overrides))
    assert result.exit_code == 0, result.output
    assert dump_recipe(load_recipe(TINY_RECIPE, overrides)) in result.stdout
    assert "step 1: loss_stft" in result.stdout


def test_train_refuses_in_one_line(tmp_path: Path):
    message = refusal("train", TINY_RECIPE, "--output", tmp_path, "--set", "training.stps=5")
    assert "--set training.stps=5: unknown key training.stps; did you mean steps?" in message
    assert "no.yaml: cannot be read, it does not exist" in refusal(
        "train", tmp_path / "no.yaml", "--output", tmp_path
    )
    (tmp_path / "file").touch()
    result = vocoder("train", TINY_RECIPE, "--output", tmp_path / "file", *settings(UNINTERRUPTED))
    assert result.exit_code == 1
    message = result.stderr
    assert str(tmp_path / "file") in message
    assert "Traceback" not in message


def test_publish_copies_a_checkpoint(trained_run: Path, tmp_path: Path):
    result = vocoder("publish", trained_run, "--output", tmp_path / "p")
    assert result.exit_code == 0
    assert files(tmp_path / "p") == [
        "metadata.json",
        "model.safetensors",
        "model.yaml",
        "recipe.yaml",
    ]
    assert "step-00000030" in result.stdout


def test_convert_describes_the_models_of_older_checkpoints(trained_run: Path, tmp_path: Path):
    (checkpoint,) = (trained_run / "checkpoints").glob("step-*30")
    older = [tmp_path / "a", tmp_path / "b"]
    for folder in older:
        shutil.copytree(checkpoint, folder)
        (folder / "model.yaml").unlink()
    result = vocoder("convert", *older)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [str(folder / "model.yaml") for folder in older]
    for folder in older:
        described = json.loads(vocoder("info", folder, "--json").stdout)
        assert described == json.loads(vocoder("info", checkpoint, "--json").stdout)


def test_convert_refuses_what_is_no_checkpoint(tmp_path: Path):
    assert str(tmp_path) in refusal("convert", tmp_path)
