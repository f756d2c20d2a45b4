"""Features of speech: mel spectrograms of every convention in use, F0 and voicing."""

from vocoder.features.mel import PRESETS, MelSpec
from vocoder.features.pitch import Pitch, extract_pitch

__all__ = ["PRESETS", "MelSpec", "Pitch", "extract_pitch"]
