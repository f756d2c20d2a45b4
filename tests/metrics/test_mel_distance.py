import json
import math

import numpy as np
import pytest
import soxr

from tests.metrics.golden import GOLDEN, RATE, golden_pair, speech_like, with_noise
from vocoder.features.mel import PRESETS
from vocoder.metrics.mel_distance import mel_distance

SPEC = PRESETS["speecht5_16k"]


def test_golden_value():
    assert mel_distance(*golden_pair(), RATE) == pytest.approx(
        json.loads(GOLDEN.read_text())["mel_distance"], abs=1e-4
    )


def test_a_signal_with_itself_scores_zero():
    assert mel_distance(speech_like(), speech_like(), RATE) == 0.0


def test_a_gain_is_measured_in_nepers():
    loud = with_noise(speech_like(), 10)
    assert mel_distance(loud, loud * 10 ** (-6 / 20), RATE) == pytest.approx(
        6 / 20 * math.log(10), abs=1e-5
    )


def test_noise_raises_the_score():
    clean = speech_like()
    scores = [mel_distance(clean, with_noise(clean, snr_db), RATE) for snr_db in (40, 30, 20, 10)]
    assert scores[0] > 0.1
    assert np.all(np.diff(scores) > 0.1)


def test_what_lies_below_the_floor_does_not_count():
    quiet = 1e-9 * np.random.RandomState(0).randn(RATE)
    assert mel_distance(np.zeros(RATE), quiet, RATE) == 0.0


@pytest.mark.parametrize(
    "changes", [{"log": "ln"}, {"log": "db"}, {"mean": -4.0, "scale": 2.5}], ids=str
)
def test_unit_and_normalisation_of_the_spec_do_not_matter(changes):
    spec = SPEC.model_copy(update=changes)
    pair = speech_like(), with_noise(speech_like(), 20)
    assert mel_distance(*pair, RATE, spec) == pytest.approx(
        mel_distance(*pair, RATE, SPEC), abs=1e-4
    )


def test_other_rates_are_resampled():
    pair = speech_like(), with_noise(speech_like(), 20)
    up = [soxr.resample(x, RATE, 22050, quality="VHQ") for x in pair]
    assert mel_distance(*up, 22050) == pytest.approx(mel_distance(*pair, RATE), abs=0.01)
