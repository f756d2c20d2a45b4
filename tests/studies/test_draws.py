"""Draws of noise: the table of what was kept, and numbers whose spread is known."""

import re

from studies.ablations.draws import DRAWS, KEPT, MELS, Draws, lines
from studies.ablations.speech import METRIC_NAMES, RESULTS
from studies.scores import Scores, read_model


def test_the_table_is_that_of_the_scores_that_are_kept():
    found = read_model(Draws, KEPT)
    assert {mel: len(draws) for mel, draws in found.scores.items()} == dict.fromkeys(MELS, DRAWS)
    assert lines(found) in RESULTS.read_text(encoding="utf-8")


def test_a_spread_over_draws_is_not_one_over_speakers():
    def draw(*values: float) -> Scores:
        return Scores(utterances=("a", "b", "c"), values=dict.fromkeys(METRIC_NAMES, values))

    draws = (draw(1.0, 2.0, 3.0), draw(1.0, 2.0, 5.0))
    row = lines(Draws(weights="universal", scores={"a mel": draws})).splitlines()[2]
    numbers = [float(cell) for cell in re.findall(r"\d+\.\d+", row)]
    # Means 1, 2, 4 by speaker; variances 0, 0, 2 by draw.
    assert numbers == [2.333, 0.816, 0.0, 1.528, 2.0]
