"""Runs the README's commands and code unchanged."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of a fresh clone, so that nothing is written into the repository."""
    return newcomer(tmp_path_factory.mktemp("readme"))


def newcomer(folder: Path) -> Path:
    """The shipped speech and the recipes in a folder."""
    shutil.copytree(ROOT / "egs" / "tiny", folder / "egs" / "tiny")
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    return folder


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "VOCODER_CACHE": str(folder / "cache"),
    }
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result


def run_commands(lines: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Lines of ``vocoder`` in one process, which imports it once, and outside this one, which
    checks shapes."""
    return run([sys.executable, *in_python(lines)], folder)


def in_python(lines: list[str]) -> list[str]:
    """Arguments of Python that run lines of ``vocoder``."""
    code = "import shlex, sys; from vocoder.cli import app\nfor line in sys.argv[1:]:\n"
    code += "    app(shlex.split(line)[1:], standalone_mode=False)"
    return ["-c", code, *lines]


def commands(text: str = README) -> list[str]:
    lines = [line for block in blocks("bash", text) for line in block.splitlines()]
    return [line for line in lines if line.startswith("vocoder ")]


def test_the_python_of_the_readme_runs(workplace: Path) -> None:
    from vocoder.data.audio import read_audio

    (code,) = blocks("python")
    run([sys.executable, "-c", code], workplace)
    reference = read_audio(workplace / "egs/tiny/wavs/test/ru_0806.wav", 24000).waveform
    estimate = read_audio(workplace / "out.wav", 24000).waveform
    assert len(estimate) - len(reference) in range(257)


def test_the_commands_of_the_readme_run(workplace: Path) -> None:
    assert len(commands()) >= 6
    run_commands(commands(), workplace)
    assert (workplace / "out/scores/summary.json").is_file()
    assert sorted(p.name for p in (workplace / "out/trained").glob("*.wav"))


def test_the_demo_runs(workplace: Path) -> None:
    assert any("make demo" in block for block in blocks("bash"))
    assert "vocoder demo" in (ROOT / "Makefile").read_text()
    shown = run(["vocoder", "demo"], workplace).stdout
    assert (workplace / "demo/spectrograms.png").stat().st_size > 10_000
    assert len(list((workplace / "demo/recording").glob("*.wav"))) == 4
    rates = {"vocos_24k": 24000, "hifigan_22k": 22050, "speecht5_16k": 16000, "griffin_lim": 24000}
    for system, rate in rates.items():
        assert shown.count(system) == 4
        made = [soundfile.info(path) for path in (workplace / "demo" / system).glob("*.wav")]
        assert [info.samplerate for info in made] == [rate] * 4


def test_files_named_in_the_readme_exist() -> None:
    for name in re.findall(r"`((?:egs|recipes|docs|bench|vocoder)/[\w/.]+)`", README):
        assert (ROOT / name).exists(), name


def test_the_commands_of_the_training_guide_run(tmp_path: Path) -> None:
    """From user WAVs to speech, scores and published weights."""
    workplace = newcomer(tmp_path)
    guide = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    lines = commands(guide)
    assert len(lines) >= 8
    run_commands(lines, workplace)
    assert len(list((workplace / "out/spoken").glob("*.wav"))) == 3
    assert (workplace / "out/another/checkpoints/step-00000004").is_dir()
    assert (workplace / "out/weights/model.yaml").is_file()
