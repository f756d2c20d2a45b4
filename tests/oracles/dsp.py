"""Slow float64 oracles of the signal processing: loops over samples, harmonics and frames."""

import numpy as np

TOP = 0.925
"""Where harmonics end, as a share of Nyquist."""


def overlap_add(frames: np.ndarray, hop: int) -> np.ndarray:
    """Sum of frames (frames, window), each ``hop`` samples after the one before."""
    count, window = frames.shape
    total = np.zeros((count - 1) * hop + window)
    for t in range(count):
        for n in range(window):
            total[t * hop + n] += frames[t, n]
    return total


def at_positions(
    values: np.ndarray, hop: int, center_offset: float, positions: np.ndarray
) -> np.ndarray:
    """A frame-wise control at any sample positions: straight between centres, held outside."""
    centres = np.arange(len(values)) * hop + center_offset
    return np.interp(positions, centres, values)


def line_samples(boundaries: np.ndarray, hop: int) -> np.ndarray:
    """Straight lines through values at 0, hop, 2 hop, … at every sample before the last."""
    knots = np.arange(len(boundaries)) * hop
    return np.interp(np.arange(knots[-1]), knots, boundaries)


def unwrapped_phase(boundaries_hz: np.ndarray, sample_rate: int, hop: int) -> np.ndarray:
    """Cycles since sample 0, by the trapezoidal rule, which is exact for straight lines."""
    f0_hz = np.append(line_samples(boundaries_hz, hop), boundaries_hz[-1])
    phase = np.zeros(len(f0_hz))
    for n in range(1, len(f0_hz)):
        phase[n] = phase[n - 1] + 0.5 * (f0_hz[n - 1] + f0_hz[n]) / sample_rate
    return phase[:-1]


def circular_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of two phases in cycles, whole cycles aside."""
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    return float(np.abs(difference - np.round(difference)).max())


def fade(f0_hz: np.ndarray, k: int, sample_rate: float) -> np.ndarray:
    """Strength of harmonic ``k``: one, and over the last F0 below the top straight down to zero."""
    return np.clip(TOP * 0.5 * sample_rate / f0_hz - k, 0, 1)


def harmonic_sum(
    phase: np.ndarray, f0_hz: np.ndarray, sample_rate: float, amplitudes: np.ndarray | None = None
) -> np.ndarray:
    """Σ_k a_k c_k cos 2πkφ over all harmonics with amplitudes (harmonics, samples), or of one."""
    count = int(0.5 * sample_rate / f0_hz.min()) + 1 if amplitudes is None else len(amplitudes)
    total = np.zeros(len(phase))
    for k in range(1, count + 1):
        amplitude = 1.0 if amplitudes is None else amplitudes[k - 1]
        total += amplitude * fade(f0_hz, k, sample_rate) * np.cos(2 * np.pi * k * phase)
    return total


def pulse_gain(f0_hz: np.ndarray, sample_rate: float) -> np.ndarray:
    """Gain that brings the fading harmonics to power one, and lets a single one fade away."""
    count = int(0.5 * sample_rate / f0_hz.min()) + 1
    power = sum(fade(f0_hz, k, sample_rate) ** 2 for k in range(1, count + 1))
    return np.sqrt(2 / np.maximum(power, 1))


def pulse_train(phase: np.ndarray, f0_hz: np.ndarray, sample_rate: float) -> np.ndarray:
    """Equally strong harmonics at power one, as an explicit sum of cosines."""
    return pulse_gain(f0_hz, sample_rate) * harmonic_sum(phase, f0_hz, sample_rate)


def short_time_filter(signal: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """Frame by frame: window, transform, multiply, transform back, window, add.

    ``responses`` (steps, bins), complex: the one of step s for the frame centred on sample s * hop,
    the first and last ones beyond the ends.
    """
    steps, bins = responses.shape
    n_fft, hop = 2 * (bins - 1), len(signal) // steps
    n = np.arange(n_fft)
    window = np.sin(np.pi * n / n_fft) * np.sqrt(2 * hop / n_fft)
    padded = np.concatenate([np.zeros(n_fft), signal, np.zeros(n_fft)])
    total = np.zeros(len(padded))
    for s in range(-(n_fft // hop), steps + n_fft // hop):
        first = n_fft + s * hop - n_fft // 2
        if first < 0 or first + n_fft > len(padded):
            continue
        frame = window * padded[first : first + n_fft]
        filtered = np.fft.irfft(np.fft.rfft(frame) * responses[min(max(s, 0), steps - 1)], n_fft)
        total[first : first + n_fft] += window * filtered
    return total[n_fft : n_fft + len(signal)]


def filter_frames(signal: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Each sample, times the taps (frames, taps) of its frame, added around where it stands."""
    hop, (_, count) = len(signal) // len(taps), taps.shape
    total = np.zeros(len(signal) + 2 * count)
    for n, value in enumerate(signal):
        for m in range(count):
            total[count + n + m - count // 2] += value * taps[n // hop, m]
    return total[count : count + len(signal)]


def filter_samples(signal: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Each output a sum over taps (samples, taps) of its own, their middle on the sample itself."""
    count = taps.shape[1]
    padded = np.concatenate([np.zeros(count), signal, np.zeros(count)])
    return np.array(
        [
            sum(taps[n, m] * padded[count + n + count // 2 - m] for m in range(count))
            for n in range(len(signal))
        ]
    )


def all_pole(signal: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """y[n] = x[n] - Σ a_i y[n - i], with the coefficients (frames, order) of the sample's frame."""
    hop, (_, order) = len(signal) // len(coefficients), coefficients.shape
    output = np.zeros(len(signal) + order)
    for n, value in enumerate(signal):
        past = output[n : n + order][::-1]
        output[order + n] = value - coefficients[n // hop] @ past
    return output[order:]
