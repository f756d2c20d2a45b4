"""What the discriminators share: several networks that see the same waveform."""

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import leaky_relu


class Stack(nn.Module):
    """Convolutions over one representation of the waveform, each followed by a leaky rectifier of
    0.1, and an output layer: the score, and the feature maps of all layers but the last."""

    def __init__(self, layers: Iterable[nn.Module], output: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.output = output

    def representation(self, waveform: Float[Tensor, "batch samples"]) -> Tensor:
        """What the first layer takes."""
        raise NotImplementedError

    def convolve(self, layer: nn.Module, x: Tensor) -> Tensor:
        """One layer."""
        convolved: Tensor = layer(x)
        return convolved

    def forward(self, waveform: Float[Tensor, "batch samples"]) -> tuple[Tensor, list[Tensor]]:
        x, features = self.representation(waveform), []
        for layer in self.layers:
            x = leaky_relu(self.convolve(layer, x), 0.1)
            features.append(x)
        return self.output(x), features


class Discriminator(nn.Module):
    """Scores and feature maps of every network of ``stacks``, as two lists."""

    def __init__(self, stacks: Iterable[Stack]) -> None:
        super().__init__()
        self.stacks = nn.ModuleList(stacks)

    def forward(
        self, waveform: Float[Tensor, "batch samples"]
    ) -> tuple[list[Tensor], list[list[Tensor]]]:
        results = [stack(waveform) for stack in self.stacks]
        return [score for score, _ in results], [features for _, features in results]
