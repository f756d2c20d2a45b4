"""The recipe that trains the universal weights on predicted mels."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.data.test_predicted_mels import write_pairs
from tests.training.tiny import ROOT, quiet
from vocoder.loading import load
from vocoder.training.recipe import Recipe, load_recipe
from vocoder.training.run import train

pytestmark = pytest.mark.slow

pytest_plugins = ["tests.training.fixtures"]


def recipe_of(manifest: Path, steps: int) -> Recipe:
    overrides = [
        f"data.manifests=[{manifest}]",
        "data.batch_size=3",
        f"training={{steps: {steps}, warmup_steps: 2, threads: 1, learning_rate: 3.0e-4}}",
        f"training.validate_every={steps}",
    ]
    return load_recipe(ROOT / "recipes/source_filter/finetune_on_mels.yaml", overrides)


@pytest.mark.usefixtures("cache", "fresh_accelerator")
def test_the_loss_falls_on_over_smoothed_mels(tiny_corpus: Path, tmp_path: Path):
    recipe = recipe_of(write_pairs(tiny_corpus, tmp_path), steps=12)
    scores = train(recipe, tmp_path / "run", quiet())
    lines = (tmp_path / "run" / "losses.jsonl").read_text().splitlines()
    totals = [json.loads(line)["total"] for line in lines]
    assert len(totals) == 12
    assert np.mean(totals[-3:]) < 0.85 * np.mean(totals[:3])
    assert scores["pesq_wb"] > 1
    trained = load(tmp_path / "run")
    assert trained.serves_any_mel
    assert trained.spec == recipe.mel


@pytest.mark.usefixtures("cache", "fresh_accelerator")
def test_the_first_step_hears_the_mel_of_the_file(tiny_corpus: Path, tmp_path: Path):
    """The same recordings and random numbers, and mels 3 nepers louder: another loss."""
    totals = []
    for louder in (0.0, 3.0):
        folder = tmp_path / str(louder)
        manifest = write_pairs(tiny_corpus, folder)
        for path in (folder / "mels").iterdir():
            np.save(path, np.load(path) + np.float32(louder))
        train(recipe_of(manifest, steps=1), folder / "run", quiet())
        line = (folder / "run" / "losses.jsonl").read_text().splitlines()[0]
        totals.append(json.loads(line)["stft"])
    assert totals[1] > totals[0] + 0.5
