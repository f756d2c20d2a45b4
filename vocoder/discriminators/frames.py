"""Discriminator of spectral frames: convolutions along time, every bin a channel.

The log magnitudes of a short-time spectrum are the channels of ordinary 1-D convolutions, matrix
products over all bins. Convolutions over both axes (`vocoder.discriminators.spectrogram`) have a
tenth of the weights and cost several times as much on a CPU.
"""

from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, leaky_relu
from torch.nn.utils.parametrizations import weight_norm

from vocoder.config import Config
from vocoder.discriminators.base import Discriminator
from vocoder.discriminators.spectrogram import log_spectrum


def _odd(count: int) -> int:
    if count % 2 == 0:
        raise ValueError(f"{count} is even: the mean is that around a bin and frame")
    return count


OddCount = Annotated[int, Field(ge=1), AfterValidator(_odd)]


class FrameDiscriminatorConfig(Config):
    """One stack per window: ``n_ffts`` in samples with a hop of a quarter; ``channels`` of each of
    ``layers`` convolutions over ``kernel`` frames.

    ``less_local_mean``: odd numbers of bins and frames whose mean is subtracted from each log
    magnitude, so that the texture is judged and no level; null for none.
    """

    n_ffts: tuple[int, ...] = Field((512, 256, 128), min_length=1)
    channels: int = Field(96, ge=1)
    layers: int = Field(3, ge=1)
    kernel: int = Field(5, ge=1)
    less_local_mean: tuple[OddCount, OddCount] | None = None


def local_mean(
    values: Float[Tensor, "batch bins frames"], bins: int, frames: int
) -> Float[Tensor, "batch bins frames"]:
    """Mean over odd numbers of bins and frames around each, fewer at the edges.

    >>> local_mean(torch.tensor([[[0.0, 3.0, 6.0, 0.0]]]), 1, 3).tolist()
    [[[1.5, 3.0, 3.0, 3.0]]]
    """
    middle = (bins // 2, frames // 2)
    return avg_pool2d(values[:, None], (bins, frames), 1, middle, count_include_pad=False)[:, 0]


class _Stack(nn.Module):
    """Convolutions along the frames of one short-time spectrum."""

    def __init__(self, n_fft: int, config: FrameDiscriminatorConfig) -> None:
        super().__init__()
        inputs = [n_fft // 2 + 1, *[config.channels] * (config.layers - 1)]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv1d(i, config.channels, config.kernel, padding=config.kernel // 2))
            for i in inputs
        )
        self.output = weight_norm(nn.Conv1d(config.channels, 1, 3, padding=1))
        window = torch.hann_window(n_fft)
        self.around = config.less_local_mean
        self.window: Tensor
        self.register_buffer("window", window / window.square().sum().sqrt(), persistent=False)

    def forward(self, waveform: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = log_spectrum(waveform, self.window)
        if self.around is not None:
            x = x - local_mean(x, *self.around)
        features = []
        for layer in self.layers:
            x = leaky_relu(layer(x), 0.1)
            features.append(x)
        return self.output(x), features


class FrameDiscriminator(Discriminator):
    """One network per window."""

    def __init__(self, config: FrameDiscriminatorConfig) -> None:
        super().__init__(_Stack(n_fft, config) for n_fft in config.n_ffts)
