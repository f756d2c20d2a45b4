"""Hostile files, recipes, checkpoints, mels and answers: each from a kind and a number alone."""

import json
import os
import random
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors.torch import load_file

from tests.fuzz.harness import Try
from tests.listening.material import listener
from vocoder.listening.key import Key, Stimulus, TrialKey
from vocoder.loading import SHIPPED
from vocoder.reading import read_table

ROOT = Path(__file__).resolve().parents[2]
MODEL = "source_filter_16k"
RATE = 16000
NOISE = 0.1 * np.random.default_rng(0).standard_normal(RATE // 4)

EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**36 - 1)
SCALARS = (
    *("null", "true", "[]", "{}", "''", "-1", "0", "1e9", ".nan", ".inf", "-.inf", "1e400"),
    *("2024-13-45", "!!int abc", "!!float x", "!!binary zz", "!!python/name:os.system", "9" * 5000),
    *("0x" + "f" * 5000, "'\\0'", '"\\0"', "[1, [2, [3]]]", "{a: {b: c}}", "é\u2028", "1_000_000"),
    *("*nowhere", "&a [*a]", "18446744073709551615", "-9223372036854775809", "'x'", "65536", "'1'"),
)


VALUES = (
    *(None, True, False, "", "x", "50", -1, 0, 1, 0.5, 101, 1e308, float("nan"), float("inf")),
    *([], {}, [[]], {"a": 1}, "\0", "é\u2028", "../../etc/passwd", 2**64, "headphones", "s00"),
)


# -- mutations of bytes and text -------------------------------------------------------------------


