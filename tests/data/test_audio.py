"""Audio input and output: exact without changes, a note for each change, one-line errors."""

import os
import resource
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from vocoder.data.audio import (
    Audio,
    AudioWarning,
    ClippingWarning,
    find_audio,
    read_audio,
    resample,
    write_audio,
)
from vocoder.errors import AudioError, OutputError

RATE = 16000


def sine(frequency_hz: float, rate: int = RATE, seconds: float = 0.5, peak: float = 0.5):
    return peak * np.sin(2 * np.pi * frequency_hz * np.arange(int(rate * seconds)) / rate)


def level_db(samples: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(samples)) + 1e-30)


def test_every_16_bit_value_survives_writing_and_reading(tmp_path: Path):
    values = torch.arange(-32768, 32768) / 32768
    write_audio(tmp_path / "a.wav", values, RATE)
    audio = read_audio(tmp_path / "a.wav")
    assert torch.equal(audio.waveform, values)
    assert audio.sample_rate == RATE
    assert audio.notes == []
    assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"
    soundfile.write(tmp_path / "b.wav", (values * 32768).short().numpy(), RATE)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_written_values_are_rounded_and_clipped(tmp_path: Path):
    step = 1 / 32768
    write_audio(
        tmp_path / "a.wav", torch.tensor([1.0, 7.0, -1.0, -7.0, 0.4 * step, 0.6 * step]), 8000
    )
    expected = torch.tensor([1 - step, 1 - step, -1.0, -1.0, 0.0, step])
    assert torch.equal(read_audio(tmp_path / "a.wav").waveform, expected)


def test_stereo_becomes_the_mean_and_is_noted(tmp_path: Path):
    left, right = sine(200), sine(300)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), RATE, subtype="FLOAT")
    audio = read_audio(tmp_path / "a.wav", RATE)
    np.testing.assert_allclose(audio.waveform, (left + right) / 2, atol=1e-6)
    assert audio.notes == ["2 channels averaged to one"]


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_keeps_time_level_and_pitch(tmp_path: Path, rate: int):
    soundfile.write(tmp_path / "a.wav", sine(1000, rate), rate, subtype="FLOAT")
    audio = read_audio(tmp_path / "a.wav", RATE)
    assert audio.waveform.shape == (RATE // 2,)
    assert audio.sample_rate == RATE
    assert audio.notes == [f"resampled from {rate} to {RATE} Hz"]
    middle = slice(1000, -1000)  # the edges ring where the sine is cut off
    np.testing.assert_allclose(audio.waveform[middle], sine(1000)[middle], atol=2e-4)


def test_nothing_is_folded_back_from_above_the_new_nyquist():
    tone = Audio(torch.from_numpy(sine(11000, 48000)).float(), 48000)
    folded = resample(tone, RATE).waveform.numpy()[500:-500]
    assert level_db(folded) < level_db(sine(11000, 48000)) - 90


def test_clipping_silence_and_overshoot_are_noted(tmp_path: Path):
    loud = np.clip(3 * sine(200, peak=1.0), -1, 32767 / 32768)
    overshoot = sine(200, peak=1.5)
    for name, samples in {"loud": loud, "silent": 1e-5 * loud, "overshoot": overshoot}.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE, subtype="FLOAT")
    (loud_note,) = read_audio(tmp_path / "loud.wav").notes
    fraction = np.mean(np.abs(loud) >= 32767 / 32768)
    assert loud_note == f"clipped ({100 * fraction:.1f} % of the samples at full scale)"
    assert read_audio(tmp_path / "silent.wav").notes == ["silent (peak below -80 dBFS)"]
    assert read_audio(tmp_path / "overshoot.wav").notes[-1] == "peak 1.50 beyond full scale"


def test_a_few_samples_at_full_scale_are_not_called_clipping(tmp_path: Path):
    samples = sine(200)
    samples[100] = -1.0
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="PCM_16")
    assert read_audio(tmp_path / "a.wav").notes == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, value: float):
    samples = sine(200)
    samples[1234] = value
    soundfile.write(tmp_path / "bad.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"bad\.wav: holds NaN or infinite"):
        read_audio(tmp_path / "bad.wav")
    with pytest.raises(AudioError, match=r"new\.wav: the waveform holds NaN"):
        write_audio(tmp_path / "new.wav", torch.from_numpy(samples), RATE)
    assert not (tmp_path / "new.wav").exists()


@pytest.mark.parametrize("kept", [0.99, 0.5, 0.1])
@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_truncated_files_are_refused(tmp_path: Path, name: str, kept: float):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, RATE)
    soundfile.write(tmp_path / name, noise, RATE, subtype="PCM_16")
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(AudioError, match=rf"{name}: (truncated|not an audio file)"):
        read_audio(tmp_path / name)


