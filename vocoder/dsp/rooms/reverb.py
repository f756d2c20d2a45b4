"""Long fixed filters, such as a room's answer, by fast convolution: at once, or block by block, and
an answer made from noise that dies away.

A response is shared by the whole batch, and ``*rooms`` in a shape is nothing, or there is one for
each signal.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn.functional import pad


def fft_convolve(
    signal: Float[Tensor, "batch samples"], impulse_response: Float[Tensor, "*rooms taps"]
) -> Float[Tensor, "batch samples"]:
    """Causal convolution, ``y[n] = Σ_m h[m] x[n - m]``, as long as the signal.

    One product of Fourier transforms, in n log n steps however long the response is. What it would
    add after the end is cut off, so taps beyond the signal's length do not count.

    >>> fft_convolve(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([2.0, 1.0])).round().tolist()
    [[2.0, 1.0, 0.0]]
    """
    n_samples = signal.shape[1]
    response = impulse_response[..., :n_samples]
    n_fft = 2 ** math.ceil(math.log2(n_samples + response.shape[-1]))
    spectrum = torch.fft.rfft(signal, n=n_fft) * torch.fft.rfft(response, n=n_fft)
    return torch.fft.irfft(spectrum, n=n_fft)[:, :n_samples]


def add_reverb(
    dry: Float[Tensor, "batch samples"], tail: Float[Tensor, "*rooms taps"]
) -> Float[Tensor, "batch samples"]:
    """A signal and its reverberation, ``y[n] = x[n] + Σ_{m≥1} tail[m-1] x[n - m]``.

    The direct sound has a fixed gain of one: only what comes later is a parameter. Source: DDSP,
    arXiv 2001.04643.

    >>> add_reverb(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([0.5])).round(decimals=5).tolist()
    [[1.0, 0.5, 0.0]]
    """
    return dry + fft_convolve(dry, pad(tail, (1, 0)))


class ConvolutionState(NamedTuple):
    """What :func:`convolve_partitions` goes on with: the last block that came in, and the spectra
    of the pairs of blocks before, oldest first."""

    block: Float[Tensor, "batch block"]
    spectra: Complex[Tensor, "batch partitions_less_one bins"]


def partition_response(
    impulse_response: Float[Tensor, "*rooms taps"], block_length: int
) -> Complex[Tensor, "*rooms partitions bins"]:
    """Spectra of a response cut into pieces of ``block_length``, for :func:`convolve_partitions`.

    The last piece is filled up with zeros, and each one to twice its length: ``block_length + 1``
    bins.

    >>> partition_response(torch.tensor([1.0, 0.0, 0.5]), 2).real.tolist()
    [[1.0, 1.0, 1.0], [0.5, 0.5, 0.5]]
    """
    n_taps = impulse_response.shape[-1]
    if n_taps < 1 or block_length < 1:
        raise ValueError(f"{n_taps} taps in blocks of {block_length}: both must be at least 1")
    padded = pad(impulse_response, (0, -n_taps % block_length))
    pieces = padded.unflatten(-1, (-1, block_length))
    return torch.fft.rfft(pieces, n=2 * block_length)


def convolve_partitions(
    signal: Float[Tensor, "batch samples"],
    response: Complex[Tensor, "*rooms partitions bins"],
    state: ConvolutionState | None = None,
) -> tuple[Float[Tensor, "batch samples"], ConvolutionState]:
    """Causal convolution block by block: what comes in comes out filtered, without delay, and
    calls in a row are the convolution of all their signals in a row.

    Uniformly partitioned overlap-save: the transform of each block together with the one before it
    is kept, ``Y_t = Σ_p H_p X_{t-p}``, and the later half of ``Y_t``'s inverse is the output. A
    block of B samples costs two transforms of 2B and a product per partition, B + 1 bins each,
    however the stream is cut. One long signal at once is cheaper by :func:`fft_convolve`.

    Args:
        signal: a multiple of the block length.
        response: from :func:`partition_response`.
        state: of the call before; silence when absent.

    Raises:
        ValueError: the signal is no multiple of the block.

    Source: T. Stockham, "High-speed convolution and correlation", AFIPS 1966, for overlap-save;
    F. Wefers, "Partitioned convolution algorithms for real-time auralization", Aachen 2015, for the
    delay line of spectra.

    >>> response = partition_response(torch.tensor([1.0, 0.0, 0.5]), 2)
    >>> first, state = convolve_partitions(torch.tensor([[1.0, 0.0]]), response)
    >>> second, _ = convolve_partitions(torch.zeros(1, 2), response, state)
    >>> torch.cat([first, second], dim=1).tolist()
    [[1.0, 0.0, 0.5, 0.0]]
    """
    (batch, n_samples), (partitions, n_bins) = signal.shape, response.shape[-2:]
    length = n_bins - 1
    if n_samples == 0 or n_samples % length:
        raise ValueError(f"{n_samples} samples are no multiple of the block of {length}")
    if state is None:
        silence = response.new_zeros(batch, partitions - 1, n_bins)
        state = ConvolutionState(signal.new_zeros(batch, length), silence)
    joined = torch.cat([state.block, signal], dim=1)
    spectra = torch.fft.rfft(joined.unfold(1, 2 * length, length))
    history = torch.cat([state.spectra, spectra], dim=1)
    count = n_samples // length
    total = torch.zeros_like(spectra)
    for p in range(partitions):
        first = partitions - 1 - p
        total = total + response[..., p, None, :] * history[:, first : first + count]
    output = torch.fft.irfft(total, n=2 * length)[..., length:].flatten(1)
    return output, ConvolutionState(signal[:, n_samples - length :], history[:, count:])


def split_bands(
    signal: Float[Tensor, "*batch samples"], centres_hz: list[float], sample_rate: int
) -> Float[Tensor, "*batch bands samples"]:
    """A signal in bands that add up to it, one about each of the rising centre frequencies.

    Between two centres one band goes over into the next along ``cos²`` and ``sin²`` of the
    logarithm of frequency; the lowest reaches down to 0 Hz and the highest up to Nyquist. The bands
    have zero phase, and the signal is taken to go round in a circle.

    >>> bands = split_bands(torch.tensor([1.0, 0.0, 0.0, 0.0]), [500.0, 2000.0], 8000)
    >>> bands.sum(dim=0).tolist(), bands[:, 0].tolist()
    ([1.0, 0.0, 0.0, 0.0], [0.25, 0.75])
    """
    rising = all(low < high for low, high in pairwise(centres_hz))
    if not centres_hz or centres_hz[0] <= 0 or not rising:
        raise ValueError(f"centre frequencies {centres_hz}: give some, above zero and rising")
    n_samples = signal.shape[-1]
    frequency = torch.arange(n_samples // 2 + 1, dtype=torch.float64) * (sample_rate / n_samples)
    octave = torch.log2(frequency.clamp(min=1e-3 * centres_hz[0]))
    knots = [math.log2(centre) for centre in centres_hz]
    # How much of each frequency lies above the border between a band and the next one.
    above = [
        torch.sin((0.5 * math.pi) * ((octave - low) / (high - low)).clamp(0, 1)).square()
        for low, high in pairwise(knots)
    ]
    edges = torch.stack([torch.ones_like(octave), *above, torch.zeros_like(octave)])
    weights = (edges[:-1] - edges[1:]).to(dtype=signal.dtype, device=signal.device)
    spectrum = torch.fft.rfft(signal)[..., None, :] * weights
    return torch.fft.irfft(spectrum, n=n_samples)


def decaying_noise(
    noise_bands: Float[Tensor, "*noises bands taps"],
    t60_seconds: Float[Tensor, "*batch bands"],
    gain_db: Float[Tensor, "*batch bands"],
    sample_rate: int,
) -> Float[Tensor, "*tails taps"]:
    """A reverberant tail, ``h[n] = Σ_b 10^{g_b / 20} 10^{-3 n / (T_b sample_rate)} v_b[n]``.

    Each band of noise dies away by 60 dB within its own ``t60_seconds``, above zero; late
    reverberation is such noise, and with a band an octave two numbers a band describe a room. For
    :func:`add_reverb` or :func:`partition_response`. Differentiable in both.

    Args:
        noise_bands: white noise through :func:`split_bands`; the same one for all batches, or one
            for each.

    Source: J. Moorer, "About this reverberation business", Computer Music Journal 3, 1979, for
    decaying noise as a concert hall's response.

    >>> decaying_noise(torch.ones(1, 3), torch.tensor([3.0]), torch.tensor([20.0]), 1).round()
    tensor([10.,  1.,  0.])
    """
    if not bool((t60_seconds > 0).all()):
        raise ValueError(f"a tail that dies within {t60_seconds.min().item():.3g} s: above zero")
    time = torch.arange(noise_bands.shape[-1], dtype=gain_db.dtype, device=gain_db.device)
    nepers = math.log(10) * (
        gain_db[..., None] / 20 - 3 * time / (t60_seconds[..., None] * sample_rate)
    )
    return (torch.exp(nepers) * noise_bands).sum(dim=-2)
