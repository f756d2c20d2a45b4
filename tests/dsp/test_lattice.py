"""The normalised ladder against its rotations, the all-pole filter, and conservation of energy."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from torch.autograd import gradcheck, gradgradcheck

from tests.oracles import iir as oracle
from vocoder.dsp.analysis.prediction import predictor_from_reflection
from vocoder.dsp.filters.lattice import all_pole_lattice


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("backend", ["philtorch", "torch"])
@pytest.mark.parametrize("order", [1, 2, 9])
def test_a_moving_ladder_is_its_rotations(backend, order):
    signal, reflection = random(2, 50), 0.99 * torch.tanh(random(2, 50, order, seed=1))
    found, _ = all_pole_lattice(signal, reflection, backend=backend)
    for row in range(2):
        expected = oracle.lattice(signal[row].numpy(), reflection[row].numpy())
        np.testing.assert_allclose(found[row], expected, atol=1e-11)


@pytest.mark.parametrize("order", [1, 2, 12])
def test_a_resting_ladder_is_the_all_pole_filter(order):
    signal, reflection = random(1, 400), 0.8 * torch.tanh(random(order, seed=1))
    found, _ = all_pole_lattice(signal, reflection.expand(1, 400, -1))
    a = np.concatenate([[1.0], predictor_from_reflection(reflection).numpy()])
    gain = float(torch.sqrt(1 - reflection.square()).prod())
    np.testing.assert_allclose(found[0], gain * lfilter([1.0], a, signal[0]), atol=1e-10)


def test_white_noise_keeps_its_power():
    reflection = torch.tensor([-0.9, 0.8, 0.3], dtype=torch.float64)
    found, _ = all_pole_lattice(random(8, 20000), reflection.expand(8, 20000, -1))
    assert float(found.square().mean()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("cut", [1, 25])
def test_pieces_are_the_whole(cut):
    signal, reflection = random(2, 40), torch.tanh(random(2, 40, 5, seed=1))
    whole, end = all_pole_lattice(signal, reflection)
    first, state = all_pole_lattice(signal[:, :cut], reflection[:, :cut])
    second, last = all_pole_lattice(signal[:, cut:], reflection[:, cut:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, end)


def test_gradients():
    inputs = (random(1, 5), 0.5 * torch.tanh(random(1, 5, 3, seed=1)), random(1, 3))
    inputs = [tensor.requires_grad_() for tensor in inputs]
    assert gradcheck(all_pole_lattice, inputs)
    assert gradgradcheck(all_pole_lattice, inputs)


def test_dtypes_agree_at_radius_0_999():
    radius = 0.999
    reflection = torch.tensor([-np.cos(0.3) * 2 * radius / (1 + radius**2), radius**2])
    course = reflection.double().expand(1, 4000, -1)
    exact, _ = all_pole_lattice(random(1, 4000), course)
    single, _ = all_pole_lattice(random(1, 4000).float(), course.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, atol=5e-3, rtol=5e-3)


def test_unstable_coefficients_are_refused():
    with pytest.raises(ValueError, match="strictly between -1 and 1"):
        all_pole_lattice(torch.ones(1, 2), torch.ones(1, 2, 1))
