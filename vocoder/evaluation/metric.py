"""The description of a metric, also for user-defined metrics."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from vocoder.metrics.signals import Signal


@dataclass(frozen=True)
class Metric:
    """Computation and interpretation of one column of scores.

    Attributes:
        label: heading in tables, with the unit.
        measure: f(reference, estimate, sample_rate); shared by the columns of one result.
        field: the attribute of the result that is this column; None if the result is a number.
        better: direction of better scores.
        decimals: how many to show.
        convention: description of the measurement, in one line.
        banded: the metric exists "to 7 kHz" too, under its name with `_7k`.
        undefined: the reason shown if the result is NaN.
        ready: raises a VocoderError when an optional package is missing.
        intrusive: the estimate is compared with the recording, so that the recording itself gets
            the best score by definition; False for a metric of the estimate alone.
        version: increased whenever a change of code or weights changes scores; cached scores of
            another version are recomputed.
        measures_level: it measures the estimate's level, and gets the original estimate if levels
            are matched for the other metrics.
        packages: distributions (pip's names) used, besides numpy, soundfile, soxr and torch; cached
            scores from other versions of them are recomputed.
        timeout_s: seconds after which a pair fails. Code that never returns to Python, and the
            threads of a Dask worker, are not interrupted.
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
    timeout_s: float = 600.0
