"""`vocoder synth`: mels as files in, speech out."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

import vocoder
from tests.training.tiny import ROOT
from vocoder.cli import app
from vocoder.data.audio import read_audio
from vocoder.features.stretch import stretch_mel

WAV = ROOT / "egs" / "tiny" / "wavs" / "test" / "ru_0806.wav"


def run(*arguments: object):
    return CliRunner().invoke(app, ["synth", *map(str, arguments)])


@pytest.fixture(scope="module")
def mel() -> np.ndarray:
    model = vocoder.load()
    return model.mel(read_audio(WAV, model.sample_rate).waveform[12_000:48_000])[0].numpy()


def test_whatever_way_round_a_mel_lies_it_sounds_as_from_python(tmp_path: Path, mel: np.ndarray):
    folder = tmp_path / "mels"
    for name, array in {"a": mel, "deep/b": mel.T, "c": mel[None], "d": mel.T[None]}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{name}.npy", array)
    done = run(folder, "--output", tmp_path / "out", "--seed", 3)
    assert done.exit_code == 0, done.output
    model = vocoder.load()
    expected = model(torch.from_numpy(mel)[None], generator=torch.Generator().manual_seed(3))[0]
    for name in ("a", "deep/b", "c", "d"):
        samples, rate = soundfile.read(tmp_path / "out" / f"{name}.wav")
        assert rate == 24000
        assert np.abs(samples - expected.numpy()).max() < 1 / 32768


@pytest.mark.parametrize("spec", ["speecht5_16k", "hifigan_22k", "espnet_24k"])
def test_universal_weights_speak_from_the_mel_that_is_named(tmp_path: Path, spec: str):
    model = vocoder.load().for_mel(spec)
    mel = model.mel(read_audio(WAV, model.sample_rate).waveform)
    np.save(tmp_path / "mel.npy", mel[0].numpy())
    done = run(tmp_path / "mel.npy", "--output", tmp_path / "out", "--spec", spec)
    assert done.exit_code == 0, done.output
    samples, rate = soundfile.read(tmp_path / "out" / "mel.wav")
    assert rate == model.sample_rate
    expected = model(mel, generator=torch.Generator().manual_seed(0))[0]
    assert np.abs(samples - expected.numpy()).max() < 1 / 32768


def test_the_voice_and_its_speed_are_changed(tmp_path: Path, mel: np.ndarray):
    np.save(tmp_path / "mel.npy", mel)
    options = {"f0_scale": 1.2, "formant_scale": 1.1, "breath_db": 3.0}
    given = [each for name, value in options.items() for each in (f"--{name}", value)]
    given = [str(each).replace("_", "-") for each in given]
    done = run(tmp_path / "mel.npy", "--output", tmp_path / "out", "--speed", 0.8, *given)
    assert done.exit_code == 0, done.output
    samples, _ = soundfile.read(tmp_path / "out" / "mel.wav")
    model = vocoder.load()
    slow = stretch_mel(torch.from_numpy(mel)[None], model.spec, 0.8)
    assert slow.shape[2] == round(mel.shape[1] / 0.8)
    expected = model(slow, **options, generator=torch.Generator().manual_seed(0))[0]
    assert np.abs(samples - expected.numpy()).max() < 1 / 32768


def test_a_batch_in_one_file_is_refused(tmp_path: Path, mel: np.ndarray):
    np.save(tmp_path / "mel.npy", np.stack([mel, mel]))
    done = run(tmp_path / "mel.npy", "--output", tmp_path / "out")
    assert done.exit_code == 1
    assert "a batch of 2; write one file per mel" in done.stderr


def test_a_clipped_output_is_said_in_one_line(tmp_path: Path, mel: np.ndarray):
    np.save(tmp_path / "mel.npy", mel + 3)
    done = run(tmp_path / "mel.npy", "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stderr.splitlines() if "is clipped to 1" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"warning: {tmp_path / 'out' / 'mel.wav'}: its peak of")


def test_dedicated_weights_take_mels_that_convert_exactly_and_refuse_others(tmp_path: Path):
    model = vocoder.load("source_filter_16k")
    path = tmp_path / "mel.npy"
    np.save(path, model.mel(read_audio(WAV, model.sample_rate).waveform)[0].numpy())
    dedicated = (path, "--model", "source_filter_16k")
    done = run(*dedicated, "--output", tmp_path / "same", "--spec", "speecht5_16k")
    assert done.exit_code == 0
    done = run(*dedicated, "--output", tmp_path / "other", "--spec", "hifigan_22k")
    assert done.exit_code == 1
    assert "mel.npy" in done.output
    assert "sample_rate" in done.output
    assert not (tmp_path / "other").exists()
    done = run(*dedicated, "--output", tmp_path / "x", "--spec", "speecht5")
    assert "did you mean speecht5_16k" in done.output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (np.zeros((81, 99)), "shape (81, 99); a mel of this spec is (100, frames)"),
        (np.array(["a"]), "no array of real numbers"),
        (np.full((100, 20), np.nan), "bad.npy"),
        (b"not numpy", "not a readable .npy file"),
    ],
)
def test_a_bad_file_is_named_and_the_others_are_made(
    tmp_path: Path, mel: np.ndarray, content: object, said: str
):
    np.save(tmp_path / "good.npy", mel)
    if isinstance(content, bytes):
        (tmp_path / "bad.npy").write_bytes(content)
    else:
        np.save(tmp_path / "bad.npy", content)
    done = run(tmp_path, "--output", tmp_path / "out")
    assert done.exit_code == 1
    assert said in " ".join(done.output.split())
    assert (tmp_path / "out" / "good.wav").is_file()
    assert not (tmp_path / "out" / "bad.wav").exists()


def test_a_mel_in_another_convention_is_named_and_spoken(tmp_path: Path, mel: np.ndarray):
    np.save(tmp_path / "mel.npy", mel / np.log(10, dtype=np.float32))
    torch.save(torch.from_numpy(mel), tmp_path / "mel.pt")
    done = run(tmp_path / "mel.npy", "--output", tmp_path / "out")
    assert done.exit_code == 0
    shown = " ".join(done.output.split())
    assert f"warning: {tmp_path / 'mel.npy'}: this mel cannot be speech in its spec" in shown
    assert "decimal logarithm of amplitudes: multiply it by 2.3" in shown
    assert (tmp_path / "out" / "mel.wav").is_file()
    done = run(tmp_path / "mel.pt", "--output", tmp_path / "tensor")
    assert done.exit_code == 0
    assert "warning" not in done.output
