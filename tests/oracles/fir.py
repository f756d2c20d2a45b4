"""Slow float64 oracles of the filters of finite length: loops over samples, taps and bins."""

import numpy as np


def interpolated_taps(taps: np.ndarray, hop: int) -> np.ndarray:
    """Taps (frames, taps) on straight lines for each sample, the last ones held."""
    frames, count = taps.shape
    knots, samples = np.arange(frames) * hop, np.arange(frames * hop)
    return np.stack([np.interp(samples, knots, taps[:, m]) for m in range(count)], axis=1)


def filter_frames_causal(signal: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Each sample, times the taps of its frame, added from where it stands on; rings to the end."""
    hop, count = len(signal) // len(taps), taps.shape[1]
    total = np.zeros(len(signal) + count - 1)
    for n, value in enumerate(signal):
        for m in range(count):
            total[n + m] += value * taps[n // hop, m]
    return total


def warped_response(mel_cepstrum: np.ndarray, alpha: float, omega: np.ndarray) -> np.ndarray:
    """exp Σ c_m z̃^-m on the unit circle, by the all-pass itself."""
    delay = np.exp(-1j * omega)
    allpass = (delay - alpha) / (1 - alpha * delay)
    total = np.zeros(len(omega), dtype=complex)
    for m, c in enumerate(mel_cepstrum):
        total += c * allpass**m
    return np.exp(total)
