"""Features of speech: mel spectrograms of every convention in use, F0 and voicing."""

from vocoder.features.mel import PRESETS, MelSpec
from vocoder.features.mel_plausibility import MelWarning
from vocoder.features.pitch import (
    Pitch,
    PitchConfig,
    cached_pitch,
    extract_pitch,
    interpolate_f0,
    validate_f0,
)

__all__ = [
    "PRESETS",
    "MelSpec",
    "MelWarning",
    "Pitch",
    "PitchConfig",
    "cached_pitch",
    "extract_pitch",
    "interpolate_f0",
    "validate_f0",
]
