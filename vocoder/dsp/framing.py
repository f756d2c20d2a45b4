"""The one place where frames and samples are aligned.

A signal of ``frames`` frames has exactly ``frames * hop_length`` samples. A frame-wise control may
be centred on the first sample of its frame (``center_offset = 0``) or on its middle
(``center_offset = hop_length / 2``), as the mel it was computed from was.
"""

import torch
from jaxtyping import Float
from torch import Tensor


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
    """Straight lines through values given every ``hop_length`` samples; the last value is the end
    of the last line and is not itself a sample.

    >>> interpolate_linear(torch.tensor([[0.0, 4.0, 0.0]]), 4).tolist()
    [[0.0, 1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0]]
    """
    start, step = boundaries[:, :-1, None], boundaries.diff(dim=1)[:, :, None]
    ramp = torch.arange(hop_length, dtype=boundaries.dtype, device=boundaries.device) / hop_length
    return (start + step * ramp).flatten(1)


def hold_ends(
    frames: Float[Tensor, "batch frames channels"], left: int, right: int
) -> Float[Tensor, "batch padded_frames channels"]:
    """Repeat the first frame ``left`` times before and the last one ``right`` times after.

    >>> hold_ends(torch.tensor([[[1.0], [2.0]]]), 1, 2).flatten().tolist()
    [1.0, 1.0, 2.0, 2.0, 2.0]
    """
    first = frames[:, :1].expand(-1, left, -1)
    last = frames[:, -1:].expand(-1, right, -1)
    return torch.cat([first, frames, last], dim=1)


def overlap_add(
    frames: Float[Tensor, "batch frames window"], hop_length: int
) -> Float[Tensor, "batch samples"]:
    """Sum of frames, each laid ``hop_length`` samples after the one before.

    ``samples = (frames - 1) * hop_length + window``; the window is a multiple of the hop. Written
    with as many shifted additions as windows overlap, which is faster than ``fold`` and exports.

    >>> overlap_add(torch.ones(1, 3, 4), 2).tolist()
    [[1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0]]
    """
    batch, n_frames, window = frames.shape
    overlap, remainder = divmod(window, hop_length)
    if remainder:
        raise ValueError(f"window of {window} samples is no multiple of the hop of {hop_length}")
    blocks = frames.reshape(batch, n_frames, overlap, hop_length)
    total = torch.zeros(
        batch, n_frames + overlap - 1, hop_length, dtype=frames.dtype, device=frames.device
    )
    for shift in range(overlap):
        total[:, shift : shift + n_frames] += blocks[:, :, shift]
    return total.flatten(1)


def fit_length(waveform: Float[Tensor, "batch samples"], n_samples: int) -> Tensor:
    """Crop at the end, or extend with zeros, to ``n_samples``.

    >>> fit_length(torch.ones(1, 2), 3).tolist()
    [[1.0, 1.0, 0.0]]
    """
    missing = n_samples - waveform.shape[-1]
    return torch.nn.functional.pad(waveform, (0, missing))
