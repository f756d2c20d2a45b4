"""Descriptions of filters: their values on the unit circle, and their taps."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import idct
from scipy.signal import freqz
from torch.autograd import gradcheck, gradgradcheck

from tests.oracles import fir as oracle
from vocoder.dsp.filters.fir import frequency_sampled_fir
from vocoder.dsp.filters.tap_shapes import (
    dct_log_gain,
    grid_log_gain,
    linear_phase_taps,
    mel_cepstrum_from_log_gain,
    mel_cepstrum_log_gain,
    minimum_phase_taps,
    mixed_phase_taps,
    warp_cepstrum,
)

OMEGA = np.linspace(0, np.pi, 257)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def decaying(count: int, seed: int = 0) -> torch.Tensor:
    """Cepstra of smooth filters."""
    return random(2, count, seed=seed) * 0.7 ** torch.arange(count)


def test_the_grid_is_joined_by_lines():
    values = random(3, 9)
    found = grid_log_gain(values, 100)
    for row in range(3):
        expected = np.interp(np.linspace(0, 8, 100), np.arange(9), values[row])
        np.testing.assert_allclose(found[row], expected, atol=1e-12)
    # As many points as bins: nothing in between.
    torch.testing.assert_close(grid_log_gain(values, 9), values)


def test_the_dct_is_that_of_scipy_and_keeps_distances():
    coefficients = random(3, 12)
    found = dct_log_gain(coefficients, 65)
    expected = idct(coefficients.numpy(), n=65, norm="ortho", axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    torch.testing.assert_close(found.norm(dim=1), coefficients.norm(dim=1))


@pytest.mark.parametrize("alpha", [-0.3, 0.0, 0.42, 0.9])
def test_a_mel_cepstrum_is_a_cepstrum_of_all_passes(alpha):
    mel_cepstrum = decaying(20)
    found = mel_cepstrum_log_gain(mel_cepstrum, 257, alpha)
    for row in range(2):
        expected = np.abs(oracle.warped_response(mel_cepstrum[row].numpy(), alpha, OMEGA))
        np.testing.assert_allclose(found[row].exp(), expected, rtol=1e-10)


@pytest.mark.parametrize("alpha", [-0.3, 0.0, 0.42])
def test_warping_is_the_same_filter_on_another_axis(alpha):
    cepstrum = decaying(15)
    mel_cepstrum = warp_cepstrum(cepstrum, 300, alpha)
    omega = np.linspace(0, np.pi, 50)
    for row in range(2):
        expected = oracle.warped_response(cepstrum[row].numpy(), 0.0, omega)
        found = oracle.warped_response(mel_cepstrum[row].numpy(), alpha, omega)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(alpha=st.floats(-0.7, 0.7), count=st.integers(1, 20), seed=st.integers(0, 1000))
def test_warping_there_and_back_changes_nothing(alpha, count, seed):
    cepstrum = random(count, seed=seed)
    there = warp_cepstrum(cepstrum, 300, alpha)
    torch.testing.assert_close(warp_cepstrum(there, count, -alpha), cepstrum, atol=1e-8, rtol=0)


@settings(max_examples=40, deadline=None)
@given(alpha=st.floats(-0.6, 0.6), count=st.integers(1, 25), seed=st.integers(0, 1000))
def test_a_mel_cepstrum_is_found_again_from_its_log_gain(alpha, count, seed):
    mel_cepstrum = random(count, seed=seed)
    log_gain = mel_cepstrum_log_gain(mel_cepstrum, 257, alpha)
    found = mel_cepstrum_from_log_gain(log_gain, count, alpha)
    torch.testing.assert_close(found, mel_cepstrum, atol=1e-9, rtol=0)


def test_no_other_mel_cepstrum_is_nearer():
    log_gain = random(257)
    best = mel_cepstrum_from_log_gain(log_gain, 20, 0.42)
    weight = torch.ones(257, dtype=torch.float64)
    weight[[0, -1]] = 0.5

    def distance(c: torch.Tensor) -> float:
        return float((weight * (mel_cepstrum_log_gain(c, 257, 0.42) - log_gain).square()).sum())

    for seed in range(20):
        assert distance(best + 1e-3 * random(20, seed=seed)) > distance(best)


def test_linear_phase_taps_are_the_frequency_sampled_ones():
    log_gain = random(3, 65)
    expected = frequency_sampled_fir(log_gain.exp())
    torch.testing.assert_close(linear_phase_taps(log_gain, 128), expected)
    odd = linear_phase_taps(log_gain, 81)
    torch.testing.assert_close(odd, odd.flip(-1))
    # A constant gain comes through any number of taps.
    for n_taps in (1, 2, 31, 64):
        flat = linear_phase_taps(torch.zeros(65, dtype=torch.float64), n_taps)
        assert float(flat[n_taps // 2]) == pytest.approx(1, abs=1e-12)
        assert float(flat.abs().sum()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_minimum_phase_taps_are_the_filter_whose_gain_it_is(gain):
    zeros = [0.9 * np.exp(0.3j), 0.8 * np.exp(1.2j)]
    taps = gain * np.poly(zeros + [np.conj(z) for z in zeros]).real
    log_gain = np.log(np.abs(freqz(taps, worN=np.linspace(0, np.pi, 513))[1]))
    found = minimum_phase_taps(torch.from_numpy(log_gain), 40).numpy()
    np.testing.assert_allclose(found[:5], taps, atol=1e-9 * gain)
    np.testing.assert_allclose(found[5:], 0, atol=1e-9 * gain)
    # The same with its zeros outside comes back with them inside.
    outside = np.log(np.abs(freqz(taps[::-1], worN=np.linspace(0, np.pi, 513))[1]))
    again = minimum_phase_taps(torch.from_numpy(outside), 5).numpy()
    np.testing.assert_allclose(again, taps, atol=1e-9 * gain)


def test_a_resonance_at_radius_0999_rings_as_it_should():
    radius, angle = 0.999, 0.5
    n = np.arange(1, 30000)
    a = np.array([1, -2 * radius * np.cos(angle), radius**2])
    cepstrum = np.concatenate([[0.0], 2 * radius**n * np.cos(n * angle) / n])
    log_gain = torch.fft.rfft(torch.from_numpy(cepstrum), n=32768).real
    np.testing.assert_allclose(
        log_gain[::64], -np.log(np.abs(freqz(a, worN=np.linspace(0, np.pi, 257))[1])), atol=1e-9
    )
    found = minimum_phase_taps(log_gain, 500).numpy()
    expected = radius ** np.arange(500) * np.sin((np.arange(500) + 1) * angle) / np.sin(angle)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_mixed_phase_taps_are_a_filter_and_one_reversed_in_time():
    causal, anticausal = decaying(8), decaying(6, seed=1)
    right = mixed_phase_taps(causal, anticausal[:, :0], 101, 512)
    left = mixed_phase_taps(causal[:, :1] * 0, anticausal, 101, 512)
    assert right[:, :50].abs().max() < 1e-9
    assert left[:, 51:].abs().max() < 1e-9
    both = mixed_phase_taps(causal, anticausal, 101, 512)
    for row in range(2):
        expected = np.convolve(right[row], left[row], mode="same")
        np.testing.assert_allclose(both[row], expected, atol=1e-9)


def test_without_an_anticausal_part_the_phase_is_minimal():
    mel_cepstrum = decaying(10)
    cepstrum = warp_cepstrum(mel_cepstrum, 100, -0.42)
    log_gain = mel_cepstrum_log_gain(mel_cepstrum, 257, 0.42)
    mixed = mixed_phase_taps(cepstrum, cepstrum[:, :0], 120, 512)
    torch.testing.assert_close(mixed[:, 60:], minimum_phase_taps(log_gain, 60), atol=1e-9, rtol=0)


def test_gradients():
    values, log_gain = random(2, 5).requires_grad_(), (0.3 * random(2, 9)).requires_grad_()
    causal, anticausal = (0.3 * random(2, 3, seed=i) for i in (3, 4))
    pair = (causal.requires_grad_(), anticausal.requires_grad_())
    for function in (
        lambda x: grid_log_gain(x, 11),
        lambda x: dct_log_gain(x, 9),
        lambda x: mel_cepstrum_log_gain(x, 9, 0.4),
        lambda x: mel_cepstrum_from_log_gain(x, 3, 0.4),
        lambda x: warp_cepstrum(x, 7, 0.4),
    ):
        assert gradcheck(function, values)
    for function in (lambda x: linear_phase_taps(x, 7), lambda x: minimum_phase_taps(x, 10)):
        assert gradcheck(function, log_gain)
        assert gradgradcheck(function, log_gain)
    assert gradcheck(lambda c, a: mixed_phase_taps(c, a, 7, 16), pair)
    assert gradgradcheck(lambda c, a: mixed_phase_taps(c, a, 7, 16), pair)


def test_dtypes_agree():
    values = decaying(12)
    log_gain = dct_log_gain(values, 129)
    for function, x in (
        (lambda x: grid_log_gain(x, 129), values),
        (lambda x: dct_log_gain(x, 129), values),
        (lambda x: mel_cepstrum_log_gain(x, 129, 0.42), values),
        (lambda x: warp_cepstrum(x, 20, 0.42), values),
        (lambda x: mel_cepstrum_from_log_gain(x, 20, 0.42), log_gain),
        (lambda x: linear_phase_taps(x, 80), log_gain),
        (lambda x: minimum_phase_taps(x, 80), log_gain),
        (lambda x: mixed_phase_taps(x, x[:, 1:6], 80, 256), values),
    ):
        single, exact = function(x.float()), function(x)
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), exact, atol=2e-5, rtol=1e-5)


def test_misfits_are_refused():
    with pytest.raises(ValueError, match="1 points on 9 bins"):
        grid_log_gain(torch.zeros(1), 9)
    with pytest.raises(ValueError, match="10 coefficients for 9 bins"):
        dct_log_gain(torch.zeros(10), 9)
    with pytest.raises(ValueError, match="10 coefficients from 9 bins"):
        mel_cepstrum_from_log_gain(torch.zeros(9), 10, 0.4)
    with pytest.raises(ValueError, match=r"alpha 1\.0 is no warping"):
        mel_cepstrum_log_gain(torch.zeros(9), 9, 1.0)
    with pytest.raises(ValueError, match=r"alpha -1\.5 is no warping"):
        warp_cepstrum(torch.zeros(9), 9, -1.5)
    for taps in (linear_phase_taps, minimum_phase_taps):
        with pytest.raises(ValueError, match="9 bins give 1 to 16 taps, not 17"):
            taps(torch.zeros(9), 17)
    with pytest.raises(ValueError, match="17 taps of 4 cepstral coefficients do not fit"):
        mixed_phase_taps(torch.zeros(2), torch.zeros(2), 17, 16)
