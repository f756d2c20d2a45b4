"""Spectrograms, spectrogram differences and F0 tracks of the page."""

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import uniform_filter

from vocoder.evaluation.figures import HOP_S as PICTURE_HOP_S
from vocoder.evaluation.figures import RANGE_DB, WINDOW_S, levels_db
from vocoder.metrics.f0 import F0_MAX_HZ, F0_MIN_HZ, HOP_S, pitch_track
from vocoder.report.png import difference_palette, encode_png, level_palette, shade

DIFFERENCE_DB = 20.0
_SMOOTH_BINS = 3
_SMOOTH_FRAMES = 5
_MOST_ROWS = 256
_MOST_COLUMNS = 1200
_F0_MARGIN = 1.08

CONVENTIONS = (
    f"Spectrograms: {1000 * WINDOW_S:g} ms Hann windows, from {RANGE_DB:g} dB below the "
    "recording's loudest point up to it; the same colour is the same level in all systems",
    f"Differences: level of the system minus level of the recording, −{DIFFERENCE_DB:g} dB blue, "
    f"0 dB dark, +{DIFFERENCE_DB:g} dB orange; powers averaged over {_SMOOTH_BINS} bins and "
    f"{1000 * _SMOOTH_FRAMES * PICTURE_HOP_S:g} ms before; levels more than {RANGE_DB:g} dB below "
    "the loudest point count as equal",
    f"F0 over the spectrograms: Praat, {F0_MIN_HZ:g}–{F0_MAX_HZ:g} Hz, every {1000 * HOP_S:g} ms, "
    "as the F0 metrics track it; the recording's own dashed",
)
"""Descriptions of the pictures, one phrase each."""


def powers(
    waveform: Float[torch.Tensor, " samples"], sample_rate: int
) -> Float[np.ndarray, "bins frames"]:
    """The spectrogram of `figures.levels_db` as powers; 1 for a full-scale sine."""
    return np.asarray(10 ** (levels_db(waveform, sample_rate) / 10))


def spectrogram_png(spectrogram: Float[np.ndarray, "bins frames"], loudest: float) -> bytes:
    """Levels from 90 dB below the power `loudest` up to it; at most 256 rows and 1200 columns.

    The picture spans 0 to Nyquist from bottom to top, and the whole signal from left to right.
    """
    levels = 10 * np.log10(_pooled(spectrogram) / loudest)
    return encode_png(shade(levels, -RANGE_DB, 0)[::-1], level_palette())


def difference_png(
    recording: Float[np.ndarray, "bins frames"],
    estimate: Float[np.ndarray, "bins frames"],
    loudest: float,
) -> bytes:
    """Level of the estimate minus that of the recording, in dB, from -20 to +20.

    The powers of both are first averaged over three bins and five frames: two noises of equal level
    differ by some 8 dB from point to point. Levels more than 90 dB below the power `loudest` count
    as that floor.
    """
    floor = loudest * 10 ** (-RANGE_DB / 10)
    first, second = (10 * np.log10(np.maximum(_smooth(x), floor)) for x in (recording, estimate))
    pixels = shade(_pooled(second - first), -DIFFERENCE_DB, DIFFERENCE_DB)
    return encode_png(pixels[::-1], difference_palette())


def f0_track(
    waveform: Float[torch.Tensor, " samples"], sample_rate: int
) -> Float[np.ndarray, " frames"]:
    """F0 in Hz every 10 ms from 0 s on, NaN where unvoiced: the track that the metrics compare."""
    pitch = pitch_track(waveform, sample_rate)
    return np.where(pitch.voicing.numpy() > 0.5, pitch.f0_hz.numpy(), np.nan)


def f0_range(tracks: list[Float[np.ndarray, " frames"]]) -> tuple[float, float] | None:
    """F0 range of all tracks with a margin; None without voiced frames."""
    voiced = np.concatenate([track[np.isfinite(track)] for track in tracks] or [np.zeros(0)])
    if len(voiced) == 0:
        return None
    return float(voiced.min()) / _F0_MARGIN, float(voiced.max()) * _F0_MARGIN


def f0_svg(
    track: Float[np.ndarray, " frames"],
    recording: Float[np.ndarray, " recording_frames"] | None,
    span_hz: tuple[float, float],
    duration_s: float,
) -> str:
    """A track over the recording's own, on a logarithmic axis, to lie over a spectrogram.

    Args:
        track: from `f0_track`.
        recording: the recording's track, drawn dashed below; None for the recording itself.
        span_hz: F0 at the lower and the upper edge.
        duration_s: time span of the width.
    """
    below = "" if recording is None else (
        f'<path d="{_path(recording, span_hz, duration_s)}" stroke="#fff" stroke-width="1.5" '
        'stroke-dasharray="3 3"/>'
    )  # fmt: skip
    path = _path(track, span_hz, duration_s)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 100" '
        'preserveAspectRatio="none"><style>path{fill:none;stroke-linecap:round;'
        "stroke-linejoin:round;vector-effect:non-scaling-stroke}</style>"
        f'<path d="{path}" stroke="#000" stroke-opacity=".6" stroke-width="4"/>{below}'
        f'<path d="{path}" stroke="#5ff" stroke-width="1.75"/></svg>'
    )


def _path(
    track: Float[np.ndarray, " frames"], span_hz: tuple[float, float], duration_s: float
) -> str:
    """SVG path data of the voiced segments, in a box of 1000 × 100."""
    low, high = span_hz
    path, drawing = [], False
    for frame, f0_hz in enumerate(track):
        if math.isnan(f0_hz):
            drawing = False
            continue
        x = 1000 * min(frame * HOP_S / duration_s, 1.0)
        y = 100 * (1 - math.log(f0_hz / low) / math.log(high / low))
        # Single points are drawn as lines of zero length with round ends.
        path.append(f"{'L' if drawing else 'M'}{x:.1f} {y:.1f}{'' if drawing else 'h0'}")
        drawing = True
    return "".join(path)


def _smooth(spectrogram: Float[np.ndarray, "bins frames"]) -> Float[np.ndarray, "bins frames"]:
    size = (_SMOOTH_BINS, _SMOOTH_FRAMES)
    return np.asarray(uniform_filter(spectrogram, size, mode="nearest"))


def _pooled(values: Float[np.ndarray, "bins frames"]) -> Float[np.ndarray, "rows columns"]:
    """Means over blocks, reduced to screen resolution, without the Nyquist bin."""
    values = values[:-1]
    for axis, most in ((0, _MOST_ROWS), (1, _MOST_COLUMNS)):
        length = values.shape[axis]
        starts = np.arange(0, length, math.ceil(length / most))
        sizes = np.diff(starts, append=length)
        sums = np.add.reduceat(values, starts, axis=axis)
        values = sums / (sizes[:, None] if axis == 0 else sizes)
    return values
