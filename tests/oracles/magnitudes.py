"""Slow float64 oracles for the way from a mel back to a waveform."""

import numpy as np
from scipy.optimize import nnls


def nonnegative_solution(filters: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """min ||filters x - energy||² over x >= 0, frame by frame: (bins, frames)."""
    return np.stack([nnls(filters, frame)[0] for frame in energy.T], axis=1)


def transform(signal: np.ndarray, window: np.ndarray, hop: int) -> np.ndarray:
    """Spectra (bins, frames) of every whole frame, one after the other."""
    n = len(window)
    count = 1 + (len(signal) - n) // hop
    return np.stack(
        [np.fft.rfft(window * signal[t * hop : t * hop + n]) for t in range(count)], axis=1
    )


def inconsistency(signal: np.ndarray, magnitude: np.ndarray, window: np.ndarray, hop: int) -> float:
    """Spectral convergence || |STFT(signal)| - S ||_F / ||S||_F (Sturmel, Daudet 2011)."""
    found = np.abs(transform(signal, window, hop))
    return float(np.linalg.norm(found - magnitude) / np.linalg.norm(magnitude))
