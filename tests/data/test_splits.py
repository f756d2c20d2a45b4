"""The rules of the splits give the lists that are published in egs/."""

from pathlib import Path

import pytest

from vocoder.data.local import VCTK_TEST_SPEAKERS, ljspeech_splits, vctk_splits
from vocoder.data.packaged import asterisk_splits, festvox_ru_splits, g722_duration_s


def published(folder: Path) -> dict[str, tuple[str, list[str]]]:
    """Split and further columns of each name in a folder of lists."""
    rows = {}
    for path in sorted(folder.glob("*.txt")):
        for line in path.read_text().splitlines():
            name, *columns = line.split("\t")
            assert name not in rows, f"{name} is in two splits"
            rows[name] = (path.stem, columns)
    return rows


def counts(splits: dict[str, str]) -> dict[str, int]:
    values = list(splits.values())
    return {split: values.count(split) for split in sorted(set(values))}


def test_festvox_ru_as_published(repository: Path):
    rows = published(repository / "egs" / "festvox_ru" / "splits")
    expected = {name: split for name, (split, _) in rows.items()}
    assert counts(expected) == {"test": 40, "train": 560, "valid": 20}
    assert festvox_ru_splits(sorted(rows, reverse=True)) == expected
    assert max(n for n in rows if expected[n] == "train") < min(
        n for n in rows if expected[n] == "valid"
    )


def test_asterisk_as_published(repository: Path):
    rows = published(repository / "egs" / "multispeaker" / "splits")
    expected = {name: split for name, (split, _) in rows.items()}
    seconds = {name: float(columns[0]) for name, (_, columns) in rows.items()}
    found: dict[str, str] = {}
    for language in ("en", "es", "fr", "it", "ru"):
        of_language = {n: s for n, s in seconds.items() if n.startswith(f"{language}_")}
        found |= asterisk_splits(language, of_language)
    assert found == expected
    assert counts(expected) == {"test": 383, "train": 1575, "unused": 792, "valid": 30}
    for name, split in expected.items():
        assert (name[:2] in ("it", "ru")) == (split == "test") or split == "unused"
        if split in ("test", "valid"):
            assert seconds[name] >= 2.0
        assert split == "unused" or "monkeys" not in name or "intro" in name


def test_the_tiny_corpus_is_in_the_same_splits(repository: Path, tiny_corpus: Path):
    rows = published(repository / "egs" / "festvox_ru" / "splits") | published(
        repository / "egs" / "multispeaker" / "splits"
    )
    files = list(tiny_corpus.glob("wavs/*/*.wav"))
    assert len(files) == 8
    for path in files:
        assert rows[path.stem][0] == path.parent.name


def test_g722_holds_two_samples_a_byte():
    assert g722_duration_s(bytes(8000)) == 1.0


def test_ljspeech_is_split_as_parallel_wavegan_splits_it():
    # 13,100 clips of 50 chapters; here in chapters of 262 clips.
    names = [f"LJ{1 + i // 262:03d}-{1 + i % 262:04d}" for i in range(13100)]
    splits = ljspeech_splits(reversed(names))
    assert [splits[name] for name in names] == ["train"] * 12600 + ["valid"] * 250 + ["test"] * 250


@pytest.mark.parametrize(("files", "held_out"), [(3, 1), (9, 1), (40, 4), (2499, 249), (2500, 250)])
def test_a_partial_ljspeech_keeps_all_three_splits(files: int, held_out: int):
    splits = ljspeech_splits([f"LJ001-{i:04d}" for i in range(files)])
    assert counts(splits) == {
        "test": held_out,
        "train": files - 2 * held_out,
        "valid": held_out,
    }


def test_vctk_holds_out_whole_speakers_and_ten_files_of_the_others():
    speakers = {
        f"{speaker}_{i:03d}": speaker
        for speaker in ("p225", "p376", "s5", "p374")
        for i in range(25)
    }
    splits = vctk_splits(speakers)
    for name, speaker in speakers.items():
        if speaker in VCTK_TEST_SPEAKERS:
            assert splits[name] == "test"
        else:
            assert splits[name] == ("valid" if int(name[-3:]) >= 15 else "train")
