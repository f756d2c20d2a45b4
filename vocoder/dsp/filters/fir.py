"""Time-varying FIR filters, designed from a magnitude or a cut-off frequency.

All filters designed here are symmetric about their middle tap, ``n_taps // 2``, and are applied
without delay: the middle tap weights the current sample. Only :func:`filter_frames_causal` applies
the first tap to it. Cut-off frequencies are fractions of Nyquist, between 0 and 1.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vocoder.dsp.framing import hold_ends, overlap_add

_BLOCK_ELEMENTS = 2**18
"""Points transformed at a time, a megabyte in single precision."""


def frequency_sampled_fir(
    magnitudes: Float[Tensor, "*batch bins"],
) -> Float[Tensor, "*batch taps"]:
    """Zero-phase filters with given gains at ``bins`` frequencies from 0 to Nyquist.

    The inverse Fourier transform of the magnitudes, ``taps = 2 (bins - 1)`` long, with its origin
    moved to the middle tap and a Hann window around it: the response is the given one convolved
    with the window's spectrum, two bins wide to either side.

    Source: the frequency sampling method, as in J. Engel et al., DDSP, arXiv 2001.04643.

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
    """Filter each frame of a signal by its own taps and overlap-add the results.

    The signal is cut into frames of ``samples / frames`` samples without overlap; each is convolved
    with the taps of its frame, and the results overlap by the length of the taps. A sample depends
    on the filters of frames up to ``taps // 2`` samples away.

    >>> filter_frames(torch.tensor([[1.0, 2.0]]), torch.tensor([[[0.0, 1.0], [1.0, 10.0]]]))
    tensor([[ 3., 20.]])
    """
    n_samples, middle = signal.shape[1], taps.shape[2] // 2
    return _convolve_frames(signal, taps)[:, middle : middle + n_samples]


def filter_frames_causal(
    signal: Float[Tensor, "batch samples"],
    taps: Float[Tensor, "batch frames taps"],
    state: Float[Tensor, "batch overlap"] | None = None,
) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, "batch overlap"]]:
    """:func:`filter_frames` with the first tap on the current sample; also returns the ringing.

    ``y[n] = Σ_m h_{t(n-m)}[m] x[n - m]`` with t(n) the frame of sample n. Suitable for
    minimum-phase taps; symmetric taps delay the output by ``taps // 2`` samples. Filtering a signal
    in pieces of whole frames, passing the state on, gives the same result as filtering it whole.

    Args:
        state: the ``taps - 1`` samples of ringing from the previous call; silence when absent.

    Raises:
        ValueError: samples that are no multiple of the frames, or a state of another length.

    >>> h = torch.tensor([[[1.0, 10.0], [2.0, 20.0]]])
    >>> y, state = filter_frames_causal(torch.tensor([[1.0, 1.0]]), h)
    >>> y.round(decimals=4).tolist(), state.round(decimals=4).tolist()
    ([[1.0, 12.0]], [[20.0]])
    """
    n_samples, overlap = signal.shape[1], taps.shape[2] - 1
    if state is not None and state.shape[1] != overlap:
        raise ValueError(
            f"a state of {state.shape[1]} samples for {overlap + 1} taps: it must have {overlap}"
        )
    output = _convolve_frames(signal, taps)[:, : n_samples + overlap]
    if state is not None:
        output = output + pad(state, (0, n_samples))
    return output[:, :n_samples], output[:, n_samples:]


