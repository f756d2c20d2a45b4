"""The comparison under one budget: likelihood, and one complete run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from studies.comparison import likelihood
from studies.comparison.outcome import Outcomes
from studies.comparison.systems import OURS, all_systems
from tests.training.tiny import ROOT
from vocoder.loading import DESCRIPTION, dump_description
from vocoder.training.checkpoint import RECIPE, save_checkpoint
from vocoder.training.recipe import dump_recipe, load_recipe

pytestmark = pytest.mark.slow

SYSTEMS = all_systems()


def test_a_model_that_knows_nothing_needs_sixteen_bits_or_what_the_classes_share(tmp_path: Path):
    """Equal chances for all 256 classes of μ-law: 8 bits, and the steps within the class."""
    recipe = load_recipe(
        SYSTEMS["wavenet_gaussian"].path,
        ["model.output=mulaw", "model.layers=4", "model.stacks=1", "model.residual_channels=8",
         "model.gate_channels=8", "model.skip_channels=8"],
    )  # fmt: skip
    model = recipe.build_model()
    weights = {name: value.clone() for name, value in model.named_parameters()}
    # The direction of a normalised weight stays, its length is zero.
    last = [n for n in weights if n.startswith("stack.output") and "original1" not in n]
    assert len(last) == 2
    for name in last:
        weights[name].zero_()
    metadata = {"step": 1, "mel_fingerprint": model.spec.fingerprint}
    texts = {RECIPE: dump_recipe(recipe), DESCRIPTION: dump_description(recipe.description)}
    save_checkpoint(tmp_path / "run", weights, texts, metadata)
    bits = likelihood.bits_per_sample(tmp_path / "run", ROOT / "egs" / "tiny")
    widths = [
        likelihood.class_widths(batch.waveform, 256).log2()
        for batch in likelihood._middles(model, ROOT / "egs" / "tiny")
    ]
    expected = 8 + float(torch.cat(widths, dim=1).mean())
    assert bits == pytest.approx(expected, abs=1e-3)
    assert 10 < bits < 16


def test_the_whole_comparison_runs(tmp_path: Path):
    results = tmp_path / "results"
    results.mkdir()
    shipped = (ROOT / "studies" / "comparison" / "RESULTS.md").read_text()
    (results / "RESULTS.md").write_text(shipped)
    run = tmp_path / "run"
    environment = {
        **os.environ,
        "DATA": str(tmp_path / "data"),
        "CORPUS": "tiny",
        "SOURCE": str(ROOT / "egs" / "tiny"),
        "RUN": str(run),
        "RESULTS": str(results),
        "MINUTES": "0.02",
        "THREADS": "1",
        "SEEDS": "0",
        "STAGES": "train score tables report",
        "VOCODER_CACHE": str(tmp_path / "cache"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = [
        str(ROOT / "studies" / "comparison" / "run.sh"), OURS, "ddsp", "--metrics", "pesq,mstft",
        "--set", "training.snapshots=[1.0]", "--set", "data.batch_size=2",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    names = {path.name for path in (ROOT / "egs" / "tiny" / "wavs" / "test").glob("*.wav")}
    for folder in (f"{OURS}/seed-0", "ddsp/seed-0", "world", "griffin_lim", "lpc"):
        written = {path.name for path in (run / "test" / folder / "audio").glob("*.wav")}
        assert written == names, folder
    text = (results / "RESULTS.md").read_text()
    for label in ("this model", "DDSP", "WORLD", "Griffin-Lim", "LPC vocoder", "recording"):
        assert f"\n| {label} |" in text, label
    assert (results / "figures" / "pesq.png").is_file()
    assert (run / "page" / "html" / "report.html").is_file()
    ended = Outcomes(results / "outcomes").read(OURS)
    assert ended.training.steps == ended.curve[-1].steps > 0
    assert ended.training.spent_s >= 0.02 * 60
    assert set(ended.test.utterances) == {Path(name).stem for name in names}
    assert {path.stem for path in (results / "outcomes").iterdir()} == {
        f"{OURS}-seed-0",
        "ddsp-seed-0",
        "recording",
        "world",
        "griffin_lim",
        "lpc",
    }
    # Again, without the runs: what stands around the tables is kept, and they come out the same.
    shutil.rmtree(run)
    (results / "RESULTS.md").write_text(f"{shipped}\nBy hand.\n")
    environment["STAGES"] = "tables"
    subprocess.run(command[:1], cwd=tmp_path, env=environment, check=True)
    assert (results / "RESULTS.md").read_text() == f"{text}\nBy hand.\n"
