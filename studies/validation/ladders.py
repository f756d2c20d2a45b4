"""The ladders: degradations of real recordings from mild to severe, as folders of WAVs.

    python -m studies.validation.ladders --manifest M.jsonl … --output DIR [--per-speaker 3]

writes DIR/recording/ and DIR/<ladder>/<rung>/, all 16-bit; existing files are kept.
"""

import argparse
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from rich.console import Console
from rich.progress import track
from torch import Tensor

from studies.scripts import run
from studies.validation import degradations
from vocoder.data.audio import read_audio, write_audio
from vocoder.data.manifest import Utterance, read_manifest
from vocoder.errors import AudioError, VocoderError
from vocoder.evaluation.resynthesis import resynthesise
from vocoder.features.mel import PRESETS
from vocoder.models.classical import GriffinLim
from vocoder.models.world import World

RECORDING = "recording"
LEVEL_DBFS = -26.0
"""Root mean square of every recording in the study, so that noise and gains do not clip."""
SHORTEST_S = 3.0
LONGEST_S = 6.5


class Source:
    """One recording at the study's level, analysed once for all rungs that need it."""

    def __init__(self, waveform: Float[Tensor, " samples"], sample_rate: int, name: str) -> None:
        self.waveform, self.sample_rate, self.name = waveform, sample_rate, name

    @functools.cached_property
    def world(self) -> World:
        """WORLD's parameters of the recording."""
        return World.analyse(self.waveform, self.sample_rate)

    def generator(self) -> torch.Generator:
        """Random generator: the same noise on all rungs, different for each name."""
        seed = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4], "big")
        return torch.Generator().manual_seed(seed)


class Ladder(NamedTuple):
    """One kind of degradation.

    Attributes:
        title: of tables.
        rungs: values of the parameter, from mild to severe; also folder names.
        unit: name of a rung, with {} for its number.
        degrade: function to the recording on one rung.
        base: folder of the undegraded signal, the reference of all rungs.
        max_delay_ms: of the evaluation; None for its default.
    """

    title: str
    rungs: tuple[float, ...]
    unit: str
    degrade: Callable[[Source, float], Float[Tensor, " samples"]]
    base: str = RECORDING
    max_delay_ms: float | None = None

    def label(self, rung: float) -> str:
        """Name of a rung in tables."""
        return self.unit.format(f"{rung:g}")


def _white(source: Source, snr_db: float) -> Tensor:
    noise = degradations.white_noise(len(source.waveform), source.generator())
    return degradations.add_noise(source.waveform, noise, snr_db)


def _shaped(source: Source, snr_db: float) -> Tensor:
    noise = degradations.speech_shaped_noise(source.waveform, source.generator())
    return degradations.add_noise(source.waveform, noise, snr_db)


def _low_pass(source: Source, khz: float) -> Tensor:
    return degradations.low_pass(source.waveform, source.sample_rate, 1000 * khz)


def _mp3(source: Source, kbit_s: float) -> Tensor:
    return degradations.code(source.waveform, source.sample_rate, "mp3", kbit_s)


def _opus(source: Source, kbit_s: float) -> Tensor:
    return degradations.code(source.waveform, source.sample_rate, "opus", kbit_s)


def _world(source: Source, coefficients: float) -> Tensor:
    return source.world.synthesise(coefficients=int(coefficients) or None)


def _f0(source: Source, cents: float) -> Tensor:
    return source.world.synthesise(cents)


def _griffin_lim(source: Source, iterations: float) -> Tensor:
    model = GriffinLim(PRESETS["speecht5_16k"], int(iterations))
    return resynthesise(model, source.waveform)


def _gain(source: Source, gain_db: float) -> Tensor:
    return source.waveform * 10 ** (gain_db / 20)


def _delay(source: Source, samples: float) -> Tensor:
    return degradations.delay(source.waveform, int(samples))


def _polarity(source: Source, sign: float) -> Tensor:
    return sign * source.waveform


_SNR_DB = (40, 30, 20, 10, 0)
_SAMPLES = (1, 8, 40, 160, 400)

