"""The signal of a given short-time spectrum: the inverse transform by least squares.

    x[n] = Σ_t w[n - c_t] f_t[n - c_t] / Σ_t w[n - c_t]²

with f_t the inverse Fourier transform of frame t, w its window and c_t the frame's first sample. T
frames give exactly ``T * hop_length`` samples, in both conventions of a mel:

- "center": frame t is centred on sample ``t * hop_length``, as `torch.stft` centres it;
- "same": on ``t * hop_length + hop_length / 2``, as a convolution pads.

Source: Griffin, Lim, "Signal estimation from modified short-time Fourier transform", IEEE TASSP
1984, eq. 6; the padding "same" is that of Vocos (arXiv 2306.00814).
"""

from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn.functional import pad

from vocoder.dsp.framing import hann_window, overlap_add

Padding = Literal["center", "same"]

_TINY = 1e-8


def inverse_stft(
    spectrum: Complex[Tensor, "batch frames bins"],
    hop_length: int,
    padding: Padding | None,
    window: Float[Tensor, " n_fft"] | None = None,
) -> Float[Tensor, "batch samples"]:
    """``frames * hop_length`` samples whose short-time spectrum is nearest to the one given.

    ``bins = n_fft // 2 + 1``, of an unnormalised transform (`torch.stft`). The sums run over the
    given frames only.

    Args:
        padding: as above; None for the span of all frames, whatever they cover, up to a whole
            number of hops: zero where no window reaches.
        window: of n_fft samples; None for a periodic Hann window and an even n_fft.

    Raises:
        ValueError: as :func:`check_overlap`, unless ``padding`` is None.

    >>> signal = torch.randn(1, 12, generator=torch.Generator().manual_seed(0))
    >>> frames = torch.stft(signal, 8, 2, window=torch.hann_window(8), return_complex=True)
    >>> torch.allclose(inverse_stft(frames.mT[:, :6], 2, "center"), signal, atol=1e-5)
    True
    """
    if window is None:
        window = hann_window(2 * (spectrum.shape[2] - 1), spectrum.real.dtype, spectrum.device)
    n_fft = len(window)
    kept = slice(None)
    if padding is not None:
        check_overlap(n_fft, hop_length, padding)
        lead = first_sample(n_fft, hop_length, padding)
        kept = slice(lead, lead + spectrum.shape[1] * hop_length)
    # `overlap_add` needs frames of whole hops.
    missing = (0, -n_fft % hop_length)
    frames = pad(torch.fft.irfft(spectrum, n=n_fft) * window, missing)
    weight = pad(window.square(), missing).expand(1, frames.shape[1], -1)
    total = overlap_add(frames, hop_length)[:, kept]
    return total / overlap_add(weight, hop_length)[:, kept].clamp(min=_TINY)


def check_overlap(n_fft: int, hop_length: int, padding: Padding) -> None:
    """Check that windows cover all samples: at least two hops, three if centred.

    Raises:
        ValueError: they do not, or "same" cannot centre them (``n_fft - hop_length`` is odd).

    >>> check_overlap(1024, 512, "center")
    Traceback (most recent call last):
    ValueError: windows of 1024 samples cover too little at a hop of 512: at least 1536 are needed
    """
    least = (2 if padding == "same" else 3) * hop_length
    if n_fft < least:
        raise ValueError(
            f"windows of {n_fft} samples cover too little at a hop of {hop_length}: at least "
            f"{least} are needed"
        )
    if padding == "same" and (n_fft - hop_length) % 2:
        raise ValueError(f"windows of {n_fft} samples have no middle at a hop of {hop_length}")


def first_sample(n_fft: int, hop_length: int, padding: Padding) -> int:
    """Samples of the first frame's window that lie before the signal.

    >>> first_sample(16, 4, "center"), first_sample(16, 4, "same")
    (8, 6)
    """
    return n_fft // 2 if padding == "center" else (n_fft - hop_length) // 2


def reach(first: int, last: int, n_fft: int, hop_length: int, padding: Padding) -> tuple[int, int]:
    """First and last frame that the samples from ``first`` to ``last`` depend on.

    >>> reach(0, 3, 16, 4, "same")  # four frames of 16 samples overlap, and the hop has two sides
    (-2, 2)
    """
    lead = first_sample(n_fft, hop_length, padding)
    return -((n_fft - 1 - lead - first) // hop_length), (last + lead) // hop_length
