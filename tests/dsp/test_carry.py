"""Carry: pieces of any length give what the whole signal gives."""

import pytest
import torch
from torch import Tensor

from vocoder.dsp.carry import Carry, DualWindow, Grid
from vocoder.dsp.filters.spectral_filter import (
    short_time_spectrum,
    windowed_frames,
    windowed_spectrum,
)
from vocoder.dsp.framing import hold_ends, overlap_add

PIECES = pytest.mark.parametrize("piece", [7, 16, 33, 200])


def signal(samples: int = 200) -> Tensor:
    return torch.randn(2, samples, generator=torch.Generator().manual_seed(3)).double()


@PIECES
def test_a_spectrum_and_back_in_pieces_is_the_signal(piece):
    x, size, hop = signal(), 8, 2
    carry, out = Carry(), []
    for part in x.split(piece, dim=1):
        padded = carry.pad_ends("in", part, size - hop, 0)
        spectrum = windowed_spectrum(carry.span("in", padded, size, hop), size, hop)
        frames = windowed_frames(spectrum, size, hop)
        out.append(carry.overlap_add("out", frames, hop, size - hop))
    found = torch.cat(out, dim=1)
    # The last samples wait for windows that are still to come.
    assert x.shape[1] - found.shape[1] in range(size - hop, size)
    torch.testing.assert_close(found, x[:, : found.shape[1]])


@PIECES
def test_overlap_add_in_pieces_is_that_of_all_frames(piece):
    # A window of 5 samples is no multiple of the hop.
    frames = signal(200 * 5).view(2, 200, 5)
    carry = Carry()
    found = torch.cat(
        [carry.overlap_add("y", part, 2, 3) for part in frames.split(piece, dim=1)], dim=1
    )
    whole = overlap_add(torch.nn.functional.pad(frames, (0, 1)), 2)
    torch.testing.assert_close(found, whole[:, 3:400])
    torch.testing.assert_close(carry.tensors["y"], whole[:, 400:])


def test_a_whole_signal_is_extended_at_both_ends():
    x = signal(16)
    carry = Carry(whole=True)
    padded = carry.pad_ends("x", x, 6, 6)
    found = windowed_spectrum(carry.span("x", padded, 8, 2), 8, 2)
    torch.testing.assert_close(found, short_time_spectrum(x, 8, 2))
    values = x[:, :, None]
    torch.testing.assert_close(carry.hold_ends("v", values, 2, 3), hold_ends(values, 2, 3))
    mirrored = torch.cat([x[:, 1:3].flip(1), x, x[:, -2:-1]], dim=1)
    torch.testing.assert_close(carry.pad_ends("m", x, 2, 1, "reflect"), mirrored)


@PIECES
def test_a_queue_gives_values_in_order_and_keeps_the_rest(piece):
    x, carry, taken = signal(), Carry(), []
    waiting = 0
    for part in x.split(piece, dim=1):
        waiting += part.shape[1]
        count = max(waiting - 4, 0)
        window = carry.take("x", part, count, context=2)
        assert window.shape[1] == min(count + 2, waiting)
        taken.append(window[:, :count])
        waiting -= count
        assert carry.tensors["x"].shape[1] == waiting
    assert torch.equal(torch.cat(taken, dim=1), x[:, :-4])


@PIECES
def test_a_piece_that_ends_the_signal_brings_the_rest_of_it(piece):
    x, grid = signal(), Grid(2, 8, 4)
    window = DualWindow.of(torch.hann_window(8).double(), grid)
    carry, out = Carry(), []
    parts = x.split(piece, dim=1)
    for number, part in enumerate(parts):
        carry.ends = number == len(parts) - 1
        frames = carry.windows("in", part, grid) * (window.window * window.dual)
        out.append(carry.least_squares("out", frames, window))
    found = torch.cat(out, dim=1)
    assert found.shape == x.shape
    # Windows that would begin after the signal are missing from its last samples.
    torch.testing.assert_close(found[:, :-4], x[:, :-4])
