"""The one table of architectures: which model, trained for what, after whom.

A recipe's ``model.name`` picks the row; ``loss.objective`` must be that row's.
"""

from typing import Annotated, Any, NamedTuple, cast

from pydantic import Field

from vocoder.config import Config
from vocoder.features.mel import PRESETS
from vocoder.models.base import Vocoder
from vocoder.models.ddsp import DDSP, DDSPConfig
from vocoder.models.hifigan import HiFiGAN, HiFiGANConfig
from vocoder.models.istftnet import ISTFTNet, ISTFTNetConfig
from vocoder.models.nsf import NSF, NSFConfig
from vocoder.models.parallel_wavenet import ParallelWaveNet, ParallelWaveNetConfig
from vocoder.models.source_filter import SourceFilter, SourceFilterConfig
from vocoder.models.vocos import Vocos, VocosConfig
from vocoder.models.waveflow import WaveFlow, WaveFlowConfig
from vocoder.models.waveglow import WaveGlow, WaveGlowConfig
from vocoder.models.wavenet import WaveNet, WaveNetConfig
from vocoder.models.wavernn import WaveRNN, WaveRNNConfig
from vocoder.models.wavernn_dual import DualWaveRNN, DualWaveRNNConfig
from vocoder.training.objectives.base import Objective
from vocoder.training.objectives.distillation import DistillationConfig, DistillationObjective
from vocoder.training.objectives.flow import FlowLossConfig, FlowObjective
from vocoder.training.objectives.likelihood import LikelihoodConfig, LikelihoodObjective
from vocoder.training.objectives.source_filter import LossConfig, SourceFilterObjective
from vocoder.training.objectives.source_models import (
    DDSPLossConfig,
    DDSPObjective,
    NSFLossConfig,
    NSFObjective,
)
from vocoder.training.objectives.waveform import WaveformConfig, WaveformObjective
from vocoder.training.objectives.wavernn import WaveRNNLossConfig, WaveRNNObjective


class Architecture(NamedTuple):
    """One row.

    Attributes:
        config: of the model; its defaults are the sizes of the paper.
        model: what it configures.
        loss: configuration of the objective.
        objective: what the model is trained for.
        source: the papers, those of the variant that the defaults follow last.
        mel: name of the preset that the paper, or the code beside it, comes nearest to.
    """

    config: type[Config]
    model: type[Vocoder]
    loss: type[Config]
    objective: type[Objective]
    source: str
    mel: str

    def build(self) -> Vocoder:
        """The model at the paper's size with fresh weights."""
        model: Any = self.model
        return cast(Vocoder, model(self.config(), PRESETS[self.mel]))


_WAVEFORM = (WaveformConfig, WaveformObjective)
_LIKELIHOOD = (LikelihoodConfig, LikelihoodObjective)
_FLOW = (FlowLossConfig, FlowObjective)
_WAVERNN = (WaveRNNLossConfig, WaveRNNObjective)
_DISTILLATION = (DistillationConfig, DistillationObjective)

ARCHITECTURES = {
    "source_filter": Architecture(
        SourceFilterConfig,
        SourceFilter,
        LossConfig,
        SourceFilterObjective,
        "this project",
        "speecht5_16k",
    ),
    "wavenet": Architecture(
        WaveNetConfig, WaveNet, *_LIKELIHOOD, "arXiv 1609.03499, 1712.05884", "r9y9_22k"
    ),
    "parallel_wavenet": Architecture(
        ParallelWaveNetConfig,
        ParallelWaveNet,
        *_DISTILLATION,
        "arXiv 1711.10433, 1807.07281",
        "hifigan_22k",
    ),
    "wavernn": Architecture(WaveRNNConfig, WaveRNN, *_WAVERNN, "arXiv 1802.08435", "hifigan_22k"),
    "wavernn_dual": Architecture(
        DualWaveRNNConfig, DualWaveRNN, *_WAVERNN, "arXiv 1802.08435", "hifigan_22k"
    ),
    "waveflow": Architecture(WaveFlowConfig, WaveFlow, *_FLOW, "arXiv 1912.01219", "hifigan_22k"),
    "waveglow": Architecture(WaveGlowConfig, WaveGlow, *_FLOW, "arXiv 1811.00002", "hifigan_22k"),
    "nsf": Architecture(
        NSFConfig, NSF, NSFLossConfig, NSFObjective, "arXiv 1904.12088, 1908.10256", "hifigan_22k"
    ),
    "ddsp": Architecture(
        DDSPConfig, DDSP, DDSPLossConfig, DDSPObjective, "arXiv 2001.04643", "hifigan_22k"
    ),
    "hifigan": Architecture(HiFiGANConfig, HiFiGAN, *_WAVEFORM, "arXiv 2010.05646", "hifigan_22k"),
    "istftnet": Architecture(
        ISTFTNetConfig, ISTFTNet, *_WAVEFORM, "arXiv 2203.02395", "hifigan_22k"
    ),
    "vocos": Architecture(VocosConfig, Vocos, *_WAVEFORM, "arXiv 2306.00814", "vocos_24k"),
}

ModelConfig = Annotated[
    SourceFilterConfig
    | WaveNetConfig
    | ParallelWaveNetConfig
    | WaveRNNConfig
    | DualWaveRNNConfig
    | WaveFlowConfig
    | WaveGlowConfig
    | NSFConfig
    | DDSPConfig
    | HiFiGANConfig
    | ISTFTNetConfig
    | VocosConfig,
    Field(discriminator="name"),
]
"""The section ``model`` of a recipe."""

AnyLossConfig = Annotated[
    LossConfig
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
