"""Mel spectrograms in NumPy, float64, from the fields that an exported file carries.

The value of bin m in frame t of a waveform x is

    y        = x[n] - pre_emphasis * x[n - 1]
    s[k, t]  = (|STFT(y)[k, t]|^2 + magnitude_eps)^(power / 2)
    v[m, t]  = max(sum_k filterbank[m, k] s[k, t], floor)
    mel[m,t] = clip((log(v[m, t]) - mean[m]) / scale[m], clip_min, clip_max)

The same as `vocoder.MelSpec.mel`, which a test compares for every preset.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np

from vocoder_runtime.errors import VocoderError

CHOICES = {
    "window": ("hann",),
    "mel_scale": ("slaney", "htk"),
    "mel_norm": ("slaney", "none"),
    "power": (1, 2),
    "log": ("ln", "log10", "db"),
    "padding": ("center", "same"),
}
"""Values of the fields that are not numbers of any size."""

BLOCK_FRAMES = 4096
"""Frames transformed at a time: an hour of audio needs little more memory than a minute."""

# Slaney's scale: linear to 1 kHz at 200/3 Hz per mel, then logarithmic, 27 mels per factor of 6.4.
_HZ_PER_MEL = 200.0 / 3.0
_KNEE_HZ, _KNEE_MEL = 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27.0


@dataclass(frozen=True)
class MelSpec:
    """Everything that decides the numbers of a mel spectrogram.

    Fields:
        sample_rate: samples per second of the waveform.
        n_fft, hop_length, win_length: samples; the window is centred in the FFT frame.
        n_mels: number of bins.
        f_min, f_max: edges of the filterbank, Hz.
        window: the periodic Hann window.
        mel_scale: "slaney" (linear below 1 kHz) or "htk" (logarithmic throughout).
        mel_norm: "slaney" (filters of equal area) or "none" (filters of peak one).
        power: 1 sums amplitudes, 2 sums powers.
        log: "ln", "log10" or "db" (20 log10 of an amplitude, 10 log10 of a power).
        floor: smallest mel energy before the logarithm.
        padding: "center" reflects n_fft // 2 samples at both ends: 1 + samples // hop_length
            frames. "same" reflects (n_fft - hop_length) / 2: samples // hop_length frames.
        magnitude_eps: added to the squared magnitude.
        pre_emphasis: coefficient of the first difference, 0 for none.
        mean, scale: affine normalisation of the logarithm, one number or one for each bin.
        clip_min, clip_max: range that the normalised mel is clipped to, None for no limit.
    """

    sample_rate: int
    n_fft: int
    hop_length: int
    win_length: int
    n_mels: int
    f_min: float
    f_max: float
    window: str
    mel_scale: str
    mel_norm: str
    power: int
    log: str
    floor: float
    padding: str
    magnitude_eps: float
    pre_emphasis: float
    mean: float | tuple[float, ...]
    scale: float | tuple[float, ...]
    clip_min: float | None
    clip_max: float | None

    @classmethod
    def from_json(cls, text: str) -> "MelSpec":
        """The spec in the metadata ``mel`` of an exported file.

        Raises:
            VocoderError: fields are missing, unknown, or have a value that is unknown here.
        """
        given: dict[str, Any] = json.loads(text)
        names = {field.name for field in fields(cls)}
        different = sorted(names ^ given.keys())
        different += [name for name in CHOICES.keys() & given if given[name] not in CHOICES[name]]
        if different:
            raise VocoderError(
                f"the mel's {', '.join(different)}: another version's; install the vocoder-runtime "
                "that belongs to the vocoder that exported it"
            )
        for name in ("mean", "scale"):
            if isinstance(given[name], list):
                given[name] = tuple(given[name])
        return cls(**given)

    def mel(self, waveform: np.ndarray) -> np.ndarray:
        """The mel spectrogram, computed in float64.

        A waveform too short to be reflected, or shorter than a hop, is first followed by n_fft
        zeros.

        Args:
            waveform: floats (samples,) or (batch, samples) in [-1, 1] at `sample_rate`.

        Returns:
            float32 (batch, n_mels, frames), a batch of one for a single waveform.

        Raises:
            VocoderError: the waveform has another shape, is empty, of integers, or not finite.
        """
        waveform = _checked(waveform)
        count = waveform.shape[1] // self.hop_length
        count = count + 1 if self.padding == "center" else max(1, count)
        frames = np.lib.stride_tricks.sliding_window_view(
            self._padded(waveform), self.n_fft, axis=1
        )[:, :: self.hop_length][:, :count]
        return np.concatenate([self._mel_of_frames(block) for block in _blocks(frames)], axis=2)

    def _padded(self, waveform: np.ndarray) -> np.ndarray:
        """Pre-emphasised, extended with zeros if it is too short, and reflected at both ends."""
        previous = np.pad(waveform[:, :-1], ((0, 0), (1, 0)))
        waveform = waveform - self.pre_emphasis * previous
        pad = self.n_fft // 2 if self.padding == "center" else (self.n_fft - self.hop_length) // 2
        if waveform.shape[1] < max(pad + 1, self.hop_length):
            waveform = np.pad(waveform, ((0, 0), (0, self.n_fft)))
        return np.pad(waveform, ((0, 0), (pad, pad)), mode="reflect")

    def _mel_of_frames(self, frames: np.ndarray) -> np.ndarray:
        """Mel (batch, n_mels, frames) of frames (batch, frames, n_fft)."""
        spectrum = np.fft.rfft(frames * _window(self.win_length, self.n_fft))
        squared = spectrum.real**2 + spectrum.imag**2 + self.magnitude_eps
        energy = (squared ** (self.power / 2)) @ mel_filters(self).T
        factor = {"ln": 1.0, "log10": np.log(10), "db": np.log(10) * self.power / 20}[self.log]
        log = np.log(np.maximum(energy, self.floor)) / factor
        mel = (log - np.asarray(self.mean)) / np.asarray(self.scale)
        low = -np.inf if self.clip_min is None else self.clip_min
        high = np.inf if self.clip_max is None else self.clip_max
        return np.clip(mel, low, high).astype(np.float32).swapaxes(1, 2)


@lru_cache(maxsize=16)
def mel_filters(spec: MelSpec) -> np.ndarray:
    """Triangles between neighbouring edges e_0 … e_{n+1}, equally spaced in mel:

        F_i(f) = max(0, min((f - e_i) / (e_{i+1} - e_i), (e_{i+2} - f) / (e_{i+2} - e_{i+1})))

    With ``mel_norm`` "slaney" each is divided by half its width in Hz.

    Returns:
        float64 (n_mels, n_fft // 2 + 1).
    """
    ends = _hz_to_mel(np.array([spec.f_min, spec.f_max]), spec.mel_scale)
    edges_hz = _mel_to_hz(np.linspace(ends[0], ends[1], spec.n_mels + 2), spec.mel_scale)
    lower, centre, upper = (edges_hz[i : i + spec.n_mels, None] for i in range(3))
    f_hz = np.fft.rfftfreq(spec.n_fft, 1.0 / spec.sample_rate)
    filters = np.minimum((f_hz - lower) / (centre - lower), (upper - f_hz) / (upper - centre))
    half_width_hz = (upper - lower) / 2 if spec.mel_norm == "slaney" else 1.0
    return np.maximum(0.0, filters) / half_width_hz


def _hz_to_mel(hz: np.ndarray, scale: str) -> np.ndarray:
    """HTK: 2595 log10(1 + f / 700). Slaney: 3 f / 200 below 1 kHz, 15 + 27 log_6.4(f / 1000)."""
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0))
    above = _KNEE_MEL + np.log(np.maximum(hz, _KNEE_HZ) / _KNEE_HZ) / _LOG_STEP
    return np.where(hz >= _KNEE_HZ, above, hz / _HZ_PER_MEL)


def _mel_to_hz(mel: np.ndarray, scale: str) -> np.ndarray:
    """The inverse of `_hz_to_mel`."""
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    above = _KNEE_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _KNEE_MEL) - _KNEE_MEL))
    return np.where(mel >= _KNEE_MEL, above, _HZ_PER_MEL * mel)


def _window(win_length: int, n_fft: int) -> np.ndarray:
    """A periodic Hann window in the middle of a frame."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length)
    left = (n_fft - win_length) // 2
    return np.pad(hann, (left, n_fft - win_length - left))


def _blocks(frames: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, frames.shape[1], BLOCK_FRAMES):
        yield frames[:, start : start + BLOCK_FRAMES]


def _checked(waveform: np.ndarray) -> np.ndarray:
    """The waveform as float64 (batch, samples)."""
    waveform = np.asarray(waveform)
    if waveform.ndim not in (1, 2) or waveform.size == 0:
        raise VocoderError(
            f"the waveform has the shape {waveform.shape}: (samples,) or (batch, samples) is "
            "expected, of one sample or more"
        )
    if not np.issubdtype(waveform.dtype, np.floating):
        raise VocoderError(f"the waveform has the type {waveform.dtype}: use floats in [-1, 1]")
    if not np.isfinite(waveform).all():
        raise VocoderError("the waveform has NaN or infinite values")
    return np.atleast_2d(waveform).astype(np.float64)
