import numpy as np
import pystoi
import pytest
import soxr

from tests.golden import signals
from tests.golden.networks import recording
from tests.metrics.golden import RATE, speech_like, with_noise
from vocoder.errors import AudioError
from vocoder.metrics.stoi import RATE as STOI_RATE
from vocoder.metrics.stoi import stoi

SPEECH = recording("test/ru_followme_sorry")


def at_10_khz(signal: np.ndarray) -> np.ndarray:
    return soxr.resample(signal, RATE, STOI_RATE).astype(np.float64)


def test_golden_values():
    golden = signals.read()
    for name, pair in signals.pairs().items():
        scores = stoi(*pair, RATE)
        assert scores.stoi == pytest.approx(golden[name]["stoi"], abs=1e-9), name
        assert scores.estoi == pytest.approx(golden[name]["estoi"], abs=1e-9), name


@pytest.mark.parametrize("snr_db", [30, 10, -5])
@pytest.mark.parametrize("name", ["test/ru_0806", "valid/en_conf-onlyperson"])
def test_is_what_pystoi_gives_at_10_khz(name, snr_db):
    clean = at_10_khz(recording(name))
    noisy = 0.5 * with_noise(clean, snr_db).astype(np.float64)
    scores = stoi(clean.astype(np.float32), noisy.astype(np.float32), STOI_RATE)
    assert scores.stoi == pytest.approx(pystoi.stoi(clean, noisy, STOI_RATE), abs=1e-6)
    assert scores.estoi == pytest.approx(pystoi.stoi(clean, noisy, STOI_RATE, True), abs=1e-6)


def test_another_resampler_moves_little():
    # The tolerance allows for a frame at the edge of silence.
    noisy = with_noise(SPEECH, 10.0)
    theirs = [pystoi.stoi(*(x.astype(np.float64) for x in (SPEECH, noisy)), RATE, extended)
              for extended in (False, True)]  # fmt: skip
    assert stoi(SPEECH, noisy, RATE) == pytest.approx(theirs, abs=0.005)


@pytest.mark.parametrize("name", ["test/ru_followme_sorry", "test/ru_0806"])
def test_a_recording_with_itself_scores_one_exactly(name):
    assert stoi(recording(name), recording(name), RATE) == (1.0, 1.0)


def test_the_level_does_not_matter():
    assert stoi(SPEECH, 0.25 * SPEECH, RATE) == pytest.approx((1.0, 1.0), abs=1e-12)


def test_noise_lowers_both_scores():
    scores = np.array([stoi(SPEECH, with_noise(SPEECH, db), RATE) for db in (30, 20, 10, 0, -10)])
    assert np.all(np.diff(scores, axis=0) < -0.005)
    assert scores[0, 0] > 0.98
    assert scores[-1, 0] < 0.6


def test_noise_of_its_own_is_as_good_as_uncorrelated():
    noise = 0.1 * np.random.RandomState(0).randn(len(SPEECH)).astype(np.float32)
    scores = stoi(SPEECH, noise, RATE)
    assert abs(scores.stoi) < 0.35
    assert abs(scores.estoi) < 0.1
    assert stoi(SPEECH, 0 * SPEECH, RATE) == (0.0, 0.0)


def test_a_dropout_gives_the_same_score_every_time_and_leaves_numpys_generator_alone():
    # pystoi adds noise from numpy's global generator, which decides the segments of the dropout.
    estimate = with_noise(SPEECH, 10.0)
    estimate[8000:24000] = 0.0
    np.random.seed(1)
    first = stoi(SPEECH, estimate, RATE)
    drawn = np.random.standard_normal()
    np.random.seed(1)
    assert np.random.standard_normal() == drawn
    assert stoi(SPEECH, estimate, RATE) == first


def test_pauses_do_not_count():
    # A pause between words, with noise in the estimate: cut out, but for its edges.
    pause = np.zeros(RATE, np.float32)
    hiss = 0.01 * np.random.RandomState(0).randn(RATE).astype(np.float32)
    first, second = SPEECH[:24000], SPEECH[24000:]
    noisy = with_noise(SPEECH, 10.0)
    with_pause = stoi(
        np.concatenate([first, pause, second]),
        np.concatenate([noisy[:24000], hiss, noisy[24000:]]),
        RATE,
    )
    assert with_pause == pytest.approx(stoi(SPEECH, noisy, RATE), abs=0.02)


def test_other_rates_are_resampled():
    pair = SPEECH, with_noise(SPEECH, 10.0)
    up = [soxr.resample(x, RATE, 24000, quality="VHQ") for x in pair]
    assert stoi(*up, 24000) == pytest.approx(stoi(*pair, RATE), abs=0.005)


def test_too_little_speech_is_a_clear_error():
    word = speech_like()[4000:9000]
    for signal in (np.pad(word, (0, 30000)), word[:100], word[:6500]):
        with pytest.raises(AudioError, match=r"30 frames \(0\.41 s\) of speech"):
            stoi(signal, signal, RATE)
    with pytest.raises(AudioError, match="silent reference"):
        stoi(0 * SPEECH, SPEECH, RATE)
