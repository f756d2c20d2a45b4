"""Adaptive filters as plain loops over samples and taps; each returns outputs and all taps."""

import numpy as np

Run = tuple[np.ndarray, np.ndarray]


def window(signal: np.ndarray, n: int, count: int) -> np.ndarray:
    """(x[n], x[n-1], …), zero before the beginning."""
    return np.array([signal[n - m] if n >= m else 0.0 for m in range(count)])


def lms(signal: np.ndarray, target: np.ndarray, count: int, step: float) -> Run:
    taps, outputs, history = np.zeros(count), [], []
    for n in range(len(signal)):
        x = window(signal, n, count)
        history.append(taps.copy())
        outputs.append(sum(taps * x))
        taps = taps + step * (target[n] - outputs[-1]) * x
    return np.array(outputs), np.array(history)


def nlms(signal: np.ndarray, target: np.ndarray, count: int, step: float, delta: float) -> Run:
    taps, outputs, history = np.zeros(count), [], []
    for n in range(len(signal)):
        x = window(signal, n, count)
        history.append(taps.copy())
        outputs.append(sum(taps * x))
        taps = taps + step * (target[n] - outputs[-1]) * x / (delta + sum(x * x))
    return np.array(outputs), np.array(history)


def rls(signal: np.ndarray, target: np.ndarray, count: int, forget: float, delta: float) -> Run:
    """No recursion: at each sample the weighted normal equations of all before are solved."""
    outputs, history = [], []
    for n in range(len(signal)):
        correlation, cross = forget**n * delta * np.eye(count), np.zeros(count)
        for m in range(n):
            x = window(signal, m, count)
            correlation += forget ** (n - 1 - m) * np.outer(x, x)
            cross += forget ** (n - 1 - m) * target[m] * x
        taps = np.linalg.solve(correlation, cross)
        history.append(taps)
        outputs.append(taps @ window(signal, n, count))
    return np.array(outputs), np.array(history)


def affine_projection(
    signal: np.ndarray, target: np.ndarray, count: int, order: int, step: float, delta: float
) -> Run:
    taps, outputs, history = np.zeros(count), [], []
    for n in range(len(signal)):
        rows = [window(signal, n - p, count) if n >= p else np.zeros(count) for p in range(order)]
        wanted = [target[n - p] if n >= p else 0.0 for p in range(order)]
        matrix = np.array(rows)
        history.append(taps.copy())
        outputs.append(taps @ rows[0])
        error = np.array(wanted) - matrix @ taps
        taps = taps + step * matrix.T @ np.linalg.inv(matrix @ matrix.T + delta * np.eye(order)) @ (
            error
        )
    return np.array(outputs), np.array(history)
