"""WaveFlow: a flow, autoregressive over a few rows and parallel over all columns.

    waveform ─▶ h rows (adjacent samples in a column) ─▶ flow ─▶ permute ─▶ … ─▶ z, log|det J|

Source: W. Ping, K. Peng, K. Zhao and Z. Song, "WaveFlow: A Compact Flow-based Model for Raw Audio",
arXiv 1912.01219. Taken from there: the squeeze into h = 16 rows; the affine map
``Z = σ(X_above) X + μ(X_above)`` of each row, given the rows above; 8 flows of 8 dilated 2-D
convolutions of 3 × 3, causal over rows, dilations over columns 1, 2, …, 128 and over rows as in its
table of receptive fields; 64 residual channels; the permutations (all rows reversed after each flow
of the first half, each half of them after the others), also of the conditioner's rows; the
conditioner of two transposed 2-D convolutions with leaky ReLU (0.4); zero-initialised output
layers, so that an untrained model is the identity except for the order of the rows.

Differences: the first row is scaled and shifted as well, depending on the mel alone (the authors'
code copies that row). The last layer of a flow has no residual output, which would be unused. The
mel is normalised by `MelInput` and padded with the log floor, and training segments have two frames
of context at either end.
"""

import math
from typing import Literal, Self, cast

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu, pad
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from vocoder.config import Config
from vocoder.errors import MelError
from vocoder.features.autocast import outside_autocast
from vocoder.features.mel import MelSpec
from vocoder.models.blocks.factors import check_factors
from vocoder.models.blocks.flow import FlowVocoder
from vocoder.models.blocks.layers import MelInput

CONTEXT_FRAMES = 2
"""Context of the conditioner in frames: one in its first layer, less in each of the others."""


