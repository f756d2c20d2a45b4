import json

import numpy as np
import pytest
import torch
from auraloss.freq import MultiResolutionSTFTLoss

from tests.metrics.golden import GOLDEN, RATE, golden_pair, speech_like, with_noise
from vocoder.errors import AudioError
from vocoder.metrics.mstft import mstft


def test_golden_value():
    assert mstft(*golden_pair(), RATE) == pytest.approx(
        json.loads(GOLDEN.read_text())["mstft"], abs=1e-5
    )


@pytest.mark.parametrize("samples", [1030, 4999, 48000])
@pytest.mark.parametrize("snr_db", [40, 5])
def test_is_what_auraloss_gives(samples, snr_db):
    clean = speech_like()[-samples:]
    noisy = 0.7 * with_noise(clean, snr_db)
    target, given = (torch.from_numpy(x)[None, None] for x in (clean, noisy))
    # The estimate is auraloss's input and the recording its target, as BigVGAN calls it.
    expected = float(MultiResolutionSTFTLoss()(given, target))
    assert mstft(clean, noisy, RATE) == pytest.approx(expected, abs=1e-5)


def test_a_signal_with_itself_scores_zero():
    assert mstft(speech_like(), speech_like(), RATE) == 0.0


def test_a_silent_reference_has_no_score():
    """The distance is relative to the reference's spectrum."""
    silence = np.zeros_like(speech_like())
    for estimate in (speech_like(), silence):
        assert np.isnan(mstft(silence, estimate, RATE))
        assert np.isnan(mstft(silence + 1e-7, estimate, RATE))
    assert mstft(speech_like(), silence, RATE) > 1


def test_noise_raises_the_score():
    clean = speech_like()
    scores = [mstft(clean, with_noise(clean, snr_db), RATE) for snr_db in (40, 30, 20, 10)]
    assert scores[0] > 0.1
    assert np.all(np.diff(scores) > 0.1)


def test_reference_is_what_it_is_relative_to():
    # 0.5 against 1: convergence 0.5 against 1 in the other direction, the logarithms alike.
    clean = with_noise(speech_like(), 5)
    difference = mstft(0.5 * clean, clean, RATE) - mstft(clean, 0.5 * clean, RATE)
    assert difference == pytest.approx(0.5, abs=1e-4)


def test_too_short_is_a_clear_error():
    with pytest.raises(AudioError, match="more than 1024 samples, got 1024"):
        mstft(speech_like()[:1024], speech_like()[:1024], RATE)
