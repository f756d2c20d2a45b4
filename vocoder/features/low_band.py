"""Projection of the low band, where most of a voice's energy lies, at a low sample rate.

Where a mel resolves single harmonics its energies decide the phases nearly as well as the
magnitudes, but magnitudes that meet the mel bring the phases along slowly, pass by pass. Below some
700 Hz a pass costs little: the signal decimated by D has the same spectrum there, in windows and
hops of a Dth of the samples.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from vocoder.dsp.carry import Carry, DualWindow, Grid
from vocoder.errors import OptionError
from vocoder.features.mel import MelSpec
from vocoder.features.mel_gain import LARGEST_GAIN, TINY, power_of, projection_gain

FADE_HZ = (600.0, 740.0)
"""Where the low band's share of the spectrum falls from one to zero."""

LOWEST_NYQUIST_HZ = 650.0
"""Least half sample rate of the decimated signal."""

HIGHEST_F_MIN_HZ = 100.0
"""Beyond it a mel says nothing of many voices' fundamental, and the passes move the phases above it
by what is not known: from r9y9's mel, which begins at 125 Hz, PESQ falls by 0.3."""

ACCELERATION = 0.9
"""Extrapolation from pass to pass. With 0.99 as published the distance to the mel swings, and more
passes can be worse than fewer."""

FEWEST_BANDS_PER_BIN = 0.45
"""Bands per bin in the low band from which the mel alone shall say how energy lies there; Vocos's
has 0.75, HiFi-GAN's 0.53, SpeechT5's 0.38."""

ANCHOR = 0.1
"""Weight, in the logarithm of the gain, of the magnitudes that the low band began with, for mels of
fewer bands: there many passes would move energy between the bins of a band without end."""


def decimated_hop(spec: MelSpec) -> int:
    """Samples of the decimated signal per hop: ⌈hop / P⌉, P the largest power of two that leaves
    half a sample rate of `LOWEST_NYQUIST_HZ`; 16 for hops of 256 at 22.05 and 24 kHz.

    The decimation D, hop over that number, need not be whole: the decimated signal is given by its
    spectra, which have values at any time.

    >>> from vocoder.features.mel import PRESETS
    >>> [decimated_hop(PRESETS[name]) for name in ("vocos_24k", "espnet_24k", "speecht5_16k")]
    [16, 19, 32]
    """
    highest = spec.sample_rate / 2 / LOWEST_NYQUIST_HZ
    return math.ceil(spec.hop_length / 2 ** math.floor(math.log2(highest)))


def low_band_passes(spec: MelSpec, cost: int) -> int:
    """Passes at the low rate with the multiplications of ``cost`` passes at the full rate: D each;
    none where the mel begins above `HIGHEST_F_MIN_HZ`.

    On a CPU they take several times as long, since each is some 40 operations on small tensors.

    Raises:
        OptionError: ``cost`` below zero.
    """
    if cost < 0:
        raise OptionError(f"low_band_projection is {cost}: cost in passes, 0 for none")
    passes = cost * spec.hop_length // decimated_hop(spec)
    return passes if spec.f_min <= HIGHEST_F_MIN_HZ else 0


