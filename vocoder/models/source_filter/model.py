"""The source-filter vocoder: harmonic and noise excitation through learned time-varying filters.

    mel ─▶ PitchPredictor ─▶ F0, voicing ─▶ pulse train ──▶ harmonic filter ─┐
      └──▶ FilterNetwork ──▶ filters             noise ──▶ noise filter ─────┴─▶ spectrum
    spectrum ─▶ its own mel ─▶ what is missing to the given one ─▶ correction ─▶ waveform

Everything learned runs at frame rate and is real-valued; everything at sample rate is signal
processing. After the neural homomorphic vocoder (Liu, Chen and Yu, Interspeech 2020) and DDSP
(arXiv 2001.04643); departing from both, the filters are complex responses applied in the short-time
spectrum, and they start from the mel itself: each filter's log gain is the mel's own envelope,
interpolated in time and frequency, plus a learned correction. A silent mel is therefore silent,
and a louder mel louder, before anything is learned. Corrections and phases are learned on the mel's
own bands and interpolated to the filters' bins like the envelope. At the end the mel of the output
is compared with the given mel, and the spectrum is filtered by the difference: how harmonics and
noise add up in a mel band cannot be predicted at frame rate, but it can be measured.

A universal vocoder (``universal`` in the config) gives its networks canonical bands instead of the
mel's own, so that the same weights serve every mel: ``vocoder.for_mel(spec)``.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.framing import boundary_values, fit_length, hold_ends
from vocoder.dsp.sources.noise import extend_noise
from vocoder.dsp.sources.oscillators import boundary_phase
from vocoder.errors import AudioError, PitchError
from vocoder.features.mel import MelSpec
from vocoder.features.pitch import PitchEstimate, validate_f0
from vocoder.models.base import Generators, Vocoder, check_generators
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.blocks.pitch_predictor import PitchPredictor
from vocoder.models.source_filter.config import SourceFilterConfig
from vocoder.models.source_filter.networks import FilterNetwork
from vocoder.models.source_filter.synthesis import Controls, Synthesis


class SourceFilter(Vocoder):
    """Mel in, waveform out.

    Latency: a sample depends on mel frames up to ``lookahead_frames`` later than its own, and on
    ``history_frames`` earlier ones; both include the filters' windows. Beyond the ends of the mel
    stands silence (the log floor), so padding a mel with the floor changes nothing before it.

    Args:
        config: sizes.
        spec: the mel it takes.
        networks: pitch predictor and filter network to share with another vocoder; fresh ones by
            default.
    """

    scales_f0 = True
    half_precision = True

    def __init__(
        self,
        config: SourceFilterConfig,
        spec: MelSpec,
        networks: tuple[PitchPredictor, FilterNetwork] | None = None,
    ) -> None:
        super().__init__(spec)
        self.config, self.serves_any_mel = config, config.universal
        self.synthesis = Synthesis(config, spec)
        self.pitch_predictor, self.filter_network = networks or (
            PitchPredictor(config.pitch, self.synthesis.network_inputs),
            FilterNetwork(
                self.synthesis.network_inputs,
                self.synthesis.network_bands,
                config.steps_per_frame,
                config.channels,
                config.expansion,
                config.blocks,
                config.left,
                config.right,
            ),
        )
        pitch, filters = self.pitch_predictor.context, self.filter_network.context
        self.context = (max(pitch[0], filters[0]), max(pitch[1], filters[1]))
        self.lookahead_frames: int = self.context[1] + self.reach_frames()

    def _sibling(self, spec: MelSpec) -> "SourceFilter":
        sibling = SourceFilter(self.config, spec, (self.pitch_predictor, self.filter_network))
        weight = self.filter_network.output.weight
        sibling.synthesis.to(weight.device, weight.dtype)
        return sibling.train(self.training)

    def reach_frames(self, mel_projection: int | None = None) -> int:
        """Mel frames over which signal processing reaches to one side, see `Synthesis`."""
        return self.synthesis.reach_frames(mel_projection)

    @property
    def latency_seconds(self) -> float:
        """Algorithmic latency, counted from the frame a sample lies in, without the mel's own
        window."""
        return self.lookahead_frames * self.spec.hop_length / self.sample_rate

    @property
    def history_frames(self) -> int:
        """Mel frames before its own that a sample may depend on, but for the excitation's phase,
        which counts the cycles of the whole past."""
        return self.context[0] + self.reach_frames()

    def log_gain(self, mel: Float[Tensor, "batch n_mels frames"]) -> Tensor:
        """(batch, frames, n_mels): nepers above the mel of white noise of unit power."""
        return self.synthesis.log_gain(mel)

    def pad_context(self, mel: Float[Tensor, "batch n_mels frames"], tail: int = 0) -> Tensor:
        """Silence around a mel, as much as the networks look back and ahead, and ``tail`` frames
        more at its end."""
        return pad_silence(mel, self.spec, (self.context[0], self.context[1] + tail))

    def predict_pitch(self, mel: Float[Tensor, "batch n_mels frames"]) -> PitchEstimate:
        """F0 and voicing of a mel, as :meth:`forward` takes them where none are given."""
        return self.estimate_pitch(self.log_gain(self.pad_context(self.accept(mel))))

    def estimate_pitch(self, gain: Float[Tensor, "batch padded_frames n_mels"]) -> PitchEstimate:
        """F0 and voicing from log gains that carry the model's context."""
        return self.pitch_predictor(self._network_input(gain, self.pitch_predictor.context))

    def controls(self, gain: Float[Tensor, "batch padded_frames n_mels"]) -> Controls:
        """Filters and modulation from log gains that carry the model's context."""
        output, depths = self.filter_network(self._network_input(gain, self.filter_network.context))
        left, right = self.context
        return self.synthesis.controls(
            gain[:, left - 1 : gain.shape[1] - right + 1], output, depths
        )

    def forward(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        f0_hz: Float[Tensor, "batch frames"] | None = None,
        voicing: Float[Tensor, "batch frames"] | None = None,
        f0_scale: float = 1.0,
        noise: Float[Tensor, "batch samples"] | None = None,
        generator: Generators = None,
        mel_correction: bool | None = None,
        mel_projection: int | None = None,
        chunk_frames: int = 320,
    ) -> Float[Tensor, "batch samples"]:
        """Waveform of ``frames * hop_length`` samples; arguments and errors as of :meth:`chunks`,
        of which this is the whole."""
        pieces = self.chunks(
            mel,
            f0_hz,
            voicing,
            f0_scale,
            noise,
            generator,
            mel_correction,
            mel_projection,
            chunk_frames,
        )
        return torch.cat(list(pieces), dim=1)

    def chunks(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        f0_hz: Float[Tensor, "batch frames"] | None = None,
        voicing: Float[Tensor, "batch frames"] | None = None,
        f0_scale: float = 1.0,
        noise: Float[Tensor, "batch samples"] | None = None,
        generator: Generators = None,
        mel_correction: bool | None = None,
        mel_projection: int | None = None,
        chunk_frames: int = 320,
    ) -> Iterator[Float[Tensor, "batch samples"]]:
        """The waveform in pieces of ``chunk_frames`` frames, in bounded memory.

        Args:
            mel: of this model's ``spec``.
            f0_hz: F0 from outside, 1 Hz to below Nyquist everywhere; predicted when absent.
                Where there is no voice say so by ``voicing``, not by an F0 of zero.
            voicing: 0 (noise only) to 1, from outside; predicted when absent.
            f0_scale: factor on F0.
            noise: unit-power white noise (batch, samples); drawn from ``generator`` when absent.
            mel_correction: meet the given mel, by correction and projection as far as the config
                has them. By default where ``f0_scale`` is one; pass False too where F0 from outside
                is not that of the mel, whose harmonics would be forced upon it.
            mel_projection: passes of the mel projection, where the mel is met; by default as many
                as the config says. Each costs a window of the mel of latency.
            chunk_frames: frames synthesised at a time; the signal does not depend on it, but noise
                drawn here for a batch of several does.

        Raises:
            MelError: a wrong number of bins or a value that is not finite.
            PitchError: F0 or voicing out of range or of another shape.
            AudioError: noise of another shape.
            ValueError: ``chunk_frames`` below one, passes below zero, or a mel to be met by a
                model whose config has neither way.
        """
        mel = self.accept(mel)
        n_frames, hop = mel.shape[2], self.spec.hop_length
        if noise is not None and noise.shape != (mel.shape[0], n_frames * hop):
            raise AudioError(
                f"noise has shape {tuple(noise.shape)}, the waveform will have (batch, samples) = "
                f"{(mel.shape[0], n_frames * hop)}: give one value a sample"
            )
        if chunk_frames < 1:
            raise ValueError(f"chunk_frames is {chunk_frames}: at least one frame at a time")
        # Silence sounds on after the end as far as a window reaches, so that the last frames are
        # what they would be within a mel padded with the floor.
        margin = self.reach_frames(mel_projection)
        gain = self.log_gain(self.pad_context(mel, tail=margin))
        if f0_hz is None or voicing is None:
            predicted = self._predict_pitch(gain, n_frames + margin, chunk_frames)
        f0_hz = predicted[0] if f0_hz is None else self._frame_values("f0_hz", f0_hz, mel, margin)
        voicing = (
            predicted[1] if voicing is None else self._frame_values("voicing", voicing, mel, margin)
        )
        f0_hz = f0_hz * f0_scale
        validate_f0(f0_hz, self.sample_rate)
        if not bool(((voicing >= 0) & (voicing <= 1)).all()):
            raise PitchError("voicing must lie between 0 (noise) and 1 (voice) in every frame")
        boundaries = boundary_values(f0_hz, hop, self.spec.center_offset)
        phase = boundary_phase(boundaries, self.sample_rate, hop)
        passes = self.config.mel_projection if mel_projection is None else mel_projection
        if passes < 0:
            raise ValueError(f"mel_projection is {passes}: passes, 0 for none")
        meets_mel = self.config.mel_correction or passes > 0
        if mel_correction and not meets_mel:
            # The reach of a correction is not in the margins of the chunks.
            raise ValueError("mel_correction: this model's config has it switched off")
        if mel_correction is None:
            mel_correction = meets_mel and f0_scale == 1
        left, right = self.context
        drawn = mel.new_empty(mel.shape[0], 0)
        for start in range(0, n_frames, chunk_frames):
            stop = min(start + chunk_frames, n_frames)
            first, last = max(start - margin, 0), stop + margin
            n_samples = (last - first) * hop
            if noise is None:
                drawn = _extend_rows(drawn, n_samples, generator)
                excitation = drawn[:, :n_samples]
                drawn = drawn[:, (max(stop - margin, 0) - first) * hop :]
            else:
                excitation = fit_length(noise[:, first * hop : last * hop], n_samples)
            piece: Tensor = self.synthesis(
                self.controls(gain[:, first : last + left + right]),
                f0_hz[:, first:last],
                voicing[:, first:last],
                excitation,
                phase[:, first : last + 1],
                gain[:, left + first : left + last] if mel_correction else None,
                passes,
            )
            yield piece[:, (start - first) * hop : (stop - first) * hop]

    def _predict_pitch(
        self, gain: Tensor, n_frames: int, chunk_frames: int
    ) -> tuple[Tensor, Tensor]:
        """F0 and voicing of all frames, ``chunk_frames`` at a time."""
        context = sum(self.context)
        estimates = [
            # Without the logits, which for an hour of mel would fill 150 MB.
            self.estimate_pitch(gain[:, start : min(start + chunk_frames, n_frames) + context])[:2]
            for start in range(0, n_frames, chunk_frames)
        ]
        f0_hz, voicing = zip(*estimates, strict=True)
        return torch.cat(f0_hz, dim=1), torch.cat(voicing, dim=1)

    def _network_input(self, gain: Tensor, context: tuple[int, int]) -> Tensor:
        """The networks' input, cropped to the context that one of them wants."""
        left, right = self.context
        cropped = gain[:, left - context[0] : gain.shape[1] - (right - context[1])]
        return self.synthesis.network_input(cropped)

    @staticmethod
    def _frame_values(name: str, values: Tensor, mel: Tensor, tail: int) -> Tensor:
        """A control from outside, as the mel in dtype and device, its last value held ``tail``
        frames longer."""
        expected = (mel.shape[0], mel.shape[2])
        if tuple(values.shape) != expected:
            raise PitchError(
                f"{name} has shape {tuple(values.shape)}, the mel has (batch, frames) = "
                f"{expected}: give one value a mel frame"
            )
        return hold_ends(values.to(mel)[:, :, None], 0, tail)[:, :, 0]


def _extend_rows(noise: Tensor, samples: int, generator: Generators) -> Tensor:
    """:func:`extend_noise`, each row from a generator of its own if there are several."""
    if generator is None or isinstance(generator, torch.Generator):
        return extend_noise(noise, samples, generator)
    check_generators(generator, noise.shape[0])
    rows = zip(noise.split(1), generator, strict=True)
    return torch.cat([extend_noise(row, samples, each) for row, each in rows])