def mutated_bytes(content: bytes, chance: random.Random) -> bytes:
    """One to four changes, mostly near the beginning, where headers are."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        size = len(changed)
        if size < 8:
            break
        at = min(int(size ** chance.choice((0.5, 0.8, 1.0)) * chance.random()), size - 1)
        how = chance.randrange(7)
        if how == 0:
            changed[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            del changed[at:]
        elif how == 2:
            width = chance.choice((1, 2, 4, 8))
            value = chance.choice(EXTREMES) & (256**width - 1)
            changed[at : at + width] = value.to_bytes(width, chance.choice(("little", "big")))
        elif how == 3:
            changed[at:at] = chance.randbytes(chance.choice((1, 4, 1000)))
        elif how == 4:
            changed[at : at + chance.choice((1, 10, 1000))] = b""
        elif how == 5:
            piece = changed[at : at + chance.choice((4, 100, 4096))]
            changed[at:at] = piece
        else:
            changed[at : at + 16] = bytes(len(changed[at : at + 16]))
    return bytes(changed)


def mutated_text(text: str, chance: random.Random) -> str:
    """One to three changes of YAML or JSON, by lines."""
    lines = text.split("\n")
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(lines))
        how = chance.randrange(7)
        if how <= 2 and ":" in lines[at]:
            key = lines[at].split(":")[0]
            lines[at] = f"{key}: {chance.choice(SCALARS)}"
        elif how == 3:
            del lines[at]
            lines = lines or [""]
        elif how == 4:
            lines.insert(at, lines[chance.randrange(len(lines))])
        elif how == 5:
            lines.insert(at, chance.choice(("unknown: 1", "\t", "- 1", "? [1]", "a: b: c", "%TAG")))
        else:
            lines[at] = mutated_bytes(lines[at].encode(), chance).decode("utf-8", "replace")
    return "\n".join(lines)


def mutated_json(text: str, chance: random.Random) -> str:
    """One to three changed values of a JSON document; sometimes of its text instead."""
    if chance.random() < 0.3:
        return mutated_text(text, chance)
    whole = [json.loads(text)]
    for _ in range(chance.randint(1, 3)):
        place, key = whole, 0
        while isinstance(place[key], dict | list) and place[key] and chance.random() < 0.9:
            place = place[key]
            key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if chance.random() < 0.2:
            del place[key]
        else:
            place[key] = chance.choice(VALUES)
        if not whole:
            break
    return json.dumps(whole[0] if whole else None, indent=1)


# -- audio -----------------------------------------------------------------------------------------

FORMATS = (
    ("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "DOUBLE"), ("WAV", "GSM610"), ("WAV", "ULAW"),
    ("WAV", "IMA_ADPCM"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"),
    ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("RF64", "PCM_16"), ("W64", "PCM_16"),
    ("AU", "PCM_16"), ("AU", "G721_32"), ("AIFF", "PCM_16"), ("CAF", "ALAC_16"), ("XI", "DPCM_16"),
)  # fmt: skip


@cache
def _encoded(kind: str, coding: str, channels: int) -> bytes:
    path = Path(os.environ.get("TMPDIR", "/tmp"), f"fuzz-{os.getpid()}.sound")
    sound = np.repeat(NOISE[:, None], channels, axis=1)
    soundfile.write(path, sound, RATE, format=kind, subtype=coding)
    content = path.read_bytes()
    path.unlink()
    return content


def hostile_audio(path: Path, chance: random.Random) -> None:
    """A damaged or odd file under a name of audio."""
    how = chance.randrange(20)
    if how == 0:
        os.mkfifo(path)
    elif how == 1:
        path.symlink_to(chance.choice(("/dev/zero", path.name, "nowhere", "/dev/null", "/", ".")))
    elif how == 2:
        path.write_bytes(chance.randbytes(chance.choice((0, 1, 44, 5000))))
    elif how == 3:
        values = np.full(100, chance.choice((np.nan, np.inf, 1e38, 0.0)), dtype=np.float32)
        soundfile.write(os.fsencode(path), values, RATE, format="WAV", subtype="FLOAT")
    else:
        kind, coding = chance.choice(FORMATS)
        channels = 1 if kind == "XI" or coding in ("GSM610", "G721_32") else chance.choice((1, 2))
        path.write_bytes(mutated_bytes(_encoded(kind, coding, channels), chance))


def good_audio(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encoded("WAV", "PCM_16", 1))


def _audio_name(chance: random.Random) -> str:
    stem = chance.choice(("bad", "b d", "bäd", "bad\udce9", "b'\"$", "bad\n", "[red]bad"))
    return stem + chance.choice((".wav", ".flac", ".ogg", ".mp3", ".WAV"))


def resynth(folder: Path, chance: random.Random) -> Try:
    """A good and a hostile file through the vocoder."""
    good_audio(folder / "in" / "good.wav")
    hostile_audio(folder / "in" / _audio_name(chance), chance)

    def check(folder: Path, status: int, said: str) -> None:
        assert len(soundfile.read(folder / "out" / "good.wav")[0]) == len(NOISE)
        for path in (folder / "out").iterdir():
            samples, rate = soundfile.read(os.fsencode(path))
            assert rate == RATE
            assert np.isfinite(samples).all()

    return Try(["resynth", "in", "--output", "out", "--model", MODEL, "--json"], check)


def evaluate(folder: Path, chance: random.Random) -> Try:
    """A good pair, and a hostile file as a recording or as a system's."""
    name = _audio_name(chance)
    for side in ("r", "s"):
        good_audio(folder / side / "good.wav")
        good_audio(folder / side / name)
    hostile = folder / chance.choice("rs") / name
    hostile.unlink()
    hostile_audio(hostile, chance)

    def check(folder: Path, status: int, said: str) -> None:
        rows = read_table(folder / "out" / "utterances.csv", ("utterance", "mstft"), AssertionError)
        scores = {row["utterance"]: row["mstft"] for _, row in rows}
        assert float(scores["good"]) == 0.0
        assert len(scores) == 2
        json.loads((folder / "out" / "summary.json").read_text())

    command = ["evaluate", "--reference", "r", "--system", "s=s", "--output", "out", "--jobs", "1"]
    return Try([*command, "--metrics", "mstft", "--no-cache", "--json"], check)


