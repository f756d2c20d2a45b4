"""The mel loss against librosa in float64, at identity, at silence, and in every convention."""

import librosa
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.models.speech import SPECS, speech
from vocoder.errors import MelError
from vocoder.features.mel import PRESETS
from vocoder.losses.mel import MelLoss, MelLossConfig


def noise(samples: int = 8192, seed: int = 0, gain: float = 0.1) -> torch.Tensor:
    return gain * torch.randn(2, samples, generator=torch.Generator().manual_seed(seed))


def by_librosa(signal: np.ndarray, rate: int, f_max: float) -> np.ndarray:
    """HiFi-GAN's log mel with another upper edge."""
    padded = np.pad(signal, 384, mode="reflect")
    spectrum = librosa.stft(padded, n_fft=1024, hop_length=256, center=False, dtype=np.complex128)
    bank = librosa.filters.mel(sr=rate, n_fft=1024, n_mels=80, fmax=f_max, dtype=np.float64)
    magnitude = np.sqrt(np.abs(spectrum) ** 2 + 1e-9)
    return np.log(np.maximum(bank @ magnitude, 1e-5))


@pytest.mark.parametrize(("f_max", "upper"), [(None, 11025.0), (8000.0, 8000.0)])
def test_the_loss_of_hifigan(f_max, upper):
    reference, estimate = noise(), noise(seed=1, gain=0.03)
    loss = MelLoss(MelLossConfig(f_max_hz=f_max), PRESETS["hifigan_22k"])
    mels = [
        [by_librosa(row, 22050, upper) for row in batch.double().numpy()]
        for batch in (reference, estimate)
    ]
    expected = 45 * np.mean(np.abs(np.stack(mels[0]) - np.stack(mels[1])))
    assert float(loss(reference, estimate)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("spec", SPECS)
def test_half_the_amplitude_costs_the_same_in_every_convention(spec):
    # ln 2 times the weight, whatever the mel's own logarithm, floor and normalisation.
    reference = noise()
    loss = MelLoss(MelLossConfig(weight=10.0), SPECS[spec])
    assert float(loss(reference, 0.5 * reference)) == pytest.approx(10 * np.log(2), rel=1e-3)
    assert float(loss(reference, reference)) == 0.0


def test_what_lies_above_the_mels_own_range_counts():
    # The model's mel ends at 7600 Hz; the loss includes a tone at 7900 Hz.
    spec = PRESETS["speecht5_16k"]
    seconds = torch.arange(8192) / 16000
    fade = torch.hann_window(8192)  # no click at the ends
    tone = 0.1 * (fade * torch.sin(2 * np.pi * 7900 * seconds))[None]
    quiet = 0.001 * noise()[:1]
    full = MelLoss(MelLossConfig(), spec)(quiet, quiet + tone)
    cut = MelLoss(MelLossConfig(f_max_hz=7600), spec)(quiet, quiet + tone)
    assert float(full) > 2 * float(cut)  # whose bands hear the tone's leakage


def test_what_is_quieter_than_the_floor_does_not_count():
    silent, faint = torch.zeros(1, 8192), 1e-7 * noise()[:1]
    spec = PRESETS["speecht5_16k"]
    assert float(MelLoss(MelLossConfig(), spec)(silent, faint)) == 0.0
    assert float(MelLoss(MelLossConfig(floor=1e-10), spec)(silent, faint)) > 1.0


@pytest.mark.parametrize("silent", ["reference", "estimate"])
def test_gradient_is_finite_at_silence(silent):
    sound = speech("hifigan_22k", 32)
    reference = torch.zeros_like(sound) if silent == "reference" else sound
    estimate = (torch.zeros_like(sound) if silent == "estimate" else sound).requires_grad_()
    loss = MelLoss(MelLossConfig(), PRESETS["hifigan_22k"])(reference, estimate)
    loss.backward()
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()
    assert bool(estimate.grad.any()) == (silent == "reference")


def test_no_gradient_reaches_the_reference():
    reference, estimate = noise().requires_grad_(), noise(seed=1).requires_grad_()
    MelLoss(MelLossConfig(), PRESETS["hifigan_22k"])(reference, estimate).backward()
    assert reference.grad is None
    assert estimate.grad is not None


def test_bands_that_the_rate_does_not_hold_are_refused():
    with pytest.raises(MelError, match=r"0 to 12000 Hz.*holds 0 to 8000 Hz.*f_max_hz: null"):
        MelLoss(MelLossConfig(f_max_hz=12000), PRESETS["speecht5_16k"])
    with pytest.raises(ValidationError, match="greater than 0"):
        MelLossConfig(floor=0)
