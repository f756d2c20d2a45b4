"""Preparation common to all metrics: validation, resampling and the 7 kHz band."""

import math

import numpy as np
import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.errors import AudioError

Signal = Tensor | np.ndarray
"""A waveform in [-1, 1], shape (samples,): a floating-point tensor or array."""

BAND_EDGE_HZ = 7000.0
_TRANSITION_HZ = 300.0
_ATTENUATION_DB = 100.0


def checked_signal(signal: Signal, name: str) -> Float[Tensor, " samples"]:
    """A validated waveform as a detached float32 tensor on the CPU.

    Raises:
        AudioError: the signal is not a floating-point tensor or array of one dimension, is
            empty, or holds NaN or infinity. The message starts with `name`.
    """
    if not isinstance(signal, Tensor | np.ndarray):
        raise AudioError(f"{name}: expected a tensor or an array, got {type(signal).__name__}")
    waveform = torch.as_tensor(signal)
    if not waveform.is_floating_point():
        raise AudioError(
            f"{name}: expected floating point in [-1, 1], got {waveform.dtype}; scale it first"
        )
    if waveform.ndim != 1:
        raise AudioError(
            f"{name}: expected one dimension (samples,), got shape {tuple(waveform.shape)}"
        )
    if waveform.numel() == 0:
        raise AudioError(f"{name}: the signal is empty")
    if not bool(torch.isfinite(waveform).all()):
        raise AudioError(f"{name}: the signal holds NaN or infinite samples")
    return waveform.detach().to("cpu", torch.float32)


def checked_pair(
    reference: Signal, estimate: Signal, sample_rate: int
) -> tuple[Float[Tensor, " samples"], Float[Tensor, " samples"]]:
    """Both waveforms as float32 tensors, equally long.

    Raises:
        AudioError: a signal is invalid (see `checked_signal`), the lengths differ by any number
            of samples, or the sample rate is not positive.
    """
    if sample_rate <= 0:
        raise AudioError(f"sample_rate: expected a positive number of hertz, got {sample_rate}")
    first, second = checked_signal(reference, "reference"), checked_signal(estimate, "estimate")
    if first.numel() != second.numel():
        raise AudioError(
            f"the reference has {first.numel()} samples and the estimate {second.numel()}: "
            "crop both to one length first"
        )
    return first, second


def resample(
    waveform: Float[Tensor, " samples"], sample_rate: int, target_rate: int
) -> Float[Tensor, " resampled"]:
    """Band-limited resampling by soxr's "HQ", 100 dB down, as `vocoder.data.audio` reads files.

    Raises AudioError if no sample would be left.
    """
    if sample_rate == target_rate:
        return waveform
    resampled = soxr.resample(waveform.numpy(), sample_rate, target_rate, quality="HQ")
    if len(resampled) == 0:
        raise AudioError(f"{waveform.numel()} samples are too few to resample to {target_rate} Hz")
    return torch.from_numpy(resampled)


def lowpass_7k(signal: Signal, sample_rate: int) -> Float[Tensor, " samples"]:
    """The signal low-pass filtered at 7 kHz, without delay and with unchanged length.

    A linear-phase windowed sinc, h[n] = 2 fc/fs sinc(2 fc n/fs) w[n], with fc = 7 kHz and a
    Kaiser window for 100 dB (Kaiser 1974): within 1e-4 of one below 6.85 kHz, and -100 dB above
    7.15 kHz. Both signals of a pair are filtered for scores "to 7 kHz", since some recordings have
    no higher frequencies.

    Raises:
        AudioError: the signal is invalid, or its Nyquist frequency is so low that the score "to 7
            kHz" would equal the full-band score.
    """
    waveform = checked_signal(signal, "signal")
    if sample_rate <= 2 * (BAND_EDGE_HZ + _TRANSITION_HZ / 2):
        raise AudioError(
            f"a rate of {sample_rate} Hz carries nothing above 7 kHz: score the full band instead"
        )
    width = 2 * math.pi * _TRANSITION_HZ / sample_rate
    half = math.ceil((_ATTENUATION_DB - 7.95) / (2.285 * width) / 2)
    time = torch.arange(-half, half + 1, dtype=torch.float64)
    window = torch.kaiser_window(
        2 * half + 1,
        periodic=False,
        beta=0.1102 * (_ATTENUATION_DB - 8.7),
        dtype=torch.float64,
    )
    relative = 2 * BAND_EDGE_HZ / sample_rate
    taps = relative * torch.sinc(relative * time) * window
    filtered = torch.nn.functional.conv1d(
        waveform.double()[None, None], taps[None, None], padding=half
    )
    return filtered[0, 0].float()
