"""Network layers at frame rate, channels last, without padding.

No layer pads: each consumes its context, ``(batch, frames, channels)`` in and
``(batch, frames - left - right, channels)`` out. Context is given once, at the model's input, so an
utterance in a padded batch, in a stream or alone passes through the very same arithmetic.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu


class Context(nn.Module):
    """Convolution over frames that looks ``left`` frames back and ``right`` ahead."""

    def __init__(self, inputs: int, outputs: int, left: int, right: int, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, left + 1 + right, groups=groups)

    def forward(self, x: Float[Tensor, "batch frames c"]) -> Float[Tensor, "batch fewer d"]:
        return self.conv(x.transpose(1, 2)).transpose(1, 2)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, layer norm, two pointwise layers and a scaled residual.

    Source: Z. Liu et al., "A ConvNet for the 2020s", CVPR 2022, in one dimension as in Vocos
    (arXiv 2306.00814); asymmetric context is ours.
    """

    def __init__(
        self, channels: int, expansion: float, left: int, right: int, scale: float
    ) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.left, self.right = left, right
        self.context = Context(channels, channels, left, right, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, hidden)
        self.project = nn.Linear(hidden, channels)
        self.scale = nn.Parameter(scale * self.norm.weight.new_ones(channels))

    def forward(self, x: Float[Tensor, "batch frames c"]) -> Float[Tensor, "batch fewer c"]:
        residual = x[:, self.left : x.shape[1] - self.right]
        return residual + self.scale * self.project(gelu(self.expand(self.norm(self.context(x)))))
