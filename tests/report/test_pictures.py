"""The pictures of a report, against signals whose picture is known."""

import io
import re

import matplotlib.image
import numpy as np
import pytest
import torch

from tests.metrics.golden import RATE, speech_like
from vocoder.metrics.f0 import pitch_track
from vocoder.report.pictures import (
    DIFFERENCE_DB,
    difference_png,
    f0_range,
    f0_svg,
    f0_track,
    powers,
    spectrogram_png,
)
from vocoder.report.png import (
    SHADES,
    difference_palette,
    encode_png,
    level_palette,
    shade,
)


def decoded(png: bytes) -> np.ndarray:
    """Colours (rows, columns, 3), 0 to 255, as another program reads them."""
    picture = matplotlib.image.imread(io.BytesIO(png), format="png")
    return np.round(255 * picture[..., :3]).astype(int)


def speech() -> torch.Tensor:
    return torch.from_numpy(speech_like())


def tone(frequency_hz: float, seconds: float = 2.0, rate: int = RATE) -> torch.Tensor:
    time_s = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return (0.5 * torch.sin(2 * torch.pi * frequency_hz * time_s)).float()


def test_a_png_holds_exactly_the_colours_that_went_in():
    generator = np.random.default_rng(0)
    pixels = generator.integers(SHADES, size=(37, 53)).astype(np.uint8)
    palette = level_palette()
    assert (decoded(encode_png(pixels, palette)) == palette[pixels]).all()


def test_shades_cover_their_range_evenly_and_clip_beyond_it():
    steps = shade(np.linspace(-10, 10, SHADES * 100)[None], -10, 10)
    assert (np.bincount(steps[0]) == 100).all()
    assert shade(np.array([[-99.0, 99.0]]), -10, 10).tolist() == [[0, SHADES - 1]]


def test_the_palettes_can_be_told_apart_by_lightness():
    weights = np.array([0.2126, 0.7152, 0.0722])
    level = level_palette() @ weights
    assert (np.diff(level) > 0).all()
    difference = difference_palette() @ weights
    middle = SHADES // 2
    assert (np.diff(difference[: middle - 1]) < 0).all()
    assert (np.diff(difference[middle + 1 :]) > 0).all()


def test_a_tone_is_the_brightest_row_at_its_height():
    spectrogram = powers(tone(6000), RATE)
    picture = decoded(spectrogram_png(spectrogram, float(spectrogram.max())))
    column = picture[:, picture.shape[1] // 2].sum(-1)
    assert 1 - int(column.argmax()) / len(column) == pytest.approx(6000 / 8000, abs=0.01)
    # Away from the clicks at both ends, nothing else is within 85 dB of it.
    assert picture[-20, 20:-20].sum(-1).max() <= level_palette()[4].sum()


@pytest.mark.parametrize(("rate", "seconds"), [(16000, 1.0), (16000, 60.0), (48000, 3.0)])
def test_pictures_are_no_larger_than_a_screen_needs(rate, seconds):
    noise = 0.1 * torch.randn(round(rate * seconds), generator=torch.Generator().manual_seed(0))
    spectrogram = powers(noise, rate)
    rows, columns, _ = decoded(spectrogram_png(spectrogram, float(spectrogram.max()))).shape
    assert 128 <= rows <= 256
    assert min(1200, 250 * seconds) / 2 <= columns <= 1200


def test_equal_signals_have_a_dark_difference():
    spectrogram = powers(speech(), RATE)
    picture = decoded(difference_png(spectrogram, spectrogram, float(spectrogram.max())))
    assert (picture == difference_palette()[SHADES // 2]).all()


@pytest.mark.parametrize("gain_db", [-10.0, 5.0])
def test_a_gain_is_seen_as_that_many_db(gain_db):
    quiet = powers(speech(), RATE)
    loud = powers(10 ** (gain_db / 20) * speech(), RATE)
    # Measured from high above, where no level falls below the floor: all differ by the gain.
    everywhere = decoded(difference_png(quiet, loud, 1e-7 * float(quiet.max())))
    step = 2 * DIFFERENCE_DB / SHADES
    nearest = [int((gain_db + d + DIFFERENCE_DB) / step) for d in (-0.01, 0.01)]
    palette = difference_palette()
    allowed = (everywhere == palette[nearest[0]]).all(-1) | (everywhere == palette[nearest[1]]).all(
        -1
    )
    assert allowed.mean() > 0.999
    # Where both are below the floor of the picture, silence is no difference.
    picture = decoded(difference_png(quiet, loud, 1e12 * float(quiet.max())))
    assert (picture == palette[SHADES // 2]).all()


def test_f0_is_the_track_of_the_metrics_and_gaps_stay_gaps():
    track = f0_track(speech(), RATE)
    voiced = np.isfinite(track)
    assert 0.4 < voiced.mean() < 0.9
    measured = pitch_track(speech(), RATE)
    np.testing.assert_array_equal(voiced, measured.voicing > 0.5)
    np.testing.assert_array_equal(track[voiced], measured.f0_hz[measured.voicing > 0.5])
    assert 100 < np.nanmedian(track) < 165
    span = f0_range([track])
    assert span is not None
    assert span[0] < np.nanmin(track) < np.nanmax(track) < span[1]
    assert f0_range([np.full(5, np.nan)]) is None
    path = re.findall(r' d="([^"]*)"', f0_svg(track, None, span, 3.0))[0]
    stretches = int((np.diff(np.concatenate([[0], voiced])) == 1).sum())
    assert path.count("M") == stretches
    assert path.count("M") + path.count("L") == voiced.sum()


def test_f0_stands_at_its_height_and_time_over_that_of_the_recording():
    recording = np.array([np.nan, 100.0, 100.0])
    track = np.array([np.nan, 200.0, 50.0])
    drawn = f0_svg(track, recording, (50.0, 200.0), 0.02)
    own, below, again = re.findall(r' d="([^"]*)"', drawn)
    assert own == again == "M500.0 0.0h0L1000.0 100.0"
    assert below == "M500.0 50.0h0L1000.0 50.0"
    assert drawn.count("dasharray") == 1
    assert f0_svg(track, None, (50.0, 200.0), 0.02).count("dasharray") == 0
