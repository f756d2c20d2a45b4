"""Precision and device of weights and inputs: float64, float16, bfloat16, and mels of any type."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.models.speech import relative_error, seeded, small_model, speech_mel
from vocoder.data.audio import read_audio
from vocoder.errors import PitchError, VocoderError
from vocoder.loading import load
from vocoder.models.base import Vocoder
from vocoder.models.classical import GriffinLim
from vocoder.models.registry import MODELS


@pytest.fixture(scope="module")
def universal() -> Vocoder:
    return load()


@pytest.fixture(scope="module")
def mel(universal: Vocoder, repository: Path) -> Tensor:
    """Two seconds of speech."""
    path = repository / "egs/tiny/wavs/test/ru_0806.wav"
    return universal.mel(read_audio(path, 24000).waveform[24000:72000])


def decibels_apart(vocoder: Vocoder, one: Tensor, other: Tensor) -> float:
    """Mean difference of two waveforms' mels."""
    levels = [vocoder.spec.log_amplitude(vocoder.mel(w)).clamp(min=-8) for w in (one, other)]
    return 8.686 * float((levels[0] - levels[1]).abs().mean())


def test_float64_computes_what_float32_rounds(universal: Vocoder, mel: Tensor):
    exact = load(dtype=torch.float64)
    found = exact(mel.double(), generator=seeded())
    assert found.dtype == torch.float64
    assert relative_error(universal(mel, generator=seeded()).double(), found) < 1e-4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("spec", ["vocos_24k", "speecht5_16k"])
def test_networks_in_16_bits_sound_the_same(
    universal: Vocoder, mel: Tensor, dtype: torch.dtype, spec: str
):
    """The waveforms drift apart in phase, as F0 differs by fractions of a cent."""
    reference = universal.for_mel(spec)
    mel = reference.mel(universal(mel, generator=seeded())[0][: 16000 * 2])
    vocoder = load(dtype=dtype).for_mel(spec)
    assert {p.dtype for p in vocoder.parameters()} == {dtype}
    assert {b.dtype for b in vocoder.buffers()} == {torch.float32}
    found = vocoder(mel, generator=seeded())
    assert found.dtype == torch.float32
    assert decibels_apart(reference, found, reference(mel, generator=seeded())) < 1
    pitch, expected = vocoder.predict_pitch(mel), reference.predict_pitch(mel)
    assert pitch is not None
    assert expected is not None
    voiced = expected.voicing > 0.9
    cents = 1200 * torch.log2(pitch.f0_hz / expected.f0_hz)[voiced]
    assert float(cents.abs().median()) < 1
    assert vocoder(mel.to(dtype)).isfinite().all()


def test_half_and_back_leaves_the_filterbanks_exact(universal: Vocoder):
    vocoder = load().half().float()
    for name, buffer in vocoder.named_buffers():
        assert torch.equal(buffer, universal.get_buffer(name)), name


def test_a_mel_of_another_precision_is_converted(universal: Vocoder, mel: Tensor):
    expected = universal(mel, generator=seeded())
    assert torch.equal(universal(mel.double(), generator=seeded()), expected)
    small = universal(mel.to(torch.bfloat16), generator=seeded())
    assert small.dtype == torch.float32
    assert decibels_apart(universal, small, expected) < 1
    halved = GriffinLim(universal.spec)(mel.half(), generator=seeded())
    assert halved.dtype == torch.float32


@pytest.mark.parametrize("name", ["hifigan", "vocos"])
def test_other_networks_refuse_16_bits_and_say_what_to_do(name: str):
    vocoder = MODELS[name].build().eval().half()
    mel = torch.full((1, vocoder.spec.n_mels, 4), -5.0)
    with pytest.raises(VocoderError, match=r"call \.float\(\) on it, and use torch\.autocast"):
        vocoder(mel)
    with torch.no_grad():
        assert vocoder.float()(mel.double()).dtype == torch.float32


@torch.inference_mode()
def test_generators_are_one_per_item():
    vocoder = small_model("hifigan_22k")
    mel = speech_mel("hifigan_22k", 12).expand(3, -1, -1)
    for count in (2, 4):
        with pytest.raises(ValueError, match=rf"{count} generators for a batch of 3: give one per"):
            vocoder(mel, generator=[seeded(i) for i in range(count)])


def test_an_f0_near_zero_is_refused(universal: Vocoder, mel: Tensor):
    """A pulse train of unit power has pulses without bound as F0 goes to zero."""
    f0_hz = torch.full((1, mel.shape[2]), 1e-30)
    with pytest.raises(PitchError, match=r"F0 is 1e-30 Hz in frame 0 .*must lie between 1 and"):
        universal(mel, f0_hz=f0_hz)
