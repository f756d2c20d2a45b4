"""The anchors' filters against the standard's mask, and loudness against the standard's numbers."""

import math

import numpy as np
import pytest

from tests.listening.material import RATE, speech
from vocoder.errors import AudioError
from vocoder.listening.anchors import LOW_ANCHOR_HZ, MID_ANCHOR_HZ, anchor
from vocoder.listening.loudness import loudness_lufs


def response_db(cutoff_hz: float, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz, and what `anchor` does to an impulse in the middle of a second there."""
    impulse = np.zeros(rate)
    impulse[rate // 2] = 1.0
    spectrum = np.fft.rfft(anchor(impulse, rate, cutoff_hz))
    return np.fft.rfftfreq(rate, 1 / rate), 20 * np.log10(np.abs(spectrum) + 1e-12)


@pytest.mark.parametrize("rate", [16000, 22050, 24000, 44100, 48000])
def test_the_low_anchor_is_within_the_mask_of_the_standard(rate):
    frequency_hz, gain_db = response_db(LOW_ANCHOR_HZ, rate)
    assert np.abs(gain_db[frequency_hz <= 3500]).max() < 0.1
    assert gain_db[frequency_hz >= 4000].max() < -25
    assert gain_db[frequency_hz >= 4500].max() < -50


@pytest.mark.parametrize("rate", [16000, 22050, 24000, 44100, 48000])
def test_the_mid_anchor_is_within_the_same_mask_in_proportion(rate):
    frequency_hz, gain_db = response_db(MID_ANCHOR_HZ, rate)
    assert np.abs(gain_db[frequency_hz <= 7000]).max() < 0.1
    assert gain_db[frequency_hz >= 8000].max() < -25
    assert gain_db[frequency_hz >= 9000].max(initial=-math.inf) < -50


def test_an_anchor_of_speech_is_undelayed_and_lacks_only_what_lies_above():
    clean = speech()
    low = anchor(clean, RATE, LOW_ANCHOR_HZ)
    assert low.shape == clean.shape
    lags = np.arange(-20, 21)
    correlation = [np.dot(clean[20:-20], np.roll(low, lag)[20:-20]) for lag in lags]
    assert lags[np.argmax(correlation)] == 0
    window = np.hanning(len(clean))
    frequency_hz = np.fft.rfftfreq(len(clean), 1 / RATE)
    before, after = (np.abs(np.fft.rfft(window * x)) ** 2 for x in (clean, low))
    below = frequency_hz < 3400
    assert after[below].sum() == pytest.approx(before[below].sum(), rel=1e-3)
    above = frequency_hz > 4600
    assert after[above].sum() < 1e-5 * before[above].sum()


def test_a_sound_shorter_than_the_filter_keeps_its_length():
    assert anchor(np.ones(7), RATE, LOW_ANCHOR_HZ).shape == (7,)


def test_a_rate_without_room_for_the_mid_anchor_is_refused():
    with pytest.raises(AudioError, match="8000 Hz is too low"):
        anchor(np.ones(100), 8000, LOW_ANCHOR_HZ)


@pytest.mark.parametrize("rate", [16000, 24000, 44100, 48000])
def test_a_full_scale_sine_of_997_hz_has_minus_3_01_lufs(rate):
    sine = np.sin(2 * np.pi * 997 * np.arange(3 * rate) / rate)
    # At 48 kHz exactly; at low rates the bilinear transform bends the shelf by hundredths.
    tolerance = 0.005 if rate >= 44100 else 0.06
    assert loudness_lufs(sine, rate) == pytest.approx(-3.01, abs=tolerance)
    assert loudness_lufs(0.1 * sine, rate) == pytest.approx(
        loudness_lufs(sine, rate) - 20, abs=1e-6
    )


def test_pauses_do_not_count_and_soft_passages_only_near_the_rest():
    rate = 48000
    sine = np.sin(2 * np.pi * 997 * np.arange(8 * rate) / rate)
    loud = loudness_lufs(0.5 * sine, rate)
    paused = np.concatenate([0.5 * sine, np.zeros(8 * rate)])
    assert loudness_lufs(paused, rate) == pytest.approx(loud, abs=0.12)
    softer = np.concatenate([0.5 * sine, 0.05 * sine])  # 20 dB below: gated
    assert loudness_lufs(softer, rate) == pytest.approx(loud, abs=0.12)
    half = np.concatenate([0.5 * sine, 0.25 * sine])  # 6 dB below: counts
    expected = loud + 10 * math.log10((1 + 0.25) / 2)
    assert loudness_lufs(half, rate) == pytest.approx(expected, abs=0.12)


def test_an_incomplete_block_at_the_end_does_not_count():
    rate = 48000
    sine = np.sin(2 * np.pi * 997 * np.arange(rate) / rate)
    whole = loudness_lufs(sine, rate)
    for extra in (1, 2399, 2401, 4799):
        longer = np.concatenate([sine, np.zeros(extra)])
        assert loudness_lufs(longer, rate) == pytest.approx(whole, abs=1e-9)


def test_silence_is_infinitely_soft_and_a_short_sound_has_a_loudness():
    assert loudness_lufs(np.zeros(16000), 16000) == -math.inf
    assert loudness_lufs(speech(seconds=0.2), RATE) > -60
