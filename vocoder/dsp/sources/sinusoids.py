"""Sums of sinusoids with independent frequencies.

Phases are counted in cycles and accumulated as in :mod:`vocoder.dsp.sources.oscillators`. The
amplitude of a sinusoid fades linearly from 0.85 to 0.925 of Nyquist: sinusoids that glide past
Nyquist do not alias.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.framing import interpolate_linear
from vocoder.dsp.sources.oscillators import TOP, boundary_phase, sample_phase

_BLOCK_ELEMENTS = 500_000
"""Cosines computed at a time, to fit into the processor's cache."""


def sinusoids(
    amplitudes: Float[Tensor, "batch frames_plus_one sinusoids"],
    frequencies_hz: Float[Tensor, "batch frames_plus_one sinusoids"],
    sample_rate: int,
    hop_length: int,
    initial_phase: Float[Tensor, "batch sinusoids"] | None = None,
) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, "batch sinusoids"]]:
    """``y[n] = Σ_i A_i[n] c(f_i[n]) cos 2πφ_i[n]``, and the final phases in float64.

    Amplitudes and frequencies (Hz, at least 0) are given at frame boundaries and interpolated
    linearly; φ_i is the integral of f_i, starting from ``initial_phase`` (cycles, zero when
    absent). ``c(f) = clip((0.925 - f / nyquist) / 0.075, 0, 1)``. The cost grows with the number of
    sinusoids; several frames are summed at once, in bounded memory without gradients.

    If all frequencies are multiples of one, ``harmonic_bank`` needs only one phase.

    Source: the oscillators of R. McAulay and T. Quatieri, "Speech analysis/synthesis based on a
    sinusoidal representation", IEEE TASSP 34, 1986, with linear in place of cubic phase tracks.

    >>> tone, phase = sinusoids(torch.ones(1, 2, 1), torch.full((1, 2, 1), 250.0), 1000, 3)
    >>> tone.round().abs().tolist(), phase.tolist()
    ([[1.0, 0.0, 1.0]], [[-0.25]])
    """
    batch, n_boundaries, count = frequencies_hz.shape
    if n_boundaries < 2:
        raise ValueError("one boundary makes no frame: give the values at both ends of each")
    tracks = frequencies_hz.transpose(1, 2).flatten(0, 1)
    levels = amplitudes.transpose(1, 2).flatten(0, 1)
    start = None if initial_phase is None else initial_phase.flatten()
    starts = boundary_phase(tracks, sample_rate, hop_length, start)
    block = max(1, _BLOCK_ELEMENTS // (batch * count * hop_length))
    pieces = []
    for first in range(0, n_boundaries - 1, block):
        part = slice(first, first + block + 1)
        phase = sample_phase(starts[:, part], tracks[:, part], sample_rate, hop_length)
        frequency = interpolate_linear(tracks[:, part], hop_length)
        amplitude = interpolate_linear(levels[:, part], hop_length)
        waves = amplitude * _fade(frequency, sample_rate) * torch.cos((2 * math.pi) * phase)
        pieces.append(waves.unflatten(0, (batch, count)).sum(dim=1))
    return torch.cat(pieces, dim=1), starts[:, -1].unflatten(0, (batch, count))


def _fade(frequency_hz: Tensor, sample_rate: int) -> Tensor:
    return ((TOP - frequency_hz / (0.5 * sample_rate)) / (1 - TOP)).clamp(0, 1)
