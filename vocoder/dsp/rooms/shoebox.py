"""The impulse response of a rectangular room by the image method.

Each wall mirrors the source; the mirrored rooms mirror it again. The response is the sum of all
these images in free space: delayed by their distance, attenuated by distance and by every wall
passed. Axes are those of the room's edges, with one corner at zero; lengths are in metres.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

_HALF_WIDTH = 40
"""Samples to either side over which an image between two samples is spread."""

_BLOCK_ELEMENTS = 4_000_000
"""Image taps computed at a time; bounds the memory for high orders."""


def room_response(
    room_m: Float[Tensor, "batch 3"],
    source_m: Float[Tensor, "batch 3"],
    microphone_m: Float[Tensor, "batch 3"],
    absorption: Float[Tensor, "batch 3 2"],
    sample_rate: int,
    n_taps: int,
    max_order: int,
    speed_of_sound: float = 343.0,
) -> Float[Tensor, "batch taps"]:
    """Sound pressure at the microphone after a unit impulse at the source.

        h[n] = Σ_i g_i / (4π d_i) · w(n - τ_i) sinc(n - τ_i),   τ_i = d_i sample_rate / c

    over all images after at most ``max_order`` reflections, about ``4/3 max_order³`` of them, with
    d_i the image's distance, ``g_i = Π (1 - α)^{1/2}`` over the walls it was mirrored by, and w a
    Hann window of 80 samples. Sample 0 is the time of the impulse; earlier samples, of a source
    less than 40 samples away, are cut off, as are those after ``n_taps``. Differentiable in all
    sizes, positions and absorptions below one.

    All images are positive, so the response below 100 Hz is too strong: high-pass it where that
    matters, as in the paper.

    Args:
        room_m: lengths of the three edges.
        absorption: fraction of energy, 0 … 1, absorbed by the wall at zero and the opposite one.
        max_order: reflections counted. The response is complete until sound has crossed the
            shortest edge ``(max_order - 2) / √3`` times, but for the spread of later images.

    Raises:
        ValueError: a source or microphone that is not inside the room, both in one place, or an
            absorption outside 0 … 1.

    Source: J. Allen and D. Berkley, "Image method for efficiently simulating small-room acoustics",
    JASA 65, 1979; the windowed sinc after P. Peterson, JASA 80, 1986.

    >>> size = torch.tensor([[5.0, 4.0, 3.0]])
    >>> source, microphone = torch.tensor([[1.0, 2.0, 1.5]]), torch.tensor([[4.43, 2.0, 1.5]])
    >>> direct = room_response(size, source, microphone, torch.ones(1, 3, 2), 16000, 200, 1)
    >>> direct.argmax().item(), round((direct.max() * 4 * torch.pi * 3.43).item(), 3)
    (160, 1.0)
    """
    _check(room_m, source_m, microphone_m, absorption)
    cells, hits = _images(max_order, room_m.device)
    # Double precision: at a distance of a thousand samples, single leaves under three fractional
    # digits.
    size, place = room_m.double()[:, None], source_m.double()[:, None]
    odd = cells % 2
    images = (cells + odd) * size + (1 - 2 * odd) * place
    distance = torch.linalg.vector_norm(images - microphone_m.double()[:, None], dim=-1)
    passed = (1 - absorption.double())[:, None] ** (0.5 * hits)
    gain = passed.flatten(2).prod(dim=-1) / (4 * math.pi * distance)
    delay = distance * (sample_rate / speed_of_sound)
    response = room_m.new_zeros(room_m.shape[0], n_taps + 1)
    block = max(1, _BLOCK_ELEMENTS // (2 * _HALF_WIDTH * room_m.shape[0]))
    for late, strong in zip(delay.split(block, dim=1), gain.split(block, dim=1), strict=True):
        position, taps = _fractional(late, strong, n_taps)
        response = response.scatter_add(1, position, taps.to(response.dtype))
    return response[:, :n_taps]


def _check(room: Tensor, source: Tensor, microphone: Tensor, absorption: Tensor) -> None:
    for name, place in (("source", source), ("microphone", microphone)):
        if not bool(((place > 0) & (place < room)).all()):
            raise ValueError(
                f"a {name} at {place.tolist()} m is not inside its room of {room.tolist()} m: "
                "count from a corner, along the edges"
            )
    if bool((source == microphone).all(dim=1).any()):
        raise ValueError("the sound at its own source is infinitely loud: move the microphone")
    if not bool(((absorption >= 0) & (absorption <= 1)).all()):
        raise ValueError(
            f"absorptions from {absorption.min().item():.3g} to {absorption.max().item():.3g}: "
            "a wall takes a share of the energy between 0 and 1"
        )


def _images(
    max_order: int, device: torch.device
) -> tuple[Int[Tensor, "images 3"], Float[Tensor, "images 3 2"]]:
    """Index of the mirrored room along each axis, and the number of reflections at each wall.

    A room ``k`` away is reached by ``|k|`` reflections. The two walls of an axis alternate, to the
    right beginning with the far wall and to the left with the wall at zero.
    """
    line = torch.arange(-max_order, max_order + 1, device=device)
    cells = torch.cartesian_prod(line, line, line)
    cells = cells[cells.abs().sum(dim=1) <= max_order]
    half, odd = cells.abs() // 2, cells % 2
    zero, far = half + odd * (cells < 0), half + odd * (cells > 0)
    return cells, torch.stack([zero, far], dim=-1).double()


def _fractional(
    delay: Float[Tensor, "batch images"], gain: Float[Tensor, "batch images"], n_taps: int
) -> tuple[Int[Tensor, "batch taps"], Float[Tensor, "batch taps"]]:
    """Windowed sincs and their sample indices; index ``n_taps`` collects all samples outside."""
    whole = delay.detach().floor().long()
    offset = torch.arange(1 - _HALF_WIDTH, _HALF_WIDTH + 1, device=delay.device)
    position = whole[..., None] + offset
    x = position - delay[..., None]
    taps = gain[..., None] * torch.sinc(x) * torch.cos((0.5 * math.pi / _HALF_WIDTH) * x).square()
    inside = (position >= 0) & (position < n_taps)
    return torch.where(inside, position, n_taps).flatten(1), taps.flatten(1)
