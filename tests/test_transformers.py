"""Hugging Face transformers speaks through our vocoder: models with small random weights."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.models.speech import relative_error, seeded
from tests.small_transformers import small_fast_speech_2, small_speech_t5
from vocoder.adapters import TransformersVocoder
from vocoder.data.audio import read_audio
from vocoder.features.mel import PRESETS
from vocoder.loading import load
from vocoder.metrics.pesq import pesq_wb
from vocoder.models.base import Vocoder

pytestmark = pytest.mark.slow

transformers = pytest.importorskip("transformers")

HOP = 256


@pytest.fixture(autouse=True)
def seeds() -> Iterator[None]:
    """Random weights that do not depend on the tests before."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module")
def universal() -> Vocoder:
    return load()


@pytest.fixture(scope="module")
def speech_t5():
    return small_speech_t5()


def texts(lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Token numbers and attention mask of random texts, padded by 1."""
    tokens = torch.ones(len(lengths), max(lengths), dtype=torch.long)
    for row, length in enumerate(lengths):
        tokens[row, :length] = torch.randint(4, 40, (length,))
    return tokens, (tokens != 1).long()


def test_a_recording_through_their_extractor_scores_as_through_ours(
    universal: Vocoder, repository: Path
):
    extractor = transformers.SpeechT5FeatureExtractor()
    recording = read_audio(repository / "egs/tiny/wavs/test/ru_0806.wav", 16000).waveform
    theirs = extractor(audio_target=recording.numpy(), sampling_rate=16000, return_tensors="pt")
    spectrogram = theirs["input_values"]
    v = universal.for_mel("speecht5_16k")
    mel = v.mel(recording)
    assert float((spectrogram.mT - mel).abs().mean()) < 1e-4
    ours = v(mel, generator=seeded())[0]
    adapted = TransformersVocoder(universal)(spectrogram, generator=seeded())[0]
    scores = [pesq_wb(recording, w[: len(recording)], 16000) for w in (ours, adapted)]
    assert scores[0] > 2.5
    assert scores[1] == pytest.approx(scores[0], abs=0.02)


@torch.no_grad()
def test_speech_t5_speaks(universal: Vocoder, speech_t5):
    adapter = TransformersVocoder(universal)
    tokens, mask = texts([6])
    speaker = torch.randn(1, 8)
    limits = {"minlenratio": 2.0, "maxlenratio": 4.0}
    torch.manual_seed(1)  # dropout in the prenet
    spectrogram = speech_t5.generate_speech(tokens, speaker, attention_mask=mask, **limits)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    speech_t5.generate_speech(tokens, speaker, attention_mask=mask, **limits)
    after = torch.get_rng_state()
    torch.set_rng_state(state)
    speech = speech_t5.generate_speech(
        tokens, speaker, attention_mask=mask, vocoder=adapter, **limits
    )
    assert speech.shape == (len(spectrogram) * HOP,)
    assert bool(torch.isfinite(speech).all())
    torch.set_rng_state(after)
    expected = universal.for_mel("speecht5_16k")(spectrogram.T[None])[0]
    assert torch.equal(speech, expected)


@torch.no_grad()
def test_a_batch_of_speech_t5_is_silent_where_transformers_pads(universal: Vocoder, speech_t5):
    adapter = TransformersVocoder(universal)
    spectrograms = -2.5 + 0.3 * torch.randn(2, 20, 80)
    spectrograms[1, 12:] = 0  # as pad_sequence in generate_speech
    waveforms = adapter(spectrograms, generator=[seeded(1), seeded(2)])
    alone = adapter(spectrograms[1, :12], generator=seeded(2))
    assert waveforms.shape == (2, 20 * HOP)
    assert bool((waveforms[1, 12 * HOP :] == 0).all())
    assert relative_error(waveforms[1, : 12 * HOP], alone) < 1e-4

    tokens, mask = texts([6, 9])
    waveforms, lengths = speech_t5.generate_speech(
        tokens,
        torch.randn(2, 8),
        attention_mask=mask,
        vocoder=adapter,
        maxlenratio=4.0,
        return_output_lengths=True,
    )
    assert waveforms.shape[1] == max(lengths)
    assert all(length % HOP == 0 for length in lengths)
    assert bool(torch.isfinite(waveforms).all())


@torch.no_grad()
@pytest.mark.parametrize("normalised", [False, True])
def test_fast_speech_2_conformer_speaks(universal: Vocoder, normalised: bool):
    """In the place of its HiFi-GAN, from a mel before or after the statistics of a corpus."""
    model = small_fast_speech_2(normalize_before=not normalised)
    spec = PRESETS["espnet_22k"]
    if normalised:
        spec = spec.with_statistics([-2.0 - 0.01 * m for m in range(80)], [0.5] * 80)
    model.vocoder = TransformersVocoder(universal, spec)
    tokens, mask = texts([12])
    torch.manual_seed(1)
    output = model(tokens, mask, return_dict=True)
    waveform, spectrogram = output["waveform"], output["spectrogram"]
    assert spectrogram.shape[1] > 12
    assert waveform.shape == (1, spectrogram.shape[1] * HOP)
    assert bool(torch.isfinite(waveform).all())
    torch.manual_seed(1)
    expected = universal.for_mel(spec)(spectrogram.mT)
    assert torch.equal(waveform, expected)
