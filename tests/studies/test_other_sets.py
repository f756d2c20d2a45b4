"""Other sets of recordings: what `--add` replaces and refuses, and the table in the repository."""

import pytest

from studies.conventions import FOLDER
from studies.other_sets import KEY, PATH, added, as_text, results_table
from studies.scores import read_csv
from vocoder.errors import VocoderError

KEPT = read_csv(PATH)


def evaluated(system: str, **scores: str) -> dict[str, str]:
    """A line as `vocoder evaluate` writes it."""
    return {"system": system, "utterance": "one", "speaker": "", "duration_s": "2", **scores}


def test_the_table_is_that_of_the_scores():
    assert results_table(KEPT) in (FOLDER / "RESULTS.md").read_text(encoding="utf-8")
    assert as_text(KEPT) == PATH.read_text(encoding="utf-8")


def test_new_scores_replace_those_of_the_same_set_mel_and_system_alone():
    key = ("asterisk_it", "speecht5_16k", "universal")
    lines = added(KEPT, key, [evaluated("universal", pesq="3.14159", mstft="0.9")])
    (mine,) = (line for line in lines if tuple(line[field] for field in KEY) == key)
    assert (mine["pesq"], mine["mstft"], mine["distillmos"]) == ("3.1416", "0.9000", "")
    others = [line for line in KEPT if tuple(line[field] for field in KEY) != key]
    assert [line for line in lines if line is not mine] == others
    assert "| `speecht5_16k` | universal | 1 | 3.14 [–, –] | 0.900 [–, –] | – | – |" in (
        results_table(lines)
    )


def test_what_is_unknown_is_refused():
    lines = [evaluated("universal", pesq="3")]
    with pytest.raises(VocoderError, match=r"there are sets fargan_ptdb, .*, systems universal"):
        added(KEPT, ("asterisk_de", "speecht5_16k", "universal"), lines)
    with pytest.raises(VocoderError, match="systems a, b; evaluate one alone"):
        added(KEPT, ("asterisk_it", "x", "universal"), [evaluated("a"), evaluated("b")])
