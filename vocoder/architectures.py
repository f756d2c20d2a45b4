"""The one table of architectures: which model, trained for what, after whom.

A recipe's ``model.name`` picks the row; ``loss.objective`` must be that row's.
"""

from typing import Annotated, NamedTuple

from pydantic import Field

from vocoder.config import Config
from vocoder.models.base import Vocoder
from vocoder.models.hifigan import HiFiGAN, HiFiGANConfig
from vocoder.models.istftnet import ISTFTNet, ISTFTNetConfig
from vocoder.models.source_filter import SourceFilter, SourceFilterConfig
from vocoder.models.vocos import Vocos, VocosConfig
from vocoder.training.objectives.base import Objective
from vocoder.training.objectives.source_filter import LossConfig, SourceFilterObjective
from vocoder.training.objectives.waveform import WaveformConfig, WaveformObjective


class Architecture(NamedTuple):
    """One row: configuration and class of the model, of its objective, and the paper."""

    config: type[Config]
    model: type[Vocoder]
    loss: type[Config]
    objective: type[Objective]
    source: str


ARCHITECTURES = {
    "source_filter": Architecture(
        SourceFilterConfig, SourceFilter, LossConfig, SourceFilterObjective, "this project"
    ),
    "hifigan": Architecture(
        HiFiGANConfig, HiFiGAN, WaveformConfig, WaveformObjective, "arXiv 2010.05646"
    ),
    "istftnet": Architecture(
        ISTFTNetConfig, ISTFTNet, WaveformConfig, WaveformObjective, "arXiv 2203.02395"
    ),
    "vocos": Architecture(
        VocosConfig, Vocos, WaveformConfig, WaveformObjective, "arXiv 2306.00814"
    ),
}

ModelConfig = Annotated[
    SourceFilterConfig | HiFiGANConfig | ISTFTNetConfig | VocosConfig, Field(discriminator="name")
]
AnyLossConfig = Annotated[LossConfig | WaveformConfig, Field(discriminator="objective")]
