"""Discriminator of spectral frames: convolutions along time, every bin a channel.

The log magnitudes of a short-time spectrum are the channels of ordinary 1-D convolutions, matrix
products over all bins. On a CPU three of them cost a third of three convolutional networks over
both axes (`vocoder.discriminators.spectrogram`), see `studies.ablations.discriminators`. The form
is this project's own.
"""

from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torch.nn.utils.parametrizations import weight_norm

from vocoder.config import Config
from vocoder.discriminators.base import Discriminator, Stack
from vocoder.discriminators.spectrogram import log_spectrum


def _odd(count: int) -> int:
    if count % 2 == 0:
        raise ValueError(f"{count} is even: write an odd number, which has a middle")
    return count


OddCount = Annotated[int, Field(ge=1), AfterValidator(_odd)]


class FrameDiscriminatorConfig(Config):
    """One stack per window: ``n_ffts`` in samples with a hop of a quarter; ``channels`` of each of
    ``layers`` convolutions over ``kernel`` frames, an odd number, before a last one over three.

    ``less_local_mean``: odd numbers of bins and frames; the mean over so many around each log
    magnitude is subtracted from it (:func:`local_mean`), so that neither level nor tilt is seen.
    Null for none.
    """

    n_ffts: tuple[Annotated[int, Field(ge=4)], ...] = Field((512, 256, 128), min_length=1)
    channels: int = Field(96, ge=1)
    layers: int = Field(3, ge=1)
    kernel: OddCount = 5
    less_local_mean: tuple[OddCount, OddCount] | None = None

    @property
    def networks(self) -> int:
        """Number of stacks."""
        return len(self.n_ffts)


def local_mean(
    values: Float[Tensor, "batch bins frames"], bins: int, frames: int
) -> Float[Tensor, "batch bins frames"]:
    """Mean over odd numbers of bins and frames around each, fewer at the edges.

    >>> values = torch.tensor([[[0.0, 3.0, 6.0, 0.0], [2.0, 2.0, 2.0, 2.0]]])
    >>> local_mean(values, 1, 3)[0, 0].tolist(), local_mean(values, 3, 1)[0, 0].tolist()
    ([1.5, 3.0, 3.0, 3.0], [1.0, 2.5, 4.0, 1.0])
    """
    middle = (bins // 2, frames // 2)
    return avg_pool2d(values[:, None], (bins, frames), 1, middle, count_include_pad=False)[:, 0]


class _Stack(Stack):
    """Convolutions along the frames of one short-time spectrum: scores (batch, 1, frames),
    features (batch, channels, frames)."""

    def __init__(self, n_fft: int, config: FrameDiscriminatorConfig) -> None:
        c, k = config.channels, config.kernel
        inputs = [n_fft // 2 + 1, *[c] * (config.layers - 1)]
        super().__init__(
            [weight_norm(nn.Conv1d(i, c, k, padding=k // 2)) for i in inputs],
            weight_norm(nn.Conv1d(c, 1, 3, padding=1)),
        )
        window = torch.hann_window(n_fft)
        self.around = config.less_local_mean
        self.window: Tensor
        self.register_buffer("window", window / window.square().sum().sqrt(), persistent=False)

    def representation(self, waveform: Tensor) -> Tensor:
        x = log_spectrum(waveform, self.window)
        return x if self.around is None else x - local_mean(x, *self.around)


class FrameDiscriminator(Discriminator):
    """One network per window."""

    def __init__(self, config: FrameDiscriminatorConfig) -> None:
        super().__init__(_Stack(n_fft, config) for n_fft in config.n_ffts)
