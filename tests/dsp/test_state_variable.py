"""The state-variable filter against its equations, SciPy's Butterworth, and its own energy."""

import numpy as np
import pytest
import torch
from scipy.signal import butter, lfilter
from torch.autograd import gradcheck, gradgradcheck

from tests.oracles import iir as oracle
from vocoder.dsp.filters.state_variable import state_variable_filter, trapezoidal, warp

RATE = 16000
RESPONSES = ["low", "band", "high", "notch", "peak", "all_pass"]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def courses(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random cutoff and resonance at every sample."""
    return 1000 * torch.exp(random(*shape, seed=1).clamp(-3, 2)), torch.exp(random(*shape, seed=2))


def tone_gain(response: str, frequency_hz: float, cutoff_hz: float, q: float) -> complex:
    """Complex gain of a tone, after the filter has settled."""
    n = torch.arange(8000, dtype=torch.float64)
    course = torch.full((1, 8000), cutoff_hz, dtype=torch.float64)
    parts = [
        state_variable_filter(part[None], course, 0 * course + q, RATE, response)[0][0]
        for part in (
            torch.cos(2 * torch.pi * frequency_hz / RATE * n),
            torch.sin(2 * torch.pi * frequency_hz / RATE * n),
        )
    ]
    turned = torch.complex(*parts) * torch.exp(-2j * torch.pi * frequency_hz / RATE * n)
    return complex(turned[-1])


@pytest.mark.parametrize("backend", ["philtorch", "torch"])
def test_a_moving_filter_is_the_integrators_solved_sample_by_sample(backend):
    signal, (cutoff, q) = random(2, 80), courses(2, 80)
    g = warp(cutoff, RATE)
    outputs, _ = trapezoidal(signal, g, 1 / q, backend=backend)
    for row in range(2):
        expected = oracle.state_variable(signal[row].numpy(), g[row].numpy(), 1 / q[row].numpy())
        np.testing.assert_allclose(outputs[row].T, expected, atol=1e-11)


@pytest.mark.parametrize(("response", "kind"), [("low", "low"), ("high", "high")])
def test_a_resting_filter_is_butterworths(response, kind):
    signal, course = random(1, 400), torch.full((1, 400), 1500.0, dtype=torch.float64)
    found, _ = state_variable_filter(signal, course, 0 * course + 0.5**0.5, RATE, response)
    expected = lfilter(*butter(2, 1500, kind, fs=RATE), signal[0].numpy())
    np.testing.assert_allclose(found[0], expected, atol=1e-10)


@pytest.mark.parametrize(
    ("response", "at_zero", "at_cutoff", "at_top"),
    [
        ("low", 1, 3, 0),
        ("band", 0, 1, 0),
        ("high", 0, 3, 1),
        ("notch", 1, 0, 1),
        ("peak", 1, 6, 1),
        ("all_pass", 1, 1, 1),
    ],
)
def test_gains_are_those_promised(response, at_zero, at_cutoff, at_top):
    for frequency_hz, expected in ((0.0, at_zero), (1000.0, at_cutoff), (RATE / 2, at_top)):
        gain = abs(tone_gain(response, frequency_hz, 1000.0, 3.0))
        assert gain == pytest.approx(expected, abs=1e-6)


def test_all_pass_passes_all():
    for frequency_hz in (130.0, 900.0, 1100.0, 5000.0):
        assert abs(tone_gain("all_pass", frequency_hz, 1000.0, 2.0)) == pytest.approx(1, abs=1e-6)


def test_energy_changes_by_exactly_what_is_put_in_and_damped():
    signal, (cutoff, q) = random(1, 300), courses(1, 300)
    g, state = warp(cutoff, RATE), random(1, 2)
    outputs, _ = trapezoidal(signal, g, 1 / q, state)
    energies = [state.square().sum()]
    for n in range(300):
        part = slice(n, n + 1)
        _, state = trapezoidal(signal[:, part], g[:, part], 1 / q[:, part], state)
        energies.append(state.square().sum())
    band = outputs[..., 1]
    expected = 4 * g * band * (signal - band / q)
    torch.testing.assert_close(torch.stack(energies).diff(), expected[0], atol=1e-9, rtol=1e-9)


def test_without_damping_it_rings_for_ever():
    silence, g = torch.zeros(1, 20000, dtype=torch.float64), warp(torch.tensor(440.0), RATE)
    course = g.double().expand(1, 20000)
    start = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    _, state = trapezoidal(silence, course, 0 * course, start)
    assert float(state.square().sum()) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("cut", [1, 7, 59])
def test_pieces_are_the_whole(cut):
    inputs = random(2, 60), *courses(2, 60)
    whole, end = state_variable_filter(*inputs, RATE, "notch")
    first, state = state_variable_filter(*(x[:, :cut] for x in inputs), RATE, "notch")
    second, last = state_variable_filter(*(x[:, cut:] for x in inputs), RATE, "notch", state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, end)


@pytest.mark.parametrize("response", RESPONSES)
def test_gradients(response):
    inputs = [x.requires_grad_() for x in (random(1, 6), *courses(1, 6), random(1, 2))]

    def run(x, cutoff, q, state):
        return state_variable_filter(x, cutoff, q, RATE, response, state)

    assert gradcheck(run, inputs, atol=1e-4)
    if response == "notch":
        assert gradgradcheck(run, inputs, atol=1e-3)


@pytest.mark.parametrize("cutoff_hz", [1.0, 7999.0])
@pytest.mark.parametrize("q", [0.05, 1000.0])
def test_single_precision_holds_at_the_edges(cutoff_hz, q):
    signal, course = random(1, 4000), torch.full((1, 4000), cutoff_hz, dtype=torch.float64)
    for response in RESPONSES:
        exact, _ = state_variable_filter(signal, course, 0 * course + q, RATE, response)
        single, _ = state_variable_filter(
            signal.float(), course.float(), 0 * course.float() + q, RATE, response
        )
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), exact, atol=0.02, rtol=0.01)


def test_silence_stays_silent():
    silence, (cutoff, q) = torch.zeros(2, 50, dtype=torch.float64), courses(2, 50)
    found, state = state_variable_filter(silence, cutoff, q, RATE, "peak")
    assert float(found.abs().max()) == float(state.abs().max()) == 0


def test_out_of_range_is_refused():
    x = torch.ones(1, 4)
    for cutoff_hz in (0.0, 8000.0):
        with pytest.raises(ValueError, match=r"below Nyquist, 8000\.0 Hz"):
            state_variable_filter(x, cutoff_hz * x, x, RATE, "low")
    with pytest.raises(ValueError, match="q lies above 0"):
        state_variable_filter(x, 100 * x, 0 * x, RATE, "low")
    with pytest.raises(ValueError, match="unknown response 'bell'"):
        state_variable_filter(x, 100 * x, x, RATE, "bell")