def test_wav_chunks_before_the_sound_do_not_hide_a_truncation(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", sine(200), RATE, subtype="PCM_16")
    whole = (tmp_path / "a.wav").read_bytes()
    extra = b"LIST" + struct.pack("<I", 5) + b"INFOx\0"  # odd sizes are padded to even ones
    longer = whole[:12] + extra + whole[12:]
    (tmp_path / "a.wav").write_bytes(longer)
    assert read_audio(tmp_path / "a.wav").waveform.shape == (RATE // 2,)
    (tmp_path / "a.wav").write_bytes(longer[:-2])
    with pytest.raises(AudioError, match="truncated, 15998 of 16000 bytes"):
        read_audio(tmp_path / "a.wav")


def test_a_wav_of_unknown_length_from_a_pipe_is_read_to_its_end(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", sine(200), RATE, subtype="PCM_16")
    whole = bytearray((tmp_path / "a.wav").read_bytes())
    where = whole.index(b"data")
    whole[where + 4 : where + 8] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(whole)
    assert read_audio(tmp_path / "a.wav").waveform.shape == (RATE // 2,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"RIFF", "not an audio file"),
        (b"this is a text, whatever its name says\n" * 50, "not an audio file"),
        (bytes(4000), "not an audio file"),
    ],
)
def test_what_is_no_audio_is_refused_by_name(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "song.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError) as error:
        read_audio(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


def test_a_header_without_samples_is_refused(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), RATE)
    with pytest.raises(AudioError, match="holds no samples"):
        read_audio(tmp_path / "a.wav")


def test_one_sample_is_read_and_refused_only_if_resampling_leaves_none(tmp_path: Path):
    write_audio(tmp_path / "a.wav", torch.tensor([0.5]), 48000)
    assert read_audio(tmp_path / "a.wav").waveform.tolist() == [0.5]
    with pytest.raises(AudioError, match="too short to resample"):
        read_audio(tmp_path / "a.wav", 8000)


def test_missing_folders_and_unreadable_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(AudioError, match="does not exist"):
        read_audio(tmp_path / "no.wav")
    with pytest.raises(AudioError, match="cannot be read"):
        read_audio(tmp_path)
    write_audio(tmp_path / "a.wav", torch.zeros(10), RATE)

    def refuse(path: Path, flags: int):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(AudioError, match=r"a\.wav: cannot be read \(Permission denied\)"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("shape", [(1, 100), (0,), ()])
@pytest.mark.usefixtures("unchecked_shapes")
def test_only_a_waveform_is_written(tmp_path: Path, shape: tuple[int, ...]):
    with pytest.raises(AudioError, match=r"a\.wav: a waveform of shape \(samples,\) is needed"):
        write_audio(tmp_path / "a.wav", torch.zeros(shape), RATE)
    assert list(tmp_path.iterdir()) == []


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let the system refuse to write files beyond a size, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "a.wav"
    write_audio(path, torch.full((10,), 0.25), RATE)
    message = r"a\.wav: cannot be written \(File too large\); free space, or"
    with files_up_to(1000), pytest.raises(OutputError, match=message):
        write_audio(path, torch.zeros(10_000), RATE)
    assert list(tmp_path.iterdir()) == [path]
    assert read_audio(path).waveform.tolist() == [0.25] * 10


def test_find_audio_expands_folders_in_order_and_once(tmp_path: Path):
    names = ["b/2.FLAC", "b/1.wav", "a.mp3", "c.ogg", "note.txt", ".a.part.wav", "b/.git/x.wav"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_audio([tmp_path / "b" / "2.FLAC", tmp_path, tmp_path / "note.txt"])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "b/2.FLAC",
        "a.mp3",
        "b/1.wav",
        "c.ogg",
        "note.txt",
    ]


@pytest.mark.parametrize("suffix", ["aiff", "au", "caf", "w64", "opus"])
def test_formats_of_libsndfile_are_found_and_read(tmp_path: Path, suffix: str):
    rate = 48000 if suffix == "opus" else RATE
    kind = {"format": "OGG", "subtype": "OPUS"} if suffix == "opus" else {"subtype": "PCM_16"}
    sound = sine(440, rate)
    soundfile.write(tmp_path / f"a.{suffix}", sound, rate, **kind)
    (path,) = find_audio([tmp_path])
    error = read_audio(path).waveform.numpy() - sound
    assert level_db(error) < level_db(sound) - (15 if suffix == "opus" else 80)


def test_files_that_cannot_be_read_are_named_where_others_are_found(tmp_path: Path):
    for name in ("a.wav", "b.m4a", "deep/c.M4A", ".hidden.wma", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.warns(AudioWarning, match=r"2 \.m4a not read; convert"):
        found = find_audio([tmp_path])
    assert found == [tmp_path / "a.wav"]


def test_writing_beyond_full_scale_warns_of_clipping(tmp_path: Path):
    wave = torch.tensor([0.5, -1.25, 0.9])
    with pytest.warns(ClippingWarning, match=r"a\.wav: its peak of 1\.25 is clipped"):
        write_audio(tmp_path / "a.wav", wave, RATE)
    assert read_audio(tmp_path / "a.wav").waveform[1] == -1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_audio(tmp_path / "b.wav", wave.clamp(-1, 1), RATE)


def test_find_audio_refuses_what_it_cannot_expand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(AudioError, match=r"no: does not exist"):
        find_audio([tmp_path / "no"])
    with pytest.raises(AudioError, match="no audio in this folder"):
        find_audio([tmp_path])

    def refuse(folder: object):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(AudioError, match=r"cannot be read \(Permission denied\)"):
        find_audio([tmp_path])


@pytest.mark.parametrize(
    ("name", "waveform", "said"),
    [
        ("a.flac", torch.zeros(10), r"a\.flac: WAV is all that is written"),
        ("a", torch.zeros(10), "let the name end in .wav"),
    ],
)
def test_what_would_not_be_read_back_is_not_written(name, waveform, said, tmp_path: Path):
    with pytest.raises(AudioError, match=said):
        write_audio(tmp_path / name, waveform, 16000)
    assert not list(tmp_path.iterdir())
