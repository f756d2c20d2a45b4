"""Two sets of weights beside each other: the table, and the scores that are kept."""

import sys

import numpy as np
import pytest

from studies.ablations.speech import METRIC_NAMES, held_out
from studies.ablations.weights import (
    KEPT,
    Comparison,
    all_together,
    between,
    lines,
    main,
)
from studies.scores import Scores, read_model, write_model
from vocoder.errors import VocoderError


def scores(shift: float) -> Scores:
    values = shift + np.array([3.0, 3.5, 4.0])
    return Scores(
        utterances=("a", "b", "c"), values=dict.fromkeys(METRIC_NAMES, tuple(values.tolist()))
    )


def test_the_difference_is_the_second_less_the_first():
    rows = lines(Comparison(scores={"old": scores(0.0), "new": scores(0.25)})).splitlines()
    assert rows[2].startswith("| old | 3.500 |")
    assert rows[3].startswith("| new | 3.750 |")
    assert rows[4].startswith("| difference | +0.250 ± 0.000 |")


def test_other_passes_are_said():
    kept = Comparison(mel="speecht5_16k", passes=0, scores={"a": scores(0.0), "b": scores(0.0)})
    assert lines(kept).startswith("| weights, speecht5_16k, mel_projection=0 |")


def test_the_second_weights_of_two_comparisons():
    one = Comparison(scores={"old": scores(0.0), "new": scores(0.25)})
    other = Comparison(passes=1, scores={"old": scores(5.0), "new": scores(0.5)})
    rows = lines(between(one, other)).splitlines()
    assert rows[2].startswith("| new | 3.750 |")
    assert rows[3].startswith("| new, mel_projection=1 | 4.000 |")
    assert rows[4].startswith("| difference | +0.250 ± 0.000 |")
    with pytest.raises(VocoderError, match="different mels"):
        between(one, other.model_copy(update={"mel": "speecht5_16k"}))
    with pytest.raises(VocoderError, match="both comparisons are of new"):
        between(one, one)


def test_the_difference_of_all_is_the_mean_over_comparisons():
    pair = [Comparison(scores={"old": scores(0.0), "new": scores(by)}) for by in (0.25, 0.5)]
    assert "| difference | +0.375 ± 0.000 |" in all_together(pair)


def test_comparisons_of_another_folder(tmp_path, monkeypatch, capsys):
    comparison = Comparison(scores={"old": scores(0.0), "new": scores(0.25)})
    write_model(tmp_path / "one.json", comparison)
    monkeypatch.setattr(sys, "argv", ["weights", "tables", str(tmp_path)])
    main()
    assert lines(comparison) in capsys.readouterr().out
    # A second attempt from the same weights: no mean of the two.
    write_model(tmp_path / "two.json", comparison)
    main()
    assert all_together([comparison, comparison]) not in capsys.readouterr().out
    (tmp_path / "two.json").unlink()
    (tmp_path / "one.json").unlink()
    with pytest.raises(SystemExit):
        main()
    assert "holds no comparison" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["universal", "nano", "low_latency"])
def test_the_scores_that_are_kept_are_of_all_held_out_speakers(name):
    comparison = read_model(Comparison, KEPT / f"{name}.json")
    assert list(comparison.scores) == [f"{name} at aea2054", f"{name} in step"]
    for kept in comparison.scores.values():
        assert list(kept.utterances) == list(held_out("universal"))
