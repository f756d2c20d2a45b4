"""F0 and voicing by Praat, aligned to the frames of a mel."""

import hashlib
import json
import math
import os
import tempfile
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from vocoder.config import Config
from vocoder.errors import PitchError, VocoderWarning

# Part of the key of the cache: raise it whenever the same waveform would give another track.
_CACHE_VERSION = 1

LOWEST_F0_HZ = 1.0
"""Smallest F0 that is synthesised: a pulse train of unit power has pulses of √(sample_rate / F0),
without bound as F0 goes to zero."""


class PitchConfig(Config):
    """The range of F0 that Praat looks in, Hz; every other threshold is Praat's default.

    Fields:
        f0_min_hz: floor. The analysis window is three of its periods long (50 ms at 60 Hz), and
            shorter files are unvoiced.
        f0_max_hz: ceiling.
    """

    f0_min_hz: float = Field(default=60.0, gt=0.0)
    f0_max_hz: float = Field(default=500.0, gt=0.0)

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.f0_min_hz >= self.f0_max_hz:
            raise ValueError(
                f"f0_min_hz {self.f0_min_hz:g} is not below f0_max_hz {self.f0_max_hz:g}"
            )
        return self


class PitchEstimate(NamedTuple):
    """What a model reads off a mel: ``f0_hz`` and ``voicing`` (0 to 1), both (batch, frames), and
    the logits they came from: ``f0_logits`` (batch, frames, bins), ``voicing_logit`` (batch,
    frames)."""

    f0_hz: Tensor
    voicing: Tensor
    f0_logits: Tensor
    voicing_logit: Tensor


@dataclass(frozen=True)
class Pitch:
    """F0 and voicing of the frames of one utterance.

    Fields:
        f0_hz: F0 in Hz, positive in every frame: in unvoiced stretches it runs on a straight line
            in log F0 from the last voiced frame to the next one, and before the first and after
            the last voiced frame it holds. A wholly unvoiced utterance has sqrt(floor * ceiling)
            throughout (173.2 Hz for 60 to 500 Hz).
        voicing: 1 where Praat finds the frame voiced, else 0.
    """

    f0_hz: Float[Tensor, " frames"]
    voicing: Float[Tensor, " frames"]


def extract_pitch(
    waveform: Tensor,
    sample_rate: int,
    hop_length: int,
    n_frames: int,
    center_offset: int,
    f0_min_hz: float = 60.0,
    f0_max_hz: float = 500.0,
) -> Pitch:
    """F0 and voicing by Praat's autocorrelation method at the centres of mel frames.

    Frame t is analysed at sample t * hop_length + center_offset exactly: Praat centres its frames
    in the sound, so the sound is extended with zeros by as much as puts them there. Nothing is
    interpolated but the F0 of unvoiced frames. Praat's window is three periods of `f0_min_hz`
    long; a waveform shorter than that is unvoiced throughout, as is silence.

    Args:
        waveform: (samples,) in [-1, 1].
        n_frames: frames to return, usually `MelSpec.frames(samples)`.
        center_offset: `MelSpec.center_offset`.

    Raises:
        PitchError: not (samples,), empty, NaN or infinite, or a range of F0 that is none.

    Source: P. Boersma, "Accurate short-term analysis of the fundamental frequency and the
    harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17, 1993; through parselmouth.
    """
    _check_waveform(waveform)
    if not 0.0 < f0_min_hz < f0_max_hz <= sample_rate / 2:
        raise PitchError(
            f"F0 from {f0_min_hz:g} to {f0_max_hz:g} Hz is no range below the Nyquist frequency "
            f"({sample_rate / 2:g} Hz)"
        )
    if n_frames < 1 or hop_length < 1 or not 0 <= center_offset <= hop_length:
        raise PitchError(
            f"no frames there: n_frames {n_frames}, hop_length {hop_length}, "
            f"center_offset {center_offset}"
        )
    samples = waveform.detach().to("cpu", torch.float64).numpy()
    samples = samples - samples.mean()  # or the extension would put a step at either end
    raw_f0_hz = np.zeros(n_frames)
    if len(samples) >= 3.0 * sample_rate / f0_min_hz:
        raw_f0_hz = _praat_f0(
            samples, sample_rate, hop_length, n_frames, center_offset, f0_min_hz, f0_max_hz
        )
    f0_hz = interpolate_f0(raw_f0_hz, default_f0_hz=math.sqrt(f0_min_hz * f0_max_hz))
    return Pitch(
        f0_hz=torch.from_numpy(f0_hz).float(),
        voicing=torch.from_numpy(raw_f0_hz > 0.0).float(),
    )


