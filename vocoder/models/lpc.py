"""The LPC vocoder: pulses or noise through a time-varying all-pole filter.

    waveform ─┬─▶ Praat ─▶ F0, voicing ─▶ pulses or noise ─┐
              └─▶ linear prediction ─▶ gain, filter ───────┴─▶ gain ─▶ 1 / A(z) ─▶ waveform

The classical system of B. S. Atal and S. L. Hanauer, "Speech analysis and synthesis by linear
prediction of the speech wave", JASA 50(2), 1971, with the autocorrelation method of J. Makhoul,
"Linear prediction: a tutorial review", Proc. IEEE 63(4), 1975, and the white-noise correction and
lag window of later speech coders. Differences: parameters are not quantised, F0 and voicing are
Praat's, and the pulses are band-limited and of constant power.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vocoder.dsp.filters.allpole import all_pole, autocorrelation, levinson_durbin
from vocoder.dsp.framing import boundary_values, interpolate_linear
from vocoder.dsp.sources.oscillators import boundary_phase, pulse_train, sample_phase
from vocoder.features.pitch import extract_pitch, validate_f0
from vocoder.models.waveform import WaveVocoder, checked_waveform

_SILENCE_POWER = 1e-10
"""Added to the power of every frame, 100 dB below full scale, so that silence has a predictor."""


@dataclass(frozen=True)
class LPCVocoder(WaveVocoder):
    """Linear prediction and its inverse, at 16 kHz by default.

    Attributes:
        sample_rate: in Hz.
        order: poles of the filter; two per formant (about one per kHz) and some more.
        hop_s: duration of each filter, in seconds.
        window_s: Hann window of the analysis, centred on the filter's duration.
        pre_emphasis: first-order high-pass before the analysis, undone at the end.
        lag_window_hz: standard deviation of the Gaussian that smooths the power spectrum, so that
            the poles follow the envelope instead of the harmonics.
        white_noise: white noise power added, as a fraction of the frame's power.
    """

    sample_rate: int = 16000
    order: int = 24
    hop_s: float = 0.005
    window_s: float = 0.03
    pre_emphasis: float = 0.97
    lag_window_hz: float = 40.0
    white_noise: float = 1e-5

    @property
    def hop_length(self) -> int:
        """Samples per filter."""
        return round(self.hop_s * self.sample_rate)

    def analyse(
        self, waveform: Float[Tensor, " samples"]
    ) -> tuple[Float[Tensor, "frames order"], Float[Tensor, " frames"]]:
        """Coefficients of A(z) for the pre-emphasised waveform, and the standard deviation of its
        prediction error, one set per (possibly incomplete) ``hop_length`` samples."""
        hop, length = self.hop_length, round(self.window_s * self.sample_rate)
        signal = waveform - self.pre_emphasis * pad(waveform, (1, 0))[:-1]
        n_frames = -(-len(signal) // hop)
        before = length // 2 - hop // 2
        missing = (n_frames - 1) * hop + length - before - len(signal)
        window = torch.hann_window(length, dtype=signal.dtype)
        frames = pad(signal, (before, missing)).unfold(0, length, hop) * window
        lags = autocorrelation(frames, self.order)
        seconds = torch.arange(self.order + 1, dtype=signal.dtype) / self.sample_rate
        lags = lags * torch.exp(-0.5 * (2 * torch.pi * self.lag_window_hz * seconds).square())
        energy = window.square().sum()
        lags[:, 0] = (1 + self.white_noise) * lags[:, 0] + _SILENCE_POWER * energy
        coefficients, error = levinson_durbin(lags)
        return coefficients, torch.sqrt(error / energy)

    def resynthesise(
        self,
        waveform: Float[Tensor, " samples"],
        f0_scale: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, " samples"]:
        """Waveform (samples,) → F0, voicing, gain, filter → waveform of the same length.

        Raises:
            AudioError: the waveform is invalid.
            PitchError: ``f0_scale`` takes F0 out of range.
        """
        signal = checked_waveform(waveform)
        hop, offset = self.hop_length, self.hop_length // 2
        coefficients, gain = self.analyse(signal)
        n_frames = len(gain)
        pitch = extract_pitch(signal, self.sample_rate, hop, n_frames, offset)
        f0_hz = pitch.f0_hz.double()[None] * f0_scale
        validate_f0(f0_hz, self.sample_rate)
        f0 = boundary_values(f0_hz, hop, offset)
        phase = sample_phase(boundary_phase(f0, self.sample_rate, hop), f0, self.sample_rate, hop)
        pulses = pulse_train(phase, interpolate_linear(f0, hop), self.sample_rate)
        noise = torch.randn(pulses.shape, generator=generator, dtype=torch.float64)
        voiced = pitch.voicing.double().repeat_interleave(hop)[None]
        level = interpolate_linear(boundary_values(gain[None], hop, offset), hop)
        excitation = level * torch.where(voiced > 0, pulses, noise)
        # One more pole undoes the pre-emphasis: (1 - a z^-1) A(z).
        padded = pad(coefficients, (1, 0), value=1.0)
        poles = pad(coefficients, (0, 1)) - self.pre_emphasis * padded
        output, _ = all_pole(excitation, poles[None])
        return output[0, : len(waveform)].to(waveform.dtype)
