"""Mel-cepstral distortion, in three mutually incomparable conventions."""

import math

import numpy as np
import scipy.signal
import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.filters.tap_shapes import warp_cepstrum
from vocoder.errors import AudioError
from vocoder.metrics.dtw import warped_distance
from vocoder.metrics.mel_cepstrum import cepstrum, mel_generalised_cepstrum
from vocoder.metrics.signals import Signal, checked_pair, resample
from vocoder.metrics.world import require_world, smoothed_spectrum

CONVENTION_MGCEP = (
    "MCD (mgcep), as bigvsan_eval: mel-generalised cepstra of order 25, alpha 0.41, gamma -1/5, c0 "
    "included, Blackman 1024, hop 256, at 22.05 kHz (higher rates resampled by soxr HQ, lower ones "
    "left as they are), mean over the dynamic-time-warping path"
)
CONVENTION_MCEP = (
    "MCD (mcep), as ParallelWaveGAN: mel-cepstra of order 25, alpha 0.41, c0 included, Hamming "
    "1024, hop 256, at the native rate, mean over the dynamic-time-warping path"
)
CONVENTION_WORLD = (
    "MCD (WORLD), as VERSA: mel-cepstra of order 39, alpha 0.466, c0 included, of WORLD's spectra "
    "(Harvest 40-800 Hz, CheapTrick with FFT 1024) every 5 ms at the native rate after a 70 Hz "
    "high-pass, frame by frame without warping in time"
)
MGCEP_RATE = 22050
_FRAME = 1024
_HOP = 256
_INT16 = 32768.0
# SPTK's eps: added to the periodogram of 16-bit samples.
_FLOOR = 1e-6
_TO_DB = 10.0 * math.sqrt(2.0) / math.log(10.0)

_WORLD_HOP_S = 0.005
_WORLD_F0_HZ = (40.0, 800.0)
_WORLD_CUTOFF_HZ = 70.0
_WORLD_TAPS = 255


def mcd_mgcep(
    reference: Signal,
    estimate: Signal,
    sample_rate: int,
    order: int = 25,
    alpha: float = 0.41,
    gamma: float = -1 / 5,
) -> float:
    """Mel-cepstral distortion of mel-generalised cepstra in dB; lower is better, 0 is best.

        (10 √2 / ln 10) · mean over the path of sqrt(Σ_{m=0..25} (c_m - c'_m)²)

    of the frames matched by dynamic time warping, c0 and silence included.

    Follows sony/bigvsan_eval, which uses files of 24 kHz, with these differences: the mean is per
    utterance (there: over all frames of a corpus), the warping is exact (there: FastDTW with radius
    1), the analysis runs until convergence, resampling is soxr's, and a floor of 1e-6 for integer
    16-bit samples allows digital silence (there: an error). Rates below 22.05 kHz are not
    resampled: a quarter of the spectrum would be the resampler's rounding.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz.
        order: highest cepstral coefficient; the source's 25 gives 26 numbers.
        alpha: of the frequency warping.
        gamma: of the generalised logarithm.

    Raises:
        AudioError: invalid signals, or shorter than one frame of 1024 samples.

    Source: Kubichek, "Mel-cepstral distance measure for objective speech quality assessment",
    IEEE Pacific Rim 1993; settings: github.com/sony/bigvsan_eval, `evaluate.py`.
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    rate = min(sample_rate, MGCEP_RATE)
    window = torch.blackman_window(_FRAME, periodic=False, dtype=torch.float64)
    a, b = (
        mel_generalised_cepstrum(
            _periodograms(resample(signal, sample_rate, rate), window), order, alpha, gamma
        )
        for signal in (first, second)
    )
    return _TO_DB * warped_distance(a.numpy(), b.numpy())


def mcd_mcep(
    reference: Signal, estimate: Signal, sample_rate: int, order: int = 25, alpha: float = 0.41
) -> float:
    """Mel-cepstral distortion of mel-cepstra in dB; lower is better, 0 is best.

    The formula and the warping of `mcd_mgcep` on the mel-cepstra of Hamming-windowed frames, c0
    and silence included.

    Follows `sptk_extract` and `calculate` of kan-bayashi/ParallelWaveGAN (also in ESPnet), with its
    floor of 1e-6 under 16-bit samples, but for the warping, which is exact here (there: FastDTW
    with radius 1), and the analysis, which runs until convergence. Order 25 and alpha 0.41 are that
    function's defaults; its command line without options chooses by the rate instead: 23 and 0.42
    at 16 kHz, 34 and 0.45 at 22.05 kHz, 34 and 0.46 at 24 kHz, 39 and 0.53 at 44.1 kHz, 39 and 0.55
    at 48 kHz. Give `order` and `alpha` for those.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz; nothing is resampled, and different rates are not comparable.
        order: highest cepstral coefficient; 25 gives 26 numbers.
        alpha: of the frequency warping.

    Raises:
        AudioError: invalid signals, or shorter than one frame of 1024 samples.

    Source: Kubichek 1993; settings: github.com/kan-bayashi/ParallelWaveGAN,
    `parallel_wavegan/bin/evaluate_mcd.py`.
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    window = torch.hamming_window(_FRAME, periodic=False, dtype=torch.float64)
    a, b = (
        mel_generalised_cepstrum(_periodograms(signal, window), order, alpha)
        for signal in (first, second)
    )
    return _TO_DB * warped_distance(a.numpy(), b.numpy())


