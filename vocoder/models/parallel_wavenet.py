"""Parallel WaveNet's student: noise to waveform by inverse autoregressive flows, all at once.

    z ─▶ flow 1 ─▶ flow 2 ─▶ … ─▶ x,    z[t] ← z[t] σ(z[<t], mel) + μ(z[<t], mel)

A. van den Oord et al., "Parallel WaveNet", arXiv 1711.10433 (logistic noise), and W. Ping, K. Peng
and J. Chen, "ClariNet", arXiv 1807.07281 (Gaussian noise). Each flow is a WaveNet without
autoregression on its output and depends only on the past of its own input, so that given z[<t] the
sample x[t] has the base distribution shifted and scaled by

    μ_total = Σ_i μ_i Π_{j>i} σ_j,   σ_total = Π_i σ_i

and ``ln |det ∂x/∂z| = Σ_t ln σ_total[t]``. As in both papers, no flow is reversed in time:
otherwise x[t] would depend on later noise and its distribution would not have this form. Default
sizes are those of the open reproduction ksw0306/ClariNet: six flows of ten layers of 64 channels,
kernel 3. Parallel WaveNet has four flows, the last of thirty layers: ``layers: [10, 10, 10, 30]``.

Differences: the student trains its own conditioning network; ClariNet uses its teacher's. The first
convolution of a flow is one sample wide, in the reproduction 32. Samples are clipped to ±1 in
synthesis only. In synthesis the noise can be scaled by ``temperature``, which is 1 in the papers.
"""

from typing import Literal, NamedTuple, Self

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import pad

from vocoder.config import Config
from vocoder.features.mel import MelSpec
from vocoder.models.base import Generators, Vocoder, draw_normal, draw_uniform
from vocoder.models.blocks.factors import check_factors
from vocoder.models.blocks.gated_convolutions import (
    GatedStack,
    MelUpsampling,
    normalised_convolution,
)
from vocoder.models.blocks.padding import pad_silence


class ParallelWaveNetConfig(Config):
    """Sizes of the student, and its noise.

    ``layers``: of each flow, with dilations 1, 2, 4, … up to 512, repeated. ``base``: distribution
    of the input noise. ``gate_channels``: of the tanh and the sigmoid together.
    ``mel_side_frames``, ``upsampling``: as of WaveNet. ``log_scale_floor``: least ln σ of one flow.
    """

    name: Literal["parallel_wavenet"] = "parallel_wavenet"
    base: Literal["gaussian", "logistic"] = "gaussian"
    layers: tuple[int, ...] = Field((10, 10, 10, 10, 10, 10), min_length=1)
    kernel: int = Field(3, ge=2)
    residual_channels: int = Field(64, ge=1)
    gate_channels: int = Field(128, ge=2, multiple_of=2)
    skip_channels: int = Field(64, ge=1)
    mel_side_frames: int = Field(2, ge=0)
    upsampling: tuple[int, ...] = Field((16, 16), min_length=1)
    log_scale_floor: float = Field(-7.0, lt=0)
    temperature: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _factors_and_layers(self) -> Self:
        if min(self.layers) < 1:
            raise ValueError(f"layers {list(self.layers)}: every flow has at least one")
        if min(self.upsampling) < 2:
            raise ValueError(f"upsampling {list(self.upsampling)}: every factor is at least 2")
        return self


class Student(NamedTuple):
    """Samples and their distributions: ``waveform``, and the location ``mean`` and ``log_scale`` of
    each sample's distribution given the previous noise; (batch, samples) each."""

    waveform: Tensor
    mean: Tensor
    log_scale: Tensor


class Flow(nn.Module):
    """Location and log scale of each sample from the input's past."""

    def __init__(self, config: ParallelWaveNetConfig, layers: int, n_mels: int) -> None:
        super().__init__()
        self.log_scale_floor = config.log_scale_floor
        self.first = normalised_convolution(1, config.residual_channels)
        self.stack = GatedStack(
            config.residual_channels,
            config.gate_channels,
            config.skip_channels,
            n_mels,
            config.kernel,
            tuple(2 ** (layer % 10) for layer in range(layers)),
            outputs=2,
        )

    def forward(
        self,
        z: Float[Tensor, "batch samples"],
        condition: Float[Tensor, "batch n_mels samples"],
    ) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, "batch samples"]]:
        past = pad(z[:, :-1], (1, 0))
        mean, log_scale = self.stack(self.first(past[:, None]), condition).unbind(1)
        return mean.to(z.dtype), log_scale.to(z.dtype).clamp(min=self.log_scale_floor)


class ParallelWaveNet(Vocoder):
    """Mel and noise in, waveform out, in one pass per flow."""

    def __init__(self, config: ParallelWaveNetConfig, spec: MelSpec) -> None:
        super().__init__(spec)
        check_factors("upsampling", config.upsampling, spec)
        self.config = config
        self.conditioning = MelUpsampling(spec, config.mel_side_frames, config.upsampling)
        self.context = self.conditioning.context
        self.lookahead_frames = self.context[1]
        self.flows = nn.ModuleList(Flow(config, layers, spec.n_mels) for layers in config.layers)

    def draw(self, batch: int, samples: int, generator: Generators, like: Tensor) -> Tensor:
        """Noise of the base distribution, (batch, samples)."""
        if self.config.base == "gaussian":
            # torch draws normal numbers in blocks of 16: with whole blocks, a longer utterance
            # begins with the noise of a shorter one.
            return draw_normal((batch, -(-samples // 16) * 16), generator, like)[:, :samples]
        return torch.logit(draw_uniform((batch, samples), generator, like), eps=1e-5)

    def generate(
        self,
        noise: Float[Tensor, "batch samples"],
        mel: Float[Tensor, "batch n_mels padded_frames"],
    ) -> Student:
        """Samples for noise of unit scale and a mel with ``context`` frames around it."""
        condition = self.conditioning(mel)
        z = noise
        mean, log_scale = torch.zeros_like(z), torch.zeros_like(z)
        for flow in self.flows:
            shift, log_factor = flow(z, condition)
            factor = log_factor.exp()
            z = z * factor + shift
            mean = mean * factor + shift
            log_scale = log_scale + log_factor
        return Student(z, mean, log_scale)

    @torch.no_grad()
    def invert(
        self,
        waveform: Float[Tensor, "batch samples"],
        mel: Float[Tensor, "batch n_mels padded_frames"],
    ) -> Float[Tensor, "batch samples"]:
        """The noise of a waveform: the inverse of :meth:`generate`. One pass per sample and flow:
        only for checks on short signals."""
        condition = self.conditioning(mel)
        for flow in reversed(self.flows):
            z = torch.zeros_like(waveform)
            for t in range(waveform.shape[1]):
                shift, log_factor = flow(z[:, : t + 1], condition[:, :, : t + 1])
                z[:, t] = (waveform[:, t] - shift[:, t]) * torch.exp(-log_factor[:, t])
            waveform = z
        return waveform

    def forward(
        self, mel: Float[Tensor, "batch n_mels frames"], *, generator: Generators = None
    ) -> Float[Tensor, "batch samples"]:
        mel = self.accept(mel)
        noise = self.draw(mel.shape[0], mel.shape[2] * self.spec.hop_length, generator, mel)
        padded = pad_silence(mel, self.spec, self.context)
        return self.generate(self.config.temperature * noise, padded).waveform.clamp(-1, 1)
