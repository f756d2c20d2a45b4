"""Confidence intervals by resampling the utterances."""

from collections.abc import Sequence

import numpy as np

from vocoder.errors import VocoderError

_BLOCK = 1_000_000


def bootstrap_interval(
    values: Sequence[float], level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean.

    The mean of `resamples` samples drawn with replacement, each as large as `values`; the
    interval is between their (1 - level) / 2 and (1 + level) / 2 quantiles. The utterances are
    what is drawn: nothing is said about other speakers or another training run. For fewer than
    some ten values it is too narrow.

    Args:
        values: one number an utterance, at least two, finite.
        level: probability that the interval is to cover, in (0, 1).
        resamples: how many samples are drawn.
        seed: of the drawing, so that the same scores give the same interval.

    Raises:
        VocoderError: fewer than two values, or one that is not finite.

    Source: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or len(scores) < 2 or not np.isfinite(scores).all():
        raise VocoderError("a bootstrap interval needs at least two finite values")
    draw = np.random.default_rng(seed)
    # As many samples at a time as fit into some megabytes; the numbers drawn are the same ones.
    block = max(1, _BLOCK // len(scores))
    sizes = [min(block, resamples - start) for start in range(0, resamples, block)]
    drawn = (scores[draw.integers(len(scores), size=(size, len(scores)))] for size in sizes)
    means = np.concatenate([sample.mean(axis=1) for sample in drawn])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
