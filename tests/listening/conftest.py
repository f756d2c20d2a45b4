"""A MUSHRA and an ABX test shared by the tests of answers."""

from pathlib import Path

import pytest

from tests.listening.material import make_folders
from vocoder.listening.build import Options, build_abx, build_mushra
from vocoder.listening.key import Key, read_key


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MUSHRA test in `mushra` and an ABX test in `abx`, three utterances each."""
    folder = tmp_path_factory.mktemp("listening")
    reference, systems = make_folders(folder, seconds=0.4)
    build_mushra(reference, systems, folder / "mushra", Options(utterances=3, seed=1))
    build_abx(reference, systems, folder / "abx", Options(utterances=3, seed=1), repeats=4)
    return folder


@pytest.fixture
def key(built: Path) -> Key:
    return read_key(built / "mushra" / "key.json")


@pytest.fixture
def abx_key(built: Path) -> Key:
    return read_key(built / "abx" / "key.json")
