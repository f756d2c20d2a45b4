"""A deterministic stand-in for speech: vowels over a gliding F0, a fricative, near-silence."""

from collections.abc import Callable

import numpy as np
import pytest


def synthetic_speech(sample_rate: int, duration_s: float = 1.2) -> np.ndarray:
    """Samples of a 16-bit recording, float64: its quiet parts hold quantisation noise."""
    rng = np.random.default_rng(7)
    time_s = np.arange(int(duration_s * sample_rate)) / sample_rate
    f0_hz = 110.0 * 2.0 ** (0.5 * np.sin(2 * np.pi * 0.9 * time_s))
    phase = 2 * np.pi * np.cumsum(f0_hz) / sample_rate
    voiced = np.zeros_like(time_s)
    for harmonic in range(1, 60):
        frequency_hz = harmonic * f0_hz
        gain = sum(
            weight / (1.0 + ((frequency_hz - formant_hz) / 120.0) ** 2)
            for formant_hz, weight in ((600.0, 1.0), (1200.0, 0.5), (2700.0, 0.2))
        )
        voiced += (frequency_hz < 0.45 * sample_rate) * gain * np.cos(harmonic * phase)
    fricative = np.diff(rng.standard_normal(len(time_s)), prepend=0.0)
    envelope = np.clip(np.sin(2 * np.pi * 1.7 * time_s), 0.0, 1.0)
    signal = 0.25 * envelope * voiced + 0.03 * (1.0 - envelope) * fricative * (time_s > 0.5)
    signal += 1e-4 * rng.standard_normal(len(time_s))
    return np.round(np.clip(signal, -1.0, 1.0) * 32767.0) / 32768.0


@pytest.fixture
def speech() -> Callable[[int], np.ndarray]:
    return synthetic_speech
