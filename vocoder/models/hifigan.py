"""HiFi-GAN: a convolutional generator trained against period and scale discriminators.

    mel ─▶ upsampling to sample rate with residual stacks of several widths ─▶ convolution ─▶ tanh

J. Kong, J. Kim and J. Bae, "HiFi-GAN: Generative Adversarial Networks for Efficient and High
Fidelity Speech Synthesis", arXiv 2010.05646. Taken from it: the generator of section 2 with the
sizes of appendix A (V1 by default; V2 and V3 in the recipes), both kinds of residual block,
weight norm, leaky ReLU of slope 0.1 (0.01 before the last convolution, as in the authors' code).

Difference: the mel is normalised by `MelInput`, which maps any convention to about ±2; the authors
use the natural log mel. As in the authors' code, every layer is zero-padded, in training and in
use: segments have no context, and the model learns their edges too.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.features.autocast import outside_autocast
from vocoder.features.mel import MelSpec
from vocoder.models.base import Generators, Vocoder
from vocoder.models.blocks.factors import check_factors
from vocoder.models.blocks.layers import MelInput
from vocoder.models.blocks.precision import at_least_float32
from vocoder.models.blocks.upsampling import (
    END_KERNEL,
    UpsamplingConfig,
    UpsamplingNetwork,
    padded_convolution,
)


class HiFiGANConfig(UpsamplingConfig):
    """Sizes of the generator, V1's by default. The product of ``rates`` is the mel's hop."""

    name: Literal["hifigan"] = "hifigan"


class HiFiGAN(Vocoder):
    """Mel in, waveform in ±1 out; no random numbers.

    A sample depends on ``history_frames`` past and ``lookahead_frames`` future mel frames, and near
    the ends of the mel on the padding.
    """

    def __init__(self, config: HiFiGANConfig, spec: MelSpec) -> None:
        super().__init__(spec)
        check_factors("rates", config.rates, spec)
        self.config = config
        self.mel_input = MelInput(spec)
        self.network = UpsamplingNetwork(config, spec.n_mels)
        self.output = padded_convolution(config.outputs, 1, END_KERNEL)
        edge = END_KERNEL // 2
        first, last = self.network.reach(-edge, spec.hop_length - 1 + edge)
        self.history_frames, self.lookahead_frames = -first, last

    def forward(
        self, mel: Float[Tensor, "batch n_mels frames"], *, generator: Generators = None
    ) -> Float[Tensor, "batch samples"]:
        mel = self.accept(mel)
        x = self.network(self.mel_input(mel))
        # The rounding of a bfloat16 waveform is audible.
        with outside_autocast(x.device):
            x = at_least_float32(x)
            return torch.tanh(self.output(x))[:, 0]
