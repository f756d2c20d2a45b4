"""Time-varying filtering in the short-time spectrum.

A signal is cut into overlapping frames (square-root Hann window), each frame's spectrum is
multiplied by the filter at that time, and the frames are windowed again and overlap-added. A filter
of one reconstructs the signal exactly; the second window suppresses the wrap-around of circular
convolution at the frame's edges.

Frames are centred on samples ``s * hop_length``. A signal of ``S * hop_length`` samples needs the
centres from ``-(R/2 - 1)`` to ``S + R/2 - 1`` with ``R = n_fft / hop_length``; filters are given
for ``s = 0 … S - 1`` and held beyond the ends.
"""

from functools import lru_cache

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn.functional import pad

from vocoder.dsp.framing import hold_ends, overlap_add

Offsets = tuple[int, ...]

ONE_PER_HOP: Offsets = (0,)
"""Offsets of the frames within a hop: a single frame, at its beginning."""


@lru_cache(maxsize=32)
def _window(
    n_fft: int, hop_length: int, offsets: Offsets, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Square root of a periodic Hann window, scaled so that its shifted squares sum to one."""
    # A cached tensor created in inference mode could not be used in training.
    with torch.inference_mode(False):
        hann = torch.hann_window(n_fft, periodic=True, dtype=torch.float64)
        hann *= 2 * hop_length / (n_fft * len(offsets))
        shifted = pad(hann, (0, -n_fft % hop_length)).view(-1, hop_length).sum(0)
        total = torch.stack([shifted.roll(offset) for offset in offsets]).sum(0)
        if not torch.allclose(total, torch.ones_like(total)):
            raise ValueError(
                f"windows of {n_fft} samples with a hop of {hop_length} and offsets {offsets} do "
                "not add up to a constant: an n_fft of an even multiple of the hop always does"
            )
        return hann.sqrt().to(dtype=dtype, device=device)


def short_time_spectrum(
    signal: Float[Tensor, "batch samples"], n_fft: int, hop_length: int
) -> Complex[Tensor, "batch frames bins"]:
    """Spectra of the windowed frames, ``samples / hop_length + n_fft / hop_length - 1`` of them.

    >>> short_time_spectrum(torch.zeros(1, 8), 8, 2).shape
    torch.Size([1, 7, 5])
    """
    if n_fft % (2 * hop_length):
        raise ValueError(f"n_fft {n_fft} is no even multiple of the hop of {hop_length} samples")
    if signal.shape[1] % hop_length:
        raise ValueError(f"{signal.shape[1]} samples are no multiple of the hop of {hop_length}")
    edge = n_fft - hop_length
    return windowed_spectrum(pad(signal, (edge, edge)), n_fft, hop_length)


def from_short_time_spectrum(
    spectrum: Complex[Tensor, "batch frames bins"], n_fft: int, hop_length: int
) -> Float[Tensor, "batch samples"]:
    """Inverse of :func:`short_time_spectrum`, exact for an unchanged spectrum.

    >>> x = torch.randn(1, 8, generator=torch.Generator().manual_seed(0))
    >>> y = from_short_time_spectrum(short_time_spectrum(x, 8, 2), 8, 2)
    >>> torch.allclose(x, y, atol=1e-6)
    True
    """
    edge = n_fft - hop_length
    return overlap_add(windowed_frames(spectrum, n_fft, hop_length), hop_length)[:, edge:-edge]


def windowed_spectrum(
    signal: Float[Tensor, "batch samples"],
    n_fft: int,
    hop_length: int,
    offsets: Offsets = ONE_PER_HOP,
) -> Complex[Tensor, "batch frames bins"]:
    """:func:`short_time_spectrum` of the frames that lie within the signal.

    ``offsets``: beginnings of the frames of one hop, samples after that of the first, rising from
    0; their distances need not be equal. Hops of which a frame does not lie within the signal are
    left out. Raises ValueError where the squared windows do not add up to a constant.

    >>> windowed_spectrum(torch.zeros(1, 12), 8, 2).shape
    torch.Size([1, 3, 5])
    >>> windowed_spectrum(torch.zeros(1, 12), 6, 3, (0, 1)).shape
    torch.Size([1, 4, 4])
    """
    frames = signal.unfold(1, n_fft + offsets[-1], hop_length)
    if len(offsets) > 1:
        frames = torch.stack([frames[:, :, start : start + n_fft] for start in offsets], dim=2)
        frames = frames.flatten(1, 2)
    return torch.fft.rfft(frames * _window(n_fft, hop_length, offsets, signal.dtype, signal.device))


def windowed_frames(
    spectrum: Complex[Tensor, "batch frames bins"],
    n_fft: int,
    hop_length: int,
    offsets: Offsets = ONE_PER_HOP,
) -> Float[Tensor, "batch hops size"]:
    """Frames to overlap-add, see :func:`from_short_time_spectrum`; those of one hop added up, of
    ``n_fft + hop_length`` samples, where there are several ``offsets``.

    >>> windowed_frames(torch.zeros(1, 3, 5, dtype=torch.complex64), 8, 2).shape
    torch.Size([1, 3, 8])
    >>> windowed_frames(torch.zeros(1, 4, 4, dtype=torch.complex64), 6, 3, (0, 1)).shape
    torch.Size([1, 2, 9])
    """
    frames = torch.fft.irfft(spectrum, n=n_fft)
    frames = frames * _window(n_fft, hop_length, offsets, frames.dtype, frames.device)
    if len(offsets) == 1:
        return frames
    of_hops = frames.unflatten(1, (-1, len(offsets)))
    total = pad(of_hops[:, :, 0], (0, hop_length))
    for index, start in enumerate(offsets[1:], start=1):
        total = total + pad(of_hops[:, :, index], (start, hop_length - start))
    return total


def cover_ends(
    response: Float[Tensor, "batch steps bins"], n_fft: int, hop_length: int
) -> Float[Tensor, "batch frames bins"]:
    """Filters for ``steps`` hops, held beyond the ends so that every frame has one.

    >>> cover_ends(torch.tensor([[[1.0], [2.0]]]), 8, 2).flatten().tolist()
    [1.0, 1.0, 2.0, 2.0, 2.0]
    """
    half = n_fft // (2 * hop_length)
    return hold_ends(response, half - 1, half)


def filter_spectrum(
    spectrum: Complex[Tensor, "batch frames bins"],
    real: Float[Tensor, "batch frames bins"],
    imaginary: Float[Tensor, "batch frames bins"] | None = None,
) -> Complex[Tensor, "batch frames bins"]:
    """Multiply by a frequency response given by its real and imaginary parts (zero when absent).

    >>> spectrum = torch.ones(1, 1, 2, dtype=torch.complex64)
    >>> filter_spectrum(spectrum, torch.full((1, 1, 2), 2.0), torch.ones(1, 1, 2))[0, 0].tolist()
    [(2+1j), (2+1j)]
    """
    if imaginary is None:
        if torch.compiler.is_exporting():
            # ONNX knows products of two complex or of two real numbers only.
            return torch.view_as_complex(torch.view_as_real(spectrum) * real[..., None])
        return spectrum * real
    return spectrum * torch.complex(real, imaginary)


def time_varying_filter(
    signal: Float[Tensor, "batch samples"],
    real: Float[Tensor, "batch steps bins"],
    imaginary: Float[Tensor, "batch steps bins"] | None = None,
) -> Float[Tensor, "batch samples"]:
    """Filter a signal with a frequency response that changes every ``samples / steps`` samples.

    ``bins = n_fft / 2 + 1``; the response of step ``s`` belongs to sample ``s * hop_length``, and
    neighbouring responses are cross-faded by the windows.

    >>> x = torch.randn(1, 8, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(time_varying_filter(x, torch.ones(1, 4, 5)), x, atol=1e-6)
    True
    """
    n_fft = 2 * (real.shape[2] - 1)
    hop_length = signal.shape[1] // real.shape[1]
    if hop_length * real.shape[1] != signal.shape[1]:
        raise ValueError(f"{signal.shape[1]} samples cannot be shared out to {real.shape[1]} steps")
    spectrum = short_time_spectrum(signal, n_fft, hop_length)
    real = cover_ends(real, n_fft, hop_length)
    if imaginary is not None:
        imaginary = cover_ends(imaginary, n_fft, hop_length)
    return from_short_time_spectrum(filter_spectrum(spectrum, real, imaginary), n_fft, hop_length)
