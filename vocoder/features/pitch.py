"""F0 and voicing by Praat, aligned to the frames of a mel."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.errors import PitchError


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

    Frame t is analysed at sample t * hop_length + center_offset exactly: the waveform is extended
    with zeros at both ends by so much that Praat, which centres its frames in the sound, puts
    them there. Praat's window is three periods of `f0_min_hz` long.

    A waveform shorter than that window is unvoiced throughout, as is silence.

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
    return np.exp(np.interp(np.arange(len(raw_f0_hz)), voiced, np.log(raw_f0_hz[voiced])))


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


def _check_waveform(waveform: Tensor) -> None:
    if waveform.ndim != 1:
        raise PitchError(f"pitch is of one waveform (samples,), not {tuple(waveform.shape)}")
    if len(waveform) == 0:
        raise PitchError("the waveform is empty: pitch needs at least one sample")
    if not bool(torch.isfinite(waveform).all()):
        sample = int((~torch.isfinite(waveform)).nonzero()[0, 0])
        raise PitchError(f"the waveform has NaN or infinite values, the first at sample {sample}")
