"""What every objective has in common."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from vocoder.config import Config
from vocoder.losses.spectral import SpectralLossConfig
from vocoder.models.base import Vocoder

Streams = Callable[[int], torch.Generator]
"""Gives the random numbers of a step by the number of a stream, 1 to 7."""


class ObjectiveConfig(Config):
    """The section ``loss`` of a recipe, and what a recipe must know of any objective."""

    edge_frames: ClassVar[int] = 0
    """Frames at either end of a segment that no waveform loss is computed on."""

    @property
    def longest_window(self) -> int:
        """Samples that the longest window of the losses needs; 0 where there is no such need."""
        return 0

    @property
    def validation_loss(self) -> SpectralLossConfig:
        """Spectral losses that a validation reports."""
        return SpectralLossConfig()


class StepOutput(NamedTuple):
    """What an objective made of a batch.

    ``losses``: already weighted, by name; their sum is minimised. ``reference`` and ``estimate``,
    (batch, samples): what the discriminators are to compare, None where the objective has nothing
    to be judged. ``counts``: for losses that are means over a number that differs between the
    processes of one batch (of voiced frames, say) that number, so that their mean over processes
    is that of the undivided batch.
    """

    losses: dict[str, Tensor]
    reference: Tensor | None = None
    estimate: Tensor | None = None
    counts: Mapping[str, Tensor] = MappingProxyType({})


class Objective(nn.Module):
    """A model and what it is trained for: ``objective(batch, *draws)`` gives the losses.

    An objective has neither random numbers nor an optimizer of its own: the trainer draws, by
    :meth:`draw`, for all items of a step at once, and hands each process its share.
    """

    gives_waveforms: ClassVar[bool] = False
    """Whether its output holds waveforms that discriminators can judge."""
    model: Vocoder
    forward: Callable[..., StepOutput]
    """Losses of a batch, or of a process's share of it, with its share of the draws."""

    @abstractmethod
    def draw(self, items: int, samples: int, streams: Streams) -> tuple[Tensor, ...]:
        """The random numbers of one step.

        Args:
            items: segments in the whole batch, over all processes; first axis of every result.
            samples: samples of a segment.
            streams: where the numbers come from.
        """
