import numpy as np
import pytest

from tests.golden import signals
from tests.golden.networks import recording
from tests.metrics.golden import RATE, speech_like, with_noise
from vocoder.errors import AudioError
from vocoder.metrics.spectral_distance import FLOOR_DB, log_spectral_distance

SPEECH = recording("train/es_please-try-again")


def oracle(reference: np.ndarray, estimate: np.ndarray, n_fft: int, hop: int) -> float:
    """A loop over frames in float64, the window from its formula."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    distances = []
    for start in range(0, len(reference) - n_fft + 1, hop):
        levels = []
        for signal in (reference, estimate):
            frame = signal[start : start + n_fft].astype(np.float64) * window
            amplitude = 2 * np.abs(np.fft.rfft(frame)) / window.sum()
            levels.append(20 * np.log10(np.maximum(amplitude, 1e-5)))
        distances.append(np.sqrt(np.mean((levels[0] - levels[1]) ** 2)))
    return float(np.mean(distances))


def test_golden_values():
    golden = signals.read()
    for name, pair in signals.pairs().items():
        assert log_spectral_distance(*pair, RATE) == pytest.approx(golden[name]["lsd"], abs=1e-6), (
            name
        )


@pytest.mark.parametrize(("rate", "n_fft", "hop"), [(16000, 512, 128), (22050, 706, 176)])
@pytest.mark.parametrize("seconds", [0.05, 1.0])
def test_is_what_a_loop_gives(rate, n_fft, hop, seconds):
    clean = speech_like(rate=rate)[rate // 5 :][: int(seconds * rate)]
    noisy = with_noise(clean, 15.0)
    assert log_spectral_distance(clean, noisy, rate) == pytest.approx(
        oracle(clean, noisy, n_fft, hop), abs=1e-9
    )


@pytest.mark.parametrize("gain_db", [-12.0, 3.0])
def test_a_gain_is_its_decibels(gain_db):
    loud = 0.1 * np.random.RandomState(0).randn(RATE)
    assert log_spectral_distance(loud, loud * 10 ** (gain_db / 20), RATE) == pytest.approx(
        abs(gain_db), abs=1e-4
    )


def test_a_full_scale_sine_is_the_floor_above_silence():
    # 1 kHz is a bin, and the window puts half of it into both neighbours.
    tone = np.sin(2 * np.pi * 1000 * np.arange(512) / RATE)
    levels = np.array([0.0, 20 * np.log10(0.5), 20 * np.log10(0.5)]) - FLOOR_DB
    expected = np.sqrt((levels**2).sum() / 257)
    assert log_spectral_distance(tone, 0 * tone, RATE) == pytest.approx(expected, abs=1e-3)


def test_what_lies_below_the_floor_does_not_count():
    hiss = np.round(np.random.RandomState(0).randn(RATE) * 0.29) / 32768
    assert log_spectral_distance(hiss * 0.3, 0 * hiss, RATE) == 0.0
    assert log_spectral_distance(hiss * 100, 0 * hiss, RATE) > 10


def test_noise_raises_the_score():
    scores = [
        log_spectral_distance(SPEECH, with_noise(SPEECH, db), RATE) for db in (40, 30, 20, 10)
    ]
    assert scores[0] > 0.5
    assert np.all(np.diff(scores) > 1.0)


def test_phase_does_not_count_for_tones():
    time_s = np.arange(RATE) / RATE
    sine, cosine = (f(2 * np.pi * 1000 * time_s) for f in (np.sin, np.cos))
    assert log_spectral_distance(sine, cosine, RATE) < 0.01


def test_too_short_is_a_clear_error():
    with pytest.raises(AudioError, match=r"32 ms \(512 samples\), got 511"):
        log_spectral_distance(SPEECH[:511], SPEECH[:511], RATE)
    with pytest.raises(AudioError, match="rate of 50 Hz"):
        log_spectral_distance(SPEECH, SPEECH, 50)