def _convolve_frames(
    signal: Float[Tensor, "batch samples"], taps: Float[Tensor, "batch frames taps"]
) -> Float[Tensor, "batch longer"]:
    """Each frame convolved with its taps, overlap-added; at least ``taps - 1`` samples longer."""
    hop_length = _hop_length(signal, taps)
    n_fft = fast_length(hop_length + taps.shape[2] - 1)
    # A few rows at a time: allocating larger temporary arrays takes longer than filling them.
    rows = max(1, _BLOCK_ELEMENTS // (taps.shape[1] * n_fft))
    parts = [
        overlap_add(_frame_convolution(x, h, n_fft), hop_length)
        for x, h in zip(signal.split(rows), taps.split(rows), strict=True)
    ]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _frame_convolution(
    signal: Float[Tensor, "batch samples"], taps: Float[Tensor, "batch frames taps"], n_fft: int
) -> Float[Tensor, "batch frames window"]:
    """Convolutions of the frames, followed by zeros up to a multiple of the hop."""
    n_frames, n_taps = taps.shape[1:]
    frames = signal.unflatten(1, (n_frames, -1))
    hop_length = frames.shape[2]
    window = -(-(hop_length + n_taps - 1) // hop_length) * hop_length
    spectrum = torch.fft.rfft(frames, n=n_fft) * torch.fft.rfft(taps, n=n_fft)
    return pad(torch.fft.irfft(spectrum, n=n_fft), (0, window - n_fft))


def fast_length(length: int) -> int:
    """The fastest transform length of at least ``n``: a power of two, or 5/8 or 3/4 of it if
    sufficient. Other lengths cost more than they save.

    >>> [fast_length(n) for n in (1, 159, 161, 200, 336, 416)]
    [1, 160, 192, 256, 384, 512]
    """
    power = 1 << (length - 1).bit_length()
    if power >= 16:
        for shorter in (5 * power // 8, 3 * power // 4):
            if shorter >= length:
                return shorter
    return power


def filter_interpolated(
    signal: Float[Tensor, "batch samples"], taps: Float[Tensor, "batch frames taps"]
) -> Float[Tensor, "batch samples"]:
    """Filter each sample by taps interpolated linearly between two frames.

    The taps of frame t belong to sample ``t * hop``; in between they are
    ``h_n = (1 - a) h_t + a h_{t+1}``, ``a = n / hop - t``, and after the last frame they are held.
    The output is that of :func:`filter_samples` with h_n, without storing h_n: convolution is
    linear in the taps, so that ``y = (1 - a) (h_t * x) + a (h_{t+1} * x)``, two fast convolutions
    per frame. This is the reference that :func:`filter_frames` approximates by steps.

    Raises:
        ValueError: samples that are no multiple of the frames.

    >>> taps = torch.tensor([[[0.0], [1.0]]])
    >>> filter_interpolated(torch.ones(1, 4), taps).round(decimals=4).tolist()
    [[0.0, 0.5, 1.0, 1.0]]
    """
    n_taps, hop_length = taps.shape[2], _hop_length(signal, taps)
    n_fft = fast_length(hop_length + n_taps - 1)
    middle = n_taps // 2
    padded = pad(signal, (n_taps - 1 - middle, middle))
    # The wrap-around of circular convolution affects the first taps - 1 samples.
    segments = padded.unfold(1, hop_length + n_taps - 1, hop_length)
    spectra = torch.fft.rfft(segments, n=n_fft)
    responses = torch.fft.rfft(hold_ends(taps, 0, 1), n=n_fft)
    valid = slice(n_taps - 1, n_taps - 1 + hop_length)
    now = torch.fft.irfft(spectra * responses[:, :-1], n=n_fft)[..., valid]
    next_ = torch.fft.irfft(spectra * responses[:, 1:], n=n_fft)[..., valid]
    ramp = torch.arange(hop_length, dtype=signal.dtype, device=signal.device) / hop_length
    return torch.lerp(now, next_, ramp).flatten(1)


def _hop_length(signal: Tensor, taps: Tensor) -> int:
    """Samples per frame."""
    n_samples, n_frames = signal.shape[1], taps.shape[1]
    if n_samples % n_frames:
        raise ValueError(f"{n_samples} samples cannot be shared out to {n_frames} filters")
    return n_samples // n_frames


def sinc_low_pass(cutoff: Float[Tensor, "*batch"], n_taps: int) -> Float[Tensor, "*batch taps"]:
    """Low-pass filters, one per cut-off frequency: ``c sinc(c n)`` under a Hamming window, scaled
    to a gain of one at 0 Hz. The gain is about one half at the cut-off.

    Source: X. Wang and J. Yamagishi, arXiv 1908.10256.

    >>> sinc_low_pass(torch.tensor(0.5), 5).sum().item()
    1.0
    """
    taps = cutoff[..., None] * torch.sinc(cutoff[..., None] * _positions(n_taps, cutoff))
    taps = taps * _hamming(n_taps, cutoff)
    return taps / taps.sum(dim=-1, keepdim=True)


def sinc_high_pass(cutoff: Float[Tensor, "*batch"], n_taps: int) -> Float[Tensor, "*batch taps"]:
    """High-pass filters, one per cut-off frequency: a unit pulse minus the unscaled
    :func:`sinc_low_pass`, scaled to a gain of one at Nyquist. Source: as there.

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
    """Filter a signal with separate taps for each output sample: ``y[n] = Σ_m taps[n, m] x[n + M //
    2 - m]``, zero beyond the ends, M the number of taps.

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
    """Periodic Hamming window of ``n_taps``, one at its middle, as in the paper."""
    return 0.54 + 0.46 * torch.cos(2 * torch.pi / n_taps * _positions(n_taps, like))
