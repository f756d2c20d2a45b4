"""Draws of noise: how far apart are scores of copies that differ by nothing else?

    python -m studies.ablations.draws --speech data/many_voices/manifest.jsonl

Keeps the scores in `studies/ablations/draws.json` and renews the table of RESULTS.md.

Speakers that were not trained on, one utterance each, cut to 5 s, from each of `MELS`, with
`DRAWS` seeds of the noise. Two copies differ in the noise, and in phases that follow from it.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

import vocoder
from studies.ablations.speech import (
    METRIC_NAMES,
    by_metric,
    copy_with,
    held_out_utterances,
    renew_results,
    scores_of,
    study_parser,
    values_of,
)
from studies.scores import Scores, write_model
from studies.scripts import run, table
from vocoder.config import Config

KEPT = Path(__file__).with_suffix(".json")
MELS = ("vocos_24k", "speecht5_16k")
DRAWS = 6


class Draws(Config):
    """Scores by mel, one `Scores` for each draw."""

    weights: str
    scores: dict[str, tuple[Scores, ...]]


def within(values: Float[np.ndarray, "draws utterances"]) -> float:
    """Standard deviation over draws of one utterance: √ of the mean of the variances.

    >>> within(np.array([[3.0, 2.0], [3.0, 4.0]]))
    1.0
    """
    return float(np.sqrt(values.var(axis=0, ddof=1).mean()))


def largest(values: Float[np.ndarray, "draws utterances"]) -> float:
    """The largest distance between two draws of one utterance.

    >>> largest(np.array([[3.0, 2.0], [3.0, 4.0]]))
    2.0
    """
    return float(np.ptp(values, axis=0).max())


def lines(found: Draws) -> str:
    """Mean, spread within and between utterances, largest distance, by mel and metric."""
    rows = [["mel", "metric", "mean", "SD over draws", "its median", "SD over speakers",
             "largest distance"]]  # fmt: skip
    for mel, draws in found.scores.items():
        for metric in METRIC_NAMES:
            values = np.stack([values_of(scores, metric) for scores in draws])
            numbers = (
                values.mean(),
                within(values),
                float(np.median(values.std(axis=0, ddof=1))),
                float(values.mean(axis=0).std(ddof=1)),
                largest(values),
            )
            rows.append([mel, metric, *(f"{number:.3f}" for number in numbers)])
    return table(rows)


def main() -> None:
    """Measure, keep, and renew the table."""
    options = study_parser(__doc__).parse_args()
    utterances = held_out_utterances(options)
    scores = {}
    for mel in MELS:
        model = vocoder.load(options.weights).for_mel(mel)
        draws = [copy_with(model, noise_seed=seed) for seed in range(DRAWS)]
        rows = [scores_of(utterances, model.sample_rate, speak) for speak in draws]
        scores[mel] = tuple(by_metric(utterances, each) for each in rows)
        print(f"{mel}: measured", flush=True)
    found = Draws(weights=options.weights, scores=scores)
    write_model(KEPT, found)
    renew_results("draws", lines(found))
    print(lines(found))


if __name__ == "__main__":
    run(main)
