"""The families that compete."""

from egs.studies.iir_or_fir.all_pole import AllPole
from egs.studies.iir_or_fir.family import Family
from egs.studies.iir_or_fir.finite import LinearPhase, MinimumPhase
from egs.studies.iir_or_fir.recursive import Bank, Biquads, PoleMixing

FAMILIES: tuple[type[Family], ...] = (
    LinearPhase,
    MinimumPhase,
    AllPole,
    Biquads,
    Bank,
    PoleMixing,
)
