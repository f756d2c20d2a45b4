"""Mel projection: a waveform's own spectrum, moved so that it meets a given mel."""

from functools import lru_cache

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from vocoder.dsp.carry import Carry, DualWindow, Grid
from vocoder.dsp.filters.spectral_filter import filter_spectrum
from vocoder.features.autocast import outside_autocast
from vocoder.features.low_band import project_low_band
from vocoder.features.mel import MelSpec
from vocoder.features.mel_gain import power_of, projection_gain


def project_mel(
    waveform: Float[Tensor, "batch samples"],
    log_amplitude: Float[Tensor, "batch n_mels frames"],
    spec: MelSpec,
    passes: int = 1,
) -> Float[Tensor, "batch samples"]:
    """The waveform with a short-time spectrum that meets a mel better, its phases kept.

    At the mel's own window and hop, F the filterbank, M the given mel's energies, p the power:

        Y = STFT(y);  e = |Y|^p;  e ← e · (Fᵀ M) / (Fᵀ F e)
        y ← STFT⁻¹(e^(1/p) · Y / |Y|)

    This multiplicative update never increases ‖F e − M‖² (Lee and Seung). How energy lies within a
    band stays the waveform's own, how much there is follows the mel; bins outside every filter stay
    as they are. The inverse is the least-squares one, Σ w frame / Σ w², and as overlapping frames
    disagree, a second pass comes closer. A sample depends on `passes` · win_length samples to
    either side.

    Args:
        waveform: frames · hop_length samples.
        log_amplitude: of the mel, natural logarithm, see `MelSpec.log_amplitude`.
        spec: the mel's window, hop and filters.
        passes: how often; 0 gives the waveform back.

    Returns:
        A waveform of the same length; differentiable in both arguments.

    Raises:
        ValueError: the lengths do not fit, or passes below zero.

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
    if passes < 0:
        raise ValueError(f"passes is {passes}: 0 for none")
    carry = Carry(whole=True)
    return project_pieces(waveform, log_amplitude, spec, passes, carry)


def project_pieces(
    waveform: Float[Tensor, "batch samples"],
    log_amplitude: Float[Tensor, "batch n_mels frames"],
    spec: MelSpec,
    passes: int,
    carry: Carry,
    low_band_passes: int = 0,
) -> Float[Tensor, "batch fewer_samples"]:
    """:func:`project_mel` in pieces: as much of its output as the pieces so far decide.

    Each pass keeps its own windows and overlap in ``carry``. Pieces of waveform and mel need not be
    equally long, but no frame of the mel may come later than the waveform that it is compared with.

    ``low_band_passes``: between analysis and gain of the last pass, the low band is projected that
    often at a low rate, see `vocoder.features.low_band`.
    """
    # Mixed precision would round the energies to 8 bits.
    with outside_autocast(waveform.device):
        filters = spec.filterbank(waveform.device, waveform.dtype)
        energies = (spec.power * log_amplitude.to(waveform)).exp().transpose(1, 2)
        wanted = energies @ filters
        for number in range(passes):
            name = f"projection {number}"
            spectrum = _analysis(name, waveform, spec, carry)
            if low_band_passes and number == passes - 1:
                spectrum = project_low_band(spectrum, energies, spec, low_band_passes, carry)
            wanted = carry.take(f"{name} mel", wanted, spectrum.shape[1])
            power = power_of(torch.view_as_real(spectrum), -1)
            gain = projection_gain(power, wanted, (filters.T, filters), spec)
            waveform = _synthesis(name, filter_spectrum(spectrum, gain), spec, carry)
    return waveform


def _analysis(
    name: str, waveform: Float[Tensor, "batch samples"], spec: MelSpec, carry: Carry
) -> Complex[Tensor, "batch frames bins"]:
    """Spectra of the mel's windows. Where a window stands in the transform does not matter to a
    gain without phase; here it stands at the start."""
    pair = _window(spec, waveform.device, waveform.dtype)
    return torch.fft.rfft(carry.windows(name, waveform, pair.grid) * pair.window, n=spec.n_fft)


def _synthesis(
    name: str, spectrum: Complex[Tensor, "batch frames bins"], spec: MelSpec, carry: Carry
) -> Float[Tensor, "batch samples"]:
    """The waveform whose windows have nearly this spectrum."""
    pair = _window(spec, spectrum.device, spectrum.real.dtype)
    frames = torch.fft.irfft(spectrum, n=spec.n_fft)[..., : spec.win_length] * pair.dual
    return carry.least_squares(f"{name} sum", frames, pair)


@lru_cache(maxsize=128)
def _window(spec: MelSpec, device: torch.device, dtype: torch.dtype) -> DualWindow:
    # A tensor made in inference mode could never take part in training afterwards.
    with torch.inference_mode(False):
        grid = Grid(spec.hop_length, spec.win_length, spec.window_lead)
        hann = torch.hann_window(spec.win_length, dtype=torch.float64)
        return DualWindow.of(hann, grid).to(device, dtype)
