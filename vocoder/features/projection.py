"""Mel projection: a waveform's own spectrum, moved so that it meets a given mel."""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.carry import Carry
from vocoder.features.mel import MelSpec
from vocoder.features.precision import outside_autocast

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
    carry = Carry(whole=True)
    return project_pieces(waveform, log_amplitude, spec, passes, updates, carry)


def project_pieces(
    waveform: Float[Tensor, "batch samples"],
    log_amplitude: Float[Tensor, "batch n_mels frames"],
    spec: MelSpec,
    passes: int,
    updates: int,
    carry: Carry,
) -> Float[Tensor, "batch ready_samples"]:
    """:func:`project_mel` in pieces: as much of its output as the pieces so far decide.

    Each pass keeps its own windows and overlap in ``carry``. Pieces of waveform and mel need not be
    equally long, but no frame of the mel may come later than the waveform that it is compared with.
    """
    # Mixed precision would round the energies to 8 bits.
    with outside_autocast(waveform.device):
        filters = _filters(spec, waveform.device, waveform.dtype)
        wanted = (spec.power * log_amplitude.to(waveform)).exp().transpose(1, 2) @ filters
        for number in range(passes):
            name = f"projection {number}"
            waveform, wanted = _one_pass(name, waveform, wanted, spec, updates, carry)
    return waveform


def _one_pass(
    name: str,
    waveform: Float[Tensor, "batch samples"],
    wanted: Float[Tensor, "batch frames bins"],
    spec: MelSpec,
    updates: int,
    carry: Carry,
) -> tuple[Tensor, Tensor]:
    """Waveform after a pass, and Fᵀ M of the frames that it went by, for the next one."""
    hop, size, lead = spec.hop_length, spec.win_length, spec.window_lead
    window = _window(spec, waveform.device, waveform.dtype)
    padded = carry.pad_ends(name, waveform, lead, size - hop - lead)
    frames = carry.span(name, padded, size, hop).unfold(1, size, hop) * window
    count = frames.shape[1]
    wanted = carry.take(f"{name} mel", wanted, count)
    # Where a window stands in the transform does not matter to a gain without phase.
    spectrum = torch.fft.rfft(frames, n=spec.n_fft)
    pairs = torch.view_as_real(spectrum)
    gain = _gain(pairs.square().sum(-1), wanted, spec, updates)
    spectrum = torch.view_as_complex(pairs * gain[..., None])
    frames = torch.fft.irfft(spectrum, n=spec.n_fft)[..., :size] * window
    # Numerator and denominator overlap alike: Σ w frame, and Σ w² as one more row.
    rows = torch.cat([frames, window.square().expand(1, count, -1)])
    total = carry.overlap_add(f"{name} sum", rows, hop, lead)
    if carry.whole:
        total = torch.cat([total, carry.tensors[f"{name} sum"]], dim=1)[:, : count * hop]
    return total[:-1] / total[-1:].clamp(min=1e-4), wanted


def _gain(
    power: Float[Tensor, "batch frames bins"],
    wanted: Float[Tensor, "batch frames bins"],
    spec: MelSpec,
    updates: int,
) -> Float[Tensor, "batch frames bins"]:
    """Factor on the spectrum, (e after the updates / e before)^(1/p), from |Y|² and Fᵀ M."""
    filters = _filters(spec, power.device, power.dtype)
    energy = power
    if spec.pre_emphasis:
        energy = energy * _pre_emphasis_power(spec, energy)
    energy = energy + spec.magnitude_eps
    energy = (energy + _TINY).sqrt() if spec.power == 1 else energy
    gain = torch.ones_like(energy[:1, :1])
    for _ in range(updates):
        own = (energy * gain) @ filters.T @ filters
        # In bins outside every filter both are zero, and the ratio is one.
        gain = gain * ((wanted + _TINY) / (own + _TINY)).clamp(1 / LARGEST_GAIN, LARGEST_GAIN)
    return gain if spec.power == 1 else gain.sqrt()


@lru_cache(maxsize=128)
def _filters(
    spec: MelSpec, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "n_mels bins"]:
    # A tensor made in inference mode could never take part in training afterwards.
    with torch.inference_mode(False):
        return spec.filterbank().to(device, dtype)


@lru_cache(maxsize=128)
def _window(
    spec: MelSpec, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, " win_length"]:
    with torch.inference_mode(False):
        return torch.hann_window(spec.win_length, dtype=torch.float64).to(device, dtype)


def _pre_emphasis_power(spec: MelSpec, like: Tensor) -> Float[Tensor, " bins"]:
    """|1 - a e^{-iω}|² at the bins."""
    omega = torch.linspace(0, torch.pi, like.shape[-1], dtype=torch.float64)
    a = spec.pre_emphasis
    return (1 + a * a - 2 * a * torch.cos(omega)).to(like)