def interpolate_f0(
    raw_f0_hz: Float[np.ndarray, " frames"], default_f0_hz: float
) -> Float[np.ndarray, " frames"]:
    """Fill frames of 0 Hz by linear interpolation in log F0; hold at the ends.

    Without a single voiced frame the result is `default_f0_hz` throughout.

    >>> interpolate_f0(np.array([0.0, 100.0, 0.0, 400.0]), 150.0).round(3).tolist()
    [100.0, 100.0, 200.0, 400.0]
    """
    voiced = np.flatnonzero(raw_f0_hz > 0.0)
    if len(voiced) == 0:
        return np.full(len(raw_f0_hz), default_f0_hz)
    log_f0 = np.interp(np.arange(len(raw_f0_hz)), voiced, np.log(raw_f0_hz[voiced]))
    return np.asarray(np.exp(log_f0))


def _praat_f0(
    samples: np.ndarray,
    sample_rate: int,
    hop_length: int,
    n_frames: int,
    center_offset: int,
    f0_min_hz: float,
    f0_max_hz: float,
) -> np.ndarray:
    """Praat's F0 (0 where unvoiced) at samples t * hop_length + center_offset."""
    import parselmouth  # loads Praat: only who analyses pitch pays for it

    # Praat puts floor((length - window) / hop) + 1 frames symmetrically into the sound. The
    # extension leaves it half a hop of play, so that rounding cannot lose or add a frame.
    first_center = math.ceil((3.0 * sample_rate / f0_min_hz + hop_length / 2.0 - 1.0) / 2.0)
    n_before = 1
    lead = first_center + n_before * hop_length - center_offset
    n_total = n_before + n_frames
    length = 1 + 2 * first_center + (n_total - 1) * hop_length
    while length < lead + len(samples):
        n_total += 1
        length += hop_length
    padded = np.zeros(length)
    padded[lead : lead + len(samples)] = samples

    sound = parselmouth.Sound(padded, float(sample_rate), start_time=-0.5 / sample_rate)
    pitch = sound.to_pitch_ac(
        time_step=hop_length / sample_rate, pitch_floor=f0_min_hz, pitch_ceiling=f0_max_hz
    )
    wanted_first = first_center / sample_rate
    if pitch.nx != n_total or abs(pitch.x1 - wanted_first) > 0.01 / sample_rate:
        raise PitchError(
            f"Praat analysed {pitch.nx} frames from {pitch.x1} s instead of {n_total} from "
            f"{wanted_first} s: report this with the sample rate {sample_rate}, the hop "
            f"{hop_length} and the floor {f0_min_hz}"
        )
    f0_hz: np.ndarray = pitch.selected_array["frequency"]
    return f0_hz[n_before : n_before + n_frames].copy()


def cached_pitch(
    waveform: Tensor,
    sample_rate: int,
    hop_length: int,
    n_frames: int,
    center_offset: int,
    config: PitchConfig,
    cache_dir: Path,
) -> Pitch:
    """`extract_pitch`, remembered in a file of `cache_dir` (made if it is missing).

    The file's name is a hash of the waveform's samples, of all other arguments, and of the
    versions of this module and of parselmouth, so that nothing stale is ever found. Files appear
    whole or not at all: any number of processes may share a folder. A corrupt file is warned of,
    recomputed and replaced.

    Raises:
        PitchError: as `extract_pitch`, or the folder cannot be read or written.
    """
    _check_waveform(waveform)
    key = _cache_key(waveform, (sample_rate, hop_length, n_frames, center_offset), config)
    path = Path(cache_dir) / f"{key}.npz"
    pitch = _read_cache(path, n_frames)
    if pitch is None:
        pitch = extract_pitch(
            waveform,
            sample_rate,
            hop_length,
            n_frames,
            center_offset,
            f0_min_hz=config.f0_min_hz,
            f0_max_hz=config.f0_max_hz,
        )
        _write_cache(path, pitch)
    return pitch


