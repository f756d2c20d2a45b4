"""Corpora that must be downloaded by the user, because of their licence or size."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vocoder.data.audio import read_audio
from vocoder.data.files import write_bytes, write_text
from vocoder.data.layout import MANIFEST, Recording
from vocoder.data.manifest import read_manifest
from vocoder.errors import CorpusError
from vocoder.reading import read_bytes, read_text

LJSPEECH_HELD_OUT = 250

VCTK_MICROPHONE = "mic2"
VCTK_TEST_SPEAKERS = frozenset({"p360", "p361", "p362", "p363", "p364", "p374", "p376", "s5"})
VCTK_VALID_PER_SPEAKER = 10

LIBRI_SPLITS = {
    "train-clean-100": "train",
    "train-clean-360": "train",
    "train-other-500": "train",
    "dev-clean": "valid",
    "dev-other": "valid",
    "test-clean": "test",
    "test-other": "test",
}


@dataclass(frozen=True)
class _Sound:
    """A file of a local copy: its name (unique in the corpus), speaker and path."""

    name: str
    speaker: str
    path: Path


def ljspeech(source: Path, output: Path) -> list[Recording]:
    """Recordings of LJSpeech 1.1 (Ito and Johnson, 2017) from `source`/wavs/LJ*.wav."""
    sounds = [_Sound(path.stem, "lj", path) for path in source.glob("wavs/LJ*.wav")]
    _require(sounds, source, "LJSpeech 1.1: wavs/LJ001-0001.wav …")
    _write_notice(output, "LJSpeech 1.1: public domain", source, "README")
    splits = ljspeech_splits([sound.name for sound in sounds])
    return [_recording(sound, sound.name, splits[sound.name], "public domain") for sound in sounds]


def ljspeech_splits(names: Iterable[str]) -> dict[str, str]:
    """By sorted name: the last 250 are "test", the 250 before them "valid", the rest "train".

    The rule of ParallelWaveGAN and ESPnet (egs/ljspeech): of 13,100 files 12,600 are trained on,
    and the test begins at LJ050-0029. In a partial copy of fewer than 2,500 files, each of the two
    gets a tenth, and at least one file.
    """
    ordered = sorted(names)
    held_out = max(1, min(LJSPEECH_HELD_OUT, len(ordered) // 10))
    return (
        dict.fromkeys(ordered, "train")
        | dict.fromkeys(ordered[-2 * held_out :], "valid")
        | dict.fromkeys(ordered[-held_out:], "test")
    )


def vctk(source: Path, output: Path) -> list[Recording]:
    """Recordings of VCTK 0.92 (Yamagishi et al., 2019), second microphone.

    From `source`/wav48_silence_trimmed/SPEAKER/SPEAKER_NNN_mic2.flac. The speakers p280 (no second
    microphone) and p315 (no transcripts; usually excluded) are excluded.
    """
    pattern = f"wav48_silence_trimmed/*/*_{VCTK_MICROPHONE}.flac"
    sounds = [
        _Sound(path.stem.removesuffix(f"_{VCTK_MICROPHONE}"), path.parent.name, path)
        for path in source.glob(pattern)
        if path.parent.name != "p315"
    ]
    _require(sounds, source, "VCTK 0.92: wav48_silence_trimmed/p225/p225_001_mic2.flac …")
    _write_notice(output, "VCTK 0.92: CC BY 4.0", source, "license_text")
    splits = vctk_splits({sound.name: sound.speaker for sound in sounds})
    return [
        _recording(sound, f"{sound.speaker}/{sound.name}", splits[sound.name], "CC BY 4.0")
        for sound in sounds
    ]


def vctk_splits(speakers: Mapping[str, str]) -> dict[str, str]:
    """Split of each utterance, from the speakers by utterance name.

    "test" has all utterances of the last 8 of the 108 usable speakers, unseen in training (the rule
    of NU-Wave, Lee and Han 2021); "valid" the last 10 of every other speaker by name; "train" the
    rest.
    """
    names_of: dict[str, list[str]] = defaultdict(list)
    for name, speaker in sorted(speakers.items()):
        names_of[speaker].append(name)
    splits: dict[str, str] = {}
    for speaker, names in names_of.items():
        seen = speaker not in VCTK_TEST_SPEAKERS
        splits |= dict.fromkeys(names, "train" if seen else "test")
        if seen:
            splits |= dict.fromkeys(names[-VCTK_VALID_PER_SPEAKER:], "valid")
    return splits


def libritts(source: Path, output: Path) -> list[Recording]:
    """Recordings of LibriTTS (Zen et al., 2019) from `source`/SUBSET/SPEAKER/CHAPTER/*.wav.

    The splits are the corpus's own subsets: train-* "train", dev-* "valid", test-* "test". Missing
    subsets are skipped; at least one train-* must exist.
    """
    return _subsets(
        source, output, "LibriTTS", ".wav", "train-clean-100/19/198/19_198_000000_000000.wav"
    )


def _subsets(source: Path, output: Path, name: str, suffix: str, example: str) -> list[Recording]:
    """SUBSET/SPEAKER/CHAPTER/*, the layout of LibriSpeech and corpora derived from it."""
    recordings = []
    for subset, split in LIBRI_SPLITS.items():
        for path in source.glob(f"{subset}/*/*/*{suffix}"):
            speaker = path.parent.parent.name
            sound = _Sound(path.stem, speaker, path)
            file = f"{subset}/{speaker}/{sound.name}"
            recordings.append(_recording(sound, file, split, "CC BY 4.0"))
    training = [recording for recording in recordings if recording.split == "train"]
    _require(training, source, f"{name}: {example} …")
    _write_notice(output, f"{name}: CC BY 4.0", source, "LICENSE.txt")
    return recordings


def librispeech(source: Path, output: Path) -> list[Recording]:
    """Recordings of LibriSpeech (Panayotov et al., 2015), `source`/SUBSET/SPEAKER/CHAPTER/*.flac.

    The splits are the corpus's own subsets: train-* "train", dev-* "valid", test-* "test". Missing
    subsets are skipped; at least one train-* must exist.
    """
    return _subsets(
        source, output, "LibriSpeech", ".flac", "train-clean-100/19/198/19-198-0000.flac"
    )


def speechocean762(source: Path, output: Path) -> list[Recording]:
    """Recordings of speechocean762 (Zhang et al., 2021) from `source`/WAVE/SPEAKERnnnn/*.WAV.

    The splits follow the corpus's lists: the speakers of test/spk2utt are "test"; of the speakers
    of train/spk2utt, the last tenth by name are "valid" and the others "train".
    """
    splits: dict[str, str] = {}
    for split in ("train", "test"):
        path = source / split / "spk2utt"
        try:
            lines = read_text(path, CorpusError).splitlines()
        except CorpusError as error:
            raise CorpusError(
                f"{error}; name the folder of speechocean762 that holds WAVE, train and test"
            ) from error
        splits |= dict.fromkeys((line.split()[0] for line in lines if line.strip()), split)
    trained = sorted(speaker for speaker, split in splits.items() if split == "train")
    splits |= dict.fromkeys(trained[-max(1, len(trained) // 10) :], "valid")
    sounds = [
        _Sound(path.stem, path.parent.name.removeprefix("SPEAKER"), path)
        for path in source.glob("WAVE/SPEAKER*/*.WAV")
    ]
    _require(sounds, source, "speechocean762: WAVE/SPEAKER0001/000010011.WAV …")
    _write_notice(output, "speechocean762: CC BY 4.0", source, "README.md")
    if unlisted := sorted({sound.speaker for sound in sounds} - splits.keys()):
        raise CorpusError(f"{source}: speaker {unlisted[0]} is in neither train nor test/spk2utt")
    return [
        _recording(sound, f"{sound.speaker}/{sound.name}", splits[sound.speaker], "CC BY 4.0")
        for sound in sounds
    ]


