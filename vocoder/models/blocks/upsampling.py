"""HiFi-GAN's upsampling network, also used by iSTFTNet.

    convolution ─▶ (leaky ReLU ─▶ transposed convolution ─▶ mean of residual stacks) × stages

After J. Kong, J. Kim and J. Bae, HiFi-GAN, arXiv 2010.05646, section 2 ("multi-receptive field
fusion") and appendix A; the paper sums the stacks, the authors' code takes their mean, as here.
Every convolution is padded with zeros to its input's length, and weight-normalised. Initial weights
are PyTorch's default, as in the authors' models: in their code, the weight norm overwrites the
intended normal distribution.
"""

import math
from typing import Self

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch.nn.utils.parametrizations import weight_norm

from vocoder.config import Config

SLOPE = 0.1
"""Slope of every leaky ReLU except the one before the last convolution."""
LAST_SLOPE = 0.01
"""Slope of that one: PyTorch's default, as in the authors' code."""
END_KERNEL = 7
"""Kernel width of the first and the last convolution."""


class UpsamplingConfig(Config):
    """Sizes of the network.

    ``channels``: after the first convolution, halved in every stage. ``rates`` and ``kernels``:
    factor and width of each transposed convolution. ``residual``: 1 for pairs of convolutions,
    dilated and undilated; 2 for single ones. ``residual_kernels`` and ``dilations``: kernel width
    and dilations of each parallel stack.
    """

    name: str
    channels: int = Field(512, ge=2)
    rates: tuple[int, ...] = Field((8, 8, 2, 2), min_length=1)
    kernels: tuple[int, ...] = (16, 16, 4, 4)
    residual: int = Field(1, ge=1, le=2)
    residual_kernels: tuple[int, ...] = Field((3, 7, 11), min_length=1)
    dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))

    @model_validator(mode="after")
    def _layers_fit(self) -> Self:
        if len(self.rates) != len(self.kernels):
            raise ValueError(
                f"{len(self.rates)} rates but {len(self.kernels)} kernels: give one for each stage"
            )
        for rate, kernel in zip(self.rates, self.kernels, strict=True):
            if rate < 2 or kernel < rate:
                raise ValueError(
                    f"a kernel of {kernel} does not upsample {rate} times: rates start at 2, and "
                    "kernels are as large or larger, such as twice the rate"
                )
        if self.channels % 2 ** len(self.rates):
            raise ValueError(
                f"{self.channels} channels cannot be halved {len(self.rates)} times: take a "
                f"multiple of {2 ** len(self.rates)}"
            )
        if len(self.residual_kernels) != len(self.dilations):
            raise ValueError(
                f"{len(self.residual_kernels)} residual_kernels but {len(self.dilations)} "
                "dilations: give one list of dilations for each stack"
            )
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.residual_kernels):
            raise ValueError("residual_kernels must be odd, so that they have a middle")
        if any(dilation < 1 for stack in self.dilations for dilation in stack):
            raise ValueError("dilations start at 1")
        return self

    @property
    def factor(self) -> int:
        """Output steps per frame."""
        return math.prod(self.rates)

    @property
    def outputs(self) -> int:
        """Channels of the output."""
        return int(self.channels // 2 ** len(self.rates))


class UpsamplingNetwork(nn.Module):
    """Maps ``frames`` to ``frames * config.factor`` steps of ``config.outputs`` channels."""

    def __init__(self, config: UpsamplingConfig, inputs: int) -> None:
        super().__init__()
        self.config = config
        self.input = padded_convolution(inputs, config.channels, END_KERNEL)
        widths = [config.channels // 2**stage for stage in range(len(config.rates) + 1)]
        self.upsample = nn.ModuleList(
            weight_norm(
                nn.ConvTranspose1d(
                    widths[i],
                    widths[i + 1],
                    kernel,
                    stride=rate,
                    padding=_lead(kernel, rate),
                    output_padding=(kernel - rate) % 2,
                )
            )
            for i, (rate, kernel) in enumerate(zip(config.rates, config.kernels, strict=True))
        )
        self.fusions = nn.ModuleList(_Fusion(config, width) for width in widths[1:])

    def forward(self, x: Float[Tensor, "batch n frames"]) -> Float[Tensor, "batch c steps"]:
        x = self.input(x)
        for upsample, fusion in zip(self.upsample, self.fusions, strict=True):
            x = fusion(upsample(leaky_relu(x, SLOPE)))
        return leaky_relu(x, LAST_SLOPE)

    def reach(self, first: int, last: int) -> tuple[int, int]:
        """First and last frame on which the output steps from ``first`` to ``last`` depend."""
        config = self.config
        paired = 1 if config.residual == 1 else 0
        side = max(
            sum((d + paired) * (kernel // 2) for d in stack)
            for kernel, stack in zip(config.residual_kernels, config.dilations, strict=True)
        )
        for rate, kernel in reversed(list(zip(config.rates, config.kernels, strict=True))):
            first, last, lead = first - side, last + side, _lead(kernel, rate)
            # Output o of a transposed convolution depends on the inputs i with 0 <= o + lead - rate
            # * i < kernel.
            first = -((kernel - 1 - lead - first) // rate)
            last = (last + lead) // rate
        return first - END_KERNEL // 2, last + END_KERNEL // 2


def _lead(kernel: int, rate: int) -> int:
    """Leading samples of a transposed convolution, before those of its first input."""
    return (kernel - rate + 1) // 2


class _Fusion(nn.Module):
    """Mean of parallel residual stacks of several widths."""

    def __init__(self, config: UpsamplingConfig, channels: int) -> None:
        super().__init__()
        self.stacks = nn.ModuleList(
            _ResidualStack(channels, kernel, dilations, paired=config.residual == 1)
            for kernel, dilations in zip(config.residual_kernels, config.dilations, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        total = self.stacks[0](x)
        for stack in self.stacks[1:]:
            total = total + stack(x)
        return total / len(self.stacks)


class _ResidualStack(nn.Module):
    """Sequential dilated convolutions with residuals; ``paired``: each followed by an undilated one
    within the residual (the paper's block 1; block 2 has none)."""

    def __init__(
        self, channels: int, kernel: int, dilations: tuple[int, ...], paired: bool
    ) -> None:
        super().__init__()
        self.dilated = nn.ModuleList(
            padded_convolution(channels, channels, kernel, dilation) for dilation in dilations
        )
        self.plain = nn.ModuleList(
            padded_convolution(channels, channels, kernel) for _ in dilations if paired
        )

    def forward(self, x: Tensor) -> Tensor:
        for index, dilated in enumerate(self.dilated):
            change = dilated(leaky_relu(x, SLOPE))
            if len(self.plain):
                change = self.plain[index](leaky_relu(change, SLOPE))
            x = x + change
        return x


def padded_convolution(inputs: int, outputs: int, kernel: int, dilation: int = 1) -> nn.Module:
    """A weight-normalised convolution of odd width that preserves the length."""
    padding = dilation * (kernel // 2)
    return weight_norm(nn.Conv1d(inputs, outputs, kernel, dilation=dilation, padding=padding))
