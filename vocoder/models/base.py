"""What every vocoder has in common: a mel specification and the way from mel to waveform."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vocoder.errors import MelError, VocoderError
from vocoder.features.mel import MelSpec, named_mel
from vocoder.features.pitch import PitchEstimate

Generators = torch.Generator | Sequence[torch.Generator] | None
"""Where random numbers come from: one source for the whole batch, one for each of its items (an
item's numbers then do not depend on its neighbours), or, for None, torch's global one."""


class MelStream(Protocol):
    """A vocoder that is at work on an utterance."""

    def push(
        self, mel: Float[Tensor, "batch n_mels frames"]
    ) -> Float[Tensor, "batch ready_samples"]:
        """The samples that are ready after these frames."""

    def flush(self) -> Float[Tensor, "batch remaining_samples"]:
        """The rest of the utterance."""


class Vocoder(nn.Module):
    """A module that turns a mel of its own ``spec`` into a waveform.

    ``v.mel(waveform)`` computes the mel, ``v(mel)`` the waveform, of
    ``frames * spec.hop_length`` samples.
    """

    context: tuple[int, int] = (0, 0)
    """Mel frames before and after a training segment that the model wants to see."""
    batched: bool = False
    """Whether a batch takes much less time than its items one by one, as in a loop over samples."""
    scales_f0: bool = False
    """Whether ``forward`` takes ``f0_scale``, a factor on F0."""
    serves_any_mel: bool = False
    """Whether :meth:`for_mel` serves mels other than the vocoder's own."""
    streams: bool = False
    """Whether :meth:`stream` gives the waveform while the mel is still coming."""
    lookahead_frames: int | None = None
    """Mel frames after its own that a sample may depend on; None where that is the whole rest."""

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        self.spec = spec

    @property
    def sample_rate(self) -> int:
        """Samples a second of what comes out."""
        return self.spec.sample_rate

    @property
    def parameters_count(self) -> int:
        """Number of trained parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    @torch.no_grad()
    def mel(self, waveform: Tensor) -> Float[Tensor, "batch n_mels frames"]:
        """Mel of a waveform, (samples,) or (batch, samples), at this vocoder's sample rate."""
        return self.spec.mel(waveform[None] if waveform.ndim == 1 else waveform)

    def predict_pitch(self, mel: Float[Tensor, "batch n_mels frames"]) -> PitchEstimate | None:
        """F0 and voicing that the model reads off a mel to synthesise by; None where it does
        not."""
        return None

    def for_mel(self, spec: MelSpec | str) -> "Vocoder":
        """This vocoder for another mel, given by its spec or a preset's name.

        A universal vocoder gives a sibling that shares its weights.

        Raises:
            MelError: it serves its own mel only, or does not serve this one.
        """
        wanted = named_mel(spec) if isinstance(spec, str) else spec
        if wanted == self.spec:
            return self
        if not self.serves_any_mel:
            raise MelError(
                "this vocoder serves only the mel it was trained on, which differs: "
                f"{'; '.join(self.spec.describe_difference(wanted))}; load universal weights"
            )
        return self._sibling(wanted)

    def _sibling(self, spec: MelSpec) -> "Vocoder":
        """This vocoder for another mel, with the same weights; a class whose ``serves_any_mel`` is
        true overrides it."""
        raise NotImplementedError(f"{type(self).__name__}: serves_any_mel without _sibling()")

    def stream(self, batch: int = 1) -> "MelStream":
        """The vocoder's mel frames in, samples out as they are decided; a class whose ``streams``
        is true overrides it, with options of its own.

        Raises:
            VocoderError: this vocoder needs the whole mel.
        """
        raise VocoderError(
            f"{type(self).__name__} cannot stream, it needs the whole mel: load universal weights, "
            "or others of a source_filter model"
        )

    @abstractmethod
    def forward(
        self, mel: Float[Tensor, "batch n_mels frames"], *, generator: Generators = None
    ) -> Float[Tensor, "batch samples"]:
        """Waveform for a mel."""


def draw_normal(shape: Sequence[int], generator: Generators, like: Tensor) -> Tensor:
    """Standard normal numbers of a shape whose first axis is the batch; dtype and device of
    ``like``. Drawn on the CPU, so that a seed means the same everywhere."""
    return _draw(torch.randn, shape, generator, like)


def draw_uniform(shape: Sequence[int], generator: Generators, like: Tensor) -> Tensor:
    """Numbers uniform in [0, 1), otherwise as :func:`draw_normal`."""
    return _draw(torch.rand, shape, generator, like)


def _draw(function, shape: Sequence[int], generator: Generators, like: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
    if generator is None or isinstance(generator, torch.Generator):
        return function(*shape, generator=generator, dtype=like.dtype).to(like.device)
    if len(generator) != shape[0]:
        raise ValueError(f"{len(generator)} generators for a batch of {shape[0]}: give one an item")
    rows = [function(*shape[1:], generator=each, dtype=like.dtype) for each in generator]
    return torch.stack(rows).to(like.device)
