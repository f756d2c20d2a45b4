"""Multi-resolution spectrogram discriminator.

After UnivNet (W. Jang et al., arXiv 2106.07889): 2-D convolutions over the magnitudes of several
short-time spectra, strided along frequency. Unlike there, the layout "log" takes the logarithm of
the magnitude, keeps all frames and is narrow, for training on a CPU. The layout "vocos" is that of
the first published code of Vocos (arXiv 2306.00814): linear magnitudes, a rectangular window, and
strides along time too. (Version 0.1 of its package has the band-wise networks of Descript Audio
Codec instead.)
"""

from contextlib import nullcontext
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from vocoder.config import Config
from vocoder.discriminators.base import Discriminator, Stack
from vocoder.features.autocast import outside_autocast


class SpectrogramDiscriminatorConfig(Config):
    """One stack per resolution: ``n_ffts`` in samples with a hop of a quarter.

    ``layout``: "log" or "vocos", as above. ``strided_layers``: for "log"; "vocos" has five. Vocos'
    sizes are ``n_ffts`` 2048, 1024, 512 and 64 channels.
    """

    n_ffts: tuple[Annotated[int, Field(ge=4)], ...] = Field((1024, 512, 256), min_length=1)
    channels: int = Field(16, ge=1)
    strided_layers: int = Field(4, ge=1)
    layout: Literal["log", "vocos"] = "log"

    @property
    def networks(self) -> int:
        """Number of stacks."""
        return len(self.n_ffts)


def _log_layers(c: int, strided: int) -> list[nn.Conv2d]:
    layers = [nn.Conv2d(1, c, (7, 5), stride=(2, 1), padding=(3, 2))]
    layers += [nn.Conv2d(c, c, (5, 3), stride=(2, 1), padding=(2, 1)) for _ in range(strided)]
    return [*layers, nn.Conv2d(c, c, 3, padding=1)]


def _vocos_layers(c: int) -> list[nn.Conv2d]:
    return [
        nn.Conv2d(1, c, (7, 5), stride=(2, 2), padding=(3, 2)),
        nn.Conv2d(c, c, (5, 3), stride=(2, 1), padding=(2, 1)),
        nn.Conv2d(c, c, (5, 3), stride=(2, 2), padding=(2, 1)),
        nn.Conv2d(c, c, 3, stride=(2, 1), padding=1),
        nn.Conv2d(c, c, 3, stride=(2, 2), padding=1),
    ]


def log_spectrum(
    waveform: Float[Tensor, "batch samples"], window: Float[Tensor, " n_fft"]
) -> Float[Tensor, "batch bins frames"]:
    """``ln √(|X|² + 1e-8) / 3 + 1``, around zero for speech, with a hop of a quarter window."""
    n_fft = len(window)
    spectrum = torch.stft(waveform, n_fft, n_fft // 4, window=window, return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    return 0.5 * torch.log(power + 1e-8) / 3 + 1


class _Stack(Stack):
    """Convolutions over the (log) magnitude of one short-time spectrum."""

    def __init__(self, n_fft: int, config: SpectrogramDiscriminatorConfig) -> None:
        c, logarithmic = config.channels, config.layout == "log"
        layers = _log_layers(c, config.strided_layers) if logarithmic else _vocos_layers(c)
        super().__init__(
            [weight_norm(layer) for layer in layers],
            weight_norm(nn.Conv2d(c, 1, 3, padding=1)),
        )
        self.logarithmic = logarithmic
        window = torch.ones(n_fft)
        if logarithmic:
            window = torch.hann_window(n_fft)
            window = window / window.square().sum().sqrt()
        self.window: Tensor
        self.register_buffer("window", window, persistent=False)

    def representation(self, waveform: Tensor) -> Tensor:
        if self.logarithmic:
            return log_spectrum(waveform, self.window)[:, None]
        n_fft, window = len(self.window), self.window
        spectrum = torch.stft(waveform, n_fft, n_fft // 4, window=window, return_complex=True)
        return spectrum.abs()[:, None]

    def convolve(self, layer: nn.Module, x: Tensor) -> Tensor:
        """In 32 bits where there are one or two columns: with a stride along them oneDNN reads
        beyond the map, and the result is any number or none (bfloat16 on CPUs with AMX, PyTorch
        2.14)."""
        narrow = x.shape[-1] <= 2
        with outside_autocast(x.device) if narrow else nullcontext():
            return super().convolve(layer, x.float() if narrow else x)


class SpectrogramDiscriminator(Discriminator):
    """One network per resolution."""

    def __init__(self, config: SpectrogramDiscriminatorConfig) -> None:
        super().__init__(_Stack(n_fft, config) for n_fft in config.n_ffts)
