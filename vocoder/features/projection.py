"""Mel projection: a waveform's own spectrum, moved so that it meets a given mel."""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vocoder.dsp.framing import overlap_add
from vocoder.features.mel import MelSpec

LARGEST_GAIN_NEPERS = 4.0
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
        for _ in range(passes):
            waveform = _one_pass(waveform, wanted, filters, spec, updates)
    return waveform


def _one_pass(
    waveform: Float[Tensor, "batch samples"],
    wanted: Float[Tensor, "batch frames bins"],
    filters: Float[Tensor, "n_mels bins"],
    spec: MelSpec,
    updates: int,
) -> Float[Tensor, "batch samples"]:
    """`wanted`: Fᵀ M of every frame."""
    window, lead = _window(spec, waveform.device, waveform.dtype), spec.n_fft // 2
    before = lead - spec.center_offset
    samples, hop = waveform.shape[1], spec.hop_length
    after = wanted.shape[1] * hop + spec.n_fft - hop - before - samples
    frames = pad(waveform, (before, after)).unfold(1, spec.n_fft, hop) * window
    spectrum = torch.fft.rfft(frames)
    squared = spectrum.real.square() + spectrum.imag.square()
    if spec.pre_emphasis:
        squared = squared * _pre_emphasis_power(spec, squared)
    energy = squared + spec.magnitude_eps
    energy = (energy + _TINY).sqrt() if spec.power == 1 else energy
    log_gain = torch.zeros_like(energy)
    covered = filters.sum(0) > 0
    for _ in range(updates):
        own = (energy * log_gain.exp()) @ filters.T @ filters
        ratio = (wanted + _TINY).log() - (own + _TINY).log()
        bounded = ratio.clamp(-LARGEST_GAIN_NEPERS, LARGEST_GAIN_NEPERS)
        log_gain = log_gain + torch.where(covered, bounded, 0.0)
    frames = torch.fft.irfft(spectrum * (log_gain / spec.power).exp(), n=spec.n_fft) * window
    # `overlap_add` wants frames of whole hops.
    frames = pad(frames, (0, -spec.n_fft % hop))
    weight = pad(window.square(), (0, -spec.n_fft % hop)).expand(1, frames.shape[1], -1)
    total = overlap_add(frames, hop) / overlap_add(weight, hop).clamp(min=1e-4)
    return total[:, before : before + samples]


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
