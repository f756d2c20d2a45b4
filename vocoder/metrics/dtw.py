"""Dynamic time warping of two sequences of frames."""

import numpy as np
from jaxtyping import Float

from vocoder.errors import AudioError


def warped_distance(
    first: Float[np.ndarray, "frames coefficients"],
    second: Float[np.ndarray, "other_frames coefficients"],
) -> float:
    """Mean Euclidean distance of the frames that the best warping path brings together.

    The path goes from both first frames to both last ones in steps of one frame in either
    sequence or in both, each weighing one, such that the sum of the distances on it,

        D(i, j) = d(i, j) + min(D(i - 1, j - 1), D(i - 1, j), D(i, j - 1)),

    is the least of all; the mean is that sum over the number of pairs on the path. Where steps
    cost the same, the diagonal one is taken. Exact, in time n · m and memory n + m: the cells of
    an antidiagonal do not depend on each other and are computed at once.

    Raises:
        AudioError: a sequence is empty.

    Source: Sakoe, Chiba, "Dynamic programming algorithm optimization for spoken word
    recognition", IEEE TASSP 26(1), 1978, their symmetric form without slope weights.
    """
    n, m = len(first), len(second)
    if n == 0 or m == 0:
        raise AudioError(f"no path between {n} and {m} frames")
    # Of the last two antidiagonals, by i + 1: the cost up to a cell and the pairs on its path.
    nowhere = np.full(n + 1, np.inf)
    before, last = (nowhere.copy(), np.zeros(n + 1)), (nowhere.copy(), np.zeros(n + 1))
    before[0][0] = 0.0  # the step to (0, 0) is a diagonal one from outside
    for diagonal in range(n + m - 1):
        i = np.arange(max(0, diagonal - m + 1), min(n, diagonal + 1))
        distance = np.linalg.norm(first[i] - second[diagonal - i], axis=1)
        steps = np.stack([before[0][i], last[0][i], last[0][i + 1]])
        pairs = np.stack([before[1][i], last[1][i], last[1][i + 1]])
        best = steps.argmin(0)
        cell = np.arange(len(i))
        current = (nowhere.copy(), np.zeros(n + 1))
        current[0][i + 1] = steps[best, cell] + distance
        current[1][i + 1] = pairs[best, cell] + 1
        before, last = last, current
    return float(last[0][n] / last[1][n])
