"""WaveRNN as text-to-speech uses it: two gated recurrent layers at sample rate.

    previous sample, mel, a1 ─▶ linear ─▶ GRU ─┬▶ (+ a2) GRU ─┬▶ (+ a3) ─▶ linear ─▶ (+ a4) ─▶ …
                                    └──────────┴▶ residuals ──┘        ─▶ classes or mixture

After N. Kalchbrenner et al., "Efficient Neural Audio Synthesis", arXiv 1802.08435, in its common
form as a mel vocoder (fatchord's implementation, adopted by Mozilla and Coqui TTS): the output is a
softmax over μ-law levels or a mixture of logistics instead of the paper's dual softmax (see
`wavernn_dual`), there are two GRUs of 512 with residuals and two linear layers of 512, and a
quarter of the frame's features, a1 to a4, enters at each stage.

Differences to that implementation: 10-bit μ-law instead of 9 as the default; LayerNorm instead of
BatchNorm in the conditioning network (see `recurrent`); the previous sample of a training segment
is zero, as in use; the mel is normalised by `MelInput` and padded with the log floor.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import linear, relu

from vocoder.config import Config
from vocoder.dsp.companding import mu_law_encode, mu_law_expand, uniform_decode
from vocoder.features.autocast import outside_autocast
from vocoder.features.mel import MelSpec
from vocoder.models.blocks.gru import GatedRecurrentLayer, gated_update
from vocoder.models.blocks.recurrent import ConditioningConfig, FoldConfig, RecurrentVocoder, delay
from vocoder.models.blocks.sampling import sample_categorical, sample_logistic_mixture


class WaveRNNConfig(Config):
    """Size of the network and kind of its output.

    ``output``: "mulaw", a softmax over ``2 ** bits`` levels of μ-law, or "mixture", of ``mixtures``
    logistics over 16-bit amplitude. ``gru_channels`` and ``linear_channels``: widths of the
    recurrent and of the linear layers. ``fold``: generate long utterances in overlapping pieces.
    """

    name: Literal["wavernn"] = "wavernn"
    output: Literal["mulaw", "mixture"] = "mulaw"
    bits: int = Field(10, ge=1, le=16)
    mixtures: int = Field(10, ge=1)
    gru_channels: int = Field(512, ge=1)
    linear_channels: int = Field(512, ge=1)
    conditioning: ConditioningConfig = ConditioningConfig()
    fold: FoldConfig | None = None

    @property
    def levels(self) -> int:
        """Levels of the μ-law output."""
        return int(2**self.bits)

    @property
    def outputs(self) -> int:
        """Parameters of one sample's distribution."""
        return self.levels if self.output == "mulaw" else 3 * self.mixtures


class _LoopWeights(NamedTuple):
    """``sample`` and ``sample_gates``: weights of the previous sample on the first layer's input
    and gates; all others are (in, out) for ``addmm``."""

    sample: Tensor
    sample_gates: Tensor
    first_gates: Tensor
    first_state: Tensor
    first_state_bias: Tensor
    second_gates: Tensor
    second_state: Tensor
    second_state_bias: Tensor
    linear_1: Tensor
    linear_2: Tensor
    output: Tensor


class _State(NamedTuple):
    """Both recurrent states, (batch, channels), and the previous sample, (batch, 1)."""

    first: Tensor
    second: Tensor
    previous: Tensor


