"""Resynthesis in batches: equal to single files, and only bad files are skipped."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from vocoder.data.audio import read_audio
from vocoder.errors import VocoderError
from vocoder.evaluation.resynthesis import output_paths, resynthesise_files
from vocoder.features.mel import PRESETS
from vocoder.features.stretch import stretch_mel
from vocoder.loading import load
from vocoder.models.base import Vocoder, draw_normal
from vocoder.models.classical import GriffinLim

SPEC = PRESETS["speecht5_16k"]


class Loudness(Vocoder):
    """Noise as loud as the mel, frame by frame; keeps the shapes of what it was given."""

    batched = True
    lookahead_frames = 0

    def __init__(self) -> None:
        super().__init__(SPEC)
        self.seen: list[tuple[int, ...]] = []

    def forward(self, mel: Tensor, *, generator=None) -> Tensor:
        self.spec.check(mel)
        self.seen.append(tuple(mel.shape))
        noise = draw_normal((mel.shape[0], mel.shape[2] * 256), generator, mel)
        level = self.spec.log_amplitude(mel).mean(dim=1).exp()
        return 0.01 * noise * level.repeat_interleave(256, dim=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "in"
    path.mkdir()
    random = np.random.default_rng(0)
    for index, samples in enumerate((9000, 3000, 20000, 5000, 300)):
        sound = 0.1 * random.standard_normal(samples)
        soundfile.write(path / f"{index}.wav", sound, 16000, subtype="PCM_16")
    return path


def written(
    folder: Path, output: Path, batch_size: int | None, model: Vocoder
) -> dict[str, Tensor]:
    targets, failed = output_paths([folder], output)
    assert not failed
    results = resynthesise_files(model, targets, batch_size=batch_size)
    assert [result.source for result in results] == list(targets)
    return {path.name: read_audio(path).waveform for path in sorted(output.iterdir())}


def test_a_batch_gives_each_file_what_it_gets_alone(folder: Path, tmp_path: Path):
    model = Loudness()
    alone = written(folder, tmp_path / "alone", 1, model)
    assert all(batch == 1 for batch, *_ in model.seen)
    model.seen.clear()
    together = written(folder, tmp_path / "together", 2, model)
    # Files of like length together: two, two and the longest.
    assert [batch for batch, *_ in model.seen] == [2, 2, 1]
    assert sorted(shape[2] for shape in model.seen) == [12, 36, 79]
    assert alone.keys() == together.keys()
    for name, waveform in alone.items():
        assert len(waveform) == len(read_audio(folder / name).waveform)
        assert waveform.std() > 1e-4
        torch.testing.assert_close(together[name], waveform, atol=4e-5, rtol=0)


def test_a_file_that_spoils_its_batch_is_left_out_alone(folder: Path, tmp_path: Path):
    class Picky(Loudness):
        def forward(self, mel: Tensor, *, generator=None) -> Tensor:
            if bool((mel > -0.2).any()):
                raise VocoderError("too loud")
            return super().forward(mel, generator=generator)

    sound, _ = soundfile.read(folder / "3.wav")
    soundfile.write(folder / "3.wav", 8 * sound, 16000)
    (folder / "broken.wav").write_bytes(b"RIFF")
    targets, _ = output_paths([folder], tmp_path / "out")
    told = []
    results = resynthesise_files(Picky(), targets, on_done=told.append, batch_size=3)
    errors = {result.source.name: result.error for result in results}
    assert "not an audio file" in errors.pop("broken.wav")
    assert errors.pop("3.wav") == "too loud"
    assert not any(errors.values())
    assert len(told) == len(results) == 6
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(errors)


def test_outputs_within_an_input_folder_are_no_inputs(folder: Path):
    before = output_paths([folder], folder / "out")[0]
    resynthesise_files(Loudness(), before)
    assert len(list((folder / "out").iterdir())) == 5
    assert output_paths([folder], folder / "out")[0] == before
    # Those of another run are.
    assert len(output_paths([folder], folder.parent / "other")[0]) == 10


def test_a_model_that_gains_nothing_takes_one_file_at_a_time(folder: Path, tmp_path: Path):
    targets, _ = output_paths([folder], tmp_path)
    with pytest.raises(VocoderError, match="GriffinLim takes one file at a time"):
        resynthesise_files(GriffinLim(SPEC), targets, batch_size=4)


@pytest.mark.parametrize("name", ["source_filter_16k", "universal"])
def test_a_streamed_file_is_what_it_is_in_one_piece(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = load(name)
    whole = written(folder, tmp_path / "whole", None, model)
    monkeypatch.setattr("vocoder.evaluation.resynthesis.STREAMED_S", 0.25)
    monkeypatch.setattr("vocoder.features.mel_blocks.SECTION_FRAMES", 9)
    streamed = written(folder, tmp_path / "streamed", None, model)
    assert whole.keys() == streamed.keys()
    for name, waveform in whole.items():
        torch.testing.assert_close(waveform, streamed[name], atol=2e-4, rtol=0)


def test_another_speed_is_a_stretched_mel(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = load("universal")
    targets, _ = output_paths([folder], tmp_path / "out")

    def at_speed(speed: float) -> dict[str, Tensor]:
        resynthesise_files(model, targets, speed=speed)
        return {target.name: read_audio(target).waveform for target in targets.values()}

    whole = at_speed(0.8)
    for source, target in targets.items():
        samples = len(read_audio(source, 24000).waveform)
        assert abs(len(whole[target.name]) - samples / 0.8) <= 0.5
    wave = read_audio(folder / "2.wav", 24000).waveform
    mel = stretch_mel(model.mel(wave), model.spec, 0.8)
    expected = model(mel, generator=torch.Generator().manual_seed(0))[0, : round(len(wave) / 0.8)]
    torch.testing.assert_close(whole["2.wav"], expected, atol=1e-4, rtol=0)
    monkeypatch.setattr("vocoder.evaluation.resynthesis.STREAMED_S", 0.25)
    for name, waveform in at_speed(0.8).items():
        torch.testing.assert_close(waveform, whole[name], atol=2e-4, rtol=0)
    (result, *_) = resynthesise_files(load("world"), targets, speed=2.0)
    assert "takes no mel; leave --speed out" in result.error


def test_a_long_file_that_fails_stops_no_other(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("vocoder.evaluation.resynthesis.STREAMED_S", 0.25)
    flac = tmp_path / "in" / "cut.flac"
    soundfile.write(flac, 0.1 * np.random.default_rng(0).standard_normal(16000), 16000)
    flac.write_bytes(flac.read_bytes()[:-4000])
    targets, _ = output_paths([folder], tmp_path / "out")
    results = resynthesise_files(load("source_filter_16k"), targets)
    failed = [result for result in results if result.error]
    assert [result.source for result in failed] == [flac]
    assert str(flac) in failed[0].error
    assert len(list((tmp_path / "out").iterdir())) == len(results) - 1
