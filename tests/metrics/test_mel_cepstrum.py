import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from tests.golden import signals
from tests.golden.networks import recording
from vocoder.dsp.filters.tap_shapes import warp_cepstrum
from vocoder.errors import AudioError
from vocoder.metrics.mel_cepstrum import cepstrum, mel_generalised_cepstrum

BINS = 1025  # so many that sums over them are the integrals of what is tested
OMEGA = np.linspace(0, np.pi, BINS)
CIRCLE = np.r_[0.5, np.ones(BINS - 2), 0.5] / (BINS - 1)


def warped(alpha: float) -> np.ndarray:
    """The phase of the all-pass (z^-1 - alpha) / (1 - alpha z^-1), as a function of OMEGA."""
    z = np.exp(1j * OMEGA)
    return -np.unwrap(np.angle((1 / z - alpha) / (1 - alpha / z)))


def log_power(c: np.ndarray, alpha: float, gamma: float) -> np.ndarray:
    """ln |H|² of a model, straight from its definition."""
    series = np.exp(-1j * np.outer(warped(alpha), np.arange(len(c)))) @ c
    return 2 * series.real if gamma == 0 else 2 / gamma * np.log(np.abs(1 + gamma * series))


def criterion(c: np.ndarray, power: np.ndarray, alpha: float, gamma: float) -> float:
    model = log_power(c, alpha, gamma)
    return float(CIRCLE @ (power * np.exp(-model) + model))


def frames_of_speech() -> np.ndarray:
    samples = 32768.0 * recording(signals.RECORDINGS[0]).astype(np.float64)
    return np.stack([samples[n : n + 1024] for n in range(0, len(samples) - 1023, 256)])


def periodogram(frames: np.ndarray, window: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.abs(np.fft.rfft(frames * window / np.linalg.norm(window))) ** 2)


@pytest.mark.parametrize(("name", "gamma"), [("mcep", 0.0), ("mgcep", -0.2)])
def test_is_what_sptk_gives_when_it_goes_on_until_it_is_exact(name, gamma):
    window = np.hamming(1024) if name == "mcep" else np.blackman(1024)
    power = periodogram(frames_of_speech()[list(signals.FRAMES_OF_CEPSTRA)], window)
    found = mel_generalised_cepstrum(power, 25, 0.41, gamma).numpy()
    assert np.abs(found - signals.read_cepstra()[name]).max() < 1e-5


def test_warped_cepstra_are_what_sptk_gives():
    power = periodogram(frames_of_speech()[list(signals.FRAMES_OF_CEPSTRA)], np.hamming(1024))
    found = warp_cepstrum(cepstrum((power + 1.0).log()), 40, 0.466).numpy()
    assert np.abs(found - signals.read_cepstra()["sp2mc"]).max() < 1e-9


@pytest.mark.parametrize("gamma", [0.0, -0.2, -1.0])
@pytest.mark.parametrize("alpha", [0.0, 0.41])
def test_no_search_finds_a_better_model(gamma, alpha):
    frame = np.random.RandomState(3).randn(256).cumsum() * np.hanning(256)
    power = np.abs(np.fft.rfft(frame, 2 * (BINS - 1))) ** 2
    power /= power.mean()
    found = mel_generalised_cepstrum(torch.from_numpy(power)[None], 6, alpha, gamma)[0].numpy()
    best = criterion(found, power, alpha, gamma)
    searched = minimize(criterion, np.zeros(7), (power, alpha, gamma), "BFGS")
    assert best <= searched.fun + 1e-9
    assert best == pytest.approx(searched.fun, abs=1e-4)
    for m in range(7):
        for change in (-1e-3, 1e-3):
            assert criterion(found + change * np.eye(7)[m], power, alpha, gamma) > best


@pytest.mark.parametrize("gamma", [0.0, -0.2])
def test_a_model_is_found_again(gamma):
    # Its own power spectrum is its best fit, I / |H|² being one everywhere.
    c = np.array([0.7, 0.4, -0.3, 0.2, 0.1, -0.05])
    power = torch.from_numpy(np.exp(log_power(c, 0.35, gamma)))[None]
    found = mel_generalised_cepstrum(power, 5, 0.35, gamma)[0].numpy()
    np.testing.assert_allclose(found, c, atol=1e-6)


def test_a_gain_moves_only_the_first_coefficient():
    power = periodogram(frames_of_speech()[40:44], np.hamming(1024))
    c, louder = (mel_generalised_cepstrum(gain * power, 12, 0.41) for gain in (1.0, 100.0))
    expected = c + torch.eye(13, dtype=torch.float64)[0] * np.log(10.0)
    torch.testing.assert_close(louder, expected, atol=1e-6, rtol=0)


def test_warping_keeps_the_spectrum():
    c = np.zeros(BINS)
    c[:9] = np.random.RandomState(0).randn(9) / (1 + np.arange(9))
    mel = warp_cepstrum(torch.from_numpy(c)[None], 81, 0.4)[0].numpy()
    np.testing.assert_allclose(log_power(mel, 0.4, 0.0), log_power(c, 0.0, 0.0), atol=1e-9)


@pytest.mark.parametrize("gamma", [0.0, -0.2])
def test_odd_frames_have_a_cepstrum_too(gamma):
    time = np.arange(1024)
    frames = np.stack([
        np.zeros(1024), 3e4 * np.eye(1024)[512], 3e4 * np.sin(0.3 * time), np.full(1024, 1e4),
        32767 * np.sign(np.sin(0.05 * time)), np.round(0.4 * np.sin(time)), 3e4 * (time > 500),
    ])  # fmt: skip
    found = mel_generalised_cepstrum(periodogram(frames, np.hamming(1024)) + 1e-6, 25, 0.41, gamma)
    assert found.isfinite().all()
    # A frame does not depend on the others in its block.
    alone = mel_generalised_cepstrum(
        periodogram(frames[4:5], np.hamming(1024)) + 1e-6, 25, 0.41, gamma
    )
    torch.testing.assert_close(found[4:5], alone, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_what_is_no_periodogram_is_refused(bad):
    power = torch.ones(2, 65, dtype=torch.float64)
    power[1, 7] = bad
    with pytest.raises(AudioError, match="positive and finite"):
        mel_generalised_cepstrum(power, 5, 0.41)
