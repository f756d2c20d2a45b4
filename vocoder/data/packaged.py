"""Corpora from Debian packages: festvox-ru and the Asterisk prompts."""

import io
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile
import torch

from vocoder.data.audio import Audio, resample
from vocoder.data.debian import Package, fetch, read_package
from vocoder.data.files import write_text
from vocoder.data.layout import Recording
from vocoder.errors import AudioError, CorpusError

FESTVOX_RU = Package(
    "festvox-ru",
    "0.5+dfsg-6",
    "21ef3f0f2978ecf2e2eddb367cb0ff4a72572196d28dc69feb84f4177af5e6c4",
)
FESTVOX_RU_TEST = 40
FESTVOX_RU_VALID = 20

ASTERISK_VERSION = "1.6.1-1"
ASTERISK_SHA256 = {
    "en": "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
    "es": "e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8",
    "fr": "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
    "it": "46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016",
    "ru": "673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b",
}
ASTERISK_SPEAKERS = {
    "en": "allison",
    "es": "allison",  # the same voice as en, in another language
    "fr": "june",
    "it": "carlo",
    "ru": "ivrvoice_ru",
}
ASTERISK_LICENCES = {
    "en": "CC BY-SA 3.0",
    "es": "CC BY-SA 3.0",
    "fr": "CC BY-SA 3.0",
    "it": "CC BY 3.0",
    "ru": "CC BY 3.0",
}
ASTERISK_TEST_LANGUAGES = frozenset({"it", "ru"})
ASTERISK_NOT_SPEECH = frozenset(
    {
        "ascending-2tone",
        "beep",
        "beeperr",
        "confbridge-join",
        "confbridge-leave",
        "descending-2tone",
        "tt-monkeys",
    }
)
"""Signal tones, and 16 s of monkeys: the same sounds in nearly every language's package."""

ASTERISK_SHORTEST_S = 2.0
ASTERISK_VALID_PER_LANGUAGE = 10

G722_SAMPLE_RATE = 16000
G722_SAMPLES_PER_BYTE = 2


def festvox_ru(downloads: Path, output: Path) -> list[Recording]:
    """Recordings of festvox-ru: one male speaker, 620 sentences, 16 kHz; notice beside them."""
    sounds: dict[str, bytes] = {}
    for name, content in read_package(fetch(FESTVOX_RU, downloads), _is_festvox_sound):
        if name.endswith("/copyright"):
            write_text(output / "LICENCE.txt", content.decode())
        else:
            sounds[PurePosixPath(name).stem] = content
    splits = festvox_ru_splits(list(sounds))
    return [
        Recording(
            name,
            "msu_ru_nsh",
            splits[name],
            "BSD-like (festvox-ru)",
            partial(_read_wav, content, name),
        )
        for name, content in sounds.items()
    ]


def asterisk(downloads: Path, output: Path) -> list[Recording]:
    """Recordings of the five Asterisk voices (en, es, fr, it, ru), G.722; notices beside them."""
    if shutil.which("ffmpeg") is None:
        raise CorpusError("ffmpeg is needed to decode G.722: `apt-get install ffmpeg`")
    recordings = []
    for language, sha256 in ASTERISK_SHA256.items():
        package = Package(f"asterisk-core-sounds-{language}-g722", ASTERISK_VERSION, sha256)
        sounds: dict[str, bytes] = {}
        for name, content in read_package(fetch(package, downloads), _is_asterisk_sound):
            if name.endswith("/copyright"):
                write_text(output / f"LICENCE-{language}.txt", content.decode())
            elif content:  # one prompt of the Russian package (is.g722) is an empty file
                sounds[_asterisk_name(language, name)] = content
        splits = asterisk_splits(language, {name: g722_duration_s(s) for name, s in sounds.items()})
        recordings += [
            Recording(
                f"{language}/{name}",
                ASTERISK_SPEAKERS[language],
                splits[name],
                ASTERISK_LICENCES[language],
                partial(_read_g722, content, name),
            )
            for name, content in sounds.items()
        ]
    return recordings


