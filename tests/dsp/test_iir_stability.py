"""Ten thousand random courses through every recursive filter, a new filter at every sample.

Each is held to what theory bounds it by: the energy of its states, which cannot grow, or, for the
direct forms, which have no such energy, the contraction of coefficients that are small enough.
"""

import numpy as np
import pytest
import torch
from scipy.linalg import solve_continuous_are, solve_continuous_lyapunov

from vocoder.dsp.analysis.prediction import reflection_from_predictor
from vocoder.dsp.filters.allpole import all_pole, all_pole_samples
from vocoder.dsp.filters.biquad import biquad_cascade
from vocoder.dsp.filters.lattice import all_pole_lattice
from vocoder.dsp.filters.pole_mixing import four_pole
from vocoder.dsp.filters.state_variable import trapezoidal, warp

pytestmark = pytest.mark.slow

COUNT, SAMPLES, RATE = 10_000, 48, 16000
SLACK = 1 + 1e-9


def uniform(*shape: int, low: float = 0.0, high: float = 1.0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)


def any_cutoff() -> torch.Tensor:
    """From 20 Hz to just below Nyquist, another one at every sample, evenly in octaves."""
    low, high = np.log(20.0), np.log(0.4999 * RATE)
    return torch.exp(uniform(COUNT, SAMPLES, low=low, high=high, seed=1))


def silence() -> torch.Tensor:
    return torch.zeros(COUNT, SAMPLES, dtype=torch.float64)


def noise() -> torch.Tensor:
    return uniform(COUNT, SAMPLES, low=-1, high=1, seed=2)


def assert_finite_gradients(output: torch.Tensor, *inputs: torch.Tensor) -> None:
    for gradient in torch.autograd.grad(output.square().mean(), inputs):
        assert bool(gradient.isfinite().all())
        assert float(gradient.abs().max()) > 0


def test_state_variable_filter():
    g, damping = warp(any_cutoff(), RATE), torch.exp(uniform(COUNT, SAMPLES, low=-9, high=3))
    start = uniform(COUNT, 2, low=-1, high=1, seed=3)
    _, end = trapezoidal(silence(), g, damping, start)
    energy = start.square().sum(dim=1)
    assert bool((end.square().sum(dim=1) <= SLACK * energy).all())
    # Undamped, at the limit of resonance, all of it stays.
    _, end = trapezoidal(silence(), g, torch.zeros_like(g), start)
    torch.testing.assert_close(end.square().sum(dim=1), energy, atol=0, rtol=1e-9)
    inputs = [tensor.requires_grad_() for tensor in (noise(), g, damping, start)]
    outputs, end = trapezoidal(*inputs)
    bound = energy + (g * inputs[0].square() / damping).sum(dim=1)
    assert bool((end.square().sum(dim=1) <= SLACK * bound).all())
    assert_finite_gradients(outputs, *inputs)


def random_sections() -> torch.Tensor:
    """Anywhere within the triangle of stable denominators, numerators as large as one."""
    a2 = uniform(COUNT, SAMPLES, low=-0.999, high=0.999, seed=4)
    a1 = 0.999 * (1 + a2) * uniform(COUNT, SAMPLES, low=-1, high=1, seed=5)
    b = uniform(COUNT, SAMPLES, 3, low=-1, high=1, seed=6)
    return torch.cat([b, a1[..., None], a2[..., None]], dim=-1)[:, :, None]


def test_biquads_as_state_variable_filters():
    start = uniform(COUNT, 1, 2, low=-1, high=1, seed=3)
    _, end = biquad_cascade(silence(), random_sections(), start, form="state_variable")
    assert bool((end.square().sum(dim=2) <= SLACK * start.square().sum(dim=2)).all())
    inputs = [tensor.requires_grad_() for tensor in (noise(), random_sections(), start)]
    assert_finite_gradients(biquad_cascade(*inputs, form="state_variable")[0], *inputs)


def test_biquads_in_direct_form_with_small_denominators():
    # |a1| + |a2| <= 0.95 at any two samples: max |y| <= max |x| Σ max |b| / 0.05.
    sections = random_sections()
    sections[..., 3:] *= 0.475 / sections[..., 3:].abs().clamp(min=0.475)
    inputs = [tensor.requires_grad_() for tensor in (noise(), sections)]
    output, _ = biquad_cascade(*inputs)
    assert float(output.detach().abs().max()) <= 3 / 0.05
    assert_finite_gradients(output, *inputs)


def largest_energy_share(end: torch.Tensor, start: torch.Tensor, form: np.ndarray) -> float:
    """The largest quotient of a quadratic form of the last states and the first ones."""
    last, first = (np.einsum("bi,ij,bj->b", s, form, s) for s in (end.numpy(), start.numpy()))
    return float((last / first).max())


