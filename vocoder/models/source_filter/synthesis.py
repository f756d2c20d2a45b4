"""Signal processing of the source-filter vocoder: what follows from a mel's spec, no weights."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from vocoder.dsp.analysis.modulation import phase_in_step
from vocoder.dsp.carry import Carry
from vocoder.dsp.filters.spectral_filter import filter_spectrum, windowed_frames, windowed_spectrum
from vocoder.dsp.framing import interpolate_linear
from vocoder.dsp.sources.noise import pulse_modulation
from vocoder.dsp.sources.oscillators import boundary_phase, pulse_train, sample_phase
from vocoder.features.autocast import outside_autocast
from vocoder.features.envelope import bin_weights, white_noise_level
from vocoder.features.low_band import low_band_passes
from vocoder.features.mel import MelSpec
from vocoder.features.projection import project_pieces
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
from vocoder.models.source_filter.windows import Windows

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
        self.config, self.spec = config, spec
        self.windows = Windows.of(spec.hop_length, config.steps_per_frame, config.window_steps)
        self.n_fft = self.windows.n_fft
        self.delay: int = spec.hop_length + self.windows.lead
        """Samples by which the filtered sources lag behind the frames."""
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

    def reach_frames(self, passes: int, low_band_projection: int) -> int:
        """Mel frames over which signal processing reaches to one side, with these passes of the
        mel projection and so much projection of the low band.

        A piece of N frames completes N·hop − d samples. Sources want one more frame for F0 to run
        to, and filters the overlap of their windows: d₀ = `delay`. The mel's windows begin at
        multiples of the hop less their ``lead``: the last one complete ends c = ⌈(d + window −
        lead) / hop⌉ − 1 frames before N. The mel correction wants one frame after it and the
        overlap of the filters' windows less those held before the first; a pass of the projection
        completes the samples before the next window, d ← c·hop + lead, at any rate; to the low rate
        and back is one pass more.
        """
        hop, size, lead = self.spec.hop_length, self.spec.win_length, self.spec.window_lead
        low = low_band_passes(self.spec, low_band_projection)
        if passes and low:
            passes += low + 1
        delay = self.delay
        if self.config.mel_correction:
            windows = self.windows
            delay = math.ceil((delay + size - lead) / hop) * hop + windows.lead
            delay -= windows.held_before // len(windows.offsets) * windows.hop
        for _ in range(passes):
            delay = (math.ceil((delay + size - lead) / hop) - 1) * hop + lead
        return math.ceil(delay / hop)

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
        bands = normalise_log_gain(in_float32(gain, self.to_canonical))
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
            harmonic, real, imaginary, noise = in_float32(values, self.from_canonical)
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
        mel_gain: Float[Tensor, "batch frames n_mels"] | None = None,
        in_step_with: Float[Tensor, "batch samples"] | None = None,
        mel_projection: int | None = None,
    ) -> Float[Tensor, "batch samples"]:
        """Waveform from controls, F0 (Hz), voicing (0 to 1) and unit-power white noise.

        ``mel_gain``, log gains of the given mel without context, asks for the mel correction and
        the mel projection, as far as the config has them; ``mel_projection`` asks for another
        number of passes. Beyond the ends filters are held and nothing sounds. With
        ``in_step_with``, a recording, the pulses stand on its own (`phase_in_step`): in training,
        so that short windows compare the same instants of a period.
        """
        carry, config = Carry(whole=True), self.config
        waveform, mel_gain = self.excite(
            controls, f0_hz, voicing, noise, mel_gain, carry, in_step_with
        )
        passes = config.mel_projection if mel_projection is None else mel_projection
        if mel_gain is None or passes == 0:
            return waveform
        return self.project(waveform, mel_gain, passes, config.low_band_projection, carry)

    def excite(
        self,
        controls: Controls,
        f0_hz: Float[Tensor, "batch frames"],
        voicing: Float[Tensor, "batch frames"],
        noise: Float[Tensor, "batch samples"],
        mel_gain: Float[Tensor, "batch frames n_mels"] | None,
        carry: Carry,
        in_step_with: Float[Tensor, "batch samples"] | None = None,
    ) -> tuple[Float[Tensor, "batch more_samples"], Tensor | None]:
        """The filtered sources in pieces, with the mel correction where there is a ``mel_gain`` and
        the config has it; and the mel gains that go with them.

        The output lags by up to :meth:`reach_frames`; every piece but the first, of more frames
        than that, may be short. A recording to be ``in_step_with`` is given with a whole signal.
        """
        pulses, noise = self._sources(
            controls.modulation, f0_hz, voicing, noise, carry, in_step_with
        )
        spectrum = self._filtered(controls, pulses, noise, carry)
        if mel_gain is not None and self.config.mel_correction:
            spectrum, mel_gain = self._corrected(spectrum, mel_gain, carry)
        return self._from_spectrum("waveform", spectrum, carry), mel_gain

    def project(
        self,
        waveform: Float[Tensor, "batch samples"],
        mel_gain: Float[Tensor, "batch frames n_mels"],
        passes: int,
        low_band_projection: int,
        carry: Carry,
    ) -> Float[Tensor, "batch fewer_samples"]:
        """The next piece of :meth:`excite`, moved to meet the mel in ``passes`` passes."""
        log_amplitude = (mel_gain + self.white_level).transpose(1, 2)
        low = low_band_passes(self.spec, low_band_projection)
        return project_pieces(waveform, log_amplitude, self.spec, passes, carry, low)

    def _sources(
        self,
        modulation: Tensor,
        f0_hz: Tensor,
        voicing: Tensor,
        noise: Tensor,
        carry: Carry,
        in_step_with: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Pulses times voicing, and noise that moves with them, (batch, samples) each."""
        sample_rate = self.spec.sample_rate
        hop, offset = self.spec.hop_length, self.spec.center_offset
        values = torch.cat([torch.stack([f0_hz, voicing], dim=2), modulation], dim=2)
        values = carry.span("values", carry.hold_ends("values", values, 1, 1), 3, 1)
        # As `boundary_values`: between the frames' centres, at multiples of the hop.
        boundaries = torch.lerp(values[:, 1:], values[:, :-1], offset / hop)
        f0_boundaries = boundaries[:, :, 0]
        starts = boundary_phase(f0_boundaries, sample_rate, hop, carry.kept("phase"))
        carry.keep("phase", starts[:, -1])
        phase = sample_phase(starts, f0_boundaries, sample_rate, hop)
        if in_step_with is not None:
            # Eight bits of phase would be noise, and k times as much in harmonic k.
            with outside_autocast(phase.device):
                phase = phase_in_step(phase, in_step_with, sample_rate, hop)
        at_samples = interpolate_linear(boundaries.movedim(2, 0).flatten(0, 1), hop)
        f0_sampled, voiced, *depth = at_samples.unflatten(0, (4, -1)).unbind(0)
        pulses = pulse_train(phase, f0_sampled, sample_rate)
        noise = carry.take("noise", noise, phase.shape[1])
        if self.config.noise_modulation:
            noise = noise * pulse_modulation(phase, *(voiced * d for d in depth))
        return pulses * voiced, noise

    def _filtered(
        self, controls: Controls, pulses: Tensor, noise: Tensor, carry: Carry
    ) -> Complex[Tensor, "batch windows bins"]:
        """Short-time spectrum of both sources, each through its filter."""
        n_fft, hop, offsets, lead, *_ = self.windows
        after = self.windows.hops_after * hop
        sources = carry.pad_ends("sources", torch.cat([pulses, noise]), lead, after)
        sources = carry.span("sources", sources, n_fft + offsets[-1], hop)
        spectra = windowed_spectrum(sources, n_fft, hop, offsets)
        batch = pulses.shape[0]
        pulse_spectrum, noise_spectrum = spectra[:batch], spectra[batch:]
        gain = controls.harmonic_gain.exp()
        filters = [
            gain * controls.harmonic_real,
            gain * controls.harmonic_imaginary,
            controls.noise_gain.exp(),
        ]
        responses = self._cover_ends("filters", torch.stack(filters, dim=2), carry)
        responses = carry.take("filters", responses, pulse_spectrum.shape[1])
        real, imaginary, breath = responses.unbind(2)
        harmonic = filter_spectrum(pulse_spectrum, real, imaginary)
        return harmonic + filter_spectrum(noise_spectrum, breath)

    def _corrected(
        self, spectrum: Tensor, mel_gain: Tensor, carry: Carry
    ) -> tuple[Complex[Tensor, "batch windows bins"], Tensor]:
        """The spectrum filtered by what its mel lacks of the one wanted, and the frames of the
        latter that have been compared."""
        own = self.own_gain(self._from_spectrum("uncorrected", spectrum, carry), carry)
        mel_gain = carry.take("mel gain", mel_gain, own.shape[1])
        correction = self.correction(mel_gain - own, carry).exp()
        correction = self._cover_ends("correction", correction, carry)
        together = len(self.windows.offsets)
        correction = carry.span("correction", correction, together, together)
        spectrum = carry.take("spectrum", spectrum, correction.shape[1])
        return filter_spectrum(spectrum, correction), mel_gain

    def own_gain(
        self, waveform: Float[Tensor, "batch samples"], carry: Carry
    ) -> Float[Tensor, "batch fewer_frames n_mels"]:
        """Log gains of a waveform's own mel, as far as its pieces reach."""
        hop, size, lead = self.spec.hop_length, self.spec.win_length, self.spec.window_lead
        if self.spec.pre_emphasis:
            delayed = carry.pad_ends("emphasis", waveform, 1, 0)
            delayed = carry.take("emphasis", delayed, waveform.shape[1])
            waveform = waveform - self.spec.pre_emphasis * delayed
        waveform = carry.pad_ends("own mel", waveform, lead, size - hop - lead, "reflect")
        return self.log_gain(self.spec.mel_within(carry.span("own mel", waveform, size, hop)))

    def correction(
        self,
        missing: Float[Tensor, "batch frames n_mels"],
        carry: Carry,
        bound: float = LARGEST_CORRECTION_NEPERS,
    ) -> Float[Tensor, "batch fewer_steps bins"]:
        """What the filters lack, in nepers, from what the mel lacks: bounded, and interpolated to
        their times and frequencies. It ends one frame earlier, until the signal does."""
        missing = missing.clamp(-bound, bound)
        missing = carry.span("missing", carry.hold_ends("missing", missing, 1, 1), 3, 1)
        return self._at_bins(self._at_steps(missing))

    def _cover_ends(self, name: str, filters: Tensor, carry: Carry) -> Tensor:
        """Filters of all windows, those of the first and last step held beyond the ends."""
        return carry.hold_ends(name, filters, self.windows.held_before, self.windows.held_after)

    def _from_spectrum(
        self, name: str, spectrum: Tensor, carry: Carry
    ) -> Float[Tensor, "batch samples"]:
        n_fft, hop, offsets, lead, *_ = self.windows
        frames = windowed_frames(spectrum, n_fft, hop, offsets)
        waveform = carry.overlap_add(name, frames, hop, lead)
        if carry.whole:
            return waveform[:, : waveform.shape[1] - self.windows.surplus]
        return waveform

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
        return in_float32(values, self.bin_weights)


def in_float32(values: Tensor, weights: Tensor) -> Tensor:
    """``values @ weights`` outside autocast, whose eight bits would be a quarter of a decibel."""
    with outside_autocast(values.device):
        return values @ weights
