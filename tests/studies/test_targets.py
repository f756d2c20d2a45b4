"""Targets: verdicts, where scores come from, and the table that stands in the repository."""

import pytest

from studies.targets import AIMS, OTHER, PAGE, Aim, targets_table, values, verdict
from vocoder.errors import VocoderError


@pytest.mark.parametrize(
    ("mean", "target", "metric", "expected"),
    [
        (4.1, 4.1, "pesq", "met"),
        (4.05, 4.1, "pesq", "within the interval"),
        (3.9, 4.1, "pesq", "missed"),
        (0.7, 0.71, "mstft", "met"),
        (0.75, 0.71, "mstft", "within the interval"),
        (0.9, 0.71, "mstft", "missed"),
    ],
)
def test_verdicts(mean, target, metric, expected):
    assert verdict(mean, mean - 0.06, mean + 0.06, target, metric) == expected


def test_other_sets_are_read_by_name_and_mel():
    for aim in (each for each in AIMS if each.source == OTHER):
        assert len(values(aim, "pesq")) >= 10
        with pytest.raises(VocoderError, match="no scores of"):
            values(Aim(aim.recordings, OTHER, "hifigan_22k", {}), "pesq")


def test_the_table_is_that_of_the_scores():
    assert targets_table() in PAGE.read_text(encoding="utf-8")
