"""Signal processing of the source-filter vocoder: what follows from a mel's spec, no weights."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vocoder.dsp.filters.spectral_filter import (
    cover_ends,
    filter_spectrum,
    from_short_time_spectrum,
    short_time_spectrum,
)
from vocoder.dsp.framing import boundary_values, hold_ends, interpolate_linear
from vocoder.dsp.sources.noise import pulse_modulation
from vocoder.dsp.sources.oscillators import boundary_phase, pulse_train, sample_phase
from vocoder.errors import MelError
from vocoder.features.envelope import bin_weights, white_noise_level
from vocoder.features.mel import MelSpec
from vocoder.features.projection import project_mel
from vocoder.models.blocks.layers import normalise_log_gain
from vocoder.models.blocks.precision import SignalBuffers
from vocoder.models.source_filter.bands import (
    CANONICAL,
    DESCRIPTION_SIZE,
    check_served,
    describe_spec,
    from_canonical,
    silence_above,
    to_canonical,
)
from vocoder.models.source_filter.config import SourceFilterConfig

LARGEST_CORRECTION_NEPERS = 2.0
"""Bound of the mel correction, 17 dB."""


class Controls(NamedTuple):
    """Output of the networks. Frames are mel frames, steps are filter steps.

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


class Synthesis(SignalBuffers):
    """From mel to the networks' input, and from their output to the waveform, at one spec.

    Buffers follow from the spec and the config; none is saved.
    """

    def __init__(self, config: SourceFilterConfig, spec: MelSpec) -> None:
        super().__init__()
        if spec.hop_length % config.steps_per_frame:
            raise MelError(
                f"hop_length {spec.hop_length} is no multiple of steps_per_frame "
                f"{config.steps_per_frame}: choose a divisor in the recipe's model section"
            )
        self.config, self.spec = config, spec
        self.step_length = spec.hop_length // config.steps_per_frame
        self.n_fft = config.window_steps * self.step_length
        n_bins = self.n_fft // 2 + 1
        if config.universal:
            check_served(spec)
        self.white_level: Tensor
        self.register_buffer("white_level", white_noise_level(spec), persistent=False)
        self.bin_weights: Tensor
        self.register_buffer("bin_weights", bin_weights(spec, n_bins), persistent=False)
        self.network_bands, self.network_inputs = spec.n_mels, spec.n_mels
        if config.universal:
            self.network_bands = CANONICAL.n_mels
            self.network_inputs = CANONICAL.n_mels + DESCRIPTION_SIZE
            self.to_canonical: Tensor
            self.from_canonical: Tensor
            self.description: Tensor
            self.silence: Tensor
            self.register_buffer("to_canonical", to_canonical(spec), persistent=False)
            weights = from_canonical(spec.sample_rate, n_bins)
            self.register_buffer("from_canonical", weights, persistent=False)
            self.register_buffer("description", describe_spec(spec), persistent=False)
            self.register_buffer("silence", silence_above(spec, n_bins), persistent=False)

    def reach_frames(self, mel_projection: int | None = None) -> int:
        """Mel frames over which signal processing reaches to one side.

        The windows of analysis and synthesis and one interpolated frame; for the mel correction its
        own window, the filter that is corrected, and one more interpolated frame; one window of
        the mel per pass of the projection (by default as many as the config says).
        """
        passes = self.config.mel_projection if mel_projection is None else mel_projection
        window = math.ceil(self.n_fft / self.spec.hop_length)
        projection = passes * math.ceil(self.spec.win_length / self.spec.hop_length)
        if not self.config.mel_correction:
            return window + 1 + projection
        correction = math.ceil(self.spec.win_length / 2 / self.spec.hop_length) + window
        return window + correction + 1 + projection

    # ---- the networks' input and output --------------------------------------------------------

    def log_gain(
        self, mel: Float[Tensor, "batch n_mels frames"]
    ) -> Float[Tensor, "batch frames n_mels"]:
        """Nepers above the mel of white noise of unit power."""
        return self.spec.log_amplitude(mel).transpose(1, 2) - self.white_level

    def network_input(
        self, gain: Float[Tensor, "batch frames n_mels"]
    ) -> Float[Tensor, "batch frames inputs"]:
        """Log gains brought to a range around zero; of a universal vocoder on canonical bands, and
        with the numbers that describe the spec."""
        if not self.config.universal:
            return normalise_log_gain(gain)
        bands = normalise_log_gain(_in_float32(gain, self.to_canonical))
        return torch.cat([bands, self.description.expand(*bands.shape[:2], -1)], dim=2)

    def controls(
        self,
        gain: Float[Tensor, "batch frames_plus_two n_mels"],
        output: Float[Tensor, "batch steps four bands"],
        depths: Float[Tensor, "batch frames two"],
    ) -> Controls:
        """Filters and modulation from the filter network's output.

        The log gains have one frame more than the output at either end.
        """
        envelope = self._at_steps(gain)
        harmonic, real, imaginary, noise = output.unbind(dim=2)
        if self.config.universal:
            envelope = self._at_bins(envelope) + self.silence
            values = torch.stack([harmonic, real, imaginary, noise])
            harmonic, real, imaginary, noise = _in_float32(values, self.from_canonical)
            harmonic, noise = envelope + harmonic, envelope + noise
        else:
            harmonic, real, imaginary, noise = self._at_bins(
                torch.stack([envelope + harmonic, real, imaginary, envelope + noise])
            )
        norm = torch.rsqrt(real.square() + imaginary.square() + 1e-6)
        depth = torch.tanh(depths.square().sum(-1, keepdim=True).add(1e-6).sqrt())
        direction = nn.functional.normalize(depths, dim=-1, eps=1e-3)
        return Controls(harmonic, real * norm, imaginary * norm, noise, depth * direction)

    # ---- the waveform --------------------------------------------------------------------------

    def forward(
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

        ``mel_gain``, log gains of the given mel without context, asks for the mel correction and
        the mel projection, as far as the config has them or ``mel_projection`` gives passes.
        ``phase_boundaries`` (cycles) is that of the whole track where ``f0_hz`` is a part of one:
        how F0 ran across the cut is not known here, and the phase would stay wrong after it.
        """
        sample_rate = self.spec.sample_rate
        hop, offset = self.spec.hop_length, self.spec.center_offset
        f0_boundaries = boundary_values(f0_hz, hop, offset)
        if phase_boundaries is None:
            phase_boundaries = boundary_phase(f0_boundaries, sample_rate, hop)
        phase = sample_phase(phase_boundaries, f0_boundaries, sample_rate, hop)
        pulses = pulse_train(phase, interpolate_linear(f0_boundaries, hop), sample_rate)
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

    def _at_steps(self, values: Tensor) -> Float[Tensor, "batch steps n_mels"]:
        """Values per mel frame and band, with one frame more at either end, interpolated linearly
        to the filters' times."""
        steps = self.config.steps_per_frame
        before, here, after = values[:, :-2], values[:, 1:-1], values[:, 2:]
        rows = []
        for step in range(steps):
            position = step / steps - self.spec.center_offset / self.spec.hop_length
            neighbour = before if position < 0 else after
            rows.append(torch.lerp(here, neighbour, abs(position)))
        return torch.stack(rows, dim=2).flatten(1, 2)

    def _at_bins(self, values: Float[Tensor, "... n_mels"]) -> Float[Tensor, "... bins"]:
        """Values per mel band, interpolated linearly to the filters' frequencies."""
        return _in_float32(values, self.bin_weights)


def _in_float32(values: Tensor, weights: Tensor) -> Tensor:
    """``values @ weights`` outside autocast, whose eight bits would be a quarter of a decibel."""
    with torch.autocast(values.device.type, enabled=False):
        return values @ weights
