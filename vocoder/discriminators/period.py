"""Multi-period discriminator.

After HiFi-GAN (J. Kong, J. Kim and J. Bae, arXiv 2010.05646): the waveform is folded into columns
of a prime period and convolved along the other axis. Unlike there, the width is configurable, since
the published one costs more than the rest of the training step.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.parametrizations import weight_norm

from vocoder.config import Config
from vocoder.discriminators.base import Discriminator, Stack


class PeriodDiscriminatorConfig(Config):
    """One stack per period: ``periods`` in samples, at least one.

    ``channels`` is the width of the first layer; it grows by ``growth`` up to ``max_channels``. The
    paper's is 32, 4, 1024.
    """

    periods: tuple[Annotated[int, Field(ge=1)], ...] = Field((2, 3, 5, 7, 11), min_length=1)
    channels: int = Field(8, ge=1)
    growth: int = Field(2, ge=1)
    max_channels: int = Field(64, ge=1)

    @property
    def networks(self) -> int:
        """Number of stacks."""
        return len(self.periods)


class _Stack(Stack):
    """Convolutions along the rows of the waveform folded by one period."""

    def __init__(self, period: int, config: PeriodDiscriminatorConfig) -> None:
        widths = [min(config.channels * config.growth**i, config.max_channels) for i in range(5)]
        inputs, strides = [1, *widths[:4]], [3, 3, 3, 3, 1]
        super().__init__(
            [
                weight_norm(nn.Conv2d(i, o, (5, 1), stride=(s, 1), padding=(2, 0)))
                for i, o, s in zip(inputs, widths, strides, strict=True)
            ],
            weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0))),
        )
        self.period = period

    def representation(self, waveform: Tensor) -> Tensor:
        missing = -waveform.shape[1] % self.period
        padded = pad(waveform[:, None], (0, missing), mode="reflect")
        return padded.unflatten(2, (-1, self.period))


class PeriodDiscriminator(Discriminator):
    """One network per period."""

    def __init__(self, config: PeriodDiscriminatorConfig) -> None:
        super().__init__(_Stack(period, config) for period in config.periods)