def prepare(folder: Path, chance: random.Random) -> Try:
    """Four good recordings and a hostile one become a corpus, or none does and all is named."""
    for number in range(4):
        good_audio(folder / "in" / f"{number}.wav")
    hostile = folder / "in" / _audio_name(chance)
    hostile_audio(hostile, chance)
    count = 4 + (not hostile.is_dir())  # a link to a folder is no recording

    def check(folder: Path, status: int, said: str) -> None:
        written = [path for path in (folder / "out").rglob("*.wav") if path.is_file()]
        if status == 0:
            lines = (folder / "out" / "manifest.jsonl").read_text().splitlines()
            assert len(lines) == len(written) == count
        else:
            assert len(written) in (0, 4)

    return Try(["prepare", "folder", "--source", "in", "--output", "out", "--json"], check)


# -- mels ------------------------------------------------------------------------------------------


def mel(folder: Path, chance: random.Random) -> Try:
    """A good and a hostile .npy through the vocoder."""
    (folder / "in").mkdir()
    good = np.full((80, 20), -3.0, dtype=np.float32)
    np.save(folder / "in" / "good.npy", good)
    path = folder / "in" / "bad.npy"
    how = chance.randrange(8)
    if how == 0:
        dtype = chance.choice(("f2", ">f4", "f8", "i8", "u1", "c8", "?", "U3", "M8[s]", "f16"))
        np.save(path, good.astype(dtype))
    elif how == 1:
        shape = chance.choice(((), (0,), (80,), (80, 0), (0, 80), (1, 80, 5), (2, 80, 5), (81, 3)))
        np.save(path, np.zeros(shape, dtype=np.float32))
    elif how == 2:
        value = chance.choice((np.nan, np.inf, 1e30, -1e30, 50.0, 1e-45, -0.0))
        np.save(path, np.full((80, 7), value, dtype=np.float32))
    elif how == 3:
        np.savez(path.with_suffix(""), good)
        os.replace(path.with_suffix(".npz"), path)
    elif how == 4:
        os.mkfifo(path)
    else:
        np.save(path, good)
        content = path.read_bytes()
        if how == 5:
            shape = chance.choice(("(80, 10**9)", "(99999999999999, 80)", "(-1, 80)", "(True, 80)"))
            content = content.replace(b"(80, 20)", shape.encode())
        path.write_bytes(content if how == 5 else mutated_bytes(content, chance))

    def check(folder: Path, status: int, said: str) -> None:
        for out in (folder / "out").iterdir():
            assert np.isfinite(soundfile.read(out)[0]).all()
        assert len(soundfile.read(folder / "out" / "good.wav")[0]) == 20 * 256

    return Try(["synth", "in", "--output", "out", "--model", MODEL, "--json"], check)


# -- recipes ---------------------------------------------------------------------------------------

RECIPES = sorted((ROOT / "recipes").glob("*/*.yaml"))


@cache
def _resolved(path: Path) -> str:
    from vocoder.training.recipe import dump_recipe, load_recipe

    return dump_recipe(load_recipe(path, ["data.manifests=[nowhere.jsonl]"]))


def unclaimed(folder: Path, status: int, said: str) -> None:
    """A run that was refused before its first step."""
    assert status == 1
    assert not (folder / "run" / "recipe.yaml").exists()
    assert not (folder / "run" / ".lock").exists()


def recipe(folder: Path, chance: random.Random) -> Try:
    """A changed recipe whose data are missing: training never begins."""
    own = [path for path in RECIPES if path.parent.name != "base"]
    text = _resolved(chance.choice(own))
    (folder / "r.yaml").write_text(mutated_text(text, chance), encoding="utf-8")
    command = ["train", "r.yaml", "--output", "run"]
    if chance.random() < 0.2:
        command += ["--set", f"training.steps={chance.choice(SCALARS)}".replace("\0", "")]
    return Try(command, unclaimed)


# -- checkpoints -----------------------------------------------------------------------------------


@cache
def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()
    }


