"""Files with other names than the recordings: by an ending, or individually."""

import csv
from pathlib import Path

import pytest

from tests.metrics.golden import RATE, speech_like
from vocoder.data.audio import write_audio
from vocoder.errors import AudioError, VocoderError
from vocoder.evaluation.folders import evaluate_folders
from vocoder.evaluation.naming import Naming, naming_of, read_map
from vocoder.evaluation.summary import Summary

HEADER = "system,file,utterance\n"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two recordings, and a system with other file names."""
    import torch

    for seed, name in enumerate(("one", "deep/two")):
        waveform = torch.from_numpy(speech_like(seed=seed)[:RATE])
        write_audio(tmp_path / "r" / f"{name}.wav", waveform, RATE)
        write_audio(tmp_path / "s" / f"{name}_gen.wav", 0.9 * waveform, RATE)
    return tmp_path / "r", tmp_path / "s"


def names(folder: Path, naming: Naming, system: str | None = "s") -> dict[str, str]:
    found = naming.files(folder, system)
    return {name: path.relative_to(folder).as_posix() for name, path in found.items()}


def written(path: Path, lines: str) -> Path:
    path.write_text(HEADER + lines)
    return path


def test_an_ending_does_not_count(folders):
    reference, system = folders
    found = names(system, Naming(strip_suffixes=("_gen", "n", "_other")))
    assert found == {"one": "one_gen.wav", "deep/two": "deep/two_gen.wav"}
    assert names(reference, Naming(strip_suffixes=("_gen",)), None).keys() == found.keys()
    # Once, and never the whole name.
    (system / "one_gen.wav").rename(system / "one_gen_gen.wav")
    (system / "deep/two_gen.wav").rename(system / "deep/_gen.wav")
    assert names(system, Naming(strip_suffixes=("_gen",))).keys() == {"one_gen", "deep/_gen"}


def test_recordings_may_have_the_ending_too(folders, tmp_path):
    reference, system = folders
    (reference / "one.wav").rename(reference / "one_gt.wav")
    summary = evaluate_folders(
        reference, {"s": system}, tmp_path / "out", ("mstft",), jobs=1, progress=False,
        strip_suffixes=["_gen", "_gt"],
    )  # fmt: skip
    assert summary.failures == 0
    with (tmp_path / "out" / "utterances.csv").open(newline="") as file:
        assert [row["utterance"] for row in csv.DictReader(file)] == ["deep/two", "one"]
    # The naming is kept, so that the files are found again from the summary.
    kept = Summary.model_validate_json((tmp_path / "out" / "summary.json").read_text()).naming
    assert names(system, kept).keys() == {"one", "deep/two"}


def test_a_map_names_files_one_by_one_with_or_without_suffix(folders, tmp_path):
    reference, system = folders
    file = written(tmp_path / "map.csv", "s,one_gen.wav,one\n*,deep/two_gen,deep/two.wav\n")
    naming = naming_of(map_file=file)
    naming.check(reference, {"s": system, "t": reference})
    assert names(system, naming) == {"one": "one_gen.wav", "deep/two": "deep/two_gen.wav"}
    # Lines of others, and of files that are not there, change nothing.
    assert names(system, naming, "t").keys() == {"one_gen", "deep/two"}
    assert names(reference, naming, None).keys() == {"one", "deep/two"}
    summary = evaluate_folders(
        reference, {"s": system}, tmp_path / "out", ("mstft",), jobs=1, progress=False,
        name_map=file,
    )  # fmt: skip
    assert summary.failures == 0


def test_a_map_comes_before_the_endings(folders, tmp_path):
    _, system = folders
    file = written(tmp_path / "map.csv", "s,one_gen,deep/two\ns,deep/two_gen,one\n")
    found = names(system, naming_of(["_gen"], file))
    assert found == {"deep/two": "one_gen.wav", "one": "deep/two_gen.wav"}


def test_two_files_that_become_one_utterance_are_named(folders, tmp_path):
    reference, system = folders
    write_audio(system / "one.wav", read_one(system), RATE)
    with pytest.raises(AudioError, match=r"one_gen\.wav: .*one\.wav becomes the utterance 'one' t"):
        Naming(strip_suffixes=("_gen",)).files(system, "s")
    file = written(tmp_path / "map.csv", "s,one_gen,one\n")
    with pytest.raises(AudioError, match=r"one.*becomes the utterance 'one' too"):
        evaluate_folders(reference, {"s": system}, tmp_path / "out", ("mstft",), name_map=file)
    assert not (tmp_path / "out").exists()


def read_one(system: Path):
    from vocoder.data.audio import read_audio

    return read_audio(system / "one_gen.wav").waveform


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("s,one_gen,one\nx,one_gen,one\n", r"map\.csv:3: system: there is no 'x'; there are s, t"),
        ("s,one,one\n", r"map\.csv:2: file: no 'one' in .*/s$"),
        ("s,one_gen.flac,one\n", r"map\.csv:2: file: no 'one_gen\.flac'"),
        ("*,nowhere,one\n", r"map\.csv:2: file: no 'nowhere' in .*/s or .*/r"),
        ("s,one_gen,three\n", r"map\.csv:2: utterance: no recording 'three' in .*/r"),
        ("s,one_gen,one\n*,one_gen.wav,deep/two\n", r"map\.csv:3: .* stands in .*map\.csv:2"),
        ("s,one_gen,\n", r"map\.csv:2: utterance: nothing stands there"),
        ("s,one_gen\n", r"map\.csv:2: not as many cells as the first line"),
    ],
)
def test_a_line_that_fits_nothing_is_named(folders, tmp_path, lines, said):
    reference, system = folders
    file = written(tmp_path / "map.csv", lines)
    with pytest.raises(VocoderError, match=said):
        evaluate_folders(
            reference, {"s": system, "t": reference}, tmp_path / "out", ("mstft",), name_map=file
        )
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_map_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("system,utterance\ns,one\n")
    with pytest.raises(VocoderError, match=r"a\.csv: no column 'file'; the first line must"):
        read_map(tmp_path / "a.csv")
    with pytest.raises(VocoderError, match=r"b\.csv: cannot be read"):
        read_map(tmp_path / "b.csv")


def test_an_ending_that_nothing_has_and_names_that_never_meet_are_refused(folders, tmp_path):
    reference, system = folders
    with pytest.raises(VocoderError, match=r"--strip-suffix '_gne': no file's name ends like that"):
        evaluate_folders(
            reference, {"s": system}, tmp_path / "out", ("mstft",), strip_suffixes=["_gne"]
        )
    with pytest.raises(VocoderError, match=r"^s: no file has the name .* --strip-suffix and --map"):
        evaluate_folders(reference, {"s": system}, tmp_path / "out", ("mstft",))
    assert not (tmp_path / "out").exists()
