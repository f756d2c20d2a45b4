"""Multi-scale discriminator.

After HiFi-GAN (J. Kong, J. Kim and J. Bae, arXiv 2010.05646, section 2), which took it from
MelGAN (arXiv 1910.06711): strided and grouped convolutions over the waveform, and over the waveform
mean-pooled to half and a quarter of the rate; spectral norm in the first network, weight norm in
the others. Unlike there, the width is configurable.
"""

import math
from collections.abc import Callable

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from vocoder.config import Config
from vocoder.discriminators.base import Discriminator, Stack

KERNELS = (15, 41, 41, 41, 41, 41, 5)
STRIDES = (1, 2, 2, 4, 4, 1, 1)
GROUPS = (1, 4, 16, 16, 16, 16, 1)
WIDTHS = (1, 1, 2, 4, 8, 8, 8)
"""Multiples of the first layer's width."""


class ScaleDiscriminatorConfig(Config):
    """``scales``: networks, each at half the rate of the one before. ``channels``: width of the
    first layer, an eighth of the last one's; the paper's is 128. Groups are the paper's where they
    divide the width."""

    scales: int = Field(3, ge=1)
    channels: int = Field(128, ge=1)

    @property
    def networks(self) -> int:
        """Number of stacks."""
        return self.scales


class _Stack(Stack):
    """Convolutions along the waveform at its rate halved ``halvings`` times."""

    def __init__(
        self, channels: int, norm: Callable[[nn.Module], nn.Module], halvings: int
    ) -> None:
        widths = [1, *(channels * factor for factor in WIDTHS)]
        super().__init__(
            [
                norm(
                    nn.Conv1d(
                        widths[i],
                        widths[i + 1],
                        kernel,
                        stride=stride,
                        padding=kernel // 2,
                        groups=math.gcd(groups, widths[i], widths[i + 1]),
                    )
                )
                for i, (kernel, stride, groups) in enumerate(
                    zip(KERNELS, STRIDES, GROUPS, strict=True)
                )
            ],
            norm(nn.Conv1d(widths[-1], 1, 3, padding=1)),
        )
        self.halvings = halvings

    def representation(self, waveform: Tensor) -> Tensor:
        x = waveform[:, None]
        for _ in range(self.halvings):
            x = avg_pool1d(x, 4, stride=2, padding=2)
        return x


class ScaleDiscriminator(Discriminator):
    """One network per scale."""

    def __init__(self, config: ScaleDiscriminatorConfig) -> None:
        norms = [spectral_norm] + [weight_norm] * (config.scales - 1)
        super().__init__(
            _Stack(config.channels, norm, halvings) for halvings, norm in enumerate(norms)
        )
