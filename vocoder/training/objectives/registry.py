"""The table of objectives, by model.

A recipe's ``model.name`` picks the row; ``loss.objective`` must be that row's. A model outside the
package names one of these objectives by its class attribute ``objective``.
"""

from typing import Annotated, NamedTuple

from pydantic import Field

from vocoder.errors import suggestion
from vocoder.models.outside import OutsideModelError, is_outside, outside_class
from vocoder.training.objectives.base import Objective, ObjectiveConfig
from vocoder.training.objectives.distillation import DistillationConfig, DistillationObjective
from vocoder.training.objectives.flow import FlowLossConfig, FlowObjective
from vocoder.training.objectives.likelihood import LikelihoodConfig, LikelihoodObjective
from vocoder.training.objectives.source_filter import (
    SourceFilterLossConfig,
    SourceFilterObjective,
)
from vocoder.training.objectives.source_models import (
    DDSPLossConfig,
    DDSPObjective,
    NSFLossConfig,
    NSFObjective,
)
from vocoder.training.objectives.waveform import WaveformConfig, WaveformObjective
from vocoder.training.objectives.wavernn import WaveRNNLossConfig, WaveRNNObjective


class ObjectiveEntry(NamedTuple):
    """One row: the configuration of an objective, and the objective."""

    config: type[ObjectiveConfig]
    objective: type[Objective]

    @property
    def name(self) -> str:
        """Its name in ``loss.objective``."""
        return str(self.config.model_fields["objective"].default)


_WAVEFORM = ObjectiveEntry(WaveformConfig, WaveformObjective)
_LIKELIHOOD = ObjectiveEntry(LikelihoodConfig, LikelihoodObjective)
_FLOW = ObjectiveEntry(FlowLossConfig, FlowObjective)
_WAVERNN = ObjectiveEntry(WaveRNNLossConfig, WaveRNNObjective)

OBJECTIVES = {
    "source_filter": ObjectiveEntry(SourceFilterLossConfig, SourceFilterObjective),
    "wavenet": _LIKELIHOOD,
    "parallel_wavenet": ObjectiveEntry(DistillationConfig, DistillationObjective),
    "wavernn": _WAVERNN,
    "wavernn_dual": _WAVERNN,
    "waveflow": _FLOW,
    "waveglow": _FLOW,
    "nsf": ObjectiveEntry(NSFLossConfig, NSFObjective),
    "ddsp": ObjectiveEntry(DDSPLossConfig, DDSPObjective),
    "hifigan": _WAVEFORM,
    "istftnet": _WAVEFORM,
    "vocos": _WAVEFORM,
}
"""By the name of the model."""


def objective_of(model: str) -> ObjectiveEntry:
    """What a model is trained for, by its name.

    A class outside the package that has no attribute ``objective`` is trained for "waveform",
    which asks for no more than ``model(mel)``.

    Raises:
        KeyError: no row of the table.
        OutsideModelError: a name ``module:Class`` that cannot be used, or whose class names an
            unknown objective.
    """
    if not is_outside(model):
        return OBJECTIVES[model]
    wanted = getattr(outside_class(model), "objective", _WAVEFORM.name)
    rows = {row.name: row for row in OBJECTIVES.values()}
    if wanted not in rows:
        raise OutsideModelError(
            f"its class attribute `objective` is {wanted!r}{suggestion(str(wanted), list(rows))}"
        )
    return rows[wanted]


LossConfig = Annotated[
    SourceFilterLossConfig
    | LikelihoodConfig
    | DistillationConfig
    | WaveRNNLossConfig
    | FlowLossConfig
    | NSFLossConfig
    | DDSPLossConfig
    | WaveformConfig,
    Field(discriminator="objective"),
]
"""The section ``loss`` of a recipe."""
