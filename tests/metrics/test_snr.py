import math

import numpy as np
import pytest

from tests.golden import signals
from tests.golden.networks import recording
from tests.metrics.golden import RATE, speech_like, with_noise
from vocoder.errors import AudioError
from vocoder.metrics.snr import CEILING_DB, signal_to_noise

SPEECH = recording("train/es_please-try-again")


def test_golden_values():
    golden = signals.read()
    for name, pair in signals.pairs().items():
        ratios = signal_to_noise(*pair, RATE)
        assert ratios.snr_db == pytest.approx(golden[name]["snr"], abs=1e-6), name
        assert ratios.si_sdr_db == pytest.approx(golden[name]["si_sdr"], abs=1e-6), name


@pytest.mark.parametrize("snr_db", [40, 10, 0, -20])
def test_noise_that_was_added_is_measured(snr_db):
    ratios = signal_to_noise(SPEECH, with_noise(SPEECH, snr_db), RATE)
    assert ratios.snr_db == pytest.approx(snr_db, abs=0.1)
    # Below, what the noise has in common with the speech by chance counts.
    assert snr_db < 0 or ratios.si_sdr_db == pytest.approx(snr_db, abs=0.2)


@pytest.mark.parametrize("gain", [0.1, 1.5, -1.0])
def test_a_gain_is_an_error_to_one_and_nothing_to_the_other(gain):
    expected = -20 * math.log10(abs(1 - gain))
    noisy = with_noise(SPEECH, 20.0)
    assert signal_to_noise(SPEECH, gain * SPEECH, RATE).snr_db == pytest.approx(expected, abs=1e-3)
    assert signal_to_noise(SPEECH, gain * noisy, RATE).si_sdr_db == pytest.approx(
        signal_to_noise(SPEECH, noisy, RATE).si_sdr_db, abs=1e-3
    )


def test_phase_counts():
    late = np.concatenate([np.zeros(8, np.float32), SPEECH[:-8]])
    assert signal_to_noise(SPEECH, late, RATE).snr_db < 5
    time_s = np.arange(RATE) / RATE
    sine, cosine = np.sin(2 * np.pi * 200 * time_s), np.cos(2 * np.pi * 200 * time_s)
    ratios = signal_to_noise(sine, cosine, RATE)
    assert ratios.snr_db == pytest.approx(-10 * math.log10(2), abs=1e-6)
    assert ratios.si_sdr_db == -CEILING_DB


def test_the_ceiling_is_for_equal_signals_and_beyond_16_bits():
    assert signal_to_noise(SPEECH, SPEECH, RATE) == (CEILING_DB, CEILING_DB)
    loud = speech_like() / np.abs(speech_like()).max()
    rounded = np.round(32767 * loud) / 32767
    assert 60 < signal_to_noise(loud, rounded, RATE).snr_db < CEILING_DB


def test_a_silent_estimate_has_no_gain_and_a_silent_reference_is_refused():
    ratios = signal_to_noise(SPEECH, 0 * SPEECH, RATE)
    assert ratios.snr_db == 0.0
    assert math.isnan(ratios.si_sdr_db)
    with pytest.raises(AudioError, match="silent reference"):
        signal_to_noise(0 * SPEECH, SPEECH, RATE)
