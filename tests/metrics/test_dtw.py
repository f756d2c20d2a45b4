import numpy as np
import pytest

from vocoder.errors import AudioError
from vocoder.metrics.dtw import warped_distance


def oracle(first: np.ndarray, second: np.ndarray) -> float:
    """The whole table, cell by cell, with backtracking."""
    n, m = len(first), len(second)
    cost = np.full((n + 1, m + 1), np.inf)
    cost[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            distance = np.sqrt(((first[i - 1] - second[j - 1]) ** 2).sum())
            before = min(cost[i - 1, j - 1], cost[i - 1, j], cost[i, j - 1])
            cost[i, j] = distance + before
    i, j, pairs = n, m, 0
    while i > 0:
        pairs += 1
        steps = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        i, j = min(steps, key=lambda cell: cost[cell])
    return float(cost[n, m] / pairs)


def walks(n: int, m: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.RandomState(seed)
    return draw.randn(n, 4).cumsum(0), draw.randn(m, 4).cumsum(0)


def test_is_what_the_whole_table_gives():
    for n, m in [(1, 1), (1, 6), (6, 1), (2, 2), (9, 4), (30, 37)]:
        for seed in [0, 1]:
            first, second = walks(n, m, seed)
            assert warped_distance(first, second) == pytest.approx(oracle(first, second), rel=1e-12)
            assert warped_distance(second, first) == pytest.approx(oracle(first, second), rel=1e-12)


def test_a_sequence_played_slower_is_the_same():
    first, _ = walks(20, 1)
    assert warped_distance(first, np.repeat(first, 3, axis=0)) == 0.0
    assert warped_distance(first, first) == 0.0


def test_a_delay_is_warped_away():
    walk, _ = walks(60, 1)
    first, second = walk[5:55], walk[2:52]
    direct = np.linalg.norm(first - second, axis=1).mean()
    assert warped_distance(first, second) < 0.3 * direct


def test_a_constant_offset_is_its_length():
    still = np.ones((10, 3))
    assert warped_distance(still, still[:7] + np.array([0.0, 3.0, 4.0])) == pytest.approx(5.0)


def test_no_frames_are_refused():
    with pytest.raises(AudioError, match="no path between 0 and 3 frames"):
        warped_distance(np.ones((0, 2)), np.ones((3, 2)))
