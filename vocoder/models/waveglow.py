"""WaveGlow: affine coupling layers and invertible 1x1 convolutions over squeezed samples.

    waveform ─▶ groups of 8 samples ─▶ 12 × (1x1 convolution ─▶ affine coupling) ─▶ z, log|det J|
                                        └─ two channels leave as z after every fourth

Source: R. Prenger, R. Valle and B. Catanzaro, "WaveGlow: A Flow-based Generative Network for Speech
Synthesis", arXiv 1811.00002. Taken from there: groups of 8 samples as channels; 12 steps of flow,
each an invertible 1x1 convolution and an affine coupling whose network is a non-causal WaveNet of 8
layers, kernel 3, dilations 1, 2, …, 128; two channels output early after every fourth step; the mel
upsampled by a transposed convolution four hops wide. The 256 channels and 87.9 M parameters are
those of the authors' code (NVIDIA/waveglow); the paper states 512 residual and 256 skip channels.

WaveFlow's paper (arXiv 1912.01219) calls this model a special case of its own, of two groups of
rows that are mixed between flows; but the networks differ (1-D over stacked samples here, 2-D
there). Differences to the paper: the upsampled mel is cropped equally at both ends, so that a
sample sees two past and two future frames (the authors' code crops only the end: three past
frames); the mel is normalised by `MelInput` and padded with the log floor, and training segments
have two frames of context at either end.
"""

from typing import Literal, Self, cast

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from vocoder.config import Config
from vocoder.errors import MelError
from vocoder.features.autocast import outside_autocast
from vocoder.features.mel import MelSpec
from vocoder.models.blocks.flow import FlowVocoder
from vocoder.models.blocks.layers import MelInput

CONTEXT_FRAMES = 2
WINDOW_HOPS = 4
"""Length of the upsampling kernel, in hops."""


