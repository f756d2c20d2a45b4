"""Filtering in the short-time spectrum against a slow loop and against plain convolution."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from tests.oracles import dsp as oracle
from vocoder.dsp.filters.spectral_filter import (
    from_short_time_spectrum,
    short_time_spectrum,
    time_varying_filter,
    windowed_frames,
    windowed_spectrum,
)
from vocoder.dsp.framing import overlap_add

RATE = 16000
# The model's own shape, no power of two, 75 % and 87.5 % overlap, the smallest there is.
SHAPES = [(512, 128), (600, 150), (512, 256), (1024, 128), (1024, 256), (8, 2), (2, 1)]


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def static(response: np.ndarray, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Real and imaginary parts of one response, at every step."""
    held = torch.from_numpy(response).expand(1, steps, -1)
    return held.real.clone(), held.imag.clone()


@pytest.mark.parametrize(("n_fft", "hop"), SHAPES)
def test_a_filter_of_one_gives_the_signal_back(n_fft, hop):
    for steps in [1, 2, 40]:
        for dtype, atol in [(torch.float32, 1e-6), (torch.float64, 1e-12)]:
            signal = random(2, steps * hop, dtype=dtype).clamp(-1, 1)
            spectrum = short_time_spectrum(signal, n_fft, hop)
            assert spectrum.shape == (2, steps + n_fft // hop - 1, n_fft // 2 + 1)
            back = from_short_time_spectrum(spectrum, n_fft, hop)
            torch.testing.assert_close(back, signal, atol=atol, rtol=0)
            ones = torch.ones(2, steps, n_fft // 2 + 1, dtype=dtype)
            for imaginary in (None, torch.zeros_like(ones)):
                filtered = time_varying_filter(signal, ones, imaginary)
                torch.testing.assert_close(filtered, signal, atol=atol, rtol=0)


@pytest.mark.parametrize(("n_fft", "hop"), [(16, 4), (24, 6), (16, 8), (64, 8)])
def test_frames_are_filtered_one_by_one(n_fft, hop):
    for steps in [1, 3, 12]:
        signal, bins = random(2, steps * hop), n_fft // 2 + 1
        real, imaginary = random(2, steps, bins, seed=1), random(2, steps, bins, seed=2)
        found = time_varying_filter(signal, real, imaginary)
        responses = torch.complex(real, imaginary).numpy()
        for row in range(2):
            expected = oracle.short_time_filter(signal[row].numpy(), responses[row])
            np.testing.assert_allclose(found[row], expected, atol=1e-12)


@pytest.mark.parametrize("n_fft", [256, 512, 1024])
def test_a_static_filter_is_a_convolution(n_fft):
    # Tap k passes two windows k samples apart, which overlap by 1 - (πk / n_fft)² / 2: for a
    # filter short against the window the error is that of its last taps at most.
    taps = random(24, seed=3).numpy() * 0.9 ** np.arange(24)
    signal = random(1, 8192).numpy()[0]
    expected = np.convolve(signal, taps)[:8192]
    hop = n_fft // 4
    response = np.fft.rfft(taps, n_fft)
    found = time_varying_filter(torch.from_numpy(signal)[None], *static(response, 8192 // hop))
    error = np.linalg.norm(found[0].numpy() - expected) / np.linalg.norm(expected)
    overlaps = (np.pi * np.arange(24) / n_fft) ** 2 / 2
    assert error < 1.1 * np.linalg.norm(taps * overlaps) / np.linalg.norm(taps)
    # The error must not vanish, or the test would not measure this filter.
    assert error > 1e-5


def test_filtering_is_linear_in_signal_and_filter():
    x, y = random(1, 640), random(1, 640, seed=1)
    g, h = random(1, 5, 257, seed=2), random(1, 5, 257, seed=3)
    both = time_varying_filter(2 * x - 3 * y, g)
    torch.testing.assert_close(both, 2 * time_varying_filter(x, g) - 3 * time_varying_filter(y, g))
    sum_of_filters = time_varying_filter(x, g + 2 * h)
    torch.testing.assert_close(
        sum_of_filters, time_varying_filter(x, g) + 2 * time_varying_filter(x, h)
    )


@pytest.mark.parametrize("delay", [1, 10, 25])
def test_a_linear_phase_delays(delay):
    n = np.arange(4096)
    burst = np.exp(-0.5 * ((n - 2000) / 150) ** 2) * np.cos(2 * np.pi * 1000 / RATE * n)
    omega = np.linspace(0, np.pi, 257)
    response = np.exp(-1j * omega * delay)
    found = time_varying_filter(torch.from_numpy(burst)[None], *static(response, 32))[0].numpy()
    later = np.roll(burst, delay)
    # The delay itself, and the small loss by the windows.
    lag = np.argmax(np.correlate(found, burst, mode="full")) - 4095
    assert lag == delay
    loss = (np.pi * delay / 512) ** 2 / 2
    assert np.linalg.norm(found - later) / np.linalg.norm(later) < 1.1 * loss


def test_a_tone_passes_or_vanishes():
    n = torch.arange(8192, dtype=torch.float64)
    low = torch.sin(2 * math.pi * 500 / RATE * n)[None]
    high = torch.sin(2 * math.pi * 5000 / RATE * n)[None]
    response = torch.zeros(1, 64, 257, dtype=torch.float64)
    response[..., :64] = 1.0  # below 2 kHz
    inside = slice(1024, -1024)
    torch.testing.assert_close(
        time_varying_filter(low, response)[:, inside], low[:, inside], atol=1e-3, rtol=0
    )
    assert time_varying_filter(high, response)[:, inside].abs().max() < 1e-3


def test_a_change_of_filter_stays_within_a_window():
    signal, steps, n_fft, hop = random(1, 5120), 40, 512, 128
    response = torch.ones(1, steps, 257, dtype=torch.float64)
    response[:, 20:] = 0.0
    found = time_varying_filter(signal, response)[0]
    first_changed = 20 * hop - n_fft // 2
    last_changed = 19 * hop + n_fft // 2
    torch.testing.assert_close(found[:first_changed], signal[0, :first_changed])
    assert found[last_changed:].abs().max() < 1e-12
    # In between it is cross-faded, sample by sample less of it.
    ratio = found[first_changed:last_changed] / signal[0, first_changed:last_changed]
    assert torch.all(ratio.diff() < 1e-9)
    assert ratio[0] > 0.99
    assert ratio[-1] < 0.01


def test_misfits_are_refused():
    with pytest.raises(ValueError, match="130 samples are no multiple of the hop of 128"):
        short_time_spectrum(torch.zeros(1, 130), 512, 128)
    with pytest.raises(ValueError, match="n_fft 384 is no even multiple of the hop of 128"):
        short_time_spectrum(torch.zeros(1, 128), 384, 128)
    with pytest.raises(ValueError, match="100 samples cannot be shared out to 3 steps"):
        time_varying_filter(torch.zeros(1, 100), torch.ones(1, 3, 257))


@pytest.mark.parametrize(
    ("n_fft", "hop", "offsets"), [(550, 275, (0, 137)), (512, 256, (0, 128)), (30, 5, (0, 1, 3))]
)
def test_several_frames_a_hop_need_not_be_evenly_spaced(n_fft, hop, offsets):
    signal, hops = random(2, n_fft + 9 * hop + offsets[-1]), 10
    spectrum = windowed_spectrum(signal, n_fft, hop, offsets)
    frames = torch.stack(
        [
            signal[:, begin : begin + n_fft]
            for begin in (number * hop + offset for number in range(hops) for offset in offsets)
        ],
        dim=1,
    )
    # Hann windows whose squares add up to one over all frames.
    square = 0.5 - 0.5 * torch.cos(2 * math.pi / n_fft * torch.arange(n_fft).double())
    window = (square * 2 * hop / (n_fft * len(offsets))).sqrt()
    torch.testing.assert_close(spectrum, torch.fft.rfft(frames * window), atol=1e-10, rtol=0)

    back = overlap_add(windowed_frames(spectrum, n_fft, hop, offsets), hop)
    inner = slice(n_fft, 9 * hop)
    torch.testing.assert_close(back[:, inner], signal[:, inner], atol=1e-12, rtol=0)


def test_frames_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="do not add up to a constant"):
        windowed_spectrum(torch.zeros(1, 1000), 275, 275, (0, 137))


def test_gradients():
    signal = random(1, 12).requires_grad_()
    real, imaginary = random(1, 3, 9, seed=1).requires_grad_(), random(1, 3, 9, seed=2)
    assert gradcheck(time_varying_filter, (signal, real, imaginary.requires_grad_()))
    assert gradcheck(time_varying_filter, (signal, real))


def test_dtypes_agree():
    signal, real, imaginary = random(1, 2048), random(1, 16, 257), random(1, 16, 257, seed=1)
    exact = time_varying_filter(signal, real, imaginary)
    single = time_varying_filter(signal.float(), real.float(), imaginary.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, atol=1e-5, rtol=0)


def test_inference_does_not_spoil_training():
    # The window is cached: one created in inference mode could not be used in training.
    signal = random(1, 30)
    with torch.inference_mode():
        time_varying_filter(signal, random(1, 3, 21))
    response = random(1, 3, 21).requires_grad_()
    time_varying_filter(signal, response).square().sum().backward()
    assert response.grad is not None
    assert response.grad.abs().max() > 0
