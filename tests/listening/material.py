"""Shared by tests of listening tests: folders of real speech, answers of simulated listeners."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from typer.testing import CliRunner

from vocoder.cli import app
from vocoder.data.audio import read_audio, write_audio
from vocoder.listening.key import Key

WAVS = Path(__file__).parents[2] / "egs" / "tiny" / "wavs"
UTTERANCES = ("it_dir-firstlast", "ru_0806", "ru_followme_sorry")
RATE = 16000
SYSTEMS = {"quietvox": 30.0, "noisyvox": 10.0}
"""Signal-to-noise ratio of each system in dB."""


TRUE_GRADES = {
    "reference": 99.0, "quietvox": 72.0, "noisyvox": 55.0, "anchor_7k": 62.0, "anchor_3k5": 25.0,
}  # fmt: skip
"""True grade of each condition, without individual variation."""


def speech(utterance: str = "ru_0806", seconds: float = 1.2) -> np.ndarray:
    """The middle of a real recording, float64."""
    whole = read_audio(WAVS / "test" / f"{utterance}.wav").waveform.double().numpy()
    samples = int(seconds * RATE)
    first = (len(whole) - samples) // 2
    return whole[first : first + samples]


def save(path: Path, signal: np.ndarray, rate: int = RATE) -> Path:
    write_audio(path, torch.from_numpy(np.asarray(signal)), rate)
    return path


def make_folders(folder: Path, seconds: float = 1.2) -> tuple[Path, dict[str, Path]]:
    """Three recordings and two systems that add noise to them."""
    draw = np.random.default_rng(0)
    reference = folder / "recordings"
    systems = {name: folder / "from" / name for name in SYSTEMS}
    for utterance in UTTERANCES:
        clean = speech(utterance, seconds)
        save(reference / f"{utterance}.wav", clean)
        for name, snr_db in SYSTEMS.items():
            noise = draw.standard_normal(len(clean)) * clean.std() * 10 ** (-snr_db / 20)
            save(systems[name] / f"{utterance}.wav", clean + noise)
    return reference, systems


def mushra_answers(
    key: Key, participant: str, grade: Callable[[str, str], float], **changes: Any
) -> dict[str, Any]:
    """A valid answer file with grades from a function of (condition, utterance)."""
    trials = [
        {
            "trial": name,
            "order": list(trial.stimuli),
            "scores": {
                sound: float(np.clip(grade(stimulus.condition, trial.utterance), 0, 100))
                for sound, stimulus in trial.stimuli.items()
            },
            "plays": dict.fromkeys(trial.stimuli, 2),
            "seconds": 30.0,
        }
        for name, trial in key.trials.items()
    ]
    return _file(key, participant, trials) | changes


def abx_answers(
    key: Key, participant: str, right: Callable[[], bool], **changes: Any
) -> dict[str, Any]:
    """A valid answer file with correct answers where `right()` is true."""
    draw = np.random.default_rng(sum(participant.encode()))
    trials = []
    for name, trial in key.trials.items():
        for _ in range(key.repeats):
            a, b = draw.permutation(sorted(trial.stimuli)).tolist()
            x = draw.choice([a, b]).item()
            choice = x if right() else (b if x == a else a)
            trials.append({"trial": name, "a": a, "b": b, "x": x, "choice": choice,
                           "plays": {"a": 1, "b": 1, "x": 2}, "seconds": 8.0})  # fmt: skip
    return _file(key, participant, trials) | changes


def _file(key: Key, participant: str, trials: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "format": "vocoder-listening-answers", "version": 1, "kind": key.kind, "test": key.test,
        "participant": participant, "device": "headphones", "experienced": True, "seed": 1,
        "started": "2025-01-01T10:00:00.000Z", "finished": "2025-01-01T10:20:00.000Z",
        "comment": "", "trials": trials,
    }  # fmt: skip


def write_answers(folder: Path, *answers: dict[str, Any]) -> list[Path]:
    """Files named after their participants."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for one in answers:
        paths.append(folder / f"{one['participant']}.json")
        paths[-1].write_text(json.dumps(one), encoding="utf-8")
    return paths


def listener(key: Key, name: str, seed: int, **changes: Any) -> dict[str, Any]:
    """A reliable listener with individual preferences."""
    draw = np.random.default_rng(seed)
    severity = draw.normal(0, 4)
    surprise = {utterance: draw.normal(0, 3) for utterance in UTTERANCES}

    def grade(condition: str, utterance: str) -> float:
        if condition == "reference":
            return draw.uniform(95, 100)
        return TRUE_GRADES[condition] + severity + surprise[utterance] + draw.normal(0, 5)

    return mushra_answers(key, name, grade, **changes)


def careless(key: Key, name: str) -> dict[str, Any]:
    """A listener with random grades."""
    draw = np.random.default_rng(99)
    return mushra_answers(key, name, lambda condition, utterance: draw.uniform(0, 80))


def panel(key: Key) -> list[dict[str, Any]]:
    return [listener(key, f"P{number:02}", number) for number in range(12)]


def listening_test(*arguments: object) -> Any:
    """Run a command of `vocoder listening-test` in this process."""
    return CliRunner().invoke(app, ["listening-test", *map(str, arguments)])
