"""Preparation from end to end, on a few seconds in the corpora's layouts and packages."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.data.packages import put
from vocoder.data import packaged
from vocoder.data.audio import read_audio
from vocoder.data.corpora import CORPORA, prepare
from vocoder.data.debian import Package
from vocoder.data.manifest import Utterance, read_manifest
from vocoder.errors import CorpusError

pytestmark = pytest.mark.slow

VOICE = "usr/share/festival/voices/russian/msu_ru_nsh_clunits"
COPYRIGHT = "usr/share/doc/speech/copyright"


def tone(seconds: float, rate: int, frequency_hz: float = 300.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * rate)) / rate)


def write(path: Path, seconds: float, rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(seconds, rate), rate, subtype="PCM_16")


def wav_bytes(folder: Path, seconds: float, rate: int, frequency_hz: float) -> bytes:
    soundfile.write(folder / "x.wav", tone(seconds, rate, frequency_hz), rate, subtype="PCM_16")
    return (folder / "x.wav").read_bytes()


def by_split(utterances: list[Utterance]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for utterance in utterances:
        found.setdefault(utterance.split, []).append(utterance.path.stem)
    return found


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def check(output: Path, utterances: list[Utterance], rate: int) -> None:
    """Check the properties of every prepared corpus."""
    assert read_manifest(output / "manifest.jsonl") == utterances
    assert [u.path for u in utterances] == sorted(u.path for u in utterances)
    on_disk = {path.relative_to(output) for path in output.rglob("*.wav")}
    assert on_disk == {utterance.path for utterance in utterances}
    for utterance in utterances:
        info = soundfile.info(output / utterance.path)
        assert (info.samplerate, info.channels, info.subtype) == (rate, 1, "PCM_16")
        assert utterance.duration_s == info.frames / rate
        assert utterance.path.parts[:2] == ("wavs", utterance.split)


@pytest.fixture
def festvox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a festvox-ru of 63 short files, its checksum known to the code."""
    files = {COPYRIGHT: "Copyright (c) 2005 Ш".encode(), f"{VOICE}/etc/txt.done.data": b"text"}
    for i in range(63):
        files[f"{VOICE}/wav/ru_{i:04d}.wav"] = wav_bytes(tmp_path, 0.1, 16000, 200 + 10 * i)
    version = packaged.FESTVOX_RU.version
    sha256 = put(tmp_path / "debs", f"festvox-ru_{version}_all.deb", files)
    monkeypatch.setattr(packaged, "FESTVOX_RU", Package("festvox-ru", version, sha256))
    return tmp_path / "debs"


def test_festvox_ru_from_a_package(festvox: Path, tmp_path: Path):
    output = tmp_path / "out"
    utterances = prepare("festvox_ru", output, festvox, progress=False)
    check(output, utterances, 16000)
    assert by_split(utterances) == {
        "test": [f"ru_{i:04d}" for i in range(23, 63)],
        "train": [f"ru_{i:04d}" for i in range(3)],
        "valid": [f"ru_{i:04d}" for i in range(3, 23)],
    }
    assert (output / "LICENCE.txt").read_text(encoding="utf-8") == "Copyright (c) 2005 Ш"
    written, _ = soundfile.read(output / "wavs/test/ru_0030.wav")
    np.testing.assert_allclose(written, tone(0.1, 16000, 500), atol=4e-5)
    assert {u.speaker for u in utterances} == {"msu_ru_nsh"}


def test_a_finished_preparation_needs_no_package_and_touches_nothing(festvox: Path, tmp_path: Path):
    output = tmp_path / "out"
    first = prepare("festvox_ru", output, festvox, progress=False)
    before = snapshot(output)
    shutil.rmtree(festvox)
    assert prepare("festvox_ru", output, festvox, progress=False) == first
    assert snapshot(output) == before


def test_an_interrupted_preparation_goes_on(festvox: Path, tmp_path: Path):
    output = tmp_path / "out"
    first = prepare("festvox_ru", output, festvox, progress=False)
    lost = output / "wavs/train/ru_0001.wav"
    lost.unlink()
    (output / "manifest.jsonl").unlink()
    before = snapshot(output)
    assert prepare("festvox_ru", output, festvox, progress=False) == first
    after = snapshot(output)
    assert lost.is_file()
    assert {name: after[name] for name in before if name != "LICENCE.txt"} == {
        name: before[name] for name in before if name != "LICENCE.txt"
    }


