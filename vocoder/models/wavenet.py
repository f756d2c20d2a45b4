"""WaveNet: each sample is drawn from a distribution given all previous samples and the mel.

    mel ─▶ MelUpsampling ─▶ conditioning ─┐
    x[t-1], x[t-2], … ─▶ GatedStack ◀─────┘ ─▶ distribution of x[t]

A. van den Oord et al., "WaveNet: a generative model for raw audio", arXiv 1609.03499: dilated
causal convolutions (section 2.1), 256 μ-law classes (2.2), gated units (2.3, eq. 2), residual and
skip connections (2.4), local conditioning through transposed convolutions (2.5). Conditioned on the
mel as in J. Shen et al., "Tacotron 2", arXiv 1712.05884, which also replaces the classes by a
mixture of ten logistics over 16 bits, after Parallel WaveNet (arXiv 1711.10433). The single
Gaussian is that of ClariNet, arXiv 1807.07281. The default sizes are those of r9y9/wavenet_vocoder
(egs/mol), the most used open implementation.

Differences: convolutions are weight-normalised, as in r9y9's code; unlike there, residuals are not
scaled by √½ (nor in the paper), and the last block has no residual output, which would be unused.
Inputs of the mixture and the Gaussian are linear amplitudes. Pre-emphasis and gain scaling of
r9y9's LJSpeech recipe are omitted. The past of a training segment is zero, like that of an
utterance.
"""

from typing import Literal, Self

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import pad

from vocoder.config import Config
from vocoder.dsp.companding import mu_law_decode, mu_law_encode
from vocoder.features.autocast import outside_autocast
from vocoder.features.mel import MelSpec
from vocoder.models.base import Generators, Vocoder, draw_normal, draw_uniform
from vocoder.models.blocks.cached_stack import CachedStack
from vocoder.models.blocks.factors import check_factors
from vocoder.models.blocks.gated_convolutions import (
    GatedStack,
    MelUpsampling,
    doubling_dilations,
    normalised_convolution,
)
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.blocks.sampling import (
    sample_categorical,
    sample_gaussian,
    sample_logistic_mixture,
)

BLOCK_FRAMES = 8
"""Frames of conditioning computed at a time during generation."""


class WaveNetConfig(Config):
    """Sizes, and the form of the predicted distribution.

    ``output``: "mulaw" (``classes`` levels), "mol" (``mixtures`` logistics) or "gaussian".
    ``stacks``: repetitions of the dilations 1, 2, 4, … over the ``layers``. ``gate_channels``: of
    the tanh and the sigmoid together. ``mel_side_frames``: context frames on either side in the
    first conditioning layer. ``upsampling``: factors from frames to samples. ``log_scale_floor``:
    least ln s of a logistic or Gaussian.
    """

    name: Literal["wavenet"] = "wavenet"
    output: Literal["mulaw", "mol", "gaussian"] = "mol"
    layers: int = Field(24, ge=1)
    stacks: int = Field(4, ge=1)
    kernel: int = Field(3, ge=2)
    residual_channels: int = Field(128, ge=1)
    gate_channels: int = Field(256, ge=2, multiple_of=2)
    skip_channels: int = Field(128, ge=1)
    mixtures: int = Field(10, ge=1)
    classes: int = Field(256, ge=2, multiple_of=2)
    mel_side_frames: int = Field(2, ge=0)
    upsampling: tuple[int, ...] = Field((4, 4, 4, 4), min_length=1)
    log_scale_floor: float = Field(-9.0, lt=0)

    @model_validator(mode="after")
    def _shapes_agree(self) -> Self:
        if self.layers % self.stacks:
            raise ValueError(
                f"{self.layers} layers do not divide into {self.stacks} stacks: choose a multiple"
            )
        if min(self.upsampling) < 2:
            raise ValueError(f"upsampling {list(self.upsampling)}: every factor is at least 2")
        return self

    @property
    def outputs(self) -> int:
        """Parameters of one sample's distribution."""
        return {"mulaw": self.classes, "mol": 3 * self.mixtures, "gaussian": 2}[self.output]


