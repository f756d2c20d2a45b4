"""Audio files that no honest program writes, and some that it does: one line each, at once."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from vocoder.data.audio import LONGEST_SAMPLES, find_audio, open_audio, read_audio, write_audio
from vocoder.data.folder import own_rates
from vocoder.errors import AudioError

RATE = 16000
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, RATE)


def flac_of_length(path: Path, claimed: int) -> None:
    """A FLAC of one second whose header claims another number of samples; 0: unknown."""
    soundfile.write(path, NOISE, RATE)
    content = bytearray(path.read_bytes())
    field = int.from_bytes(content[18:26], "big") >> 36 << 36
    content[18:26] = (field | claimed).to_bytes(8, "big")
    path.write_bytes(content)


def wav_of_rate(path: Path, rate: int) -> None:
    soundfile.write(path, NOISE, RATE)
    content = bytearray(path.read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(content)


def test_a_flac_from_a_pipe_is_read_to_its_end(tmp_path: Path):
    flac_of_length(tmp_path / "a.flac", 0)
    soundfile.write(tmp_path / "b.flac", NOISE, RATE)
    with open_audio(tmp_path / "a.flac") as file:
        assert file.length is None
    known, unknown = (read_audio(tmp_path / name).waveform for name in ("b.flac", "a.flac"))
    assert torch.equal(known, unknown)


def test_a_flac_that_claims_a_year_is_truncated(tmp_path: Path):
    flac_of_length(tmp_path / "a.flac", 2**36 - 1)
    with pytest.raises(AudioError, match=rf"a\.flac: truncated, {RATE} of {2**36 - 1} samples"):
        read_audio(tmp_path / "a.flac")


@pytest.mark.parametrize(
    ("kind", "coding"), [("WAV", "GSM610"), ("AU", "G721_32"), ("XI", "DPCM_16")]
)
def test_codings_without_seeking_are_read(tmp_path: Path, kind: str, coding: str):
    soundfile.write(tmp_path / "a.wav", NOISE, RATE, format=kind, subtype=coding)
    assert len(read_audio(tmp_path / "a.wav").waveform) >= RATE


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2**31])
def test_rates_that_no_sound_has_are_refused(tmp_path: Path, rate: int):
    wav_of_rate(tmp_path / "a.wav", rate)
    with pytest.raises(AudioError, match=rf"a\.wav: (its header claims .*{rate} Hz|.*decoded)"):
        read_audio(tmp_path / "a.wav", 24000)


def test_the_length_after_resampling_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    wav_of_rate(tmp_path / "a.wav", 1000)
    monkeypatch.setattr("vocoder.data.audio.LONGEST_SAMPLES", 100_000)
    assert len(read_audio(tmp_path / "a.wav").waveform) == RATE
    with pytest.raises(AudioError, match=r"a\.wav: longer than .* hours; cut it into parts"):
        read_audio(tmp_path / "a.wav", 24000)
    assert LONGEST_SAMPLES >= 2 * 3600 * 48000


@pytest.mark.parametrize("kind", ["RF64", "W64", "AU", "AIFF", "CAF", "WAV"])
def test_truncation_is_seen_in_every_container(tmp_path: Path, kind: str):
    path = tmp_path / "a.wav"
    soundfile.write(path, NOISE, RATE, format=kind, subtype="PCM_16")
    assert len(read_audio(path).waveform) == RATE
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(AudioError, match=r"a\.wav: truncated, \d+ of 320\d\d bytes of sound"):
        read_audio(path)


def test_a_large_chunk_before_the_sound_does_not_hide_a_truncation(tmp_path: Path):
    path = tmp_path / "a.wav"
    write_audio(path, torch.from_numpy(NOISE), RATE)
    whole = path.read_bytes()
    extra = b"LIST" + (200_000).to_bytes(4, "little") + bytes(200_000)
    path.write_bytes(whole[:36] + extra + whole[36:])
    assert len(read_audio(path).waveform) == RATE
    path.write_bytes((whole[:36] + extra + whole[36:])[:-1000])
    with pytest.raises(AudioError, match="truncated, 31000 of 32000 bytes"):
        read_audio(path)


def test_pipes_devices_and_loops_are_refused_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "broken.wav").symlink_to("nowhere")
    write_audio(tmp_path / "good.wav", torch.zeros(100), RATE)
    started = time.monotonic()
    for path in find_audio([tmp_path]):
        if path.name != "good.wav":
            with pytest.raises(AudioError, match=rf"{path.name}: (cannot be read|does not exist)"):
                read_audio(path)
    assert own_rates(tmp_path) == {tmp_path / "good.wav": RATE}
    assert time.monotonic() - started < 2


def test_blocks_are_the_whole_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stereo = np.stack([NOISE, 2 * np.abs(NOISE)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, RATE)
    whole = read_audio(tmp_path / "a.wav", 24000)
    monkeypatch.setattr("vocoder.data.audio.BLOCK_SAMPLES", 2 * 777)
    with open_audio(tmp_path / "a.wav") as file:
        blocks = list(file.blocks(24000))
        assert file.notes(24000) == whole.notes
    assert len(blocks) > 10
    assert torch.equal(torch.cat(blocks), whole.waveform)
