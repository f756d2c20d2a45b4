"""Shared parts of vocoders with a recurrent network at sample rate: the conditioning network, the
loop over frames, and generation in overlapping pieces.

The conditioning network is that of WaveRNN in text-to-speech (from fatchord's implementation of
arXiv 1802.08435): the mel, upsampled by repetition in a few stages, each smoothed by one learned
kernel shared by all bands; and features of a residual network over five frames, held for a frame.
LayerNorm replaces BatchNorm, whose running statistics would be additional state and would depend on
the other items of a batch.
"""

from abc import abstractmethod
from typing import Any, Literal, Self

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import conv1d, relu

from vocoder.config import Config
from vocoder.dsp.seams import crossfade, fold_overlapping
from vocoder.errors import MelError
from vocoder.features.autocast import outside_autocast
from vocoder.features.mel import MelSpec
from vocoder.models.base import Generators, Vocoder, draw_uniform
from vocoder.models.blocks.factors import check_factors
from vocoder.models.blocks.layers import MelInput
from vocoder.models.blocks.padding import pad_silence

CONTEXT_FRAMES = 2
"""Past and future frames of the residual network."""


class ConditioningConfig(Config):
    """Size of the conditioning network.

    ``upsampling``: factors of the stages, whose product is the mel's hop. ``channels``, ``blocks``:
    size of the residual network; ``features``: its outputs per frame.
    """

    upsampling: tuple[int, ...] = Field((4, 8, 8), min_length=1)
    channels: int = Field(128, ge=1)
    blocks: int = Field(10, ge=0)
    features: int = Field(128, ge=4, multiple_of=4)

    @model_validator(mode="after")
    def _factors_stretch(self) -> Self:
        if min(self.upsampling) < 2:
            raise ValueError("upsampling: a factor is at least 2; leave out those of 1")
        return self


class FoldConfig(Config):
    """Generation of one utterance in parallel pieces, as rows of a batch.

    Each piece has ``overlap`` samples in common with its neighbours at either end and ``target``
    between; both are multiples of the hop. In every piece the network starts from the zero state,
    and settles during the cross-fade.
    """

    target: int = Field(11008, ge=1)
    overlap: int = Field(512, ge=1)


Fold = FoldConfig | Literal["config"] | None
"""A fold, that of the model's config, or None to generate the whole utterance at once."""


class ConditioningNetwork(nn.Module):
    """Maps mel frames with context to the mel per sample and features per frame."""

    def __init__(self, config: ConditioningConfig, n_mels: int) -> None:
        super().__init__()
        self.config = config
        self.kernels = nn.ParameterList(
            torch.full((2 * factor + 1,), 1 / (2 * factor + 1)) for factor in config.upsampling
        )
        width = config.channels
        self.input = nn.Conv1d(n_mels, width, 2 * CONTEXT_FRAMES + 1, bias=False)
        self.input_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(config.blocks))
        self.output = nn.Linear(width, config.features)

    def forward(
        self, x: Float[Tensor, "batch n_mels padded_frames"]
    ) -> tuple[Float[Tensor, "batch samples n_mels"], Float[Tensor, "batch frames features"]]:
        hidden = relu(self.input_norm(self.input(x).transpose(1, 2)))
        for block in self.blocks:
            hidden = block(hidden)
        windows = x.unfold(2, 2 * CONTEXT_FRAMES + 1, 1)
        upsampled = torch.einsum("bnfk,kh->bfhn", windows, self._responses())
        return upsampled.flatten(1, 2), self.output(hidden)

    def _responses(self) -> Float[Tensor, "window hop"]:
        """Contribution of each frame of a window to the samples of the middle one.

        The stages are linear and equal for all bands and frames, so they are evaluated on one
        impulse per position; together they reach less than two frames.
        """
        window = 2 * CONTEXT_FRAMES + 1
        x = torch.eye(window, dtype=self.kernels[0].dtype, device=self.kernels[0].device)[:, None]
        for factor, kernel in zip(self.config.upsampling, self.kernels, strict=True):
            x = conv1d(x.repeat_interleave(factor, dim=2), kernel[None, None], padding=factor)
        return x[:, 0].chunk(window, dim=1)[CONTEXT_FRAMES]


