import json

import numpy as np
import pytest
import soxr

from tests.golden import signals
from tests.golden.networks import recording
from tests.metrics.golden import GOLDEN, RATE, golden_pair, speech_like, with_noise
from vocoder.errors import AudioError
from vocoder.metrics.pesq import pesq_nb, pesq_wb

pytestmark = pytest.mark.slow

BEST = 4.6439
BEST_NB = 4.5486


def test_golden_value():
    assert pesq_wb(*golden_pair(), RATE) == pytest.approx(
        json.loads(GOLDEN.read_text())["pesq"], abs=1e-4
    )


def test_golden_values_of_the_narrow_band():
    golden = signals.read()
    for name, pair in signals.pairs().items():
        assert pesq_nb(*pair, RATE) == pytest.approx(golden[name]["pesq_nb"], abs=1e-4), name


def test_a_signal_with_itself_scores_best():
    assert pesq_wb(speech_like(), speech_like(), RATE) == pytest.approx(BEST, abs=1e-3)
    assert pesq_nb(speech_like(), speech_like(), RATE) == pytest.approx(BEST_NB, abs=1e-3)


def test_the_narrow_band_ends_below_4_khz():
    clean = recording("train/es_please-try-again")
    spectrum = np.fft.rfft(np.random.RandomState(0).randn(len(clean)))
    spectrum[np.fft.rfftfreq(len(clean), 1 / RATE) < 4500] = 0.0
    hiss = np.fft.irfft(spectrum, len(clean)).astype(np.float32)
    hissing = clean + 0.01 * hiss
    assert pesq_wb(clean, hissing, RATE) < BEST - 0.5
    assert pesq_nb(clean, hissing, RATE) > BEST_NB - 0.05


@pytest.mark.parametrize(("measure", "best"), [(pesq_wb, BEST), (pesq_nb, BEST_NB)])
def test_noise_lowers_the_score(measure, best):
    clean = speech_like()
    scores = [measure(clean, with_noise(clean, snr_db), RATE) for snr_db in (40, 30, 20, 10)]
    assert scores[0] < best - 0.1
    assert np.all(np.diff(scores) < -0.2)


def test_level_does_not_matter():
    clean = speech_like()
    noisy = with_noise(clean, 25)
    assert pesq_wb(clean, 0.3 * noisy, RATE) == pytest.approx(pesq_wb(clean, noisy, RATE), abs=0.02)


def test_other_rates_are_resampled():
    clean, noisy = speech_like(), with_noise(speech_like(), 25)
    expected = pesq_wb(clean, noisy, RATE)
    up = [soxr.resample(x, RATE, 24000, quality="VHQ") for x in (clean, noisy)]
    assert pesq_wb(*up, 24000) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(("measure", "rate"), [(pesq_wb, 16000), (pesq_nb, 8000)])
def test_many_pauses_do_not_crash_it_and_pieces_are_averaged(measure, rate):
    # More than 50 stretches of speech overrun the C code's memory when it gets them at once.
    noise = np.random.RandomState(0).randn(70, 3 * rate // 4) * 0.1
    long = np.pad(noise, ((0, 0), (0, 9 * rate // 16))).ravel().astype(np.float32)
    estimate = with_noise(long, 30)
    pieces = np.array_split(long, 5), np.array_split(estimate, 5)
    mean = np.mean([measure(a, b, rate) for a, b in zip(*pieces, strict=True)])
    assert 80 < len(long) / rate < 100
    assert measure(long, estimate, rate) == pytest.approx(mean, abs=1e-3)


def test_a_silent_piece_does_not_count():
    clean, noisy = speech_like(), with_noise(speech_like(), 25)
    half, whole = (
        [np.concatenate([x, np.zeros(seconds * RATE, np.float32)]) for x in (clean, noisy)]
        for seconds in (13, 29)
    )
    assert pesq_wb(*whole, RATE) == pytest.approx(pesq_wb(*half, RATE), abs=1e-6)


def test_no_speech_is_a_clear_error():
    silence, speech = np.zeros(RATE, np.float32), speech_like()[:RATE]
    pause, word = np.zeros(40000, np.float32), speech_like()[4000:6000]
    elsewhere = np.concatenate([pause, word]), np.concatenate([word, pause])
    for pair in ((silence, silence), (speech, silence), (silence, speech), elsewhere):
        for measure in (pesq_wb, pesq_nb):
            with pytest.raises(AudioError, match="PESQ finds no speech"):
                measure(*pair, RATE)


@pytest.mark.parametrize("measure", [pesq_wb, pesq_nb])
def test_too_short_is_a_clear_error(measure):
    with pytest.raises(AudioError, match=r"at least 0\.25 s, got 0\.188 s"):
        measure(speech_like()[8000:11000], speech_like()[8000:11000], RATE)
