"""Adapters: called as the toolkits call their own vocoders, they give what the vocoder gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.models.speech import relative_error, seeded, small_model
from vocoder.adapters import (
    Adapter,
    CoquiVocoder,
    EspnetVocoder,
    HifiganVocoder,
    NemoVocoder,
    TransformersVocoder,
    VocosVocoder,
    read_statistics,
)
from vocoder.data.audio import read_audio
from vocoder.errors import MelError
from vocoder.features.mel import PRESETS
from vocoder.loading import load
from vocoder.models.base import Vocoder

MEANS = [-2.0 - 0.01 * m for m in range(80)]
SCALES = [0.4 + 0.005 * m for m in range(80)]


@pytest.fixture(scope="module")
def universal() -> Vocoder:
    return load()


@pytest.fixture(scope="module")
def recording(repository: Path) -> Tensor:
    """Half a second of speech at 24 kHz, (1, samples)."""
    path = repository / "egs/tiny/wavs/test/ru_0806.wav"
    return read_audio(path, 24000).waveform[None, 24000:36000]


def direct(vocoder: Vocoder, spec: str, mel: Tensor) -> Tensor:
    return vocoder.for_mel(spec)(mel, generator=seeded())


def test_espnets_text_to_speech_gets_one_waveform(universal: Vocoder, recording: Tensor):
    """What `Text2Speech.__call__` does after inference, with and without statistics."""
    spec = PRESETS["espnet_24k"]
    mel = spec.mel(recording)
    denormalised = mel[0].T
    normalised = (denormalised - torch.tensor(MEANS)) / torch.tensor(SCALES)
    expected = direct(universal, "espnet_24k", mel)[0]
    plain = EspnetVocoder(universal)
    assert torch.equal(plain(denormalised, generator=seeded()), expected)
    given = EspnetVocoder(universal, spec.with_statistics(MEANS, SCALES))
    wav = given(normalised, generator=seeded())
    assert relative_error(wav, expected) < 1e-3
    assert given.fs == 24000
    assert wav.shape == (mel.shape[2] * spec.hop_length,)
    # ParallelWaveGAN's decoding: an array, the waveform as a column.
    column = given.inference(normalised.numpy(), generator=seeded())
    assert torch.equal(column[:, 0], wav)
    column = given.inference(denormalised, normalize_before=True, generator=seeded())
    assert torch.equal(column[:, 0], wav)


def test_coquis_synthesizer_gets_a_batch_of_channels(universal: Vocoder, recording: Tensor):
    """What `Synthesizer.tts` does: an array that `vocoder_ap.normalize` made, in a batch of one."""
    spec = PRESETS["coqui_22k"]
    mel = spec.mel(recording)
    vocoder_input = torch.tensor(mel[0].numpy()).unsqueeze(0)
    waveform = CoquiVocoder(universal).inference(vocoder_input.to("cpu"), generator=seeded())
    assert waveform.shape == (1, 1, mel.shape[2] * 256)
    assert np.array_equal(waveform.numpy().squeeze(), direct(universal, "coqui_22k", mel)[0])


def test_without_a_toolkit_the_vocoders_own_mel_is_the_default():
    vocoder = small_model("hifigan_22k")
    assert Adapter(vocoder).spec == vocoder.spec


def test_f5_gets_the_waveform_of_a_batch_first_mel(universal: Vocoder, recording: Tensor):
    """What `infer_batch_process` does with its generated frames, (batch, frames, bins)."""
    generated = universal.for_mel("vocos_24k").mel(recording).permute(0, 2, 1)
    generated = generated.to(torch.float32)[:, 4:, :]
    wave = VocosVocoder(universal).decode(generated.permute(0, 2, 1).cpu(), generator=seeded())
    expected = direct(universal, "vocos_24k", generated.permute(0, 2, 1))
    assert torch.equal(wave.squeeze().cpu(), expected[0])


def test_nemo_and_matcha_get_hifigans_waveform(universal: Vocoder, recording: Tensor):
    mel = PRESETS["hifigan_22k"].mel(recording)
    expected = direct(universal, "hifigan_22k", mel)
    audio = NemoVocoder(universal).convert_spectrogram_to_audio(spec=mel, generator=seeded())
    assert torch.equal(audio, expected)
    # Matcha's `to_waveform` without a denoiser.
    waveform = HifiganVocoder(universal)(mel, generator=seeded()).clamp(-1, 1).cpu().squeeze()
    assert torch.equal(waveform, expected[0].clamp(-1, 1))


@torch.no_grad()
def test_a_vocoder_of_one_mel_takes_its_other_logarithms_and_statistics(recording: Tensor):
    vocoder = small_model("hifigan_22k")
    mel = vocoder.mel(recording)
    decimal = vocoder.spec.model_copy(update={"log": "log10"}).with_statistics(MEANS, SCALES)
    converted = vocoder.spec.convert(mel, decimal)
    expected = vocoder(mel, generator=seeded())
    assert relative_error(
        HifiganVocoder(vocoder, decimal)(converted, generator=seeded())[:, 0], expected
    ) < 1e-3  # fmt: skip
    with pytest.raises(MelError, match="hop_length: 300 here, 256 there"):
        EspnetVocoder(vocoder)


@torch.no_grad()
@pytest.mark.parametrize("padding", [0.0, 9.0, float("nan")])
@pytest.mark.parametrize("name", ["universal", "normalised"])
def test_an_item_sounds_the_same_alone_and_before_any_padding(
    universal: Vocoder, recording: Tensor, padding: float, name: str
):
    vocoder = universal.for_mel("espnet_22k") if name == "universal" else small_model(name)
    adapter = CoquiVocoder(vocoder, vocoder.spec)
    long = vocoder.mel(recording)
    lengths = [long.shape[2], 17]
    batch = torch.cat([long, long])
    batch[1, :, 17:] = padding
    waveforms = adapter.waveforms(batch, lengths, [seeded(1), seeded(2)])
    hop = vocoder.spec.hop_length
    alone = adapter.waveforms(long[:, :, :17], generator=seeded(2))[0]
    assert relative_error(waveforms[1, : 17 * hop], alone) < 1e-4
    assert bool((waveforms[1, 17 * hop :] == 0).all())
    assert relative_error(waveforms[0], adapter.waveforms(long, generator=seeded(1))[0]) < 1e-4


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        ([3], "one whole number of frames per item"),
        ([2.5, 3.0], "one whole number of frames per item"),
        ([3, 0], r"\[3, 0\] must lie between 1 and 10"),
        ([3, 11], "between 1 and 10"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(lengths: list, said: str):
    with pytest.raises(MelError, match=said):
        Adapter(small_model("hifigan_22k"), "hifigan_22k").waveforms(
            torch.zeros(2, 80, 10), lengths
        )


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("shape", [(80, 7), (1, 80, 7), (80,), (1, 1, 7, 80)])
def test_another_layout_is_refused(universal: Vocoder, shape: tuple[int, ...]):
    with pytest.raises(MelError, match=r"takes \(frames, 80\) or \(batch, frames, 80\)"):
        TransformersVocoder(universal)(torch.zeros(shape))
    with pytest.raises(MelError, match=r"\(batch, n_mels, frames\)"):
        VocosVocoder(universal).decode(torch.zeros(shape))


def test_statistics_of_a_corpus_are_read(tmp_path: Path, recording: Tensor):
    frames = PRESETS["espnet_22k"].mel(recording)[0].T.double()
    mean, scale = frames.mean(0), frames.std(0, correction=0)
    espnet, pwg = tmp_path / "feats_stats.npz", tmp_path / "stats.npy"
    np.savez(espnet, count=len(frames), sum=frames.sum(0), sum_square=frames.square().sum(0))
    np.save(pwg, np.stack([mean, scale]))
    for path in (espnet, pwg):
        read = torch.tensor(read_statistics(path), dtype=torch.float64)
        torch.testing.assert_close(read, torch.stack([mean, scale]), rtol=1e-6, atol=1e-6)
    np.save(tmp_path / "other.npy", np.zeros(3))
    for path in (tmp_path / "other.npy", tmp_path / "none.npz"):
        with pytest.raises(MelError, match=r"give ESPnet's feats_stats\.npz"):
            read_statistics(path)


def test_options_reach_the_vocoder(universal: Vocoder, recording: Tensor):
    options = {"mel_projection": 1, "low_band_projection": 0}
    mel = PRESETS["vocos_24k"].mel(recording)
    found = VocosVocoder(universal, **options).decode(mel, generator=seeded())
    expected = universal(mel, generator=seeded(), **options)
    assert torch.equal(found, expected)
    assert not torch.allclose(found, universal(mel, generator=seeded()), atol=1e-3)