def test_a_folder_takes_one_preparation_only(festvox: Path, tmp_path: Path):
    output = tmp_path / "out"
    prepare("festvox_ru", output, festvox, progress=False)
    with pytest.raises(CorpusError, match="holds another preparation"):
        prepare("festvox_ru", output, festvox, sample_rate=8000, progress=False)
    with pytest.raises(CorpusError, match="holds another preparation"):
        prepare("ljspeech", output, tmp_path, progress=False)
    (output / "preparation.json").write_text("{")
    with pytest.raises(CorpusError, match=r"preparation\.json: not valid JSON"):
        prepare("festvox_ru", output, festvox, progress=False)


def test_another_rate_is_resampled(festvox: Path, tmp_path: Path):
    utterances = prepare("festvox_ru", tmp_path / "out", festvox, 24000, progress=False)
    check(tmp_path / "out", utterances, 24000)
    assert {u.duration_s for u in utterances} == {0.1}


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with five packages of Asterisk prompts, some of 2.1 s and one short each."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    decode = ["-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "pipe:0"]
    command = ["ffmpeg", "-v", "error", *decode, "-f", "g722", "pipe:1"]
    pcm = (tone(2.1, 16000) * 32768).astype("<i2").tobytes()
    coded = subprocess.run(command, input=pcm, capture_output=True, check=True).stdout
    checksums = {}
    for language in packaged.ASTERISK_SHA256:
        voice = f"usr/share/asterisk/sounds/{language}_XX_f_Name"
        files = {COPYRIGHT: f"notice {language}".encode(), f"{voice}/is.g722": b""}
        files |= {f"{voice}/vm-{i:02d}.g722": coded for i in range(3 if language == "it" else 12)}
        files |= {
            f"{voice}/digits/1.g722": coded[:4000],
            f"{voice}/tt-monkeys.g722": coded,
            f"{voice}/silence/1.g722": coded,
        }
        filename = f"asterisk-core-sounds-{language}-g722_{packaged.ASTERISK_VERSION}_all.deb"
        checksums[language] = put(tmp_path / "debs", filename, files)
    monkeypatch.setattr(packaged, "ASTERISK_SHA256", checksums)
    return tmp_path / "debs"


def test_asterisk_from_packages(prompts: Path, tmp_path: Path):
    output = tmp_path / "out"
    utterances = prepare("asterisk", output, prompts, progress=False, jobs=2)
    check(output, utterances, 16000)
    splits = by_split(utterances)
    spoken = ("en", "es", "fr")
    # The middles of ten parts of 12 files, without 2 and 8.
    middles = (0, 1, 3, 4, 5, 6, 7, 9, 10, 11)
    assert splits["valid"] == [f"{lang}_vm-{i:02d}" for lang in spoken for i in middles]
    assert splits["train"] == [
        f"{lang}_{name}" for lang in spoken for name in ("digits_1", "vm-02", "vm-08")
    ]
    assert splits["test"] == [
        f"{lang}_vm-{i:02d}" for lang, count in (("it", 3), ("ru", 12)) for i in range(count)
    ]
    assert sorted(splits["unused"]) == sorted(
        [f"{lang}_tt-monkeys" for lang in packaged.ASTERISK_SPEAKERS]
        + ["it_digits_1", "ru_digits_1"]
    )
    speakers = {u.path.stem[:2]: u.speaker for u in utterances}
    assert speakers["en"] == speakers["es"]
    assert len(set(speakers.values())) == 4
    assert (output / "LICENCE-it.txt").read_text() == "notice it"
    assert {u.licence for u in utterances if u.path.stem[:2] in ("it", "ru")} == {"CC BY 3.0"}
    check_tone(read_audio(output / "wavs/test/it/it_vm-00.wav").waveform.numpy())


def check_tone(decoded: np.ndarray) -> None:
    """2.1 s of 300 Hz at half scale, with little noise beside it."""
    assert decoded.size == round(2.1 * 16000)
    spectrum = np.abs(np.fft.rfft(decoded[800:32800] * np.hanning(32000)))
    peak = spectrum.argmax()
    assert peak * 16000 / 32000 == pytest.approx(300, abs=0.5)
    assert 4 * spectrum[peak] / 32000 == pytest.approx(0.5, rel=0.02)
    noise = np.sqrt((spectrum**2).sum() - (spectrum[peak - 4 : peak + 5] ** 2).sum())
    assert noise < 0.05 * spectrum[peak]


def test_asterisk_without_ffmpeg_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CorpusError, match=r"ffmpeg is needed to decode G\.722: `apt-get install"):
        prepare("asterisk", tmp_path / "out", tmp_path, progress=False)
    assert not (tmp_path / "out" / "manifest.jsonl").exists()