class WaveNet(Vocoder):
    """Mel in, waveform out, sample by sample; or all predictions of a given waveform at once."""

    batched = True

    def __init__(self, config: WaveNetConfig, spec: MelSpec) -> None:
        super().__init__(spec)
        check_factors("upsampling", config.upsampling, spec)
        self.config = config
        self.conditioning = MelUpsampling(spec, config.mel_side_frames, config.upsampling)
        self.context = self.conditioning.context
        self.lookahead_frames = self.context[1]
        self.first: nn.Module
        if config.output == "mulaw":
            self.first = nn.Embedding(config.classes, config.residual_channels)
        else:
            self.first = normalised_convolution(1, config.residual_channels)
        self.stack = GatedStack(
            config.residual_channels,
            config.gate_channels,
            config.skip_channels,
            spec.n_mels,
            config.kernel,
            doubling_dilations(config.layers, config.stacks),
            config.outputs,
        )

    @property
    def receptive_field(self) -> int:
        """Past samples on which a prediction depends."""
        return self.stack.receptive_field

    def predict(
        self,
        waveform: Float[Tensor, "batch samples"],
        mel: Float[Tensor, "batch n_mels padded_frames"],
    ) -> Float[Tensor, "batch samples outputs"]:
        """Distribution of every sample of a waveform given the previous samples.

        Args:
            waveform: within ±1, ``frames * hop_length`` samples.
            mel: of the same frames, with ``context`` frames around them.

        Returns:
            "mulaw": logits of the classes. "mol": logits of the weights, means, ln s. "gaussian":
            mean, ln s.
        """
        return self.predict_from(waveform, self.conditioning(mel))

    def predict_from(
        self,
        waveform: Float[Tensor, "batch samples"],
        condition: Float[Tensor, "batch channels samples"],
    ) -> Float[Tensor, "batch samples outputs"]:
        """As :meth:`predict`, with the conditioning at sample rate."""
        past = pad(waveform[:, :-1], (1, 0))
        if isinstance(self.first, nn.Embedding):
            x = self.first(mu_law_encode(past, self.config.classes)).transpose(1, 2)
        else:
            x = self.first(past[:, None])
        return self.stack(x, condition).transpose(1, 2).to(waveform.dtype)

    def forward(
        self, mel: Float[Tensor, "batch n_mels frames"], *, generator: Generators = None
    ) -> Float[Tensor, "batch samples"]:
        mel = self.accept(mel)
        samples = mel.shape[2] * self.spec.hop_length
        return self.generate(mel, self.draw(mel.shape[0], samples, generator, mel))

    def draw(self, batch: int, samples: int, generator: Generators, like: Tensor) -> Tensor:
        """The random numbers for a number of samples: (batch, samples), for the mixture (batch,
        samples, 2)."""
        if self.config.output == "gaussian":
            # torch draws normal numbers in blocks of 16: with whole blocks, a longer utterance
            # begins with the numbers of a shorter one.
            return draw_normal((batch, -(-samples // 16) * 16), generator, like)[:, :samples]
        shape = (batch, samples, 2) if self.config.output == "mol" else (batch, samples)
        return draw_uniform(shape, generator, like)

    def sample(self, parameters: Tensor, drawn: Tensor) -> Float[Tensor, "*shape"]:
        """Amplitudes from predicted distributions, (..., outputs), and numbers of :meth:`draw`."""
        if self.config.output == "mulaw":
            symbols = sample_categorical(parameters, drawn)
            return mu_law_decode(symbols, self.config.classes, parameters.dtype)
        if self.config.output == "mol":
            return sample_logistic_mixture(parameters, drawn, self.config.log_scale_floor)
        return sample_gaussian(parameters, drawn, self.config.log_scale_floor)

    @torch.inference_mode()
    def generate(
        self, mel: Float[Tensor, "batch n_mels frames"], drawn: Float[Tensor, "batch samples ..."]
    ) -> Float[Tensor, "batch samples"]:
        """Generate sample by sample, with cached queues, from numbers of :meth:`draw`; equal to
        sampling from :meth:`predict` of the result. Memory besides mel, numbers and waveform is
        constant. Autocast has no effect."""
        hop, context = self.spec.hop_length, sum(self.context)
        padded = pad_silence(mel, self.spec, self.context)
        waveform = mel.new_empty(drawn.shape[:2])
        # The loop writes into buffers of the weights' type.
        with outside_autocast(mel.device):
            loop = _Loop(self, mel.shape[0])
            for first in range(0, mel.shape[2], BLOCK_FRAMES):
                last = min(first + BLOCK_FRAMES, mel.shape[2])
                condition = self.conditioning(padded[:, :, first : last + context])
                rows = slice(first * hop, last * hop)
                waveform[:, rows] = loop.run(condition, drawn[:, rows])
        return waveform


class _Loop:
    """The loop over samples, with its state between blocks."""

    def __init__(self, model: WaveNet, batch: int) -> None:
        self.model = model
        self.queue = CachedStack(model.stack, batch)
        self.table: Tensor | None = None
        if isinstance(model.first, nn.Embedding):
            self.table = model.first.weight
            silence = self.table.new_zeros(batch)
            self.previous = mu_law_encode(silence, model.config.classes)
        else:
            first = model.first
            assert isinstance(first, nn.Conv1d)
            assert first.bias is not None
            self.weight, self.bias = first.weight[:, 0, 0], first.bias
            self.previous = self.weight.new_zeros(batch, 1)

    def run(
        self, condition: Float[Tensor, "batch channels samples"], drawn: Tensor
    ) -> Float[Tensor, "batch samples"]:
        """The next samples, one per conditioning step."""
        pieces = []
        for start in range(0, condition.shape[2], self.queue.chunk):
            part = condition[:, :, start : start + self.queue.chunk]
            self.queue.begin_chunk(part)
            numbers = drawn[:, start : start + part.shape[2]].unbind(1)
            pieces += [self._step(t, number) for t, number in enumerate(numbers)]
        found = torch.stack(pieces, dim=1)
        if self.table is None:
            return found
        return mu_law_decode(found, self.model.config.classes, condition.dtype)

    def _step(self, t: int, number: Tensor) -> Tensor:
        """One sample of each item: a symbol for μ-law, an amplitude otherwise."""
        slot = self.queue.inputs[t]
        if self.table is not None:
            torch.index_select(self.table, 0, self.previous, out=slot)
            self.previous = sample_categorical(self.queue.step(t), number)
            return self.previous
        torch.addcmul(self.bias, self.previous, self.weight, out=slot)
        sample = self.model.sample(self.queue.step(t), number)
        self.previous = sample[:, None]
        return sample
