"""A mel spectrogram is never anonymous: `MelSpec` says exactly how it is computed.

The value of bin m in frame t of a waveform x is

    y        = x[n] - pre_emphasis * x[n - 1]
    s[k, t]  = (|STFT(y)[k, t]|^2 + magnitude_eps)^(power / 2)
    v[m, t]  = max(sum_k filterbank[m, k] s[k, t], floor)
    mel[m,t] = clip((log(v[m, t]) - mean[m]) / scale[m], clip_min, clip_max)

where log is the natural logarithm ("ln"), the decimal one ("log10") or decibels ("db": 20 log10
of an amplitude, 10 log10 of a power).
"""

import hashlib
import json
import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, Self

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field, ValidationError, model_validator
from torch import Tensor

from vocoder.config import Config
from vocoder.dsp.framing import hann_window
from vocoder.errors import MelError, suggestion
from vocoder.features.autocast import outside_autocast
from vocoder.features.filterbank import mel_filters
from vocoder.features.presets import PRESET_FIELDS

LN10 = math.log(10.0)

# Frames transformed at a time, so that an hour of audio needs no more memory than a minute.
_BLOCK_FRAMES = 4096

# What happens to the mel energies after they are summed; everything else cannot be undone.
_CONVERTIBLE = frozenset({"log", "floor", "mean", "scale", "clip_min", "clip_max"})


MOST_CHANNELS = 8
"""Of a file: a waveform of so few samples, and many items, is one with its axes exchanged."""


