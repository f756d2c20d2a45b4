"""One set of our weights less another on the published pages, utterance by utterance.

    python -m studies.published.changes studies/published/scores/ours/{OLD,NEW}.json

Mean over all utterances of all pages that both were scored on, ± 1.96 standard errors, at 16 kHz.
"""

import argparse
from pathlib import Path

from studies.conventions import METRICS
from studies.other_sets import SHOWN
from studies.published.measure import OwnScores
from studies.scores import change_cell, read_model
from studies.scripts import run, table
from vocoder.errors import VocoderError


def changes(old: OwnScores, new: OwnScores, metric: str) -> list[float]:
    """New less old, one number per utterance that both have a score of."""
    found = []
    for page in sorted(old.pages.keys() & new.pages.keys()):
        before, after = (
            dict(zip(scores.utterances, scores.values[metric], strict=True))
            for scores in (old.pages[page].common, new.pages[page].common)
        )
        for utterance, value in after.items():
            earlier = before.get(utterance)
            if value is not None and earlier is not None:
                found.append(value - earlier)
    return found


def changes_table(old: OwnScores, new: OwnScores) -> str:
    """A row per metric.

    Raises:
        VocoderError: the scores are of different mels, or have fewer than two utterances in common.
    """
    if old.mel_preset != new.mel_preset:
        raise VocoderError(
            f"{old.label} was scored from {old.mel_preset}, {new.label} from {new.mel_preset}; "
            "compare scores from one mel"
        )
    rows = [["metric", "utterances", f"{_named(new)} less {_named(old)}"]]
    for metric in SHOWN:
        heading, decimals, factor = METRICS[metric]
        found = [factor * change for change in changes(old, new, metric)]
        if len(found) < 2:
            raise VocoderError(f"{len(found)} utterances have both scores of {metric}: too few")
        rows.append([heading, str(len(found)), change_cell(found, decimals + 1)])
    return table(rows)


def _named(scores: OwnScores) -> str:
    return f"{scores.label} ({scores.weights_sha256[:7]})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scores", type=Path, nargs=2, help="of the older and the newer weights")
    old, new = (read_model(OwnScores, path) for path in parser.parse_args().scores)
    print(changes_table(old, new), end="")


if __name__ == "__main__":
    run(main)
