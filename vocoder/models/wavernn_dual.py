"""WaveRNN with the dual softmax: one gated recurrent layer, 16 bits as two symbols of 8.

    c(t-1), f(t-1), mel ─▶ coarse half of the state ─▶ softmax ─▶ c(t)
                     c(t) ─▶ fine half of the state ─▶ softmax ─▶ f(t)

Source: N. Kalchbrenner et al., "Efficient Neural Audio Synthesis", arXiv 1802.08435, section 2.
Taken from there: a state of 896 (section 2.1) in two halves; the masked input matrix of eq. 2, by
which the current coarse symbol reaches only the gates of the fine half; symbols scaled from 0..255
to ±1; two linear layers with a ReLU between for each half; all of R in one product with the state.

Differences: the network is conditioned on a mel (there on linguistic features and F0), by the
features of the conditioning network (see `recurrent`), projected onto all gates. Weights are dense,
and samples are generated one by one: the paper's pruning and subscaling are not implemented. The
equations are those of ``torch.nn.GRU``, whose update gate keeps the old state as in the paper, with
one additional bias.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from vocoder.config import Config
from vocoder.dsp.companding import uniform_decode, uniform_encode
from vocoder.features.mel import MelSpec
from vocoder.models.blocks.gru import GatedRecurrentLayer, gated_update
from vocoder.models.blocks.recurrent import ConditioningConfig, FoldConfig, RecurrentVocoder, delay
from vocoder.models.blocks.sampling import sample_categorical

LEVELS = 65536
SYMBOLS = 256
"""Number of 16-bit levels, and of levels of either byte."""
SEEN = 3
"""Input symbols of the gates: c(t-1), f(t-1), c(t)."""


class DualWaveRNNConfig(Config):
    """Size of the network: ``channels`` of the state, in halves, and width of the layers between
    either half and its softmax. ``fold``: generate long utterances in overlapping pieces."""

    name: Literal["wavernn_dual"] = "wavernn_dual"
    channels: int = Field(896, ge=2, multiple_of=2)
    conditioning: ConditioningConfig = ConditioningConfig()
    fold: FoldConfig | None = None


class _LoopWeights(NamedTuple):
    """Gates in the order coarse (reset, update, candidate), fine (reset, update, candidate)."""

    known: Tensor
    known_bias: Tensor
    previous: Tensor
    state: Tensor
    state_bias: Tensor
    coarse_to_fine: Tensor


class _State(NamedTuple):
    """Both halves of the state, (batch, channels / 2), and the previous symbols, (batch, 2),
    scaled."""

    coarse: Tensor
    fine: Tensor
    previous: Tensor


class DualWaveRNN(RecurrentVocoder):
    """16-bit samples: the upper byte first, then the lower byte given the upper."""

    uniforms = 2

    def __init__(self, config: DualWaveRNNConfig, spec: MelSpec) -> None:
        super().__init__(config.conditioning, config.fold, spec)
        self.config = config
        channels = config.channels
        half = channels // 2
        self.recurrent = GatedRecurrentLayer(
            SEEN + spec.n_mels + config.conditioning.features, channels
        )
        self.coarse = nn.Sequential(nn.Linear(half, half), nn.ReLU(), nn.Linear(half, SYMBOLS))
        self.fine = nn.Sequential(nn.Linear(half, half), nn.ReLU(), nn.Linear(half, SYMBOLS))
        mask = torch.ones(3, 2, half, SEEN)
        mask[:, 0, :, SEEN - 1] = 0
        self.mask: Tensor
        self.register_buffer("mask", mask.reshape(3 * channels, SEEN), persistent=False)

    def predict(
        self,
        waveform: Float[Tensor, "batch samples"],
        mel: Float[Tensor, "batch n_mels padded_frames"],
    ) -> Float[Tensor, "batch samples 2 symbols"]:
        """Logits of each sample's coarse and fine symbol, given all previous samples, the mel and,
        for the fine one, the sample's own coarse symbol.

        Args:
            mel: with ``context`` additional frames at either end.
        """
        scaled = scale(self.split(waveform), waveform.dtype)
        return self.predict_symbols(delay(scaled), scaled[:, :, :1], mel)

    def predict_symbols(
        self,
        previous: Float[Tensor, "batch samples 2"],
        coarse: Float[Tensor, "batch samples 1"],
        mel: Float[Tensor, "batch n_mels padded_frames"],
    ) -> Float[Tensor, "batch samples 2 symbols"]:
        """:meth:`predict` from symbols scaled to ±1: both of the previous sample, and the coarse
        one of the sample itself."""
        upsampled, features = self.conditioning(self.mel_input(mel))
        held = features.repeat_interleave(self.spec.hop_length, dim=1)
        x = torch.cat([previous, coarse, upsampled, held], dim=2)
        states = self.recurrent(x, self._masked_weight())
        coarse_half, fine_half = states.chunk(2, dim=2)
        return torch.stack([self.coarse(coarse_half), self.fine(fine_half)], dim=2)

    @staticmethod
    def split(waveform: Float[Tensor, "*shape"]) -> Int[Tensor, "*shape 2"]:
        """Upper and lower byte of samples within ±1, in 16 bits."""
        levels = uniform_encode(waveform, LEVELS)
        return torch.stack([levels // SYMBOLS, levels % SYMBOLS], dim=-1)

    @staticmethod
    def join(symbols: Int[Tensor, "*shape 2"], dtype: torch.dtype) -> Tensor:
        """Samples within ±1 from both bytes."""
        return uniform_decode(symbols[..., 0] * SYMBOLS + symbols[..., 1], LEVELS, dtype)

    def _masked_weight(self) -> Float[Tensor, "gates inputs"]:
        """The input weight with the coarse half's own symbol masked."""
        weight = self.recurrent.from_input.weight
        return torch.cat([weight[:, :SEEN] * self.mask, weight[:, SEEN:]], dim=1)

    def _loop_weights(self) -> _LoopWeights:
        channels = self.config.channels
        order = torch.arange(3 * channels, device=self.mask.device)
        order = order.view(3, 2, channels // 2).transpose(0, 1).flatten()
        weight, state = self._masked_weight()[order], self.recurrent.from_state
        return _LoopWeights(
            weight[:, SEEN:].T.contiguous(),
            self.recurrent.from_input.bias[order],
            weight[:, :2].T.contiguous(),
            state.weight[order].T.contiguous(),
            state.bias[order],
            weight[len(order) // 2 :, 2].contiguous(),
        )

    def _start(self, like: Tensor) -> _State:
        half = like.new_zeros(like.shape[0], self.config.channels // 2)
        return _State(half, half, like.new_zeros(like.shape[0], 2))

    def _frame(
        self,
        weights: _LoopWeights,
        upsampled: Tensor,
        features: Tensor,
        uniforms: Tensor,
        state: _State,
    ) -> tuple[Tensor, _State]:
        w, bands, gates = weights, upsampled.shape[2], weights.coarse_to_fine.shape[0]
        from_features = torch.addmm(w.known_bias, features, w.known[bands:])
        known = upsampled @ w.known[:bands] + from_features[:, None]
        coarse_state, fine_state, previous = state
        made = []
        for here, uniform in zip(known.unbind(1), uniforms.unbind(1), strict=True):
            whole = torch.cat([coarse_state, fine_state], dim=1)
            from_state = torch.addmm(w.state_bias, whole, w.state)
            from_input = torch.addmm(here, previous, w.previous)
            coarse_state = gated_update(from_input[:, :gates], from_state[:, :gates], coarse_state)
            coarse = sample_categorical(self.coarse(coarse_state), uniform[:, 0])
            scaled = scale(coarse, here.dtype)[:, None]
            fine_input = torch.addcmul(from_input[:, gates:], scaled, w.coarse_to_fine)
            fine_state = gated_update(fine_input, from_state[:, gates:], fine_state)
            fine = sample_categorical(self.fine(fine_state), uniform[:, 1])
            symbols = torch.stack([coarse, fine], dim=1)
            previous = scale(symbols, here.dtype)
            made.append(symbols)
        samples = self.join(torch.stack(made, dim=1), upsampled.dtype)
        return samples, _State(coarse_state, fine_state, previous)


def scale(symbols: Int[Tensor, "*shape"], dtype: torch.dtype) -> Float[Tensor, "*shape"]:
    """Symbols from 0 to 255 scaled to ±1."""
    return uniform_decode(symbols, SYMBOLS, dtype)
