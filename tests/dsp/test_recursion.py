"""The two kernels against loops, their adjoints, and the choice of backend."""

import sys

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from tests.oracles import iir as oracle
from vocoder.dsp.filters.recursion import all_pole_recursion, linear_recursion, states_before

BACKENDS = ["philtorch", "torch"]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("n_samples", "order"), [(1, 1), (1, 5), (3, 5), (40, 1), (40, 7)])
def test_all_pole_is_the_recursion(backend, n_samples, order):
    # Coefficients and states without symmetry: any mix-up of their order shows.
    x, a, past = random(2, n_samples), 0.3 * random(2, n_samples, order, seed=1), random(2, order)
    found = all_pole_recursion(x, a, past, backend)
    for row in range(2):
        expected = oracle.all_pole(x[row].numpy(), a[row].numpy(), past[row].numpy())
        np.testing.assert_allclose(found[row], expected, atol=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_linear_recursion_is_the_loop(backend):
    u, matrices, h = random(2, 9, 3), 0.5 * random(2, 9, 3, 3, seed=1), random(2, 3, seed=2)
    found = linear_recursion(u, matrices, h, backend)
    before = states_before(h, found)
    for n in range(9):
        torch.testing.assert_close(before[:, n], h)
        h = torch.stack([m @ v for m, v in zip(matrices[:, n], h, strict=True)]) + u[:, n]
        torch.testing.assert_close(found[:, n], h)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gaps_in_memory_change_nothing(backend):
    x, a, past = random(6, 20)[::2], 0.3 * random(4, 20, 3).permute(2, 1, 0), random(4, 6).T[::2]
    found = all_pole_recursion(x, a, past, backend)
    dense = all_pole_recursion(x.contiguous(), a.contiguous(), past.contiguous(), backend)
    torch.testing.assert_close(found, dense)
    matrices, h = 0.5 * random(2, 20, 3, 3).mT, random(2, 3)
    found = linear_recursion(random(2, 3, 20).mT, matrices, h, backend)
    dense = linear_recursion(random(2, 3, 20).mT.contiguous(), matrices.contiguous(), h, backend)
    torch.testing.assert_close(found, dense)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n_samples", [1, 2, 6])
def test_gradients_of_first_and_second_order(backend, n_samples):
    inputs = [random(2, n_samples), 0.3 * random(2, n_samples, 3, seed=1), random(2, 3, seed=2)]
    inputs = [tensor.requires_grad_() for tensor in inputs]
    assert gradcheck(lambda *i: all_pole_recursion(*i, backend=backend), inputs)
    assert gradgradcheck(lambda *i: all_pole_recursion(*i, backend=backend), inputs)
    inputs = [random(2, n_samples, 2), 0.4 * random(2, n_samples, 2, 2, seed=1), random(2, 2)]
    inputs = [tensor.requires_grad_() for tensor in inputs]
    assert gradcheck(lambda *i: linear_recursion(*i, backend=backend), inputs)
    assert gradgradcheck(lambda *i: linear_recursion(*i, backend=backend), inputs)


@pytest.mark.parametrize("wanted", range(3))
def test_each_gradient_alone_is_the_one_of_all(wanted):
    inputs = [random(2, 8), 0.3 * random(2, 8, 3, seed=1), random(2, 3, seed=2)]
    every = [tensor.clone().requires_grad_() for tensor in inputs]
    expected = torch.autograd.grad(all_pole_recursion(*every).square().sum(), every)[wanted]
    alone = inputs[wanted].requires_grad_()
    (found,) = torch.autograd.grad(all_pole_recursion(*inputs).square().sum(), alone)
    torch.testing.assert_close(found, expected)


def test_backends_agree_in_single_precision():
    x, a, past = random(2, 300).float(), 0.1 * random(2, 300, 6, seed=1).float(), torch.zeros(2, 6)
    fast, slow = (all_pole_recursion(x, a, past, backend) for backend in BACKENDS)
    assert fast.dtype == slow.dtype == torch.float32
    torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-4)


def test_nobody_steps_in_for_a_missing_kernel(monkeypatch: pytest.MonkeyPatch):
    x, a, past = random(1, 4), random(1, 4, 2), random(1, 2)
    monkeypatch.setitem(sys.modules, "philtorch.lpv", None)
    with pytest.raises(ModuleNotFoundError, match=r"vocoder\[iir\].*backend='torch'"):
        all_pole_recursion(x, a, past)
    with pytest.raises(ModuleNotFoundError, match=r"vocoder\[iir\].*backend='torch'"):
        linear_recursion(random(1, 4, 2), random(1, 4, 2, 2), past)
    assert all_pole_recursion(x, a, past, backend="torch").shape == (1, 4)


@pytest.mark.usefixtures("unchecked_shapes")
def test_misfits_are_refused():
    x, a, past = random(1, 4), random(1, 4, 2), random(1, 2)
    with pytest.raises(ValueError, match="unknown backend 'numba'"):
        all_pole_recursion(x, a, past, backend="numba")
    with pytest.raises(ValueError, match="one set of coefficients for every sample"):
        all_pole_recursion(x, a[:, :3], past)
    with pytest.raises(ValueError, match="one square matrix for every sample"):
        linear_recursion(random(1, 4, 2), random(1, 3, 2, 2), past)
    with pytest.raises(ValueError, match="one dtype"):
        all_pole_recursion(x.float(), a, past)
    with pytest.raises(ValueError, match="order 0"):
        all_pole_recursion(x, a[:, :, :0], past[:, :0])
