"""Vocos: a network at frame rate that predicts the short-time spectrum.

    mel ─▶ convolution ─▶ ConvNeXt blocks ─▶ log magnitude and phase of every bin ─▶ inverse STFT

H. Siuzdak, "Vocos: Closing the gap between time-domain and Fourier-based neural vocoders for
high-quality audio synthesis", arXiv 2306.00814. Taken from it and from its public code: 8
blocks of 512 channels (1536 within a block), a transform of 1024 points at the mel's hop, the
magnitude as an exponential of at most 100, the phase by cosine and sine of any angle; truncated
normal initial weights (but for the last layer), layer scale 1/8.

Differences: the mel is normalised by `MelInput`, which maps any convention to about ±2. The frames
of the transform are placed like the mel's ("center" or "same"); centred ones give frames × hop
samples, one hop more than the public code. As there, every convolution is zero-padded, in training
and in use.
"""

import math
from typing import Literal

import torch
from jaxtyping import Complex, Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import gelu

from vocoder.config import Config
from vocoder.dsp.analysis.inverse_stft import check_overlap, inverse_stft, reach
from vocoder.errors import MelError
from vocoder.features.autocast import outside_autocast
from vocoder.features.mel import MelSpec
from vocoder.models.base import Generators, Vocoder
from vocoder.models.blocks.layers import MelInput
from vocoder.models.blocks.precision import at_least_float32

LARGEST_MAGNITUDE = 100.0
KERNEL = 7
"""Kernel width of every convolution, in frames."""
NORM_EPSILON = 1e-6


class VocosConfig(Config):
    """Sizes of the network: ``channels`` throughout, ``hidden`` within each of ``blocks`` blocks;
    ``n_fft``: points of the inverse transform, whose hop is the mel's."""

    name: Literal["vocos"] = "vocos"
    channels: int = Field(512, ge=1)
    hidden: int = Field(1536, ge=1)
    blocks: int = Field(8, ge=1)
    n_fft: int = Field(1024, ge=4, multiple_of=2)


class Vocos(Vocoder):
    """Mel in, waveform out, not bounded; no random numbers.

    A sample depends on ``history_frames`` past and ``lookahead_frames`` future mel frames, and near
    the ends of the mel on the padding.
    """

    def __init__(self, config: VocosConfig, spec: MelSpec) -> None:
        super().__init__(spec)
        try:
            check_overlap(config.n_fft, spec.hop_length, spec.padding)
        except ValueError as error:
            raise MelError(
                f"n_fft {config.n_fft} at hop_length {spec.hop_length}: {error}; change n_fft in "
                "the recipe's model section"
            ) from error
        self.config = config
        self.mel_input = MelInput(spec)
        self.embed = _frame_convolution(spec.n_mels, config.channels)
        self.norm = nn.LayerNorm(config.channels, eps=NORM_EPSILON)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.blocks))
        self.final_norm = nn.LayerNorm(config.channels, eps=NORM_EPSILON)
        self.apply(_initialise)
        self.output = nn.Linear(config.channels, config.n_fft + 2)
        first, last = reach(0, spec.hop_length - 1, config.n_fft, spec.hop_length, spec.padding)
        side = (config.blocks + 1) * (KERNEL // 2)
        self.history_frames, self.lookahead_frames = side - first, side + last

    def forward(
        self, mel: Float[Tensor, "batch n_mels frames"], *, generator: Generators = None
    ) -> Float[Tensor, "batch samples"]:
        mel = self.accept(mel)
        return inverse_stft(self.spectrum(mel), self.spec.hop_length, self.spec.padding)

    def spectrum(
        self, mel: Float[Tensor, "batch n_mels frames"]
    ) -> Complex[Tensor, "batch frames bins"]:
        """The output's short-time spectrum ``min(exp(a), 100) (cos b + i sin b)``."""
        x = self.norm(self.embed(self.mel_input(mel)).mT)
        for block in self.blocks:
            x = block(x)
        # There is no complex bfloat16.
        with outside_autocast(x.device):
            x = self.final_norm(at_least_float32(x))
            log_magnitude, phase = self.output(x).chunk(2, dim=2)
            # Limited before the exponential, to avoid infinite values without gradients.
            magnitude = log_magnitude.clamp(max=math.log(LARGEST_MAGNITUDE)).exp()
            return torch.polar(magnitude, phase)


class _Block(nn.Module):
    """ConvNeXt in one dimension: depthwise convolution, layer norm, two pointwise layers and a
    scaled residual; zero-padded."""

    def __init__(self, config: VocosConfig) -> None:
        super().__init__()
        self.convolution = _frame_convolution(
            config.channels, config.channels, groups=config.channels
        )
        self.norm = nn.LayerNorm(config.channels, eps=NORM_EPSILON)
        self.expand = nn.Linear(config.channels, config.hidden)
        self.project = nn.Linear(config.hidden, config.channels)
        self.scale = nn.Parameter(torch.full((config.channels,), 1 / config.blocks))

    def forward(self, x: Float[Tensor, "batch frames c"]) -> Float[Tensor, "batch frames c"]:
        change = self.norm(self.convolution(x.mT).mT)
        return x + self.scale * self.project(gelu(self.expand(change)))


def _frame_convolution(inputs: int, outputs: int, groups: int = 1) -> nn.Conv1d:
    return nn.Conv1d(inputs, outputs, KERNEL, padding=KERNEL // 2, groups=groups)


def _initialise(module: nn.Module) -> None:
    """Weights of standard deviation 0.02, truncated at ±2, and zero bias, as in the public code."""
    if isinstance(module, nn.Conv1d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
