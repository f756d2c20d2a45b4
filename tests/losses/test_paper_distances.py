"""The spectral distances of NSF and DDSP against NumPy."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from vocoder.losses.spectral import (
    LogPowerLoss,
    LogPowerLossConfig,
    MultiScaleLoss,
    MultiScaleLossConfig,
)


def pair(samples: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    reference = 0.1 * torch.randn(2, samples, generator=generator, dtype=torch.float64)
    return reference, reference.roll(3, 1) + 0.05 * torch.randn(
        2, samples, generator=generator, dtype=torch.float64
    )


def spectra(waveform: torch.Tensor, n_fft: int, window: int, hop: int) -> np.ndarray:
    """Frame by frame, the window in the middle of the FFT, nothing beyond the ends."""
    before = (n_fft - window) // 2
    hann = np.pad(np.hanning(window + 1)[:-1], (before, n_fft - window - before))
    frames = range(0, waveform.shape[1] - n_fft + 1, hop)
    return np.stack(
        [np.fft.rfft(waveform[:, n : n + n_fft].numpy() * hann, axis=1) for n in frames], axis=1
    )


def test_log_power_is_compared_as_in_the_paper():
    config, expected = LogPowerLossConfig(), 0.0
    reference, estimate = pair()
    for resolution in config.resolutions:
        logs = [np.log(np.abs(spectra(x, *resolution)) ** 2 + 1e-5) for x in (reference, estimate)]
        expected += 0.5 * np.mean((logs[0] - logs[1]) ** 2)
    assert float(LogPowerLoss(config)(reference, estimate)) == pytest.approx(expected, rel=1e-9)


def test_magnitudes_are_compared_as_in_the_paper():
    config, expected = MultiScaleLossConfig(log_weight=0.7), 0.0
    reference, estimate = pair()
    for n_fft in config.n_ffts:
        both = [np.abs(spectra(x, n_fft, n_fft, n_fft // 4)) for x in (reference, estimate)]
        expected += np.mean(np.abs(both[0] - both[1]))
        expected += 0.7 * np.mean(np.abs(np.log(both[0] + 1e-5) - np.log(both[1] + 1e-5)))
    assert float(MultiScaleLoss(config)(reference, estimate)) == pytest.approx(expected, rel=1e-5)


LOSSES = [
    lambda weight: LogPowerLoss(LogPowerLossConfig(weight=weight)),
    lambda weight: MultiScaleLoss(MultiScaleLossConfig(weight=weight)),
]


@pytest.mark.parametrize("make", LOSSES, ids=["log power", "multi-scale"])
def test_it_is_zero_for_the_same_and_its_weight_scales_it(make):
    reference, estimate = pair()
    assert float(make(1.0)(reference, reference)) == 0
    plain, doubled = (float(make(weight)(reference, estimate)) for weight in (1.0, 2.0))
    assert plain > 0.1
    assert doubled == pytest.approx(2 * plain)


@pytest.mark.parametrize("make", LOSSES, ids=["log power", "multi-scale"])
@pytest.mark.parametrize("silent", ["reference", "estimate", "both"])
def test_silence_has_finite_gradients(make, silent):
    reference, estimate = (x.float() for x in pair())
    reference = reference * (silent == "estimate")
    estimate = (estimate * (silent == "reference")).requires_grad_()
    loss = make(1.0)(reference, estimate)
    loss.backward()
    assert loss.isfinite()
    assert estimate.grad.isfinite().all()


@pytest.mark.parametrize("make", LOSSES, ids=["log power", "multi-scale"])
def test_the_longest_window_is_what_a_segment_needs(make):
    loss = make(1.0)
    short = torch.zeros(1, loss.config.longest_window)
    assert loss(short, short) == 0
    with pytest.raises(RuntimeError):
        loss(short[:, 1:], short[:, 1:])


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValidationError, match=r"write \(FFT, window, hop\)"):
        LogPowerLossConfig(resolutions=((320, 512, 80),))
    with pytest.raises(ValidationError, match=r"n_ffts\.1\n.*greater than or equal to 4"):
        MultiScaleLossConfig(n_ffts=(512, 3))