class WaveFlowConfig(Config):
    """Size of the flows; the defaults are the paper's small-footprint model of 5.91 M parameters.

    ``rows``: h, the number of sequential steps of synthesis. ``row_dilations``: dilation over rows,
    one per layer; with 32 rows the paper uses 1 2 4 1 2 4 1 2. ``upsampling``: strides of the
    conditioner, with the mel's hop as product. ``temperature``: standard deviation of the noise in
    synthesis.
    """

    name: Literal["waveflow"] = "waveflow"
    rows: int = Field(16, ge=2, multiple_of=2)
    flows: int = Field(8, ge=2, multiple_of=2)
    channels: int = Field(64, ge=1)
    kernel: int = Field(3, ge=3)
    row_dilations: tuple[int, ...] = Field((1, 1, 1, 1, 1, 1, 1, 1), min_length=1)
    upsampling: tuple[int, ...] = Field((16, 16), min_length=1)
    temperature: float = Field(1.0, ge=0)

    @model_validator(mode="after")
    def _convolutions_exist(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} has no middle: give an odd one")
        if min(self.row_dilations) < 1:
            raise ValueError("row_dilations: a dilation is at least 1")
        if min(self.upsampling) < 2:
            raise ValueError("upsampling: a factor is at least 2; leave out those of 1")
        return self

    @property
    def column_reach(self) -> int:
        """Columns on either side in the receptive field of one flow."""
        return (self.kernel // 2) * (2 ** len(self.row_dilations) - 1)


class Conditioner(nn.Module):
    """Maps mel frames with context to one column of bands per sample.

    Transposed convolutions over (band, time) with one channel, each as wide as two strides.
    """

    def __init__(self, factors: tuple[int, ...]) -> None:
        super().__init__()
        self.factors = factors
        self.layers = nn.ModuleList(
            weight_norm(nn.ConvTranspose2d(1, 1, (3, 2 * factor), (1, factor), (1, 0)))
            for factor in factors
        )

    def forward(
        self, x: Float[Tensor, "batch n_mels padded_frames"]
    ) -> Float[Tensor, "batch n_mels samples"]:
        x = x[:, None]
        for layer, factor in zip(self.layers, self.factors, strict=True):
            length = x.shape[-1] * factor
            # The kernel of two strides is centred on each input's step.
            x = leaky_relu(layer(x)[..., factor // 2 : factor // 2 + length], 0.4)
        edge = CONTEXT_FRAMES * math.prod(self.factors)
        return x[:, 0, :, edge : x.shape[-1] - edge]


class Layer(nn.Module):
    """A gated convolution over the current row and those above, and columns on both sides."""

    def __init__(self, channels: int, kernel: int, dilation: tuple[int, int], last: bool) -> None:
        super().__init__()
        self.kernel, self.dilation, self.last = kernel, dilation, last
        outputs = channels if last else 2 * channels
        self.conv = weight_norm(nn.Conv2d(channels, 2 * channels, kernel, dilation=dilation))
        self.output = weight_norm(nn.Conv2d(channels, outputs, 1))

    @property
    def column_padding(self) -> int:
        """Zero padding in columns on either side that preserves the width."""
        return self.dilation[1] * (self.kernel // 2)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs of the next layer and of the output; all (batch, c, rows, columns)."""
        side, above = self.column_padding, self.dilation[0] * (self.kernel - 1)
        return self._finish(x, self.conv(pad(x, (side, side, above, 0))), condition)

    def next_row(self, queue: list[Tensor], condition: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`forward` for the newest row of a queue, (batch, c, 1, columns) each.

        The queue holds the previous rows in the receptive field; rows before the first are zero.
        """
        newest = queue[-1]
        nothing = torch.zeros_like(newest)
        ages = range((self.kernel - 1) * self.dilation[0], -1, -self.dilation[0])
        seen = [queue[-1 - age] if age < len(queue) else nothing for age in ages]
        gates = conv2d(
            torch.cat(seen, dim=2),
            self.conv.weight,
            self.conv.bias,
            padding=(0, self.column_padding),
            dilation=(1, self.dilation[1]),
        )
        del queue[: max(len(queue) - ages[0], 0)]
        return self._finish(newest, gates, condition)

    def _finish(self, x: Tensor, gates: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        content, gate = (gates + condition).chunk(2, dim=1)
        output = self.output(torch.tanh(content) * torch.sigmoid(gate))
        if self.last:
            return x, output
        residual, skip = output.chunk(2, dim=1)
        return x + residual, skip


class Flow(nn.Module):
    """``z = exp(s) x + m``; s and m of each row depend on the rows above and the condition."""

    def __init__(self, config: WaveFlowConfig, n_mels: int) -> None:
        super().__init__()
        count = len(config.row_dilations)
        self.input = weight_norm(nn.Conv2d(1, config.channels, 1))
        self.layers = nn.ModuleList(
            Layer(config.channels, config.kernel, (rows, 2**index), index == count - 1)
            for index, rows in enumerate(config.row_dilations)
        )
        # Conditioning of the gates of all layers, as one convolution.
        self.condition = weight_norm(nn.Conv2d(n_mels, count * 2 * config.channels, 1))
        self.output = nn.Conv2d(config.channels, 2, 1)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]

    def forward(
        self,
        x: Float[Tensor, "batch 1 rows columns"],
        condition: Float[Tensor, "batch n_mels rows columns"],
    ) -> tuple[Float[Tensor, "batch 1 rows columns"], Float[Tensor, " batch"]]:
        """The transformed rows and the logarithm of the Jacobian's determinant."""
        hidden = self.input(pad(x, (0, 0, 1, 0))[:, :, :-1])
        total = torch.zeros_like(hidden)
        conditions = self.condition(condition).chunk(len(self.layers), dim=1)
        for layer, here in zip(self.layers, conditions, strict=True):
            hidden, skip = layer(hidden, here)
            total = total + skip
        log_scale, shift = self._scale_and_shift(total)
        return x * torch.exp(log_scale) + shift, log_scale.sum(dim=(1, 2, 3))

    def inverse(
        self,
        z: Float[Tensor, "batch 1 rows columns"],
        condition: Float[Tensor, "batch n_mels rows columns"],
    ) -> Float[Tensor, "batch 1 rows columns"]:
        """The inverse of :meth:`forward`, row by row; each layer has a queue of the previous
        rows."""
        queues: list[list[Tensor]] = [[] for _ in self.layers]
        row, rows = torch.zeros_like(z[:, :, :1]), []
        for target, beside in zip(z.split(1, dim=2), condition.split(1, dim=2), strict=True):
            hidden = self.input(row)
            total = torch.zeros_like(hidden)
            conditions = self.condition(beside).chunk(len(self.layers), dim=1)
            for layer, queue, here in zip(self.layers, queues, conditions, strict=True):
                queue.append(hidden)
                hidden, skip = cast(Layer, layer).next_row(queue, here)
                total = total + skip
            log_scale, shift = self._scale_and_shift(total)
            row = (target - shift) * torch.exp(-log_scale)
            rows.append(row)
        return torch.cat(rows, dim=2)

    def _scale_and_shift(self, total: Tensor) -> tuple[Tensor, Tensor]:
        # Scale and shift need more than bfloat16: the likelihood is a small difference of large
        # sums.
        with outside_autocast(total.device):
            output = self.output(total.to(self.output.weight.dtype))
        log_scale, shift = output.chunk(2, dim=1)
        return log_scale, shift


class WaveFlow(FlowVocoder):
    """Synthesis takes ``flows * rows`` sequential steps for any length. Each step sees columns on
    both sides: ``lookahead_frames`` is exact, but at the paper's size exceeds most utterances (half
    a minute).
    """

    context = (CONTEXT_FRAMES, CONTEXT_FRAMES)

    def __init__(self, config: WaveFlowConfig, spec: MelSpec) -> None:
        super().__init__(spec, config.temperature)
        self.config = config
        hop, rows = spec.hop_length, config.rows
        check_factors("upsampling", config.upsampling, spec)
        if hop % rows:
            raise MelError(
                f"waveflow: hop_length {hop} is no multiple of {rows} rows: give an even divisor "
                "of the hop as rows"
            )
        self.mel_input = MelInput(spec)
        self.conditioner = Conditioner(config.upsampling)
        self.flows = nn.ModuleList(Flow(config, spec.n_mels) for _ in range(config.flows))
        # In synthesis the columns' reach accumulates over rows.
        columns = config.flows * rows * config.column_reach + 1
        self.lookahead_frames = -(-columns * rows // hop) + CONTEXT_FRAMES

    def encode(
        self,
        waveform: Float[Tensor, "batch samples"],
        mel: Float[Tensor, "batch n_mels padded_frames"],
    ) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, " batch"]]:
        x, condition = self._squeeze(waveform[:, None]), self._condition(mel)
        log_determinant = waveform.new_zeros(waveform.shape[0])
        for index, flow in enumerate(self.flows):
            x, log_scale = flow(x, condition)
            log_determinant = log_determinant + log_scale
            x, condition = self._permute(x, index), self._permute(condition, index)
        return self._unsqueeze(x), log_determinant

    def decode(
        self, z: Float[Tensor, "batch samples"], mel: Float[Tensor, "batch n_mels padded_frames"]
    ) -> Float[Tensor, "batch samples"]:
        x, condition = self._squeeze(z[:, None]), self._condition(mel)
        with parametrize.cached():
            # The row order after the last flow, then the flows in reverse.
            for index in range(self.config.flows):
                condition = self._permute(condition, index)
            for index in reversed(range(self.config.flows)):
                x, condition = self._permute(x, index), self._permute(condition, index)
                x = cast(Flow, self.flows[index]).inverse(x, condition)
        return self._unsqueeze(x)

    def _condition(self, mel: Tensor) -> Float[Tensor, "batch n_mels rows columns"]:
        return self._squeeze(self.conditioner(self.mel_input(mel)))

    def _squeeze(self, x: Float[Tensor, "batch c samples"]) -> Tensor:
        """Adjacent samples as rows, (batch, c, rows, columns)."""
        return x.unflatten(2, (-1, self.config.rows)).transpose(2, 3)

    def _unsqueeze(self, x: Float[Tensor, "batch 1 rows columns"]) -> Tensor:
        return x[:, 0].transpose(1, 2).flatten(1)

    def _permute(self, x: Float[Tensor, "batch c rows columns"], flow: int) -> Tensor:
        """Permutes the rows after a flow; an involution."""
        if flow < self.config.flows // 2:
            return x.flip(2)
        return torch.cat([half.flip(2) for half in x.chunk(2, dim=2)], dim=2)
