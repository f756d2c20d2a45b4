"""The paired comparisons of a metric: those shown at once, and those folded away."""

from collections.abc import Sequence
from dataclasses import dataclass

from vocoder.evaluation.comparison import Comparison


@dataclass(frozen=True)
class ComparisonView:
    """The comparisons on one metric, as sentences.

    Attributes:
        with_best: about the best system and each other one, as far as they can show a difference.
        others: all other pairs.
    """

    with_best: tuple[str, ...]
    others: tuple[str, ...]


def comparison_view(
    comparisons: Sequence[Comparison], metric: str, best: str | None
) -> ComparisonView:
    """Sort the comparisons on a metric into those to be shown at once and the others."""
    own = [comparison for comparison in comparisons if comparison.metric == metric]
    first = [best in (c.a, c.b) and not c.too_few for c in own]
    return ComparisonView(
        with_best=tuple(c.sentence for c, at_once in zip(own, first, strict=True) if at_once),
        others=tuple(c.sentence for c, at_once in zip(own, first, strict=True) if not at_once),
    )
