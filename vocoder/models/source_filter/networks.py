"""The network that reads filters off a mel."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vocoder.dsp.carry import Carry
from vocoder.models.blocks.layers import ConvNeXtBlock, ValidConv1d
from vocoder.models.blocks.precision import at_least_float32
from vocoder.models.source_filter.config import SourceFilterConfig

INPUT_CONTEXT = 2


class FilterNetwork(nn.Module):
    """From normalised mel frames to corrections of the envelope, phases and noise modulation.

    A convolution over five frames, or the last three where ``right`` is zero, and ``blocks``
    ConvNeXt blocks, each looking ``left`` frames back and ``right`` ahead. Gives, for each of
    ``steps_per_frame`` filter steps and each band, four numbers, (batch, frames * steps, 4, bands):
    correction of the harmonic gain (nepers), cosine and sine of the harmonic phase (not
    normalised), correction of the noise gain (nepers); and two for each frame, (batch, frames, 2),
    the modulation of the noise. In a stream, ``carry`` keeps the past of every layer.
    """

    def __init__(self, config: SourceFilterConfig, inputs: int, bands: int) -> None:
        super().__init__()
        channels, blocks, steps = config.channels, config.blocks, config.steps_per_frame
        left, right = config.left, config.right
        self.bands, self.steps, self.window = bands, steps, left + 1 + right
        ahead = INPUT_CONTEXT if right else 0
        self.input = ValidConv1d(inputs, channels, INPUT_CONTEXT, ahead)
        self.input_window = INPUT_CONTEXT + 1 + ahead
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(channels, config.expansion, left, right, 1 / blocks)
            for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(channels)
        self.output = nn.Linear(channels, steps * 4 * bands + 2)
        self.context = (INPUT_CONTEXT + blocks * left, ahead + blocks * right)
        """Frames looked back and ahead."""
        with torch.no_grad():
            self.output.weight.mul_(0.1)
            bias = self.output.bias[:-2].view(steps, 4, bands)
            # No correction of the harmonic envelope, zero phase, noise 9 dB below the harmonics.
            bias.copy_(torch.tensor([0.0, 1.0, 0.0, -1.0])[:, None].expand_as(bias))
            self.output.bias[-2:] = 0

    def forward(
        self, x: Float[Tensor, "batch frames inputs"], carry: Carry | None = None
    ) -> tuple[Tensor, Tensor]:
        x = x.to(self.output.weight.dtype)
        if carry is not None:
            x = carry.span("filter input", x, self.input_window, 1)
        x = self.input(x)
        for index, block in enumerate(self.blocks):
            if carry is not None:
                x = carry.span(f"filter {index}", x, self.window, 1)
            x = block(x)
        output = at_least_float32(self.output(self.norm(x)))
        shape = (x.shape[0], x.shape[1] * self.steps, 4, self.bands)
        return output[..., :-2].reshape(shape), output[..., -2:]
