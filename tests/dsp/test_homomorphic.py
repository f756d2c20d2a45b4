"""Cepstra of signals: against the roots of their polynomials, and round trips."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from tests.oracles import homomorphic as oracle
from vocoder.dsp.analysis.homomorphic import (
    complex_cepstrum,
    deconvolve,
    find_echo,
    inverse_complex_cepstrum,
    low_time,
    power_cepstrum,
    signal_cepstrum,
)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def polynomial(radii: list[float], angles: list[float], gain: float = 1.0) -> np.ndarray:
    """A signal with these zeros and their conjugates."""
    zeros = np.array(radii) * np.exp(1j * np.array(angles))
    return gain * np.poly(np.concatenate([zeros, zeros.conj()])).real


SIGNALS = {
    "minimum phase": polynomial([0.9, 0.5], [0.4, 2.0]),
    "maximum phase": polynomial([1.2, 1.5], [0.4, 2.0]),
    "mixed phase": polynomial([0.9, 1.25, 0.7], [0.4, 1.0, 2.5]),
    "negative": polynomial([0.8, 1.4], [0.3, 2.8], -3.0),
    "one zero outside": np.array([1.0, -2.0]),
    "delayed": np.concatenate([np.zeros(7), polynomial([0.8, 1.3], [1.1, 2.2], 0.01)]),
    "one sample": np.array([-0.3]),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_the_complex_cepstrum_is_that_of_the_roots(name):
    signal = SIGNALS[name]
    found = complex_cepstrum(torch.from_numpy(signal)[None], 1024)
    cepstrum, sign, delay = oracle.complex_cepstrum(signal, 1024)
    np.testing.assert_allclose(found.cepstrum[0], cepstrum, atol=1e-9)
    assert found.sign.item() == sign
    assert found.delay.item() == delay


@pytest.mark.parametrize("gap", [1e-1, 1e-2, 1e-3, 1e-4])
def test_the_phase_is_followed_past_zeros_near_the_unit_circle(gap):
    # On both sides; where the cepstrum wraps around only sign and delay can be compared.
    signal = polynomial([1 - gap, 1 + gap, 1 - gap], [0.7, 1.9, 2.9])
    found = complex_cepstrum(torch.from_numpy(signal)[None], 64)
    _, sign, delay = oracle.complex_cepstrum(signal, 64)
    assert (found.sign.item(), found.delay.item()) == (sign, delay)
    back = inverse_complex_cepstrum(*found, len(signal))
    np.testing.assert_allclose(back[0], signal, atol=1e-8)


def test_long_signals_are_followed_too():
    # Some hundred zeros per signal, most of them near the circle, inside and outside.
    signal = random(6, 300)
    found = complex_cepstrum(signal, 1024)
    for row in range(6):
        _, sign, delay = oracle.complex_cepstrum(signal[row].numpy(), 1024)
        assert (found.sign[row].item(), found.delay[row].item()) == (sign, delay)
    torch.testing.assert_close(inverse_complex_cepstrum(*found, 300), signal, atol=1e-8, rtol=0)


@settings(max_examples=60, deadline=None)
@given(
    radii=st.lists(st.floats(0.2, 0.97) | st.floats(1.03, 3.0), min_size=1, max_size=6),
    seed=st.integers(0, 10_000),
    delay=st.integers(0, 20),
    gain=st.sampled_from([1.0, -1.0, 1e-3, -100.0]),
)
def test_there_and_back_changes_nothing(radii, seed, delay, gain):
    angles = np.random.default_rng(seed).uniform(0.05, 3.09, len(radii))
    signal = np.concatenate([np.zeros(delay), polynomial(radii, list(angles), gain)])
    tensor = torch.from_numpy(signal)[None]
    back = inverse_complex_cepstrum(*complex_cepstrum(tensor, 256), len(signal))
    np.testing.assert_allclose(back[0], signal, atol=1e-8 * np.abs(signal).max())


def test_convolution_adds_cepstra():
    one, two = (torch.from_numpy(SIGNALS[name])[None] for name in ("mixed phase", "negative"))
    both = torch.from_numpy(np.convolve(one[0], two[0]))[None]
    first, second, sum_ = (complex_cepstrum(x, 1024) for x in (one, two, both))
    torch.testing.assert_close(sum_.cepstrum, first.cepstrum + second.cepstrum, atol=1e-9, rtol=0)
    assert sum_.sign.item() == first.sign.item() * second.sign.item()
    assert sum_.delay.item() == first.delay.item() + second.delay.item()


def test_the_real_cepstrum_is_the_even_part():
    signal = random(3, 40)
    whole = complex_cepstrum(signal, 4096).cepstrum
    mirrored = whole[:, (-torch.arange(4096)) % 4096]
    real = signal_cepstrum(signal, 4096)
    torch.testing.assert_close(real, (whole + mirrored) / 2, atol=1e-10, rtol=0)
    by_log_power = np.fft.ifft(np.log(np.abs(np.fft.fft(signal.numpy(), 4096)) ** 2)).real ** 2
    np.testing.assert_allclose(power_cepstrum(signal, 4096), by_log_power, atol=1e-12)


def test_liftering_parts_a_filter_from_its_pulses():
    filter_ = polynomial([0.6, 1.7, 0.5], [0.4, 1.0, 2.5])
    pulses = np.zeros(201)
    pulses[[0, 50, 100, 150, 200]] = [1, 0.8, 0.6, 0.4, 0.2]
    signal = torch.from_numpy(np.convolve(filter_, pulses))[None]
    short, excitation = deconvolve(signal, 2048, 40)
    # The filter stands about its delay of two samples, one for each zero outside.
    expected = filter_ / excitation[0, 2].item()
    np.testing.assert_allclose(short[0].roll(2)[: len(filter_)], expected, atol=1e-6)
    np.testing.assert_allclose(excitation[0, 2:203], pulses * excitation[0, 2].item(), atol=1e-6)
    product = torch.fft.irfft(torch.fft.rfft(short) * torch.fft.rfft(excitation))
    torch.testing.assert_close(product[:, : signal.shape[1]], signal, atol=1e-8, rtol=0)


def test_low_and_high_time_are_the_whole():
    cepstrum = random(2, 64)
    low = low_time(cepstrum, 10)
    kept = [n for n in range(64) if low[0, n] != 0]
    assert kept == [*range(10), *range(55, 64)]
    torch.testing.assert_close(low[:, kept], cepstrum[:, kept])


@pytest.mark.parametrize("gain", [0.6, -0.4])
@pytest.mark.parametrize("delay", [60, 333])
def test_an_echo_is_found(delay, gain):
    dry = random(2, 2000) * torch.exp(-torch.arange(2000) / 300)
    wet = torch.cat([dry, torch.zeros(2, delay)], dim=1)
    wet[:, delay:] += gain * dry
    found, strength = find_echo(wet, 8192, 40, 1000)
    assert found.tolist() == [delay, delay]
    np.testing.assert_allclose(strength, gain, atol=0.2)
    # Without one, nothing of that size is found.
    assert find_echo(dry, 8192, 40, 1000)[1].abs().max() < 0.25


def test_gradients():
    signal = torch.from_numpy(SIGNALS["mixed phase"])[None].requires_grad_()
    for function in (
        lambda x: complex_cepstrum(x, 16).cepstrum,
        lambda x: signal_cepstrum(x, 16),
        lambda x: power_cepstrum(x, 16),
        lambda x: deconvolve(x, 16, 3),
        lambda x: inverse_complex_cepstrum(*complex_cepstrum(x, 16), 7),
    ):
        assert gradcheck(function, signal)
    assert gradgradcheck(lambda x: complex_cepstrum(x, 16).cepstrum, signal)


def test_dtypes_agree():
    signal = random(2, 40)
    found = complex_cepstrum(signal.float(), 512)
    exact = complex_cepstrum(signal, 512)
    for single, double in zip(found, exact, strict=True):
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), double, atol=1e-4, rtol=1e-4)
    back = inverse_complex_cepstrum(*found, 40)
    assert back.dtype == torch.float32
    torch.testing.assert_close(back.double(), signal, atol=2e-5, rtol=0)


def test_what_has_no_cepstrum_is_refused():
    with pytest.raises(ValueError, match="a spectrum with a zero has no logarithm"):
        complex_cepstrum(torch.zeros(1, 8), 16)
    with pytest.raises(ValueError, match="a spectrum with a zero has no logarithm"):
        signal_cepstrum(torch.tensor([[1.0, 1.0]]), 16)
    on_the_circle = torch.from_numpy(polynomial([1.0], [1.0]))[None]
    with pytest.raises(ValueError, match="zeros too near the unit circle"):
        complex_cepstrum(on_the_circle, 64)
    with pytest.raises(ValueError, match="n_fft 15 for 8 samples: it must be even"):
        signal_cepstrum(torch.ones(1, 8), 15)
    with pytest.raises(ValueError, match="20 samples from a cepstrum of 16"):
        inverse_complex_cepstrum(torch.zeros(1, 16), torch.ones(1), torch.zeros(1), 20)
    with pytest.raises(ValueError, match="a cutoff of 9 for a cepstrum of 16: 1 to 8"):
        low_time(torch.zeros(1, 16), 9)
    with pytest.raises(ValueError, match="delays from 3 to 8 samples"):
        find_echo(torch.ones(1, 3), 16, 3, 8)
