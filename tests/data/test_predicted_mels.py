"""Pairs of predicted mels and recordings: where the numbers come from, and where they lie."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn.functional import avg_pool1d

from vocoder.data.audio import read_audio
from vocoder.data.corpora import prepare
from vocoder.data.manifest import read_manifest, write_manifest
from vocoder.data.predicted_mels import PredictedMelSource, with_predicted_mels
from vocoder.data.segments import DataConfig, Recording, load_recordings
from vocoder.errors import CorpusError
from vocoder.features.mel import PRESETS
from vocoder.features.pitch import PitchConfig

SPEC = PRESETS["hifigan_22k"]
CONTEXT = (3, 2)
SPLIT = "valid"


def over_smoothed(mel: Tensor) -> Tensor:
    """A moving average over seven frames."""
    return avg_pool1d(mel, 7, 1, 3, count_include_pad=False)


def write_pairs(corpus: Path, folder: Path, suffix: str = ".npy", frames_more: int = 0) -> Path:
    """A manifest of the tiny corpus with an over-smoothed mel for each utterance."""
    utterances = []
    for utterance in read_manifest(corpus / "manifest.jsonl"):
        path = corpus / utterance.path
        mel = over_smoothed(SPEC.mel(read_audio(path, SPEC.sample_rate).waveform[None]))[0]
        if frames_more < 0:
            mel = mel[:, :frames_more]
        mel = torch.cat([mel, mel[:, -1:].expand(-1, max(frames_more, 0))], dim=1)
        name = Path("mels", utterance.path.with_suffix(suffix).name)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".npy":
            np.save(folder / name, mel.T.numpy())  # (frames, bins)
        else:
            torch.save(mel[None], folder / name)
        utterances.append(utterance.model_copy(update={"path": path, "mel": name}))
    write_manifest(folder / "manifest.jsonl", utterances)
    return folder / "manifest.jsonl"


def config(manifest: Path, **changes: object) -> DataConfig:
    given = {"manifests": (str(manifest),), "predicted_mels": True, "gain_db": (0, 0)}
    return DataConfig.model_validate({**given, "segment_frames": 40, "batch_size": 6} | changes)


def load(manifest: Path, cache: Path) -> list[Recording]:
    return load_recordings([str(manifest)], SPLIT, SPEC, PitchConfig(), cache)


@pytest.fixture(scope="module")
def recordings(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    folder = tmp_path_factory.mktemp("pairs")
    manifest = write_pairs(tiny_corpus.resolve(), folder)
    return with_predicted_mels(load(manifest, folder / "cache"), SPEC)


def source_of(recordings: list[Recording]) -> PredictedMelSource:
    return PredictedMelSource(recordings, config(Path("pairs")), SPEC, CONTEXT, seed=0)


def test_mels_come_from_the_files_and_samples_lie_below_them(recordings: list[Recording]):
    """Found again in the file, a segment's mel says where its samples and its F0 must lie."""
    batch = source_of(recordings).batch(3)
    left, right = CONTEXT
    assert batch.mel.shape == (6, 80, left + 40 + right)
    assert batch.waveform.shape == (6, 40 * 256)
    (recording,) = recordings
    mel = recording.mel
    assert mel is not None
    whole = 0
    for item in range(6):
        windows = mel.unfold(1, batch.mel.shape[2], 1).transpose(0, 1)
        found = (windows == batch.mel[item]).flatten(1).all(dim=1).nonzero().flatten()
        if len(found) == 1:  # not beyond the ends of the file
            start = int(found) + left
            samples = recording.samples[start * 256 : (start + 40) * 256] / np.float32(32768)
            assert torch.equal(batch.waveform[item], torch.from_numpy(samples))
            expected = recording.pitch.f0_hz[start : start + 40]
            torch.testing.assert_close(batch.f0_hz[item], expected)
            whole += 1
    assert whole >= 3


