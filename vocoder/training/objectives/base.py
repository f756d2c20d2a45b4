"""Common parts of all objectives."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from vocoder.config import Config
from vocoder.features.mel import MelSpec
from vocoder.losses.spectral import SpectralLossConfig
from vocoder.models.base import Vocoder

Streams = Callable[[int], torch.Generator]
"""Random number generator of a step by stream number, 1 to 7."""


class ObjectiveConfig(Config):
    """The section ``loss`` of a recipe, with properties common to all objectives."""

    windows_key: ClassVar[str] = "loss.spectral.n_ffts"
    """Key of a recipe that sets :attr:`longest_window`."""

    def edge_frames(self, spec: MelSpec) -> int:
        """Frames at either end of a segment of this mel excluded from waveform losses."""
        return 0

    @property
    def longest_window(self) -> int:
        """Fewest samples of a segment that the losses can compare: those of their longest window
        without padding; 0 if there is none."""
        return 0

    @property
    def validation_loss(self) -> SpectralLossConfig:
        """Spectral losses reported in validation."""
        return SpectralLossConfig()


class StepOutput(NamedTuple):
    """Output of an objective for a batch.

    ``losses``: weighted losses by name; their sum is minimised. ``reference`` and ``estimate``,
    (batch, samples): inputs of the discriminators, None if the objective has no waveforms.
    ``counts``: for losses that are means over a number that differs between processes (such as
    voiced frames), that number, so that their mean over processes equals that of the undivided
    batch.
    """

    losses: dict[str, Tensor]
    reference: Tensor | None = None
    estimate: Tensor | None = None
    counts: Mapping[str, Tensor] = MappingProxyType({})


class Objective(nn.Module):
    """A model with its losses: ``objective(batch, *draws)``.

    An objective has neither a random generator nor an optimizer: the trainer draws, by
    :meth:`draw`, for all items of a step at once, and passes each process its share.
    """

    gives_waveforms: ClassVar[bool] = False
    """Whether its output has waveforms for discriminators."""
    model: Vocoder
    config: ObjectiveConfig
    forward: Callable[..., StepOutput]
    """Losses of a batch, or of a process's share of it and of the draws."""

    def __init__(self, model: Vocoder, config: ObjectiveConfig) -> None:
        super().__init__()
        self.model, self.config = model, config

    def draw(self, items: int, samples: int, streams: Streams) -> tuple[Tensor, ...]:
        """The random numbers of one step; none by default.

        Args:
            items: segments in the whole batch, over all processes; first axis of every result.
            samples: samples of a segment.
            streams: random number generators.
        """
        return ()
