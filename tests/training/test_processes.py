"""Start and ranks of training processes."""

import os
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from tests.training.tiny import ROOT
from vocoder.errors import TrainingError
from vocoder.training.processes import RANKS, STARTED_BY, is_main_process, start_processes


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*STARTED_BY, *RANKS, "MASTER_ADDR", "ACCELERATE_USE_CPU"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def becomes(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have replaced this process."""
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, command: commands.append(command))
    monkeypatch.setattr(sys, "argv", ["vocoder", "train", "recipe.yaml", "--output", "a b"])
    return commands


def started_by(monkeypatch: pytest.MonkeyPatch, *command: str) -> None:
    """As if accelerate's launcher had started this process with these arguments."""
    launcher = SimpleNamespace(cmdline=lambda: ["python", "accelerate", *command])
    monkeypatch.setattr("psutil.Process", lambda pid: launcher)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")


@pytest.mark.parametrize("asked", [("--num_processes", "3"), ("--num-processes=3",)])
def test_torchs_launcher_takes_over_from_accelerates(
    monkeypatch: pytest.MonkeyPatch, becomes: list[list[str]], asked
):
    started_by(monkeypatch, "launch", *asked, "--cpu", "-m", "vocoder", "train")
    start_processes()
    (command,) = becomes
    assert command[:3] == [sys.executable, "-m", "torch.distributed.run"]
    assert command[command.index("--nproc-per-node") + 1] == "3"
    assert command[-6:] == ["-m", "vocoder", "train", "recipe.yaml", "--output", "a b"]


@pytest.mark.parametrize("name", STARTED_BY)
def test_a_started_process_starts_no_others(
    monkeypatch: pytest.MonkeyPatch, becomes: list[list[str]], name: str
):
    started_by(monkeypatch, "launch", "--num_processes", "2", "--cpu")
    monkeypatch.setenv(name, "2")
    start_processes()
    assert becomes == []


def test_a_plain_run_starts_nothing(becomes: list[list[str]]):
    start_processes()
    assert becomes == []


@pytest.mark.parametrize("command", [(), ("--num_processes", "4", "--num_machines", "2")])
def test_processes_that_cannot_be_counted_are_an_error(
    monkeypatch: pytest.MonkeyPatch, becomes: list[list[str]], command
):
    started_by(monkeypatch, "launch", *command, "--cpu")
    with pytest.raises(TrainingError, match="torchrun --nproc-per-node N -m vocoder train"):
        start_processes()
    assert becomes == []


def test_a_launcher_that_is_gone_is_an_error(monkeypatch: pytest.MonkeyPatch, becomes):
    started_by(monkeypatch, "launch")

    def gone(pid: int) -> None:
        raise psutil.NoSuchProcess(pid)

    monkeypatch.setattr("psutil.Process", gone)
    with pytest.raises(TrainingError, match="torchrun"):
        start_processes()
    assert becomes == []


@pytest.mark.parametrize("name", RANKS)
def test_the_first_process_is_the_main_one(monkeypatch: pytest.MonkeyPatch, name: str):
    assert is_main_process()
    monkeypatch.setenv(name, "0")
    assert is_main_process()
    monkeypatch.setenv(name, "1")
    assert not is_main_process()


def test_importing_the_module_imports_no_torch():
    code = "import sys, vocoder.training.processes; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
