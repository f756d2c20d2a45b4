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
own bands and interpolated to the filters' bins like the envelope. At the end the loop is closed:
the mel of what would come out is compared with the mel that went in, and the spectrum is filtered
by the difference. No network knows beforehand how harmonics and noise will add up in each mel bin;
listening does.
"""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from vocoder.config import Config
from vocoder.dsp.filters.spectral_filter import (
    cover_ends,
    filter_spectrum,
    from_short_time_spectrum,
    short_time_spectrum,
)
from vocoder.dsp.framing import boundary_values, fit_length, hold_ends, interpolate_linear
from vocoder.dsp.sources.noise import extend_noise, pulse_modulation
from vocoder.dsp.sources.oscillators import boundary_phase, pulse_train, sample_phase
from vocoder.errors import AudioError, MelError, PitchError
from vocoder.features.envelope import bin_weights, white_noise_level
from vocoder.features.mel import MelSpec
from vocoder.features.pitch import PitchEstimate, validate_f0
from vocoder.features.projection import project_mel
from vocoder.models.base import Generators, Vocoder
from vocoder.models.blocks.layers import normalise_log_gain
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.blocks.pitch_predictor import PitchPredictor, PitchPredictorConfig
from vocoder.models.source_filter.networks import FilterNetwork

LARGEST_CORRECTION_NEPERS = 2.0
"""Bound of the mel correction, 17 dB."""


class SourceFilterConfig(Config):
    """Size of the filter network and shape of the filters.

    ``steps_per_frame`` filters a mel frame, each applied to windows of ``window_steps`` such steps.
    ``noise_modulation`` moves the noise in step with the pulse; ``mel_correction`` filters the
    output by what its own mel lacks to the given one; ``mel_projection``: passes of
    `vocoder.features.projection` after that, each of which costs a window of latency.
    """

    name: Literal["source_filter"] = "source_filter"
    channels: int = Field(256, ge=1)
    expansion: float = Field(1.5, gt=0)
    blocks: int = Field(5, ge=1)
    left: int = Field(3, ge=0, description="frames a block looks back")
    right: int = Field(1, ge=0, description="frames a block looks ahead")
    steps_per_frame: int = Field(2, ge=1)
    window_steps: int = Field(4, ge=2, multiple_of=2)
    noise_modulation: bool = True
    mel_correction: bool = True
    mel_projection: int = Field(0, ge=0, description="passes")
    pitch: PitchPredictorConfig = PitchPredictorConfig()


class Controls(NamedTuple):
    """What the networks decide. Frames are mel frames, steps are filter steps.

    ``harmonic_gain`` and ``noise_gain``: (batch, steps, bins), natural log of the gain over a
    source of unit power. ``harmonic_real``, ``harmonic_imaginary``: (batch, steps, bins), cosine
    and sine of the harmonic filter's phase. ``modulation``: (batch, frames, 2), cosine and sine
    depth of the noise's movement with the pulse, at most one together.
    """

    harmonic_gain: Tensor
    harmonic_real: Tensor
    harmonic_imaginary: Tensor
    noise_gain: Tensor
    modulation: Tensor


class SourceFilter(Vocoder):
    """Mel in, waveform out.

    Latency: a sample depends on mel frames up to ``lookahead_frames`` later than its own, and on
    ``history_frames`` earlier ones; both include the filters' windows. Beyond the ends of the mel
    stands silence (the log floor), so padding a mel with the floor changes nothing before it.
    """

    scales_f0 = True

    def __init__(self, config: SourceFilterConfig, spec: MelSpec) -> None:
        super().__init__(spec)
        if spec.hop_length % config.steps_per_frame:
            raise MelError(
                f"hop_length {spec.hop_length} is no multiple of steps_per_frame "
                f"{config.steps_per_frame}: choose a divisor in the recipe's model section"
            )
        self.config = config
        self.step_length = spec.hop_length // config.steps_per_frame
        self.n_fft = config.window_steps * self.step_length
        self.pitch_predictor = PitchPredictor(config.pitch, spec.n_mels)
        self.filter_network = FilterNetwork(
            spec.n_mels,
            config.steps_per_frame,
            config.channels,
            config.expansion,
            config.blocks,
            config.left,
            config.right,
        )
        pitch, filters = self.pitch_predictor.context, self.filter_network.context
        self.context = (max(pitch[0], filters[0]), max(pitch[1], filters[1]))
        self.lookahead_frames: int = self.context[1] + self.reach_frames()
        self.white_level: Tensor
        self.register_buffer("white_level", white_noise_level(spec), persistent=False)
        self.bin_weights: Tensor
        n_bins = self.n_fft // 2 + 1
        self.register_buffer("bin_weights", bin_weights(spec, n_bins), persistent=False)

    def reach_frames(self, mel_projection: int | None = None) -> int:
        """Mel frames over which signal processing reaches to one side: the windows of analysis and
        synthesis and an interpolated frame, for the mel correction its own window, the filter that
        is corrected and one more frame between which it is interpolated, and a window of the mel
        for each pass of the projection (by default as many as the config says)."""
        passes = self.config.mel_projection if mel_projection is None else mel_projection
        window = math.ceil(self.n_fft / self.spec.hop_length)
        projection = passes * math.ceil(self.spec.win_length / self.spec.hop_length)
        if not self.config.mel_correction:
            return window + 1 + projection
        correction = math.ceil(self.spec.win_length / 2 / self.spec.hop_length) + window
        return window + correction + 1 + projection

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
        """(batch, frames, n_mels): nepers above what white noise of unit power gives."""
        return self.spec.log_amplitude(mel).transpose(1, 2) - self.white_level

    def pad_context(self, mel: Float[Tensor, "batch n_mels frames"], tail: int = 0) -> Tensor:
        """Silence around a mel, as much as the networks look back and ahead, and ``tail`` frames
        more at its end."""
        return pad_silence(mel, self.spec, (self.context[0], self.context[1] + tail))

    def predict_pitch(self, mel: Float[Tensor, "batch n_mels frames"]) -> PitchEstimate:
        """F0 and voicing of a mel, as :meth:`forward` takes them where none are given."""
        return self.estimate_pitch(self.log_gain(self.pad_context(mel)))

    def estimate_pitch(self, gain: Float[Tensor, "batch padded_frames n_mels"]) -> PitchEstimate:
        """F0 and voicing from log gains that carry the model's context."""
        return self.pitch_predictor(self._network_input(gain, self.pitch_predictor.context))

    def controls(self, gain: Float[Tensor, "batch padded_frames n_mels"]) -> Controls:
        """Filters and modulation from log gains that carry the model's context."""
        output, depths = self.filter_network(self._network_input(gain, self.filter_network.context))
        left, right = self.context
        envelope = self._at_steps(gain[:, left - 1 : gain.shape[1] - right + 1])
        harmonic, real, imaginary, noise = output.unbind(dim=2)
        harmonic, real, imaginary, noise = self._at_bins(
            torch.stack([envelope + harmonic, real, imaginary, envelope + noise])
        )
        norm = torch.rsqrt(real.square() + imaginary.square() + 1e-6)
        depth = torch.tanh(depths.square().sum(-1, keepdim=True).add(1e-6).sqrt())
        direction = torch.nn.functional.normalize(depths, dim=-1, eps=1e-3)
        return Controls(harmonic, real * norm, imaginary * norm, noise, depth * direction)

    def synthesise(
        self,
        controls: Controls,
        f0_hz: Float[Tensor, "batch frames"],
        voicing: Float[Tensor, "batch frames"],
        noise: Float[Tensor, "batch samples"],
        phase_boundaries: Float[Tensor, "batch frames_plus_one"] | None = None,
        mel_gain: Float[Tensor, "batch frames n_mels"] | None = None,
        mel_projection: int | None = None,
    ) -> Float[Tensor, "batch samples"]:
        """Waveform from controls, F0 (Hz), voicing (0 to 1) and unit-power white noise.

        ``mel_gain``, log gains of the given mel without context, asks for the mel correction and,
        where the config or ``mel_projection`` has passes of it, for the mel projection.
        ``phase_boundaries`` (cycles) is that of the whole track where ``f0_hz`` is a part of one:
        how F0 ran across the cut is not known here, and the phase would stay wrong after it.
        """
        hop, offset = self.spec.hop_length, self.spec.center_offset
        f0_boundaries = boundary_values(f0_hz, hop, offset)
        if phase_boundaries is None:
            phase_boundaries = boundary_phase(f0_boundaries, self.sample_rate, hop)
        phase = sample_phase(phase_boundaries, f0_boundaries, self.sample_rate, hop)
        pulses = pulse_train(phase, interpolate_linear(f0_boundaries, hop), self.sample_rate)
        voiced = interpolate_linear(boundary_values(voicing, hop, offset), hop)
        if self.config.noise_modulation:
            depth = [
                voiced * interpolate_linear(boundary_values(d, hop, offset), hop)
                for d in controls.modulation.unbind(-1)
            ]
            noise = noise * pulse_modulation(phase, *depth)
        window = (self.n_fft, self.step_length)
        gain = controls.harmonic_gain.exp()
        harmonic = filter_spectrum(
            short_time_spectrum(pulses * voiced, *window),
            cover_ends(gain * controls.harmonic_real, *window),
            cover_ends(gain * controls.harmonic_imaginary, *window),
        )
        breath = filter_spectrum(
            short_time_spectrum(noise, *window), cover_ends(controls.noise_gain.exp(), *window)
        )
        spectrum = harmonic + breath
        if mel_gain is not None and self.config.mel_correction:
            correction = self._mel_correction(from_short_time_spectrum(spectrum, *window), mel_gain)
            spectrum = filter_spectrum(spectrum, cover_ends(correction.exp(), *window))
        waveform = from_short_time_spectrum(spectrum, *window)
        passes = self.config.mel_projection if mel_projection is None else mel_projection
        if mel_gain is None or passes == 0:
            return waveform
        log_amplitude = (mel_gain + self.white_level).transpose(1, 2)
        return project_mel(waveform, log_amplitude, self.spec, passes)

    def _mel_correction(
        self, waveform: Float[Tensor, "batch samples"], mel_gain: Tensor
    ) -> Float[Tensor, "batch steps bins"]:
        """Log gain (nepers) by which a waveform's mel differs from the one wanted, at the filters'
        times and frequencies."""
        own = self.log_gain(self.spec.mel(waveform, waveform.dtype))[:, : mel_gain.shape[1]]
        bound = LARGEST_CORRECTION_NEPERS
        missing = self._at_steps(hold_ends((mel_gain - own).clamp(-bound, bound), 1, 1))
        return self._at_bins(missing)

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
            f0_hz: F0 from outside, above 0 and below Nyquist everywhere; predicted when absent.
                Where there is no voice say so by ``voicing``, not by an F0 of zero.
            voicing: 0 (noise only) to 1, from outside; predicted when absent.
            f0_scale: factor on F0.
            noise: unit-power white noise (batch, samples); drawn from ``generator`` when absent.
            mel_correction: filter the output by what its mel lacks to the given one. By default
                where the model was trained so and ``f0_scale`` is one; pass False too where F0
                from outside is not that of the mel, whose harmonics would be forced upon it.
            mel_projection: passes of the mel projection, where ``mel_correction`` applies; by
                default as many as the config says. Each costs a window of the mel of latency.
            chunk_frames: frames synthesised at a time; the signal does not depend on it, but noise
                drawn here for a batch of several does.

        Raises:
            MelError: a wrong number of bins or a value that is not finite.
            PitchError: F0 or voicing out of range or of another shape.
            AudioError: noise of another shape.
            ValueError: ``chunk_frames`` below one, or a mel correction that the config excludes.
        """
        self.spec.check(mel)
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
        if mel_projection is not None and mel_projection < 0:
            raise ValueError(f"mel_projection is {mel_projection}: passes, 0 for none")
        if mel_correction is None:
            mel_correction = self.config.mel_correction and f0_scale == 1
        if mel_correction and not self.config.mel_correction:
            # Its reach is not in the margins of the chunks, nor in the declared latency.
            raise ValueError("mel_correction: this model's config has it switched off")
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
            piece = self.synthesise(
                self.controls(gain[:, first : last + left + right]),
                f0_hz[:, first:last],
                voicing[:, first:last],
                excitation,
                phase[:, first : last + 1],
                gain[:, left + first : left + last] if mel_correction else None,
                mel_projection,
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
        """Gains brought to a range around zero, cropped to the context one network wants."""
        left, right = self.context
        cropped = gain[:, left - context[0] : gain.shape[1] - (right - context[1])]
        return normalise_log_gain(cropped)

    def _at_steps(self, values: Tensor) -> Float[Tensor, "batch steps n_mels"]:
        """Values a mel frame and band, with one frame more at either end, interpolated linearly to
        the filters' times."""
        steps = self.config.steps_per_frame
        before, here, after = values[:, :-2], values[:, 1:-1], values[:, 2:]
        rows = []
        for step in range(steps):
            position = step / steps - self.spec.center_offset / self.spec.hop_length
            neighbour = before if position < 0 else after
            rows.append(torch.lerp(here, neighbour, abs(position)))
        return torch.stack(rows, dim=2).flatten(1, 2)

    def _at_bins(self, values: Float[Tensor, "... n_mels"]) -> Float[Tensor, "... bins"]:
        """Values a mel band, interpolated linearly to the filters' frequencies."""
        # Eight bits of mantissa would be a quarter of a decibel.
        with torch.autocast(values.device.type, enabled=False):
            return values @ self.bin_weights

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
    rows = zip(noise.split(1), generator, strict=True)
    return torch.cat([extend_noise(row, samples, each) for row, each in rows])