def mcd_world(
    reference: Signal, estimate: Signal, sample_rate: int, order: int = 39, alpha: float = 0.466
) -> float:
    """Mel-cepstral distortion of WORLD's spectral envelopes in dB; lower is better, 0 is best.

        (10 √2 / ln 10) · mean over frames t of sqrt(Σ_{m=0..39} (c_m(t) - c'_m(t))²)

    c0 and silence included, without time warping (VERSA's default and its setting for speech and
    codecs; its setting for singing warps). The cepstra describe CheapTrick's envelopes without
    harmonics: F0 errors have little effect. Alpha is that of 24 kHz at every rate, as there.

    Args:
        reference: the recording, shape (samples,), in [-1, 1].
        estimate: the resynthesis, as long.
        sample_rate: of both, in Hz; nothing is resampled, and different rates are not comparable.
        order: highest cepstral coefficient; 39 gives 40 numbers.
        alpha: of the frequency warping.

    Raises:
        AudioError: invalid signals, or a rate of 1600 Hz or lower.
        VocoderError: the extra is not installed.

    Source: Kubichek 1993; settings: github.com/wavlab-speech/versa,
    `versa/sequence_metrics/mcd_f0.py`.
    """
    first, second = checked_pair(reference, estimate, sample_rate)
    require_mcd_world()
    if sample_rate <= 2 * _WORLD_F0_HZ[1]:
        raise AudioError(f"MCD (WORLD) needs more than 1600 Hz, got {sample_rate}")
    high_pass = scipy.signal.firwin(_WORLD_TAPS, _WORLD_CUTOFF_HZ, fs=sample_rate, pass_zero=False)
    a, b = (
        warp_cepstrum(
            cepstrum(_world_log_spectra(signal, sample_rate, high_pass)), order + 1, alpha
        )
        for signal in (first, second)
    )
    return _TO_DB * float(torch.linalg.norm(a - b, dim=1).mean())


def require_mcd_world() -> None:
    """Raise a VocoderError that names the extra, unless WORLD is installed."""
    require_world("MCD (WORLD)")


def _periodograms(
    waveform: Float[Tensor, " samples"], window: Float[Tensor, " frame"]
) -> Float[Tensor, "frames bins"]:
    """|FFT|² of the whole frames of 16-bit integers, floored; the window has power one."""
    if waveform.numel() < _FRAME:
        raise AudioError(
            f"MCD needs one frame of {_FRAME} samples at its rate, got {waveform.numel()}"
        )
    frames = (_INT16 * waveform.double()).unfold(0, _FRAME, _HOP)
    window = window / torch.linalg.norm(window)
    return torch.fft.rfft(frames * window).abs().square() + _FLOOR


def _world_log_spectra(
    waveform: Float[Tensor, " samples"], sample_rate: int, high_pass: Float[np.ndarray, " taps"]
) -> Float[Tensor, "frames bins"]:
    samples = scipy.signal.lfilter(high_pass, 1.0, (_INT16 - 1) * waveform.double().numpy())
    spectra = smoothed_spectrum(samples, sample_rate, _WORLD_HOP_S, *_WORLD_F0_HZ, fft_size=_FRAME)
    return torch.from_numpy(spectra).log()
