"""iSTFTNet: HiFi-GAN whose last upsampling stages are an inverse short-time Fourier transform.

    mel ─▶ upsampling 8 × 8 ─▶ convolution ─▶ magnitude and phase of 9 bins ─▶ inverse STFT

T. Kaneko, K. Tanaka, H. Kameoka and S. Seki, "iSTFTNet: Fast and Lightweight Mel-Spectrogram
Vocoder Incorporating Inverse Short-Time Fourier Transform", arXiv 2203.02395. Taken from it:
variant C8C8I on HiFi-GAN V1, two upsampling stages of 8 and a transform of 16 points every 4
samples; an exponential for the magnitudes, a sine for the phase, in radians as the public
implementations read it (rishikksh20/iSTFTNet-pytorch and its descendants).

Differences: the frames of the transform are centred between the hops ("same"); the public
implementations reflect one step at the start and centre them on the hops. Samples are thus frames ×
hop, and all frames are treated alike. Magnitudes are limited to e¹⁰. The mel is normalised by
`MelInput`. Every layer is zero-padded, as in HiFi-GAN.
"""

from typing import Literal

import torch
from jaxtyping import Complex, Float
from pydantic import Field
from torch import Tensor

from vocoder.dsp.analysis.inverse_stft import check_overlap, inverse_stft, reach
from vocoder.errors import MelError
from vocoder.features.autocast import outside_autocast
from vocoder.features.mel import MelSpec
from vocoder.models.base import Generators, Vocoder
from vocoder.models.blocks.layers import MelInput
from vocoder.models.blocks.precision import at_least_float32
from vocoder.models.blocks.upsampling import (
    END_KERNEL,
    UpsamplingConfig,
    UpsamplingNetwork,
    padded_convolution,
)

LARGEST_LOG_MAGNITUDE = 10.0
"""Far above full scale, which is at most ln 16; prevents overflow of the exponential."""


class ISTFTNetConfig(UpsamplingConfig):
    """Sizes of the network, C8C8I's by default; ``n_fft``: points of the inverse transform.

    The transform's hop is the mel's hop divided by the product of ``rates``: 256 / (8 · 8) = 4
    samples.
    """

    name: Literal["istftnet"] = "istftnet"
    rates: tuple[int, ...] = Field((8, 8), min_length=1)
    kernels: tuple[int, ...] = (16, 16)
    n_fft: int = Field(16, ge=4, multiple_of=2)


class ISTFTNet(Vocoder):
    """Mel in, waveform out, not bounded; no random numbers.

    A sample depends on ``history_frames`` past and ``lookahead_frames`` future mel frames, and near
    the ends of the mel on the padding.
    """

    def __init__(self, config: ISTFTNetConfig, spec: MelSpec) -> None:
        super().__init__(spec)
        rates = " × ".join(map(str, config.rates))
        self.step_length, rest = divmod(spec.hop_length, config.factor)
        if rest:
            raise MelError(
                f"rates {rates} = {config.factor} do not divide the mel's hop_length "
                f"{spec.hop_length}: choose others in the recipe's model section, and kernels of "
                "twice their size"
            )
        try:
            check_overlap(config.n_fft, self.step_length, "same")
        except ValueError as error:
            raise MelError(
                f"n_fft {config.n_fft} with rates {rates} at hop_length {spec.hop_length}: {error};"
                " change n_fft or rates in the recipe's model section"
            ) from error
        self.config = config
        self.mel_input = MelInput(spec)
        self.network = UpsamplingNetwork(config, spec.n_mels)
        self.output = padded_convolution(config.outputs, config.n_fft + 2, END_KERNEL)
        edge = END_KERNEL // 2
        steps = reach(0, spec.hop_length - 1, config.n_fft, self.step_length, "same")
        first, last = self.network.reach(steps[0] - edge, steps[1] + edge)
        self.history_frames, self.lookahead_frames = -first, last

    def forward(
        self, mel: Float[Tensor, "batch n_mels frames"], *, generator: Generators = None
    ) -> Float[Tensor, "batch samples"]:
        mel = self.accept(mel)
        return inverse_stft(self.spectrum(mel), self.step_length, "same")

    def spectrum(
        self, mel: Float[Tensor, "batch n_mels frames"]
    ) -> Complex[Tensor, "batch steps bins"]:
        """The output's short-time spectrum ``exp(a) e^{i sin(b)}``."""
        x = self.network(self.mel_input(mel))
        # There is no complex bfloat16.
        with outside_autocast(x.device):
            x = self.output(at_least_float32(x)).mT
            log_magnitude, phase = x.chunk(2, dim=2)
            magnitude = log_magnitude.clamp(max=LARGEST_LOG_MAGNITUDE).exp()
            return torch.polar(magnitude, torch.sin(phase))