class _Block(nn.Module):
    """Two layers per frame, with a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Linear(channels, channels, bias=False)
        self.first_norm = nn.LayerNorm(channels)
        self.second = nn.Linear(channels, channels, bias=False)
        self.second_norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second_norm(self.second(relu(self.first_norm(self.first(x)))))


class RecurrentVocoder(Vocoder):
    """Generates sample by sample with a minimal loop: the mel's contribution is computed per frame
    for all its samples, and random numbers are drawn beforehand."""

    context = (CONTEXT_FRAMES, CONTEXT_FRAMES)
    batched = True
    lookahead_frames = CONTEXT_FRAMES
    uniforms: int
    """Random numbers per sample."""

    def __init__(
        self, conditioning: ConditioningConfig, fold: FoldConfig | None, spec: MelSpec
    ) -> None:
        super().__init__(spec)
        check_factors("conditioning.upsampling", conditioning.upsampling, spec)
        self.fold = fold
        self._check_fold(fold)
        self.mel_input = MelInput(spec)
        self.conditioning = ConditioningNetwork(conditioning, spec.n_mels)

    def forward(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        *,
        generator: Generators = None,
        fold: Fold = "config",
    ) -> Float[Tensor, "batch samples"]:
        """Waveform of ``frames * hop_length`` samples.

        Args:
            mel: of this model's ``spec``.
            generator: of the samples' random numbers.
            fold: the pieces, None for the whole utterance at once, "config" for the config's.

        Raises:
            MelError: a mel that does not fit, or a fold that is no multiple of the hop.
        """
        mel = self.accept(mel)
        fold = self.fold if fold == "config" else fold
        self._check_fold(fold)
        hop, (batch, _, frames) = self.spec.hop_length, mel.shape
        pieces, length, overlap = 1, frames, 0
        if fold is not None:
            length, overlap = (fold.target + 2 * fold.overlap) // hop, fold.overlap // hop
            pieces = max(-(-(frames - overlap) // (length - overlap)), 1)
        if pieces == 1:
            numbers = draw_uniform((batch, frames * hop, self.uniforms), generator, mel)
            return self.generate(pad_silence(mel, self.spec, self.context), numbers)
        left, right = self.context
        missing = pieces * (length - overlap) + overlap - frames
        padded = pad_silence(mel, self.spec, (left, missing + right))
        folded = fold_overlapping(padded, left + length + right, overlap + left + right)
        numbers = draw_uniform((batch, pieces, length * hop, self.uniforms), generator, mel)
        rows = self.generate(folded.flatten(0, 1), numbers.flatten(0, 1))
        return crossfade(rows.unflatten(0, (batch, pieces)), overlap * hop)[:, : frames * hop]

    def generate(
        self,
        mel: Float[Tensor, "batch n_mels padded_frames"],
        numbers: Float[Tensor, "batch samples uniforms"],
    ) -> Float[Tensor, "batch samples"]:
        """Waveform for a mel with ``context``, from given random numbers in [0, 1). Autocast has no
        effect: rounding errors of the states would accumulate, as in `GatedRecurrentLayer`."""
        with torch.inference_mode(), outside_autocast(mel.device):
            x = self.mel_input(mel)
            weights, state = self._loop_weights(), self._start(mel)
            span, waveform = sum(self.context) + 1, []
            for frame, uniforms in enumerate(numbers.split(self.spec.hop_length, dim=1)):
                upsampled, features = self.conditioning(x[:, :, frame : frame + span])
                samples, state = self._frame(weights, upsampled, features[:, 0], uniforms, state)
                waveform.append(samples)
            result = torch.cat(waveform, dim=1)
        # As an ordinary tensor, which can be used in further computation.
        return result.clone()

    def seams(self, frames: int, fold: Fold = "config") -> Float[Tensor, " seams"]:
        """Sample positions of the middles of the cross-fades in an utterance; ``fold`` as in
        :meth:`forward`."""
        fold = self.fold if fold == "config" else fold
        if fold is None:
            return torch.empty(0)
        step, samples = fold.target + fold.overlap, frames * self.spec.hop_length
        begins = torch.arange(step, max(samples - fold.overlap, step), step)
        return begins + fold.overlap / 2

    @abstractmethod
    def predict(self, waveform: Tensor, mel: Tensor) -> Tensor:
        """Predicted distribution of each sample, given the previous samples and the mel."""

    @abstractmethod
    def _loop_weights(self) -> Any:
        """Weights in the order and layout of the loop over samples."""

    @abstractmethod
    def _start(self, like: Tensor) -> Any:
        """Initial state for a batch of ``like``'s size."""

    @abstractmethod
    def _frame(
        self, weights: Any, upsampled: Tensor, features: Tensor, uniforms: Tensor, state: Any
    ) -> tuple[Tensor, Any]:
        """The samples of one frame and the state after it."""

    def _check_fold(self, fold: FoldConfig | None) -> None:
        hop = self.spec.hop_length
        if fold is not None and (fold.target % hop or fold.overlap % hop):
            raise MelError(
                f"fold: target {fold.target} and overlap {fold.overlap} must be multiples of the "
                f"mel's hop_length {hop}: take {max(fold.target // hop, 1) * hop} and "
                f"{max(fold.overlap // hop, 1) * hop}"
            )


def delay(values: Float[Tensor, "batch samples *rest"]) -> Float[Tensor, "batch samples *rest"]:
    """Previous sample of each sample; zero for the first."""
    return torch.cat([torch.zeros_like(values[:, :1]), values[:, :-1]], dim=1)
