"""The command line as a program: exit status, help, an interrupt."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.cli.tools import SPEECH, refusal, vocoder
from tests.training.tiny import ROOT
from vocoder import __version__
from vocoder.data.audio import read_audio, write_audio

pytestmark = pytest.mark.slow


def test_the_program_itself(tmp_path: Path):
    program = Path(sys.executable).parent / "vocoder"
    done = subprocess.run(
        [program, "resynth", SPEECH, "--output", tmp_path, "--model", "nobody"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: nobody: ")


def test_help_is_quick_and_names_every_command():
    code = (
        "import sys; from typer.testing import CliRunner; from vocoder.cli import app;"
        "print(CliRunner().invoke(app, ['--help']).output); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    commands = (
        "prepare", "train", "resynth", "evaluate", "report", "bench", "info", "publish", "convert",
        "demo", "export", "listening-test",
    )  # fmt: skip
    for command in commands:
        assert f"│ {command} " in done.stdout


def test_an_interrupt_ends_with_one_line_and_the_same_command_goes_on(tmp_path: Path):
    """Ctrl-C between two files: what is written is whole, and the next run writes all."""
    for name in "abcdef":
        write_audio(tmp_path / "in" / f"{name}.wav", 0.1 * torch.randn(48_000), 16000)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "vocoder", "resynth", str(tmp_path / "in")]
    command += ["--output", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(out.glob("a.wav")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode in (130, 0)  # 0: it was faster
    if process.returncode == 130:
        assert said.strip().splitlines()[-1] == "interrupted"
        assert "Traceback" not in said
    assert all(len(read_audio(path).waveform) == 72_000 for path in out.iterdir())
    subprocess.run(command, check=True, capture_output=True)
    assert len(list(out.iterdir())) == 6


def test_the_version_is_that_of_the_package():
    result = vocoder("--version")
    assert result.exit_code == 0
    assert result.stdout == f"{__version__}\n"


@pytest.mark.parametrize("command", ["resynth", "bench", "info", "publish", "export"])
def test_an_unknown_model_is_one_line(command: str, tmp_path: Path):
    output = ("--output", tmp_path / "out")
    arguments = {
        "resynth": (SPEECH, "--model", "nobody", *output),
        "bench": ("--model", "nobody"),
        "info": ("nobody",),
        "publish": ("nobody", *output),
        "export": ("nobody", *output),
    }[command]
    message = refusal(command, *arguments)
    assert "nobody: neither a model's name (default, universal, nano, low_latency" in message
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_is_one_line(tmp_path: Path):
    output = ("--output", tmp_path / "out.onnx")
    assert "GriffinLim cannot be exported" in refusal("export", "griffin_lim", *output)
    message = refusal("export", "source_filter_16k", "--spec", "vocos_24k", *output)
    assert "--spec vocos_24k: source_filter_16k: this vocoder serves only" in message
    message = refusal("export", "universal", "--format", "torch", "--precision", "int8", *output)
    assert "--precision int8: only with --format onnx" in message
    low_band = ("--low-band-projection", 1, "--mel-projection", 0)
    meets = ("--meets", "mel", "--mel-projection", 0)
    assert "make at least one pass" in refusal("export", "universal", *meets, *output)
    assert "without a mel projection" in refusal("export", "universal", *low_band, *output)
    assert not (tmp_path / "out.onnx").exists()
