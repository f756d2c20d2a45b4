"""Wavetable synthesis: a period of any shape, or a changing mixture of several, read by phase.

The cost does not depend on the number of harmonics. To avoid aliasing, every table is stored at
levels of a third of an octave, each with fewer harmonics than the previous one, and F0 selects two
of them. The aliases of a sawtooth are 104 dB below the whole for a glide of F0 from 100 to 1000 Hz
in 0.2 s; direct sampling gives 14 dB.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.framing import interpolate_linear
from vocoder.dsp.sources.oscillators import TOP

_OVERSAMPLING = 32
"""Least number of entries of a level per period of its highest harmonic: the interpolation error is
then at least 90 dB below the signal."""


class WavetableLevels(NamedTuple):
    """Tables at every level, finely sampled, and the number of harmonics of each level."""

    values: Float[Tensor, "*players tables levels entries"]
    harmonics: list[int]


def wavetable_levels(tables: Float[Tensor, "*players tables length"]) -> WavetableLevels:
    """Band-limited levels of each table, with decreasing numbers of harmonics, for
    :func:`wavetable`.

    A table is one period starting at phase zero. Its Fourier series is truncated after ``(length -
    1) // 2`` harmonics, and after 2^(1/3) times fewer from level to level, down to none; its mean
    is removed. Differentiable in the tables.

    Raises:
        ValueError: tables of fewer than three entries, which have no harmonic.

    >>> levels = wavetable_levels(torch.cos(2 * torch.pi * torch.arange(16.0) / 16)[None])
    >>> levels.harmonics, levels.values.shape
    ([7, 5, 3, 2, 1, 0, 0], torch.Size([1, 7, 256]))
    """
    length = tables.shape[-1]
    if length < 3:
        raise ValueError(f"a table of {length} entries has no harmonic: give three or more")
    harmonics = [(length - 1) // 2]
    while harmonics[-1] > 0:
        harmonics.append(min(harmonics[-1] - 1, int(harmonics[-1] * 2 ** (-1 / 3))))
    # The last two levels are silent: one to select and one to fade to.
    harmonics.append(0)
    entries = 2 ** math.ceil(math.log2(_OVERSAMPLING * harmonics[0]))
    spectrum = torch.fft.rfft(tables)[..., 1 : harmonics[0] + 1]
    order = torch.arange(1, harmonics[0] + 1, device=tables.device)
    kept = order <= torch.tensor(harmonics, device=tables.device)[:, None]
    spectrum = torch.nn.functional.pad(spectrum[..., None, :] * kept, (1, 0))
    values = torch.fft.irfft(spectrum, n=entries) * (entries / length)
    return WavetableLevels(values, harmonics)


def wavetable(
    phase: Float[Tensor, "batch samples"],
    f0_hz: Float[Tensor, "batch samples"],
    levels: WavetableLevels,
    mixture: Float[Tensor, "batch frames_plus_one tables"],
    sample_rate: int,
) -> Float[Tensor, "batch samples"]:
    """Tables read at a phase (cycles) and mixed, ``y = Σ_i m_i table_i(φ)``.

    Table entries are interpolated by a cubic through the four nearest. The weights ``m`` are given
    at frame boundaries and interpolated linearly; use ones for a single table. With ``r = top /
    f0``, the number of harmonics that fit below 0.925 Nyquist, one level has at most r of them and
    the next fewer; while F0 glides the two are cross-faded, and nothing above ``top`` is generated.
    Harmonics below half of ``top`` always have full amplitude. The band edge is softer than that of
    ``harmonic_bank``, whose cost grows with the number of harmonics.

    Args:
        levels: from :func:`wavetable_levels`, shared or one set per batch item.

    Raises:
        ValueError: samples that are no multiple of the mixture's frames.

    >>> table = torch.cos(2 * torch.pi * torch.arange(64) / 64)[None]
    >>> phase = torch.tensor([[0.0, 0.25, -0.5, -0.25]])
    >>> f0 = torch.full((1, 4), 100.0)
    >>> wave = wavetable(phase, f0, wavetable_levels(table), torch.ones(1, 2, 1), 16000)
    >>> wave.round(decimals=4).abs().tolist()
    [[1.0, 0.0, 1.0, 0.0]]
    """
    (batch, n_samples), n_frames = phase.shape, mixture.shape[1] - 1
    if n_frames < 1 or n_samples % n_frames:
        raise ValueError(f"{n_samples} samples cannot be shared out to {n_frames} frames")
    n_tables, n_levels, entries = levels.values.shape[-3:]
    level, weight = _choose(levels.harmonics, (TOP * 0.5 * sample_rate) / f0_hz)
    place = (phase - torch.floor(phase)) * entries
    first = torch.floor(place).detach()
    taps = _lagrange(place - first)
    flat = levels.values.flatten(-2).expand(batch, n_tables, n_levels * entries)
    offsets = torch.arange(-1, 3, device=phase.device)
    column = (first.long()[..., None] + offsets) % entries
    read = []
    for chosen in (level, level + 1):
        index = (chosen[..., None] * entries + column).flatten(1)
        four = flat.gather(2, index[:, None].expand(-1, n_tables, -1)).unflatten(2, (-1, 4))
        read.append((four * taps[:, None]).sum(dim=-1))
    tones = torch.lerp(read[1], read[0], weight[:, None])
    lines = interpolate_linear(mixture.transpose(1, 2).flatten(0, 1), n_samples // n_frames)
    return (tones * lines.unflatten(0, (batch, n_tables))).sum(dim=1)


def _choose(harmonics: list[int], fitting: Tensor) -> tuple[Tensor, Tensor]:
    """The highest level whose harmonics all fit, and its weight relative to the next."""
    above = [math.ceil(harmonics[0] * 2 ** (1 / 3)), *harmonics[:-2]]
    here = torch.tensor(harmonics[:-1], dtype=fitting.dtype, device=fitting.device)
    width = torch.tensor(above, dtype=fitting.dtype, device=fitting.device) - here
    level = (here > fitting.detach()[..., None]).sum(dim=-1)
    return level, ((fitting - here[level]) / width[level]).clamp(0, 1)


def _lagrange(u: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch samples 4"]:
    """Weights of the entries at -1, 0, 1 and 2 in the cubic through them, read at u."""
    before, after, last = u + 1, u - 1, u - 2
    return torch.stack(
        [
            -u * after * last / 6,
            before * after * last / 2,
            -before * u * last / 2,
            before * u * after / 6,
        ],
        dim=-1,
    )
