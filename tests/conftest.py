"""Shared by all tests: checked shapes, one thread, and the tiny corpus."""

import os
from pathlib import Path

import jaxtyping
import pytest
import torch

import tests.shapes  # noqa: F401  (the hook below looks it up as an attribute of tests)

# Before the first import of the package: its functions are decorated while they are imported.
jaxtyping.install_import_hook("vocoder", "tests.shapes.check_shapes")

# For the processes that tests start, and this one: two test processes share the cores.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def one_thread_and_one_seed() -> None:
    """No test depends on the tests before it: a training leaves its threads and random state."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def tiny_corpus(repository: Path) -> Path:
    """The folder of the shipped corpus: manifest.jsonl and wavs/."""
    return repository / "egs" / "tiny"


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with universal.onnx and stream.onnx, written by the commands of docs/streaming.md.

    Together they take a minute: tests that need them belong to the xdist group "export".
    """
    pytest.importorskip("onnx", reason="in the extra export")
    from tests.test_readme import run_commands
    from tests.test_streaming_guide import export_commands

    folder = tmp_path_factory.mktemp("exported")
    run_commands(export_commands(), folder)
    return folder


@pytest.fixture
def unchecked_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the check of shapes, for tests of the user's error messages."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that opens a browser."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