def ladder(resonance: float) -> np.ndarray:
    """The analogue loop in units of its cutoff: dy / dt = F y."""
    matrix = -np.eye(4) + np.eye(4, k=-1)
    matrix[0, 3] = -resonance
    return matrix


def test_four_pole_with_moving_cutoff_and_resonance():
    # Below 1 / cos⁵ 36° the circle criterion gives one form for all resonances, from Riccati's
    # equation of the positive real 1 + 2.8 / (1 + s)⁴; that it is one is seen at both ends.
    top = 2.8
    b, c = np.eye(4)[:, :1], top * np.eye(4)[:, 3:]
    form = solve_continuous_are(ladder(0), b, np.zeros((4, 4)), np.array([[-2.0]]), s=-c)
    for resonance in (0.0, top):
        loss = ladder(resonance).T @ form + form @ ladder(resonance)
        assert np.linalg.eigvalsh(loss).max() < 1e-9
    assert np.linalg.eigvalsh(form).min() > 0
    start = uniform(COUNT, 4, low=-1, high=1, seed=3)
    course, gains = uniform(COUNT, SAMPLES, high=top, seed=7), noise()[..., None].expand(-1, -1, 5)
    _, end = four_pole(silence(), any_cutoff(), course, gains, RATE, start)
    assert largest_energy_share(end, start, form) <= SLACK
    inputs = [x.detach().clone().requires_grad_() for x in (noise(), any_cutoff(), course, gains)]
    assert_finite_gradients(four_pole(*inputs, RATE, start)[0], *inputs)


@pytest.mark.parametrize("resonance", [0.0, 2.0, 3.5, 3.99])
def test_four_pole_with_moving_cutoff_at_a_resonance_that_stays(resonance):
    form = solve_continuous_lyapunov(ladder(resonance).T, -np.eye(4))
    start = uniform(COUNT, 4, low=-1, high=1, seed=3)
    course, gains = silence() + resonance, noise()[..., None].expand(-1, -1, 5)
    _, end = four_pole(silence(), any_cutoff(), course, gains, RATE, start)
    assert largest_energy_share(end, start, form) <= SLACK


def test_normalised_ladder():
    reflection = uniform(COUNT, SAMPLES, 4, low=-0.999, high=0.999, seed=8)
    start = uniform(COUNT, 4, low=-1, high=1, seed=3)
    inputs = [tensor.requires_grad_() for tensor in (noise(), reflection, start)]
    output, end = all_pole_lattice(*inputs)
    bound = start.square().sum(dim=1) + inputs[0].square().cumsum(dim=1).mT
    assert bool((output.square().mT <= SLACK * bound).all())
    assert bool((end.square().sum(dim=1) <= SLACK * bound[-1]).all())
    assert_finite_gradients(output, *inputs)


def test_all_pole_in_direct_form_with_small_coefficients():
    # Σ |a_i| <= 0.95: max |y| <= max |x| / 0.05, whatever the course.
    a = uniform(COUNT, SAMPLES, 6, low=-1, high=1, seed=9)
    a = 0.95 * a / a.abs().sum(dim=2, keepdim=True)
    inputs = [tensor.requires_grad_() for tensor in (noise(), a)]
    output, _ = all_pole_samples(*inputs)
    assert float(output.detach().abs().max()) <= 1 / 0.05
    assert_finite_gradients(output, *inputs)
    inputs = [tensor.detach().clone().requires_grad_() for tensor in (noise(), a[:, ::8])]
    output, _ = all_pole(*inputs)
    assert float(output.detach().abs().max()) <= 1 / 0.05
    assert_finite_gradients(output, *inputs)


def test_direct_forms_may_grow_where_the_others_cannot():
    # Two alternating stable resonances: poles at radius 0.95, a low and a high one.
    n_samples = 200
    a = torch.tensor([[-1.8, 0.9], [1.8, 0.9]], dtype=torch.float64).repeat(n_samples // 2, 1)[None]
    pulse = torch.eye(1, n_samples, dtype=torch.float64)
    sections = torch.cat([torch.tensor([1.0, 0.0, 0.0]).double().expand(1, n_samples, 3), a], -1)
    assert float(all_pole_samples(pulse, a)[0].abs().max()) > 1e30
    assert float(biquad_cascade(pulse, sections[:, :, None])[0].abs().max()) > 1e30
    assert float(all_pole_lattice(pulse, reflection_from_predictor(a))[0].abs().max()) <= 1
    passive, _ = biquad_cascade(pulse, sections[:, :, None], form="state_variable")
    assert float(passive.abs().max()) < 100
