"""Differences between frame-wise and sample-wise filtering with the same coefficient tracks."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from rich.progress import track
from torch import Tensor
from torch.nn.functional import pad

from studies.iir_or_fir.family import RATE
from studies.iir_or_fir.finite import interpolated_causal
from vocoder.data.audio import read_audio
from vocoder.data.manifest import read_manifest
from vocoder.dsp.analysis.prediction import (
    expand_bandwidth,
    line_spectra_from_predictor,
    predictor_from_line_spectra,
)
from vocoder.dsp.filters.allpole import (
    all_pole_overlapped,
    all_pole_samples,
    autocorrelation,
    interpolated_predictor,
    levinson_durbin,
)
from vocoder.dsp.filters.fir import filter_frames_causal
from vocoder.dsp.filters.spectral_filter import time_varying_filter
from vocoder.dsp.framing import interpolate_linear
from vocoder.dsp.sources.noise import white_noise
from vocoder.errors import VocoderError
from vocoder.metrics.spectral_distance import log_spectral_distance

HOPS = (40, 80, 160, 320, 640)
ORDER, ANALYSIS_HOP, ANALYSIS_WINDOW = 22, 80, 480
"""Order of the linear prediction that defines the true coefficient track."""
FLOOR, BANDWIDTH_HZ = 1e-6, 10.0
"""Noise added to the autocorrelation (-60 dB), and bandwidth to the resonances."""
UTTERANCES, SAMPLES = 6, 48000
"""Number of test utterances, and their length: three seconds, a multiple of every hop."""
TAPS = 512
"""Taps of a recursive filter's truncated response."""
RING = 1024
"""Least number of samples in a transform for ringing after a frame."""
LONG = 16384
"""Transform length in which responses decay completely: 0.998 to this power is -285 dB."""
NOWHERE_DB = -120.0
"""Errors below are rounding errors, and shown as such."""

GLIDE_HZ = (800.0, 2000.0)
"""Frequency range of the gliding resonance; about that of a second formant."""
GLIDE_HOP, GLIDE_RADIUS, GLIDE_SPEED = 80, 0.99, 10.0
"""Fixed values while another is swept: hop (samples), pole radius, and speed (Hz per ms)."""
RADII = (0.9, 0.95, 0.98, 0.99, 0.995, 0.998)
SPEEDS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
SEEDS = 3
WRAPS = (320, 640, 1280)
CUTS = (128, 512)
"""Transform sizes and numbers of taps for a constant resonance."""

Course = Float[Tensor, "batch samples_plus_one order"]
"""Line spectral frequencies at every sample, and at the one after the last."""


def interpolated(x: Tensor, course: Course, hop: int) -> Tensor:
    """One filter per sample, from linearly interpolated line spectra at frame boundaries."""
    filters = interpolated_predictor(_boundaries(course, hop), hop, "line_spectra")
    return all_pole_samples(x, filters)[0]


def held(x: Tensor, course: Course, hop: int) -> Tensor:
    """The recursion with the filter at the frame's centre, as ``all_pole`` but faster."""
    filters = _predictors(course, hop).repeat_interleave(hop, dim=1)
    return all_pole_samples(x, filters)[0]


