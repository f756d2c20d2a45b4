"""A speech-like signal and small models for the tests of this folder."""

import math
from functools import lru_cache

import torch
from torch import Tensor

from vocoder.features.mel import PRESETS, MelSpec
from vocoder.models.blocks.pitch_predictor import PitchPredictorConfig
from vocoder.models.source_filter import SourceFilter, SourceFilterConfig

SMALL = SourceFilterConfig(channels=24, blocks=2, pitch=PitchPredictorConfig(channels=16, layers=2))

# A corpus's mean and variance on top of a convention, different in each bin.
_PLAIN = PRESETS["espnet_24k"]
NORMALISED = _PLAIN.with_statistics(
    [-2.5 - 0.01 * m for m in range(80)], [0.5 + 0.005 * m for m in range(80)]
)

ODD_HOP = PRESETS["hifigan_22k"].model_copy(
    update={"n_fft": 2048, "win_length": 1100, "hop_length": 275, "padding": "center"}
)
"""A hop that neither the filters' two steps nor the low band's decimation divide."""

SPECS: dict[str, MelSpec] = {
    "speecht5_16k": PRESETS["speecht5_16k"],  # frames centred on boundaries
    "hifigan_22k": PRESETS["hifigan_22k"],  # between them, a high floor
    "espnet_24k": _PLAIN,  # a hop of 300 samples
    "vocos_24k": PRESETS["vocos_24k"],  # another mel scale and norm
    "normalised": NORMALISED,  # a floor of its own in each bin
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@lru_cache
def small_model(spec: str, seed: int = 0, mel_correction: bool = True) -> SourceFilter:
    """An untrained model; it is shared, so do not train it."""
    config = SMALL.model_copy(update={"mel_correction": mel_correction})
    return new_model(SPECS[spec], config, seed).eval()


def new_model(spec: MelSpec, config: SourceFilterConfig = SMALL, seed: int = 0) -> SourceFilter:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SourceFilter(config, spec)


def _glide_hz(seconds: Tensor) -> Tensor:
    return 150 + 60 * torch.sin(2 * math.pi * 1.3 * seconds)


def speech_f0(spec: str, frames: int) -> Tensor:
    """F0 (Hz) of :func:`speech` at the centres of its mel's frames, (1, frames)."""
    centres = torch.arange(frames) * SPECS[spec].hop_length + SPECS[spec].center_offset
    return _glide_hz(centres / SPECS[spec].sample_rate)[None]


@lru_cache
def speech(spec: str, frames: int, fading: bool = True) -> Tensor:
    """(1, samples): a gliding voice in syllables, and breath; ``fading`` ends it in silence."""
    sample_rate, hop = SPECS[spec].sample_rate, SPECS[spec].hop_length
    seconds = torch.arange(frames * hop, dtype=torch.float64) / sample_rate
    phase = torch.cumsum(_glide_hz(seconds), 0) / sample_rate
    voice = sum(torch.cos(2 * math.pi * k * phase) / k for k in range(1, 25))
    syllables = 0.3 + 0.7 * torch.sin(2 * math.pi * 2 * seconds) ** 2
    breath = 0.01 * torch.randn(len(seconds), generator=seeded(9), dtype=torch.float64)
    signal = 0.1 * syllables * voice + breath
    if fading:
        # Silent from 50 ms before the end.
        left = seconds[-1] - seconds - 0.05
        signal = signal * (left / 0.05).clamp(0, 1) ** 2
    return signal.float()[None]


def speech_mel(spec: str, frames: int, fading: bool = True) -> Tensor:
    """(1, n_mels, frames)."""
    return SPECS[spec].mel(speech(spec, frames, fading))[:, :, :frames]


def random_controls(spec: str, frames: int, batch: int = 1, seed: int = 1) -> dict[str, Tensor]:
    """F0 that leaps between 100 and 250 Hz, voicing between 0 and 1, and noise."""
    generator = seeded(seed)
    return {
        "f0_hz": 100 + 150 * torch.rand(batch, frames, generator=generator),
        "voicing": torch.rand(batch, frames, generator=generator),
        "noise": torch.randn(batch, frames * SPECS[spec].hop_length, generator=generator),
    }


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Root mean square of the difference over that of what is expected."""
    return float((found - expected).square().mean().sqrt() / expected.square().mean().sqrt())


def floor_mel(spec: str, frames: int) -> Tensor:
    """The mel of silence, (1, n_mels, frames)."""
    floor = torch.as_tensor(SPECS[spec].log_floor).float().expand(SPECS[spec].n_mels)
    return floor[None, :, None].expand(1, -1, frames).contiguous()


def decibels(ratio: Tensor) -> float:
    return 20 * math.log10(float(ratio))
