"""Signal validation, resampling and the 7 kHz filter."""

import numpy as np
import pytest
import torch

from tests.metrics.golden import RATE, speech_like
from vocoder.errors import AudioError
from vocoder.metrics.signals import checked_pair, lowpass_7k, resample

GOOD = speech_like()


def test_checked_pair_gives_float32():
    a, b = checked_pair(GOOD.astype(np.float64), torch.from_numpy(GOOD).half(), RATE)
    assert a.dtype == b.dtype == torch.float32


def test_resampling_keeps_a_tone():
    time_s = torch.arange(44100) / 44100
    tone = resample(torch.sin(2 * torch.pi * 1000 * time_s), 44100, RATE)
    expected = torch.sin(2 * torch.pi * 1000 * torch.arange(RATE) / RATE)
    assert tone.shape == (RATE,)
    assert (tone - expected)[500:-500].abs().max() < 1e-3


def test_too_few_samples_to_resample_are_refused():
    with pytest.raises(AudioError, match="1 samples are too few"):
        resample(torch.ones(1), 48000, 16000)


@pytest.mark.parametrize("rate", [16000, 24000, 44100])
def test_lowpass_passes_below_and_stops_above_7_khz(rate):
    for frequency_hz, gain_db, tolerance_db in [
        (100, 0, 0.01),
        (6800, 0, 0.01),
        (7000, -6.02, 0.3),
        (7200, -100, None),
        (7900, -100, None),
    ]:
        time_s = torch.arange(rate, dtype=torch.float64) / rate
        tone = torch.sin(2 * torch.pi * frequency_hz * time_s).float()
        middle = slice(rate // 4, 3 * rate // 4)
        level_db = 10 * torch.log10(
            lowpass_7k(tone, rate)[middle].square().mean() / tone[middle].square().mean()
        )
        if tolerance_db is None:
            assert level_db < gain_db + 3
        else:
            assert level_db == pytest.approx(gain_db, abs=tolerance_db)


def test_lowpass_does_not_delay_or_shorten():
    click = torch.zeros(4001)
    click[1500] = 1.0
    filtered = lowpass_7k(click, RATE)
    assert filtered.shape == click.shape
    assert int(filtered.argmax()) == 1500
    torch.testing.assert_close(filtered[1400:1500].flip(0), filtered[1501:1601])


def test_lowpass_at_a_rate_without_that_band_is_refused():
    with pytest.raises(AudioError, match="nothing above 7 kHz"):
        lowpass_7k(GOOD, 8000)
