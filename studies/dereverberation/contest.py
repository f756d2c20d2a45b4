"""Selection of settings on validation utterances, and scores on test utterances."""

import itertools
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, cast

import torch
from jaxtyping import Float
from torch import Tensor

from studies.dereverberation import classical, model
from studies.dereverberation.measures import STEP_S, energy_response
from studies.dereverberation.rooms import (
    RATE,
    early_to_late_db,
    reverberation_time,
)
from vocoder.data.audio import read_audio
from vocoder.data.manifest import read_manifest
from vocoder.dsp.rooms.reverb import fft_convolve
from vocoder.errors import VocoderError
from vocoder.evaluation.registry import resolve_columns
from vocoder.loading import load
from vocoder.metrics.stoi import stoi
from vocoder.models.source_filter import SourceFilter

SAMPLES = 5 * RATE
"""Seconds of each utterance, from its beginning; limits the fitting time."""
METRICS = ("pesq", "stoi", "visqol", "dnsmos")
BOTTOM_DB = -15.0
"""T60 left is extrapolated from -5 dB to here (T10): vocoders' answers have floors below."""
SPEECH = 40
"""Training utterances for the speaker's mean cepstrum."""
WAVEFORM_STEPS = 20
WPE_GRID = tuple(
    classical.WpeSettings(taps, delay) for taps in (20, 40, 80, 120) for delay in (1, 2)
)
CEPSTRUM_GRID = tuple(
    classical.CepstrumSettings(segment, fall, first, segment // part, share)
    for segment, fall, first, part, share in itertools.product(
        (2048, 4096, 16000), (2.0, 6.0), (1, 80), (2, 8), (0.5, 1.0)
    )
)
POWER_GRID = tuple(
    model.Settings(sparseness, depth_db, level_db)
    for sparseness, depth_db, level_db in itertools.product(
        (0.2, 0.35), (10.0, 15.0), (-28.0, -25.0)
    )
)
WAVEFORM_GRID = ((0.1, 0.03), (0.1, 0.1), (0.3, 0.03))
"""Sparseness on the waveform, and Adam's step."""

Signals = Float[Tensor, "batch samples"]
S = TypeVar("S")


@dataclass(frozen=True)
class Chosen:
    """The best settings of each system, and their mean STOI on validation utterances."""

    wpe: classical.WpeSettings
    cepstrum: classical.CepstrumSettings
    powers: model.Settings
    waveform: model.Settings
    stoi: Mapping[str, float]


@dataclass(frozen=True)
class Score:
    """Of one output: PESQ …, T60 left (s), C50 (dB), and its energy response."""

    system: str
    values: Mapping[str, float]
    response: Float[Tensor, " lags"]


def read_speech(corpus: Path, split: str, count: int) -> Signals:
    """The first five seconds of the first utterances of a split that are long enough."""
    found: list[Tensor] = []
    for utterance in read_manifest(corpus / "manifest.jsonl"):
        if utterance.split == split and len(found) < count:
            waveform = read_audio(corpus / utterance.path, RATE).waveform
            if len(waveform) >= SAMPLES:
                found.append(waveform[:SAMPLES])
    if len(found) < count:
        raise VocoderError(f"{corpus}: split {split} has {len(found)} utterances of 5 s")
    return torch.stack(found)


def shipped() -> SourceFilter:
    """The source-filter model as it is shipped."""
    return cast(SourceFilter, load("source_filter_16k"))


def choose(dry: Signals, rooms: Iterable[Tensor], speech: Signals) -> Chosen:
    """Every system's best settings by mean STOI, on common utterances and rooms."""
    wets = [fft_convolve(dry, room) for room in rooms]
    vocoder = shipped()
    cepstra = _cepstra(speech, CEPSTRUM_GRID)

    def best(grid: Iterable[S], process: Callable[[S, Signals], Signals]) -> tuple[float, S]:
        tried = [
            (statistics.mean(_mean_stoi(dry, process(settings, wet)) for wet in wets), settings)
            for settings in grid
        ]
        return max(tried, key=lambda pair: pair[0])

    wpe = best(WPE_GRID, wpe_of)
    cepstrum = best(CEPSTRUM_GRID, lambda s, wet: homomorphic_of(s, wet, cepstra))
    powers = best(POWER_GRID, lambda s, wet: model.fit(vocoder, wet, s).dry)
    steps = [
        replace(
            powers[1],
            waveform_steps=WAVEFORM_STEPS,
            waveform_sparseness=sparseness,
            step=step,
        )
        for sparseness, step in WAVEFORM_GRID
    ]
    waveform = best(steps, lambda s, wet: model.fit(vocoder, wet, s).dry)
    scores = {
        "wpe": wpe[0],
        "cepstrum": cepstrum[0],
        "powers": powers[0],
        "waveform": waveform[0],
    }
    return Chosen(wpe[1], cepstrum[1], powers[1], waveform[1], scores)


def contest(
    dry: Signals, room: Float[Tensor, " taps"], speech: Signals, chosen: Chosen
) -> tuple[list[Score], model.Fitted]:
    """All systems in one room, scored against the dry recordings, and the learned room."""
    wet = fft_convolve(dry, room)
    vocoder = shipped()
    samples = dry.shape[1]
    fitted = model.fit(vocoder, wet, chosen.waveform)
    cepstra = _cepstra(speech, (chosen.cepstrum,))
    outputs = {
        "reverberant": wet,
        "reverberant, resynthesised": model.resynthesise(vocoder, vocoder.spec.mel(wet), samples),
        "homomorphic": homomorphic_of(chosen.cepstrum, wet, cepstra),
        "WPE (nara_wpe)": wpe_of(chosen.wpe, wet),
        "model, fitted in powers": model.fit(vocoder, wet, chosen.powers).dry,
        "model, fitted to the waveform": fitted.dry,
    }
    return _scores(dry, outputs), fitted


def bounds(dry: Signals) -> list[Score]:
    """Upper bounds: the dry recordings, and the model on their mels."""
    vocoder = shipped()
    resynthesised = model.resynthesise(vocoder, vocoder.spec.mel(dry), dry.shape[1])
    return _scores(dry, {"dry, resynthesised": resynthesised, "dry": dry})


def _scores(dry: Signals, outputs: Mapping[str, Signals]) -> list[Score]:
    return [
        score(system, reference, output)
        for system, signals in outputs.items()
        for reference, output in zip(dry, signals, strict=True)
    ]


def score(system: str, dry: Tensor, output: Tensor) -> Score:
    """One output against its dry recording.

    Raises:
        VocoderError: a metric that is not a number.
    """
    values = {}
    for column in resolve_columns(METRICS):
        values[column.name] = column.value(column.measure(dry, output, RATE))
    response = energy_response(dry, output)
    values["t60_s"] = reverberation_time(response, STEP_S, bottom_db=BOTTOM_DB)
    values["c50_db"] = early_to_late_db(response, STEP_S)
    for name, value in values.items():
        if not torch.isfinite(torch.tensor(value)):
            raise VocoderError(f"{system}: {name} is {value}")
    return Score(system, values, response)


def wpe_of(settings: classical.WpeSettings, wet: Signals) -> Signals:
    """WPE on each signal by itself."""
    return torch.stack([classical.weighted_prediction_error(x, settings) for x in wet])


def homomorphic_of(
    settings: classical.CepstrumSettings,
    wet: Signals,
    cepstra: Mapping[tuple[int, float], Tensor],
) -> Signals:
    """Homomorphic deconvolution on each signal by itself."""
    speech = cepstra[settings.segment, settings.fall]
    return torch.stack([classical.homomorphic(x, speech, settings) for x in wet])


def _cepstra(
    speech: Signals, grid: Iterable[classical.CepstrumSettings]
) -> dict[tuple[int, float], Tensor]:
    """The speaker's mean cepstrum for every segment setting."""
    kinds = {(s.segment, s.fall) for s in grid}
    return {kind: classical.mean_cepstrum(speech, *kind) for kind in kinds}


def _mean_stoi(dry: Signals, output: Signals) -> float:
    return statistics.mean(stoi(x, y, RATE).stoi for x, y in zip(dry, output, strict=True))
