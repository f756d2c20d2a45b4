"""Linear prediction against SciPy's solvers, all-pole filters against the recursion itself."""

import numpy as np
import pytest
import torch
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter
from torch.autograd import gradcheck, gradgradcheck

from tests.oracles import dsp as oracle
from tests.oracles import iir
from vocoder.dsp.analysis.prediction import reflection_from_predictor
from vocoder.dsp.filters import allpole
from vocoder.dsp.filters.allpole import (
    all_pole,
    all_pole_overlapped,
    all_pole_samples,
    autocorrelation,
    interpolated_predictor,
    levinson_durbin,
)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def stable(*shape: int, order: int, seed: int = 0) -> torch.Tensor:
    """Coefficients of stable filters: predictors of random frames."""
    return levinson_durbin(autocorrelation(random(*shape, 40, seed=seed), order))[0]


def test_autocorrelation_is_the_sum_of_products():
    frames = random(3, 50)
    found = autocorrelation(frames, 12)
    for row in range(3):
        frame = frames[row].numpy()
        expected = np.correlate(frame, frame, mode="full")[49:62]
        np.testing.assert_allclose(found[row], expected, atol=1e-12)


@pytest.mark.parametrize("order", [0, 1, 2, 10, 30])
def test_levinson_solves_the_normal_equations(order):
    lags = autocorrelation(random(4, 60), order)
    coefficients, error = levinson_durbin(lags)
    assert coefficients.shape == (4, order)
    for row, r in enumerate(lags.numpy()):
        expected = solve_toeplitz(r[:-1], -r[1:]) if order else np.zeros(0)
        np.testing.assert_allclose(coefficients[row], expected, atol=1e-10)
        assert float(error[row]) == pytest.approx(r[0] + expected @ r[1:], abs=1e-10)


def test_predictors_are_stable():
    for a in stable(20, order=12).numpy():
        assert np.abs(np.roots(np.concatenate([[1.0], a]))).max() < 1


def test_prediction_finds_the_filter_that_made_the_signal():
    a = np.poly(0.9 * np.exp(1j * np.array([0.5, -0.5, 1.5, -1.5]))).real
    signal = torch.from_numpy(lfilter([1.0], a, random(100_000).numpy()))
    coefficients, error = levinson_durbin(autocorrelation(signal, 4))
    np.testing.assert_allclose(coefficients, a[1:], atol=0.02)
    assert float(error / len(signal)) == pytest.approx(1, rel=0.02)


def test_silence_has_no_predictor():
    with pytest.raises(ValueError, match="no energy to predict"):
        levinson_durbin(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="5 lags do not fit into frames of 5 samples"):
        autocorrelation(torch.ones(5), 5)


@pytest.mark.parametrize("order", [1, 4, 12, 30])
def test_a_constant_filter_is_that_of_scipy(order):
    signal, a = random(2, 240), stable(2, order=order, seed=1)
    found, _ = all_pole(signal, a[:, None].expand(-1, 12, -1))
    for row in range(2):
        polynomial = np.concatenate([[1.0], a[row]])
        np.testing.assert_allclose(found[row], lfilter([1.0], polynomial, signal[row]), atol=1e-10)


