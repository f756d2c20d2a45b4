"""Small discriminators of every kind, and noise to give them."""

import torch

from vocoder.discriminators.base import Discriminator
from vocoder.discriminators.frames import FrameDiscriminator, FrameDiscriminatorConfig
from vocoder.discriminators.period import PeriodDiscriminator, PeriodDiscriminatorConfig
from vocoder.discriminators.scale import ScaleDiscriminator, ScaleDiscriminatorConfig
from vocoder.discriminators.spectrogram import (
    SpectrogramDiscriminator,
    SpectrogramDiscriminatorConfig,
)

SMALL_PERIOD = PeriodDiscriminatorConfig(periods=(2, 5), channels=4, max_channels=16)
SMALL_SPECTROGRAM = SpectrogramDiscriminatorConfig(n_ffts=(256, 128), channels=8, strided_layers=2)
SMALL_FRAMES = FrameDiscriminatorConfig(n_ffts=(256, 128), channels=8, layers=2)
SMALL_SCALE = ScaleDiscriminatorConfig(channels=4)
SMALL_VOCOS = SpectrogramDiscriminatorConfig(layout="vocos", n_ffts=(512, 256), channels=8)

KINDS = {
    "period": lambda: PeriodDiscriminator(SMALL_PERIOD),
    "spectrogram": lambda: SpectrogramDiscriminator(SMALL_SPECTROGRAM),
    "frames": lambda: FrameDiscriminator(SMALL_FRAMES),
    "scale": lambda: ScaleDiscriminator(SMALL_SCALE),
    "vocos": lambda: SpectrogramDiscriminator(SMALL_VOCOS),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=seeded(seed))


def small(kind: str) -> Discriminator:
    """One of `KINDS`, with the same weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return KINDS[kind]()
