"""Alignment of frames and samples.

A signal of ``frames`` frames has exactly ``frames * hop_length`` samples. A frame-wise control may
be centred on the first sample of its frame (``center_offset = 0``) or on its middle
(``center_offset = hop_length / 2``), as the mel it was computed from was.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad


@lru_cache(maxsize=256)
def hann_window(length: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, " length"]:
    """``½ - ½ cos(2π n / length)``, the periodic window, computed in float64 and remembered: not to
    be changed in place.

    >>> hann_window(4, torch.float32, torch.device("cpu")).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    # A cached tensor created in inference mode could not be used in training.
    with torch.inference_mode(False):
        return torch.hann_window(length, dtype=torch.float64).to(device, dtype)


def boundary_values(
    values: Float[Tensor, "batch frames"], hop_length: int, center_offset: int
) -> Float[Tensor, "batch frames_plus_one"]:
    """Values of a frame-wise control at the sample positions ``0, hop, …, frames * hop``.

    Linear interpolation between frame centres at ``t * hop_length + center_offset``; the first and
    last values are held beyond the ends.

    >>> boundary_values(torch.tensor([[1.0, 3.0]]), 4, 0).tolist()
    [[1.0, 3.0, 3.0]]
    >>> boundary_values(torch.tensor([[1.0, 3.0]]), 4, 2).tolist()
    [[1.0, 2.0, 3.0]]
    """
    before = torch.cat([values[:, :1], values], dim=1)
    after = torch.cat([values, values[:, -1:]], dim=1)
    return torch.lerp(after, before, center_offset / hop_length)


def interpolate_linear(
    boundaries: Float[Tensor, "batch frames_plus_one"], hop_length: int
) -> Float[Tensor, "batch samples"]:
    """Linear interpolation of values given every ``hop_length`` samples; the last value ends the
    last segment and is not itself a sample.

    >>> interpolate_linear(torch.tensor([[0.0, 4.0, 0.0]]), 4).tolist()
    [[0.0, 1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0]]
    """
    start, step = boundaries[:, :-1, None], boundaries.diff(dim=1)[:, :, None]
    ramp = torch.arange(hop_length, dtype=boundaries.dtype, device=boundaries.device) / hop_length
    return (start + step * ramp).flatten(1)


def interpolate_hold(
    values: Float[Tensor, "batch frames"], hop_length: int
) -> Float[Tensor, "batch samples"]:
    """Every value of a frame-wise control, repeated for the ``hop_length`` samples of its frame.

    >>> interpolate_hold(torch.tensor([[1.0, 3.0]]), 2).tolist()
    [[1.0, 1.0, 3.0, 3.0]]
    """
    return values.repeat_interleave(hop_length, dim=1)


def interpolate_cubic(
    boundaries: Float[Tensor, "batch frames_plus_one"], hop_length: int
) -> Float[Tensor, "batch samples"]:
    """Cubic interpolation of values given every ``hop_length`` samples, with a continuous slope:
    Catmull-Rom splines.

    The slope at a boundary is ``(p_{t+1} - p_{t-1}) / 2`` per hop, at the two ends that of the line
    to the neighbour. With ``u`` from 0 to 1 between two boundaries and slopes m,

        p = (2u³ - 3u² + 1) p_t + (3u² - 2u³) p_{t+1} + (u³ - 2u² + u) m_t + (u³ - u²) m_{t+1}

    Parabolas are reproduced exactly; a step is overshot by up to 2/27 of its height. A frame
    depends on one boundary beyond either of its own.

    Source: E. Catmull and R. Rom, "A class of local interpolating splines", 1974.

    >>> interpolate_cubic(torch.tensor([[0.0, 0.0, 4.0, 4.0]]), 2).tolist()
    [[0.0, -0.25, 0.0, 2.0, 4.0, 4.25]]
    """
    step = boundaries.diff(dim=1)
    slope = 0.5 * (torch.cat([step[:, :1], step], dim=1) + torch.cat([step, step[:, -1:]], dim=1))
    u = torch.arange(hop_length, dtype=boundaries.dtype, device=boundaries.device) / hop_length
    rise = u * u * (3 - 2 * u)
    leave, arrive = u * (1 - u) * (1 - u), u * u * (u - 1)
    start = boundaries[:, :-1, None]
    curves = start + step[:, :, None] * rise
    curves = curves + slope[:, :-1, None] * leave + slope[:, 1:, None] * arrive
    return curves.flatten(1)


