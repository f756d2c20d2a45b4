"""Curvature against theory, and fits against least squares."""

import math

import pytest
import torch

from studies.parameterisation.fit import adam, conditions, lbfgs, steps_to
from studies.parameterisation.shapes import ALPHA, BINS, SHAPES

pytestmark = pytest.mark.slow


def envelope(seed: int = 0) -> torch.Tensor:
    """Something smooth: a few cosines."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(2, 12, generator=generator, dtype=torch.float64) / torch.arange(1, 13)
    place = torch.linspace(0, torch.pi, BINS, dtype=torch.float64)
    return weights @ torch.cos(torch.arange(1, 13)[:, None] * place)


@pytest.mark.parametrize("name", SHAPES)
def test_all_start_flat(name):
    assert SHAPES[name](torch.zeros(24, dtype=torch.float64)).abs().max() < 1e-6


def test_curvature_where_theory_knows_it():
    flat = torch.zeros(1, 24, dtype=torch.float64)
    found = {name: float(conditions(shape, flat)) for name, shape in SHAPES.items()}
    assert found["DCT"] == pytest.approx(1, abs=1e-9)
    # Cosines: the constant has twice the energy of the others, but for the ends of the axis.
    assert found["raw taps"] == pytest.approx(2, rel=0.03)
    assert found["reflection coefficients"] == pytest.approx(2, rel=0.03)
    assert found["mel-cepstrum"] < 2 * ((1 + ALPHA) / (1 - ALPHA)) ** 2
    # The window's first tap is zero: samples that alternate move nothing.
    assert math.isinf(found["frequency samples, windowed"])


@pytest.mark.parametrize("name", ["DCT", "mel-cepstrum", "frequency grid, lines"])
def test_linear_descriptions_end_at_least_squares(name):
    target, shape = envelope(), SHAPES[name]
    basis = shape(torch.eye(10, dtype=torch.float64))
    solution = torch.linalg.lstsq(basis.T, target.T).solution.T
    expected = (solution @ basis - target).square().mean(dim=1).sqrt() * (20 / math.log(10))
    torch.testing.assert_close(lbfgs(shape, target, 10).errors_db[-1], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        adam(shape, target, 10, 0.3).errors_db[-1], expected, atol=1e-2, rtol=0
    )


def test_steps_to_a_goal():
    errors = torch.tensor([[3.0, 3.0], [2.0, 3.0], [1.0, 3.0]])
    assert steps_to(errors, torch.tensor([2.0, 2.0])).tolist() == [1.0, torch.inf]
