"""F0 and voicing from a mel: a small convolutional classifier over log-F0."""

import math

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import gelu

from vocoder.config import Config
from vocoder.dsp.carry import Carry
from vocoder.features.pitch import PitchEstimate
from vocoder.models.blocks.layers import ValidConv1d
from vocoder.models.blocks.precision import SignalBuffers, at_least_float32


class PitchPredictorConfig(Config):
    """Size and range of the predictor; ``bin_cents`` is the spacing of the F0 classes."""

    channels: int = Field(96, ge=1)
    layers: int = Field(5, ge=1)
    left: int = Field(3, ge=0)
    right: int = Field(1, ge=0)
    f0_min_hz: float = Field(60.0, gt=0)
    f0_max_hz: float = Field(500.0, gt=0)
    bin_cents: float = Field(20.0, gt=0)

    @property
    def bins(self) -> int:
        """Number of F0 classes."""
        return 1 + round(1200 * math.log2(self.f0_max_hz / self.f0_min_hz) / self.bin_cents)


class PitchPredictor(SignalBuffers):
    """``layers`` convolutions from normalised mel frames to F0 classes and a voicing logit.

    F0 is the mean log-F0 of the classes around the most likely one, weighted by their
    probabilities, after CREPE (arXiv 1802.06182); a predictor of this size trained jointly with
    the vocoder is sufficient according to CosyVoice. In a stream, ``carry`` keeps the past of every
    layer.
    """

    neighbours = 4

    def __init__(self, config: PitchPredictorConfig, n_mels: int) -> None:
        super().__init__()
        self.config = config
        widths = [n_mels] + [config.channels] * config.layers
        self.hidden = nn.ModuleList(
            ValidConv1d(widths[i], widths[i + 1], config.left, config.right)
            for i in range(config.layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(config.channels) for _ in range(config.layers))
        self.output = nn.Linear(config.channels, config.bins + 1)
        octaves = torch.arange(config.bins, dtype=torch.float64) * (config.bin_cents / 1200)
        self.classes_hz: Tensor
        classes_hz = (config.f0_min_hz * torch.exp2(octaves)).float()
        self.register_buffer("classes_hz", classes_hz, persistent=False)

    @property
    def context(self) -> tuple[int, int]:
        """Past and future frames."""
        return self.config.layers * self.config.left, self.config.layers * self.config.right

    def forward(
        self, x: Float[Tensor, "batch frames n_mels"], carry: Carry | None = None
    ) -> PitchEstimate:
        x = x.to(self.output.weight.dtype)
        size = self.config.left + 1 + self.config.right
        for index, (layer, norm) in enumerate(zip(self.hidden, self.norms, strict=True)):
            if carry is not None:
                x = carry.span(f"pitch {index}", x, size, 1)
            x = gelu(norm(layer(x)))
        output = at_least_float32(self.output(x))
        f0_logits, voicing_logit = output[..., :-1], output[..., -1]
        return PitchEstimate(
            self.decode(f0_logits), torch.sigmoid(voicing_logit), f0_logits, voicing_logit
        )

    def decode(self, f0_logits: Float[Tensor, "batch frames bins"]) -> Tensor:
        """F0 in Hz from class logits: weighted mean of log-F0 around the maximum.

        The offsets from the maximum are averaged, not log-F0 itself, whose last bit is 3e-7 of F0:
        the phase accumulates such errors, so that F0 predicted in pieces or in a batch would give
        another phase after a few seconds.
        """
        index = torch.arange(self.config.bins, device=f0_logits.device)
        peak = f0_logits.argmax(dim=-1, keepdim=True)
        near = (index - peak).abs() <= self.neighbours
        weights = torch.softmax(f0_logits.masked_fill(~near, -math.inf), dim=-1)
        octaves = (weights * (index - peak)).sum(dim=-1) * (self.config.bin_cents / 1200)
        return self.classes_hz[peak[..., 0]] * torch.exp2(octaves)
