"""Sizes of the source-filter vocoder."""

from typing import Literal

from pydantic import Field

from vocoder.config import Config
from vocoder.models.blocks.pitch_predictor import PitchPredictorConfig

Meets = Literal["mel", "envelope", "nothing"]
"""What of the given mel the output is made to meet, beyond the networks' answer; see
`SourceFilter.stream`."""


class SourceFilterConfig(Config):
    """Size of the filter network and shape of the filters.

    ``steps_per_frame``: filters per mel frame, each applied to windows of ``window_steps`` such
    steps. ``noise_modulation``: the noise moves in step with the pulse. Two ways to meet the given
    mel: ``mel_correction`` filters the output smoothly by the difference between its own mel and
    the given one; ``mel_projection``, passes of `vocoder.features.projection` at the end, is
    closer, and each pass costs a window of the mel, less one hop, of latency.
    ``low_band_projection``: further passes below 740 Hz within the last one
    (`vocoder.features.low_band`), costing as many multiplications as this many whole passes;
    much closer still, at one to two seconds of latency.
    ``universal``: the networks work on canonical bands (`bands.py`) instead of the mel's own, so
    that one set of weights serves every mel.
    """

    name: Literal["source_filter"] = "source_filter"
    channels: int = Field(256, ge=1)
    expansion: float = Field(1.5, gt=0)
    blocks: int = Field(5, ge=1)
    left: int = Field(3, ge=0, description="frames a block looks back")
    right: int = Field(1, ge=0, description="frames a block looks ahead")
    steps_per_frame: int = Field(2, ge=1)
    window_steps: int = Field(4, ge=2, multiple_of=2)
    noise_modulation: bool = True
    mel_correction: bool = True
    mel_projection: int = Field(0, ge=0, description="passes")
    low_band_projection: int = Field(0, ge=0, description="cost in whole passes")
    universal: bool = False
    pitch: PitchPredictorConfig = PitchPredictorConfig()
