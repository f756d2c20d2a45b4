"""The command `resynth`: good and bad files, repeatability, F0."""

import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from tests.cli.tools import SPEECH, files, refusal, speech, vocoder
from tests.training.tiny import MANIFEST
from vocoder.data.audio import read_audio
from vocoder.features.mel import PRESETS
from vocoder.features.pitch import extract_pitch

pytestmark = pytest.mark.slow

pytest_plugins = ["tests.training.fixtures"]


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A folder of good and bad files."""
    folder = tmp_path / "in"
    (folder / "nested").mkdir(parents=True)
    x = speech()
    soundfile.write(folder / "good.wav", x, 16000)
    soundfile.write(folder / "nested" / "good.flac", x, 16000)
    soundfile.write(folder / "stereo.wav", np.stack([x, 0.5 * x], axis=1), 44100)
    soundfile.write(folder / "clipped.wav", np.clip(40 * x, -1, 1), 16000)
    soundfile.write(folder / "short.wav", x[:5], 16000)
    soundfile.write(folder / "silent.wav", np.zeros(8000), 16000)
    soundfile.write(folder / "nan.wav", np.full(8000, np.nan), 16000, subtype="FLOAT")
    soundfile.write(folder / "no_samples.wav", np.zeros(0), 16000)
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("These are words.")
    (folder / "truncated.wav").write_bytes((folder / "good.wav").read_bytes()[:9000])
    (folder / "dangling.wav").symlink_to(folder / "nowhere.wav")
    (folder / "notes.txt").write_text("Not for resynthesis.")
    return folder


BAD = {
    "nan.wav": "NaN",
    "no_samples.wav": "no samples",
    "empty.wav": "empty file",
    "text.wav": "not an audio file",
    "truncated.wav": "truncated",
    "dangling.wav": "does not exist",
}
GOOD = [
    "clipped.wav",
    "good.wav",
    "nested/good.wav",
    "short.wav",
    "silent.wav",
    "stereo.wav",
]


def test_a_batch_goes_on_past_bad_files(trained_run: Path, strange: Path, tmp_path: Path):
    output = tmp_path / "out"
    result = vocoder("resynth", strange, "--output", output, "--model", trained_run)
    assert result.exit_code == 1
    assert "6 written, 6 failed" in result.stdout
    failures = [line for line in result.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failures) == len(BAD)
    for name, reason in BAD.items():
        (line,) = [line for line in failures if str(strange / name) in line]
        assert reason in line
    assert files(output) == GOOD

    said = result.stderr
    assert f"{strange / 'stereo.wav'}: 2 channels averaged to one" in said
    assert f"{strange / 'stereo.wav'}: resampled from 44100 to 16000 Hz" in said
    assert f"{strange / 'clipped.wav'}: clipped (" in said
    assert f"{strange / 'silent.wav'}: silent" in said
    for name, samples in {"good.wav": 16000, "short.wav": 5, "stereo.wav": 5805}.items():
        written = soundfile.info(output / name)
        assert (written.frames, written.samplerate, written.channels) == (samples, 16000, 1)
        assert written.subtype == "PCM_16"
    assert np.abs(soundfile.read(output / "silent.wav")[0]).max() < 0.01
    assert np.abs(soundfile.read(output / "good.wav")[0]).max() > 0.05


def test_resynth_reports_in_json(trained_run: Path, strange: Path, tmp_path: Path):
    result = vocoder(
        "resynth",
        strange / "good.wav",
        strange / "text.wav",
        "--output",
        tmp_path / "out",
        "--model",
        trained_run,
        "--json",
    )
    report = json.loads(result.stdout)
    assert result.exit_code == 1
    assert report["written"] == 1
    assert list(report["failed"]) == [str(strange / "text.wav")]
    assert report["audio_s"] == 1.0
    assert report["real_time_factor"] > 0
    assert report["output"] == str(tmp_path / "out")


def test_unreadable_folders_and_missing_files_do_not_stop_the_others(
    trained_run: Path, strange: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    closed = tmp_path / "closed"
    closed.mkdir()
    listing = os.scandir

    def refuse(path: str | Path) -> object:  # root may read everything: permissions do not help
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (tmp_path / "bare").mkdir()
    inputs = [closed, tmp_path / "nowhere.wav", tmp_path / "bare", strange / "good.wav"]
    result = vocoder("resynth", *inputs, "--output", tmp_path / "out", "--model", trained_run)
    assert result.exit_code == 1
    assert "1 written, 3 failed" in result.stdout
    said = result.stderr
    assert f"failed: {closed}: the folder cannot be read (Permission denied)" in said
    assert f"failed: {tmp_path / 'nowhere.wav'}: does not exist" in said
    assert f"failed: {tmp_path / 'bare'}: no audio in this folder" in said
    assert files(tmp_path / "out") == ["good.wav"]


def test_nothing_half_written_stays_when_writing_fails(
    trained_run: Path, strange: Path, tmp_path: Path
):
    out = tmp_path / "out"
    arguments = ("--output", out, "--model", trained_run)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        result = vocoder("resynth", strange / "good.wav", *arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result.exit_code == 1
    said = f"{out / 'good.wav'}: cannot be written (File too large); free space, or"
    assert f"failed: {strange / 'good.wav'}: {said}" in result.stderr
    assert files(out) == []


def test_names_with_brackets_and_spaces_are_said_as_they_are(trained_run: Path, tmp_path: Path):
    folder = tmp_path / "a [bold]b[x] :smile:"
    folder.mkdir()
    soundfile.write(folder / "[1].wav", np.zeros(4000), 16000)
    arguments = ("--output", tmp_path / "out", "--model", trained_run)
    result = vocoder("resynth", folder, *arguments)
    assert result.exit_code == 0
    assert f"{folder / '[1].wav'}: silent" in result.stderr
    assert files(tmp_path / "out") == ["[1].wav"]


def test_outputs_that_would_collide_are_refused_before_anything_is_written(
    trained_run: Path, strange: Path, tmp_path: Path
):
    output = tmp_path / "out"
    inputs = (strange / "good.wav", strange / "nested" / "good.flac")
    assert "would both become" in refusal(
        "resynth", *inputs, "--output", output, "--model", trained_run
    )
    assert not output.exists()
    before = (strange / "good.wav").read_bytes()
    assert "--output would overwrite it" in refusal(
        "resynth", strange / "good.wav", "--output", strange, "--model", trained_run
    )
    assert (strange / "good.wav").read_bytes() == before


def test_resynthesis_is_repeatable_and_its_noise_has_a_seed(trained_run: Path, tmp_path: Path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        result = vocoder(
            "resynth", SPEECH, "--output", tmp_path / name, "--model", trained_run, "--seed", seed
        )
        assert result.exit_code == 0
    one, same, other = ((tmp_path / name / SPEECH.name).read_bytes() for name in ("a", "b", "c"))
    assert one == same
    assert one != other


def test_griffin_lim_has_no_f0_to_scale(tmp_path: Path):
    arguments = ("--output", tmp_path, "--model", "griffin_lim", "--f0-scale", "1.5")
    result = vocoder("resynth", SPEECH, *arguments)
    assert result.exit_code == 1
    assert "GriffinLim takes no f0_scale; leave --f0-scale out" in result.stderr


@pytest.mark.parametrize("scale", [0.8, 1.25])
def test_f0_scale_moves_f0(tmp_path: Path, scale: float):
    """With the shipped weights, measured by Praat."""
    recording = MANIFEST.parent / "wavs" / "test" / "ru_0806.wav"
    tracks = []
    for name, factor in (("as it is", 1.0), ("scaled", scale)):
        arguments = ("--output", tmp_path / name, "--f0-scale", factor)
        assert vocoder("resynth", recording, *arguments).exit_code == 0
        waveform = read_audio(tmp_path / name / recording.name).waveform
        tracks.append(extract_pitch(waveform, 16000, 256, len(waveform) // 256, 0))
    both = (tracks[0].voicing * tracks[1].voicing) > 0
    assert both.sum() > 60
    ratio = (tracks[1].f0_hz / tracks[0].f0_hz)[both]
    assert float(ratio.median()) == pytest.approx(scale, rel=0.01)
    assert float((torch.log2(ratio / scale).abs() < 0.1).float().mean()) > 0.85


@pytest.mark.parametrize("command", ["resynth", "synth"])
def test_a_device_that_is_not_there_is_refused(command: str, tmp_path: Path):
    device = "mps" if torch.cuda.is_available() else "cuda"
    options = ("--output", tmp_path / "made", "--device", device)
    assert f'device "{device}": PyTorch cannot use it here' in refusal(command, SPEECH, *options)
    assert files(tmp_path) == []


def test_world_resynthesises_from_the_waveform_itself(tmp_path: Path):
    source = tmp_path / "in" / "a.wav"
    source.parent.mkdir()
    soundfile.write(source, speech(), 16000)
    tracks = []
    for name, factor in (("as it is", 1.0), ("scaled", 1.25)):
        arguments = ("--output", tmp_path / name, "--model", "world", "--f0-scale", factor)
        assert vocoder("resynth", source, *arguments).exit_code == 0
        waveform = read_audio(tmp_path / name / "a.wav").waveform
        assert len(waveform) == 16000
        tracks.append(extract_pitch(waveform, 16000, 256, len(waveform) // 256, 0))
    original = extract_pitch(torch.from_numpy(speech()), 16000, 256, len(waveform) // 256, 0)
    for track, factor in zip(tracks, (1.0, 1.25), strict=True):
        both = (original.voicing * track.voicing) > 0
        assert both.sum() > 15
        ratio = (track.f0_hz / original.f0_hz)[both]
        assert float(ratio.median()) == pytest.approx(factor, rel=0.01)


def test_a_mel_of_ones_own_comes_from_a_file(tmp_path: Path):
    fields = PRESETS["hifigan_22k"].model_dump(mode="json")
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"mel": fields}))
    for mel in ("hifigan_22k", str(tmp_path / "own.yaml")):
        output = tmp_path / f"by_{Path(mel).stem}"
        result = vocoder("resynth", SPEECH, "--output", output, "--model", "nano", "--mel", mel)
        assert result.exit_code == 0, result.output
    one, other = (next(tmp_path.glob(f"by_{name}/*.wav")) for name in ("hifigan_22k", "own"))
    assert one.read_bytes() == other.read_bytes()
    np.save(tmp_path / "m.npy", np.full((80, 30), -5.0, dtype=np.float32))
    spec = ("--spec", tmp_path / "own.yaml")
    result = vocoder("synth", tmp_path / "m.npy", *spec, "--output", tmp_path / "o")
    assert result.exit_code == 0, result.output
    assert soundfile.info(tmp_path / "o" / "m.wav").samplerate == 22050
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(fields | {"hop_lenght": 256}))
    message = refusal("synth", tmp_path / "m.npy", "--spec", tmp_path / "bad.yaml", "--output", "o")
    assert "bad.yaml: hop_lenght: " in message
    message = refusal("synth", tmp_path / "m.npy", "--spec", tmp_path / "no.yaml", "--output", "o")
    assert "no.yaml: " in message


def test_universal_weights_are_resynthesised_from_the_mel_that_is_named(tmp_path: Path):
    output = ("--output", tmp_path / "out")
    assert vocoder("resynth", SPEECH, "--mel", "hifigan_22k", *output).exit_code == 0
    assert soundfile.info(tmp_path / "out" / SPEECH.name).samplerate == 22050
    said = refusal("resynth", SPEECH, "--mel", "hifigan_22", *output)
    assert "--mel hifigan_22" in said
    assert "hifigan_22k" in said
    dedicated = ("--model", "source_filter_16k", "--mel", "vocos_24k")
    assert "sample_rate: 16000 here" in refusal("resynth", SPEECH, *dedicated, *output)
    assert "takes a waveform" in refusal(
        "resynth", SPEECH, "--model", "world", *dedicated[2:], *output
    )
