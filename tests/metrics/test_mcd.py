import importlib.util

import numpy as np
import pytest
import soxr

from tests.golden import signals
from tests.golden.networks import recording
from tests.metrics.golden import RATE, with_noise
from vocoder.errors import AudioError, VocoderError
from vocoder.metrics.mcd import mcd_mcep, mcd_mgcep, mcd_world

pytestmark = pytest.mark.slow

SPEECH = recording("train/es_please-try-again")
WARPED = (mcd_mgcep, mcd_mcep)


@pytest.mark.parametrize(("measure", "tolerance_db"), [(mcd_mgcep, 1e-3), (mcd_mcep, 1e-4)])
def test_golden_values_of_sptk_and_fastdtw(measure, tolerance_db):
    # What is left is FastDTW's shorter search and SPTK's earlier stop.
    golden = signals.read()
    for name, pair in signals.pairs("train/es_please-try-again", "train/ru_0683").items():
        expected = golden[name][measure.__name__]
        assert measure(*pair, RATE) == pytest.approx(expected, abs=tolerance_db), name


def test_golden_values_of_world_and_sptk():
    name = "train/es_please-try-again, noisy"
    found = mcd_world(*signals.pairs("train/es_please-try-again")[name], RATE)
    assert found == pytest.approx(signals.read()[name]["mcd_world"], abs=1e-6)


@pytest.mark.parametrize("measure", [mcd_mcep, mcd_world])
def test_a_gain_is_its_decibels_over_root_two(measure):
    # c0 is ln of the gain: 10 √2 / ln 10 · |Δc0|. Its frames are all alike, so that no warping
    # can help.
    period = np.random.RandomState(0).randn(64)
    steady = 0.1 * np.tile(period, 200)
    found = measure(steady, steady * 10 ** (-6 / 20), RATE)
    # The high-pass of the one has to settle.
    assert found == pytest.approx(6 / np.sqrt(2), abs=0.05)


@pytest.mark.parametrize("measure", WARPED)
def test_noise_raises_the_score(measure):
    scores = [measure(SPEECH, with_noise(SPEECH, db), RATE) for db in (50, 40, 30, 20)]
    assert 0.01 < scores[0] < 1.5
    assert np.all(np.diff(scores) > 0.05)


def test_a_delay_is_warped_away_but_by_world():
    late = np.concatenate([np.zeros(2048, np.float32), SPEECH[:-2048]])
    assert mcd_world(SPEECH[:RATE], late[:RATE], RATE) > 5
    # Not wholly: the end is cut off, and the pause before is digital silence.
    quiet = 1e-4 * np.random.RandomState(0).randn(len(SPEECH) + 4096).astype(np.float32)
    both = [quiet.copy(), quiet.copy()]
    for shift, signal in zip((1024, 2048), both, strict=True):
        signal[shift : shift + len(SPEECH)] += SPEECH
    apart = [signal[2048 : 2048 + RATE] for signal in both]
    assert mcd_mcep(*both, RATE) < 0.3 * mcd_world(*apart, RATE)


def test_high_rates_are_resampled_to_22_khz_and_low_ones_left():
    pair = SPEECH[:RATE], with_noise(SPEECH[:RATE], 30.0)
    up = [soxr.resample(x, RATE, 44100, quality="HQ") for x in pair]
    down = [soxr.resample(x, 44100, 22050, quality="HQ") for x in up]
    assert mcd_mgcep(*up, 44100) == pytest.approx(mcd_mgcep(*down, 22050), abs=1e-6)
    # At 16 kHz, were it resampled, the empty band above 8 kHz would count.
    assert mcd_mgcep(*pair, RATE) != pytest.approx(mcd_mgcep(*down, 22050), abs=0.01)


def test_order_and_warping_are_the_callers_choice():
    noisy = with_noise(SPEECH, 20.0)
    few = mcd_mcep(SPEECH, noisy, RATE, order=5)
    assert few < mcd_mcep(SPEECH, noisy, RATE, order=23, alpha=0.42)


@pytest.mark.parametrize("measure", [mcd_mgcep, mcd_mcep, mcd_world])
def test_digital_silence_is_far_from_speech_and_no_error(measure):
    speech = SPEECH[:8000]
    gap = speech.copy()
    gap[3000:6000] = 0.0
    assert 1.0 < measure(speech, gap, RATE) < measure(speech, 0 * speech, RATE) < 300.0
    assert measure(0 * speech, 0 * speech, RATE) == 0.0


@pytest.mark.parametrize("measure", WARPED)
def test_too_short_is_a_clear_error(measure):
    with pytest.raises(AudioError, match="one frame of 1024 samples at its rate, got 1023"):
        measure(SPEECH[:1023], SPEECH[:1023], RATE)


def test_world_needs_its_extra_and_a_rate(monkeypatch):
    with pytest.raises(AudioError, match="more than 1600 Hz, got 1600"):
        mcd_world(SPEECH, SPEECH, 1600)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VocoderError, match=r"MCD \(WORLD\).*pip install 'vocoder\[evaluate\]'"):
        mcd_world(SPEECH, SPEECH, RATE)
