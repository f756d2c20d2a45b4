"""Slow float64 oracles of the time-varying IIR filters: loops over samples."""

import numpy as np


def all_pole(signal: np.ndarray, coefficients: np.ndarray, past: np.ndarray) -> np.ndarray:
    """y[n] = x[n] - Σ a_i[n] y[n - i]; ``past`` outputs, oldest first."""
    output = list(past)
    for value, a in zip(signal, coefficients, strict=True):
        output.append(value - sum(a[i] * output[-1 - i] for i in range(len(a))))
    return np.array(output[len(past) :])


def lattice(signal: np.ndarray, reflection: np.ndarray) -> np.ndarray:
    """Normalised ladder, one rotation after another; f falls, b rises."""
    order = reflection.shape[1]
    b, output = np.zeros(order), np.zeros(len(signal))
    for n, f in enumerate(signal):
        new = np.zeros(order + 1)
        for i in range(order, 0, -1):
            k = reflection[n, i - 1]
            c = np.sqrt(1 - k * k)
            f, new[i] = c * f - k * b[i - 1], k * f + c * b[i - 1]
        new[0] = output[n] = f
        b = new[:order]
    return output


def biquad(signal: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Direct form II transposed: b0 b1 b2 a1 a2 for every sample."""
    output, s1, s2 = np.zeros(len(signal)), 0.0, 0.0
    for n, x in enumerate(signal):
        b0, b1, b2, a1, a2 = coefficients[n]
        y = b0 * x + s1
        s1, s2 = b1 * x - a1 * y + s2, b2 * x - a2 * y
        output[n] = y
    return output


def state_variable(
    signal: np.ndarray, g: np.ndarray, damping: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Low, band, high: the trapezoidal integrators solved by a linear system at every sample."""
    s1 = s2 = 0.0
    outputs = []
    for x, gain, k in zip(signal, g, damping, strict=True):
        # Unknown high, band, low: their sum, and each integrator at the middle of its step.
        system = np.array([[1.0, k, 1.0], [-gain, 1.0, 0.0], [0.0, -gain, 1.0]])
        high, band, low = np.linalg.solve(system, np.array([x, s1, s2]))
        s1, s2 = 2 * band - s1, 2 * low - s2
        outputs.append((low, band, high))
    low, band, high = np.array(outputs).T
    return low, band, high


def four_pole(signal: np.ndarray, g: np.ndarray, resonance: np.ndarray) -> np.ndarray:
    """The input of the first stage and the outputs of the four, (samples, 5)."""
    states, outputs = np.zeros(4), []
    for x, gain, r in zip(signal, g, resonance, strict=True):
        # u + r y4 = x, and each stage y_i = s_i + g (y_{i-1} - y_i).
        system = np.diag([1.0] + [1 + gain] * 4) - np.diag([gain] * 4, k=-1)
        system[0, 4] = r
        taps = np.linalg.solve(system, np.concatenate([[x], states]))
        states = 2 * taps[1:] - states
        outputs.append(taps)
    return np.array(outputs)