def project_low_band(
    spectrum: Complex[Tensor, "batch frames bins"],
    energies: Float[Tensor, "batch more_frames n_mels"],
    spec: MelSpec,
    passes: int,
    carry: Carry,
) -> Complex[Tensor, "batch fewer_frames bins"]:
    """The spectrum with a low band whose phases have followed the mel for ``passes`` passes.

    With P one pass of the mel projection (`project_mel`) of the decimated signal y:

        z₀ = y;  yₖ = P(zₖ₋₁);  zₖ = yₖ + `ACCELERATION` · (yₖ − yₖ₋₁),  z₁ = y₁

    For mels of few bands (`FEWEST_BANDS_PER_BIN`) the gain of a pass is g^(1−a) · (A₁ / |Y|)^a,
    where A₁ are the magnitudes after the first gain and a is `ANCHOR`.

    Args:
        spectrum: of the mel's windows at their full rate, each at the start of its transform.
        energies: of the mel, M, as they come.
        passes: at least one.
        carry: state; the result lags by ``passes`` + 1 windows less a hop each.

    Source: Perraudin, Balazs, Søndergaard, "A fast Griffin-Lim algorithm", WASPAA 2013, algorithm
    2; the low rate is ours.
    """
    band = _band(spec, spectrum.device, spectrum.real.dtype)
    bins = band.filters.shape[1]
    low = torch.cat([spectrum.real[..., :bins], spectrum.imag[..., :bins]], dim=2)
    wanted = energies[..., : band.filters.shape[0]] @ band.filters
    waveform = carry.least_squares("low band", low @ band.synthesis, band.window)
    before = waveform
    target = low.new_empty(0)
    for number in range(passes):
        name = f"low band {number}"
        low = carry.windows(name, waveform, band.window.grid) @ band.analysis
        wanted = carry.take(f"{name} mel", wanted, low.shape[1])
        parts = low.unflatten(2, (2, bins))
        power = power_of(parts, 2)
        gain = projection_gain(power, wanted, (band.remixing,), spec)
        if band.anchored:
            magnitude = (power + TINY).sqrt()
            if number == 0:
                target = magnitude * gain
            target = carry.take(f"{name} target", target, low.shape[1])
            towards = (target / magnitude).clamp(1 / LARGEST_GAIN, LARGEST_GAIN)
            gain = gain ** (1 - ANCHOR) * towards**ANCHOR
        frames = (parts * gain[:, :, None]).flatten(2) @ band.synthesis
        projected = carry.least_squares(f"{name} sum", frames, band.window)
        waveform = projected
        if number:
            earlier = carry.take(f"{name} before", before, projected.shape[1])
            waveform = torch.lerp(earlier, projected, 1 + ACCELERATION)
        before = projected
    low = carry.windows("low band projected", before, band.window.grid) @ band.analysis
    spectrum = carry.take("spectrum above the low band", spectrum, low.shape[1])
    above = spectrum[..., :bins]
    mixed = above + band.share * (torch.complex(low[..., :bins], low[..., bins:]) - above)
    return torch.cat([mixed, spectrum[..., bins:]], dim=2)


class _Band(NamedTuple):
    """The low band of a mel at the low rate.

    ``analysis`` (size, 2 bins) gives real and imaginary parts of windowed frames, as large as at
    the full rate; ``synthesis`` (2 bins, size) inverts it and applies the dual window; ``filters``
    (bands, bins): F, the mel's first bands, as many as lie within; ``remixing`` (bins, bins): Fᵀ F;
    ``share`` (bins): of the low band in the result; ``anchored``: whether the filters are too few
    for the bins.
    """

    window: DualWindow
    analysis: Tensor
    synthesis: Tensor
    filters: Tensor
    remixing: Tensor
    share: Tensor
    anchored: bool


@lru_cache(maxsize=128)
def _band(spec: MelSpec, device: torch.device, dtype: torch.dtype) -> _Band:
    # A tensor made in inference mode could never take part in training afterwards.
    with torch.inference_mode(False):
        hop = decimated_hop(spec)
        factor = spec.hop_length / hop
        size = math.ceil(spec.win_length / factor)
        grid = Grid(hop, size, round(spec.window_lead / factor))
        bins = math.floor(spec.n_fft / factor / 2)
        sample, k = torch.arange(size).double()[:, None] * factor, torch.arange(bins)
        # The mel's window at the decimated samples, which may lie between those of the signal.
        window = 0.5 - 0.5 * torch.cos(2 * math.pi * sample[:, 0] / spec.win_length)
        pair = DualWindow.of(window, grid)
        angle = 2 * math.pi * torch.remainder(sample * k / spec.n_fft, 1)
        waves = torch.cat([angle.cos(), -angle.sin()], dim=1)
        twice = torch.where(k == 0, 1.0, 2.0).double() / spec.n_fft
        filters = spec.filterbank()
        inside = (filters[:, bins:] == 0).all(dim=1).cumprod(0).bool()
        low, high = FADE_HZ
        hertz = k * (spec.sample_rate / spec.n_fft)
        inner = filters[inside, :bins]
        tensors = (
            pair.window[:, None] * waves * factor,
            (pair.dual[:, None] * waves * torch.cat([twice, twice])).T,
            inner,
            inner.T @ inner,
            ((high - hertz) / (high - low)).clamp(0, 1),
        )
        anchored = int(inside.sum()) < FEWEST_BANDS_PER_BIN * bins
        analysis, synthesis, filters, remixing, share = (
            tensor.to(device, dtype).contiguous() for tensor in tensors
        )
        pair = pair.to(device, dtype)
        return _Band(pair, analysis, synthesis, filters, remixing, share, anchored)
