"""What every vocoder has in common: a mel specification and the way from mel to waveform."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vocoder.errors import MelError, OptionError, VocoderError
from vocoder.features.mel import MelSpec, named_mel
from vocoder.features.mel_plausibility import check_plausible
from vocoder.features.pitch import PitchEstimate
from vocoder.models.blocks.precision import at_least_float32

Generators = torch.Generator | Sequence[torch.Generator] | None
"""Where random numbers come from: one source for the whole batch, one for each of its items (an
item's numbers then do not depend on its neighbours), or, for None, torch's global one."""

LOW_PRECISION = (torch.float16, torch.bfloat16)


class MelStream(Protocol):
    """One utterance in progress: frames in, samples out."""

    def push(
        self, mel: Float[Tensor, "batch n_mels frames"]
    ) -> Float[Tensor, "batch ready_samples"]:
        """The samples that are ready after these frames."""

    def flush(self) -> Float[Tensor, "batch remaining_samples"]:
        """The rest of the utterance."""


class VoiceChange(NamedTuple):
    """What shall differ from the voice of the mel: factors on F0 and on the frequencies of the
    formants, and a gain of the breath within voice, in dB."""

    f0_scale: float = 1.0
    formant_scale: float = 1.0
    breath_db: float = 0.0

    def arguments(self, taken: Sequence[str], who: str) -> dict[str, float]:
        """Arguments of a vocoder that takes these fields.

        Raises:
            VocoderError: another field is to change too.
        """
        for name, value in self._asdict().items():
            if value != self._field_defaults[name] and name not in taken:
                option = name.replace("_", "-")
                raise VocoderError(f"{who} takes no {name}; leave --{option} out")
        return {name: value for name, value in self._asdict().items() if name in taken}


NO_CHANGE = VoiceChange()


def check_f0_scale(f0_scale: float) -> None:
    """Raise OptionError unless it is a factor on F0: finite and above 0."""
    if not 0 < f0_scale < math.inf:
        raise OptionError(f"f0_scale is {f0_scale}: a factor above 0, 1 for none")


class Vocoder(nn.Module):
    """A module that turns a mel of its own ``spec`` into a waveform.

    ``v.mel(waveform)`` computes the mel, ``v(mel)`` the waveform, of
    ``frames * spec.hop_length`` samples.
    """

    context: tuple[int, int] = (0, 0)
    """Mel frames before and after a training segment that the model wants to see."""
    batched: bool = False
    """Whether a batch takes much less time than its items one by one, as in a loop over samples."""
    voice_changes: tuple[str, ...] = ()
    """Fields of :class:`VoiceChange` that ``forward`` takes as arguments."""
    serves_any_mel: bool = False
    """Whether :meth:`for_mel` serves mels other than the vocoder's own."""
    streams: bool = False
    """Whether :meth:`stream` gives the waveform while the mel is still coming."""
    half_precision: bool = False
    """Whether its networks also work in float16 and bfloat16."""
    lookahead_frames: int | None = None
    """Mel frames after its own that a sample may depend on; None where that is the whole rest."""

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        self.spec = spec

    @property
    def sample_rate(self) -> int:
        """Samples per second of what comes out."""
        return self.spec.sample_rate

    @property
    def parameters_count(self) -> int:
        """Number of trained parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    @torch.no_grad()
    def mel(self, waveform: Tensor) -> Float[Tensor, "batch n_mels frames"]:
        """Mel of a waveform, (samples,) or (batch, samples), at this vocoder's sample rate."""
        return self.spec.mel(waveform[None] if waveform.ndim == 1 else waveform)

    def accept(self, mel: Tensor) -> Float[Tensor, "batch n_mels frames"]:
        """A mel from outside, checked, in the precision and on the device of this vocoder.

        Except in training and while it is traced, it is also checked to be plausible as speech.

        The precision is that of the weights; where these are float16 or bfloat16, float32, in which
        signals are processed.

        Raises:
            MelError: `MelSpec.check` or `check_plausible` fails.
            VocoderError: weights in a precision that this vocoder does not work in.

        Warns:
            MelWarning: the mel cannot be speech in this spec, see `check_plausible`.
        """
        self.spec.check(mel)
        if not (self.training or torch.jit.is_tracing() or torch.compiler.is_compiling()):
            check_plausible(mel, self.spec)
        weight = next(self.parameters(), None)
        if weight is None:
            return at_least_float32(mel)
        if weight.dtype in LOW_PRECISION and not self.half_precision:
            raise VocoderError(
                f"{type(self).__name__} does not work with weights in {weight.dtype}: call "
                ".float() on it, and use torch.autocast for speed"
            )
        return mel.to(weight.device, torch.promote_types(weight.dtype, torch.float32))

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


def check_generators(generators: Sequence[torch.Generator], items: int) -> None:
    """Raise ValueError unless there is one generator per item of the batch."""
    if len(generators) != items:
        raise ValueError(
            f"{len(generators)} generators for a batch of {items}: give one per item, or a single "
            "one for the whole batch"
        )


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
    check_generators(generator, shape[0])
    rows = [function(*shape[1:], generator=each, dtype=like.dtype) for each in generator]
    return torch.stack(rows).to(like.device)
