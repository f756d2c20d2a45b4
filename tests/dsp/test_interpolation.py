"""Curves between frames: hold, cubic and windows, each against SciPy or a loop, and each with what
it promises."""

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicHermiteSpline
from torch.autograd import gradcheck, gradgradcheck

from tests.oracles import dsp as oracle
from vocoder.dsp.framing import (
    interpolate_cubic,
    interpolate_hold,
    interpolate_linear,
    interpolate_windows,
)

CURVES = [interpolate_cubic, interpolate_linear, interpolate_windows]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("hop", [1, 3, 256])
def test_values_are_held(hop):
    values = random(2, 5)
    np.testing.assert_array_equal(
        interpolate_hold(values, hop), np.repeat(values.numpy(), hop, axis=1)
    )


@pytest.mark.parametrize("hop", [1, 3, 80])
@pytest.mark.parametrize("boundaries", [2, 3, 9])
def test_cubic_is_the_hermite_spline_of_central_slopes(hop, boundaries):
    values = random(2, boundaries)
    found = interpolate_cubic(values, hop)
    knots = np.arange(boundaries) * hop
    for row in range(2):
        points = values[row].numpy()
        beyond = np.concatenate(
            [[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]]
        )
        spline = CubicHermiteSpline(knots, points, (beyond[2:] - beyond[:-2]) / (2 * hop))
        np.testing.assert_allclose(found[row], spline(np.arange(knots[-1])), atol=1e-12)


def test_cubic_keeps_parabolas_but_for_the_ends():
    time = torch.arange(0, 401, dtype=torch.float64)
    parabola = 3 - 0.2 * time + 0.01 * time**2
    found = interpolate_cubic(parabola[None, ::40], 40)[0]
    torch.testing.assert_close(found[40:-40], parabola[40:-41])


def test_cubic_overshoots_a_step_as_it_says():
    step = torch.tensor([[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
    found = interpolate_cubic(step, 300)
    assert float(found.max()) == pytest.approx(1 + 2 / 27, abs=1e-4)
    assert float(found.min()) == pytest.approx(-2 / 27, abs=1e-4)


@pytest.mark.parametrize("hop", [1, 3, 80])
@pytest.mark.parametrize("boundaries", [2, 9])
def test_windows_are_overlapped_and_added(hop, boundaries):
    values = random(2, boundaries)
    found = interpolate_windows(values, hop)
    window = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop) / hop)
    for row in range(2):
        whole = oracle.overlap_add(values[row].numpy()[:, None] * window, hop)
        np.testing.assert_allclose(found[row], whole[hop : hop * boundaries], atol=1e-12)


def test_windows_stay_between_the_values():
    values = random(1, 30)
    found = interpolate_windows(values, 50).reshape(29, 50)
    low, high = (f(values[0, :-1], values[0, 1:])[:, None] for f in (torch.minimum, torch.maximum))
    assert ((found >= low - 1e-12) & (found <= high + 1e-12)).all()


@pytest.mark.parametrize("curve", CURVES)
def test_every_curve_meets_the_values_and_keeps_a_constant(curve):
    values = random(2, 9)
    torch.testing.assert_close(curve(values, 32)[:, ::32], values[:, :-1])
    constant = torch.full((1, 5), -2.5, dtype=torch.float64)
    torch.testing.assert_close(curve(constant, 32), torch.full((1, 128), -2.5).double())


@pytest.mark.parametrize("curve", CURVES)
def test_pieces_are_the_whole(curve):
    values = random(2, 12)
    whole = curve(values, 16)
    # The cubic needs a boundary more on either side.
    inner = curve(values[:, 3:9], 16)[:, 16:-16]
    torch.testing.assert_close(inner, whole[:, 64:112])


@pytest.mark.parametrize("curve", [*CURVES, interpolate_hold])
def test_gradients_and_dtypes(curve):
    values = random(2, 5).requires_grad_()
    assert gradcheck(lambda v: curve(v, 3), values)
    assert gradgradcheck(lambda v: curve(v, 3).exp(), values)
    long = random(2, 40)
    single = curve(long.float(), 80)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), curve(long, 80), atol=1e-6, rtol=0)
