"""Log-spectral distance: RMS difference of two short-time power spectra in decibels."""

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.errors import AudioError
from vocoder.metrics.signals import Signal, checked_pair

CONVENTION = (
    "LSD: log power spectra in dB of 32 ms Hann windows every 8 ms at the native rate, only whole "
    "frames, floor 100 dB below a full-scale sine; root mean square over the bins from 0 Hz to "
    "Nyquist, mean over frames"
)
WINDOW_S = 0.032
HOP_S = 0.008
FLOOR_DB = -100.0


def log_spectral_distance(reference: Signal, estimate: Signal, sample_rate: int) -> float:
    """Log-spectral distance in dB, from 0 (equal) upwards; lower is better. Symmetric.

        mean over frames t of sqrt(mean over bins k of (L(k, t) - L'(k, t))²)
        L(k, t) = max(20 log10(2 |STFT(k, t)| / Σ w), -100)

    with the periodic Hann window w of 32 ms (an even number of samples, as long as the FFT) every
    8 ms, nothing padded. L is 0 dB at the peak of a full-scale sine. The floor is 20 dB above the
    rounding noise of 16-bit files, so that digital silence and an inaudible pause do not differ by
    60 dB. All bins have equal weight, also those above the recording's bandwidth: different rates
    are not comparable.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz; nothing is resampled.

    Raises:
        AudioError: invalid signals, shorter than one window, or a rate too low for a window.

    Source: Gray, Markel, "Distance measures for speech processing", IEEE TASSP 24(5), 1976, eq. 5
    with p = 2 on periodograms; window, hop and floor are this project's.
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    difference = _levels_db(first, sample_rate) - _levels_db(second, sample_rate)
    return float(difference.square().mean(1).sqrt().mean())


def _levels_db(
    waveform: Float[Tensor, " samples"], sample_rate: int
) -> Float[Tensor, "frames bins"]:
    n_fft, hop = 2 * round(WINDOW_S * sample_rate / 2), round(HOP_S * sample_rate)
    if hop == 0:
        raise AudioError(f"a rate of {sample_rate} Hz has no frames of {1000 * HOP_S:g} ms")
    if waveform.numel() < n_fft:
        raise AudioError(
            f"the log-spectral distance needs {1000 * WINDOW_S:g} ms ({n_fft} samples), "
            f"got {waveform.numel()}"
        )
    window = torch.hann_window(n_fft, dtype=torch.float64)
    spectrum = torch.fft.rfft(waveform.double().unfold(0, n_fft, hop) * window)
    magnitude = 2 * spectrum.abs() / window.sum()
    return (20 * magnitude.log10()).clamp(min=FLOOR_DB)
