"""Filters from cepstra against polynomials whose phase is known."""

import numpy as np
import pytest
import torch
from scipy.signal import freqz
from torch.autograd import gradcheck

from vocoder.dsp.analysis.cepstrum import (
    minimum_phase,
    minimum_phase_response,
    mixed_phase_response,
    real_cepstrum,
)

BINS = 513
OMEGA = np.linspace(0, np.pi, BINS)
# Zeros well inside the unit circle, so that cepstra die out long before 1024 samples.
ZEROS = [0.9 * np.exp(0.3j), 0.8 * np.exp(1.2j), 0.7, -0.85]
OTHER_ZEROS = [0.75 * np.exp(0.9j), 0.8 * np.exp(2.5j)]


def polynomial(zeros: list[complex]) -> np.ndarray:
    """Real coefficients from one of each pair of zeros, the first coefficient one."""
    pairs = [z for zero in zeros for z in ({zero, np.conj(zero)} if np.iscomplex(zero) else {zero})]
    return np.poly(pairs).real


def cepstrum_of(zeros: list[complex], length: int = 400) -> np.ndarray:
    """c[n] = -Σ z^n / n of the zeros (and their conjugates), c[0] = 0; O&S, section 13.6."""
    n = np.arange(1, length)
    total = np.zeros(length)
    for zero in zeros:
        total[1:] -= (2 if np.iscomplex(zero) else 1) * (np.power(zero, n) / n).real
    return total