def interpolate_windows(
    boundaries: Float[Tensor, "batch frames_plus_one"], hop_length: int
) -> Float[Tensor, "batch samples"]:
    """Overlap-added Hann windows, two hops wide, weighted by values given every ``hop_length``
    samples: ``y[n] = Σ_t p_t cos²(π (n - t hop) / (2 hop))`` over the two nearest.

    Neighbouring windows add up to one, so that the curve between two values is half a cosine: it
    never overshoots, and its slope is zero at every value.

    Source: J. Engel et al., DDSP, arXiv 2001.04643, for smoothing amplitudes.

    >>> interpolate_windows(torch.tensor([[0.0, 4.0, 0.0]]), 2).tolist()
    [[0.0, 2.0, 4.0, 2.0]]
    """
    start, step = boundaries[:, :-1, None], boundaries.diff(dim=1)[:, :, None]
    place = torch.arange(hop_length, dtype=torch.float64, device=boundaries.device) / hop_length
    rise = (0.5 - 0.5 * torch.cos(math.pi * place)).to(boundaries.dtype)
    return (start + step * rise).flatten(1)


def hold_ends(
    frames: Float[Tensor, "batch frames *rest"], left: int, right: int
) -> Float[Tensor, "batch padded_frames *rest"]:
    """Repeat the first frame ``left`` times before and the last one ``right`` times after.

    >>> hold_ends(torch.tensor([[1.0, 2.0]]), 1, 2).tolist()
    [[1.0, 1.0, 2.0, 2.0, 2.0]]
    """
    first = frames[:, :1].expand(-1, left, *frames.shape[2:])
    last = frames[:, -1:].expand(-1, right, *frames.shape[2:])
    return torch.cat([first, frames, last], dim=1)


def overlap_add(
    frames: Float[Tensor, "batch frames window"], hop_length: int
) -> Float[Tensor, "batch samples"]:
    """Sum of frames, each shifted by ``hop_length`` samples from the previous one.

    ``samples = (frames - 1) * hop_length + window``; the window is a multiple of the hop.
    Implemented as shifted additions, one per overlapping window, which are faster than ``fold`` and
    can be exported.

    >>> overlap_add(torch.ones(1, 3, 4), 2).tolist()
    [[1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0]]
    """
    batch, n_frames, window = frames.shape
    overlap, remainder = divmod(window, hop_length)
    if remainder:
        raise ValueError(f"window of {window} samples is no multiple of the hop of {hop_length}")
    if n_frames == 1:
        return frames[:, 0]
    blocks = frames.reshape(batch, n_frames, overlap, hop_length)
    others = overlap - 1
    blocks, total_frames = pad(blocks, (0, 0, 0, 0, others, others)), n_frames + others
    total = blocks[:, others:, 0]
    for shift in range(1, overlap):
        start = others - shift
        total = total + blocks[:, start : start + total_frames, shift]
    return total.flatten(1)


def fit_length(waveform: Float[Tensor, "batch samples"], n_samples: int) -> Tensor:
    """Crop at the end, or extend with zeros, to ``n_samples``.

    >>> fit_length(torch.ones(1, 2), 3).tolist()
    [[1.0, 1.0, 0.0]]
    """
    missing = n_samples - waveform.shape[-1]
    return pad(waveform, (0, missing))
