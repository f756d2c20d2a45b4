"""The one table of metrics that an evaluation can be asked for, by name."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from vocoder.errors import VocoderError
from vocoder.metrics import dnsmos, f0, mel_distance, mstft, pesq
from vocoder.metrics.signals import Signal, lowpass_7k

BAND_SUFFIX = "_7k"


@dataclass(frozen=True)
class Metric:
    """How one column of scores is made and read.

    Attributes:
        label: heading in tables, with the unit.
        measure: f(reference, estimate, sample_rate); shared by the columns of one result.
        field: the attribute of the result that is this column, or None if it is the number.
        better: which way is good.
        decimals: how many to show.
        convention: what was measured, in one line.
        banded: the metric exists "to 7 kHz" too, under its name with `_7k`.
        undefined: why there is no number where the result is NaN.
        ready: raises VocoderError when something optional is missing.
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


_NOT_VOICED = "no frame is voiced in both signals"

# fmt: off
METRICS: dict[str, Metric] = {
    "pesq": Metric("PESQ-WB", pesq.pesq_wb, None, "higher", 3, pesq.CONVENTION, banded=True),
    "mstft": Metric("M-STFT", mstft.mstft, None, "lower", 3, mstft.CONVENTION, banded=True),
    "mel_distance": Metric("mel distance (Np)", mel_distance.mel_distance, None, "lower", 3,
                           mel_distance.CONVENTION, banded=True),
    "f0_rmse_cents": Metric("F0 RMSE (cents)", f0.f0_errors, "rmse_cents", "lower", 1,
                            f0.CONVENTION, undefined=_NOT_VOICED),
    "f0_fine_rmse_cents": Metric("F0 RMSE without gross errors (cents)", f0.f0_errors,
                                 "fine_rmse_cents", "lower", 1, f0.CONVENTION,
                                 undefined=_NOT_VOICED),
    "gross_pitch_error": Metric("gross pitch error", f0.f0_errors, "gross_pitch_error", "lower", 4,
                                f0.CONVENTION, undefined=_NOT_VOICED),
    "voicing_error": Metric("V/UV error", f0.f0_errors, "voicing_error", "lower", 4,
                            f0.CONVENTION),
    "dnsmos": Metric("DNSMOS overall", dnsmos.dnsmos, "overall", "higher", 3, dnsmos.CONVENTION,
                     ready=dnsmos.require_dnsmos),
    "dnsmos_p808": Metric("DNSMOS P.808", dnsmos.dnsmos, "p808", "higher", 3, dnsmos.CONVENTION,
                          ready=dnsmos.require_dnsmos),
}
# fmt: on

DEFAULT_METRICS = ("pesq", "mstft", "mel_distance", "f0_rmse_cents", "voicing_error")


@dataclass(frozen=True)
class Column:
    """One column of an evaluation: a metric, full band or to 7 kHz."""

    name: str
    metric: Metric
    to_7k: bool

    @property
    def label(self) -> str:
        """Heading in tables."""
        return f"{self.metric.label}, to 7 kHz" if self.to_7k else self.metric.label

    @property
    def convention(self) -> str:
        """What the numbers mean, in one line."""
        if self.to_7k:
            return f"{self.label}: as in the full band, after a low-pass at 7 kHz on both signals"
        return self.metric.convention

    @property
    def source(self) -> tuple[object, bool]:
        """Equal for the columns that one call measures."""
        return self.metric.measure, self.to_7k

    def measure(self, reference: Signal, estimate: Signal, sample_rate: int) -> object:
        """The metric's result, in this column's band."""
        if self.to_7k:
            reference, estimate = (lowpass_7k(x, sample_rate) for x in (reference, estimate))
        return self.metric.measure(reference, estimate, sample_rate)

    def value(self, result: object) -> float:
        """This column's number in a result of `measure`; NaN where it is not defined."""
        number = result if self.metric.field is None else getattr(result, self.metric.field)
        assert isinstance(number, int | float)
        return float(number)


def resolve_columns(names: Sequence[str], to_7k: bool = False) -> list[Column]:
    """Columns for names such as "pesq" or "pesq_7k", each once, in the order given.

    Args:
        names: keys of `METRICS`; those that have a 7 kHz variant may end in `_7k`.
        to_7k: add that variant after each metric that has one.

    Raises:
        VocoderError: no names, an unknown name (the nearest valid one is named), or a metric
            whose optional packages are missing.
    """
    valid = [*METRICS, *(name + BAND_SUFFIX for name, metric in METRICS.items() if metric.banded)]
    columns: dict[str, Column] = {}
    for name in names:
        if name not in valid:
            near = difflib.get_close_matches(name, valid, 1, cutoff=0.0)[0]
            raise VocoderError(
                f"no metric {name!r}; did you mean {near!r}? There are: {', '.join(valid)}"
            )
        metric = METRICS[name.removesuffix(BAND_SUFFIX)]
        columns[name] = Column(name, metric, name.endswith(BAND_SUFFIX))
        if to_7k and metric.banded and not name.endswith(BAND_SUFFIX):
            columns.setdefault(name + BAND_SUFFIX, Column(name + BAND_SUFFIX, metric, True))
    if not columns:
        raise VocoderError(f"no metric to evaluate; name some of: {', '.join(valid)}")
    for column in columns.values():
        if column.metric.ready is not None:
            column.metric.ready()
    return list(columns.values())