def test_another_file_is_another_batch(recordings: list[Recording]):
    louder = [each._replace(mel=each.mel + 1) for each in recordings]
    one, other = source_of(recordings), source_of(louder)
    torch.testing.assert_close(other.batch(0).mel[:, :, 10:40], one.batch(0).mel[:, :, 10:40] + 1)
    assert torch.equal(other.batch(0).waveform, one.batch(0).waveform)
    assert one.data_hash != other.data_hash


def test_beyond_the_ends_there_is_silence(recordings: list[Recording]):
    source = source_of(recordings)
    (recording,) = recordings
    mel = recording.mel
    assert mel is not None
    frames = source._frames_between(mel, -4, mel.shape[1] + 3)
    assert torch.equal(frames[:, 4:-3], mel)
    floor = torch.as_tensor(SPEC.log_floor)
    assert bool((frames[:, :4] == floor).all())
    assert bool((frames[:, -3:] == floor).all())
    assert bool((source._frames_between(mel, -9, -2) == floor).all())
    assert source._frames_between(mel, mel.shape[1] + 2, mel.shape[1] + 9).shape == (80, 7)


@pytest.mark.parametrize("frames_more", [-4, -1, 3, 4])
def test_a_few_frames_more_or_less_are_aligned(tiny_corpus: Path, tmp_path: Path, frames_more: int):
    manifest = write_pairs(tiny_corpus.resolve(), tmp_path, ".pt", frames_more)
    (recording,) = with_predicted_mels(load(manifest, tmp_path / "cache"), SPEC)
    assert recording.mel is not None
    assert recording.mel.shape == (80, SPEC.frames(len(recording.samples)))


def test_more_frames_are_an_error_that_names_both_files(tiny_corpus: Path, tmp_path: Path):
    manifest = write_pairs(tiny_corpus.resolve(), tmp_path, frames_more=5)
    with pytest.raises(CorpusError, match=r"onlyperson\.npy: \d+ frames, but .*onlyperson\.wav"):
        with_predicted_mels(load(manifest, tmp_path / "cache"), SPEC)


def test_a_missing_mel_is_named(tiny_corpus: Path, tmp_path: Path):
    plain = load(tiny_corpus / "manifest.jsonl", tmp_path / "cache")
    with pytest.raises(CorpusError, match=r'onlyperson\.wav: .*names no mel.*"mel": PATH'):
        with_predicted_mels(plain, SPEC)
    manifest = write_pairs(tiny_corpus.resolve(), tmp_path)
    (tmp_path / "mels" / "en_conf-onlyperson.npy").unlink()
    with pytest.raises(CorpusError, match=r"onlyperson\.npy: cannot be read, it does not exist"):
        with_predicted_mels(load(manifest, tmp_path / "cache"), SPEC)


def test_a_folder_is_prepared_with_its_mels(tiny_corpus: Path, tmp_path: Path):
    """The manifest of the prepared WAVs leads to the mels where they are."""
    write_pairs(tiny_corpus.resolve(), tmp_path)
    source = tiny_corpus / "wavs" / "train"
    prepared = tmp_path / "prepared"
    utterances = prepare("folder", prepared, source, mels=tmp_path / "mels", progress=False)
    assert {utterance.mel for utterance in utterances} == {
        (tmp_path / "mels" / f"{path.stem}.npy").resolve() for path in source.iterdir()
    }
    assert read_manifest(prepared / "manifest.jsonl") == utterances
    with pytest.raises(CorpusError, match=r"no en_conf-now-recording\.npy or \.pt"):
        prepare("folder", tmp_path / "other", source, mels=tmp_path, progress=False)


def test_manifests_without_mels_are_as_before(tiny_corpus: Path, tmp_path: Path):
    utterances = read_manifest(tiny_corpus / "manifest.jsonl")
    write_manifest(tmp_path / "manifest.jsonl", utterances)
    assert "mel" not in (tmp_path / "manifest.jsonl").read_text()


@pytest.mark.parametrize("change", [{"gain_db": (-6, 6)}, {"speeds": ("9/8",)}])
def test_gain_and_speed_of_files_cannot_change(change: dict):
    with pytest.raises(ValidationError, match=f"predicted_mels wants {next(iter(change))}"):
        config(Path("pairs"), **change)