class WaveRNN(RecurrentVocoder):
    """Generates sample by sample, in the domain of its output: compressed amplitude for "mulaw"."""

    def __init__(self, config: WaveRNNConfig, spec: MelSpec) -> None:
        super().__init__(config.conditioning, config.fold, spec)
        self.config = config
        self.uniforms = 1 if config.output == "mulaw" else 2
        channels, width = config.gru_channels, config.linear_channels
        self.quarter = config.conditioning.features // 4
        self.input = nn.Linear(1 + spec.n_mels + self.quarter, channels)
        self.first = GatedRecurrentLayer(channels, channels)
        self.second = GatedRecurrentLayer(channels + self.quarter, channels)
        self.linear_1 = nn.Linear(channels + self.quarter, width)
        self.linear_2 = nn.Linear(width + self.quarter, width)
        self.output = nn.Linear(width, config.outputs)

    def predict(
        self,
        waveform: Float[Tensor, "batch samples"],
        mel: Float[Tensor, "batch n_mels padded_frames"],
    ) -> Float[Tensor, "batch samples outputs"]:
        """Parameters of each sample's distribution, given all previous samples and the mel.

        Args:
            waveform: within ±1; with "mulaw" the network input is its levels.
            mel: with ``context`` additional frames at either end.
        """
        upsampled, features = self.conditioning(self.mel_input(mel))
        held = features.repeat_interleave(self.spec.hop_length, dim=1)
        a1, a2, a3, a4 = held.chunk(4, dim=2)
        previous = delay(self.companded(waveform))[:, :, None]
        x = self.input(torch.cat([previous, upsampled, a1], dim=2))
        x = x + self.first(x)
        x = x + self.second(torch.cat([x, a2], dim=2))
        x = relu(self.linear_1(torch.cat([x, a3], dim=2)))
        x = relu(self.linear_2(torch.cat([x, a4], dim=2)))
        # The means of a mixture need more than bfloat16's eight bits.
        with outside_autocast(x.device):
            return self.output(x.to(self.output.weight.dtype))

    def companded(self, waveform: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Samples as the network sees them: on μ-law's levels from -1 to 1, or as they are."""
        if self.config.output == "mixture":
            return waveform.clamp(-1, 1)
        levels = self.config.levels
        return uniform_decode(mu_law_encode(waveform, levels), levels, waveform.dtype)

    def _loop_weights(self) -> _LoopWeights:
        channels, width = self.config.gru_channels, self.config.linear_channels
        sample = self.input.weight[:, 0]
        return _LoopWeights(
            sample,
            self.first.from_input.weight @ sample,
            self.first.from_input.weight.T,
            self.first.from_state.weight.T.contiguous(),
            self.first.from_state.bias,
            self.second.from_input.weight[:, :channels].T.contiguous(),
            self.second.from_state.weight.T.contiguous(),
            self.second.from_state.bias,
            self.linear_1.weight[:, :channels].T.contiguous(),
            self.linear_2.weight[:, :width].T.contiguous(),
            self.output.weight.T.contiguous(),
        )

    def _start(self, like: Tensor) -> _State:
        state = like.new_zeros(like.shape[0], self.config.gru_channels)
        return _State(state, state, like.new_zeros(like.shape[0], 1))

    def _frame(
        self,
        weights: _LoopWeights,
        upsampled: Tensor,
        features: Tensor,
        uniforms: Tensor,
        state: _State,
    ) -> tuple[Tensor, _State]:
        w, quarter, channels = weights, self.quarter, self.config.gru_channels
        a1, a2, a3, a4 = features.chunk(4, dim=1)
        # First layer's input and gates of every sample, without the previous sample's part.
        from_features = linear(a1, self.input.weight[:, -quarter:], self.input.bias)
        known = upsampled @ self.input.weight[:, 1:-quarter].T + from_features[:, None]
        known_gates = known @ w.first_gates + self.first.from_input.bias
        # Contribution of the frame's features to the layers above.
        known_2 = linear(
            a2, self.second.from_input.weight[:, channels:], self.second.from_input.bias
        )
        known_3 = linear(a3, self.linear_1.weight[:, -quarter:], self.linear_1.bias)
        known_4 = linear(a4, self.linear_2.weight[:, -quarter:], self.linear_2.bias)
        first, second, previous = state
        samples = []
        for here, gates, uniform in zip(
            known.unbind(1), known_gates.unbind(1), uniforms.unbind(1), strict=True
        ):
            from_state = torch.addmm(w.first_state_bias, first, w.first_state)
            first = gated_update(torch.addcmul(gates, previous, w.sample_gates), from_state, first)
            x = torch.addcmul(here, previous, w.sample) + first
            from_state = torch.addmm(w.second_state_bias, second, w.second_state)
            second = gated_update(torch.addmm(known_2, x, w.second_gates), from_state, second)
            x = x + second
            x = torch.addmm(known_3, x, w.linear_1).relu_()
            x = torch.addmm(known_4, x, w.linear_2).relu_()
            previous = self._draw(torch.addmm(self.output.bias, x, w.output), uniform)
            samples.append(previous)
        made = torch.cat(samples, dim=1)
        if self.config.output == "mulaw":
            made = mu_law_expand(made, self.config.levels)
        return made, _State(first, second, previous)

    def _draw(self, parameters: Tensor, uniform: Tensor) -> Float[Tensor, "batch 1"]:
        """Draw a sample, in the domain of :meth:`companded`."""
        if self.config.output == "mixture":
            return sample_logistic_mixture(parameters, uniform)[:, None]
        symbols = sample_categorical(parameters, uniform[:, 0])[:, None]
        return uniform_decode(symbols, self.config.levels, parameters.dtype)
