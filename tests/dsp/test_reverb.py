"""Reverberation is plain convolution, causal, however long."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from vocoder.dsp.reverb import add_reverb, fft_convolve


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("samples", "taps"), [(1, 1), (100, 7), (64, 64), (50, 300)])
def test_convolution_is_the_direct_one(samples, taps):
    signal, response = random(2, samples), random(taps, seed=1)
    found = fft_convolve(signal, response)
    for row in range(2):
        expected = np.convolve(signal[row], response)[:samples]
        np.testing.assert_allclose(found[row], expected, atol=1e-12)


def test_nothing_is_heard_before_it_sounds():
    signal = torch.zeros(1, 400, dtype=torch.float64)
    signal[0, 150] = 1.0
    tail = random(200)
    wet = add_reverb(signal, tail)[0]
    assert wet[:150].abs().max() < 1e-12
    assert float(wet[150]) == pytest.approx(1)
    torch.testing.assert_close(wet[151:351], tail)
    assert wet[351:].abs().max() < 1e-12


def test_a_room_without_an_echo_leaves_the_signal_alone():
    signal = random(2, 100)
    torch.testing.assert_close(add_reverb(signal, torch.zeros(30).double()), signal)
    torch.testing.assert_close(add_reverb(signal, torch.zeros(0).double()), signal)


def test_gradients_and_dtypes():
    signal, tail = random(2, 12).requires_grad_(), random(5, seed=1).requires_grad_()
    assert gradcheck(add_reverb, (signal, tail))
    single = add_reverb(signal.detach().float(), tail.detach().float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(
        single.double(), add_reverb(signal, tail).detach(), atol=1e-5, rtol=0
    )