def checkpoint(folder: Path, chance: random.Random) -> Try:
    """A damaged copy of the shipped weights is published, or refused."""
    shutil.copytree(SHIPPED[MODEL], folder / "in")
    name = chance.choice(("model.safetensors", "model.yaml", "metadata.json", "recipe.yaml"))
    path = folder / "in" / name
    if name == "model.safetensors":
        path.write_bytes(mutated_bytes(path.read_bytes(), chance))
    elif chance.random() < 0.1:
        path.unlink()
        path.symlink_to(chance.choice(("/dev/zero", name, "nowhere")))
    else:
        mutated = mutated_json if name.endswith(".json") else mutated_text
        path.write_text(mutated(path.read_text(), chance), encoding="utf-8")

    def check(folder: Path, status: int, said: str) -> None:
        if status == 1:
            assert not (folder / "out").exists()
            return
        for key, tensor in _weights(folder / "out").items():
            assert torch.equal(tensor, _weights(SHIPPED[MODEL])[key]), key

    return Try(["publish", "in", "--output", "out"], check)


# -- listening tests -------------------------------------------------------------------------------

CONDITIONS = ("reference", "quietvox", "anchor_7k", "anchor_3k5")
KEY = Key(
    kind="mushra", test="abc", title="t", seed=0, sample_rate=RATE, level="none", repeats=1,
    reference="r", systems={"quietvox": "q"}, notes=(), training={},
    trials={
        f"t{number}": TrialKey(utterance=name, open_reference="o", stimuli={
            f"s{number}{place}": Stimulus(condition=condition, gain_db=0.0)
            for place, condition in enumerate(CONDITIONS)
        })
        for number, name in enumerate(("it_dir-firstlast", "ru_0806"))
    },
)  # fmt: skip


def answers(folder: Path, chance: random.Random) -> Try:
    """Four good listeners and a changed file, or a changed key."""
    (folder / "in").mkdir()
    good = [json.dumps(listener(KEY, f"P{number}", number), indent=1) for number in range(5)]
    for number, text in enumerate(good):
        (folder / "in" / f"{number}.json").write_text(text)
    key = KEY.model_dump_json(indent=1)
    if chance.random() < 0.3:
        key = mutated_json(key, chance)
    else:
        path = folder / "in" / "0.json"
        text = mutated_json(good[0], chance)
        path.write_bytes(
            text.encode() if chance.random() < 0.7 else mutated_bytes(text.encode(), chance)
        )
    (folder / "key.json").write_text(key, encoding="utf-8")

    def check(folder: Path, status: int, said: str) -> None:
        written = folder / "out" / "summary.json"
        if status == 0 or written.exists():
            summary = json.loads(written.read_text())
            assert len(summary["assessors"]) in (4, 5)

    return Try(["listening-test", "analyse", "in", "--key", "key.json", "--output", "out"], check)


def options(folder: Path, chance: random.Random) -> Try:
    """Odd numbers as options."""
    good_audio(folder / "in" / "good.wav")
    name = chance.choice(("--seed", "--threads", "--f0-scale", "--batch", "--model", "--mel"))
    values = ("-1", "0", "1", "1000000", "18446744073709551615", "nan", "inf", "x", "", "é", ".")
    command = ["resynth", "in", "--output", "out", "--model", MODEL, name, chance.choice(values)]

    def check(folder: Path, status: int, said: str) -> None:
        assert status == 1 or (folder / "out" / "good.wav").exists()

    return Try(command, check)


KINDS: dict[str, Callable[[Path, random.Random], Try]] = {
    "audio through resynth": resynth,
    "audio through evaluate": evaluate,
    "audio through prepare": prepare,
    "mels": mel,
    "recipes": recipe,
    "checkpoints": checkpoint,
    "answers and keys": answers,
    "options": options,
}


def numbered(kind: str, number: int) -> Callable[[Path], Try]:
    """The try of a kind and a number, the same in every run."""
    return lambda folder: KINDS[kind](folder, random.Random(f"{kind} {number}"))
