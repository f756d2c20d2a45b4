"""The sounds of a listening test: selected utterances at one rate, aligned in length and level."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from vocoder.data.audio import Audio, open_audio, read_audio
from vocoder.errors import AudioError, VocoderError
from vocoder.evaluation.alignment import find_delay
from vocoder.evaluation.pairs import files_by_utterance
from vocoder.listening.loudness import loudness_lufs

Level = Literal["loudness", "none"]
Waveform = Float[np.ndarray, " samples"]

LONGEST_S = 12.0
"""Recommended maximum length of a sound in seconds: BS.1534-3, section 5.1."""

LARGE_GAIN_DB = 6.0
"""Level-alignment gains beyond this are noted: other problems are likely."""

LARGE_CUT_S = 0.05
"""Length differences beyond this are noted: speech may be cut."""


@dataclass(frozen=True)
class Sounds:
    """One utterance by all systems, equally long.

    reference, systems: waveforms in [-1, 1], the systems' by name.
    gains_db: of the systems' files, by name; the reference has 0.
    notes: changes made while reading and aligning, each with its file.
    """

    reference: Waveform
    systems: dict[str, Waveform]
    gains_db: dict[str, float]
    notes: tuple[str, ...]


class Material:
    """The folders of a listening test: recordings, and the same utterances by each system.

    Raises:
        VocoderError: no systems, or a folder that is missing or without audio.
    """

    def __init__(self, reference: Path, systems: dict[str, Path]) -> None:
        if not systems:
            raise VocoderError("no system to listen to: name at least one folder")
        self.reference = reference
        self.systems = systems
        self._recordings = files_by_utterance(reference)
        self._estimates = {name: files_by_utterance(path) for name, path in systems.items()}

    @property
    def utterances(self) -> list[str]:
        """Utterances present in the reference folder and for every system, sorted."""
        return sorted(set(self._recordings).intersection(*self._estimates.values()))

    def select(self, wanted: int | Sequence[str], training: int, seed: int) -> "Selection":
        """Choose the utterances of a test.

        Args:
            wanted: names, or a number drawn at random, from utterances of at most 12 s if there are
                enough, as BS.1534-3 (section 5.1) recommends.
            training: number of training utterances, drawn from the rest; without a rest, from those
                of the test.
            seed: of the drawing.

        Raises:
            VocoderError: fewer utterances than wanted, or one missing for a system.
        """
        common = self.utterances
        if not common:
            raise VocoderError(
                f"no utterance of {self.reference} is in every system's folder: "
                "files belong together by their path in the folder without suffix"
            )
        draw = random.Random(seed)
        if isinstance(wanted, int):
            if not 1 <= wanted <= len(common):
                raise VocoderError(
                    f"--utterances {wanted}: from 1 to {len(common)} can be had, as many as "
                    "the reference folder and every system share"
                )
            short = [name for name in common if self._duration_s(name) <= LONGEST_S]
            common = short if len(short) >= wanted + training else common
            test = sorted(draw.sample(common, wanted))
        else:
            test = list(dict.fromkeys(wanted))
            for name in test:
                self._require(name)
        rest = [name for name in common if name not in test]
        practice = draw.sample(rest or test, min(training, len(rest or test)))
        return Selection(tuple(test), tuple(practice))

    def sample_rate(self, utterances: Sequence[str]) -> int:
        """The highest rate of these recordings, in Hz: the playback rate of the page."""
        return max(read_audio(self._recordings[name]).sample_rate for name in utterances)

    def read(
        self,
        utterance: str,
        sample_rate: int,
        level: Level,
        max_delay_ms: float,
        max_length_difference_s: float,
    ) -> Sounds:
        """Read an utterance at one rate, and align its versions to the recording.

        A constant delay is removed by shifting the whole version and padding it with silence, since
        switching would otherwise jump in time. All are then cropped to the shortest. With level
        "loudness" each version is scaled to the loudness (BS.1770) of the recording.

        Args:
            utterance: path in the folders without suffix.
            sample_rate: Hz.
            level: "loudness" or "none".
            max_delay_ms: longest delay removed; 0 disables the search.
            max_length_difference_s: largest length difference in seconds after delay removal, as in
                `vocoder.evaluation.alignment.align`.

        Raises:
            AudioError: a file cannot be read, is delayed by more than `max_delay_ms`, differs from
                the recording by more than `max_length_difference_s` in length, or is silent and
                should be aligned in level.
        """
        source = self._recordings[utterance]
        recording = read_audio(source, sample_rate)
        reference = recording.waveform.double().numpy()
        notes = [f"{source}: {note}" for note in recording.notes]
        versions, gains_db = {}, {}
        for name, files in self._estimates.items():
            path = files[utterance]
            audio = read_audio(path, sample_rate)
            notes += [f"{path}: {note}" for note in audio.notes]
            versions[name], shifted = _shifted(
                recording, audio, path, max_delay_ms, max_length_difference_s
            )
            notes += shifted
        shortest = min(len(reference), *(len(version) for version in versions.values()))
        reference = reference[:shortest]
        for name, version in versions.items():
            path = self._estimates[name][utterance]
            versions[name], gains_db[name] = version[:shortest], 0.0
            if level == "none":
                continue
            gains_db[name] = _loudness_gain_db(
                (reference, source), (versions[name], path), sample_rate
            )
            versions[name] = versions[name] * 10 ** (gains_db[name] / 20)
            if abs(gains_db[name]) > LARGE_GAIN_DB:
                notes.append(f"{path}: {gains_db[name]:+.1f} dB to the recording's loudness")
        return Sounds(reference, versions, gains_db, tuple(notes))

    def _duration_s(self, utterance: str) -> float:
        """Duration from the header; infinite if unreadable, which `read` reports."""
        try:
            with open_audio(self._recordings[utterance]) as file:
                return math.inf if file.duration_s is None else file.duration_s
        except AudioError:
            return math.inf

    def _require(self, utterance: str) -> None:
        folders = {self.reference: self._recordings} | {
            self.systems[name]: files for name, files in self._estimates.items()
        }
        for folder, files in folders.items():
            if utterance not in files:
                raise VocoderError(f"{folder}: holds no utterance {utterance!r}; name others")


@dataclass(frozen=True)
class Selection:
    """The utterances of a test and of its training."""

    test: tuple[str, ...]
    training: tuple[str, ...]

    @property
    def repeated(self) -> bool:
        """Whether the training uses utterances of the test."""
        return bool(set(self.training) & set(self.test))


def without_clipping(sounds: dict[str, Waveform]) -> tuple[dict[str, Waveform], float]:
    """Sounds of one trial scaled to full scale or below, and their common gain in dB.

    A common gain preserves relative levels; it is 0 dB if nothing clips.
    """
    peak = max(float(np.abs(sound).max()) for sound in sounds.values())
    if peak <= 1.0:
        return sounds, 0.0
    return {name: sound / peak for name, sound in sounds.items()}, -20 * math.log10(peak)


def _shifted(
    recording: Audio,
    version: Audio,
    path: Path,
    max_delay_ms: float,
    max_length_difference_s: float,
) -> tuple[Waveform, list[str]]:
    """A version without its delay, and notes of the changes."""
    waveform, rate = version.waveform.double().numpy(), version.sample_rate
    longer = len(version.waveform) - len(recording.waveform)
    # No allowed delay can explain a larger difference: skip the search.
    if abs(longer) / rate > max_length_difference_s + max_delay_ms / 1000:
        raise _too_different(path, longer / rate, max_length_difference_s)
    late, notes = 0, []
    if max_delay_ms > 0.0:
        delay = find_delay(recording.waveform, version.waveform, rate)
        delay_ms = 1000 * delay.samples / rate
        if abs(delay_ms) > max_delay_ms:
            raise AudioError(
                f"{path}: {delay.text} ({abs(delay_ms):.1f} ms), allowed {max_delay_ms:g} ms "
                "(--max-delay-ms; 0 takes the files as they are)"
            )
        late = delay.samples
        if late:
            notes.append(f"{path}: {delay.text}, aligned")
    # Length differences explained by the delay do not count.
    unexplained_s = min(longer, longer - late, key=abs) / rate
    if abs(unexplained_s) > max_length_difference_s:
        raise _too_different(path, unexplained_s, max_length_difference_s)
    if abs(unexplained_s) > LARGE_CUT_S:
        notes.append(f"{path}: its length differs by {unexplained_s:+.3f} s from the recording's; "
                     "all versions are cropped to the shortest")  # fmt: skip
    silence = np.zeros(abs(late))
    if late > 0:
        return np.concatenate([waveform[late:], silence]), notes
    return np.concatenate([silence, waveform[: len(waveform) + late]]), notes


def _too_different(path: Path, longer_s: float, max_length_difference_s: float) -> AudioError:
    return AudioError(
        f"{path}: its length differs by {longer_s:+.3f} s from the recording's, allowed "
        f"{max_length_difference_s:g} s (--max-length-difference); or leave the utterance out"
    )


def _loudness_gain_db(
    recording: tuple[Waveform, Path], version: tuple[Waveform, Path], sample_rate: int
) -> float:
    """Gain in dB that scales the version to the recording's loudness; files are for errors."""
    loudness = []
    for waveform, path in (recording, version):
        loudness.append(loudness_lufs(waveform, sample_rate))
        if not math.isfinite(loudness[-1]):
            raise AudioError(
                f"{path}: silent (nothing above -70 LUFS), so its level cannot be aligned; "
                "leave the utterance out, or build with --level none"
            )
    return loudness[0] - loudness[1]
