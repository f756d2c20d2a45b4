"""Complex cepstra of polynomials, from their roots."""

import numpy as np


def complex_cepstrum(signal: np.ndarray, n_fft: int) -> tuple[np.ndarray, float, int]:
    """Cepstrum (c[n] at n % n_fft, not wrapped around), sign and delay.

    x is A z^-d Π (1 - a z^-1) Π (1 - b z), a inside and 1/b outside the unit circle; c[0] = log|A|,
    c[n] = -Σ a^n / n for n > 0 and Σ b^-n / n for n < 0. Leading zeros of x are delay.
    """
    first = int(np.flatnonzero(signal)[0])
    roots = np.roots(signal[first:])
    inside, outside = roots[np.abs(roots) < 1], roots[np.abs(roots) > 1]
    gain = signal[first] * np.prod(-outside).real
    cepstrum = np.zeros(n_fft)
    cepstrum[0] = np.log(abs(gain))
    for n in range(1, n_fft // 2):
        cepstrum[n] = -(inside**n).sum().real / n
        cepstrum[-n] = -((1 / outside) ** n).sum().real / n
    return cepstrum, float(np.sign(gain)), first + len(outside)
