"""Smoothed mels: means over bands and frames, ends included."""

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from vocoder.features.smoothing import smooth_mel


@pytest.mark.parametrize(("bands", "frames"), [(1, 1), (3, 1), (1, 5), (5, 3)])
def test_the_mean_is_that_of_scipy(bands: int, frames: int):
    mel = torch.randn(2, 20, 31, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = [uniform_filter(one.numpy(), (bands, frames), mode="nearest") for one in mel]
    np.testing.assert_allclose(smooth_mel(mel, bands, frames), expected, atol=1e-12)


def test_what_is_smooth_stays():
    flat = torch.full((1, 100, 40), -3.0)
    torch.testing.assert_close(smooth_mel(flat, 5, 5), flat)


@pytest.mark.parametrize(("name", "count"), [("bands", 2), ("frames", 0)])
def test_even_numbers_have_no_middle(name: str, count: int):
    with pytest.raises(ValueError, match=f"{name} is {count}: an odd number"):
        smooth_mel(torch.zeros(1, 4, 4), **{name: count})
