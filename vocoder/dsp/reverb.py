"""Long fixed filters, such as a room's answer, by fast convolution."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def fft_convolve(
    signal: Float[Tensor, "batch samples"], impulse_response: Float[Tensor, " taps"]
) -> Float[Tensor, "batch samples"]:
    """Causal convolution, ``y[n] = Σ_m h[m] x[n - m]``, as long as the signal.

    One product of Fourier transforms, in n log n steps however long the response is. What it would
    add after the end is cut off, so taps beyond the signal's length do not count.

    >>> fft_convolve(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([2.0, 1.0])).round().tolist()
    [[2.0, 1.0, 0.0]]
    """
    n_samples = signal.shape[1]
    response = impulse_response[:n_samples]
    n_fft = 2 ** math.ceil(math.log2(n_samples + len(response)))
    spectrum = torch.fft.rfft(signal, n=n_fft) * torch.fft.rfft(response, n=n_fft)
    return torch.fft.irfft(spectrum, n=n_fft)[:, :n_samples]


def add_reverb(
    dry: Float[Tensor, "batch samples"], tail: Float[Tensor, " taps"]
) -> Float[Tensor, "batch samples"]:
    """A signal and its reverberation, ``y[n] = x[n] + Σ_{m≥1} tail[m-1] x[n - m]``.

    The direct sound has a fixed gain of one: only what comes later is a parameter. Source: DDSP,
    arXiv 2001.04643, §3.4.

    >>> add_reverb(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([0.5])).round(decimals=5).tolist()
    [[1.0, 0.5, 0.0]]
    """
    return dry + fft_convolve(dry, torch.cat([tail.new_zeros(1), tail]))