def response_of(coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log magnitude and unwrapped phase of an FIR filter."""
    response = freqz(coefficients, worN=OMEGA)[1]
    return np.log(np.abs(response)), np.unwrap(np.angle(response))


@pytest.mark.parametrize("sign", [1, -1], ids=["zeros", "poles"])
@pytest.mark.parametrize("gain", [1.0, 0.2])
def test_minimum_phase_of_a_known_filter(sign, gain):
    log_gain, phase = response_of(polynomial(ZEROS))
    log_gain, phase = sign * log_gain + np.log(gain), sign * phase
    found = minimum_phase(torch.from_numpy(log_gain)[None])[0]
    np.testing.assert_allclose(found, phase, atol=1e-9)


def test_response_of_a_known_cepstrum():
    cepstrum = cepstrum_of(ZEROS)
    log_gain, phase = minimum_phase_response(torch.from_numpy(cepstrum), BINS)
    expected_gain, expected_phase = response_of(polynomial(ZEROS))
    np.testing.assert_allclose(log_gain, expected_gain, atol=1e-9)
    np.testing.assert_allclose(phase, expected_phase, atol=1e-9)


def test_real_cepstrum_is_half_the_minimum_phase_one():
    log_gain = torch.from_numpy(response_of(polynomial(ZEROS))[0])
    found = real_cepstrum(log_gain).numpy()
    expected = cepstrum_of(ZEROS)
    np.testing.assert_allclose(found[1:400], expected[1:] / 2, atol=1e-10)
    np.testing.assert_allclose(found[1:], found[:0:-1], atol=1e-15)  # even
    assert found[0] == pytest.approx(0, abs=1e-10)


def test_mixed_phase_is_a_causal_filter_and_one_reversed_in_time():
    forward, backward = polynomial(ZEROS), polynomial(OTHER_ZEROS)
    causal, anticausal = cepstrum_of(ZEROS), cepstrum_of(OTHER_ZEROS)[1:]
    log_gain, phase = mixed_phase_response(
        torch.from_numpy(causal), torch.from_numpy(anticausal), BINS
    )
    impulse = torch.fft.irfft(torch.polar(log_gain.exp(), phase)).numpy()
    n_fft = len(impulse)
    expected = np.zeros(n_fft)
    # Reversed in time about zero: its taps stand at 0, -1, -2, …
    for i, a in enumerate(forward):
        for j, b in enumerate(backward):
            expected[(i - j) % n_fft] += a * b
    np.testing.assert_allclose(impulse, expected, atol=1e-9)


def test_anticausal_alone_is_the_reverse_in_time():
    cepstrum = torch.from_numpy(cepstrum_of(ZEROS))
    gain, phase = minimum_phase_response(cepstrum, BINS)
    reversed_gain, reversed_phase = mixed_phase_response(cepstrum[:1], cepstrum[1:], BINS)
    torch.testing.assert_close(reversed_gain, gain)
    torch.testing.assert_close(reversed_phase, -phase)


def test_minimum_phase_has_its_energy_earliest():
    forward = polynomial(ZEROS)
    log_gain = torch.from_numpy(response_of(forward)[0])
    impulse = torch.fft.irfft(torch.polar(log_gain.exp(), minimum_phase(log_gain))).numpy()
    energy = np.cumsum(impulse**2)
    # The same magnitude with any of the zeros reflected out of the unit circle.
    for chosen in range(1, 2 ** len(ZEROS)):
        inside = [z for i, z in enumerate(ZEROS) if not chosen >> i & 1]
        outside = [z for i, z in enumerate(ZEROS) if chosen >> i & 1]
        other = np.convolve(polynomial(inside), polynomial(outside)[::-1])
        np.testing.assert_allclose(response_of(other)[0], log_gain, atol=1e-9)
        later = np.cumsum(other**2)
        assert np.all(energy[: len(later)] >= later - 1e-9)
        assert energy[0] > later[0] + 1e-3


def test_minimum_phase_is_causal():
    # Log magnitudes drawn at random, smooth enough: a cepstrum of 60 coefficients.
    generator = torch.Generator().manual_seed(0)
    cepstrum = 0.5 * torch.randn(60, generator=generator, dtype=torch.float64) / torch.arange(1, 61)
    log_gain, phase = minimum_phase_response(cepstrum, 1025)
    torch.testing.assert_close(minimum_phase(log_gain), phase, atol=1e-9, rtol=0)
    impulse = torch.fft.irfft(torch.polar(log_gain.exp(), phase))
    assert impulse[1024:].abs().max() < 1e-6 * impulse.abs().max()
    assert float(impulse[0]) == pytest.approx(float(cepstrum[0].exp()), rel=1e-9)


def test_log_magnitude_goes_round():
    generator = torch.Generator().manual_seed(1)
    log_gain = torch.randn(3, 257, generator=generator, dtype=torch.float64)
    even = real_cepstrum(log_gain)
    causal = torch.cat([even[:, :1], 2 * even[:, 1:256], even[:, 256:257]], dim=1)
    back, phase = minimum_phase_response(causal, 257)
    torch.testing.assert_close(back, log_gain)
    torch.testing.assert_close(phase, minimum_phase(log_gain))


def test_a_constant_gain_has_no_phase():
    log_gain, phase = minimum_phase_response(torch.tensor([[-0.7]]), 65)
    torch.testing.assert_close(log_gain, torch.full((1, 65), -0.7))
    assert not phase.any()
    assert minimum_phase(log_gain).abs().max() < 1e-6


def test_gradients():
    generator = torch.Generator().manual_seed(2)
    causal = torch.randn(2, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    anticausal = torch.randn(2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    log_gain = torch.randn(2, 9, generator=generator, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda c, a: mixed_phase_response(c, a, 9), (causal, anticausal))
    assert gradcheck(lambda c: minimum_phase_response(c, 9), causal)
    assert gradcheck(minimum_phase, log_gain)
    assert gradcheck(real_cepstrum, log_gain)


def test_dtypes_agree():
    cepstrum = torch.from_numpy(cepstrum_of(ZEROS, 100))
    exact = mixed_phase_response(cepstrum, cepstrum[1:50], 257)
    single = mixed_phase_response(cepstrum.float(), cepstrum[1:50].float(), 257)
    for a, b in zip(single, exact, strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a.double(), b, atol=2e-5, rtol=0)
    log_gain = exact[0]
    torch.testing.assert_close(
        minimum_phase(log_gain.float()).double(), minimum_phase(log_gain), atol=2e-5, rtol=0
    )
