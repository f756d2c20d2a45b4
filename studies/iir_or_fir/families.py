"""The compared filter families."""

from studies.iir_or_fir.all_pole import AllPole
from studies.iir_or_fir.family import Family
from studies.iir_or_fir.finite import LinearPhase, MinimumPhase
from studies.iir_or_fir.recursive import Bank, Biquads, PoleMixing

FAMILIES: tuple[type[Family], ...] = (
    LinearPhase,
    MinimumPhase,
    AllPole,
    Biquads,
    Bank,
    PoleMixing,
)