def validate_f0(f0_hz: Tensor, sample_rate: int) -> None:
    """Raise PitchError unless every F0 is a frequency from `LOWEST_F0_HZ` to below Nyquist.

    Args:
        f0_hz: (frames,) or (batch, frames). F0 is wanted in unvoiced frames too: see
            `interpolate_f0`.
    """
    if f0_hz.ndim not in (1, 2) or f0_hz.numel() == 0:
        raise PitchError(f"F0 is (frames,) or (batch, frames), not {tuple(f0_hz.shape)}")
    bad = ~((f0_hz >= LOWEST_F0_HZ) & (f0_hz < sample_rate / 2))  # NaN fails both comparisons
    if not bool(bad.any()):
        return
    index = tuple(bad.nonzero()[0].tolist())
    value = float(f0_hz[index])
    where = f"frame {index[-1]}" + (f" of utterance {index[0]}" if len(index) == 2 else "")
    advice = (
        "give unvoiced frames an F0 too (interpolate_f0) and voicing 0"
        if value == 0.0
        else f"F0 must lie between {LOWEST_F0_HZ:g} and {sample_rate / 2:g} Hz"
    )
    raise PitchError(f"F0 is {value:g} Hz in {where}: {advice}")


def _cache_key(waveform: Tensor, frames: tuple[int, int, int, int], config: PitchConfig) -> str:
    import parselmouth

    described = json.dumps(
        [_CACHE_VERSION, parselmouth.__version__, frames, config.model_dump()], sort_keys=True
    )
    samples = waveform.detach().to("cpu", torch.float64).contiguous().numpy()
    return hashlib.sha256(described.encode() + samples.tobytes()).hexdigest()[:40]


def _read_cache(path: Path, n_frames: int) -> Pitch | None:
    """The remembered track, or None if there is none that can be used."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            f0_hz, voicing = stored["f0_hz"], stored["voicing"]
        if f0_hz.shape != (n_frames,) or voicing.shape != (n_frames,):
            raise ValueError(f"{f0_hz.shape} and {voicing.shape} instead of {n_frames} frames")
        return Pitch(torch.from_numpy(f0_hz).float(), torch.from_numpy(voicing).float())
    except FileNotFoundError:
        return None
    except (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError) as error:
        message = f"{path} is corrupt ({error}): computed again"
        warnings.warn(message, VocoderWarning, stacklevel=3)
        return None
    except OSError as error:
        raise PitchError(f"{path} cannot be read ({error}): choose another cache folder") from error


def _write_cache(path: Path, pitch: Pitch) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            temporary = Path(file.name)
            try:
                np.savez(file, f0_hz=pitch.f0_hz.numpy(), voicing=pitch.voicing.numpy())
                file.close()
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise PitchError(
            f"{path}: cannot be written ({error.strerror or error}); free space, or choose another "
            "cache folder"
        ) from error


def _check_waveform(waveform: Tensor) -> None:
    if waveform.ndim != 1:
        raise PitchError(f"pitch is of one waveform (samples,), not {tuple(waveform.shape)}")
    if not waveform.is_floating_point():
        raise PitchError(f"the waveform has the type {waveform.dtype}: use floats in [-1, 1]")
    if len(waveform) == 0:
        raise PitchError("the waveform is empty: pitch needs at least one sample")
    if not bool(torch.isfinite(waveform).all()):
        sample = int((~torch.isfinite(waveform)).nonzero()[0, 0])
        raise PitchError(f"the waveform has NaN or infinite values, the first at sample {sample}")
