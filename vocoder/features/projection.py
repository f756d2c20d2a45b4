"""Mel projection: a waveform's own spectrum, moved so that it meets a given mel."""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vocoder.dsp.framing import overlap_add
from vocoder.features.mel import MelSpec

LARGEST_GAIN = 55.0
"""Bound of one update's gain in a bin, 35 dB."""
_TINY = 1e-20


def project_mel(
    waveform: Float[Tensor, "batch samples"],
    log_amplitude: Float[Tensor, "batch n_mels frames"],
    spec: MelSpec,
    passes: int = 1,
    updates: int = 1,
) -> Float[Tensor, "batch samples"]:
    """The waveform with a short-time spectrum that meets a mel better, its phases kept.

    At the mel's own window and hop, F the filterbank, M the given mel's energies, p the power:

        Y = STFT(y);  e = |Y|^p;  e ← e · (Fᵀ M) / (Fᵀ F e)  (`updates` times)
        y ← STFT⁻¹(e^(1/p) · Y / |Y|)

    One multiplicative update never increases ‖F e − M‖² (Lee and Seung). How energy lies within a
    band stays the waveform's own, how much there is follows the mel; bins outside every filter stay
    as they are. The inverse is the least-squares one, Σ w frame / Σ w², and as overlapping frames
    disagree, a second pass comes closer. A sample depends on `passes` · win_length samples to
    either side.

    Args:
        waveform: frames · hop_length samples.
        log_amplitude: of the mel, natural logarithm, see `MelSpec.log_amplitude`.
        spec: the mel's window, hop and filters.
        passes: how often; 0 gives the waveform back.
        updates: of each pass.

    Returns:
        A waveform of the same length; differentiable in both arguments.

    Raises:
        ValueError: the lengths do not fit, or a number below zero.

    Source: Lee, Seung, "Algorithms for non-negative matrix factorization", NIPS 2000, eq. 4;
    Griffin, Lim, "Signal estimation from modified short-time Fourier transform", IEEE TASSP 1984,
    eq. 6.
    """
    frames = log_amplitude.shape[2]
    if waveform.shape[1] != frames * spec.hop_length:
        raise ValueError(
            f"{waveform.shape[1]} samples for {frames} frames of {spec.hop_length}: mel and "
            "waveform must be equally long"
        )
    if passes < 0 or updates < 0:
        raise ValueError(f"passes {passes}, updates {updates}: neither can be below zero")
    # Mixed precision would round the energies to 8 bits.
    with torch.autocast(waveform.device.type, enabled=False):
        filters = _filters(spec, waveform.device, waveform.dtype)
        wanted = (spec.power * log_amplitude.to(waveform)).exp().transpose(1, 2) @ filters
        weight = _overlapped(_window(spec, waveform.device, waveform.dtype).square(), frames, spec)
        for _ in range(passes):
            waveform = _one_pass(waveform, wanted, filters, weight, spec, updates)
    return waveform


def _one_pass(
    waveform: Float[Tensor, "batch samples"],
    wanted: Float[Tensor, "batch frames bins"],
    filters: Float[Tensor, "n_mels bins"],
    weight: Float[Tensor, "1 span"],
    spec: MelSpec,
    updates: int,
) -> Float[Tensor, "batch samples"]:
    """`wanted`: Fᵀ M of every frame; `weight`: sum of the squared windows over all frames."""
    window = _window(spec, waveform.device, waveform.dtype)
    before = spec.n_fft // 2 - spec.center_offset
    samples, hop = waveform.shape[1], spec.hop_length
    after = wanted.shape[1] * hop + spec.n_fft - hop - before - samples
    frames = pad(waveform, (before, after)).unfold(1, spec.n_fft, hop) * window
    spectrum = torch.view_as_real(torch.fft.rfft(frames))
    energy = spectrum.square().sum(-1)
    if spec.pre_emphasis:
        energy = energy * _pre_emphasis_power(spec, energy)
    energy = energy + spec.magnitude_eps
    energy = (energy + _TINY).sqrt() if spec.power == 1 else energy
    gain = torch.ones_like(energy[:1, :1])
    for _ in range(updates):
        own = (energy * gain) @ filters.T @ filters
        # In bins outside every filter both are zero, and the ratio is one.
        gain = gain * ((wanted + _TINY) / (own + _TINY)).clamp(1 / LARGEST_GAIN, LARGEST_GAIN)
    gain = gain if spec.power == 1 else gain.sqrt()
    spectrum = torch.view_as_complex(spectrum * gain[..., None])
    frames = torch.fft.irfft(spectrum, n=spec.n_fft) * window
    total = _overlap(frames, spec) / weight
    return total[:, before : before + samples]


def _overlap(frames: Float[Tensor, "batch frames n_fft"], spec: MelSpec) -> Tensor:
    """Overlap-add; `overlap_add` wants frames of whole hops."""
    return overlap_add(pad(frames, (0, -spec.n_fft % spec.hop_length)), spec.hop_length)


def _overlapped(window: Float[Tensor, " n_fft"], frames: int, spec: MelSpec) -> Tensor:
    """(1, span): a window overlap-added in every frame, kept away from zero."""
    return _overlap(window.expand(1, frames, -1), spec).clamp(min=1e-4)


@lru_cache(maxsize=128)
def _filters(
    spec: MelSpec, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "n_mels bins"]:
    # A tensor made in inference mode could never take part in training afterwards.
    with torch.inference_mode(False):
        return spec.filterbank().to(device, dtype)


@lru_cache(maxsize=128)
def _window(spec: MelSpec, device: torch.device, dtype: torch.dtype) -> Float[Tensor, " n_fft"]:
    """Hann, centred in the transform as `torch.stft` centres it."""
    with torch.inference_mode(False):
        hann = torch.hann_window(spec.win_length, dtype=torch.float64)
        left = (spec.n_fft - spec.win_length) // 2
        return pad(hann, (left, spec.n_fft - spec.win_length - left)).to(device, dtype)


def _pre_emphasis_power(spec: MelSpec, like: Tensor) -> Float[Tensor, " bins"]:
    """|1 - a e^{-iω}|² at the bins."""
    omega = torch.linspace(0, torch.pi, like.shape[-1], dtype=torch.float64)
    a = spec.pre_emphasis
    return (1 + a * a - 2 * a * torch.cos(omega)).to(like)
