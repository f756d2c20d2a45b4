"""Noise reduction against plain loops, and on real speech in noise."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.autograd import gradcheck, gradgradcheck

from vocoder.dsp.analysis.enhancement import (
    minimum_statistics,
    noise_power,
    oversubtraction,
    spectral_subtraction,
    subtraction_gain,
    wiener_filter,
    wiener_gain,
)
from vocoder.dsp.filters.spectral_filter import short_time_spectrum

N_FFT, HOP = 512, 128


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def powers(*shape: int, seed: int = 0) -> torch.Tensor:
    return random(*shape, seed=seed).square() + 0.1


def snr_db(clean: torch.Tensor, found: torch.Tensor) -> float:
    return float(10 * torch.log10(clean.square().sum() / (found - clean).square().sum()))


@pytest.fixture(scope="module")
def speech(tiny_corpus: Path) -> torch.Tensor:
    """Up to four seconds of a recording, after a second of silence, at power one."""
    path = sorted((tiny_corpus / "wavs").rglob("*.wav"))[0]
    samples = torch.from_numpy(soundfile.read(path)[0])[:64000]
    samples = torch.cat([torch.zeros(16000), samples])
    return (samples[: len(samples) // HOP * HOP] / samples.std())[None]


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_subtraction_is_what_it_says(exponent):
    power, noise = powers(2, 5, 7), powers(2, 5, 7, seed=1)
    over = torch.linspace(1, 4, 5, dtype=torch.float64).expand(2, 5)
    found = subtraction_gain(power, noise, over, 0.05, exponent)
    for index in np.ndindex(2, 5, 7):
        y, n = float(power[index]) ** 0.5, float(noise[index]) ** 0.5
        left = max(y**exponent - float(over[index[:2]]) * n**exponent, 0.05 * n**exponent)
        expected = min(left ** (1 / exponent) / y, 1.0)
        assert float(found[index]) == pytest.approx(expected, rel=1e-12)


def test_oversubtraction_falls_from_475_to_1():
    level = torch.tensor([-30.0, -5.0, 0.0, 10.0, 20.0, 40.0], dtype=torch.float64)
    power = (10 ** (level / 10))[None, :, None].expand(1, 6, 3)
    found = oversubtraction(power, torch.ones(1, 6, 3, dtype=torch.float64))
    np.testing.assert_allclose(found[0], [4.75, 4.75, 4.0, 2.5, 1.0, 1.0], atol=1e-12)


def test_decisions_direct_the_wiener_gain():
    power, noise = powers(2, 30, 5), powers(2, 30, 5, seed=1)
    found, _ = wiener_gain(power, noise, 0.95, -20.0)
    for row, k in np.ndindex(2, 5):
        before = 1.0
        for t in range(30):
            posterior = float(power[row, t, k] / noise[row, t, k])
            prior = max(0.95 * before + 0.05 * max(posterior - 1, 0), 0.01)
            gain = prior / (1 + prior)
            assert float(found[row, t, k]) == pytest.approx(gain, rel=1e-12)
            before = gain**2 * posterior


def test_minima_are_of_the_last_frames():
    power = powers(2, 50, 3)
    found, _ = minimum_statistics(power, 4, window=8, smoothing=0.7)
    smoothed = [power[:, 0]]
    for t in range(1, 50):
        smoothed.append(0.7 * smoothed[-1] + 0.3 * power[:, t])
    ratios = []
    for t in range(50):
        least = torch.stack(smoothed[max(0, t - 7) : t + 1]).amin(dim=0)
        ratios.append(found[:, t] / least)
    ratio = torch.stack(ratios)
    torch.testing.assert_close(ratio, ratio[:1, :1, :1].expand_as(ratio))
    assert ratio[0, 0, 0] > 1


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_pieces_are_the_whole(cut):
    power, noise = powers(2, 50, 3), powers(2, 50, 3, seed=1)
    for run in (
        lambda part, state: minimum_statistics(power[:, part], 4, window=8, state=state),
        lambda part, state: wiener_gain(power[:, part], noise[:, part], state=state),
    ):
        whole, end = run(slice(None), None)
        first, state = run(slice(0, cut), None)
        second, last = run(slice(cut, None), state)
        torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
        torch.testing.assert_close(last, end)


@pytest.mark.parametrize(("overlap", "window"), [(2, 100), (4, 160), (8, 300)])
@pytest.mark.parametrize("smoothing", [0.85, 0.9, 0.95])
def test_the_minimum_is_brought_to_the_level_of_noise(overlap, window, smoothing):
    hop = 256 // overlap
    spectrum = short_time_spectrum(3 * random(4, 600 * hop), 256, hop)
    power = spectrum.abs().square()[:, overlap:-overlap]
    found, _ = minimum_statistics(power, overlap, window, smoothing)
    error_db = 10 * torch.log10(found[:, window:, 2:-2].mean() / power[..., 2:-2].mean())
    assert abs(float(error_db)) < 0.7


def test_minima_do_not_follow_bursts_but_follow_the_noise():
    noise = random(1, 400, 20).square() + random(1, 400, 20, seed=1).square()
    burst = (torch.arange(400) % 60 < 20).double()[None, :, None] * 1000
    plain, _ = minimum_statistics(noise, 1, window=90)
    loud, _ = minimum_statistics(noise + burst, 1, window=90)
    level_db = 10 * torch.log10(loud[:, 100:].mean() / plain[:, 100:].mean())
    assert level_db < 12  # of 27 dB
    louder, _ = minimum_statistics(
        torch.cat([noise[:, :200], 10 * noise[:, 200:]], dim=1), 1, window=90
    )
    torch.testing.assert_close(louder[:, :200], plain[:, :200])
    # Two windows and the smoothing later the old level is forgotten.
    torch.testing.assert_close(louder[:, 390:], 10 * plain[:, 390:], rtol=1e-3, atol=0)


def test_the_power_of_noise_is_measured():
    found = noise_power(2 * random(1, HOP * 4000), N_FFT, HOP)
    # The squared windows of all frames over a sample add to one: each holds hop of it.
    np.testing.assert_allclose(found[0, 1:-1].mean(), 4 * HOP, rtol=0.02)


@pytest.mark.parametrize("given", [True, False], ids=["noise given", "noise followed"])
@pytest.mark.parametrize("run", [spectral_subtraction, wiener_filter])
def test_speech_in_noise_gains_some_decibels(run, given, speech):
    noise = random(*speech.shape) * 10 ** (-5 / 20)
    noisy = speech + noise
    known = noise_power(noisy[:, : 125 * HOP], N_FFT, HOP) if given else None
    found = run(noisy, N_FFT, HOP, known)
    assert snr_db(speech, found) > snr_db(speech, noisy) + 4
    # Residual noise before the first word.
    pause = slice(4000, 14000)
    left = found[:, pause].square().mean() / noisy[:, pause].square().mean()
    assert 10 * torch.log10(left) < (-10 if given else -5)


@pytest.mark.parametrize("run", [spectral_subtraction, wiener_filter])
def test_without_noise_nothing_changes(run):
    signal = random(1, 2048)
    none = torch.zeros(1, N_FFT // 2 + 1, dtype=torch.float64)
    torch.testing.assert_close(run(signal, N_FFT, HOP, none), signal, atol=1e-6, rtol=0)
    for noise in (none, none + 1, None):
        silent = run(torch.zeros(1, 2048, dtype=torch.float64), N_FFT, HOP, noise)
        assert not silent.any()


def test_the_wiener_gain_keeps_steady_in_noise():
    # Musical noise is the gain's variation between frames of noise alone.
    power = random(1, 500, 40).square() + random(1, 500, 40, seed=1).square()
    noise = torch.full_like(power, 2.0)
    subtracted = subtraction_gain(power, noise, 1.0, 0.003)[:, 20:]
    wiener = wiener_gain(power, noise, 0.98)[0][:, 20:]
    assert wiener.diff(dim=1).std() < 0.1 * subtracted.diff(dim=1).std()
    # The gain still opens at an onset, at 30 dB within two frames.
    onset = noise.clone()
    onset[:, 100:] *= 1000
    gain = wiener_gain(onset, noise, 0.98)[0]
    assert gain[:, 99].max() < 0.05
    assert gain[:, 101].min() > 0.9


def test_gradients():
    power, noise = powers(1, 4, 2).requires_grad_(), powers(1, 4, 2, seed=1).requires_grad_()
    for function in (
        lambda p, n: subtraction_gain(p, n, 0.3),
        oversubtraction,
        lambda p, n: wiener_gain(p, n, 0.9),
    ):
        assert gradcheck(function, (power, noise))
        assert gradgradcheck(function, (power, noise))
    assert gradcheck(lambda p: minimum_statistics(p, 4, window=3), power)
    signal = random(1, 24).requires_grad_()
    level = torch.full((1, 5), 0.2, dtype=torch.float64)
    assert gradcheck(lambda x: wiener_filter(x, 8, 2, level), signal)
    assert gradcheck(lambda x: spectral_subtraction(x, 8, 2, level), signal)


def test_dtypes_agree():
    signal = random(2, 4096)
    for run in (spectral_subtraction, wiener_filter):
        single, exact = run(signal.float(), N_FFT, HOP), run(signal, N_FFT, HOP)
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), exact, atol=1e-4, rtol=0)


def test_misfits_are_refused():
    with pytest.raises(ValueError, match="100 samples of noise for frames of 512: give more"):
        noise_power(torch.zeros(1, 100), N_FFT, 100)
    with pytest.raises(ValueError, match=r"a window of 1 frames smoothed by 0\.9"):
        minimum_statistics(torch.ones(1, 4, 2), 4, window=1)
    with pytest.raises(ValueError, match=r"smoothed by 1\.0"):
        minimum_statistics(torch.ones(1, 4, 2), 4, smoothing=1.0)
    with pytest.raises(ValueError, match="has no minimum statistics: give its noise"):
        wiener_filter(torch.zeros(1, 256), N_FFT, HOP)
