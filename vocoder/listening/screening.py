"""Post-screening of a MUSHRA panel: excluded assessors and outlying grades."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from vocoder.errors import VocoderError

GRADE = 90.0
"""Grades of the hidden reference below it, or of the mid anchor above it, count as errors."""
ALLOWED = 0.15
"""Largest allowed fraction of items with such errors."""
WAIVED = 0.25
"""Fraction of assessors grading an item's mid anchor too high, above which the item is waived."""
OUTLIER_IQR = 1.5


@dataclass(frozen=True)
class Screening:
    """The result of post-screening a panel.

    Attributes:
        reference_low: per assessor, fraction of the items whose hidden reference got below 90.
        anchor_high: per assessor, fraction of the items, except those waived, whose mid anchor got
            above 90; 0 if all are waived.
        waived: per item, whether too many assessors graded its mid anchor above 90, so that the
            anchor was hardly impaired.
    """

    reference_low: Float[np.ndarray, " assessors"]
    anchor_high: Float[np.ndarray, " assessors"]
    waived: Bool[np.ndarray, " items"]

    @property
    def kept(self) -> Bool[np.ndarray, " assessors"]:
        """Which assessors are kept."""
        return (self.reference_low <= ALLOWED) & (self.anchor_high <= ALLOWED)


def screen(
    reference: Float[np.ndarray, "assessors items"],
    mid_anchor: Float[np.ndarray, "assessors items"],
) -> Screening:
    """Post-screening by the two rules of the standard.

    An assessor is excluded for grading the hidden reference below 90 in more than 15 % of the
    items, or the mid anchor above 90 in more than 15 % of them. If more than 25 % of the assessors
    grade an item's mid anchor above 90, the second rule ignores that item.

    Args:
        reference: grades of the hidden reference, 0 to 100.
        mid_anchor: grades of the 7 kHz anchor.

    Raises:
        VocoderError: the shapes differ or there are no grades.

    Source: Recommendation ITU-R BS.1534-3 (2015), section 4.1.2.
    """
    if reference.shape != mid_anchor.shape or reference.ndim != 2 or reference.size == 0:
        raise VocoderError(
            "grades of shape (assessors, items) are needed for reference and mid anchor, "
            f"got {reference.shape} and {mid_anchor.shape}"
        )
    high = mid_anchor > GRADE
    waived = high.mean(axis=0) > WAIVED
    considered = high[:, ~waived]
    return Screening(
        reference_low=(reference < GRADE).mean(axis=1),
        anchor_high=considered.mean(axis=1) if considered.size else np.zeros(len(high)),
        waived=waived,
    )


def quartiles(values: Float[np.ndarray, " values"]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile, as the standard defines them.

    The quartiles are the medians of the lower and upper half of the ordered values; if their number
    is odd, the middle one belongs to both halves.

    Raises VocoderError without values.

    Source: BS.1534-3, section 4.1.2.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if ordered.ndim != 1 or ordered.size == 0:
        raise VocoderError("quartiles need at least one value")
    half = (ordered.size + 1) // 2
    lower, middle, upper = (
        float(np.median(part)) for part in (ordered[:half], ordered, ordered[-half:])
    )
    return lower, middle, upper


def outliers(values: Float[np.ndarray, " values"]) -> Bool[np.ndarray, " values"]:
    """Which values lie more than 1.5 interquartile ranges outside the quartiles.

    The standard requires examining their reason, and removing only proven errors; nothing is
    removed here.

    Source: BS.1534-3, section 4.1.2.
    """
    lower, _, upper = quartiles(values)
    reach = OUTLIER_IQR * (upper - lower)
    return (values < lower - reach) | (values > upper + reach)
