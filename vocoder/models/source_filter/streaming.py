"""The source-filter vocoder in pieces: mel frames in as they come, samples out as they are decided.

A whole utterance is a stream too (`SourceFilter.forward`): the arithmetic is the same in pieces of
any length, and so is the signal. Every convolution, window and overlap-add keeps its own past in a
`Carry`, so that nothing is computed twice, and memory does not grow with time.
"""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.carry import Carry
from vocoder.dsp.sources.noise import extend_noise
from vocoder.errors import AudioError, MelError, PitchError, VocoderError
from vocoder.features.pitch import PitchEstimate, validate_f0
from vocoder.models.base import Generators, check_generators
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.blocks.precision import at_least_float32
from vocoder.models.source_filter.rendering import Options, Rendering
from vocoder.models.source_filter.synthesis import Controls

if TYPE_CHECKING:
    from vocoder.models.source_filter.model import SourceFilter

CHUNK_FRAMES = 1280
"""Frames of a whole mel that are computed at a time: in fewer, the many small operations of the low
band take more of the time."""
OPTIONAL = ("f0_hz", "voicing", "noise")
"""Signals that may come with the mel."""


class Stream:
    """One batch of utterances on its way through a vocoder, see `SourceFilter.stream`.

    The first samples come with mel frame number ``lookahead_frames`` + 1, then as many per frame as
    the hop has. :meth:`flush` ends the utterance, and the next push begins another.

    Args:
        vocoder: whose networks and signal processing are used.
        batch: utterances in parallel.
        options: what of the given mel is met, and what changes of the voice.
        generator: source of the noise.
    """

    def __init__(
        self, vocoder: "SourceFilter", batch: int, options: Options, generator: Generators
    ) -> None:
        self.vocoder, self.batch, self.generator = vocoder, batch, generator
        self.rendering = Rendering(vocoder.synthesis, vocoder.steering, options)
        self.f0_scale = options.change.f0_scale
        self.lookahead_frames: int = vocoder.context[1] + self.rendering.reach_frames
        self._begin()

    def _begin(self) -> None:
        self._carry = Carry()
        self._given: set[str] = set()
        self._owed = 0

    # ---- pieces --------------------------------------------------------------------------------

    def push(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        f0_hz: Float[Tensor, "batch frames"] | None = None,
        voicing: Float[Tensor, "batch frames"] | None = None,
        noise: Float[Tensor, "batch samples"] | None = None,
    ) -> Float[Tensor, "batch ready_samples"]:
        """The samples that are ready after these frames, at first none.

        Args:
            mel: the next frames, any number, of the vocoder's ``spec``.
            f0_hz: F0 from outside, 1 Hz to below Nyquist everywhere; predicted when absent.
                Where there is no voice say so by ``voicing``, not by an F0 of zero.
            voicing: 0 (noise only) to 1, from outside; predicted when absent.
            noise: unit-power white noise, ``frames * hop_length`` samples; drawn when absent.

        What comes from outside comes with every frame of an utterance or with none. After an error
        in what only the networks find, such as a predicted F0 that ``f0_scale`` lifts beyond
        Nyquist, the next push begins another utterance.

        Raises:
            MelError: a wrong number of bins or utterances, or a value that is not finite.
            PitchError: F0 or voicing out of range, of another shape, or with some pushes only.
            AudioError: noise of another shape.
        """
        if mel.ndim == 3 and mel.shape[2] == 0:
            return self._nothing()
        return self._push(self._checked(mel, f0_hz, voicing, noise))

    def flush(self) -> Float[Tensor, "batch remaining_samples"]:
        """The rest of the utterance, up to ``frames * hop_length`` samples in all.

        Silence follows its mel: the last samples are what they would be within a mel padded with
        the floor, to 1e-4. F0 and voicing from outside are held.
        """
        nothing = self._nothing()
        if self._owed == 0:
            return nothing
        no_mel = nothing[:, None].expand(-1, self.vocoder.spec.n_mels, -1)
        return self._finish({"mel": no_mel, **dict.fromkeys(self._given, nothing)})

    def chunks(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        f0_hz: Float[Tensor, "batch frames"] | None = None,
        voicing: Float[Tensor, "batch frames"] | None = None,
        noise: Float[Tensor, "batch samples"] | None = None,
        chunk_frames: int = CHUNK_FRAMES,
    ) -> Iterator[Float[Tensor, "batch samples"]]:
        """The waveform of a whole mel in pieces, as they become ready, in bounded memory.

        ``chunk_frames`` frames are taken at a time; the signal does not depend on it. Arguments and
        errors are those of :meth:`push`.

        Raises:
            ValueError: ``chunk_frames`` below one.
        """
        signals = self._checked(mel, f0_hz, voicing, noise)
        if chunk_frames < 1:
            raise ValueError(f"chunk_frames is {chunk_frames}: at least one frame at a time")
        for start in range(0, mel.shape[2], chunk_frames):
            piece = {}
            for name, signal in signals.items():
                rate = self.vocoder.spec.hop_length if name == "noise" else 1
                piece[name] = signal[..., start * rate : (start + chunk_frames) * rate]
            if start + chunk_frames >= mel.shape[2]:
                yield self._finish(piece)
            elif (ready := self._push(piece)).shape[1]:
                yield ready

    # ---- state ---------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """All that the following samples depend on besides what is pushed, as tensors by name.

        That of PyTorch's global generator is not in it: give the stream a generator of its own.
        """
        state = {name: tensor.clone() for name, tensor in self._carry.tensors.items()}
        given = torch.tensor([name in self._given for name in OPTIONAL])
        state |= {"owed": torch.tensor(self._owed), "given": given, "options": self._fingerprint()}
        for index, generator in enumerate(self._generators()):
            state[f"generator {index:06d}"] = generator.get_state()
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a :meth:`state` of this stream, or of another with the same vocoder and
        options.

        Raises:
            ValueError: that stream had another vocoder, other options or another number of
                generators.
        """
        state, generators = dict(state), self._generators()
        fingerprint = state.pop("options", torch.empty(0))
        if not torch.equal(fingerprint, self._fingerprint()):
            raise ValueError(
                "not the state of a stream with this vocoder's config and mel, these options and "
                f"this batch ({self.batch}): make the stream with the same arguments"
            )
        saved = [state.pop(name) for name in sorted(state) if name.startswith("generator ")]
        if len(saved) != len(generators):
            raise ValueError(f"a state of {len(saved)} generators for {len(generators)}")
        for generator, numbers in zip(generators, saved, strict=True):
            generator.set_state(numbers)
        self._owed, given = int(state.pop("owed")), state.pop("given").tolist()
        self._given = {name for name, was in zip(OPTIONAL, given, strict=True) if was}
        self._carry = Carry({name: tensor.clone() for name, tensor in state.items()})

    def _fingerprint(self) -> Tensor:
        """Eight bytes that tell streams apart whose states differ in meaning."""
        vocoder = self.vocoder
        told = repr((vocoder.spec.fingerprint, vocoder.config, self.rendering.options, self.batch))
        return torch.tensor(list(hashlib.sha256(told.encode()).digest()[:8]), dtype=torch.uint8)

    def _generators(self) -> list[torch.Generator]:
        if self.generator is None or isinstance(self.generator, torch.Generator):
            return [] if self.generator is None else [self.generator]
        return list(self.generator)

    # ---- checks --------------------------------------------------------------------------------

    def _checked(
        self, mel: Tensor, f0_hz: Tensor | None, voicing: Tensor | None, noise: Tensor | None
    ) -> dict[str, Tensor]:
        """The signals that are given, by name, in the mel's dtype and on its device."""
        mel = self.vocoder.accept(mel)
        batch, _, frames = mel.shape
        samples = frames * self.vocoder.spec.hop_length
        if batch != self.batch:
            raise MelError(f"{batch} mels for a stream of {self.batch}: see its argument `batch`")
        for name, values in (("f0_hz", f0_hz), ("voicing", voicing)):
            if values is not None and values.shape != (batch, frames):
                raise PitchError(
                    f"{name} has shape {tuple(values.shape)}, the mel has (batch, frames) = "
                    f"{(batch, frames)}: give one value a mel frame"
                )
        if noise is not None and noise.shape != (batch, samples):
            raise AudioError(
                f"noise has shape {tuple(noise.shape)}, the waveform will have (batch, samples) = "
                f"{(batch, samples)}: give one value a sample"
            )
        if f0_hz is not None:
            validate_f0(f0_hz * self.f0_scale, self.vocoder.sample_rate)
        if voicing is not None and not bool(((voicing >= 0) & (voicing <= 1)).all()):
            raise PitchError("voicing must lie between 0 (noise) and 1 (voice) in every frame")
        signals = {"mel": mel, "f0_hz": f0_hz, "voicing": voicing, "noise": noise}
        given = {name: signal.to(mel) for name, signal in signals.items() if signal is not None}
        changed = self._given ^ (given.keys() - {"mel"}) if self._owed else set()
        if changed:
            names = " and ".join(sorted(changed))
            raise PitchError(f"{names}: give it with every push of an utterance, or with none")
        return given

    # ---- the way of a piece --------------------------------------------------------------------

    def _finish(self, signals: dict[str, Tensor]) -> Tensor:
        """The rest of the utterance, whose last pieces these are: silence follows them."""
        # Behind the networks silence is zeros: the projection needs no more than these.
        frames = self.vocoder.context[1] + self.rendering.excited_frames
        hop = self.vocoder.spec.hop_length
        owed = self._owed + signals["mel"].shape[2] * hop
        ended = {}
        for name, piece in signals.items():
            if name == "mel":
                after = self._silence(frames)
            elif name == "noise":
                after = piece.new_zeros(self.batch, frames * hop)
            else:
                last = piece[:, -1:] if piece.shape[1] else self._last(name)
                after = last.expand(-1, frames)
            ended[name] = torch.cat([piece, after], dim=-1)
        rest = self._push(ended, ends=True)[:, :owed]
        self._begin()
        return rest

    def _push(self, signals: dict[str, Tensor], ends: bool = False) -> Tensor:
        """The samples that are ready after these pieces, time on their last axis."""
        carry = self._carry
        pieces = {**signals, "mel": signals["mel"].transpose(1, 2)}
        self._given = pieces.keys() - {"mel"}
        self._owed += pieces["mel"].shape[1] * self.vocoder.spec.hop_length
        if carry.begins("phase"):
            # Windows and convolutions need enough to begin with.
            for name, piece in pieces.items():
                carry.take(f"waiting {name}", piece, 0)
            rendering = self.rendering
            reach = rendering.excited_frames if ends else rendering.reach_frames
            if carry.tensors["waiting mel"].shape[1] <= self.vocoder.context[1] + reach:
                return self._nothing()
            pieces = {name: carry.tensors.pop(f"waiting {name}") for name in pieces}
        try:
            samples = self._advance(ends, **pieces)
        except VocoderError:
            self._begin()  # half of this utterance is known
            raise
        self._owed -= samples.shape[1]
        return samples

    def _advance(
        self,
        ends: bool,
        mel: Float[Tensor, "batch frames n_mels"],
        f0_hz: Tensor | None = None,
        voicing: Tensor | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        vocoder, carry = self.vocoder, self._carry
        predicts = f0_hz is None or voicing is None or self.rendering.options.meets == "envelope"
        controls, gain, predicted = read_frames(vocoder, carry, mel.transpose(1, 2), predicts)
        if predicted is not None:
            voicing = predicted.voicing if voicing is None else voicing
            f0_hz = predicted.f0_hz if f0_hz is None else f0_hz
        assert f0_hz is not None
        assert voicing is not None
        if noise is None:
            samples = mel.shape[1] * vocoder.spec.hop_length
            drawn = self._draw(carry.tensors.pop("drawn", mel.new_empty(self.batch, 0)), samples)
            noise, carry.tensors["drawn"] = drawn[:, :samples], drawn[:, samples:]
        f0_hz = carry.take("f0_hz", f0_hz, gain.shape[1])
        voicing = carry.take("voicing", voicing, gain.shape[1])
        mel_f0_hz = f0_hz if predicted is None else predicted.f0_hz
        if self.f0_scale != 1:  # not before: the last F0 that is kept is held by `flush`
            f0_hz = f0_hz * self.f0_scale
            validate_f0(f0_hz, vocoder.sample_rate)
        silence = None
        if ends and self.rendering.silent_frames:
            silence = vocoder.log_gain(self._silence(self.rendering.silent_frames))
        return self.rendering(controls, mel_f0_hz, f0_hz, voicing, noise, gain, carry, silence)

    def _silence(self, frames: int) -> Float[Tensor, "batch n_mels frames"]:
        """A mel at its floor."""
        spec = self.vocoder.spec
        nothing = self._nothing()[:, None].expand(-1, spec.n_mels, -1)
        return pad_silence(nothing, spec, (0, frames))

    def _draw(self, noise: Tensor, samples: int) -> Tensor:
        """:func:`extend_noise`, each row from a generator of its own if there are several."""
        generator = self.generator
        if generator is None or isinstance(generator, torch.Generator):
            return extend_noise(noise, samples, generator)
        check_generators(generator, noise.shape[0])
        rows = zip(noise.split(1), generator, strict=True)
        return torch.cat([extend_noise(row, samples, each) for row, each in rows])

    def _last(self, name: str) -> Tensor:
        """The last value that came from outside, (batch, 1), before F0 is scaled."""
        tensors = self._carry.tensors
        if f"waiting {name}" in tensors:
            return tensors[f"waiting {name}"][:, -1:]
        return tensors[name][:, -1:]

    def _nothing(self) -> Tensor:
        """No samples, (batch, 0), in the vocoder's dtype and on its device."""
        weight = self.vocoder.filter_network.output.weight
        return at_least_float32(weight.new_empty(self.batch, 0))


def read_frames(
    vocoder: "SourceFilter",
    carry: Carry,
    mel: Float[Tensor, "batch n_mels frames"],
    predicts_pitch: bool,
) -> tuple[Controls, Float[Tensor, "batch known_frames n_mels"], PitchEstimate | None]:
    """Controls, log gain and predicted pitch of the frames that the networks now know: as many as
    the new ones, earlier by as much as the networks look ahead; at the beginning fewer."""
    begins, (left, right) = carry.begins("gain"), vocoder.context
    gain = vocoder.log_gain(pad_silence(mel, vocoder.spec, (left, 0)) if begins else mel)
    inputs = vocoder.synthesis.network_input(gain)

    def inputs_of(name: str, context: tuple[int, int]) -> Tensor:
        """Held back as far as the other network looks further ahead."""
        piece, held_back = inputs[:, left - context[0] :] if begins else inputs, right - context[1]
        if held_back == 0:
            return piece
        count = piece.shape[1] - (held_back if begins else 0)
        return carry.take(f"{name} inputs", piece, count)

    network, predictor = vocoder.filter_network, vocoder.pitch_predictor
    filters, depths = network(inputs_of("filter", network.context), carry)
    predicted = None
    if predicts_pitch:
        predicted = predictor(inputs_of("pitch", predictor.context), carry)
    around = gain[:, left - 1 :] if begins else gain
    around = carry.take("gain", around, depths.shape[1], context=2)
    return vocoder.synthesis.controls(around, filters, depths), around[:, 1:-1], predicted
