"""docs/extending.md: its files are written out, its diffs applied and its commands run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.test_readme import in_python
from vocoder.data.audio import write_audio
from vocoder.data.manifest import read_manifest

# One process, so that the clone and what was followed in it are made once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("extending")]

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", GUIDE, flags=re.DOTALL | re.MULTILINE))
FILE = re.compile(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
COMMANDS = re.compile(r"^```bash\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)

VOCODER_LINES = re.compile(r"(?:^vocoder .*\n?)+", flags=re.MULTILINE)


def in_one_process(lines: re.Match[str]) -> str:
    """One command for several of ``vocoder``, which imports it once."""
    return shlex.join(["python", *in_python(lines[0].splitlines())]) + "\n"


class Clone:
    """A copy of what the guide changes and runs, in which each section is followed once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("vocoder", "recipes", "egs/tiny", "tests/dsp"):
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        for name in ("pyproject.toml", "docs/metrics.md", "tests/conftest.py", "tests/shapes.py"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        self.printed: dict[str, str] = {}

    def follow(self, section: str) -> str:
        """Write a section's files, run its commands; gives what they printed."""
        if section not in self.printed:
            text = SECTIONS[section]
            for name, content in FILE.findall(text):
                (self.folder / name).write_text(content, encoding="utf-8")
            commands = COMMANDS.findall(text)
            assert commands
            self.printed[section] = "".join(map(self.run, commands))
        return self.printed[section]

    def run(self, commands: str) -> str:
        """What commands print; neighbouring ones of ``vocoder`` run in one process."""
        commands = VOCODER_LINES.sub(in_one_process, commands)
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder),
            "VOCODER_CACHE": str(self.folder / "cache"),
            # The clone is no repository, whatever lies above it.
            "GIT_CEILING_DIRECTORIES": str(self.folder.parent),
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def losses(self, run: str) -> list[float]:
        lines = (self.folder / run / "losses.jsonl").read_text().splitlines()
        return [json.loads(line)["total"] for line in lines]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    clone = Clone(tmp_path_factory.mktemp("extending"))
    found = clone.run("python -c 'import vocoder; print(vocoder.__file__)'").strip()
    assert Path(found) == clone.folder / "vocoder" / "__init__.py"
    return clone


def test_every_block_of_the_guide_is_run() -> None:
    """A file without its name before it, or a block of another language, would be left out."""
    fences = re.findall(r"^```\w+$", GUIDE, flags=re.MULTILINE)
    run = [len(FILE.findall(text)) + len(COMMANDS.findall(text)) for text in SECTIONS.values()]
    assert len(fences) == sum(run)


def test_a_model_of_one_s_own_trains_speaks_and_is_published(clone: Clone) -> None:
    shown = clone.follow("A model of your own")
    losses = clone.losses("out/gru")
    assert losses[-1] < 0.6 * losses[0]
    assert len(list((clone.folder / "out/gru_wavs").glob("*.wav"))) == 3
    described = json.loads(shown[shown.index("\n{") :])
    assert described["model"] == "GRUVocoder"
    assert described["checkpoint"]["step"] == 40
    model_yaml = (clone.folder / "out/gru_weights/model.yaml").read_text()
    assert "name: gru_vocoder:GRUVocoder" in model_yaml


def test_the_same_model_in_the_package(clone: Clone) -> None:
    clone.follow("A model of your own")
    clone.follow("A model in the package")
    # It is the same model: the first steps are those of the one outside.
    assert clone.losses("out/in_package")[0] == clone.losses("out/gru")[0]
    code = (
        "from vocoder.features.mel import PRESETS\n"
        "from vocoder.models.registry import MODELS\n"
        "from vocoder.training.recipe import load_recipe\n"
        "recipe = load_recipe('recipes/baselines/gru_vocoder.yaml')\n"
        "row = MODELS['gru_vocoder']\n"
        "assert recipe.model == row.config()\n"
        "assert recipe.mel == PRESETS[row.mel]\n"
    )
    clone.run(f'python -c "{code}"')


def test_a_metric_of_one_s_own_and_in_the_package(clone: Clone) -> None:
    clone.follow("A model of your own")
    assert "tilt difference (dB/octave) ↓" in clone.follow("A metric of your own")
    clone.follow("A metric in the package")
    values = [
        json.loads((clone.folder / folder / "summary.json").read_text())["systems"]["gru"]["scores"]
        for folder in ("out/scores", "out/scores_again")
    ]
    assert values[0]["tilt_difference"]["n"] == 3
    assert values[0]["tilt_difference"]["mean"] == values[1]["tilt_difference"]["mean"] > 0


def test_the_metric_measures_the_tilt(clone: Clone) -> None:
    """A differentiator tilts any spectrum by 20 log10 2 dB an octave."""
    names: dict = {}
    (code,) = (content for name, content in FILE.findall(GUIDE) if name == "tilt.py")
    exec(compile(code, "tilt.py", "exec"), names)
    rate, generator = 16000, torch.Generator().manual_seed(0)
    noise = torch.randn(20 * rate, generator=generator, dtype=torch.float64)
    spectrum = torch.fft.rfft(noise)
    tilted = torch.fft.irfft(spectrum * torch.linspace(0, 1, len(spectrum)))
    assert names["tilt_difference"](noise, tilted, rate) == pytest.approx(6.02, abs=0.05)
    assert names["tilt_difference"](noise, 0.1 * noise, rate) == pytest.approx(0, abs=1e-5)
    assert names["tilt_difference"](noise, 0 * noise, rate) != pytest.approx(0)  # NaN


def test_a_corpus_is_laid_out(clone: Clone) -> None:
    speech = clone.folder / "egs/tiny/wavs/test/ru_0806.wav"
    for speaker in ("slt", "bdl"):
        voice = clone.folder / f"downloads/cmu_arctic/cmu_us_{speaker}_arctic"
        (voice / "wav").mkdir(parents=True)
        (voice / "COPYING").write_text("Permission is hereby granted")
        for prompt in ("a0593", "b0439", "b0440", "b0489", "b0490"):
            shutil.copy(speech, voice / "wav" / f"arctic_{prompt}.wav")
    write_audio(voice / "wav" / "noise.wav", torch.zeros(100), 16000)  # no prompt
    clone.follow("A corpus")
    output = clone.folder / "data/arctic"
    found = {(u.speaker, u.path.stem): u.split for u in read_manifest(output / "manifest.jsonl")}
    prompts = {"a0593": "train", "b0439": "train", "b0440": "valid", "b0489": "valid",
               "b0490": "test"}  # fmt: skip
    assert found == {
        (speaker, f"arctic_{prompt}"): split
        for speaker in ("slt", "bdl")
        for prompt, split in prompts.items()
    }
    assert "Permission is hereby granted" in (output / "LICENCE.txt").read_text()


def test_a_filter_passes_its_tests(clone: Clone) -> None:
    # Five tests of its own and its example.
    assert "6 passed" in clone.follow("A filter")


def test_an_ablation_is_trained_and_compared(clone: Clone) -> None:
    clone.follow("A model of your own")
    clone.follow("An ablation")
    recipe = (clone.folder / "out/forward_only/recipe.yaml").read_text()
    assert "bidirectional: false" in recipe
    assert len(dict(FILE.findall(SECTIONS["An ablation"]))["forward_only.yaml"].splitlines()) <= 5
    sentences = (clone.folder / "out/ablation/comparisons.txt").read_text()
    assert "forward_only" in sentences
