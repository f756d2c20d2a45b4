"""Programme loudness of one channel, for stimuli that are to be equally loud."""

import math

import numpy as np
from jaxtyping import Float
from scipy.signal import lfilter

BLOCK_S = 0.4
STEP_S = 0.1
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
_OFFSET_LU = -0.691


def loudness_lufs(waveform: Float[np.ndarray, " samples"], sample_rate: int) -> float:
    """Integrated loudness of a mono signal in LUFS; −inf where nothing is above −70 LUFS.

    L = −0.691 + 10 log10(mean square of the K-weighted signal), over blocks of 400 ms every
    100 ms; those below −70 LUFS are left out, and then those more than 10 LU below the mean of
    the rest. A signal shorter than one block is one block. A sine of 997 Hz at full scale has
    −3.01 LUFS.

    Args:
        waveform: in [-1, 1].
        sample_rate: Hz.

    Source: Recommendation ITU-R BS.1770-4 (2015), annex 1.
    """
    weighted = np.asarray(waveform, dtype=np.float64)
    for numerator, denominator in k_weighting(sample_rate):
        weighted = lfilter(numerator, denominator, weighted)
    powers = _block_powers(weighted, sample_rate)
    powers = powers[powers > _power(ABSOLUTE_GATE_LUFS)]
    if powers.size == 0:
        return -math.inf
    powers = powers[powers > powers.mean() * 10 ** (RELATIVE_GATE_LU / 10)]
    return float(_OFFSET_LU + 10 * np.log10(powers.mean()))


def k_weighting(
    sample_rate: int,
) -> list[tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]]:
    """The two second-order sections (b, a) of the K-weighting, at any sample rate.

    The standard tabulates coefficients for 48 kHz only: those of a shelf of 4 dB above 1.7 kHz,
    (V s² + V^0.4997 s/Q + 1) / (s² + s/Q + 1), and of a high-pass at 38 Hz, s² / (s² + s/Q + 1),
    s being the bilinear variable over tan(π f0 / fs). Other rates get the same analogue filters.

    Source: BS.1770-4, tables 1 and 2; the analogue parameters are those of De Man, "Evaluation of
    implementations of the EBU R128 loudness measurement", AES 145, 2018.
    """
    gain = 10 ** (3.999843853973347 / 20)
    K, denominator = _bilinear(1681.974450955533, 0.7071752369554196, sample_rate)
    middle = gain**0.4996667741545416 * K / 0.7071752369554196
    shelf = np.array([gain + middle + K * K, 2 * (K * K - gain), gain - middle + K * K])
    sections = [(shelf / denominator[0], denominator / denominator[0])]

    pole = 38.13547087602444, 0.5003270373238773
    _, denominator = _bilinear(*pole, sample_rate)
    # The table has 1, −2, 1 there, not divided by a0 as the rest is: at 48 kHz, and so at all.
    excess = _bilinear(*pole, 48000)[1][0]
    highpass = np.array([1.0, -2.0, 1.0]) * excess
    return [*sections, (highpass / denominator[0], denominator / denominator[0])]


def _bilinear(
    frequency_hz: float, quality: float, sample_rate: int
) -> tuple[float, Float[np.ndarray, " 3"]]:
    """K = tan(π f0 / fs), and the polynomial in z⁻¹ that s² + s/Q + 1 becomes, times K²."""
    K = math.tan(math.pi * frequency_hz / sample_rate)
    return K, np.array([1 + K / quality + K * K, 2 * (K * K - 1), 1 - K / quality + K * K])


def _block_powers(weighted: Float[np.ndarray, " samples"], sample_rate: int) -> np.ndarray:
    """Mean squares of the blocks of 400 ms, a new one every 100 ms."""
    block = min(round(BLOCK_S * sample_rate), len(weighted))
    step = round(STEP_S * sample_rate)
    squares = np.lib.stride_tricks.sliding_window_view(weighted**2, block)[::step]
    return squares.mean(axis=-1)


def _power(lufs: float) -> float:
    return 10 ** ((lufs - _OFFSET_LU) / 10)