LADDERS: dict[str, Ladder] = {
    "mp3": Ladder("MP3", (64, 32, 24, 16, 8), "{} kbit/s", _mp3),
    "opus": Ladder("Opus", (32, 24, 16, 12, 8, 6), "{} kbit/s", _opus),
    "white": Ladder("white noise", _SNR_DB, "{} dB SNR", _white),
    "shaped": Ladder("speech-shaped noise", _SNR_DB, "{} dB SNR", _shaped),
    "low_pass": Ladder("low-pass", (7, 5.5, 4, 3), "{} kHz", _low_pass),
    # 0 coefficients: the envelope as CheapTrick found it.
    "world": Ladder("WORLD", (0, 24, 12, 6, 3), "{} coefficients", _world),
    "f0": Ladder("F0 shifted", (5, 10, 20, 50, 100, 200, 400), "{} cents", _f0, base="world/0"),
    "griffin_lim": Ladder("Griffin-Lim", (100, 32, 16, 8, 4, 2, 1), "{} iterations", _griffin_lim),
    "gain": Ladder("gain", (-1, -3, -6, -12, -20), "{} dB", _gain),
    "delay": Ladder("delay, aligned", _SAMPLES, "{} samples", _delay),
    "raw_delay": Ladder("delay, as it is", _SAMPLES, "{} samples", _delay, max_delay_ms=0.0),
    "polarity": Ladder("polarity", (-1,), "sign {}", _polarity),
}
"""Every ladder, by its folder. The undegraded signal is its rung before the first."""


@dataclass(frozen=True)
class Chosen:
    """One recording of the study: its name and path."""

    name: str
    path: Path


def choose(manifests: Sequence[Path], per_speaker: int) -> list[Chosen]:
    """A number of evenly spaced test files of 3 to 6.5 s of each speaker, by name.

    Raises:
        VocoderError: a speaker of a test split has fewer.
    """
    speakers: dict[str, list[tuple[Path, Utterance]]] = {}
    for manifest in manifests:
        for utterance in read_manifest(manifest):
            if utterance.split == "test" and SHORTEST_S <= utterance.duration_s <= LONGEST_S:
                path = manifest.parent / utterance.path
                speakers.setdefault(utterance.speaker, []).append((path, utterance))
    if not speakers:
        raise VocoderError("no test utterances of 3 to 6.5 s in the manifests")
    chosen = []
    for speaker, found in sorted(speakers.items()):
        found.sort(key=lambda pair: pair[0].name)
        if len(found) < per_speaker:
            raise VocoderError(
                f"{speaker} has {len(found)} test utterances of 3 to 6.5 s: ask for no more"
            )
        for position in range(per_speaker):
            path, _ = found[(2 * position + 1) * len(found) // (2 * per_speaker)]
            chosen.append(Chosen(f"{speaker}/{path.stem}", path))
    return chosen


def make(chosen: Sequence[Chosen], output: Path, ladders: Sequence[str] = tuple(LADDERS)) -> None:
    """Write every recording and its rungs, except existing files.

    Raises:
        AudioError: a recording that is silent, or a rung that would clip.
    """
    for one in track(chosen, "ladders", console=Console(stderr=True)):
        files = {output / f / f"{one.name}.wav": degrade for f, degrade in _every(ladders)}
        missing = {path: degrade for path, degrade in files.items() if not path.exists()}
        if not missing:
            continue
        source = _load(one)
        for path, degrade in missing.items():
            waveform = degrade(source)
            peak = float(waveform.abs().max())
            if peak >= 1.0:
                raise AudioError(f"{path}: would clip, its peak is {peak:.2f}; lower LEVEL_DBFS")
            write_audio(path, waveform, source.sample_rate)


def _every(ladders: Sequence[str]) -> Iterator[tuple[str, Callable[[Source], Tensor]]]:
    """Folder and degradation of the recordings themselves and of all rungs."""
    yield RECORDING, lambda source: source.waveform
    for name in ladders:
        for rung in LADDERS[name].rungs:
            yield f"{name}/{rung:g}", functools.partial(_on, LADDERS[name].degrade, rung)


def _on(degrade: Callable[[Source, float], Tensor], rung: float, source: Source) -> Tensor:
    return degrade(source, rung)


def _load(one: Chosen) -> Source:
    audio = read_audio(one.path)
    rms = float(audio.waveform.double().square().mean().sqrt())
    if rms == 0.0:
        raise AudioError(f"{one.path}: silent; choose another recording")
    # Rounded to 16 bits, as in the reference file of all rungs.
    level = audio.waveform * (10 ** (LEVEL_DBFS / 20) / rms)
    return Source((level * 32768).round() / 32768, audio.sample_rate, one.name)


def main() -> None:
    """Write the folders."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--manifest", type=Path, action="append", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--per-speaker", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    degradations.require_ffmpeg()
    make(choose(options.manifest, options.per_speaker), options.output)


if __name__ == "__main__":
    run(main)
