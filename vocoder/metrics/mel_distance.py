"""Log-mel L1: distance between the mels of the resynthesis and the recording."""

import math

from jaxtyping import Float
from torch import Tensor

from vocoder.features.mel import PRESETS, MelSpec
from vocoder.metrics.signals import Signal, checked_pair, resample

CONVENTION = (
    "mel distance: mean |difference| of natural-log mel amplitudes, bands of the preset "
    "speecht5_16k (80 bands, 80-7600 Hz, FFT 1024, hop 256), floor 1e-5, other rates resampled "
    "to 16 kHz"
)
AMPLITUDE_FLOOR = 1e-5


def mel_distance(
    reference: Signal,
    estimate: Signal,
    sample_rate: int,
    spec: MelSpec = PRESETS["speecht5_16k"],
) -> float:
    """Mean absolute difference of log-mels in nepers, from 0 upwards; lower is better.

        mean over bands b and frames t of |ln max(M_b,t, 1e-5) - ln max(M'_b,t, 1e-5)|

    M is the mel amplitude in the bands of `spec`; its logarithm and normalisation are ignored. The
    floor is HiFi-GAN's: without it the inaudible difference between a quiet pause and digital
    silence would outweigh the speech. One neper is 8.686 dB.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz; both are resampled to the rate of `spec`.
        spec: the bands. Reported scores use the default.

    Raises:
        AudioError: invalid signals.

    Source: the mel error of Kong, Kim, Bae, "HiFi-GAN", NeurIPS 2020, eq. 6, in other bands.
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    difference = _log_mel(first, sample_rate, spec) - _log_mel(second, sample_rate, spec)
    return float(difference.abs().mean())


def _log_mel(
    waveform: Float[Tensor, " samples"], sample_rate: int, spec: MelSpec
) -> Float[Tensor, "n_mels frames"]:
    mel = spec.mel(resample(waveform, sample_rate, spec.sample_rate)[None])
    return spec.log_amplitude(mel)[0].clamp(min=math.log(AMPLITUDE_FLOOR))
