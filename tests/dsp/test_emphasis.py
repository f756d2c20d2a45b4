"""Pre-emphasis and its inverse against SciPy's recursion, in one piece and in many."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from torch.autograd import gradcheck, gradgradcheck

from vocoder.dsp.filters.emphasis import de_emphasis, pre_emphasis

COEFFICIENTS = [0.0, 0.5, 0.97, 0.999]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
def test_they_are_the_filters_of_scipy(coefficient):
    for samples in [1, 2, 3, 1000, 4097]:
        signal, state = random(2, samples), random(2, seed=1)
        up, last_in = pre_emphasis(signal, coefficient, state)
        down, last_out = de_emphasis(signal, coefficient, state)
        for row in range(2):
            first = coefficient * float(state[row])
            expected, _ = lfilter([1, -coefficient], [1], signal[row], zi=[-first])
            np.testing.assert_allclose(up[row], expected, atol=1e-12)
            expected, _ = lfilter([1], [1, -coefficient], signal[row], zi=[first])
            np.testing.assert_allclose(down[row], expected, rtol=1e-12, atol=1e-11)
        assert torch.equal(last_in, signal[:, -1])
        assert torch.equal(last_out, down[:, -1])


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
def test_one_undoes_the_other(coefficient):
    signal = random(2, 3000)
    torch.testing.assert_close(
        de_emphasis(pre_emphasis(signal, coefficient)[0], coefficient)[0], signal
    )
    torch.testing.assert_close(
        pre_emphasis(de_emphasis(signal, coefficient)[0], coefficient)[0], signal
    )


@pytest.mark.parametrize("function", [pre_emphasis, de_emphasis])
@pytest.mark.parametrize("pieces", [[1, 1, 498], [250, 250], [499, 1], [100, 7, 393]])
def test_pieces_are_the_whole(function, pieces):
    signal = random(2, 500)
    whole, end = function(signal, 0.97)
    state, found = None, []
    for piece in signal.split(pieces, dim=1):
        output, state = function(piece, 0.97, state)
        found.append(output)
    torch.testing.assert_close(torch.cat(found, dim=1), whole)
    torch.testing.assert_close(state, end)


def test_gain_at_both_ends():
    constant = torch.ones(1, 4000, dtype=torch.float64)
    fastest = constant * (1 - 2 * (torch.arange(4000) % 2))
    for signal, gain in ((constant, 0.03), (fastest, 1.97)):
        torch.testing.assert_close(
            pre_emphasis(signal, 0.97)[0][:, 1:].abs(), gain * constant[:, 1:]
        )
        settled = de_emphasis(signal, 0.97)[0][:, 2000:].abs()
        torch.testing.assert_close(settled, constant[:, 2000:] / gain)


@pytest.mark.parametrize("function", [pre_emphasis, de_emphasis])
def test_gradients_and_dtypes(function):
    signal, state = random(2, 9).requires_grad_(), random(2, seed=1).requires_grad_()
    for check in (gradcheck, gradgradcheck):
        assert check(lambda x, s: function(x, 0.9, s), (signal, state))
    long = random(1, 16000)
    single, exact = function(long.float(), 0.97)[0], function(long, 0.97)[0]
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, atol=1e-5, rtol=0)


@pytest.mark.parametrize("function", [pre_emphasis, de_emphasis])
def test_misuse_is_refused(function):
    for coefficient in (-0.1, 1.0):
        with pytest.raises(ValueError, match="give one from 0 to below 1"):
            function(torch.zeros(1, 4), coefficient)
    with pytest.raises(ValueError, match="a signal of 0 samples"):
        function(torch.zeros(1, 0), 0.9)
