"""Adaptive filters against plain loops and padasip, and on system identification."""

from functools import partial

import numpy as np
import pytest
import torch
from padasip import filters
from scipy.signal import lfilter
from torch.autograd import gradcheck, gradgradcheck

from tests.oracles import adaptive as oracle
from vocoder.dsp.filters.adaptive import affine_projection, lms, macs_per_sample, nlms, rls

TAPS = 5
FILTERS = {
    "lms": (partial(lms, step=0.05), partial(oracle.lms, step=0.05)),
    "nlms": (
        partial(nlms, step=0.5, regularisation=1e-3),
        partial(oracle.nlms, step=0.5, delta=1e-3),
    ),
    "rls": (
        partial(rls, forgetting=0.97, regularisation=0.1),
        partial(oracle.rls, forget=0.97, delta=0.1),
    ),
    "affine projection 1": (
        partial(affine_projection, order=1, step=0.5, regularisation=1e-3),
        partial(oracle.affine_projection, order=1, step=0.5, delta=1e-3),
    ),
    "affine projection 3": (
        partial(affine_projection, order=3, step=0.5, regularisation=1e-2),
        partial(oracle.affine_projection, order=3, step=0.5, delta=1e-2),
    ),
}
EVERY = pytest.mark.parametrize("name", FILTERS)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def system(signal: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """Output of a fixed filter for each row."""
    return torch.from_numpy(lfilter(taps.numpy(), [1.0], signal.numpy(), axis=1))


@EVERY
def test_they_are_the_plain_loops(name):
    run, expected = FILTERS[name]
    signal, target = random(2, 60), random(2, 60, seed=1)
    with torch.no_grad():
        found = run(signal, target, TAPS, keep_trajectory=True)
    for row in range(2):
        output, taps = expected(signal[row].numpy(), target[row].numpy(), TAPS)
        np.testing.assert_allclose(found.output[row], output, atol=1e-10)
        np.testing.assert_allclose(found.trajectory[row], taps, atol=1e-10)
    torch.testing.assert_close(found.error, target - found.output)
    tracked = run(signal.requires_grad_(), target, TAPS).output
    torch.testing.assert_close(tracked.detach(), found.output)


def test_they_are_those_of_padasip():
    signal, target = random(1, 100), random(1, 100, seed=1)
    rows = np.stack([oracle.window(signal[0].numpy(), n, TAPS) for n in range(100)])
    for ours, theirs in (
        (lms(signal, target, TAPS, 0.05), filters.FilterLMS(TAPS, 0.05, w="zeros")),
        (
            nlms(signal, target, TAPS, 0.5, 1e-3),
            filters.FilterNLMS(TAPS, 0.5, eps=1e-3, w="zeros"),
        ),
        (
            rls(signal, target, TAPS, 0.97, 0.1),
            filters.FilterRLS(TAPS, 0.97, eps=0.1, w="zeros"),
        ),
        (
            affine_projection(signal, target, TAPS, 3, 0.5, 1e-2),
            filters.FilterAP(TAPS, mu=0.5, order=3, ifc=1e-2, w="zeros"),
        ),
    ):
        output, error, _ = theirs.run(target[0].numpy(), rows)
        np.testing.assert_allclose(ours.output[0], output, atol=1e-8)
        np.testing.assert_allclose(ours.error[0], error, atol=1e-8)


@EVERY
def test_pieces_are_the_whole(name):
    for cut in [1, 3, 40]:
        run, _ = FILTERS[name]
        signal, target = random(2, 60), random(2, 60, seed=1)
        with torch.no_grad():
            whole = run(signal, target, TAPS)
            first = run(signal[:, :cut], target[:, :cut], TAPS)
            kept = [x.clone() for x in first.state]
            second = run(signal[:, cut:], target[:, cut:], TAPS, state=first.state)
        torch.testing.assert_close(torch.cat([first.output, second.output], dim=1), whole.output)
        for a, b in zip(second.state, whole.state, strict=True):
            torch.testing.assert_close(a, b)
        # The given state is not modified.
        for a, b in zip(first.state, kept, strict=True):
            assert torch.equal(a, b)


@EVERY
def test_an_unknown_system_is_found(name):
    run, _ = FILTERS[name]
    unknown, signal = random(TAPS, seed=2), random(1, 800)
    with torch.no_grad():
        found = run(signal, system(signal, unknown), TAPS)
    np.testing.assert_allclose(found.state.taps[0], unknown, atol=1e-4)
    assert found.error[0, -100:].abs().max() < 1e-3


def test_on_coloured_signals_order_pays():
    # One pole at 0.95: eigenvalues of the correlation matrix spread by a thousand.
    white, unknown = random(4, 1500), random(16, seed=2)
    signal = torch.from_numpy(lfilter([1.0], [1.0, -0.95], white.numpy(), axis=1))
    target = system(signal, unknown)

    def misalignment(found) -> float:
        return float((found.state.taps - unknown).square().sum(1).mean() / unknown.square().sum())

    with torch.no_grad():
        first = misalignment(nlms(signal, target, 16, 0.5))
        second = misalignment(affine_projection(signal, target, 16, 2, 0.5))
        recursive = misalignment(rls(signal, target, 16, 1.0))
    assert first > 100 * second
    assert recursive < 1e-6


def test_forgetting_follows_a_system_that_jumps():
    signal = random(1, 1200)
    before, after = random(TAPS, seed=2), random(TAPS, seed=3)
    target = torch.cat([system(signal, before)[:, :600], system(signal, after)[:, 600:]], dim=1)
    with torch.no_grad():
        found, stubborn = (rls(signal, target, TAPS, f) for f in (0.95, 1.0))
    np.testing.assert_allclose(found.state.taps[0], after, atol=1e-6)
    assert (stubborn.state.taps[0] - after).abs().max() > 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding_does_not_grow_with_forgetting(dtype):
    # An asymmetric part of the matrix would be multiplied by 1 / 0.9^3000.
    unknown, signal = random(TAPS, seed=2), random(2, 3000)
    with torch.no_grad():
        target = system(signal, unknown).to(dtype)
        found = rls(signal.to(dtype), target, TAPS, 0.9)
    assert torch.equal(found.state.memory, found.state.memory.mT)
    assert (found.state.taps - unknown).abs().max() < 1e-5


@pytest.mark.parametrize("step", [0.1, 1.0, 1.9])
def test_nlms_never_moves_away(step):
    # The distance to the true taps falls with every sample, at any level of the signal.
    unknown = random(TAPS, seed=2)
    signal = random(1, 300) * torch.logspace(-3, 3, 300)
    run = nlms(signal, system(signal, unknown), TAPS, step, 0.0, keep_trajectory=True)
    distance = (run.trajectory[0] - unknown).norm(dim=1)
    assert distance.diff().max() < 1e-12
    assert distance[-1] < 0.1 * distance[0]


@EVERY
def test_silence_teaches_nothing(name):
    run, _ = FILTERS[name]
    found = run(torch.zeros(1, 50), torch.zeros(1, 50), TAPS)
    assert not found.output.any()
    assert not found.state.taps.any()
    assert found.trajectory is None
    if name == "rls":
        assert found.state.memory.isfinite().all()


@EVERY
def test_gradients(name):
    run, _ = FILTERS[name]
    signal, target = random(2, 6).requires_grad_(), random(2, 6, seed=1).requires_grad_()

    def output(x: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        return run(x, d, 3).output

    assert gradcheck(output, (signal, target))
    assert gradgradcheck(output, (signal, target))


def test_the_step_has_a_gradient():
    signal, target = random(2, 6), random(2, 6, seed=1)
    step = torch.tensor([0.1, 0.3], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda s: lms(signal, target, 3, s).error, step)
    assert gradcheck(lambda s: nlms(signal, target, 3, s).error, step)
    assert gradcheck(lambda s: affine_projection(signal, target, 3, 2, s).error, step)


@EVERY
def test_dtypes_agree(name):
    run, _ = FILTERS[name]
    signal, target = random(2, 200), random(2, 200, seed=1)
    single = run(signal.float(), target.float(), TAPS).output
    assert single.dtype == torch.float32
    torch.testing.assert_close(
        single.double(), run(signal, target, TAPS).output, atol=1e-3, rtol=1e-3
    )


def test_operations_are_counted():
    assert macs_per_sample("lms", 100) == 201
    assert macs_per_sample("nlms", 100) == 204
    assert macs_per_sample("rls", 100) == 20500
    assert macs_per_sample("affine_projection", 100, 1) - macs_per_sample("nlms", 100) < 5
    assert macs_per_sample("affine_projection", 100, 6) == 1200 + 36 + 36 + 18
    with pytest.raises(ValueError, match="no algorithm 'kalman'"):
        macs_per_sample("kalman", 100)


def test_misfits_are_refused():
    x = torch.zeros(2, 8)
    state = lms(x, x, 4, 0.1).state
    with pytest.raises(ValueError, match="for 2 signals, 5 taps and order 1"):
        lms(x, x, 5, 0.1, state=state)
    with pytest.raises(ValueError, match="for 1 signals, 4 taps and order 1"):
        nlms(x[:1], x[:1], 4, 0.1, state=state)
    with pytest.raises(ValueError, match="for 2 signals, 4 taps and order 2"):
        affine_projection(x, x, 4, 2, 0.1, state=state)
    with pytest.raises(ValueError, match="0 taps: a filter has at least one"):
        lms(x, x, 0, 0.1)
    with pytest.raises(ValueError, match="an order of 5 for 4 taps"):
        affine_projection(x, x, 4, 5, 0.1)
    with pytest.raises(ValueError, match=r"a forgetting factor of 1\.1"):
        rls(x, x, 4, 1.1)
    with pytest.raises(ValueError, match=r"a regularisation of 0\.0"):
        rls(x, x, 4, 0.9, 0.0)
