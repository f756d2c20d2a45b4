"""Filters of finite length: designed from a magnitude or a cut-off frequency, changing with time.

All filters here are symmetric about their middle tap, ``n_taps // 2``, and are applied so that the
middle tap meets the sample itself: what comes out is not late. Cut-off frequencies are shares of
Nyquist, between 0 and 1.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vocoder.dsp.framing import overlap_add


def frequency_sampled_fir(
    magnitudes: Float[Tensor, "*batch bins"],
) -> Float[Tensor, "*batch taps"]:
    """Zero-phase filters whose gain is given at ``bins`` frequencies from 0 to Nyquist.

    The inverse Fourier transform of the magnitudes, ``taps = 2 (bins - 1)`` long, with its origin
    moved to the middle tap and a Hann window around it: the response is the given one convolved
    with the window's spectrum, two bins wide to either side.

    Source: the frequency sampling method, as in J. Engel et al., DDSP, arXiv 2001.04643, §3.3 and
    appendix B.5.

    >>> frequency_sampled_fir(torch.ones(3)).tolist()
    [0.0, 0.0, 1.0, 0.0]
    """
    n_taps = 2 * (magnitudes.shape[-1] - 1)
    taps = torch.fft.fftshift(torch.fft.irfft(magnitudes, n=n_taps), dim=-1)
    window = torch.hann_window(n_taps, dtype=torch.float64, device=taps.device)
    return taps * window.to(taps.dtype)


def filter_frames(
    signal: Float[Tensor, "batch samples"], taps: Float[Tensor, "batch frames taps"]
) -> Float[Tensor, "batch samples"]:
    """Filter each frame of a signal by its own taps and add up what comes out.

    The signal is cut into frames of ``samples / frames`` samples without overlap; each is convolved
    with the taps of its frame, and the results overlap by the length of the taps. A sample depends
    on the filters of frames up to ``taps // 2`` samples away.

    >>> filter_frames(torch.tensor([[1.0, 2.0]]), torch.tensor([[[0.0, 1.0], [1.0, 10.0]]]))
    tensor([[ 3., 20.]])
    """
    n_samples, (n_frames, n_taps) = signal.shape[1], taps.shape[1:]
    hop_length = n_samples // n_frames
    if hop_length * n_frames != n_samples:
        raise ValueError(f"{n_samples} samples cannot be shared out to {n_frames} filters")
    length = hop_length + n_taps - 1
    n_fft = 2 ** math.ceil(math.log2(length))
    spectrum = torch.fft.rfft(signal.unflatten(1, (n_frames, hop_length)), n=n_fft)
    frames = torch.fft.irfft(spectrum * torch.fft.rfft(taps, n=n_fft), n=n_fft)[..., :length]
    frames = pad(frames, (0, -length % hop_length))
    middle = n_taps // 2
    return overlap_add(frames, hop_length)[:, middle : middle + n_samples]


def sinc_low_pass(cutoff: Float[Tensor, "*batch"], n_taps: int) -> Float[Tensor, "*batch taps"]:
    """Low-pass filters of a cut-off frequency each: ``c sinc(c n)`` under a Hamming window, scaled
    to a gain of one at 0 Hz. The gain is about one half at the cut-off.

    Source: X. Wang and J. Yamagishi, arXiv 1908.10256, §3.

    >>> sinc_low_pass(torch.tensor(0.5), 5).sum().item()
    1.0
    """
    taps = cutoff[..., None] * torch.sinc(cutoff[..., None] * _positions(n_taps, cutoff))
    taps = taps * _hamming(n_taps, cutoff)
    return taps / taps.sum(dim=-1, keepdim=True)


def sinc_high_pass(cutoff: Float[Tensor, "*batch"], n_taps: int) -> Float[Tensor, "*batch taps"]:
    """High-pass filters of a cut-off frequency each: what :func:`sinc_low_pass` without its scaling
    leaves of a unit pulse, scaled to a gain of one at Nyquist. Source: as there.

    >>> taps = sinc_high_pass(torch.tensor(0.5), 5)
    >>> round((taps * torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])).sum().item(), 6)
    1.0
    """
    position = _positions(n_taps, cutoff)
    pulse = (position == 0).to(cutoff.dtype)
    taps = pulse - cutoff[..., None] * torch.sinc(cutoff[..., None] * position)
    taps = taps * _hamming(n_taps, cutoff)
    return taps / (taps * torch.cos(torch.pi * position)).sum(dim=-1, keepdim=True)


def filter_samples(
    signal: Float[Tensor, "batch samples"], taps: Float[Tensor, "batch samples taps"]
) -> Float[Tensor, "batch samples"]:
    """Filter a signal with taps of their own for each sample that comes out:
    ``y[n] = Σ_m taps[n, m] x[n + M // 2 - m]``, zero beyond the ends, M the number of taps.

    >>> taps = torch.tensor([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    >>> filter_samples(torch.tensor([[1.0, 2.0, 3.0]]), taps).tolist()
    [[1.0, 3.0, 2.0]]
    """
    n_taps = taps.shape[2]
    middle = n_taps // 2
    windows = pad(signal, (n_taps - 1 - middle, middle)).unfold(1, n_taps, 1)
    return (windows * taps.flip(-1)).sum(dim=-1)


def _positions(n_taps: int, like: Tensor) -> Float[Tensor, " taps"]:
    if n_taps % 2 == 0:
        raise ValueError(f"{n_taps} taps have no middle one: choose an odd number")
    half = n_taps // 2
    return torch.arange(-half, half + 1, dtype=like.dtype, device=like.device)


def _hamming(n_taps: int, like: Tensor) -> Float[Tensor, " taps"]:
    """Hamming window of a period of ``n_taps``, one at its middle, as the paper's."""
    return 0.54 + 0.46 * torch.cos(2 * torch.pi / n_taps * _positions(n_taps, like))
