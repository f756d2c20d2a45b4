import importlib.util
import math

import numpy as np
import pytest
import soxr

from tests.golden import signals
from tests.golden.networks import recording
from tests.metrics.golden import RATE, with_noise
from vocoder.errors import AudioError, VocoderError
from vocoder.metrics.hnr import aperiodicity_difference, hnr_difference

pytestmark = pytest.mark.slow

BOTH = (hnr_difference, aperiodicity_difference)


def voice(rate: int = RATE, seconds: float = 1.0) -> np.ndarray:
    """Equal harmonics of a steady 150 Hz, below Nyquist."""
    time_s = np.arange(int(seconds * rate)) / rate
    harmonics = range(1, int(0.48 * rate / 150))
    return 0.02 * sum(np.cos(2 * np.pi * 150 * k * time_s + k**2) for k in harmonics)


@pytest.mark.parametrize(
    ("measure", "tolerance_db"), [(hnr_difference, 1e-6), (aperiodicity_difference, 0.005)]
)
def test_golden_values(measure, tolerance_db):
    golden = signals.read()
    for name, pair in signals.pairs("test/it_dir-firstlast").items():
        expected = golden[name][measure.__name__]
        assert measure(*pair, RATE) == pytest.approx(expected, abs=tolerance_db), name


@pytest.mark.parametrize(("first_db", "second_db"), [(30, 20), (25, 15), (15, 15)])
def test_hnr_difference_is_that_of_the_noise_in_the_voice(first_db, second_db):
    clean = voice()
    pair = with_noise(clean, first_db, seed=1), with_noise(clean, second_db, seed=2)
    assert hnr_difference(*pair, RATE) == pytest.approx(first_db - second_db, abs=2.0)


def test_noise_above_2_khz_is_heard_by_the_aperiodicity():
    time_s = np.arange(RATE) / RATE
    low = sum(np.cos(2 * np.pi * 150 * k * time_s + k**2) / k for k in range(1, 14))
    high = sum(np.cos(2 * np.pi * 150 * k * time_s + k**2) / k for k in range(14, 50))
    hiss = np.random.RandomState(0).randn(RATE)
    spectrum = np.fft.rfft(hiss)
    spectrum[:2000] = 0.0  # bins of 1 Hz
    hiss = np.fft.irfft(spectrum)
    hiss *= np.sqrt(np.mean(high**2) / np.mean(hiss**2))
    buzzing, hoarse = 0.2 * (low + high), 0.2 * (low + hiss)
    assert aperiodicity_difference(buzzing, hoarse, RATE) > 10.0
    assert aperiodicity_difference(buzzing, buzzing * 0.5, RATE) < 0.5


@pytest.mark.parametrize("measure", BOTH)
def test_noise_raises_the_score(measure):
    signal = recording("train/ru_0683")
    scores = [measure(signal, with_noise(signal, db), RATE) for db in (50, 30, 10)]
    assert np.all(np.diff(scores) > 0.1)
    assert scores[-1] > 3.0


@pytest.mark.parametrize("measure", BOTH)
def test_without_voice_there_is_no_number(measure):
    hiss = 0.1 * np.random.RandomState(0).randn(RATE)
    assert math.isnan(measure(voice(), hiss, RATE))
    assert math.isnan(measure(0 * hiss, 0 * hiss, RATE))
    assert math.isnan(measure(hiss[:40], hiss[:40], RATE))


def test_what_praat_calls_silent_is_left_out():
    # Voiced throughout at F0's lower threshold, but 26 dB below the rest in the second half.
    loud = with_noise(voice(), 30.0)
    fading = loud * np.where(np.arange(RATE) < RATE // 2, 1.0, 0.05).astype(np.float32)
    assert hnr_difference(loud, fading, RATE) < 1.0


@pytest.mark.parametrize("rate", [22050, 24000])
def test_other_rates_measure_alike(rate):
    clean = voice(rate)
    pair = with_noise(clean, 30, seed=1), with_noise(clean, 20, seed=2)
    assert hnr_difference(*pair, rate) == pytest.approx(10.0, abs=1.0)
    assert aperiodicity_difference(*pair, rate) > 3.0


def test_world_needs_its_extra_and_a_band(monkeypatch):
    low = soxr.resample(voice(), RATE, 11025)
    with pytest.raises(AudioError, match="below 12 kHz, at 11025 Hz"):
        aperiodicity_difference(low, low, 11025)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VocoderError, match=r"aperiodicity.*pip install 'vocoder\[evaluate\]'"):
        aperiodicity_difference(voice(), voice(), RATE)
