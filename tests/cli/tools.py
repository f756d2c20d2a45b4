"""Commands run in this process, and what they are given."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from typer.testing import CliRunner

from tests.training.tiny import MANIFEST
from vocoder.cli import app

SPEECH = MANIFEST.parent / "wavs" / "test" / "ru_followme_sorry.wav"


def vocoder(*arguments: object) -> Any:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refusal(*arguments: object) -> str:
    """The one-line error of a command."""
    result = vocoder(*arguments)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def speech(seconds: float = 1.0) -> np.ndarray:
    return soundfile.read(SPEECH, dtype="float32")[0][8000 : 8000 + int(seconds * 16000)]


def files(folder: Path) -> list[str]:
    """Everything in a folder, hidden or not."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