def festvox_ru_splits(names: Sequence[str]) -> dict[str, str]:
    """By sorted name: the last 40 are "test", the 20 before them "valid", the rest "train"."""
    ordered = sorted(names)
    first_test = len(ordered) - FESTVOX_RU_TEST
    first_valid = first_test - FESTVOX_RU_VALID
    return {
        name: "test" if i >= first_test else "valid" if i >= first_valid else "train"
        for i, name in enumerate(ordered)
    }


def asterisk_splits(language: str, durations_s: Mapping[str, float]) -> dict[str, str]:
    """Split of each file of one language, from the durations in seconds by name.

    Files that are not speech are "unused". it and ru are unseen in training: files of 2 s or more
    are "test", shorter ones "unused". en, es and fr: the files of 2 s or more, sorted by name, are
    divided into ten equal parts; the middle file of each part is "valid", everything else "train".
    """
    other_sounds = {f"{language}_{name}" for name in ASTERISK_NOT_SPEECH}
    speech = sorted(set(durations_s) - other_sounds)
    long_enough = [name for name in speech if durations_s[name] >= ASTERISK_SHORTEST_S]
    splits = dict.fromkeys(durations_s, "unused")
    if language in ASTERISK_TEST_LANGUAGES:
        return splits | dict.fromkeys(long_enough, "test")
    stretches = 2 * ASTERISK_VALID_PER_LANGUAGE
    valid = [long_enough[i * len(long_enough) // stretches] for i in range(1, stretches, 2)]
    return splits | dict.fromkeys(speech, "train") | dict.fromkeys(valid, "valid")


def g722_duration_s(content: bytes) -> float:
    """Seconds of sound in G.722 at 64 kbit/s: 8 bits for two samples of 16 kHz (ITU-T G.722)."""
    return len(content) * G722_SAMPLES_PER_BYTE / G722_SAMPLE_RATE


def _is_festvox_sound(name: str) -> bool:
    return name.endswith((".wav", "/copyright"))


def _is_asterisk_sound(name: str) -> bool:
    # silence/ holds prompts of digital silence.
    return name.endswith("/copyright") or (name.endswith(".g722") and "/silence/" not in name)


def _asterisk_name(language: str, name: str) -> str:
    """en_digits_1 for usr/share/asterisk/sounds/en_US_f_Allison/digits/1.g722: unique by itself."""
    voice = PurePosixPath(name).parts.index("sounds") + 1
    parts = PurePosixPath(name).with_suffix("").parts[voice + 1 :]
    return "_".join((language, *parts))


def _read_wav(content: bytes, name: str, sample_rate: int) -> Audio:
    try:
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    except soundfile.SoundFileError as error:
        raise AudioError(f"{name}: not a WAV file ({error}); fetch the package again") from error
    return resample(Audio(torch.from_numpy(samples), rate), sample_rate)


def _read_g722(content: bytes, name: str, sample_rate: int) -> Audio:
    """Decode G.722 by ffmpeg to 16-bit samples at 16 kHz."""
    run = subprocess.run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-f",
            "g722",
            "-i",
            "pipe:0",
            "-f",
            "s16le",
            "-ac",
            "1",
            "-ar",
            str(G722_SAMPLE_RATE),
            "pipe:1",
        ],
        input=content,
        capture_output=True,
        check=False,
    )
    if run.returncode != 0 or not run.stdout:
        reason = (run.stderr.decode(errors="replace").strip().splitlines() or ["no sound"])[-1]
        raise AudioError(f"{name}: ffmpeg cannot decode it ({reason})")
    samples = np.frombuffer(run.stdout, dtype="<i2").astype(np.float32) / 32768
    return resample(Audio(torch.from_numpy(samples), G722_SAMPLE_RATE), sample_rate)
