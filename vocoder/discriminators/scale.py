"""Multi-scale discriminator.

After HiFi-GAN (J. Kong, J. Kim and J. Bae, arXiv 2010.05646, section 2), which took it from
MelGAN (arXiv 1910.06711): strided and grouped convolutions over the waveform, and over the waveform
mean-pooled to half and a quarter of the rate; spectral norm in the first network, weight norm in
the others. Unlike there, the width is configurable.
"""

import math
from collections.abc import Callable

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, leaky_relu
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from vocoder.config import Config

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


class _Stack(nn.Module):
    """Convolutions along the waveform of one rate."""

    def __init__(self, channels: int, norm: Callable[[nn.Module], nn.Module]) -> None:
        super().__init__()
        widths = [1, *(channels * factor for factor in WIDTHS)]
        self.layers = nn.ModuleList(
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
            for i, (kernel, stride, groups) in enumerate(zip(KERNELS, STRIDES, GROUPS, strict=True))
        )
        self.output = norm(nn.Conv1d(widths[-1], 1, 3, padding=1))

    def forward(self, waveform: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, features = waveform[:, None], []
        for layer in self.layers:
            x = leaky_relu(layer(x), 0.1)
            features.append(x)
        return self.output(x), features


class ScaleDiscriminator(nn.Module):
    """Scores and feature maps of every scale, as two lists."""

    def __init__(self, config: ScaleDiscriminatorConfig) -> None:
        super().__init__()
        norms = [spectral_norm] + [weight_norm] * (config.scales - 1)
        self.stacks = nn.ModuleList(_Stack(config.channels, norm) for norm in norms)

    def forward(
        self, waveform: Float[Tensor, "batch samples"]
    ) -> tuple[list[Tensor], list[list[Tensor]]]:
        results = []
        for index, stack in enumerate(self.stacks):
            if index:
                waveform = avg_pool1d(waveform[:, None], 4, stride=2, padding=2)[:, 0]
            results.append(stack(waveform))
        return [score for score, _ in results], [features for _, features in results]