class MelSpec(Config):
    """Everything that decides the numbers of a mel spectrogram; frozen and hashable.

    Two equal specs give equal mels; the formula is at the head of this module.

    Fields:
        sample_rate: samples per second of the waveform.
        n_fft, hop_length, win_length: samples; the window is centred in the FFT frame.
        n_mels: number of bins.
        f_min, f_max: edges of the filterbank in Hz; f_max at most the Nyquist frequency.
        window: always the periodic Hann window.
        mel_scale: "slaney" (linear below 1 kHz) or "htk" (logarithmic throughout).
        mel_norm: "slaney" (filters of equal area) or "none" (filters of peak one).
        power: 1 sums amplitudes, 2 sums powers.
        log: "ln", "log10" or "db".
        floor: smallest mel energy before the logarithm, in the unit of `power`.
        padding: "center" reflects n_fft // 2 samples at both ends: 1 + samples // hop_length
            frames, frame t is centred on sample t * hop_length. "same" reflects
            (n_fft - hop_length) / 2 samples: samples // hop_length frames, frame t is centred on
            sample t * hop_length + hop_length / 2.
        magnitude_eps: added to the squared magnitude (HiFi-GAN: 1e-9).
        pre_emphasis: coefficient of the first difference, 0 for none.
        mean, scale: affine normalisation of the logarithm, one number or one for each bin.
        clip_min, clip_max: range the normalised mel is clipped to, None for no clipping.

    A waveform too short to be reflected (n_fft // 2 samples or fewer with "center",
    (n_fft - hop_length) / 2 with "same"), or shorter than a hop, is first followed by n_fft zeros:
    every length from one sample up has a mel of `frames(samples)` frames.
    """

    sample_rate: int = Field(gt=0, le=768_000)
    n_fft: int = Field(gt=1, le=2**16)
    hop_length: int = Field(gt=0)
    win_length: int = Field(gt=1)
    n_mels: int = Field(gt=0, le=1024)
    f_min: float = Field(ge=0.0)
    f_max: float = Field(gt=0.0)
    window: Literal["hann"] = "hann"
    mel_scale: Literal["slaney", "htk"] = "slaney"
    mel_norm: Literal["slaney", "none"] = "slaney"
    power: Literal[1, 2] = 1
    log: Literal["ln", "log10", "db"] = "ln"
    floor: float = Field(default=1e-5, gt=0.0)
    padding: Literal["center", "same"] = "center"
    magnitude_eps: float = Field(default=0.0, ge=0.0)
    pre_emphasis: float = Field(default=0.0, ge=0.0, lt=1.0)
    mean: float | tuple[float, ...] = 0.0
    scale: float | tuple[float, ...] = 1.0
    clip_min: float | None = None
    clip_max: float | None = None

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.f_max > self.sample_rate / 2:
            raise ValueError(f"f_max {self.f_max:g} Hz is above Nyquist ({self.sample_rate / 2:g})")
        if self.f_min >= self.f_max:
            raise ValueError(f"f_min {self.f_min:g} Hz is not below f_max {self.f_max:g} Hz")
        if self.win_length > self.n_fft:
            raise ValueError(f"win_length {self.win_length} is longer than n_fft {self.n_fft}")
        if self.hop_length > self.win_length:
            raise ValueError(f"hop_length {self.hop_length} exceeds win_length {self.win_length}")
        if self.padding == "same" and (self.n_fft - self.hop_length) % 2:
            raise ValueError('padding "same" needs an even n_fft - hop_length')
        _check_per_bin("mean", self.mean, self.n_mels)
        _check_per_bin("scale", self.scale, self.n_mels)
        if np.min(self.scale) <= 0.0:
            raise ValueError("scale must be positive")
        clip = (self.clip_min, self.clip_max)
        if clip[0] is not None and clip[1] is not None and clip[0] >= clip[1]:
            raise ValueError(f"clip_min {clip[0]:g} is not below clip_max {clip[1]:g}")
        return self

    # ---- lengths and times -------------------------------------------------------------------

    @property
    def center_offset(self) -> int:
        """Samples from t * hop_length to the centre of frame t."""
        return 0 if self.padding == "center" else self.hop_length // 2

    @property
    def window_lead(self) -> int:
        """Samples of frame t's window that lie before t * hop_length."""
        return self.n_fft // 2 - (self.n_fft - self.win_length) // 2 - self.center_offset

    def frames(self, samples: int) -> int:
        """Number of frames of a waveform of so many samples (at least 1). Raises MelError at 0."""
        if samples < 1:
            raise MelError("the waveform is empty: a mel needs at least one sample")
        if self.padding == "center":
            return 1 + samples // self.hop_length
        return max(1, samples // self.hop_length)

    # ---- waveform to mel ---------------------------------------------------------------------

    def filterbank(
        self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float64
    ) -> Float[Tensor, "n_mels bins"]:
        """The mel filters over the n_fft // 2 + 1 frequencies."""
        return _filterbank(self, torch.device(device), dtype).clone()

    def mel(
        self, waveform: Tensor, precision: torch.dtype | None = None
    ) -> Float[Tensor, "batch n_mels frames"]:
        """The mel spectrogram, differentiable in the waveform.

        By default computed in float64 (but on devices that have none), since the rounding of a
        float32 FFT changes the quiet bins of real speech by up to 1e-3; returned in the
        waveform's precision.

        Args:
            waveform: (batch, samples) in [-1, 1] at `sample_rate`.
            precision: of the computation, where speed matters more than the quiet bins.

        Raises:
            MelError: not (batch, samples), not floating point, empty, NaN or infinite.
        """
        _check_waveform(waveform)
        if precision is None:
            precision = torch.float32 if waveform.device.type == "mps" else torch.float64
        # Mixed precision would round the energies to 8 bits before the logarithm.
        with outside_autocast(waveform.device):
            padded = self._padded(waveform.to(precision))
            n_frames, blocks = self.frames(waveform.shape[1]), []
            for start in range(0, n_frames, _BLOCK_FRAMES):
                stop = min(start + _BLOCK_FRAMES, n_frames)
                span = slice(start * self.hop_length, (stop - 1) * self.hop_length + self.n_fft)
                blocks.append(self._mel_of_frames(padded[:, span]).to(waveform.dtype))
        return torch.cat(blocks, dim=2)

    def mel_within(
        self, waveform: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch n_mels frames"]:
        """The mel of the frames whose windows of `win_length` lie within a waveform: the first
        window begins with its first sample, and nothing is added at the ends. Without pre-emphasis;
        in the waveform's precision; arithmetic alone.
        """
        left = (self.n_fft - self.win_length) // 2
        with outside_autocast(waveform.device):
            padded = torch.nn.functional.pad(waveform, (left, self.n_fft - self.win_length - left))
            return self._mel_of_frames(padded)

    def _mel_of_frames(self, padded: Tensor) -> Tensor:
        """Mel of every whole frame of `n_fft` samples."""
        bank = _filterbank(self, padded.device, padded.dtype)
        energy = torch.matmul(bank, self._magnitudes(padded))
        return self._from_natural_log(energy.clamp(min=self.floor).log())

    def _padded(self, waveform: Tensor) -> Tensor:
        """Pre-emphasised, extended with zeros if it is too short, and reflected at both ends."""
        if self.pre_emphasis:
            previous = torch.nn.functional.pad(waveform[:, :-1], (1, 0))
            waveform = waveform - self.pre_emphasis * previous
        pad = self.n_fft // 2 if self.padding == "center" else (self.n_fft - self.hop_length) // 2
        if waveform.shape[1] < max(pad + 1, self.hop_length):
            waveform = torch.nn.functional.pad(waveform, (0, self.n_fft))
        return torch.nn.functional.pad(waveform[:, None], (pad, pad), mode="reflect")[:, 0]

    def _magnitudes(self, padded: Tensor) -> Tensor:
        """Amplitudes or powers (batch, n_fft // 2 + 1, frames) of every whole frame."""
        window = hann_window(self.win_length, padded.dtype, padded.device)
        spectrum = torch.stft(
            padded,
            self.n_fft,
            self.hop_length,
            self.win_length,
            window=window,
            center=False,
            return_complex=True,
        )
        if self.magnitude_eps == 0.0 and self.power == 1:
            return spectrum.abs()
        squared = spectrum.real.square() + spectrum.imag.square() + self.magnitude_eps
        return squared.sqrt() if self.power == 1 else squared

    # ---- units -------------------------------------------------------------------------------

    @property
    def _natural_logs_per_unit(self) -> float:
        """How much the natural logarithm grows when `log` grows by one."""
        if self.log == "ln":
            return 1.0
        return LN10 if self.log == "log10" else LN10 * self.power / 20.0

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and scale in the shape (n_mels or 1, 1)."""
        return (
            torch.tensor(self.mean, dtype=like.dtype, device=like.device).reshape(-1, 1),
            torch.tensor(self.scale, dtype=like.dtype, device=like.device).reshape(-1, 1),
        )

    def _from_natural_log(self, log_energy: Tensor) -> Tensor:
        mel = log_energy / self._natural_logs_per_unit
        if self.mean != 0.0 or self.scale != 1.0:
            mean, scale = self._statistics(mel)
            mel = (mel - mean) / scale
        if self.clip_min is not None or self.clip_max is not None:
            mel = mel.clamp(self.clip_min, self.clip_max)
        return mel

    def _to_natural_log(self, mel: Tensor) -> Tensor:
        if self.mean != 0.0 or self.scale != 1.0:
            mean, scale = self._statistics(mel)
            mel = mel * scale + mean
        return mel * self._natural_logs_per_unit

    def log_amplitude(
        self, mel: Float[Tensor, "batch n_mels frames"]
    ) -> Float[Tensor, "batch n_mels frames"]:
        """The natural logarithm of the bins' amplitude, whatever normalisation, log and power.

        With power 2 this is half the logarithm of the bin's power. A clipped value stays at the
        value it was clipped to. Arithmetic alone, so that it can be traced: see `check` for bad
        input.
        """
        return self._to_natural_log(mel) / self.power

    @property
    def log_floor(self) -> float | Tensor:
        """The mel of silence: a float, or one value for each bin (n_mels,) if the bins differ."""
        silence = _silence(self)
        if torch.allclose(silence, silence[0].expand_as(silence), rtol=0.0, atol=1e-9):
            return float(silence[0])
        return silence.float()

    # ---- identity and conversion -------------------------------------------------------------

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits over all fields, the same in every process."""
        fields = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(fields.encode()).hexdigest()[:12]

    def with_statistics(self, mean: Iterable[float], scale: Iterable[float]) -> "MelSpec":
        """This spec normalised by the given mean and standard deviation of each bin.

        The statistics are those of the mel before normalisation, in the unit of `log`, such as
        `mean_` and `scale_` of the scaler that ParallelWaveGAN and ESPnet keep with a corpus.
        Raises MelError if they are not n_mels finite numbers each, or a scale is not positive.
        """
        statistics = {
            "mean": tuple(float(value) for value in mean),
            "scale": tuple(float(value) for value in scale),
        }
        try:
            return type(self).model_validate({**self.model_dump(), **statistics})
        except ValidationError as error:
            raise MelError(f"these statistics do not fit: {error.errors()[0]['msg']}") from error

    def convert(self, mel: Tensor, to: "MelSpec") -> Float[Tensor, "batch n_mels frames"]:
        """The same mel in another spec, where that is exact: what `to.mel` would have given.

        The logarithm's base, the affine normalisation, a higher floor and a narrower clipping
        convert exactly. What was lost cannot come back: a lower floor, a wider clipping, another
        filterbank, STFT, padding or rate, and `power` (amplitudes and powers differ before they
        are summed into bins) are refused.

        Raises:
            MelError: `check` fails, or `to` differs in a field that does not convert.
        """
        self.check(mel)
        if to == self:
            return mel
        self.check_convertible(to)
        log_energy = self._to_natural_log(mel)
        return to._from_natural_log(log_energy.clamp(min=math.log(to.floor)))

    def check_convertible(self, to: "MelSpec") -> None:
        """Raise MelError, naming the fields, unless `convert` is exact."""
        fixed = [line for line in self.describe_difference(to) if _field(line) not in _CONVERTIBLE]
        lower, upper = self._natural_log_range()
        to_lower, to_upper = to._natural_log_range()
        if bool((to_lower < lower - 1e-6).any()) or bool((to_upper > upper + 1e-6).any()):
            lost = ("floor", "clip_min", "clip_max", "mean", "scale")
            fixed += [line for line in self.describe_difference(to) if _field(line) in lost]
        if fixed:
            raise MelError(
                f"this mel does not convert exactly ({'; '.join(fixed)}): compute it again from "
                "the waveform with the other spec"
            )

    def _natural_log_range(self) -> tuple[Tensor, Tensor]:
        """Smallest and largest natural logarithm of an energy that the mel keeps, for each bin."""
        ends = torch.tensor([[-math.inf, math.inf]], dtype=torch.float64)
        if self.clip_min is not None:
            ends[0, 0] = self.clip_min
        if self.clip_max is not None:
            ends[0, 1] = self.clip_max
        lower, upper = self._to_natural_log(ends).unbind(dim=1)
        return lower.clamp(min=math.log(self.floor)), upper

    def describe_difference(self, other: "MelSpec") -> list[str]:
        """One line for each differing field, such as "f_max: 8000 here, 7600 there"."""
        return [
            f"{name}: {_short(here)} here, {_short(there)} there"
            for name in type(self).model_fields
            if (here := getattr(self, name)) != (there := getattr(other, name))
        ]

    def check(self, mel: Tensor, from_spec: "MelSpec | None" = None) -> None:
        """Raise MelError unless `mel` can be a mel of this spec.

        Args:
            mel: (batch, n_mels, frames).
            from_spec: the spec the mel was computed with, where it is known.
        """
        if from_spec is not None and from_spec != self:
            differences = "; ".join(self.describe_difference(from_spec))
            raise MelError(
                f"the mel was computed with another spec ({differences}): convert it with "
                "from_spec.convert(mel, to) or compute it again from the waveform"
            )
        self.check_shape(mel)
        if not mel.is_floating_point():
            raise MelError(f"the mel has the type {mel.dtype}: it must be floating point")
        if not bool(torch.isfinite(mel).all()):
            frame = int((~torch.isfinite(mel)).any(dim=1).nonzero()[0, 1])
            raise MelError(f"the mel has NaN or infinite values, the first in frame {frame}")

    def check_shape(self, mel: Tensor) -> None:
        """Raise MelError unless `mel` is (batch, n_mels, frames), of one item and frame or more."""
        if mel.ndim != 3:
            raise MelError(f"a mel is (batch, n_mels, frames), this has the shape {_shape(mel)}")
        if mel.shape[1] != self.n_mels:
            advice = "compute it with the model's own spec"
            if mel.shape[2] == self.n_mels:
                advice = "it looks like (batch, frames, n_mels), transpose it"
            raise MelError(
                f"the mel has {mel.shape[1]} bins, the spec has {self.n_mels} (shape {_shape(mel)},"
                f" expected (batch, n_mels, frames)): {advice}"
            )
        if mel.shape[0] == 0 or mel.shape[2] == 0:
            raise MelError(f"the mel is empty (shape {_shape(mel)}): it needs at least one frame")


# ---- cached constants, pure functions of their arguments -----------------------------------------


@lru_cache(maxsize=256)
def _filterbank(spec: MelSpec, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Triangular mel filters (n_mels, n_fft // 2 + 1), computed in float64."""
    bank = mel_filters(
        spec.sample_rate,
        spec.n_fft,
        spec.n_mels,
        spec.f_min,
        spec.f_max,
        spec.mel_scale,
        spec.mel_norm == "slaney",
    )
    # A tensor made in inference mode could never take part in training afterwards.
    with torch.inference_mode(False):
        return torch.tensor(bank, dtype=dtype, device=device)


@lru_cache(maxsize=256)
def _silence(spec: MelSpec) -> Tensor:
    """The mel of digital silence (n_mels,), float64, includes `magnitude_eps`."""
    with torch.inference_mode(False):
        magnitude = math.sqrt(spec.magnitude_eps) ** spec.power
        energy = (spec.filterbank().sum(dim=1, keepdim=True) * magnitude).clamp(min=spec.floor)
        return spec._from_natural_log(energy.log())[:, 0]


def _check_waveform(waveform: Tensor) -> None:
    if waveform.ndim != 2:
        raise MelError(
            f"a waveform is (batch, samples), this has the shape {_shape(waveform)}: "
            "use waveform[None] for a single one"
        )
    if not waveform.is_floating_point():
        raise MelError(f"the waveform has the type {waveform.dtype}: use floats in [-1, 1]")
    if 0 < waveform.shape[1] <= MOST_CHANNELS and waveform.shape[0] > 100 * waveform.shape[1]:
        raise MelError(
            f"the waveform has the shape {_shape(waveform)}, which looks like (samples, channels): "
            "give one channel, or their mean"
        )
    if waveform.shape[0] == 0 or waveform.shape[1] == 0:
        raise MelError(f"the waveform is empty (shape {_shape(waveform)})")
    if not bool(torch.isfinite(waveform).all()):
        sample = int((~torch.isfinite(waveform)).nonzero()[0, 1])
        raise MelError(f"the waveform has NaN or infinite values, the first at sample {sample}")


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


def _short(value: object) -> str:
    if isinstance(value, tuple):
        digest = hashlib.sha256(repr(value).encode()).hexdigest()[:6]
        return f"{len(value)} values ({digest})"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _field(difference: str) -> str:
    return difference.split(":", 1)[0]


def _check_per_bin(name: str, value: float | tuple[float, ...], n_mels: int) -> None:
    if isinstance(value, tuple) and len(value) != n_mels:
        raise ValueError(f"{name} has {len(value)} values for {n_mels} bins")
    if not np.isfinite(value).all():
        raise ValueError(f"{name} must be finite")


PRESETS: dict[str, MelSpec] = {
    name: MelSpec.model_validate(fields) for name, fields in PRESET_FIELDS.items()
}
"""The named specs; `presets.py` says where each is from."""


def named_mel(name: str) -> MelSpec:
    """The preset of a name. Raises MelError with the nearest valid name."""
    if name not in PRESETS:
        raise MelError(f"no mel preset {name!r}{suggestion(name, list(PRESETS))}")
    return PRESETS[name]