def lay_ljspeech(source: Path) -> None:
    for i in range(1, 13):
        write(source / "wavs" / f"LJ001-{i:04d}.wav", 0.2, 22050)
    (source / "README").write_text("The LJ Speech Dataset")


def lay_vctk(source: Path) -> None:
    for speaker in ("p225", "p280", "p315", "p376", "s5"):
        for i in range(1, 13):
            microphones = ("mic1",) if speaker == "p280" else ("mic1", "mic2")
            for microphone in microphones:
                name = f"{speaker}_{i:03d}_{microphone}.flac"
                write(source / "wav48_silence_trimmed" / speaker / name, 0.1, 48000)


def lay_libritts(source: Path) -> None:
    for subset in ("train-clean-100", "train-other-500", "dev-clean", "test-other"):
        for chapter in ("198", "227"):
            folder = source / subset / "19" / chapter
            write(folder / f"{subset[0:3]}19_{chapter}_{subset[-3:]}_000000.wav", 0.2, 24000)
            (folder / "19_198_000000_000000.normalized.txt").write_text("text")


def test_ljspeech_from_a_local_copy(tmp_path: Path):
    lay_ljspeech(tmp_path / "in")
    utterances = prepare("ljspeech", tmp_path / "out", tmp_path / "in", progress=False)
    check(tmp_path / "out", utterances, 22050)
    assert by_split(utterances)["test"] == ["LJ001-0012"]
    assert by_split(utterances)["valid"] == ["LJ001-0011"]
    assert len(by_split(utterances)["train"]) == 10
    written = soundfile.read(tmp_path / "out/wavs/test/LJ001-0012.wav", dtype="int16")[0]
    original = soundfile.read(tmp_path / "in/wavs/LJ001-0012.wav", dtype="int16")[0]
    np.testing.assert_array_equal(written, original)
    assert "The LJ Speech Dataset" in (tmp_path / "out" / "LICENCE.txt").read_text()


def test_vctk_from_a_local_copy(tmp_path: Path):
    lay_vctk(tmp_path / "in")
    utterances = prepare("vctk", tmp_path / "out", tmp_path / "in", progress=False)
    check(tmp_path / "out", utterances, 24000)
    splits = by_split(utterances)
    assert {u.speaker for u in utterances} == {"p225", "p376", "s5"}
    assert splits["train"] == ["p225_001", "p225_002"]
    assert splits["valid"] == [f"p225_{i:03d}" for i in range(3, 13)]
    assert splits["test"] == [f"{s}_{i:03d}" for s in ("p376", "s5") for i in range(1, 13)]
    assert {u.duration_s for u in utterances} == {0.1}


def test_libritts_from_a_local_copy(tmp_path: Path):
    lay_libritts(tmp_path / "in")
    utterances = prepare("libritts", tmp_path / "out", tmp_path / "in", progress=False)
    check(tmp_path / "out", utterances, 24000)
    found = sorted((u.split, u.path.parts[2], u.speaker) for u in utterances)
    assert found == [
        (split, subset, "19")
        for split, subset in [
            ("test", "test-other"),
            ("train", "train-clean-100"),
            ("train", "train-other-500"),
            ("valid", "dev-clean"),
        ]
        for _ in range(2)
    ]


def test_librispeech_from_a_local_copy(tmp_path: Path):
    source = tmp_path / "in"
    for subset in ("train-clean-100", "dev-clean", "test-other"):
        write(source / subset / "19" / "198" / "19-198-0000.flac", 0.3, 16000)
    utterances = prepare("librispeech", tmp_path / "out", source, progress=False)
    check(tmp_path / "out", utterances, 16000)
    assert {u.split: u.path.parts[2] for u in utterances} == {
        "train": "train-clean-100", "valid": "dev-clean", "test": "test-other"
    }  # fmt: skip


