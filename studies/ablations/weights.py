"""Two sets of weights on speakers that neither was trained on: is one better?

    python -m studies.ablations.weights universal vocoder/weights/next/universal
        --speech data/many_voices/manifest.jsonl --output studies/ablations/weights.json

One utterance each, cut to 5 s, from Vocos's mel, four passes of the projection and the low band,
the same two draws of noise. Prints means, and the second's less the first's with 95 % intervals
over the speakers.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

import vocoder
from studies.ablations.speech import METRIC_NAMES, held_out, read_utterances, score
from studies.ablations.trained import difference
from studies.scores import Scores, write_model
from studies.scripts import run, table
from vocoder.config import Config

NOISES = (0, 1)
PASSES = 4


class Comparison(Config):
    """Scores by weights, each the mean over `NOISES`."""

    scores: dict[str, Scores]


def compare(weights: list[str], speech: Path) -> Comparison:
    """Scores of the speakers whom the recipe of `universal` holds out."""
    utterances = read_utterances(speech, held_out("universal"))
    scores = {}
    for name in weights:
        model = vocoder.load(name)
        rows = []
        for utterance in track(utterances, name):
            recording = utterance.at(model.sample_rate)
            with torch.inference_mode():
                mel = model.mel(recording)
                copies = [
                    model(
                        mel,
                        mel_projection=PASSES,
                        low_band_projection=PASSES,
                        generator=torch.Generator().manual_seed(noise),
                    )
                    for noise in NOISES
                ]
            scored = [score(recording, copy, model.sample_rate) for copy in copies]
            rows.append([np.mean([one[metric] for one in scored]) for metric in METRIC_NAMES])
        scores[name] = Scores(
            utterances=tuple(utterance.name for utterance in utterances),
            values={
                metric: tuple(round(float(row[column]), 4) for row in rows)
                for column, metric in enumerate(METRIC_NAMES)
            },
        )
    return Comparison(scores=scores)


def lines(comparison: Comparison) -> str:
    """The table."""
    (first, one), (second, other) = comparison.scores.items()
    rows = [["weights", *METRIC_NAMES]]
    for name, scores in ((first, one), (second, other)):
        rows.append(
            [name, *(f"{np.mean(np.array(scores.values[m], float)):.3f}" for m in METRIC_NAMES)]
        )
    rows.append(["difference", *(difference(other, one, metric) for metric in METRIC_NAMES)])
    return table(rows)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", nargs=2)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    comparison = compare(options.weights, options.speech)
    write_model(options.output, comparison)
    print(lines(comparison))


if __name__ == "__main__":
    run(main)
