import numpy as np
import pytest

from tests.golden import networks
from tests.metrics.golden import RATE, with_noise
from vocoder.errors import AudioError
from vocoder.metrics.distillmos import distillmos

pytestmark = pytest.mark.slow


def test_golden_value_and_the_reference_does_not_count():
    clean, noisy = networks.golden_pair()
    expected = networks.read()["distillmos"]
    assert distillmos(clean, noisy, RATE) == pytest.approx(expected, abs=1e-4)
    assert distillmos(noisy, noisy, RATE) == pytest.approx(expected, abs=1e-4)


def test_noise_lowers_the_score():
    clean = networks.recording()
    noisy = [with_noise(clean, snr_db) for snr_db in (30, 20, 10, 0)]
    scores = [distillmos(clean, x, RATE) for x in (clean, *noisy)]
    assert np.all(np.diff(scores) < -0.1)
    assert 1.0 < scores[-1] < scores[0] < 5.0


def test_level_does_not_matter():
    clean = networks.recording()
    assert distillmos(clean, 0.1 * clean, RATE) == pytest.approx(
        distillmos(clean, clean, RATE), abs=1e-3
    )


def test_silence_is_refused_and_nothing_is_printed(capsys):
    signal = networks.recording()
    with pytest.raises(AudioError, match="silence"):
        distillmos(signal, np.zeros_like(signal), RATE)
    distillmos(signal, signal, RATE)
    assert capsys.readouterr().out == ""
