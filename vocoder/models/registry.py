"""The one table of models: name → configuration, class, source, mel."""

from typing import Annotated, Any, NamedTuple, cast

from pydantic import BeforeValidator, Field

from vocoder.config import Config
from vocoder.errors import suggestion
from vocoder.features.mel import PRESETS, MelSpec
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


class ModelEntry(NamedTuple):
    """One row.

    Attributes:
        config: of the model; its defaults are the sizes of the paper.
        model: what it configures.
        source: the papers, those of the variant that the defaults follow last.
        mel: name of the preset that the paper, or the code beside it, comes nearest to.
    """

    config: type[Config]
    model: type[Vocoder]
    source: str
    mel: str

    def build(self) -> Vocoder:
        """The model at the paper's size with fresh weights."""
        model: Any = self.model
        return cast(Vocoder, model(self.config(), PRESETS[self.mel]))


MODELS = {
    "source_filter": ModelEntry(SourceFilterConfig, SourceFilter, "this project", "speecht5_16k"),
    "wavenet": ModelEntry(WaveNetConfig, WaveNet, "arXiv 1609.03499, 1712.05884", "r9y9_22k"),
    "parallel_wavenet": ModelEntry(
        ParallelWaveNetConfig, ParallelWaveNet, "arXiv 1711.10433, 1807.07281", "hifigan_22k"
    ),
    "wavernn": ModelEntry(WaveRNNConfig, WaveRNN, "arXiv 1802.08435", "hifigan_22k"),
    "wavernn_dual": ModelEntry(DualWaveRNNConfig, DualWaveRNN, "arXiv 1802.08435", "hifigan_22k"),
    "waveflow": ModelEntry(WaveFlowConfig, WaveFlow, "arXiv 1912.01219", "hifigan_22k"),
    "waveglow": ModelEntry(WaveGlowConfig, WaveGlow, "arXiv 1811.00002", "hifigan_22k"),
    "nsf": ModelEntry(NSFConfig, NSF, "arXiv 1904.12088, 1908.10256", "hifigan_22k"),
    "ddsp": ModelEntry(DDSPConfig, DDSP, "arXiv 2001.04643", "hifigan_22k"),
    "hifigan": ModelEntry(HiFiGANConfig, HiFiGAN, "arXiv 2010.05646", "hifigan_22k"),
    "istftnet": ModelEntry(ISTFTNetConfig, ISTFTNet, "arXiv 2203.02395", "hifigan_22k"),
    "vocos": ModelEntry(VocosConfig, Vocos, "arXiv 2306.00814", "vocos_24k"),
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


def preset_or_fields(value: Any) -> Any:
    """The fields of a mel; a preset name stands for those of the preset."""
    if isinstance(value, str):
        if value not in PRESETS:
            raise ValueError(f"no mel preset {value!r}{suggestion(value, list(PRESETS))}")
        return PRESETS[value]
    return value


NamedMel = Annotated[MelSpec, BeforeValidator(preset_or_fields)]
"""A mel given by its fields or by the name of a preset."""


class ModelDescription(Config):
    """All that decides which model a file of weights belongs to.

    Fields:
        mel: what the model takes.
        model: its configuration; ``name`` picks the row of :data:`MODELS`.
    """

    mel: NamedMel
    model: ModelConfig

    def build(self) -> Vocoder:
        """The model with fresh weights, from PyTorch's current random state."""
        # Each row's classes belong together, which a table of types cannot express.
        model: Any = MODELS[self.model.name].model
        return cast(Vocoder, model(self.model, self.mel))
