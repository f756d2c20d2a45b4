"""From the networks' answer to samples: what of the given mel is met, and what changes."""

import math
from typing import NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.carry import Carry
from vocoder.errors import OptionError
from vocoder.models.base import NO_CHANGE, VoiceChange, check_f0_scale
from vocoder.models.source_filter.config import Meets, SourceFilterConfig
from vocoder.models.source_filter.steering import Steering, changed, formant_warp
from vocoder.models.source_filter.synthesis import Controls, Synthesis

LARGEST_BREATH_DB = 40.0
SILENT_WINDOWS = 2
"""Windows of silence after an utterance. What a pass sends further into it the next ones take away:
the last samples move by less than 1e-4 (at one window by up to 2e-3, where the mel begins above
zero)."""


class Options(NamedTuple):
    """How a mel is spoken, see `SourceFilter.stream`; made by :meth:`of`."""

    meets: Meets
    mel_projection: int
    low_band_projection: int
    change: VoiceChange

    @classmethod
    def of(
        cls,
        config: SourceFilterConfig,
        meets: Meets | None = None,
        mel_projection: int | None = None,
        low_band_projection: int = 0,
        change: VoiceChange = NO_CHANGE,
    ) -> "Options":
        """With the defaults of a config, and no passes where the mel is not met.

        Raises:
            OptionError: passes or cost below zero, a ``meets`` that is none of its values, a mel to
                be met without passes by a model without mel correction, an ``f0_scale`` or a
                ``breath_db`` out of range.
        """
        passes = config.mel_projection if mel_projection is None else mel_projection
        for name, value in (
            ("mel_projection", passes),
            ("low_band_projection", low_band_projection),
        ):
            if value < 0:
                raise OptionError(f"{name} is {value}: 0 for none")
        if meets not in (None, *get_args(Meets)):
            raise OptionError(f"meets is {meets!r}: {', '.join(get_args(Meets))}, or None")
        meets_mel = config.mel_correction or passes > 0
        if meets == "mel" and not meets_mel:
            raise OptionError(
                'meets="mel" with mel_projection 0: this model has no mel correction either; make '
                "at least one pass"
            )
        check_f0_scale(change.f0_scale)
        if not abs(change.breath_db) <= LARGEST_BREATH_DB:
            raise OptionError(
                f"breath_db is {change.breath_db}: -{LARGEST_BREATH_DB:g} to {LARGEST_BREATH_DB:g}"
            )
        if meets is None and change != NO_CHANGE:
            meets = "envelope"
        elif meets is None:
            meets = "mel" if meets_mel else "nothing"
        passes = passes if meets == "mel" else 0
        return cls(meets, passes, low_band_projection if passes else 0, change)


class Rendering:
    """The waveform of a vocoder's controls, pitch and noise, with some options.

    Raises:
        OptionError: a ``formant_scale`` out of range.
    """

    def __init__(self, synthesis: Synthesis, steering: Steering, options: Options) -> None:
        self.synthesis, self.steering, self.options = synthesis, steering, options
        excited = synthesis.reach_frames(0, 0)
        projected = synthesis.reach_frames(options.mel_projection, options.low_band_projection)
        if options.meets == "envelope":
            excited = projected = steering.reach_frames
        self.reach_frames: int = projected
        """Mel frames over which it reaches to one side."""
        self.excited_frames: int = excited
        """Those without the mel projection."""
        window_frames = math.ceil(synthesis.spec.win_length / synthesis.spec.hop_length)
        self.silent_frames = min(SILENT_WINDOWS * window_frames, projected - excited)
        """Those of silence after an utterance that its last samples depend on."""
        n_bins, formant_scale = synthesis.n_fft // 2 + 1, options.change.formant_scale
        warp = formant_warp(synthesis.spec.sample_rate, n_bins, formant_scale)
        self._warp = None if warp is None else warp.to(synthesis.white_level)

    def __call__(
        self,
        controls: Controls,
        mel_f0_hz: Float[Tensor, "batch frames"],
        f0_hz: Float[Tensor, "batch frames"],
        voicing: Float[Tensor, "batch frames"],
        noise: Float[Tensor, "batch samples"],
        mel_gain: Float[Tensor, "batch frames n_mels"],
        carry: Carry,
        silence_gain: Float[Tensor, "batch silent_frames n_mels"] | None = None,
    ) -> Float[Tensor, "batch ready_samples"]:
        """The next samples.

        Args:
            controls: as the networks give them.
            mel_f0_hz: the mel's own F0, Hz; only the envelope is met under it.
            f0_hz: the F0 that is to sound, Hz.
            voicing: 0 to 1.
            noise: white, of unit power; may run ahead of the frames.
            mel_gain: log gains of the given mel, nepers.
            carry: state.
            silence_gain: log gains of `silent_frames` of silence, after the last piece of an
                utterance.
        """
        synthesis, options = self.synthesis, self.options
        if options.meets == "envelope":
            steered: Tensor = self.steering(
                synthesis, controls, mel_f0_hz, f0_hz, voicing, noise, mel_gain, carry, self._change
            )
            return steered
        controls = self._change(controls, voicing)
        wanted = mel_gain if options.meets == "mel" else None
        waveform, wanted = synthesis.excite(controls, f0_hz, voicing, noise, wanted, carry)
        if wanted is None or options.mel_projection == 0:
            return waveform
        if silence_gain is not None:
            # Behind the networks silence is zeros.
            samples = silence_gain.shape[1] * synthesis.spec.hop_length
            waveform = torch.nn.functional.pad(waveform, (0, samples))
            wanted = torch.cat([wanted, silence_gain], dim=1)
            carry.ends = True
        return synthesis.project(
            waveform, wanted, options.mel_projection, options.low_band_projection, carry
        )

    def _change(self, controls: Controls, voicing: Tensor) -> Controls:
        return changed(controls, voicing, self._warp, self.options.change.breath_db)
