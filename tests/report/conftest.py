"""A small evaluation of real speech, and its report."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page

from vocoder.data.audio import read_audio, write_audio
from vocoder.data.manifest import read_manifest
from vocoder.evaluation.folders import evaluate_folders
from vocoder.report.build import build_report

METRICS = ("mstft", "mel_distance", "voicing_error")
# Short for fast drawing; one is longer, for playback on a busy machine.
SECONDS = 2.0
LONG_SECONDS = 5.0
TITLE = "Noise <and> nothing else"


def with_noise(waveform: torch.Tensor, snr_db: float) -> torch.Tensor:
    noise = torch.randn(len(waveform), generator=torch.Generator().manual_seed(0))
    gain = waveform.square().mean().sqrt() * 10 ** (-snr_db / 20)
    return waveform + gain * noise


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory, tiny_corpus: Path) -> dict[str, Path]:
    """Speech of the tiny corpus, with noise at 25 and at 5 dB; one file is missing, one is bad."""
    root = tmp_path_factory.mktemp("folders")
    places = {name: root / name for name in ("recording", "a little noise", "much noise")}
    for utterance in read_manifest(tiny_corpus / "manifest.jsonl"):
        name = f"{utterance.speaker}/{utterance.path.name}"
        seconds = LONG_SECONDS if utterance.path.stem == "ru_0806" else SECONDS
        wave = read_audio(tiny_corpus / utterance.path).waveform[: round(seconds * 16000)]
        for place, snr_db in zip(places.values(), (None, 25, 5), strict=True):
            write_audio(place / name, wave if snr_db is None else with_noise(wave, snr_db), 16000)
    (places["much noise"] / "june" / "fr_dictate_truncating_audio.wav").unlink()
    (places["a little noise"] / "msu_ru_nsh" / "ru_0683.wav").write_bytes(b"no sound")
    return places


@pytest.fixture(scope="session")
def evaluation(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of `vocoder evaluate` for these folders."""
    output = tmp_path_factory.mktemp("scores")
    recording, *rivals = folders.items()
    evaluate_folders(recording[1], dict(rivals), output, METRICS, jobs=1, progress=False)
    return output


@pytest.fixture
def own_evaluation(evaluation: Path, tmp_path: Path) -> Path:
    """A copy of the evaluation, for a test that damages it."""
    return Path(shutil.copytree(evaluation, tmp_path / "scores"))


def cost_file(path: Path, factor: float, parameters: int = 1_000_000) -> Path:
    """As `vocoder bench --json` writes it."""
    cost = {
        "threads": 1,
        "audio_s": 10.0,
        "seconds": 10 * factor,
        "real_time_factor": factor,
        "parameters": parameters,
        "macs_per_second": 2e8,
        "memory": {"peak": 4e8, "increase": 1e8},
    }
    more = {**cost, "threads": 2, "real_time_factor": factor / 2, "memory": None}
    path.write_text(json.dumps({"model": "m", "costs": [more, cost]}))
    return path


@pytest.fixture(scope="session")
def report(evaluation: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of that evaluation, with a cost for each system."""
    root = tmp_path_factory.mktemp("report")
    costs = {
        "a little noise": cost_file(root / "a.json", 0.02),
        "much noise": cost_file(root / "b.json", 0.3, parameters=0),
    }
    return build_report(evaluation, root / "page", TITLE, costs, jobs=1, progress=False)


@pytest.fixture
def opened(page: Page, report: Path) -> Page:
    """The browser's page with that report."""
    page.goto(report.as_uri())
    return page