def overlapped(x: Tensor, course: Course, hop: int) -> Tensor:
    """Windowed frames, each filtered by its centre's filter, in the frequency domain."""
    n_fft = -(-(2 * hop + RING) // hop) * hop
    return all_pole_overlapped(x, _predictors(course, hop), n_fft)


def spectrum(x: Tensor, course: Course, hop: int) -> Tensor:
    """The short-time spectrum, with a window twice as long as the ring."""
    n_fft = max(2, -(-RING // (2 * hop))) * 2 * hop
    predictor = predictor_from_line_spectra(_boundaries(course, hop)[:, :-1])
    response = 1 / torch.fft.rfft(pad(predictor, (1, 0), value=1.0), n=n_fft)
    return time_varying_filter(x, response.real, response.imag)


def fir_frames(x: Tensor, course: Course, hop: int) -> Tensor:
    """The truncated response at the frame's centre, frame-wise."""
    return filter_frames_causal(x, _responses(_predictors(course, hop)))[0]


def fir_interpolated(x: Tensor, course: Course, hop: int) -> Tensor:
    """Truncated responses at frame boundaries, linearly interpolated."""
    taps = _responses(predictor_from_line_spectra(_boundaries(course, hop)[:, :-1]))
    return interpolated_causal(x, taps)


WAYS: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "all-pole, interpolated": interpolated,
    "all-pole, held": held,
    "all-pole, overlapped": overlapped,
    "short-time spectrum": spectrum,
    "FIR of its response, frames": fir_frames,
    "FIR of its response, interpolated": fir_interpolated,
}


@dataclass(frozen=True)
class Departure:
    """Differences for one signal and one method.

    Attributes:
        at: the swept value: hop (samples), radius or speed (Hz per ms).
        error_db: energy of the difference from the sample-wise filter's output over the latter's.
        distance_db: log-spectral distance of the two sounds.
    """

    way: str
    at: float
    error_db: float
    distance_db: float


def from_speech(corpus: Path, utterances: int, n_samples: int) -> list[Departure]:
    """Every method at every hop. The true track is a recording's own linear prediction and the
    signal its residual, so that the sample-wise filter reproduces the recording."""
    test = [u for u in read_manifest(corpus / "manifest.jsonl") if u.split == "test"]
    long_enough = [u for u in test if u.duration_s * RATE > n_samples + ANALYSIS_WINDOW]
    if len(long_enough) < utterances:
        raise VocoderError(
            f"{corpus}: {len(long_enough)} test utterances of {n_samples / RATE:g} s, "
            f"not {utterances}"
        )
    found = []
    for i in track(range(utterances), "speech by frames"):
        path = corpus / long_enough[i * len(long_enough) // utterances].path
        speech = read_audio(path, RATE).waveform[None, : n_samples + ANALYSIS_WINDOW].double()
        course = speech_course(speech, n_samples)
        speech = speech[:, :n_samples]
        predictor = predictor_from_line_spectra(course[:, :-1])
        past = pad(speech, (ORDER, 0))[:, :-1].unfold(1, ORDER, 1).flip(-1)
        residual = speech + (predictor * past).sum(dim=-1)
        for hop in HOPS:
            for name, way in WAYS.items():
                found.append(compare(name, hop, way(residual, course, hop), speech))
    return found


def speech_course(speech: Float[Tensor, "batch samples"], n_samples: int) -> Course:
    """Line spectra of the linear prediction every 5 ms, linearly interpolated."""
    frames = pad(speech, (ANALYSIS_WINDOW // 2, 0)).unfold(1, ANALYSIS_WINDOW, ANALYSIS_HOP)
    frames = frames[:, : n_samples // ANALYSIS_HOP + 1] * torch.hann_window(ANALYSIS_WINDOW)
    lags = autocorrelation(frames, ORDER)
    lags[..., 0] = lags[..., 0] * (1 + FLOOR) + FLOOR
    predictor = expand_bandwidth(levinson_durbin(lags)[0], BANDWIDTH_HZ, RATE)
    spectra = line_spectra_from_predictor(predictor)
    lines = interpolate_linear(spectra.mT.flatten(0, 1), ANALYSIS_HOP)
    return torch.cat([lines.unflatten(0, (-1, ORDER)).mT, spectra[:, -1:]], dim=1)


def from_glides() -> tuple[list[Departure], list[Departure]]:
    """One gliding resonance: over its pole radius, and over its speed."""
    radii = [_glides(r, GLIDE_SPEED, r) for r in track(RADII, "radii")]
    speeds = [_glides(GLIDE_RADIUS, v, v) for v in track(SPEEDS, "speeds")]
    return [one for part in radii for one in part], [one for part in speeds for one in part]


def _glides(radius: float, speed: float, at: float) -> list[Departure]:
    found = []
    course = glide_course(radius, speed)
    for seed in range(SEEDS):
        x = white_noise(1, RATE, torch.Generator().manual_seed(seed)).double()
        truth = reference(x, course)
        found += [compare(k, at, way(x, course, GLIDE_HOP), truth) for k, way in WAYS.items()]
    return found


def glide_course(radius: float, speed: float) -> Course:
    """One second of a pole pair that glides up and down at a speed (Hz per ms)."""
    low, high = GLIDE_HZ
    travelled = speed * 1000 / RATE * torch.arange(RATE + 1, dtype=torch.float64)
    # Starts at the centre frequency.
    place = (travelled + (high - low) / 2) % (2 * (high - low))
    frequency = low + torch.minimum(place, 2 * (high - low) - place)
    a1 = -2 * radius * torch.cos(2 * math.pi / RATE * frequency)
    predictor = torch.stack([a1, torch.full_like(a1, radius**2)], dim=-1)
    return line_spectra_from_predictor(predictor)[None]


def from_rest() -> list[Departure]:
    """One constant resonance: only wrap-around of transforms and truncation of taps."""
    found = []
    for radius in RADII:
        course = glide_course(radius, 0.0)
        predictor = _predictors(course, GLIDE_HOP)
        for seed in range(SEEDS):
            x = white_noise(1, RATE, torch.Generator().manual_seed(seed)).double()
            truth = reference(x, course)
            for n_fft in WRAPS:
                y = all_pole_overlapped(x, predictor, n_fft)
                found.append(compare(f"all-pole, overlapped, n_fft {n_fft}", radius, y, truth))
            for taps in CUTS:
                y, _ = filter_frames_causal(x, _responses(predictor, taps))
                found.append(compare(f"FIR of its response, {taps} taps", radius, y, truth))
    return found


def bandwidth_hz(radius: float) -> float:
    """Bandwidth of a pole: distance of the two points 3 dB below its peak."""
    return -math.log(radius) * RATE / math.pi


def reference(x: Tensor, course: Course) -> Tensor:
    """The filter with the track's coefficients at every sample."""
    return all_pole_samples(x, predictor_from_line_spectra(course[:, :-1]))[0]


def compare(way: str, at: float, y: Tensor, truth: Tensor) -> Departure:
    """Errors at rounding are set to NOWHERE_DB.

    Raises:
        VocoderError: the output is not finite.
    """
    share = float((y - truth).square().sum() / truth.square().sum())
    if not math.isfinite(share):
        raise VocoderError(f"{way} at {at}: the output is not finite")
    error_db = max(NOWHERE_DB, 10 * math.log10(share)) if share > 0 else NOWHERE_DB
    scale = 0.5 / float(truth.abs().max())
    recording, copy = ((scale * one[0]).float() for one in (truth, y))
    return Departure(way, at, error_db, log_spectral_distance(recording, copy, RATE))


def _boundaries(course: Course, hop: int) -> Tensor:
    return course[:, ::hop]


def _predictors(course: Course, hop: int) -> Tensor:
    """Predictors at the frames' centres."""
    return predictor_from_line_spectra(course[:, hop // 2 :: hop])


def _responses(predictor: Float[Tensor, "batch frames order"], n_taps: int = TAPS) -> Tensor:
    """The first taps of 1 / A, from a transform without wrap-around."""
    polynomial = torch.fft.rfft(pad(predictor, (1, 0), value=1.0), n=LONG)
    return torch.fft.irfft(1 / polynomial, n=LONG)[..., :n_taps]