class WaveGlowConfig(Config):
    """Size of the flow; the defaults are the authors' model of 87.9 M parameters.

    ``group``: samples squeezed into one column. ``early_channels`` channels are output after every
    ``early_every`` steps. ``temperature``: standard deviation of the noise in synthesis: the paper
    trains for √0.5 and synthesises with 0.6.
    """

    name: Literal["waveglow"] = "waveglow"
    group: int = Field(8, ge=2, multiple_of=2)
    flows: int = Field(12, ge=1)
    early_every: int = Field(4, ge=1)
    early_channels: int = Field(2, ge=2, multiple_of=2)
    channels: int = Field(256, ge=1)
    layers: int = Field(8, ge=1)
    kernel: int = Field(3, ge=3)
    temperature: float = Field(0.6, ge=0)

    @model_validator(mode="after")
    def _channels_are_left(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} has no middle: give an odd one")
        if self.widths[-1] < 2:
            raise ValueError(
                f"early_channels {self.early_channels} after every {self.early_every} of "
                f"{self.flows} flows leave nothing of group {self.group}: put out fewer, or later"
            )
        return self

    @property
    def widths(self) -> list[int]:
        """Channels of each step of flow."""
        return [
            self.group - self.early_channels * (index // self.early_every)
            for index in range(self.flows)
        ]

    @property
    def column_reach(self) -> int:
        """Columns on either side in the receptive field of one step of flow."""
        return (self.kernel // 2) * (2**self.layers - 1)


class InvertibleConvolution(nn.Module):
    """Mixes the channels of a column by a square matrix W, initialised as a rotation.

    ``ln |det J| = columns * ln |det W|``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels)).Q
        if torch.linalg.det(rotation) < 0:
            rotation[:, 0] *= -1
        # Contiguous rows, as weight files require.
        self.weight = nn.Parameter(rotation.contiguous())

    def forward(
        self, x: Float[Tensor, "batch c columns"]
    ) -> tuple[Float[Tensor, "batch c columns"], Float[Tensor, ""]]:
        # bfloat16 is too inexact for an inverse.
        with outside_autocast(x.device):
            return self.weight @ x, x.shape[2] * torch.linalg.slogdet(self.weight).logabsdet

    def inverse(self, z: Float[Tensor, "batch c columns"]) -> Float[Tensor, "batch c columns"]:
        """``W⁻¹ z``."""
        with outside_autocast(z.device):
            return torch.linalg.inv(self.weight) @ z


class CouplingNetwork(nn.Module):
    """The non-causal WaveNet that predicts scale and shift from one half of the channels."""

    def __init__(self, config: WaveGlowConfig, half: int, conditions: int) -> None:
        super().__init__()
        channels, kernel = config.channels, config.kernel
        outputs = [2 * channels] * (config.layers - 1) + [channels]
        self.input = weight_norm(nn.Conv1d(half, channels, 1))
        self.condition = weight_norm(nn.Conv1d(conditions, 2 * channels * config.layers, 1))
        self.layers = nn.ModuleList(
            weight_norm(
                nn.Conv1d(
                    channels,
                    2 * channels,
                    kernel,
                    dilation=2**index,
                    padding=2**index * (kernel // 2),
                )
            )
            for index in range(config.layers)
        )
        self.outputs = nn.ModuleList(weight_norm(nn.Conv1d(channels, n, 1)) for n in outputs)
        self.end = nn.Conv1d(channels, 2 * half, 1)
        nn.init.zeros_(self.end.weight)
        nn.init.zeros_(self.end.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Log scale and shift, each of the shape of ``x``, (batch, half, columns)."""
        hidden = self.input(x)
        total = torch.zeros_like(hidden)
        conditions = self.condition(condition).chunk(len(self.layers), dim=1)
        for layer, project, here in zip(self.layers, self.outputs, conditions, strict=True):
            content, gate = (layer(hidden) + here).chunk(2, dim=1)
            output = project(torch.tanh(content) * torch.sigmoid(gate))
            # The last layer has no residual output.
            if output.shape[1] > hidden.shape[1]:
                residual, output = output.chunk(2, dim=1)
                hidden = hidden + residual
            total = total + output
        # Scale and shift need more than bfloat16.
        with outside_autocast(total.device):
            end = self.end(total.to(self.end.weight.dtype))
        shift, log_scale = end.chunk(2, dim=1)
        return log_scale, shift


class WaveGlow(FlowVocoder):
    """Both directions are parallel over all samples. A sample depends on ``lookahead_frames``
    future frames.
    """

    context = (CONTEXT_FRAMES, CONTEXT_FRAMES)

    def __init__(self, config: WaveGlowConfig, spec: MelSpec) -> None:
        super().__init__(spec, config.temperature)
        self.config = config
        hop, group = spec.hop_length, config.group
        if hop % group:
            raise MelError(
                f"waveglow: hop_length {hop} is no multiple of a group of {group} samples: give "
                "an even divisor of the hop as group"
            )
        self.mel_input = MelInput(spec)
        self.upsample = nn.ConvTranspose1d(spec.n_mels, spec.n_mels, WINDOW_HOPS * hop, hop)
        self.mixers = nn.ModuleList(InvertibleConvolution(width) for width in config.widths)
        self.couplings = nn.ModuleList(
            CouplingNetwork(config, width // 2, spec.n_mels * group) for width in config.widths
        )
        columns = config.flows * config.column_reach + 1
        self.lookahead_frames = -(-columns * group // hop) + CONTEXT_FRAMES

    def encode(
        self,
        waveform: Float[Tensor, "batch samples"],
        mel: Float[Tensor, "batch n_mels padded_frames"],
    ) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, " batch"]]:
        condition = self._condition(mel)
        x = self._squeeze(waveform[:, None])
        log_determinant = waveform.new_zeros(waveform.shape[0])
        early = []
        for index, (mixer, coupling) in enumerate(zip(self.mixers, self.couplings, strict=True)):
            if leaving := self._leaving(index):
                early.append(x[:, :leaving])
                x = x[:, leaving:]
            x, log_volume = mixer(x)
            kept, changed = x.chunk(2, dim=1)
            log_scale, shift = coupling(kept, condition)
            x = torch.cat([kept, torch.exp(log_scale) * changed + shift], dim=1)
            log_determinant = log_determinant + log_volume + log_scale.sum(dim=(1, 2))
        return self._unsqueeze(torch.cat([*early, x], dim=1)), log_determinant

    def decode(
        self, z: Float[Tensor, "batch samples"], mel: Float[Tensor, "batch n_mels padded_frames"]
    ) -> Float[Tensor, "batch samples"]:
        condition = self._condition(mel)
        squeezed = self._squeeze(z[:, None])
        begin = self.config.group - self.config.widths[-1]
        x = squeezed[:, begin:]
        with parametrize.cached():
            for index in reversed(range(self.config.flows)):
                kept, changed = x.chunk(2, dim=1)
                log_scale, shift = self.couplings[index](kept, condition)
                x = torch.cat([kept, (changed - shift) * torch.exp(-log_scale)], dim=1)
                x = cast(InvertibleConvolution, self.mixers[index]).inverse(x)
                if leaving := self._leaving(index):
                    x = torch.cat([squeezed[:, begin - leaving : begin], x], dim=1)
                    begin -= leaving
        return self._unsqueeze(x)

    def _leaving(self, index: int) -> int:
        """Channels output as noise before a step of flow."""
        widths = self.config.widths
        return widths[index - 1] - widths[index] if index else 0

    def _condition(self, mel: Tensor) -> Float[Tensor, "batch bands columns"]:
        hop = self.spec.hop_length
        upsampled = self.upsample(self.mel_input(mel))
        # The middle of the four overlapping hops of the kernel.
        edge = CONTEXT_FRAMES * hop + (WINDOW_HOPS - 1) * hop // 2
        length = (mel.shape[2] - 2 * CONTEXT_FRAMES) * hop
        return self._squeeze(upsampled[:, :, edge : edge + length])

    def _squeeze(self, x: Float[Tensor, "batch c samples"]) -> Tensor:
        """Samples of a group as channels, (batch, c * group, columns)."""
        return x.unflatten(2, (-1, self.config.group)).transpose(2, 3).flatten(1, 2)

    def _unsqueeze(self, x: Float[Tensor, "batch group columns"]) -> Tensor:
        return x.transpose(1, 2).flatten(1)
