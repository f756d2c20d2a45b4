"""Regions of time and frequency: where must a copy be the recording to be as natural?

    python -m studies.ablations.regions --speech data/many_voices/manifest.jsonl --every 2

Keeps the scores in `studies/ablations/regions.json` and renews the table of RESULTS.md.

Speakers that were not trained on, one utterance each, cut to 5 s, from Vocos's mel. The short-time
spectrum of the finished copy, Hann windows of 21 ms every 5.3 ms, is the recording's within a
region, and the copy's elsewhere; or has the magnitudes of one and the phases of the other. Voiced
is what Praat finds voiced in the recording.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor
from torch.nn.functional import max_pool1d

import vocoder
from studies.ablations.speech import (
    METRIC_NAMES,
    by_metric,
    copy_with,
    difference,
    held_out_utterances,
    renew_results,
    scores_of,
    study_parser,
)
from studies.scores import Scores, write_model
from studies.scripts import run, table
from vocoder.config import Config
from vocoder.dsp.framing import fit_length
from vocoder.features.pitch import extract_pitch
from vocoder.models.base import Vocoder

KEPT = Path(__file__).with_suffix(".json")
MEL, WINDOW, HOP = "vocos_24k", 512, 128
EDGE = 4
"""Windows to either side of a change between voiced and unvoiced: 21 ms."""

Region = Callable[[Bool[Tensor, " windows"], Float[Tensor, "bins one"]], Tensor]
"""From voicing of the windows and frequencies in Hz to what is the recording's."""


class Regions(Config):
    """Scores by region."""

    weights: str
    scores: dict[str, Scores]


def near_changes(voiced: Bool[Tensor, " windows"]) -> Bool[Tensor, " windows"]:
    """Windows at most `EDGE` from a change.

    >>> near_changes(torch.arange(20) > 9).nonzero()[:, 0].tolist()
    [6, 7, 8, 9, 10, 11, 12, 13]
    """
    changes = torch.zeros(len(voiced) + 1)
    changes[1:-1] = (voiced[1:] != voiced[:-1]).float()
    near = max_pool1d(changes[None, None], 2 * EDGE, 1, EDGE)[0, 0]
    return near[1 : len(voiced) + 1] > 0


REGIONS: dict[str, Region] = {
    "nothing": lambda voiced, hertz: (hertz < 0) & voiced,
    "unvoiced": lambda voiced, hertz: (hertz >= 0) & ~voiced,
    "voiced": lambda voiced, hertz: (hertz >= 0) & voiced,
    "voiced, below 1 kHz": lambda voiced, hertz: (hertz < 1000) & voiced,
    "voiced, 1 to 2 kHz": lambda voiced, hertz: (hertz >= 1000) & (hertz < 2000) & voiced,
    "voiced, 2 to 4 kHz": lambda voiced, hertz: (hertz >= 2000) & (hertz < 4000) & voiced,
    "voiced, 1 to 4 kHz": lambda voiced, hertz: (hertz >= 1000) & (hertz < 4000) & voiced,
    "voiced, above 4 kHz": lambda voiced, hertz: (hertz >= 4000) & voiced,
    "within 21 ms of a change of voicing": lambda voiced, hertz: (
        (hertz >= 0) & near_changes(voiced)
    ),
    "unvoiced, further from it": lambda voiced, hertz: (
        (hertz >= 0) & ~voiced & ~near_changes(voiced)
    ),
    "voiced, further from it": lambda voiced, hertz: (hertz >= 0) & voiced & ~near_changes(voiced),
    "everything": lambda voiced, hertz: (hertz >= 0) & (voiced | ~voiced),
}


def spectrum(waveform: Float[Tensor, "1 samples"]) -> Complex[Tensor, "bins windows"]:
    """Short-time spectrum of a waveform."""
    window = torch.hann_window(WINDOW)
    return torch.stft(waveform, WINDOW, HOP, window=window, return_complex=True)[0]


def waveform_of(
    values: Complex[Tensor, "bins windows"], samples: int
) -> Float[Tensor, "1 samples"]:
    """The waveform whose spectrum is nearest."""
    return torch.istft(values, WINDOW, HOP, window=torch.hann_window(WINDOW), length=samples)[None]


def mixtures(model: Vocoder) -> dict[str, Callable[[Tensor], Tensor]]:
    """From a recording to its copy, by what is the recording's."""
    copy = copy_with(model)
    hertz = torch.linspace(0, model.sample_rate / 2, WINDOW // 2 + 1)[:, None]

    def pair(recording: Tensor) -> tuple[Tensor, Tensor]:
        return spectrum(recording), spectrum(fit_length(copy(recording), recording.shape[1]))

    def within(region: Region) -> Callable[[Tensor], Tensor]:
        def speak(recording: Tensor) -> Tensor:
            true, own = pair(recording)
            windows = true.shape[1]
            pitch = extract_pitch(recording[0], model.sample_rate, HOP, windows, 0)
            voiced = pitch.voicing > 0
            mixed = torch.where(region(voiced, hertz), true, own)
            return waveform_of(mixed, recording.shape[1])

        return speak

    def magnitudes(recording: Tensor) -> Tensor:
        true, own = pair(recording)
        return waveform_of(torch.polar(true.abs(), own.angle()), recording.shape[1])

    def phases(recording: Tensor) -> Tensor:
        true, own = pair(recording)
        return waveform_of(torch.polar(own.abs(), true.angle()), recording.shape[1])

    rows = {name: within(region) for name, region in REGIONS.items()}
    return rows | {"magnitudes everywhere": magnitudes, "phases everywhere": phases}


def lines(found: Regions) -> str:
    """Means of every row, and Distill-MOS less that of the copy, with 95 % intervals."""
    rows = [["the recording's", "PESQ-WB", "M-STFT", "V/UV error", "Distill-MOS",
             "Distill-MOS less the copy's"]]  # fmt: skip
    base = found.scores["nothing"]
    for name, scores in found.scores.items():
        pesq, mstft, voicing, mos = (
            np.mean(np.array(scores.values[metric], float)) for metric in METRIC_NAMES
        )
        rows.append([
            name, f"{pesq:.3f}", f"{mstft:.3f}", f"{100 * voicing:.1f} %", f"{mos:.3f}",
            "–" if name == "nothing" else difference(scores, base, "distillmos"),
        ])  # fmt: skip
    return table(rows)


def main() -> None:
    """Measure, keep, and renew the table."""
    options = study_parser(__doc__).parse_args()
    utterances = held_out_utterances(options)
    model = vocoder.load(options.weights).for_mel(MEL)
    scores = {}
    for name, speak in mixtures(model).items():
        scores[name] = by_metric(utterances, scores_of(utterances, model.sample_rate, speak))
        print(name, flush=True)
    found = Regions(weights=options.weights, scores=scores)
    write_model(KEPT, found)
    renew_results("regions", lines(found))


if __name__ == "__main__":
    run(main)
