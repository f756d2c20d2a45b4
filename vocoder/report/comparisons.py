"""The paired comparisons of a metric: visible and collapsed ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from vocoder.evaluation.comparison import Comparison


@dataclass(frozen=True)
class ComparisonView:
    """The comparisons on one metric, as sentences.

    Attributes:
        with_best: between the best system and each other one, if they can show a difference.
        others: all other pairs.
    """

    with_best: tuple[str, ...]
    others: tuple[str, ...]


def comparison_view(
    comparisons: Sequence[Comparison], metric: str, best: str | None
) -> ComparisonView:
    """Split the comparisons on a metric into visible and collapsed ones."""
    own = [comparison for comparison in comparisons if comparison.metric == metric]
    first = [best in (c.a, c.b) and not c.too_few for c in own]
    return ComparisonView(
        with_best=tuple(c.sentence for c, at_once in zip(own, first, strict=True) if at_once),
        others=tuple(c.sentence for c, at_once in zip(own, first, strict=True) if not at_once),
    )
