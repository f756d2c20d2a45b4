"""Folding and cross-fading are the identity, and the roughness measure detects seams."""

import math

import pytest
import torch

from vocoder.dsp.seams import crossfade, fold_overlapping, seam_roughness_db

SIZES = pytest.mark.parametrize(("length", "overlap"), [(8, 2), (8, 4), (9, 1), (8, 0), (6, 3)])


@SIZES
def test_folding_and_fading_is_the_identity(length, overlap):
    for pieces in [1, 2, 5]:
        samples = pieces * (length - overlap) + overlap
        signal = torch.randn(2, samples, dtype=torch.float64)
        folded = fold_overlapping(signal[:, None], length, overlap)
        assert folded.shape == (2, pieces, 1, length)
        torch.testing.assert_close(crossfade(folded[:, :, 0], overlap), signal)


@SIZES
def test_a_constant_stays_one(length, overlap):
    faded = crossfade(torch.full((1, 4, length), 0.7, dtype=torch.float64), overlap)
    torch.testing.assert_close(faded, torch.full_like(faded, 0.7))


def test_each_piece_fades_symmetrically_and_fully():
    # One piece of ones between zeros shows its weights.
    pieces = torch.zeros(1, 3, 40, dtype=torch.float64)
    pieces[0, 1] = 1
    weight = crossfade(pieces, 16)[0, 24:64]
    torch.testing.assert_close(weight, weight.flip(0))
    assert (weight[16:24] == 1).all()
    assert (weight[:16].diff() > 0).all()
    assert weight[0] < 0.01
    # Independent noise keeps its power but for the dip: weights² sum to ½ in the middle.
    assert float(weight[7] ** 2 + (1 - weight[7]) ** 2) == pytest.approx(0.5, abs=0.01)


def test_no_three_pieces_meet():
    with pytest.raises(ValueError, match="more than half"):
        crossfade(torch.zeros(1, 3, 8), 5)
    with pytest.raises(ValueError, match="cannot overlap by 8"):
        crossfade(torch.zeros(1, 2, 8), 8)
    with pytest.raises(ValueError, match="extend them first"):
        fold_overlapping(torch.zeros(1, 1, 9), 8, 2)


def voiced(seconds: float = 2.0, rate: int = 16000) -> torch.Tensor:
    time = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    voice = sum(torch.sin(2 * math.pi * 120 * k * time + k) / k**1.5 for k in range(1, 30))
    return voice * (0.6 + 0.4 * torch.sin(2 * math.pi * 3 * time))


def test_roughness_tells_hard_cuts_from_cross_fades_and_from_nothing():
    signal, window = voiced(), 256
    length, overlap = 4000, 256
    other = torch.roll(signal, 67)
    rows = torch.stack([signal, other])

    def joined(overlap: int) -> tuple[torch.Tensor, torch.Tensor]:
        step = length - overlap
        count = (signal.shape[0] - overlap) // step
        pieces = torch.stack([rows[k % 2, k * step : k * step + length] for k in range(count)])
        return crossfade(pieces[None], overlap)[0], torch.arange(1, count) * step + overlap / 2

    cut, cuts = joined(0)
    faded, fades = joined(overlap)
    assert seam_roughness_db(cut, cuts, window) > 10
    assert abs(seam_roughness_db(faded, fades, window)) < 4
    assert abs(seam_roughness_db(signal, cuts, window)) < 1.5
    # Independent of level.
    assert seam_roughness_db(0.01 * cut, cuts, window) == pytest.approx(
        seam_roughness_db(cut, cuts, window)
    )


def test_roughness_of_silence_is_unknown():
    assert math.isnan(seam_roughness_db(torch.zeros(1000), torch.tensor([500.0]), 100))
    assert math.isnan(seam_roughness_db(torch.ones(1000), torch.tensor([]), 100))
