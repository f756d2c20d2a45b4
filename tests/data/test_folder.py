"""User recordings: speakers, split, rates, and the warning about lower ones."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.training.tiny import leftover
from vocoder.data.audio import write_audio
from vocoder.data.corpora import prepare
from vocoder.data.folder import HELD_OUT, split_utterances
from vocoder.data.manifest import Utterance
from vocoder.errors import CorpusError


def write(path: Path, rate: int = 16000, seconds: float = 0.3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(str(path))).normal(0, 0.1, round(seconds * rate))
    soundfile.write(path, noise, rate)


def prepared(source: Path, output: Path, **options: object) -> dict[str, tuple[str, str]]:
    """Speaker and split by file name."""
    utterances = prepare("folder", output, source, progress=False, jobs=1, **options)
    return {u.path.stem: (u.speaker, u.split) for u in utterances}


def test_a_folder_of_ones_own_becomes_a_corpus(tmp_path: Path):
    source = tmp_path / "mine"
    for speaker in ("ann", "bob"):
        for index in range(3):
            write(source / speaker / f"{speaker}_{index}.flac")
    found = prepared(source, tmp_path / "data", licence="CC0")
    assert {name: speaker for name, (speaker, _) in found.items()} == {
        f"{speaker}_{index}": speaker for speaker in ("ann", "bob") for index in range(3)
    }
    assert {split for _, split in found.values()} == {"train", "valid", "test"}
    info = soundfile.info(next((tmp_path / "data" / "wavs").rglob("ann_0.wav")))
    assert (info.samplerate, info.subtype, info.channels) == (16000, "PCM_16", 1)
    assert prepared(source, tmp_path / "data", licence="CC0") == found  # again: the same


def test_speakers_come_from_names_or_a_table(tmp_path: Path):
    source = tmp_path / "flat"
    for name in ("ann-1", "ann-2", "bob-1", "bob-2"):
        write(source / f"{name}.wav")
    by_name = prepared(source, tmp_path / "a", speakers="^([^-]+)-")
    assert {speaker for speaker, _ in by_name.values()} == {"ann", "bob"}
    assert {s for s, _ in prepared(source, tmp_path / "b").values()} == {"flat"}
    table = tmp_path / "who.csv"
    table.write_text("utterance,speaker\nann-1,A\nann-2,A\nbob-1,B\nbob-2,B\n")
    assert {s for s, _ in prepared(source, tmp_path / "c", speakers=str(table)).values()} == {
        "A",
        "B",
    }
    table.write_text("utterance,speaker\nann-1,A\n")
    with pytest.raises(CorpusError, match=r"who\.csv: no speaker of ann-2"):
        prepared(source, tmp_path / "d", speakers=str(table))
    for wrong, said in {"(": "not a regular", "ann": "put the speaker into a group"}.items():
        with pytest.raises(CorpusError, match=said):
            prepared(source, tmp_path / "e", speakers=wrong)
    with pytest.raises(CorpusError, match="finds no speaker in its name"):
        prepared(source, tmp_path / "f", speakers="^(zoe)")


def test_the_split_is_random_fixed_and_keeps_whole_speakers_apart():
    few = {f"u{i:04}": f"s{i % 7}" for i in range(2000)}
    splits = split_utterances(few)
    for split in ("valid", "test"):
        share = sum(found == split for found in splits.values()) / len(few)
        assert share == pytest.approx(HELD_OUT, abs=0.015)
    larger = split_utterances(few | {f"new{i}": "s0" for i in range(500)})
    assert all(larger[name] == split for name, split in splits.items())
    many = {f"u{i:04}": f"s{i % 100}" for i in range(1000)}
    by_speaker: dict[str, set[str]] = {}
    for name, split in split_utterances(many).items():
        by_speaker.setdefault(many[name], set()).add(split)
    assert all(len(found) == 1 for found in by_speaker.values())
    assert set.union(*by_speaker.values()) == {"train", "valid", "test"}
    assert set(split_utterances(dict.fromkeys("abc", "s")).values()) == {"train", "valid", "test"}
    with pytest.raises(CorpusError, match="at least three"):
        split_utterances({"a": "s", "b": "s"})


def test_the_rate_is_that_of_most_files_and_lower_ones_are_told(tmp_path: Path):
    source = tmp_path / "mixed"
    for index in range(4):
        write(source / f"a{index}.wav", 24000)
    write(source / "low.wav", 8000)
    notes: list[str] = []
    prepared(source, tmp_path / "data", note=notes.append)
    assert {soundfile.info(p).samplerate for p in (tmp_path / "data").rglob("*.wav")} == {24000}
    assert len(notes) == 1
    assert "1 files have a lower rate than 24000 Hz" in notes[0]
    assert "above 4000 Hz they hold nothing" in notes[0]


def test_two_files_of_one_name_and_an_empty_folder_are_refused(tmp_path: Path):
    source = tmp_path / "twice"
    for name in ("a.wav", "a.flac", "b.wav"):
        write(source / name)
    with pytest.raises(CorpusError, match="differ in the suffix alone"):
        prepared(source, tmp_path / "data")
    with pytest.raises(CorpusError, match="no such folder"):
        prepared(tmp_path / "nowhere", tmp_path / "data2")


def test_a_recording_that_was_damaged_since_is_written_again(tmp_path: Path):
    noise = 0.1 * np.random.default_rng(0).standard_normal(4000)
    for name in "abcde":
        write_audio(tmp_path / "in" / f"{name}.wav", torch.from_numpy(noise), 16000)
    out = tmp_path / "out"

    def run() -> list[Utterance]:
        return prepare("folder", out, tmp_path / "in", progress=False, jobs=1)

    first = run()
    written = sorted(out.rglob("*.wav"))
    whole = written[0].read_bytes()
    written[0].write_bytes(whole[:1000])
    written[1].write_bytes(b"")
    left = written[2].with_name(leftover("part.wav"))
    left.write_bytes(whole[:500])
    assert run() == first
    assert [path.read_bytes() for path in written] == [whole] * 5
    assert not left.exists()


def test_a_notice_in_latin_1_is_copied_as_it_is(tmp_path: Path, tiny_corpus: Path):
    source = tmp_path / "source"
    (source / "wavs").mkdir(parents=True)
    lines = (tiny_corpus / "manifest.jsonl").read_text().splitlines()[:1]
    (source / "manifest.jsonl").write_text(lines[0] + "\n")
    audio = source / json.loads(lines[0])["path"]
    audio.parent.mkdir(parents=True)
    audio.write_bytes((tiny_corpus / json.loads(lines[0])["path"]).read_bytes())
    (source / "LICENCE").write_bytes("Lizenz für alle".encode("latin-1"))
    prepare("tiny", tmp_path / "out", source, progress=False, jobs=1)
    assert (tmp_path / "out" / "LICENCE").read_bytes() == "Lizenz für alle".encode("latin-1")


def test_a_recording_that_has_changed_is_written_again(tmp_path: Path):
    source, output = tmp_path / "in", tmp_path / "out"
    for name in ("a", "b", "c"):
        write(source / f"{name}.wav")
    prepared(source, output)
    kept, changed = (next(output.rglob(f"{name}.wav")) for name in ("a", "b"))
    before = kept.stat().st_mtime_ns
    write(source / "b.wav", seconds=0.5)
    prepared(source, output)
    assert soundfile.info(changed).frames == 8000
    assert kept.stat().st_mtime_ns == before


def test_an_output_within_the_source_is_refused(tmp_path: Path):
    for name in ("a", "b", "c"):
        write(tmp_path / "in" / f"{name}.wav")
    for output in (tmp_path / "in", tmp_path / "in" / "out"):
        with pytest.raises(CorpusError, match="lies in the source"):
            prepared(tmp_path / "in", output)
    assert len(list((tmp_path / "in").rglob("*"))) == 3