def tiny(source: Path, output: Path) -> list[Recording]:
    """Recordings of a small corpus with its own manifest, such as egs/tiny."""
    utterances = read_manifest(source / MANIFEST)
    for notice in sorted(source.glob("LICENCE*")):
        write_bytes(output / notice.name, read_bytes(notice, CorpusError))
    return [
        _recording(
            _Sound(utterance.path.stem, utterance.speaker, source / utterance.path),
            utterance.path.stem,
            utterance.split,
            utterance.licence,
        )
        for utterance in utterances
    ]


def _recording(sound: _Sound, name: str, split: str, licence: str) -> Recording:
    return Recording(name, sound.speaker, split, licence, partial(read_audio, sound.path))


def _require(found: list[_Sound] | list[Recording], source: Path, layout: str) -> None:
    if not source.is_dir():
        raise CorpusError(f"{source}: no such folder; name your local copy by --source")
    if not found:
        raise CorpusError(f"{source}: not laid out as {layout}; name the folder that holds these")


def _write_notice(output: Path, summary: str, source: Path, name: str) -> None:
    """Write the corpus's own licence text beside the manifest, under a one-line heading."""
    original = source / name
    text = original.read_text(encoding="utf-8", errors="replace") if original.is_file() else ""
    write_text(output / "LICENCE.txt", f"{summary}\n\n{text}")
