"""WaveNet's stack of dilated causal convolutions with gated units, and its conditioning network."""

import math
from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad, relu
from torch.nn.utils.parametrizations import weight_norm

from vocoder.features.mel import MelSpec
from vocoder.models.blocks.layers import MelInput

UPSAMPLING_SLOPE = 0.4
"""Slope of the leaky ReLU between transposed convolutions (ClariNet, arXiv 1807.07281)."""


def normalised_convolution(
    inputs: int, outputs: int, kernel: int = 1, dilation: int = 1, bias: bool = True
) -> nn.Conv1d:
    """Weight-normalised convolution.

    It is initialised with unit gain for white input and zero bias, as in r9y9's code: with
    PyTorch's default, little of the waveform reaches the end of a stack, and learning starts late.
    """
    conv = nn.Conv1d(inputs, outputs, kernel, dilation=dilation, bias=bias)
    nn.init.normal_(conv.weight, std=(inputs * kernel) ** -0.5)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return cast(nn.Conv1d, weight_norm(conv))


class GatedLayer(nn.Module):
    """One residual block:

        h = tanh(W_f * x + V_f c) ⊙ σ(W_g * x + V_g c),   x ← x + R h,   skip += S h

    with W_f, W_g dilated causal convolutions; samples before the first are zero.

    Source: arXiv 1609.03499, sections 2.3 to 2.5 (eq. 2, with local conditioning).
    """

    def __init__(
        self,
        residual_channels: int,
        gate_channels: int,
        skip_channels: int,
        condition_channels: int,
        kernel: int,
        dilation: int,
        last: bool,
    ) -> None:
        super().__init__()
        self.history = (kernel - 1) * dilation
        self.taps = normalised_convolution(residual_channels, gate_channels, kernel, dilation)
        self.condition = normalised_convolution(condition_channels, gate_channels, bias=False)
        # The residual output of the last block is unused.
        self.residual = (
            None if last else normalised_convolution(gate_channels // 2, residual_channels)
        )
        self.skip = normalised_convolution(gate_channels // 2, skip_channels)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Input of the next block and skip output, (batch, channels, samples) each."""
        gates = self.taps(pad(x, (self.history, 0))) + self.condition(condition)
        filtered, gate = gates.chunk(2, dim=1)
        hidden = torch.tanh(filtered) * torch.sigmoid(gate)
        passed_on = x if self.residual is None else x + self.residual(hidden)
        return passed_on, self.skip(hidden)


class GatedStack(nn.Module):
    """Residual blocks of growing dilation, and two layers on the sum of their skip outputs.

    The sum is divided by the root of the number of blocks, so that its scale does not depend on
    that number.
    """

    def __init__(
        self,
        residual_channels: int,
        gate_channels: int,
        skip_channels: int,
        condition_channels: int,
        kernel: int,
        dilations: Sequence[int],
        outputs: int,
    ) -> None:
        super().__init__()
        self.residual_channels, self.kernel = residual_channels, kernel
        self.dilations = tuple(dilations)
        self.layers = nn.ModuleList(
            GatedLayer(
                residual_channels,
                gate_channels,
                skip_channels,
                condition_channels,
                kernel,
                dilation,
                last=index == len(self.dilations) - 1,
            )
            for index, dilation in enumerate(self.dilations)
        )
        self.skip_scale = 1 / math.sqrt(len(self.dilations))
        self.hidden = normalised_convolution(skip_channels, skip_channels)
        self.output = normalised_convolution(skip_channels, outputs)

    @property
    def blocks(self) -> list[GatedLayer]:
        """The residual blocks, first to last."""
        return [cast(GatedLayer, layer) for layer in self.layers]

    @property
    def receptive_field(self) -> int:
        """Input samples, including the current one, on which an output sample depends."""
        return 1 + (self.kernel - 1) * sum(self.dilations)

    def forward(
        self,
        x: Float[Tensor, "batch residual_channels samples"],
        condition: Float[Tensor, "batch condition_channels samples"],
    ) -> Float[Tensor, "batch outputs samples"]:
        """Output at each sample from the current and past inputs."""
        total: Tensor | None = None
        for layer in self.blocks:
            x, skip = layer(x, condition)
            total = skip if total is None else total + skip
        assert total is not None
        return self.output(relu(self.hidden(relu(total * self.skip_scale))))


def doubling_dilations(layers: int, stacks: int) -> tuple[int, ...]:
    """``1, 2, 4, …`` over the layers of a stack, repeated per stack; ``stacks`` divides
    ``layers``."""
    return tuple(2**layer for layer in range(layers // stacks)) * stacks


class MelUpsampling(nn.Module):
    """A convolution over mel frames, then transposed convolutions to the sample rate.

    Each transposed convolution has one channel in and one out, over time (twice as wide as its
    factor) and over three mel bands, followed by a leaky ReLU; it starts as linear interpolation.

    Source: layers and widths as in ClariNet, arXiv 1807.07281, by its open reproduction
    ksw0306/ClariNet; the convolution before them as in r9y9/wavenet_vocoder.
    """

    def __init__(self, spec: MelSpec, side_frames: int, factors: Sequence[int]) -> None:
        super().__init__()
        self.spec = spec
        self.mel_input = MelInput(spec)
        self.frames = nn.Conv1d(spec.n_mels, spec.n_mels, 2 * side_frames + 1, bias=False)
        self.stages = nn.ModuleList(_interpolation(factor) for factor in factors)
        # A stage reaches half of its input's steps to either side, all together less than a frame:
        # one frame of context is cropped.
        self.margin = 1
        self.context = (side_frames + self.margin, side_frames + self.margin)

    def forward(
        self, mel: Float[Tensor, "batch n_mels padded_frames"]
    ) -> Float[Tensor, "batch n_mels samples"]:
        """Conditioning of the frames within ``context``, ``frames * hop_length`` samples."""
        x = self.frames(self.mel_input(mel))[:, None]
        for stage in self.stages:
            x = leaky_relu(stage(x), UPSAMPLING_SLOPE)
        hop = self.margin * self.spec.hop_length
        return x[:, 0, :, hop:-hop]


def _interpolation(factor: int) -> nn.Module:
    """Transposed convolution to ``factor`` times the steps, with triangular weights."""
    odd = factor % 2
    width, crop = 2 * factor + odd, (factor + odd) // 2
    stage = nn.ConvTranspose2d(1, 1, (3, width), stride=(1, factor), padding=(1, crop))
    centre = (width - 1) / 2
    triangle = (1 - (torch.arange(width) - centre).abs() / factor).clamp(min=0)
    with torch.no_grad():
        stage.weight.zero_()
        stage.weight[0, 0, 1] = triangle
        assert stage.bias is not None
        stage.bias.zero_()
    return weight_norm(stage)
