"""Residual reverberation of a processed signal, given the dry recording."""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import nnls
from torch import Tensor

from studies.dereverberation.rooms import RATE
from vocoder.errors import VocoderError

FRAME, HOP, LAGS = 256, 128, 125
"""Samples, and hops: answers of up to one second."""
STEP_S = HOP / RATE
EARLY = 6
"""Free lags, 48 ms; later lags decay exponentially. If all were free, each would absorb modelling
errors, and the sum of a hundred would ring for seconds."""
T60_S = np.geomspace(0.1, 2.0, 40)
"""Tried for the exponential."""
EDGES_HZ = (125, 250, 500, 1000, 2000, 4000, 8000)
"""Octaves: each has a response of its own."""


def energy_response(
    dry: Float[Tensor, " samples"], output: Float[Tensor, " samples"]
) -> Float[Tensor, " lags"]:
    """Energy response: output energy 0, 8, 16 … ms after unit energy of the dry recording.

    In each octave the output's frame energies are fitted by non-negative least squares as a sum of
    delayed dry energies: 48 ms of any shape and an exponential tail, whose T60 is searched. The
    result is the mean of the octaves' responses, each of sum one. It is independent of phase, so
    that a vocoder's output can be measured.

    Raises:
        VocoderError: an output unrelated to the dry recording.
    """
    octaves = [_response(x, y) for x, y in zip(_energies(dry), _energies(output), strict=True)]
    return torch.from_numpy(np.mean(octaves, axis=0)).float()


def _response(x: np.ndarray, y: np.ndarray) -> Float[np.ndarray, " lags"]:
    """That of one octave."""
    lags = np.arange(LAGS)
    # Frames are weighted by level; otherwise a few loud vowels would dominate.
    weight = 1 / np.sqrt(y + 1e-3 * y.mean())
    best, answer = np.inf, np.zeros(LAGS)
    for t60_s in T60_S:
        shapes = np.zeros((EARLY + 1, LAGS))
        shapes[:EARLY, :EARLY] = np.eye(EARLY)
        shapes[EARLY, EARLY:] = 10 ** (-6 * lags[EARLY:] * STEP_S / t60_s)
        columns = np.stack([np.convolve(x, shape)[: len(x)] for shape in shapes], axis=1)
        found, error = nnls(columns * weight[:, None], y * weight)
        if error < best:
            best, answer = error, found @ shapes
    if not answer.sum() > 0:
        raise VocoderError("the output owes nothing to the dry recording: are they a pair?")
    return answer / answer.sum()


def _energies(signal: Tensor) -> Float[np.ndarray, "octaves frames"]:
    """Energy in each octave, frame by frame."""
    window = torch.hann_window(FRAME, dtype=torch.float64)
    power = (
        torch.stft(signal.double(), FRAME, HOP, window=window, return_complex=True).abs().square()
    )
    hz = torch.arange(len(power)) * (RATE / FRAME)
    bands = [power[(hz >= low) & (hz < high)].sum(dim=0) for low, high in pairwise(EDGES_HZ)]
    return torch.stack(bands).numpy()
