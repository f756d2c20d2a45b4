"""The description of a metric, also for user-defined metrics."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from vocoder.metrics.signals import Signal


@dataclass(frozen=True)
class Metric:
    """How one column of scores is computed and read.

    Attributes:
        label: heading in tables, with the unit.
        measure: f(reference, estimate, sample_rate); shared by the columns of one result.
        field: the attribute of the result that is this column; None if the result is a number.
        better: direction of better scores.
        decimals: how many to show.
        convention: what was measured, in one line.
        banded: the metric exists "to 7 kHz" too, under its name with `_7k`.
        undefined: why there is no number where the result is NaN.
        ready: raises a VocoderError when an optional package is missing.
        intrusive: the estimate is measured against the recording, so that the recording itself gets
            the best score by definition; False for a metric that judges the estimate alone.
        version: raised whenever a change of code or weights gives the same signals another score;
            remembered scores of another version are measured again.
        measures_level: it is about the estimate's own level, and gets the estimate unmatched where
            levels are matched for the other metrics.
        packages: distributions (pip's names) that compute the number, besides numpy, soundfile,
            soxr and torch; scores remembered from other versions of them are measured again.
    """

    label: str
    measure: Callable[[Signal, Signal, int], object]
    field: str | None
    better: Literal["higher", "lower"]
    decimals: int
    convention: str
    banded: bool = False
    undefined: str = "not a number"
    ready: Callable[[], None] | None = None
    intrusive: bool = True
    version: int = 1
    measures_level: bool = False
    packages: tuple[str, ...] = ()
