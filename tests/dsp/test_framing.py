"""Frames and samples: every position against NumPy's interpolation and slow loops."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from tests.oracles import dsp as oracle
from vocoder.dsp.framing import (
    boundary_values,
    fit_length,
    hold_ends,
    interpolate_linear,
    overlap_add,
)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("hop", [4, 5, 256])
def test_boundary_values_lie_on_the_lines_between_frame_centres(hop):
    for centred in ["on the boundary", "between boundaries"]:
        for frames in [1, 2, 9]:
            offset = 0 if centred == "on the boundary" else hop // 2
            values = random(2, frames)
            found = boundary_values(values, hop, offset)
            positions = np.arange(frames + 1) * hop
            for row, expected in zip(found, values, strict=True):
                np.testing.assert_allclose(
                    row, oracle.at_positions(expected.numpy(), hop, offset, positions), atol=1e-12
                )


@pytest.mark.parametrize("hop", [4, 5, 256])
def test_samples_lie_on_the_lines_between_frame_centres(hop):
    # With frames on the boundaries, the two functions in a row are one interpolation.
    values = random(2, 9)
    found = interpolate_linear(boundary_values(values, hop, 0), hop)
    positions = np.arange(9 * hop)
    for row, expected in zip(found, values, strict=True):
        np.testing.assert_allclose(
            row, oracle.at_positions(expected.numpy(), hop, 0, positions), atol=1e-12
        )


@pytest.mark.parametrize("hop", [1, 3, 256])
def test_lines_between_boundaries(hop):
    boundaries = random(2, 8)
    found = interpolate_linear(boundaries, hop)
    for row, expected in zip(found, boundaries, strict=True):
        np.testing.assert_allclose(row, oracle.line_samples(expected.numpy(), hop), atol=1e-12)


def test_a_straight_line_stays_one_wherever_frames_are_centred():
    for offset in (0, 3, 5):
        centres = (torch.arange(10) * 10 + offset).double()
        line = interpolate_linear(boundary_values(centres[None], 10, offset), 10)[0]
        torch.testing.assert_close(line[10:-10], torch.arange(10, 90).double())


@pytest.mark.parametrize(("window", "hop"), [(4, 4), (8, 4), (12, 3), (512, 128)])
def test_overlap_add_is_a_loop_over_frames(window, hop):
    for count in [1, 2, 7]:
        frames = random(2, count, window)
        found = overlap_add(frames, hop)
        for row, expected in zip(found, frames, strict=True):
            np.testing.assert_allclose(row, oracle.overlap_add(expected.numpy(), hop), atol=1e-12)


def test_overlap_add_refuses_a_window_that_is_no_multiple_of_the_hop():
    with pytest.raises(ValueError, match="window of 6 samples is no multiple of the hop of 4"):
        overlap_add(torch.zeros(1, 2, 6), 4)


@pytest.mark.parametrize("rest", [(), (4,), (2, 5)])
def test_ends_are_held(rest):
    frames = random(2, 3, *rest)
    found = hold_ends(frames, 2, 1)
    expected = np.pad(frames.numpy(), ((0, 0), (2, 1), *[(0, 0)] * len(rest)), mode="edge")
    np.testing.assert_array_equal(found, expected)


def test_lengths_are_fitted_at_the_end():
    signal = random(2, 5)
    assert torch.equal(fit_length(signal, 3), signal[:, :3])
    longer = fit_length(signal, 7)
    assert torch.equal(longer[:, :5], signal)
    assert not longer[:, 5:].any()


def test_gradients():
    values = random(2, 4).requires_grad_()
    assert gradcheck(lambda v: boundary_values(v, 6, 3), values)
    assert gradcheck(lambda v: interpolate_linear(v, 3), values)
    frames = random(2, 3, 6, seed=1).requires_grad_()
    assert gradcheck(lambda f: overlap_add(f, 2), frames)
    assert gradcheck(lambda f: hold_ends(f, 1, 2), frames)


def test_dtypes_agree():
    values, frames = random(2, 20), random(2, 20, 64)
    for function in (
        lambda v: interpolate_linear(boundary_values(v, 80, 40), 80),
        lambda v: boundary_values(v, 80, 40),
    ):
        torch.testing.assert_close(
            function(values.float()).double(), function(values), atol=1e-6, rtol=0
        )
    single = overlap_add(frames.float(), 16)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), overlap_add(frames, 16), atol=2e-6, rtol=0)
