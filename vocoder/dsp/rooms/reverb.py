"""Fast convolution with long fixed filters, such as room responses: whole or block by block; and
room responses from decaying noise.

A response is shared by the whole batch (``*rooms`` in a shape is empty), or there is one per
signal.
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

    One product of Fourier transforms, O(n log n) for any response length. The output is truncated
    to the signal's length, so later taps have no effect.

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

    The direct sound has a fixed gain of one; only the tail is a parameter. Source: DDSP, arXiv
    2001.04643.

    >>> add_reverb(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([0.5])).round(decimals=5).tolist()
    [[1.0, 0.5, 0.0]]
    """
    return dry + fft_convolve(dry, pad(tail, (1, 0)))


class ConvolutionState(NamedTuple):
    """State of :func:`convolve_partitions`: the last input block, and the spectra of the previous
    pairs of blocks, oldest first."""

    block: Float[Tensor, "batch block"]
    spectra: Complex[Tensor, "batch partitions_less_one bins"]


def partition_response(
    impulse_response: Float[Tensor, "*rooms taps"], block_length: int
) -> Complex[Tensor, "*rooms partitions bins"]:
    """Spectra of a response cut into pieces of ``block_length``, for :func:`convolve_partitions`.

    The last piece is zero-padded, and then each piece to twice its length: ``block_length + 1``
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
    """Causal convolution block by block, without delay; consecutive calls give the convolution of
    the concatenated signals.

    Uniformly partitioned overlap-save: the transform of each block together with the one before it
    is kept, ``Y_t = Σ_p H_p X_{t-p}``, and the second half of ``Y_t``'s inverse is the output. A
    block of B samples costs two transforms of 2B and one product of B + 1 bins per partition. For
    one long signal, :func:`fft_convolve` is cheaper.

    Args:
        signal: a multiple of the block length.
        response: from :func:`partition_response`.
        state: of the previous call; silence when absent.

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
    """Bands that add up to the signal, one per centre frequency (rising).

    Between two centres, neighbouring bands cross-fade as ``cos²`` and ``sin²`` of log frequency;
    the lowest extends to 0 Hz and the highest to Nyquist. The bands have zero phase, and the signal
    is treated as periodic.

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
    # Share of each frequency above the border between a band and the next one.
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

    Each noise band decays by 60 dB within its own ``t60_seconds``, above zero. Late reverberation
    is such noise; with octave bands, two numbers per band describe a room. For :func:`add_reverb`
    or :func:`partition_response`. Differentiable in both.

    Args:
        noise_bands: white noise through :func:`split_bands`; shared by the batch, or one per item.

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
