"""Speech, scores and tables that the ablations share: held-out speakers, one utterance each."""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from studies.scores import Scores
from studies.scripts import renew_block
from vocoder.data.audio import Audio, read_audio, resample
from vocoder.data.manifest import read_manifest
from vocoder.errors import VocoderError
from vocoder.evaluation.registry import METRICS
from vocoder.evaluation.statistics import t_interval
from vocoder.loading import find_checkpoint
from vocoder.models.base import Vocoder
from vocoder.training.recipe import load_recipe

METRIC_NAMES = ("pesq", "mstft", "voicing_error", "distillmos")
SCORED_AT_HZ = 16000
RESULTS = Path(__file__).with_name("RESULTS.md")
RESULTS_BLOCKS = ("regions", "draws", "hard-inputs", "discriminators")


class Utterance(NamedTuple):
    """A recording at its own rate, (samples,)."""

    name: str
    audio: Audio

    def at(self, sample_rate: int) -> Tensor:
        """The recording at another rate, (1, samples)."""
        return resample(self.audio, sample_rate).waveform[None]


def read_utterances(
    manifest: Path, speakers: Sequence[str], longest_s: float = 5.0
) -> list[Utterance]:
    """The first utterance of each speaker, cut to `longest_s`.

    Raises:
        VocoderError: a speaker who is not in the manifest.
    """
    first: dict[str, Path] = {}
    for entry in read_manifest(manifest):
        first.setdefault(entry.speaker, manifest.parent / entry.path)
    missing = [speaker for speaker in speakers if speaker not in first]
    if missing:
        raise VocoderError(f"{manifest}: no utterance of {missing[0]}; choose another manifest")
    utterances = []
    for speaker in speakers:
        audio = read_audio(first[speaker])
        samples = int(longest_s * audio.sample_rate)
        cut = Audio(audio.waveform[:samples], audio.sample_rate)
        utterances.append(Utterance(speaker, cut))
    return utterances


def study_parser(doc: str | None) -> argparse.ArgumentParser:
    """Options of an ablation of trained weights; see `held_out_utterances`."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--weights", default="universal")
    parser.add_argument("--every", type=int, default=1, help="which of the speakers: 2 for half")
    return parser


def labelled(weights: str) -> tuple[str, str]:
    """Label and name (or folder) of weights; without a label the name is one.

    >>> labelled("before=runs/one"), labelled("nano")
    (('before', 'runs/one'), ('nano', 'nano'))
    """
    label, _, name = weights.rpartition("=")
    return label or name, name


def held_out_utterances(options: argparse.Namespace) -> list[Utterance]:
    """Those of the speakers whom the recipe of the weights holds out, or, where it names none, that
    of `universal`; one thread from here on."""
    torch.set_num_threads(1)
    speakers = held_out(options.weights) or held_out("universal")
    return read_utterances(options.speech, speakers[:: options.every])


def held_out(weights: str) -> Sequence[str]:
    """Speakers whom the recipe of some weights holds out."""
    return load_recipe(find_checkpoint(weights) / "recipe.yaml").data.held_out


def copy_with(
    model: Vocoder,
    degrade: Callable[[Tensor], Tensor] | None = None,
    noise_seed: int = 0,
    **options: Any,
) -> Callable[[Tensor], Tensor]:
    """From a recording (1, samples) to its copy, from its mel (degraded, if asked for), with
    arguments of the vocoder's call and the same noise each time."""

    def speak(recording: Tensor) -> Tensor:
        mel = model.mel(recording)
        mel = mel if degrade is None else degrade(mel)
        copied: Tensor = model(mel, generator=torch.Generator().manual_seed(noise_seed), **options)
        return copied

    return speak


def score(
    reference: Tensor, estimate: Tensor, sample_rate: int, metrics: Sequence[str] = METRIC_NAMES
) -> dict[str, float]:
    """Metrics of (1, samples) signals, both resampled to `SCORED_AT_HZ`."""
    pair = [
        resample(Audio(signal[0], sample_rate), SCORED_AT_HZ).waveform.numpy()
        for signal in (reference, estimate)
    ]
    samples = min(len(signal) for signal in pair)
    reference_16k, estimate_16k = (signal[:samples] for signal in pair)
    values = {}
    for name in metrics:
        metric = METRICS[name]
        result: Any = metric.measure(reference_16k, estimate_16k, SCORED_AT_HZ)
        values[name] = float(result if metric.field is None else getattr(result, metric.field))
    return values


def scores_of(
    utterances: Sequence[Utterance],
    sample_rate: int,
    speak: Callable[[Tensor], Tensor],
    metrics: Sequence[str] = METRIC_NAMES,
) -> list[dict[str, float]]:
    """Scores of `speak`, from a recording (1, samples) to its copy, of each utterance."""
    rows = []
    for utterance in utterances:
        recording = utterance.at(sample_rate)
        with torch.inference_mode():
            rows.append(score(recording, speak(recording), sample_rate, metrics))
    return rows


def by_metric(utterances: Sequence[Utterance], rows: Sequence[Mapping[str, float]]) -> Scores:
    """`scores_of` the utterances as they are kept in files."""
    return Scores(
        utterances=tuple(utterance.name for utterance in utterances),
        values={metric: tuple(row[metric] for row in rows) for metric in METRIC_NAMES},
    )


def means(
    utterances: Sequence[Utterance],
    sample_rate: int,
    speak: Callable[[Tensor], Tensor],
    metrics: Sequence[str] = METRIC_NAMES,
) -> Mapping[str, float]:
    """Mean of `scores_of` over the utterances."""
    rows = scores_of(utterances, sample_rate, speak, metrics)
    return {name: sum(row[name] for row in rows) / len(rows) for name in metrics}


def difference(scores: Scores, base: Scores, metric: str) -> str:
    """Mean difference over the speakers and its 95 % interval, of Student's t."""
    values = values_of(scores, metric) - values_of(base, metric)
    low, high = t_interval(values) or (math.nan, math.nan)
    return f"{values.mean():+.3f} ± {(high - low) / 2:.3f}"


def values_of(scores: Scores, metric: str) -> np.ndarray:
    """Scores of the speakers."""
    return np.array(scores.values[metric], dtype=float)


def renew_results(name: str, content: str) -> None:
    """Update one of `RESULTS_BLOCKS` of RESULTS.md."""
    renew_block(RESULTS, RESULTS_BLOCKS, name, content)
