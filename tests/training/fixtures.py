"""Fixtures of a small run and of small trainers.

A pytest plugin: test modules name it in ``pytest_plugins``, so that they share one trained run.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState

from tests.training.tiny import SMALL, TINY_RECIPE, UNINTERRUPTED, quiet, trainer_of
from vocoder.data.segments import Recording, load_recordings
from vocoder.training.recipe import load_recipe
from vocoder.training.run import train
from vocoder.training.trainer import Trainer


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Cache for pitch tracks instead of the user's, also for child processes."""
    folder = tmp_path_factory.mktemp("cache")
    patch = pytest.MonkeyPatch()
    patch.setenv("VOCODER_CACHE", str(folder))
    yield folder
    patch.undo()


@pytest.fixture
def fresh_accelerator() -> None:
    """For a run in another precision than the one before: accelerate keeps it for the process."""
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A finished run of the tiny recipe, made by UNINTERRUPTED. Only to be read."""
    AcceleratorState._reset_state(reset_partial_state=True)
    folder = tmp_path_factory.mktemp("trained") / "run"
    train(load_recipe(TINY_RECIPE, UNINTERRUPTED), folder, quiet())
    return folder


@pytest.fixture(scope="session")
def recordings(cache: Path) -> list[Recording]:
    """The training split of the tiny corpus."""
    recipe = load_recipe(TINY_RECIPE, SMALL)
    return load_recordings(recipe.data.manifests, "train", recipe.mel, recipe.pitch, cache)


@pytest.fixture
def make_trainer(
    recordings: list[Recording], tmp_path: Path, fresh_accelerator: None
) -> Callable[..., Trainer]:
    """Trainers of the small recipe with overrides; the same arguments give the same one."""

    def make(*overrides: str, folder: str = "run") -> Trainer:
        recipe = load_recipe(TINY_RECIPE, [*SMALL, *overrides])
        return trainer_of(recipe, recordings, tmp_path / folder)

    return make
