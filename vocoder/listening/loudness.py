"""Programme loudness of one channel, for level alignment of stimuli."""

import numpy as np
import pyloudnorm
from jaxtyping import Float

BLOCK_S = 0.4
STEP_S = 0.1


def loudness_lufs(waveform: Float[np.ndarray, " samples"], sample_rate: int) -> float:
    """Integrated loudness of a mono signal in LUFS, by pyloudnorm; −inf for silence.

    L = −0.691 + 10 log10(mean square of the K-weighted signal), over blocks of 400 ms every
    100 ms; those below −70 LUFS are left out, and then those more than 10 LU below the mean of
    the rest. A signal shorter than one block is one block; an incomplete last block is excluded. A
    sine of 997 Hz at full scale has −3.01 LUFS.

    The standard defines its filters at 48 kHz; at 16 kHz the result differs by up to 0.1 LU.

    Args:
        waveform: in [-1, 1].
        sample_rate: Hz.

    Source: Recommendation ITU-R BS.1770-4 (2015), annex 1; filters at other rates than 48 kHz: De
    Man, "Evaluation of implementations of the EBU R128 loudness measurement", AES 145, 2018.
    """
    signal = np.asarray(waveform, dtype=np.float64)
    block, step = round(BLOCK_S * sample_rate), round(STEP_S * sample_rate)
    if len(signal) > block:
        # pyloudnorm counts an incomplete last block as if the rest of it were silent.
        signal = signal[: block + (len(signal) - block) // step * step]
    block_s = min(BLOCK_S, len(signal) / sample_rate)
    # "DeMan" matches the standard's coefficients at 48 kHz, "K-weighting" approximates them.
    meter = pyloudnorm.Meter(sample_rate, filter_class="DeMan", block_size=block_s)
    return float(meter.integrated_loudness(signal))
