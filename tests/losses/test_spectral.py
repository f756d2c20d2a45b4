"""Spectral losses against NumPy and librosa in float64, at identity, and at silence."""

import librosa
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from vocoder.losses.spectral import (
    SpectralLoss,
    SpectralLossConfig,
    magnitude_spectrum,
    spectral_convergence,
)

RATE = 16000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(samples: int = 8000, seed: int = 0, gain: float = 0.1) -> torch.Tensor:
    return gain * torch.randn(2, samples, generator=seeded(seed))


def magnitudes(signal: np.ndarray, n_fft: int) -> np.ndarray:
    """(bins, frames), by a loop over frames."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    window /= np.linalg.norm(window)
    starts = range(0, len(signal) - n_fft + 1, n_fft // 4)
    spectra = [np.abs(np.fft.rfft(window * signal[s : s + n_fft])) for s in starts]
    return np.stack(spectra, axis=1)


@pytest.mark.parametrize("n_fft", [64, 512, 2048])
def test_magnitudes(n_fft):
    signal = noise()
    found = magnitude_spectrum(signal, n_fft)
    for row, expected in zip(found, signal.double().numpy(), strict=True):
        # 1e-6 keeps the root's gradient finite.
        np.testing.assert_allclose(row, magnitudes(expected, n_fft), atol=2e-6)


@pytest.mark.parametrize("n_fft", [64, 512, 2048])
def test_full_scale_white_noise_has_magnitude_one(n_fft):
    power = magnitude_spectrum(noise(64000, gain=1.0), n_fft).square()[:, 1:-1].mean()
    assert float(power) == pytest.approx(1, abs=0.05)


def expected_losses(
    reference: np.ndarray, estimate: np.ndarray, config: SpectralLossConfig
) -> dict[str, float]:
    stft, mel = [], []
    for n_fft, n_mels in zip(config.n_ffts, config.n_mels, strict=True):
        pairs = [
            (magnitudes(r, n_fft), magnitudes(e, n_fft))
            for r, e in zip(reference, estimate, strict=True)
        ]
        convergence = np.mean([np.linalg.norm(r - e) / np.linalg.norm(r) for r, e in pairs])
        floor = config.log_floor
        distance = np.mean([np.abs(np.log(r + floor) - np.log(e + floor)) for r, e in pairs])
        stft.append(convergence + distance)
        if n_mels:
            bank = librosa.filters.mel(
                sr=RATE, n_fft=n_fft, n_mels=n_mels, htk=False, norm=None, dtype=np.float64
            )
            mel.append(
                np.mean(
                    [np.abs(np.log(bank @ r + floor) - np.log(bank @ e + floor)) for r, e in pairs]
                )
            )
    return {
        "stft": config.stft_weight * float(np.mean(stft)),
        "mel": config.mel_weight * float(np.mean(mel)),
    }


@pytest.mark.parametrize(
    "config",
    [
        SpectralLossConfig(),
        SpectralLossConfig(n_ffts=(512, 128), n_mels=(0, 20), stft_weight=0.5, mel_weight=3.0),
    ],
    ids=["default", "weighted"],
)
def test_losses_are_what_they_say(config):
    reference, estimate = noise(), noise(seed=1, gain=0.03)
    found = SpectralLoss(config, RATE)(reference, estimate)
    expected = expected_losses(reference.double().numpy(), estimate.double().numpy(), config)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-3), name


def test_without_mel_resolutions_there_is_no_mel_loss():
    config = SpectralLossConfig(n_ffts=(512, 128), n_mels=(0, 0))
    assert set(SpectralLoss(config, RATE)(noise(), noise(seed=1))) == {"stft"}


def test_nothing_is_lost_at_identity():
    losses = SpectralLoss(SpectralLossConfig(), RATE)(noise(), noise())
    # 1e-6 under the root of the spectral convergence, nothing else.
    assert float(losses["stft"]) == pytest.approx(1e-6, rel=0.01)
    assert float(losses["mel"]) == 0.0


def test_half_the_amplitude():
    reference = noise(gain=0.3)
    config = SpectralLossConfig(log_floor=1e-12)
    losses = SpectralLoss(config, RATE)(reference, 0.5 * reference)
    assert float(losses["stft"]) == pytest.approx(0.5 + np.log(2), rel=1e-3)
    assert float(losses["mel"]) == pytest.approx(np.log(2), rel=1e-3)


def test_the_further_the_worse():
    reference, loss = noise(), SpectralLoss(SpectralLossConfig(), RATE)
    totals = [
        sum(float(v) for v in loss(reference, reference + noise(seed=1, gain=gain)).values())
        for gain in (0.0, 0.001, 0.01, 0.1)
    ]
    assert totals[0] < 0.01 * totals[1]
    assert totals[1] < 0.5 * totals[2] < 0.5 * totals[3]


@pytest.mark.parametrize("silent", ["reference", "estimate", "both"])
def test_gradient_is_finite_at_silence(silent):
    reference, estimate = noise(), noise(seed=1)
    if silent in ("reference", "both"):
        reference = torch.zeros_like(reference)
    if silent in ("estimate", "both"):
        estimate = torch.zeros_like(estimate)
    estimate.requires_grad_()
    losses = SpectralLoss(SpectralLossConfig(), RATE)(reference, estimate)
    total = torch.stack(list(losses.values())).sum()
    assert total.isfinite()
    total.backward()
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()
    # Energy where the reference is silent has a gradient; digital silence itself has none.
    assert bool(estimate.grad.any()) == (silent == "reference")


def test_a_silent_reference_counts_with_a_norm_of_one():
    estimate = torch.full((1, 3, 4), 0.5)
    found = spectral_convergence(torch.full((1, 3, 4), 1e-6), estimate)
    assert float(found) == pytest.approx(0.5 * np.sqrt(12), rel=1e-4)


def test_mixed_precision_does_not_touch_it():
    loss = SpectralLoss(SpectralLossConfig(), RATE)
    exact = loss(noise(), noise(seed=1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = loss(noise(), noise(seed=1))
    assert {name: float(v) for name, v in exact.items()} == {n: float(v) for n, v in mixed.items()}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"n_ffts": (512, 128), "n_mels": (20,)}, "2 n_ffts and 1 n_mels"),
        ({"n_ffts": (1024,), "n_mels": ()}, "1 n_ffts and 0 n_mels"),
        ({"n_ffts": (), "n_mels": ()}, "n_ffts\n.*at least 1 item"),
        ({"n_ffts": (3,), "n_mels": (0,)}, r"n_ffts\.0\n.*greater than or equal to 4"),
        ({"n_ffts": (512,), "n_mels": (-1,)}, r"n_mels\.0\n.*greater than or equal to 0"),
    ],
)
def test_resolutions_that_cannot_be_computed_are_refused(wrong, said):
    with pytest.raises(ValidationError, match=said):
        SpectralLossConfig(**wrong)


def test_the_longest_window_is_what_a_waveform_needs():
    config = SpectralLossConfig(n_ffts=(128, 512), n_mels=(0, 20))
    loss, shortest = SpectralLoss(config, RATE), noise(config.longest_window)
    assert float(loss(shortest, shortest)["mel"]) == 0
    with pytest.raises(RuntimeError):
        loss(shortest[:, 1:], shortest[:, 1:])


@pytest.mark.parametrize("rate", [16000, 22050, 24000])
def test_bands_are_those_of_librosa(rate):
    loss = SpectralLoss(SpectralLossConfig(n_ffts=(2048, 256), n_mels=(160, 20)), rate)
    for n_fft, n_mels in ((2048, 160), (256, 20)):
        expected = librosa.filters.mel(
            sr=rate, n_fft=n_fft, n_mels=n_mels, htk=False, norm=None, dtype=np.float64
        )
        np.testing.assert_allclose(loss.get_buffer(f"mel_bank_{n_fft}"), expected, atol=1e-7)
