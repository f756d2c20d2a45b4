"""Quantisation of amplitudes to level indices and back: uniform, and μ-law, finer near zero.

Level 0 is -1 and level ``levels - 1`` is 1 in both. With an even number of levels none of them is
zero: silence is the level above it.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def mu_law_compress(
    waveform: Float[Tensor, "*shape"], levels: int = 256
) -> Float[Tensor, "*shape"]:
    """``f(x) = sgn(x) ln(1 + μ |x|) / ln(1 + μ)`` with ``μ = levels - 1``, of x clipped to ±1.

    Source: ITU-T G.711 as in A. van den Oord et al., "WaveNet", arXiv 1609.03499, section 2.2.

    >>> [round(v, 4) for v in mu_law_compress(torch.tensor([-1.0, 0.0, 0.01, 1.0])).tolist()]
    [-1.0, 0.0, 0.2285, 1.0]
    """
    mu = levels - 1
    clipped = waveform.clamp(-1, 1)
    return clipped.sign() * torch.log1p(mu * clipped.abs()) / math.log1p(mu)


def mu_law_expand(
    compressed: Float[Tensor, "*shape"], levels: int = 256
) -> Float[Tensor, "*shape"]:
    """Inverse of :func:`mu_law_compress`: ``sgn(y) ((1 + μ)^|y| - 1) / μ`` for y within ±1.

    >>> [round(v, 4) for v in mu_law_expand(torch.tensor([-1.0, 0.0, 0.2285, 1.0])).tolist()]
    [-1.0, 0.0, 0.01, 1.0]
    """
    mu = levels - 1
    amplitude = torch.expm1(compressed.abs() * math.log1p(mu)) / mu
    # Rounding must not give an amplitude above one.
    return compressed.sign() * amplitude.clamp(max=1)


def uniform_encode(waveform: Float[Tensor, "*shape"], levels: int) -> Int[Tensor, "*shape"]:
    """Index of the nearest of ``levels`` equally spaced amplitudes from -1 to 1, clipped.

    >>> uniform_encode(torch.tensor([-2.0, -1.0, 0.1, 1.0]), 5).tolist()
    [0, 0, 2, 4]
    """
    steps = (waveform.clamp(-1, 1) + 1) * ((levels - 1) / 2)
    return torch.floor(steps + 0.5).long()


def uniform_decode(
    symbols: Int[Tensor, "*shape"], levels: int, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "*shape"]:
    """Amplitude of a level, ``2 n / (levels - 1) - 1``.

    >>> uniform_decode(torch.arange(5), 5).tolist()
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    """
    return symbols.to(dtype) * (2 / (levels - 1)) - 1


def mu_law_encode(waveform: Float[Tensor, "*shape"], levels: int = 256) -> Int[Tensor, "*shape"]:
    """Index of the nearest μ-law level, in compressed amplitude.

    >>> mu_law_encode(torch.tensor([-1.0, 0.0, 0.01, 1.0])).tolist()
    [0, 128, 157, 255]
    """
    return uniform_encode(mu_law_compress(waveform, levels), levels)


def mu_law_decode(
    symbols: Int[Tensor, "*shape"], levels: int = 256, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "*shape"]:
    """Amplitude of a μ-law level.

    >>> [round(v, 4) for v in mu_law_decode(torch.tensor([0, 128, 157, 255])).tolist()]
    [-1.0, 0.0001, 0.0102, 1.0]
    """
    return mu_law_expand(uniform_decode(symbols, levels, dtype), levels)
