"""Manifests: round trip, and bad lines are named."""

from pathlib import Path

import pytest

from vocoder.data.manifest import Utterance, read_manifest, write_manifest
from vocoder.errors import CorpusError

LINE = '{"path":"a.wav","speaker":"s","split":"train","duration_s":1.5,"licence":"CC0"}'


def test_round_trip_keeps_order_and_values(tmp_path: Path):
    utterances = [
        Utterance(
            path=Path("wavs", f"{n}.wav"),
            speaker="ß",
            split=split,
            duration_s=1 / 3,
            licence="CC BY 4.0",
        )
        for n, split in [(2, "train"), (1, "test"), (3, "test-other")]
    ]
    write_manifest(tmp_path / "sub" / "manifest.jsonl", utterances)
    assert read_manifest(tmp_path / "sub" / "manifest.jsonl") == utterances
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["manifest.jsonl"]


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (LINE.replace("1.5", "0"), "duration_s: Input should be greater than 0"),
        (LINE.replace('"speaker":"s",', ""), "speaker: Field required"),
        (LINE.replace("licence", "license"), "licen[cs]e: "),
        (LINE.replace('"train"', '"Train set"'), "split: "),
        (LINE[:-5], "the line: Invalid JSON"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, bad: str, complaint: str):
    path = tmp_path / "manifest.jsonl"
    path.write_text(f"{LINE}\n\n{bad}\n")
    with pytest.raises(CorpusError, match=rf"manifest\.jsonl:3: {complaint}"):
        read_manifest(path)


def test_missing_empty_binary_and_doubled(tmp_path: Path):
    path = tmp_path / "manifest.jsonl"
    with pytest.raises(CorpusError, match=r"manifest\.jsonl: cannot be read.*; `vocoder prepare"):
        read_manifest(path)
    path.write_text("\n")
    with pytest.raises(CorpusError, match="the manifest is empty"):
        read_manifest(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match=r"manifest\.jsonl: cannot be read.*; `vocoder prepare"):
        read_manifest(path)
    path.write_text(f"{LINE}\n{LINE}\n")
    with pytest.raises(CorpusError, match=r"a\.wav stands there twice"):
        read_manifest(path)
