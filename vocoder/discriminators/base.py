"""What the discriminators share: several networks that see the same waveform."""

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor, nn


class Discriminator(nn.Module):
    """Scores and feature maps of every network of ``stacks``, as two lists.

    Each maps a waveform, (batch, samples), to its score and its feature maps.
    """

    def __init__(self, stacks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.stacks = nn.ModuleList(stacks)

    def forward(
        self, waveform: Float[Tensor, "batch samples"]
    ) -> tuple[list[Tensor], list[list[Tensor]]]:
        results = [stack(waveform) for stack in self.stacks]
        return [score for score, _ in results], [features for _, features in results]
