"""M-STFT: the multi-resolution short-time spectral distance that vocoder papers report."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.errors import AudioError
from vocoder.metrics.signals import Signal, checked_pair

CONVENTION = (
    "M-STFT as auraloss.freq.MultiResolutionSTFTLoss() by its defaults, at the native rate: "
    "spectral convergence + L1 of natural-log magnitudes, FFTs 1024/2048/512, hops 120/240/50, "
    "windows 600/1200/240"
)
RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
_POWER_FLOOR = 1e-8


def mstft(reference: Signal, estimate: Signal, sample_rate: int) -> float:
    """Multi-resolution STFT distance, from 0 (equal) upwards; lower is better. NaN where the
    reference is silent: its spectrum, by which the distance is divided, lies at the floor.

    The mean over three resolutions (n_fft, hop, window in samples) of

        ||Y - X||_F / ||Y||_F + mean |ln X - ln Y|,

    X and Y the magnitudes of estimate and reference, sqrt(max(|STFT|², 1e-8)), Hann window,
    reflected edges. Values depend on level and rate: compare at one rate only.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz; the windows are in samples, as in published figures.

    Raises:
        AudioError: invalid signals, or at most 1024 samples (too short to reflect).

    Source: Yamamoto, Song, Kim, "Parallel WaveGAN", ICASSP 2020, eq. 3-7; the settings are those
    of auraloss (Steinmetz, Reiss, DMRN+15 2020), which BigVGAN reports.
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    longest = max(n_fft for n_fft, _, _ in RESOLUTIONS)
    if first.numel() <= longest // 2:
        raise AudioError(f"M-STFT needs more than {longest // 2} samples, got {first.numel()}")
    return sum(_distance(first, second, *sizes) for sizes in RESOLUTIONS) / len(RESOLUTIONS)


def _distance(reference: Tensor, estimate: Tensor, n_fft: int, hop: int, win: int) -> float:
    """Spectral convergence plus log-magnitude distance at one resolution."""
    y, x = _magnitude(reference, n_fft, hop, win), _magnitude(estimate, n_fft, hop, win)
    if bool((y <= 1.0001 * math.sqrt(_POWER_FLOOR)).all()):
        return math.nan
    convergence = torch.linalg.norm(y - x) / torch.linalg.norm(y)
    return float(convergence + (x.log() - y.log()).abs().mean())


def _magnitude(
    waveform: Float[Tensor, " samples"], n_fft: int, hop: int, win: int
) -> Float[Tensor, "bins frames"]:
    spectrum = torch.stft(waveform, n_fft, hop, win, torch.hann_window(win), return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    return power.clamp(min=_POWER_FLOOR).sqrt()
