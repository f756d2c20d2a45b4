"""What folds back at Nyquist while F0 glides: the same harmonics synthesised at eight times the
rate, and everything above Nyquist taken away before the rate is reduced."""

import numpy as np
import pytest
import torch
from scipy.signal.windows import tukey

from tests.oracles import dsp as oracle
from vocoder.dsp.framing import interpolate_linear
from vocoder.dsp.sources.oscillators import boundary_phase, harmonic_bank, pulse_train, sample_phase

RATE, HOP, FRAMES, UP = 16000, 256, 80, 8
SAMPLES = FRAMES * HOP
SECONDS = np.arange(FRAMES + 1) * HOP / RATE

GLIDES = {
    "octaves up": np.interp(SECONDS, [0.4, 0.6], [100, 1000]),
    "octaves down": np.interp(SECONDS, [0.4, 0.6], [1000, 100]),
    "vibrato": 200 + 20 * np.sin(2 * np.pi * 6 * SECONDS),
    "wide vibrato": 400 + 100 * np.sin(2 * np.pi * 6 * SECONDS),
    "speech": np.interp(SECONDS, [0.1, 1.1], [100, 200]),
}


def at_high_rate(boundaries_hz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Phase (cycles) and F0 (Hz) of every sample at eight times the rate."""
    phase = oracle.unwrapped_phase(boundaries_hz, RATE * UP, HOP * UP)
    return phase, oracle.line_samples(boundaries_hz, HOP * UP)


def decibels_of_aliases(signal: np.ndarray, high_rate: np.ndarray) -> tuple[float, float]:
    """Energy of what is in ``signal`` but not in the band-limited version of ``high_rate``, over
    the signal's energy: in all, and below Nyquist less 1 kHz."""
    # Faded at the ends, which the ideal low-pass would otherwise smear over everything.
    spectrum = np.fft.rfft(high_rate * tukey(SAMPLES * UP, 0.2))
    spectrum = spectrum[: SAMPLES // 2 + 1] / UP
    spectrum[-1] = 0
    found = np.fft.rfft(signal * np.interp(np.arange(SAMPLES) * UP, np.arange(SAMPLES * UP),
                                           tukey(SAMPLES * UP, 0.2)))  # fmt: skip
    error = np.abs(found - spectrum) ** 2
    below = int((RATE / 2 - 1000) / RATE * SAMPLES)
    total = (np.abs(found) ** 2).sum()
    return 10 * np.log10(error.sum() / total), 10 * np.log10(error[:below].sum() / total)


def pulses(boundaries_hz: np.ndarray, dtype: torch.dtype = torch.float32) -> np.ndarray:
    f0 = torch.from_numpy(boundaries_hz).to(dtype)[None]
    phase = sample_phase(boundary_phase(f0, RATE, HOP), f0, RATE, HOP)
    return pulse_train(phase, interpolate_linear(f0, HOP), RATE)[0].double().numpy()


@pytest.mark.parametrize(
    ("glide", "in_all", "far_below"),
    [
        ("octaves up", -54, -66),
        ("octaves down", -54, -66),
        ("vibrato", -72, -80),
        ("wide vibrato", -65, -75),
        ("speech", -85, -90),
    ],
)
def test_next_to_nothing_folds_back_while_f0_glides(glide, in_all, far_below):
    # A harmonic that glides at c Hz/s is √c Hz wide: the guard band below Nyquist holds most of it.
    f0 = GLIDES[glide]
    phase, track = at_high_rate(f0)
    aliases, far = decibels_of_aliases(pulses(f0), oracle.pulse_train(phase, track, RATE))
    assert aliases < in_all
    assert far < far_below


def test_a_steady_tone_does_not_fold_back():
    f0 = np.full(FRAMES + 1, 203.7)
    phase, track = at_high_rate(f0)
    signal = pulses(f0, torch.float64)
    aliases, _ = decibels_of_aliases(signal, oracle.pulse_train(phase, track, RATE))
    assert aliases < -100


@pytest.mark.parametrize("glide", ["octaves up", "vibrato"])
def test_harmonics_without_a_fade_would_fold_back(glide):
    # Check of the measure: harmonics switched off only above 1.2 Nyquist are detected.
    f0 = GLIDES[glide]
    phase, track = at_high_rate(f0)
    high_rate = sum(
        (k * track < 0.6 * RATE) * np.cos(2 * np.pi * k * phase)
        for k in range(1, 1 + int(0.6 * RATE / f0.min()))
    )
    aliases, far = decibels_of_aliases(high_rate[::UP], high_rate)
    assert aliases > -20
    assert far > -30


def test_a_bank_of_harmonics_folds_back_as_little():
    f0 = GLIDES["octaves up"]
    phase, track = at_high_rate(f0)
    count = 100
    weights = 1 / np.arange(1, count + 1)
    boundaries = torch.from_numpy(f0).float()[None]
    found = harmonic_bank(
        sample_phase(boundary_phase(boundaries, RATE, HOP), boundaries, RATE, HOP),
        interpolate_linear(boundaries, HOP),
        torch.from_numpy(weights).float().expand(1, FRAMES + 1, -1),
        RATE,
    )
    lines = np.broadcast_to(weights[:, None], (count, len(track)))
    high_rate = oracle.harmonic_sum(phase, track, RATE, lines)
    aliases, _ = decibels_of_aliases(found[0].double().numpy(), high_rate)
    assert aliases < -55
