"""A full disk under every command that writes: no file can grow beyond some size.

The former outputs of a command stay, or are replaced as a whole; its error names the file.
"""

import json
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from tests.fuzz.generators import KEY, MODEL, good_audio
from tests.fuzz.harness import Try
from tests.listening.material import listener
from tests.training.tiny import MANIFEST, SMALL, TINY_RECIPE, settings
from vocoder.evaluation.folders import evaluate_folders
from vocoder.loading import SHIPPED

FORMER = b"former"
MEMORY_BYTES = 8 << 30
"""Training is not limited to the memory that hostile files may take."""
CACHE = {"VOCODER_CACHE": "cache"}


def _audio(folder: Path) -> None:
    for number in range(4):
        for place in ("in", "other", "ref"):
            good_audio(folder / place / f"good{number}.wav")


def _mel(folder: Path) -> None:
    (folder / "in").mkdir()
    np.save(folder / "in" / "good0.npy", np.full((80, 20), -3.0, dtype=np.float32))


def _checkpoint(folder: Path) -> None:
    shutil.copytree(SHIPPED[MODEL], folder / "in")


def _scores(folder: Path) -> None:
    _audio(folder)
    systems = {"s": folder / "in"}
    evaluate_folders(folder / "ref", systems, folder / "scores", ["mstft"], jobs=1, progress=False)


def _answers(folder: Path) -> None:
    (folder / "in").mkdir()
    for number in range(5):
        text = json.dumps(listener(KEY, f"P{number}", number))
        (folder / "in" / f"{number}.json").write_text(text)
    (folder / "key.json").write_text(KEY.model_dump_json())


BETWEEN = ("--reference", "ref", "--system", "s=in")
TRAINING = (*SMALL, "adversarial=null", "training.steps=1", "training.validate_every=null")
WRITERS: dict[str, tuple[Callable[[Path], None], list[str], tuple[str, ...]]] = {
    "resynth": (_audio, ["resynth", "in", "--output", "out", "--model", MODEL], ("good0.wav",)),
    "synth": (_mel, ["synth", "in", "--output", "out", "--model", MODEL], ("good0.wav",)),
    "prepare": (_audio, ["prepare", "folder", "--source", "in", "--output", "out"], ()),
    "train": (
        lambda folder: None,
        ["train", str(TINY_RECIPE), "--output", "out", *settings(TRAINING)],
        (),
    ),
    "evaluate": (
        _audio,
        ["evaluate", *BETWEEN, "--output", "out", "--metrics", "mstft", "--jobs", "1"],
        ("summary.json", "utterances.csv"),
    ),
    "report": (
        _scores,
        ["report", "scores", "--output", "out", "--jobs", "1"],
        ("report.html",),
    ),
    "mushra": (
        _audio,
        ["listening-test", "build", "mushra", *BETWEEN, "--output", "out", "--level", "none"],
        (),
    ),
    "abx": (
        _audio,
        [
            *("listening-test", "build", "abx", *BETWEEN, "--system", "t=other"),
            *("--output", "out", "--level", "none"),
        ],
        (),
    ),
    "analyse": (
        _answers,
        ["listening-test", "analyse", "in", "--key", "key.json", "--output", "out"],
        ("summary.json", "grades.csv"),
    ),
    "export onnx": (lambda folder: None, ["export", MODEL, "--output", "out/m.onnx"], ("m.onnx",)),
    "export torch": (
        lambda folder: None,
        ["export", MODEL, "--format", "torch", "--output", "out/m.pt2"],
        ("m.pt2",),
    ),
    "publish": (_checkpoint, ["publish", "in", "--output", "out"], ("model.safetensors",)),
    "convert": (_checkpoint, ["convert", "in"], ()),
    "demo": (
        lambda folder: None,
        ["demo", "--output", "out", "--model", MODEL, "--manifest", str(MANIFEST)],
        ("spectrograms.png",),
    ),
}
"""What a command reads, its arguments, and former files in its folder ``out``."""

SLOW = ("train", "export onnx", "export torch", "demo")
"""Those that take more than a second of CPU time if nothing stops them."""


def full_at(folder: Path, command: str, file_bytes: int) -> Try:
    """A command while no file can grow beyond a size."""
    prepare, arguments, former = WRITERS[command]
    prepare(folder)
    for name in former:
        (folder / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "out" / name).write_bytes(FORMER)
    description = folder / "in" / "model.yaml"
    if command == "convert":
        description.write_bytes(FORMER)

    def check(folder: Path, status: int, said: str) -> None:
        kept = {name: (folder / "out" / name).read_bytes() == FORMER for name in former}
        if status == 0:
            assert not any(kept.values()), kept
            return
        failures = [line for line in said.splitlines() if "cannot be written" in line]
        assert failures, said
        for line in failures:
            assert "File too large" in line, line
            named = line.split(": cannot be written")[0].split(": ")[-1]
            assert named.startswith(("out", "in/model.yaml", "cache")), line
            if named.removeprefix("out/") in former:
                assert kept[named.removeprefix("out/")], line
        if command == "convert":
            assert description.read_bytes() == FORMER
        if command in ("mushra", "abx"):
            assert not list((folder / "out").rglob("*.*"))
        if command in ("prepare", "train"):
            assert not list((folder / "out").glob("manifest.jsonl"))

    return Try(arguments, check, CACHE, file_bytes, MEMORY_BYTES)


def full_disk(folder: Path, chance: random.Random) -> Try:
    """A quick command while no file can grow beyond a random size, of 1 byte to 1 MB."""
    command = chance.choice([name for name in WRITERS if name not in SLOW])
    return full_at(folder, command, int(10 ** chance.uniform(0, 6)))


SIZES = {
    **{name: (900,) for name in WRITERS if not name.startswith("export")},
    "convert": (300,),
    "train": (300, 5000),
}
"""Limits in bytes: that of `convert` below a model.yaml; those of `train` below a pitch track, and
between a recipe and a checkpoint."""

FULL = {
    f"full-disk {command} {size}": partial(full_at, command=command, file_bytes=size)
    for command, sizes in SIZES.items()
    for size in sizes
}
