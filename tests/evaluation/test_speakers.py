"""Speakers from folders, manifests and CSVs, and the means by speaker."""

from pathlib import Path

import pytest

from vocoder.data.manifest import Utterance, write_manifest
from vocoder.errors import VocoderError
from vocoder.evaluation.pairs import Row
from vocoder.evaluation.registry import resolve_columns
from vocoder.evaluation.speakers import speakers_of
from vocoder.evaluation.summary import summarise


def manifest(path: Path, entries: dict[str, str]) -> Path:
    write_manifest(path, [
        Utterance(path=Path(name), speaker=speaker, split="test", duration_s=1.0, licence="none")
        for name, speaker in entries.items()
    ])  # fmt: skip
    return path


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_the_folder_is_the_speaker():
    names = ["one", "p225/p225_001", "a/b/two"]
    assert speakers_of(names) == {"one": "", "p225/p225_001": "p225", "a/b/two": "a/b"}


def test_a_manifest_is_matched_from_the_end_of_its_paths(tmp_path):
    file = manifest(
        tmp_path / "manifest.jsonl",
        {"wavs/test/p225/001.wav": "Ann", "wavs/test/p226/001.wav": "Bob", "two.flac": "Cy"},
    )
    names = ["p225/001", "test/p226/001", "deep/er/two"]
    assert list(speakers_of(names, file).values()) == ["Ann", "Bob", "Cy"]


def test_part_of_a_name_is_no_match(tmp_path):
    file = manifest(tmp_path / "manifest.jsonl", {"wavs/x001.wav": "Ann", "b/p5/001.wav": "Bob"})
    for name in ("001x", "25/001", "wavs/y/x001"):
        with pytest.raises(VocoderError, match=r"no speaker for 1 of 1 utterances"):
            speakers_of([name], file)


def test_names_that_fit_two_speakers_are_refused(tmp_path):
    file = manifest(tmp_path / "m.jsonl", {"a/001.wav": "Ann", "b/001.wav": "Bob"})
    with pytest.raises(VocoderError, match="'001' fits lines of Ann and Bob"):
        speakers_of(["001"], file)
    same = manifest(tmp_path / "n.jsonl", {"a/001.wav": "Ann", "b/001.wav": "Ann"})
    assert speakers_of(["001"], same) == {"001": "Ann"}


def test_a_csv_may_leave_a_speaker_empty_and_hold_more(tmp_path):
    file = written(
        tmp_path / "who.csv",
        "\ufeffspeaker,utterance,remark\nAnn,p/one,\n,two,unknown\nBob,three.take2,\n",
    )
    names = ["p/one", "two", "x/three.take2"]
    assert speakers_of(names, file) == {"p/one": "Ann", "two": "", "x/three.take2": "Bob"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,who\na,b\n", "no column 'speaker'"),
        ("utterance,speaker\na\n", ":2: not as many cells"),
        ("utterance,speaker\n,Ann\n", ":2: an utterance is needed"),
        ("utterance,speaker\nother,Ann\n", "no speaker for 1 of 1 utterances, such as 'one'"),
    ],
)
def test_a_bad_csv_says_what_is_wrong(tmp_path, text, said):
    file = written(tmp_path / "who.csv", text)
    with pytest.raises(VocoderError, match=said) as caught:
        speakers_of(["one"], file)
    assert str(file) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    for name in ("nowhere.csv", "nowhere.jsonl"):
        with pytest.raises(VocoderError, match=name):
            speakers_of(["one"], tmp_path / name)


def test_means_by_speaker():
    columns = resolve_columns(["pesq", "mstft"])
    cells = {
        ("a", "u1", "Ann"): (3.0, 1.0),
        ("a", "u2", "Bob"): (2.0, None),
        ("a", "u3", "Ann"): (4.0, None),
        ("b", "u1", "Ann"): (1.0, 2.0),
    }
    rows = [
        Row(system, name, 1.0, {"pesq": pesq, "mstft": mstft}, speaker=speaker)
        for (system, name, speaker), (pesq, mstft) in cells.items()
    ]
    summary = summarise(rows, columns, {"b": "b", "a": "a"}, "r", "", 50, 0)
    found = [(s.speaker, s.system, s.metric, s.mean, s.n) for s in summary.speakers]
    assert found == [
        ("Ann", "b", "pesq", 1.0, 1),
        ("Ann", "b", "mstft", 2.0, 1),
        ("Ann", "a", "pesq", 3.5, 2),
        ("Ann", "a", "mstft", 1.0, 1),
        ("Bob", "b", "pesq", None, 0),
        ("Bob", "b", "mstft", None, 0),
        ("Bob", "a", "pesq", 2.0, 1),
        ("Bob", "a", "mstft", None, 0),
    ]
    nobody = [Row("a", "u1", 1.0, {"pesq": 3.0, "mstft": 1.0})]
    assert summarise(nobody, columns, {"a": "a"}, "r", "", 50, 0).speakers == ()
