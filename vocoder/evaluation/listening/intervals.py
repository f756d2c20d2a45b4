"""Confidence intervals for listening tests: of mean grades, and of proportions."""

import numpy as np
from jaxtyping import Float
from scipy.stats import beta, t

from vocoder.errors import VocoderError

LEVEL = 0.95


def t_interval(
    values: Float[np.ndarray, " values"], level: float = LEVEL
) -> tuple[float, float] | None:
    """Interval of the mean by Student's t: mean ± t s / √n, with n − 1 degrees of freedom.

    Args:
        values: independent of each other, such as one mean grade an assessor.
        level: probability that the interval is to cover.

    Returns:
        Its ends; None for fewer than two values.

    Source: Recommendation ITU-R BS.1534-1 (2003), section 9.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size < 2:
        return None
    reach = t.ppf((1 + level) / 2, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size)
    return float(values.mean() - reach), float(values.mean() + reach)


def crossed_bootstrap(
    values: Float[np.ndarray, "assessors items"],
    level: float = LEVEL,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Percentile interval of the mean where both other assessors and other items were possible.

    Assessors and items are drawn with replacement, independently of each other, and the mean over
    all their pairs is taken; the interval is between the (1 ± level) / 2 quantiles of those
    means. It is wider than one that draws assessors only, and errs on the wide side.

    Returns:
        Its ends; None for fewer than two assessors or two items.

    Source: Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007.
    """
    values = np.asarray(values, dtype=np.float64)
    assessors, items = values.shape
    if min(assessors, items) < 2:
        return None
    draw = np.random.default_rng(seed)
    # How often each is drawn; the mean over all pairs is then a product of the two counts.
    of_assessors = draw.multinomial(assessors, np.full(assessors, 1 / assessors), resamples)
    of_items = draw.multinomial(items, np.full(items, 1 / items), resamples)
    means = np.einsum("ra,ai,ri->r", of_assessors, values, of_items) / values.size
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def clopper_pearson(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Exact interval of a proportion: it covers with at least the level's probability.

    Raises VocoderError where there are no trials, or not 0 ≤ successes ≤ trials.

    Source: Clopper, Pearson, "The use of confidence or fiducial limits illustrated in the case of
    the binomial", Biometrika 26(4), 1934.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise VocoderError(f"{successes} successes in {trials} trials give no proportion")
    tail = (1 - level) / 2
    low = beta.ppf(tail, successes, trials - successes + 1) if successes > 0 else 0.0
    high = beta.ppf(1 - tail, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)