def test_speechocean762_from_a_local_copy(tmp_path: Path):
    """The splits follow its own lists, and a tenth of the training speakers is held out."""
    source = tmp_path / "in"
    speakers = {"train": [f"{i:04}" for i in range(1, 21)], "test": ["0101", "0102"]}
    for split, names in speakers.items():
        (source / split).mkdir(parents=True)
        lines = [f"{name} {name}0 {name}1" for name in names]
        (source / split / "spk2utt").write_text("\n".join(lines) + "\n")
        for name in names:
            write(source / "WAVE" / f"SPEAKER{name}" / f"0{name}0010.WAV", 0.3, 16000)
    utterances = prepare("speechocean762", tmp_path / "out", source, progress=False)
    check(tmp_path / "out", utterances, 16000)
    by_speaker = {u.speaker: u.split for u in utterances}
    assert {s for s, split in by_speaker.items() if split == "test"} == set(speakers["test"])
    assert {s for s, split in by_speaker.items() if split == "valid"} == {"0019", "0020"}
    write(source / "WAVE" / "SPEAKER0999" / "099900010.WAV", 0.3, 16000)
    with pytest.raises(CorpusError, match="speaker 0999 is in neither"):
        prepare("speechocean762", tmp_path / "other", source, progress=False)
    (source / "test" / "spk2utt").unlink()
    with pytest.raises(CorpusError, match="spk2utt: cannot be read"):
        prepare("speechocean762", tmp_path / "third", source, progress=False)


def test_tiny_is_laid_out_from_the_repository(tiny_corpus: Path, tmp_path: Path):
    utterances = prepare("tiny", tmp_path / "out", tiny_corpus, progress=False)
    check(tmp_path / "out", utterances, 16000)
    assert len(utterances) == 8
    for utterance in utterances:
        original = tiny_corpus / utterance.path
        assert (tmp_path / "out" / utterance.path).read_bytes() == original.read_bytes()
    assert (tmp_path / "out" / "LICENCE-festvox-ru.txt").is_file()


@pytest.mark.parametrize(
    ("corpus", "expected"),
    [
        ("ljspeech", "wavs/LJ001-0001.wav"),
        ("vctk", "wav48_silence_trimmed/p225/p225_001_mic2.flac"),
        ("libritts", "train-clean-100/19/198/19_198_000000_000000.wav"),
    ],
)
def test_a_wrong_source_says_what_was_expected(corpus: str, expected: str, tmp_path: Path):
    (tmp_path / "in").mkdir()
    with pytest.raises(CorpusError) as error:
        prepare(corpus, tmp_path / "out", tmp_path / "in", progress=False)
    assert expected in str(error.value)
    with pytest.raises(CorpusError, match=r"nowhere: no such folder"):
        prepare(corpus, tmp_path / "out", tmp_path / "nowhere", progress=False)
    with pytest.raises(CorpusError, match="by --source"):
        prepare(corpus, tmp_path / "out", progress=False)


def test_an_unknown_corpus_is_answered_with_the_known():
    with pytest.raises(
        CorpusError, match="festvox_ru, asterisk, ljspeech, vctk, libritts, librispeech"
    ):
        prepare("timit", "out")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1000]), "truncated"),
        (lambda path: path.write_text("no sound"), "not an audio file"),
    ],
)
def test_bad_files_are_counted_and_named_and_the_others_kept(
    tmp_path: Path, spoil: Callable[[Path], object], complaint: str
):
    lay_ljspeech(tmp_path / "in")
    bad = tmp_path / "in" / "wavs" / "LJ001-0003.wav"
    good = bad.read_bytes()
    spoil(bad)
    output = tmp_path / "out"
    with pytest.raises(CorpusError, match=rf"1 of 12 recordings .*LJ001-0003\.wav: {complaint}"):
        prepare("ljspeech", output, tmp_path / "in", progress=False)
    assert not (output / "manifest.jsonl").exists()
    assert len(list(output.rglob("*.wav"))) == 11
    assert not list(output.rglob("*.part*"))
    kept = snapshot(output / "wavs")
    bad.write_bytes(good)
    check(output, prepare("ljspeech", output, tmp_path / "in", progress=False), 22050)
    after = snapshot(output / "wavs")
    assert {name: after[name] for name in kept} == kept


def test_a_new_file_in_a_local_copy_is_taken_in(tmp_path: Path):
    lay_libritts(tmp_path / "in")
    prepare("libritts", tmp_path / "out", tmp_path / "in", progress=False)
    write(tmp_path / "in/dev-other/7/1/7_1_000000_000000.wav", 0.2, 24000)
    utterances = prepare("libritts", tmp_path / "out", tmp_path / "in", progress=False)
    check(tmp_path / "out", utterances, 24000)
    assert "7_1_000000_000000" in by_split(utterances)["valid"]


def test_the_preparation_says_whose_folder_it_is(tmp_path: Path):
    lay_ljspeech(tmp_path / "in")
    prepare("ljspeech", tmp_path / "out", tmp_path / "in", progress=False)
    claim = json.loads((tmp_path / "out" / "preparation.json").read_text())
    assert claim == {"corpus": "ljspeech", "sample_rate": CORPORA["ljspeech"].sample_rate}
