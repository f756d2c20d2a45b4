"""Conversions between descriptions of all-pole filters: round trips and guarantees."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import freqz, lfilter
from torch.autograd import gradcheck, gradgradcheck

from vocoder.dsp.analysis.prediction import (
    autocorrelation_from_reflection,
    cepstrum_from_predictor,
    expand_bandwidth,
    line_spectra_from_gaps,
    line_spectra_from_predictor,
    predictor_from_cepstrum,
    predictor_from_line_spectra,
    predictor_from_reflection,
    reflection_from_predictor,
)
from vocoder.dsp.filters.allpole import levinson_durbin

# More and larger ones would cost all digits: a step down divides errors by 1 - k² each time.
coefficient = st.floats(-0.8, 0.8)
reflections = st.lists(coefficient, min_size=1, max_size=8).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)
gaps = st.lists(st.floats(-1, 1), min_size=2, max_size=11).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)
quick = settings(max_examples=60, deadline=None)


def random_reflection(*shape: int, top: float = 0.9, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return top * (2 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1)


def largest_pole(predictor: torch.Tensor) -> float:
    return float(np.abs(np.roots(np.concatenate([[1.0], predictor.numpy()]))).max(initial=0.0))


@quick
@given(reflections)
def test_reflection_gives_stable_filters_and_comes_back(reflection):
    predictor = predictor_from_reflection(reflection)
    assert largest_pole(predictor) < 1
    torch.testing.assert_close(
        reflection_from_predictor(predictor), reflection, atol=1e-5, rtol=1e-5
    )


@quick
@given(reflections)
def test_autocorrelation_and_levinson_are_inverses(reflection):
    power = torch.tensor(3.0, dtype=torch.float64)
    lags = autocorrelation_from_reflection(reflection, power)
    predictor, error = levinson_durbin(lags)
    expected = predictor_from_reflection(reflection)
    torch.testing.assert_close(predictor, expected, atol=1e-5, rtol=1e-5)
    remaining = power * (1 - reflection.square()).prod()
    torch.testing.assert_close(error, remaining, atol=0, rtol=1e-4)


@quick
@given(reflections)
def test_line_spectra_alternate_and_come_back(reflection):
    predictor = predictor_from_reflection(reflection)
    spectra = line_spectra_from_predictor(predictor)
    assert bool((torch.diff(spectra) > 0).all())
    assert spectra[0] > 0
    assert spectra[-1] < torch.pi
    torch.testing.assert_close(
        predictor_from_line_spectra(spectra), predictor, atol=1e-8, rtol=1e-8
    )


@quick
@given(gaps)
def test_any_gaps_make_a_stable_filter(logits):
    spectra = line_spectra_from_gaps(logits)
    predictor = predictor_from_line_spectra(spectra)
    assert bool((reflection_from_predictor(predictor).abs() < 1).all())
    torch.testing.assert_close(
        line_spectra_from_predictor(predictor), spectra, atol=1e-6, rtol=1e-6
    )


@quick
@given(reflections, st.floats(0.1, 10))
def test_cepstrum_and_predictor_are_inverses(reflection, gain):
    predictor = predictor_from_reflection(reflection)
    gain = torch.tensor(gain, dtype=torch.float64)
    cepstrum = cepstrum_from_predictor(predictor, gain, 20)
    again, power = predictor_from_cepstrum(cepstrum, len(reflection))
    torch.testing.assert_close(again, predictor, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(power, gain)


@quick
@given(reflections, st.floats(0, 500), st.floats(0, 500))
def test_bandwidths_add_up_and_never_make_a_filter_unstable(reflection, first_hz, second_hz):
    predictor = predictor_from_reflection(reflection)
    twice = expand_bandwidth(expand_bandwidth(predictor, first_hz, 16000), second_hz, 16000)
    once = expand_bandwidth(predictor, first_hz + second_hz, 16000)
    torch.testing.assert_close(twice, once)
    assert bool((reflection_from_predictor(once).abs() < 1).all())


def test_a_resonance_becomes_wider_by_what_is_asked():
    # Radius exp(-π b / rate): of 50 Hz, then of 170 Hz.
    radii = [float(np.exp(-np.pi * bandwidth_hz / 16000)) for bandwidth_hz in (50, 170)]
    before, after = (
        torch.tensor([-2 * r * np.cos(1.0), r * r], dtype=torch.float64) for r in radii
    )
    torch.testing.assert_close(expand_bandwidth(before, 120, 16000), after)


@pytest.mark.parametrize("order", [1, 2, 3, 8, 13])
def test_line_spectra_are_the_angles_of_p_and_q(order):
    predictor = predictor_from_reflection(random_reflection(order, top=0.7))
    a = np.concatenate([[1.0], predictor.numpy(), [0.0]])
    angles = []
    for polynomial in (a + a[::-1], a - a[::-1]):
        roots = np.roots(polynomial)
        np.testing.assert_allclose(np.abs(roots), 1, atol=1e-6)
        angles.extend(w for w in np.angle(roots) if 1e-6 < w < np.pi - 1e-6)
    np.testing.assert_allclose(line_spectra_from_predictor(predictor), sorted(angles), atol=1e-7)


def test_a_resonance_lies_between_two_near_line_spectra():
    radius, angle = 0.999, 1.0
    predictor = torch.tensor([-2 * radius * np.cos(angle), radius**2], dtype=torch.float64)
    low, high = line_spectra_from_predictor(predictor)
    assert low < angle < high
    # For a single resonance, exactly.
    assert float(torch.cos(low) - torch.cos(high)) == pytest.approx(1 - radius**2)
    reflection = reflection_from_predictor(predictor)
    torch.testing.assert_close(predictor_from_reflection(reflection), predictor)


def test_cepstrum_is_the_logarithm_of_the_response():
    predictor = predictor_from_reflection(random_reflection(4, top=0.6))
    cepstrum = cepstrum_from_predictor(predictor, torch.tensor(2.0, dtype=torch.float64), 400)
    omega, response = freqz([2.0], np.concatenate([[1.0], predictor.numpy()]), 64)
    log = np.exp(-1j * np.outer(omega, np.arange(400))) @ cepstrum.numpy()
    np.testing.assert_allclose(np.exp(log), response, rtol=1e-9)


def test_lags_are_those_of_the_filter():
    reflection = random_reflection(4, top=0.7)
    predictor = predictor_from_reflection(reflection).numpy()
    pulse = np.eye(1, 4000)[0]
    response = lfilter([1.0], np.concatenate([[1.0], predictor]), pulse)
    expected = np.array([response[: 4000 - k] @ response[k:] for k in range(5)])
    found = autocorrelation_from_reflection(reflection, torch.tensor(expected[0]))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_gradients(order):
    reflection = random_reflection(2, order, top=0.7).requires_grad_()
    predictor = predictor_from_reflection(reflection).detach().requires_grad_()
    power = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    logits = random_reflection(2, order + 1).requires_grad_()
    for function, inputs in (
        (predictor_from_reflection, (reflection,)),
        (reflection_from_predictor, (predictor,)),
        (autocorrelation_from_reflection, (reflection, power)),
        (line_spectra_from_predictor, (predictor,)),
        (lambda x: predictor_from_line_spectra(line_spectra_from_gaps(x)), (logits,)),
        (lambda a, g: cepstrum_from_predictor(a, g, 7), (predictor, power)),
        (lambda a: predictor_from_cepstrum(a, order - 1), (predictor,)),
        (lambda a: expand_bandwidth(a, 50, 1000), (predictor,)),
    ):
        assert gradcheck(function, inputs)
        assert gradgradcheck(function, inputs)


def test_dtypes_agree():
    reflection = random_reflection(20, 10, top=0.7)
    for function in (
        predictor_from_reflection,
        lambda k: autocorrelation_from_reflection(k, k.new_ones(20)),
        lambda k: reflection_from_predictor(predictor_from_reflection(k)),
        lambda k: line_spectra_from_predictor(predictor_from_reflection(k)),
        lambda k: predictor_from_line_spectra(line_spectra_from_gaps(k)),
        lambda k: cepstrum_from_predictor(predictor_from_reflection(k), k.new_ones(20), 30),
    ):
        single = function(reflection.float())
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), function(reflection), atol=2e-4, rtol=2e-4)


def test_order_zero_is_the_filter_that_does_nothing():
    nothing = torch.zeros(3, 0)
    for function in (
        predictor_from_reflection,
        reflection_from_predictor,
        line_spectra_from_predictor,
        predictor_from_line_spectra,
    ):
        assert function(nothing).shape == (3, 0)
    lags = autocorrelation_from_reflection(nothing, torch.ones(3))
    torch.testing.assert_close(lags, torch.ones(3, 1))


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="not stable: expand its bandwidths"):
        line_spectra_from_predictor(torch.tensor([[0.5], [1.5]]))
    with pytest.raises(ValueError, match="3 cepstral coefficients do not determine 3 poles"):
        predictor_from_cepstrum(torch.zeros(3), 3)
    with pytest.raises(ValueError, match="at least c_0"):
        cepstrum_from_predictor(torch.zeros(3), torch.tensor(1.0), 0)
