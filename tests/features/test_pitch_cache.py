"""The cache of pitch tracks: hits, keys, corruption, several processes."""

import multiprocessing

import numpy as np
import pytest
import torch

import vocoder.features.pitch as pitch_module
from vocoder.errors import PitchError
from vocoder.features import PitchConfig, cached_pitch, extract_pitch

pytestmark = pytest.mark.slow

FRAMES = (16000, 256, 40, 0)
CONFIG = PitchConfig()


@pytest.fixture
def waveform(speech):
    return torch.from_numpy(speech(16000)[:10240]).float()


@pytest.fixture
def counted(monkeypatch):
    """The number of calls of Praat."""
    calls = []

    def counting(*args, **kwargs):
        calls.append(args)
        return extract_pitch(*args, **kwargs)

    monkeypatch.setattr(pitch_module, "extract_pitch", counting)
    return calls


def same(a, b):
    return torch.equal(a.f0_hz, b.f0_hz) and torch.equal(a.voicing, b.voicing)


def test_a_hit_is_identical_and_asks_praat_once(waveform, counted, tmp_path):
    folder = tmp_path / "not" / "there"
    first = cached_pitch(waveform, *FRAMES, CONFIG, folder)
    second = cached_pitch(waveform.clone(), *FRAMES, CONFIG, folder)
    assert len(counted) == 1
    assert same(first, second)
    assert same(first, extract_pitch(waveform, *FRAMES))
    assert first.f0_hz.dtype == second.f0_hz.dtype == torch.float32
    assert [path.suffix for path in folder.iterdir()] == [".npz"]


def test_everything_that_matters_is_in_the_key(waveform, counted, tmp_path, monkeypatch):
    def ask(wave=waveform, frames=FRAMES, config=CONFIG):
        cached_pitch(wave, *frames, config, tmp_path)

    ask()
    nudged = waveform.clone()
    nudged[5000] += 1e-6
    ask(wave=nudged)
    for index, value in enumerate((22050, 200, 30, 128)):
        ask(frames=(*FRAMES[:index], value, *FRAMES[index + 1 :]))
    ask(config=PitchConfig(f0_min_hz=70.0))
    ask(config=PitchConfig(f0_max_hz=400.0))
    monkeypatch.setattr(pitch_module, "_CACHE_VERSION", -1)
    ask()
    assert len(counted) == 9
    assert len(list(tmp_path.iterdir())) == 9
    ask()
    assert len(counted) == 9


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "text", "short"])
def test_a_corrupt_file_is_computed_again_with_a_warning(waveform, damage, counted, tmp_path):
    good = cached_pitch(waveform, *FRAMES, CONFIG, tmp_path)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":  # a bit of the numbers themselves
        start = content.index(good.f0_hz.numpy().tobytes())
        content[start + 20] ^= 0x40
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("not a track")
    else:
        np.savez(path, f0_hz=np.ones(3, np.float32), voicing=np.ones(3, np.float32))
    with pytest.warns(UserWarning, match=f"{path.name} is corrupt"):
        again = cached_pitch(waveform, *FRAMES, CONFIG, tmp_path)
    assert same(again, good)
    assert len(counted) == 2
    assert same(cached_pitch(waveform, *FRAMES, CONFIG, tmp_path), good)
    assert len(counted) == 2


def test_a_failed_write_leaves_nothing(waveform, tmp_path, monkeypatch):
    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pitch_module.np, "savez", full_disk)
    with pytest.raises(PitchError, match="No space left"):
        cached_pitch(waveform, *FRAMES, CONFIG, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_named(waveform, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PitchError, match=r"file.*another cache folder"):
        cached_pitch(waveform, *FRAMES, CONFIG, tmp_path / "file")


def _worker(samples, folder, results):
    torch.set_num_threads(1)
    tracks = [
        cached_pitch(torch.from_numpy(samples), *FRAMES, PitchConfig(f0_max_hz=400.0 + i), folder)
        for i in range(10)
    ]
    results.put(torch.stack([track.f0_hz for track in tracks]).numpy())


def test_two_processes_share_a_folder(waveform, tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [
        context.Process(target=_worker, args=(waveform.numpy(), tmp_path, results))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    tracks = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert np.array_equal(*tracks)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".npz"] * 10


def test_bad_input_is_refused_before_the_cache(tmp_path):
    with pytest.raises(PitchError, match="empty"):
        cached_pitch(torch.zeros(0), *FRAMES, CONFIG, tmp_path)
    assert list(tmp_path.iterdir()) == []
