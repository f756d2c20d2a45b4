"""The table of objectives, by model.

A recipe's ``model.name`` picks the row; ``loss.objective`` must be that row's.
"""

from typing import Annotated, NamedTuple

from pydantic import Field

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
