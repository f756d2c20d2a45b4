"""Two sets of weights on speakers that neither was trained on: is one better?

    python -m studies.ablations.weights compare "nano at COMMIT=FOLDER" nano
        --speech data/many_voices/manifest.jsonl
        --output studies/ablations/weights_compared/nano.json [--mel speecht5_16k] [--passes 0]
    python -m studies.ablations.weights tables [FOLDER]
    python -m studies.ablations.weights between ONE.json OTHER.json

Weights are a name or a folder, with a label for the table and an equals sign before it or without.

One utterance each, cut to 5 s, from Vocos's mel or another, with the passes of the projection that
the config of the weights says or as many as asked for (and then none in the low band; 0 leaves what
the networks say), the same two draws of noise. Prints means, and the second's less the
first's with 95 % intervals over the speakers; `between` those of the second weights of two
comparisons that were kept, and `tables` those of every one in a
folder, `studies/ablations/weights_compared` if none is named, and, unless they start from the same
weights, the mean difference of all.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import vocoder
from studies.ablations.speech import (
    METRIC_NAMES,
    by_metric,
    copy_with,
    difference,
    held_out,
    labelled,
    read_utterances,
    scores_of,
)
from studies.scores import Scores, read_model, write_model
from studies.scripts import run, table
from vocoder.config import Config
from vocoder.errors import VocoderError

KEPT = Path(__file__).with_name("weights_compared")
NOISES = (0, 1)


class Comparison(Config):
    """Scores by weights, each the mean over `NOISES`, the mel, and the passes of its projection
    where they are not those of the config."""

    mel: str = "vocos_24k"
    passes: int | None = None
    scores: dict[str, Scores]


def compare(weights: list[str], speech: Path, mel: str, passes: int | None = None) -> Comparison:
    """Scores of the speakers whom the recipe of `universal` holds out."""
    ways: dict[int | None, dict[str, Any]] = {None: {}, 0: {"meets": "nothing"}}
    way = ways.get(passes, {"mel_projection": passes, "low_band_projection": 0})
    utterances = read_utterances(speech, held_out("universal"))
    scores = {}
    for each in weights:
        label, name = labelled(each)
        model = vocoder.load(name).for_mel(mel)
        copies = [copy_with(model, noise_seed=seed, **way) for seed in NOISES]
        draws = [scores_of(utterances, model.sample_rate, speak) for speak in copies]
        rows = [
            {metric: sum(row[metric] for row in same) / len(NOISES) for metric in METRIC_NAMES}
            for same in zip(*draws, strict=True)
        ]
        scores[label] = by_metric(utterances, rows)
    return Comparison(mel=mel, passes=passes, scores=scores)


def lines(comparison: Comparison) -> str:
    """The table."""
    (first, one), (second, other) = comparison.scores.items()
    rows = [[f"weights, {comparison.mel}{_with_passes(comparison)}", *METRIC_NAMES]]
    for name, scores in ((first, one), (second, other)):
        rows.append(
            [name, *(f"{np.mean(np.array(scores.values[m], float)):.3f}" for m in METRIC_NAMES)]
        )
    rows.append(["difference", *(difference(other, one, metric) for metric in METRIC_NAMES)])
    return table(rows)


def between(one: Comparison, other: Comparison) -> Comparison:
    """The second weights of both, in place of both with what they were compared with.

    Raises:
        VocoderError: other mels or speakers.
    """
    scores = [list(comparison.scores.values())[1] for comparison in (one, other)]
    if one.mel != other.mel or scores[0].utterances != scores[1].utterances:
        raise VocoderError("the comparisons are of different mels or speakers")
    labels = [f"{list(each.scores)[1]}{_with_passes(each)}" for each in (one, other)]
    if labels[0] == labels[1]:
        raise VocoderError(f"both comparisons are of {labels[0]}")
    return Comparison(mel=one.mel, scores=dict(zip(labels, scores, strict=True)))


def _with_passes(comparison: Comparison) -> str:
    return "" if comparison.passes is None else f", mel_projection={comparison.passes}"


def all_together(comparisons: Sequence[Comparison]) -> str:
    """The mean of several comparisons: each speaker's difference is the mean over all of them."""
    old, new = zip(*(comparison.scores.values() for comparison in comparisons), strict=True)
    return table([
        ["", *METRIC_NAMES],
        ["difference", *(difference(_mean(new), _mean(old), metric) for metric in METRIC_NAMES)],
    ])  # fmt: skip


def _mean(scores: Sequence[Scores]) -> Scores:
    values = {
        metric: np.mean([np.array(each.values[metric], float) for each in scores], axis=0)
        for metric in METRIC_NAMES
    }
    kept = {metric: tuple(map(float, rows)) for metric, rows in values.items()}
    return Scores(utterances=scores[0].utterances, values=kept)


def main() -> None:
    """Compare and print, or print what was kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    stages = parser.add_subparsers(dest="stage", required=True)
    listing = stages.add_parser("tables")
    listing.add_argument("kept", type=Path, nargs="?", default=KEPT)
    pairing = stages.add_parser("between")
    pairing.add_argument("kept", type=Path, nargs=2, metavar="FILE")
    comparing = stages.add_parser("compare")
    comparing.add_argument("weights", nargs=2)
    comparing.add_argument("--speech", type=Path, required=True)
    comparing.add_argument("--mel", default="vocos_24k", help="preset")
    comparing.add_argument("--passes", type=int, help="of the mel projection")
    comparing.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.stage == "compare":
        comparison = compare(options.weights, options.speech, options.mel, options.passes)
        write_model(options.output, comparison)
        print(lines(comparison))
        return
    if options.stage == "between":
        print(lines(between(*(read_model(Comparison, path) for path in options.kept))))
        return
    kept = [read_model(Comparison, path) for path in sorted(options.kept.glob("*.json"))]
    if not kept:
        parser.error(f"{options.kept} holds no comparison")
    print("\n".join(map(lines, kept)))
    if len({next(iter(comparison.scores)) for comparison in kept}) == len(kept):
        print(all_together(kept))  # attempts from the same weights have no mean


if __name__ == "__main__":
    run(main)
