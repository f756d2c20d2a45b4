import numpy as np
import pytest

from tests.golden import networks
from tests.metrics.golden import RATE, with_noise
from vocoder.errors import AudioError
from vocoder.metrics.visqol import visqol

pytestmark = pytest.mark.slow


def test_golden_values():
    golden = networks.read()
    score = visqol(*networks.golden_pair(), RATE)
    assert score.mos == pytest.approx(golden["visqol"], abs=1e-4)
    assert score.nsim == pytest.approx(golden["visqol_nsim"], abs=1e-6)


def test_a_recording_with_itself_is_fully_similar_whatever_score_that_gets():
    score = visqol(networks.recording(), networks.recording(), RATE)
    assert score.nsim == 1.0
    assert score.mos == pytest.approx(networks.read()["visqol_equal"], abs=1e-4)
    other = networks.recording("train/fr_dictate_truncating_audio")
    score = visqol(other, other, RATE)
    assert score.nsim == 1.0
    assert 4.2 < score.mos < 4.8


@pytest.mark.parametrize("name", ["test/ru_0806", "valid/en_conf-onlyperson"])
def test_noise_lowers_both(name):
    clean = networks.recording(name)
    scores = [visqol(clean, with_noise(clean, snr_db), RATE) for snr_db in (50, 40, 30)]
    assert np.all(np.diff([score.mos for score in scores]) < -0.05)
    assert np.all(np.diff([score.nsim for score in scores]) < -0.02)


def test_level_and_delay_hardly_matter():
    clean, noisy = networks.golden_pair()
    expected = visqol(clean, noisy, RATE).mos
    assert visqol(clean, 0.5 * noisy, RATE).mos == pytest.approx(expected, abs=0.05)
    assert visqol(clean, np.roll(noisy, 160), RATE).mos == pytest.approx(expected, abs=0.25)


def test_silence_and_short_signals_are_refused():
    signal = networks.recording()[:RATE]
    for pair in ((signal, 0 * signal), (0 * signal, signal)):
        with pytest.raises(AudioError, match="silence"):
            visqol(*pair, RATE)
    assert visqol(signal[:12000], signal[:12000], RATE).nsim == 1.0
    with pytest.raises(AudioError, match=r"at least 0\.75 s, got 0\.750 s"):
        visqol(signal[:11999], signal[:11999], RATE)