@pytest.mark.parametrize("hop", [1, 3, 20])
@pytest.mark.parametrize("order", [1, 4, 9])
def test_a_changing_filter_is_the_recursion(hop, order):
    signal, a = random(2, 60), stable(2, 60 // hop, order=order, seed=1)
    found, _ = all_pole(signal, a)
    for row in range(2):
        expected = oracle.all_pole(signal[row].numpy(), a[row].numpy())
        np.testing.assert_allclose(found[row], expected, atol=1e-10)


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_pieces_are_the_whole(cut):
    signal, a = random(2, 60), stable(2, 6, order=15, seed=1)
    whole, end = all_pole(signal, a)
    first, state = all_pole(signal[:, : 10 * cut], a[:, :cut])
    second, last = all_pole(signal[:, 10 * cut :], a[:, cut:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, end)


def test_a_long_signal_is_solved_in_blocks(monkeypatch: pytest.MonkeyPatch):
    signal, a = random(2, 60), stable(2, 6, order=4, seed=1)
    whole, _ = all_pole(signal, a)
    monkeypatch.setattr(allpole, "_BLOCK_ELEMENTS", 400)
    torch.testing.assert_close(all_pole(signal, a)[0], whole)


@pytest.mark.parametrize("bandwidth_hz", [50.0, 200.0])
def test_a_resonance_decays_as_its_bandwidth_says(bandwidth_hz):
    # 27.3 dB per second per hertz.
    rate, radius = 16000, np.exp(-np.pi * bandwidth_hz / 16000)
    a = np.array([-2 * radius * np.cos(2 * np.pi * 1000 / rate), radius**2])
    pulse = torch.zeros(1, 1600, dtype=torch.float64)
    pulse[0, 0] = 1
    ringing = all_pole(pulse, torch.from_numpy(a).expand(1, 20, -1))[0][0].numpy()
    peaks = 20 * np.log10(np.abs(ringing).reshape(-1, 160).max(axis=1))
    slope = np.polyfit(0.01 * np.arange(10), peaks, 1)[0]
    assert slope == pytest.approx(-27.3 * bandwidth_hz, rel=0.01)


def test_gradients():
    signal, a = random(2, 12), stable(2, 3, order=2, seed=1)
    inputs = [x.requires_grad_() for x in (signal, a, random(2, 2, seed=3))]
    assert gradcheck(all_pole, inputs)
    assert gradcheck(
        lambda x: levinson_durbin(autocorrelation(x, 4)), random(2, 12).requires_grad_()
    )


def test_dtypes_agree():
    signal, a = random(1, 800), stable(1, 10, order=10, seed=1)
    single = all_pole(signal.float(), a.float())[0]
    assert single.dtype == torch.float32
    exact = all_pole(signal, a)[0]
    torch.testing.assert_close(single.double(), exact, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("backend", ["philtorch", "torch"])
def test_a_filter_for_every_sample_is_the_recursion(backend):
    signal, a, past = random(2, 60), stable(2, 60, order=5, seed=1), random(2, 5, seed=2)
    found, state = all_pole_samples(signal, a, past, backend)
    for row in range(2):
        expected = iir.all_pole(signal[row].numpy(), a[row].numpy(), past[row].numpy())
        np.testing.assert_allclose(found[row], expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(state, found[:, -5:])


def test_holding_a_filter_for_a_frame_is_repeating_it_for_every_sample():
    signal, a = random(2, 60), stable(2, 6, order=4, seed=1)
    held, end = all_pole(signal, a)
    repeated, last = all_pole_samples(signal, a.repeat_interleave(10, dim=1))
    torch.testing.assert_close(repeated, held)
    torch.testing.assert_close(last, end)


@pytest.mark.parametrize("cut", [1, 3, 40])
def test_pieces_of_a_sample_wise_filter_are_the_whole(cut):
    signal, a = random(2, 60), stable(2, 60, order=15, seed=1)
    whole, end = all_pole_samples(signal, a)
    first, state = all_pole_samples(signal[:, :cut], a[:, :cut])
    second, last = all_pole_samples(signal[:, cut:], a[:, cut:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, end)


def test_poles_at_radius_0_999_ring_in_single_precision_too():
    a = torch.tensor([-2 * 0.999 * np.cos(0.3), 0.999**2], dtype=torch.float64)
    signal = random(1, 4000)
    exact, _ = all_pole_samples(signal, a.expand(1, 4000, -1))
    single, _ = all_pole_samples(signal.float(), a.float().expand(1, 4000, -1))
    assert single.dtype == torch.float32
    error = (single.double() - exact).square().mean() / exact.square().mean()
    assert 10 * float(torch.log10(error)) < -70


@pytest.mark.parametrize("kind", ["reflection", "line_spectra"])
def test_every_filter_between_two_stable_ones_is_stable(kind):
    values = torch.rand(3, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    boundaries = 1.98 * values - 0.99 if kind == "reflection" else np.pi * values.sort().values
    predictor = interpolated_predictor(boundaries, 10, kind)
    assert predictor.shape == (3, 40, 8)
    assert bool((reflection_from_predictor(predictor).abs() < 1).all())
    torch.testing.assert_close(
        predictor[:, ::10], interpolated_predictor(boundaries, 1, kind), atol=1e-12, rtol=1e-9
    )


def test_overlapped_frames_of_one_filter_are_that_filter():
    signal, a = random(2, 400), 0.5 ** torch.arange(1, 5) * stable(2, order=4, seed=1)
    found = all_pole_overlapped(signal, a[:, None].expand(-1, 20, -1), 240)
    for row in range(2):
        polynomial = np.concatenate([[1.0], a[row]])
        np.testing.assert_allclose(found[row], lfilter([1.0], polynomial, signal[row]), atol=1e-9)


def test_a_single_frame_is_one_filter():
    signal, a = random(1, 20), torch.tensor([[[-0.5]]], dtype=torch.float64)
    expected = lfilter([1.0], [1.0, -0.5], signal[0])
    np.testing.assert_allclose(all_pole_overlapped(signal, a, 100)[0], expected, atol=1e-9)


def test_overlapped_frames_fade_from_filter_to_filter():
    # A frame of the first filter, one of the second: a crossfade from middle to middle.
    signal = random(1, 20)
    a = torch.tensor([[[-0.5], [0.5]]], dtype=torch.float64)
    window = np.cos(np.pi * np.clip((np.arange(20) - 5) / 20, 0, 0.5)) ** 2
    first = lfilter([1.0], [1.0, -0.5], signal[0].numpy() * window)
    second = lfilter([1.0], [1.0, 0.5], signal[0].numpy() * (1 - window))
    expected = first + second
    np.testing.assert_allclose(all_pole_overlapped(signal, a, 80)[0], expected, atol=1e-9)


def test_gradients_of_sample_wise_and_overlapped_filters():
    signal, a = random(1, 8), 0.5 * stable(1, 8, order=2, seed=1)
    inputs = [x.detach().requires_grad_() for x in (signal, a, random(1, 2, seed=3))]
    assert gradcheck(all_pole_samples, inputs)
    inputs = [x.detach().requires_grad_() for x in (signal, a[:, :2])]
    assert gradcheck(lambda *i: all_pole_overlapped(*i, n_fft=16), inputs)
    assert gradgradcheck(lambda *i: all_pole_overlapped(*i, n_fft=16), inputs)


def test_misfits_are_refused():
    with pytest.raises(ValueError, match="100 samples cannot be shared out to 3 filters"):
        all_pole(torch.zeros(1, 100), torch.zeros(1, 3, 2))
    with pytest.raises(ValueError, match="100 samples cannot be shared out to 20 filters, an even"):
        all_pole_overlapped(torch.zeros(1, 100), torch.zeros(1, 20, 2), 64)
    with pytest.raises(ValueError, match="n_fft of 20 is no multiple of the hop of 10 above two"):
        all_pole_overlapped(torch.zeros(1, 100), torch.zeros(1, 10, 2), 20)
    with pytest.raises(ValueError, match="unknown kind 'cepstrum'"):
        interpolated_predictor(torch.zeros(1, 3, 2), 4, "cepstrum")
