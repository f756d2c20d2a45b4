"""Another voice than the mel's: its envelope under another F0, moved formants, more or less breath.

A mel that resolves harmonics is that of one F0. With another one, harmonics would fall between the
peaks of filters that follow it, and an output made to meet it would get the old harmonics back.
What shall stay is the envelope. So the filters are smoothed over frequency, and what they lack is
measured where it can be, under the mel's own F0: the smoothed mel of that signal is compared with
the smoothed mel given, and the filters are corrected by the difference, a few rounds over. The
other F0 then excites the same filters.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.dsp.carry import Carry
from vocoder.errors import OptionError
from vocoder.features.envelope import band_centres_hz, interpolation, smoothing
from vocoder.models.blocks.precision import SignalBuffers
from vocoder.models.source_filter.synthesis import Controls, Synthesis, in_float32

ROUNDS = 3
"""Of measuring and correcting; each costs an excitation, its filters and a mel."""
FILTER_WIDTH_HZ = 250.0
"""Of the smoothing of filters: from the middle of its window to where that is zero."""
MEL_WIDTH_HZ = 300.0
"""The same for the mels that are compared."""
LARGEST_ROUND_NEPERS = 6.0
"""Bound of a round's correction, 52 dB: weights trained through the mel projection leave levels to
it, and are off by as much at some mels."""
TINY = 1e-20
"""Added to powers, so that logarithms stay finite."""


class Steering(SignalBuffers):
    """Waveforms at another F0 than that of their mel.

    With H the filters' log gains, S smoothing over frequency (the mean power of neighbours; of the
    noise's filter the mean logarithm), M the given mel's log gains, and G(H) the log gains of the
    signal that H makes under the mel's F0:

        H ← S H;  H ← H + interpolate(S M − S G(H)), `ROUNDS` times

    Buffers follow from the spec; none is saved. Measuring the envelope under the mel's own F0 is
    ours.
    """

    def __init__(self, synthesis: Synthesis) -> None:
        super().__init__()
        spec, n_bins = synthesis.spec, synthesis.n_fft // 2 + 1
        bins_hz = np.linspace(0, spec.sample_rate / 2, n_bins)
        self.over_bins: Tensor
        self.over_bands: Tensor
        for name, frequencies_hz, width_hz in (
            ("over_bins", bins_hz, FILTER_WIDTH_HZ),
            ("over_bands", band_centres_hz(spec), MEL_WIDTH_HZ),
        ):
            self.register_buffer(name, smoothing(frequencies_hz, width_hz), persistent=False)
        hop, size, lead = spec.hop_length, spec.win_length, spec.window_lead
        delay = synthesis.delay
        # As in `Synthesis.reach_frames`: a round compares mels as with the mel correction.
        round_frames = math.ceil((delay + size - lead) / hop)
        self.reach_frames: int = ROUNDS * round_frames + math.ceil(delay / hop)
        """Mel frames that :meth:`forward` reaches to one side."""

    def forward(
        self,
        synthesis: Synthesis,
        controls: Controls,
        f0_hz: Float[Tensor, "batch frames"],
        wanted_f0_hz: Float[Tensor, "batch frames"],
        voicing: Float[Tensor, "batch frames"],
        noise: Float[Tensor, "batch samples"],
        mel_gain: Float[Tensor, "batch frames n_mels"],
        carry: Carry,
        change: Callable[[Controls, Tensor], Controls] | None = None,
    ) -> Float[Tensor, "batch fewer_samples"]:
        """The next piece at ``wanted_f0_hz``, whose filters meet the envelope at ``f0_hz``.

        Args:
            synthesis: of the vocoder.
            controls: filters as the networks give them.
            f0_hz: the mel's own F0, Hz.
            wanted_f0_hz: the F0 that is to sound, Hz.
            voicing: 0 to 1.
            noise: white, of unit power; may run ahead of the frames.
            mel_gain: log gains of the given mel, nepers.
            carry: state.
            change: of the filters, given voicing (batch, frames), before they sound.
        """
        controls = controls._replace(
            harmonic_gain=_smooth(controls.harmonic_gain, self.over_bins),
            # The mean of powers would fill the gaps between harmonics with noise.
            noise_gain=in_float32(controls.noise_gain, self.over_bins),
        )
        envelope = _smooth(mel_gain, self.over_bands)
        frames = torch.stack([f0_hz, wanted_f0_hz, voicing], dim=2)
        for number in range(ROUNDS):
            part = carry.within(f"round {number}")
            f0_hz, _, voicing = frames.unbind(2)
            waveform, _ = synthesis.excite(controls, f0_hz, voicing, noise, None, part)
            own = _smooth(synthesis.own_gain(waveform, part), self.over_bands)
            compared = part.take("compared", envelope, own.shape[1])
            correction = synthesis.correction(compared - own, part, LARGEST_ROUND_NEPERS)
            steps_per_frame = synthesis.config.steps_per_frame
            controls = _corrected(controls, correction, steps_per_frame, part)
            known = controls.modulation.shape[1]
            envelope = part.take("envelope", envelope, known)
            frames = part.take("frames", frames, known)
            noise = part.take("noise for later", noise, known * synthesis.spec.hop_length)
        _, wanted_f0_hz, voicing = frames.unbind(2)
        if change is not None:
            controls = change(controls, voicing)
        waveform, _ = synthesis.excite(controls, wanted_f0_hz, voicing, noise, None, carry)
        return waveform


def changed(
    controls: Controls,
    voicing: Float[Tensor, "batch frames"],
    warp: Float[Tensor, "bins bins"] | None = None,
    breath_db: float = 0.0,
) -> Controls:
    """Filters over another frequency axis (`formant_warp`), and breath at another level.

    The noise's gain moves by ``breath_db`` times the voicing: unvoiced sounds stay.
    """
    harmonic, real, imaginary, breath, modulation = controls
    if warp is not None:
        harmonic, real, imaginary, breath = (
            in_float32(values, warp) for values in (harmonic, real, imaginary, breath)
        )
    if breath_db:
        steps = breath.shape[1] // voicing.shape[1]
        nepers = breath_db * math.log(10) / 20
        breath = breath + nepers * voicing.repeat_interleave(steps, dim=1)[:, :, None]
    return Controls(harmonic, real, imaginary, breath, modulation)


def formant_warp(
    sample_rate: int, n_bins: int, formant_scale: float
) -> Float[Tensor, "bins bins"] | None:
    """Matrix W: ``values @ W`` at a frequency f are the values at f / ``formant_scale``, those at
    Nyquist held beyond it; None for a factor of one.

    Raises:
        OptionError: a factor outside 0.5 to 2.
    """
    if not 0.5 <= formant_scale <= 2:
        raise OptionError(f"formant_scale is {formant_scale}: 0.5 to 2, 1 for none")
    if formant_scale == 1:
        return None
    hertz = np.linspace(0, sample_rate / 2, n_bins)
    return interpolation(hertz, hertz / formant_scale)


def _corrected(
    controls: Controls,
    correction: Float[Tensor, "batch steps bins"],
    steps_per_frame: int,
    carry: Carry,
) -> Controls:
    """The controls of as many steps as the correction has, their filters with it."""
    steps = correction.shape[1]
    harmonic, real, imaginary, breath = (
        carry.take(f"control {number}", values, steps) for number, values in enumerate(controls[:4])
    )
    modulation = carry.take("modulation", controls.modulation, steps // steps_per_frame)
    return Controls(harmonic + correction, real, imaginary, breath + correction, modulation)


def _smooth(
    log_gain: Float[Tensor, "... bands"], weights: Float[Tensor, "bands bands"]
) -> Float[Tensor, "... bands"]:
    """Logarithm of the mean power of neighbours, as an amplitude."""
    return (in_float32((2 * log_gain).exp(), weights) + TINY).log() / 2
