"""Inputs that broke the program once, by name: each is a try that must pass for good."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors.torch import load_file, save_file

from tests.fuzz.full_disk import FULL
from tests.fuzz.generators import KEY, MODEL, NOISE, RATE, ROOT, good_audio, unclaimed
from tests.fuzz.harness import Try
from tests.listening.material import listener
from vocoder.loading import SHIPPED

Prepare = Callable[[Path], Try]

# -- audio -----------------------------------------------------------------------------------------


def _patched(path: Path, kind: str, coding: str, at: int, field: bytes, cut: int = 0) -> None:
    """A file with some bytes of its header replaced, and bytes missing at its end."""
    soundfile.write(path, NOISE, RATE, format=kind, subtype=coding)
    content = bytearray(path.read_bytes())
    content[at : at + len(field)] = field
    path.write_bytes(content[: len(content) - cut])


def _flac(path: Path, samples: int) -> None:
    """STREAMINFO: 20 bits of rate, 3 of channels, 5 of bits per sample, 36 of samples."""
    field = (RATE << 44 | 15 << 36 | samples).to_bytes(8, "big")
    _patched(path, "FLAC", "PCM_16", 18, field)


READ = {
    "flac-of-a-pipe": lambda path: _flac(path, 0),
    "gsm": partial(_patched, kind="WAV", coding="GSM610", at=0, field=b""),
    "g721": partial(_patched, kind="AU", coding="G721_32", at=0, field=b""),
    "xi": partial(_patched, kind="XI", coding="DPCM_16", at=0, field=b""),
}
"""Odd, but whole: the output must be there."""

REFUSED = {
    "flac-of-a-year": lambda path: _flac(path, 2**36 - 1),
    "one-hertz": partial(_patched, kind="WAV", coding="PCM_16", at=24, field=b"\1\0\0\0"),
    "two-gigahertz": partial(_patched, kind="WAV", coding="PCM_16", at=24, field=b"\0\0\0\x80"),
    "cut-rf64": partial(_patched, kind="RF64", coding="PCM_16", at=0, field=b"", cut=100),
    "cut-w64": partial(_patched, kind="W64", coding="PCM_16", at=0, field=b"", cut=100),
    "cut-au": partial(_patched, kind="AU", coding="PCM_16", at=0, field=b"", cut=100),
    "cut-aiff": partial(_patched, kind="AIFF", coding="PCM_16", at=0, field=b"", cut=100),
    "caf-chunk-of-exabytes": partial(
        _patched, kind="CAF", coding="PCM_16", at=12, field=b"\xff" * 8
    ),
    "loop": lambda path: path.symlink_to(path.name),
    "zero": lambda path: path.symlink_to("/dev/zero"),
    "pipe": os.mkfifo,
}
COMMANDS = {
    "resynth": ["resynth", "in", "--output", "out", "--model", MODEL],
    "prepare": ["prepare", "folder", "--source", "in", "--output", "out"],
    "evaluate": [
        *("evaluate", "--reference", "ref", "--system", "s=in", "--output", "out"),
        *("--metrics", "mstft", "--jobs", "1", "--no-cache"),
    ],
}


def _audio(folder: Path, command: str, make: Callable[[Path], None], refused: bool) -> Try:
    for number in range(4):
        good_audio(folder / "in" / f"good{number}.wav")
        good_audio(folder / "ref" / f"good{number}.wav")
    good_audio(folder / "ref" / "odd.wav")
    make(folder / "in" / "odd.wav")

    def check(folder: Path, status: int, said: str) -> None:
        assert status == refused
        assert ("odd" in said) >= refused
        names = {path.stem for path in (folder / "out").rglob("*.wav")}
        if command == "evaluate":
            assert (folder / "out" / "summary.json").is_file()
        else:
            assert {f"good{number}" for number in range(4)} <= names
            assert ("odd" in names) != refused

    return Try(COMMANDS[command], check)


def _not_utf8(folder: Path, command: str) -> Try:
    name = "caf\udce9.wav"
    for number in range(4):
        good_audio(folder / "in" / f"good{number}.wav")
        good_audio(folder / "ref" / f"good{number}.wav")
    good_audio(folder / "in" / name)
    good_audio(folder / "ref" / name)

    def check(folder: Path, status: int, said: str) -> None:
        assert status == 0
        if command == "evaluate":
            assert "caf\\udce9," in (folder / "out" / "utterances.csv").read_text("utf-8")

    return Try(COMMANDS[command], check)


def _no_folder(folder: Path, command: str) -> Try:
    good_audio(folder / "in" / "good.wav")
    good_audio(folder / "ref" / "good.wav")
    (folder / "out").touch()

    def check(folder: Path, status: int, said: str) -> None:
        assert status == 1
        assert "out" in said

    return Try(COMMANDS[command], check)


def _environment(folder: Path, environment: dict[str, str | None], *more: str) -> Try:
    good_audio(folder / "ref" / "ä.wav")
    good_audio(folder / "in" / "ä.wav")
    command = [part for part in COMMANDS["evaluate"] if part != "--no-cache" or more]

    def check(folder: Path, status: int, said: str) -> None:
        assert status == 0 or "error: " in said

    return Try([*command, *more], check, environment)


# -- recipes ---------------------------------------------------------------------------------------

HEAD = f"include: [{ROOT}/recipes/source_filter/tiny.yaml]\ndata: {{manifests: [nowhere.jsonl]}}\n"
BOMB = "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} {{<<: [{', '.join(['*' + chr(97 + i)] * 9)}]}}\n"
    for i in range(12)
)
RECIPES = {
    "date": "training: {steps: 2024-13-45}",
    "tag": "training: {steps: !!int abc}",
    "digits": f"training: {{steps: {'9' * 5000}}}",
    "hexadecimal": f"training: {{seed: 0x{'f' * 5000}}}",
    "recursion": "mel: &a {x: *a}",
    "depth": "a: " + "[" * 3000,
    "bomb": f"a: &a {{x: 1}}\n{BOMB}",
    "model-name": "model: {name: [1]}",
    "layers": "model: {name: wavenet, layers: 1000000000}",
    "channels": "model: {channels: 60000, blocks: 60000}",
    "n-fft": "mel: {n_fft: 1000000000, win_length: 1000000000}",
    "batch": "data: {manifests: [a], batch_size: 1000000, segment_frames: 1000000}",
    "threads": "training: {threads: 1000000}",
    "seed": "training: {seed: 18446744073709551615}",
    "nan": "training: {learning_rate: .inf, budget_minutes: .inf}",
    "null-path": 'data: {manifests: ["a\\0b"]}',
    "device": "data: {manifests: [/dev/zero]}",
    "include-device": "include: /dev/zero",
    "include-null": 'include: "a\\0b"',
    "include-loop": "include: loop.yaml",
    "include-self": "include: r.yaml",
    "include-pipe": "include: pipe.yaml",
}


OVERRIDES = {
    "digits": f"training.steps={'9' * 5000}",
    "below-digits": "training.seed.x=1",
    "long-key": f"training.{'x' * 5000}=1",
}


def _override(folder: Path, text: str) -> Try:
    one = _recipe(folder, RECIPES["hexadecimal"])
    return replace(one, command=[*one.command, "--set", text])


def _recipe(folder: Path, text: str) -> Try:
    (folder / "loop.yaml").symlink_to("loop.yaml")
    os.mkfifo(folder / "pipe.yaml")
    head = "" if text.startswith("include") else HEAD
    if text.startswith("data"):
        head = head.split("\n")[0] + "\n"
    (folder / "r.yaml").write_text(f"{head}{text}\n")
    return Try(["train", "r.yaml", "--output", "run"], unclaimed)


# -- checkpoints -----------------------------------------------------------------------------------


def _first(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    """Change one tensor of the weights, and leave out the checksum."""

    def spoil(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        name = next(iter(tensors))
        tensors[name] = change(tensors[name].float())
        save_file(tensors, folder / "model.safetensors")
        _metadata(folder, sha256={})

    return spoil


def _metadata(folder: Path, **changes: object) -> None:
    path = folder / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _flip(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-777] ^= 4
    (folder / "model.safetensors").write_bytes(content)


def _described(old: str, new: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "model.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return spoil


CHECKPOINTS: dict[str, Callable[[Path], None]] = {
    "nan": _first(lambda weight: weight * torch.nan),
    "beyond-float16": _first(lambda weight: weight + 1e6),
    "int32": _first(lambda weight: weight.int()),
    "bool": _first(lambda weight: weight.bool()),
    "float8": _first(lambda weight: weight.to(torch.float8_e4m3fn)),
    "bit": _flip,
    "step": partial(_metadata, step="three"),
    "fingerprint": partial(_metadata, mel_fingerprint=[1]),
    "sum": partial(_metadata, sha256=[1]),
    "n-mels": _described("n_mels: 80", "n_mels: 1000000000"),
    "blocks": _described("blocks: ", "blocks: 9"),
    "name": _described("name: source_filter", "name: [1]"),
}


def _checkpoint(folder: Path, spoil: Callable[[Path], None]) -> Try:
    shutil.copytree(SHIPPED[MODEL], folder / "in")
    spoil(folder / "in")

    def check(folder: Path, status: int, said: str) -> None:
        assert status == 1
        assert "in/" in said
        assert not (folder / "out").exists()

    return Try(["publish", "in", "--output", "out"], check)


# -- plugins ---------------------------------------------------------------------------------------

PLUGINS = {
    "text": ('"loud"', "its result is of the type str, not one number"),
    "nothing": ("None", "of the type NoneType"),
    "two-numbers": ("np.ones(2)", "of the type ndarray"),
    "exit": ("sys.exit(3)", "the metric ended the program (sys.exit(3))"),
    "hang": ("[time.sleep(0.01) for _ in iter(int, 1)]", "no result after 0.3 s"),
    "print": ("print('loud') or 1.0", ""),
    "tensor": ("estimate.abs().max()", ""),
    "in-place": ("float(reference.mul_(0).add_(1)[0])", ""),
}


def _plugin(folder: Path, result: str, said_of_it: str) -> Try:
    good_audio(folder / "ref" / "a.wav")
    good_audio(folder / "in" / "a.wav")
    (folder / "plugin.py").write_text(
        "import sys, time\nimport numpy as np\nfrom vocoder.evaluation.metric import Metric\n"
        f"print('loading')\ndef measure(reference, estimate, sample_rate):\n    return {result}\n"
        'METRICS = {"own": Metric("own", measure, None, "higher", 2, "own", timeout_s=0.3)}\n'
    )

    def check(folder: Path, status: int, said: str) -> None:
        assert status == bool(said_of_it)
        assert said_of_it in said
        summary = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
        assert summary["systems"]["s"]["scores"]["mstft"]["mean"] == 0.0

    more = ("--metric-plugin", "plugin.py:METRICS", "--json")
    command = ["own,mstft" if part == "mstft" else part for part in COMMANDS["evaluate"]]
    return Try([*command, *more], check)


# -- listening tests -------------------------------------------------------------------------------


def _answers(folder: Path, changes: dict[str, object], expected: str) -> Try:
    (folder / "in").mkdir()
    for number in range(5):
        one = listener(KEY, f"P{number}", number)
        if number == 0:
            one["trials"][0] |= changes
        (folder / "in" / f"{number}.json").write_text(json.dumps(one))
    (folder / "key.json").write_text(KEY.model_dump_json())

    def check(folder: Path, status: int, said: str) -> None:
        assert expected in said

    return Try(["listening-test", "analyse", "in", "--key", "key.json", "--output", "out"], check)


def _key(folder: Path) -> Try:
    one = _answers(folder, {}, "its conditions are not")
    key = json.loads((folder / "key.json").read_text())
    key["trials"]["t0"]["stimuli"]["s00"]["condition"] = "quietvox"
    (folder / "key.json").write_text(json.dumps(key))
    return one


GRADES = dict.fromkeys(KEY.trials["t0"].stimuli, 50.0)
ANSWERS = {
    "no-plays": ({"plays": {}}, "P0 answered 4 of 8 sounds without playing them"),
    "true": ({"scores": {**GRADES, "s00": True}}, "refused: in/0.json"),
    "text": ({"scores": {**GRADES, "s00": "50"}}, "refused: in/0.json"),
    "infinite": ({"seconds": float("inf")}, "refused: in/0.json"),
}


# -- all -------------------------------------------------------------------------------------------


def _long_mel(folder: Path, shape: bytes) -> Try:
    """A .npy whose header claims terabytes, or is cut short."""
    (folder / "in").mkdir()
    path = folder / "in" / "a.npy"
    np.save(path, np.zeros((80, 20), dtype=np.float32))
    at = path.read_bytes().index(b"(80, 20), }")
    content = bytearray(path.read_bytes())
    content[at : at + len(shape)] = shape
    path.write_bytes(content)

    def check(folder: Path, status: int, said: str) -> None:
        assert status == 1
        assert "failed: in/a.npy: not a readable .npy file" in said

    return Try(["synth", "in", "--output", "out", "--model", MODEL], check)


SEEDS: dict[str, Prepare] = {
    **{
        f"{command} {name}": partial(
            _audio, command=command, make=make, refused=make in REFUSED.values()
        )
        for command in COMMANDS
        for name, make in {**READ, **REFUSED}.items()
    },
    **{f"{command} not-utf-8": partial(_not_utf8, command=command) for command in COMMANDS},
    **{f"{command} no-folder": partial(_no_folder, command=command) for command in COMMANDS},
    "ascii": lambda folder: _environment(folder, {"PYTHONIOENCODING": "ascii"}, "--no-cache"),
    "no-home": lambda folder: _environment(folder, {"HOME": None, "VOCODER_CACHE": None}),
    **FULL,
    **{f"recipe {name}": partial(_recipe, text=text) for name, text in RECIPES.items()},
    **{f"override {name}": partial(_override, text=text) for name, text in OVERRIDES.items()},
    **{
        f"checkpoint {name}": partial(_checkpoint, spoil=spoil)
        for name, spoil in CHECKPOINTS.items()
    },
    **{
        f"plugin {name}": partial(_plugin, result=result, said_of_it=said)
        for name, (result, said) in PLUGINS.items()
    },
    **{
        f"answers {name}": partial(_answers, changes=changes, expected=said)
        for name, (changes, said) in ANSWERS.items()
    },
    "key": _key,
    "mel of terabytes": partial(_long_mel, shape=b"(80, 99999999999), }"),
    "mel without an end": partial(_long_mel, shape=b"(80, ((((((((((((((("),
}
