"""The DDSP autoencoder for speech: a network controlling a harmonic-plus-noise synthesiser.

    mel ─▶ PitchPredictor ─▶ F0 ─┐           ┌─▶ amplitudes ─▶ harmonics ─┐
     ├───▶ A-weighted loudness ──┼─▶ decoder ┤                            + ─▶ room ─▶ waveform
     └───▶ z ────────────────────┘           └─▶ magnitudes ─▶ noise ─────┘

After J. Engel, L. Hantrakul, C. Gu and A. Roberts, "DDSP: differentiable digital signal
processing", arXiv 2001.04643, at the sizes of the authors' implementation (magenta/ddsp,
papers/iclr2020): the decoder (an MLP per input, a GRU, an MLP, a linear layer; 250 steps per
second), the synthesiser (100 harmonics, 65 noise magnitudes), the reverberation. The small variants
are settings: without the latent z for one instrument, and the "tiny" one without MLPs and with a
GRU of 256.

Differences:

- All inputs come from the mel: F0 by a jointly trained pitch predictor without gradients from the
  waveform's loss (there CREPE), loudness from the mel's bands, and the mel itself as z (there 16
  numbers that a GRU encodes from 30 cepstra, 31 times per second).
- Amplitudes are interpolated linearly between steps; there they are cross-faded by windows.
- The harmonics fade out from 0.925 of Nyquist; there they are switched off at Nyquist. The rest are
  scaled to compensate, as there.
- Training segments contain no reverberation of the preceding speech.
"""

import math
from typing import Literal, Self

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from vocoder.config import Config
from vocoder.dsp.filters.fir import filter_frames, frequency_sampled_fir
from vocoder.dsp.framing import boundary_values, interpolate_linear
from vocoder.dsp.rooms.reverb import add_reverb
from vocoder.dsp.sources.oscillators import TOP, boundary_phase, harmonic_bank, sample_phase
from vocoder.errors import MelError
from vocoder.features.autocast import outside_autocast
from vocoder.features.loudness import MelLoudness
from vocoder.features.mel import MelSpec
from vocoder.models.base import Generators, draw_uniform
from vocoder.models.blocks.layers import normalise_log_gain
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.blocks.pitch_driven import PitchDrivenVocoder
from vocoder.models.blocks.pitch_predictor import PitchPredictorConfig

QUIET_NOISE = -5.0
"""Bias of the noise magnitudes' logits, so that training begins with little noise."""


class DDSPConfig(Config):
    """Sizes of the decoder and of the synthesiser.

    ``latent: false`` decodes from F0 and loudness alone. ``mlp_layers: 0`` omits the MLPs.
    ``steps_per_frame``: control steps per mel frame, four for 250 per second at 16 kHz and a hop of
    256 samples. ``reverb_seconds: 0`` disables reverberation.
    """

    name: Literal["ddsp"] = "ddsp"
    channels: int = Field(512, ge=1)
    mlp_layers: int = Field(3, ge=0)
    gru_channels: int = Field(512, ge=1)
    latent: bool = True
    harmonics: int = Field(100, ge=1)
    noise_bins: int = Field(65, ge=3)
    steps_per_frame: int = Field(4, ge=1)
    reverb_seconds: float = Field(3.0, ge=0)
    pitch: PitchPredictorConfig = PitchPredictorConfig()

    @model_validator(mode="after")
    def _channels_are_used(self) -> Self:
        default = type(self).model_fields["channels"].default
        if self.mlp_layers == 0 and self.channels != default:
            raise ValueError("channels are those of the MLPs, of which mlp_layers: 0 has none")
        return self


class _MLP(nn.Sequential):
    """Layers of linear map, layer norm and ReLU; the identity without layers."""

    def __init__(self, inputs: int, config: DDSPConfig) -> None:
        layers: list[nn.Module] = []
        for index in range(config.mlp_layers):
            width = inputs if index == 0 else config.channels
            layers += [nn.Linear(width, config.channels), nn.LayerNorm(config.channels), nn.ReLU()]
        super().__init__(*layers)
        self.outputs = config.channels if layers else inputs


def exp_sigmoid(x: Tensor) -> Tensor:
    """``2 sigmoid(x)^{ln 10} + 1e-7``, amplitudes from 1e-7 to 2."""
    return 2 * torch.sigmoid(x) ** math.log(10) + 1e-7


class DDSP(PitchDrivenVocoder):
    """Mel in, waveform out. The GRU and the reverberation depend on the whole past; the lookahead
    is ``lookahead_frames``."""

    def __init__(self, config: DDSPConfig, spec: MelSpec) -> None:
        super().__init__(spec, config.pitch)
        if spec.hop_length % config.steps_per_frame:
            raise MelError(
                f"hop_length {spec.hop_length} is no multiple of steps_per_frame "
                f"{config.steps_per_frame}: choose a divisor in the recipe's model section"
            )
        self.config = config
        self.step_length = spec.hop_length // config.steps_per_frame
        self.loudness = MelLoudness(spec)
        widths = [1, 1, spec.n_mels] if config.latent else [1, 1]
        inputs = [_MLP(width, config) for width in widths]
        sizes = [mlp.outputs for mlp in inputs]
        self.inputs = nn.ModuleList(inputs)
        self.recurrent = nn.GRU(sum(sizes), config.gru_channels, batch_first=True)
        self.hidden = _MLP(config.gru_channels + sum(sizes[:2]), config)
        self.output = nn.Linear(self.hidden.outputs, 1 + config.harmonics + config.noise_bins)
        taps = round(config.reverb_seconds * spec.sample_rate)
        self.reverb_tail = nn.Parameter(1e-6 * torch.randn(taps)) if taps else None
        self.lookahead_frames = self.context[1] + self._reach_frames

    @property
    def _reach_frames(self) -> int:
        """Future frames whose controls affect the output: by interpolation and noise filter
        width."""
        last = self.spec.hop_length - 1 + self.config.noise_bins - 1
        return max(1, -(-(last // self.step_length) // self.config.steps_per_frame))

    def draw(
        self, items: int, samples: int, generator: Generators, like: Tensor
    ) -> tuple[Float[Tensor, "items samples"]]:
        """Noise distributed uniformly between -1 and 1."""
        return (2 * draw_uniform((items, samples), generator, like) - 1,)

    def controls(
        self, mel: Float[Tensor, "batch n_mels frames"], f0_hz: Float[Tensor, "batch frames"]
    ) -> tuple[Float[Tensor, "batch steps harmonics"], Float[Tensor, "batch steps bins"]]:
        """Amplitudes of the harmonics, before fading near Nyquist, and magnitudes of the noise,
        from a mel without context."""
        loudness = normalise_log_gain(self.loudness(mel))
        octaves = torch.log2(f0_hz / 440)
        # As in the paper: the MIDI note number, 69 for 440 Hz, divided by 127.
        inputs = [((12 * octaves + 69) / 127)[:, :, None], loudness[:, :, None]]
        if self.config.latent:
            inputs.append(self.mel_input(mel).transpose(1, 2))
        own = [mlp(self._at_steps(values)) for mlp, values in zip(self.inputs, inputs, strict=True)]
        remembered = self.recurrent(torch.cat(own, dim=2))[0]
        output = self.output(self.hidden(torch.cat([remembered, *own[:2]], dim=2)))
        output = output.to(f0_hz.dtype)
        total, shares, noise = output.split([1, self.config.harmonics, self.config.noise_bins], 2)
        amplitudes = exp_sigmoid(shares)
        heard = (amplitudes * self._fade(f0_hz)).sum(dim=2, keepdim=True).clamp(min=1e-7)
        return exp_sigmoid(total) * amplitudes / heard, exp_sigmoid(noise + QUIET_NOISE)

    def synthesise(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        f0_hz: Float[Tensor, "batch frames"],
        voicing: Float[Tensor, "batch frames"],
        noise: Float[Tensor, "batch samples"],
    ) -> Float[Tensor, "batch samples"]:
        """Waveform for a mel without context. Voicing is ignored: the decoder determines the
        harmonic share of a frame."""
        harmonic, magnitudes = self.controls(mel, f0_hz)
        # bfloat16 suffices for the controls, but not for the waveform.
        with outside_autocast(mel.device):
            return self._waveform(harmonic, magnitudes, f0_hz, noise)

    def _waveform(
        self,
        harmonic: Float[Tensor, "batch steps harmonics"],
        magnitudes: Float[Tensor, "batch steps bins"],
        f0_hz: Float[Tensor, "batch frames"],
        noise: Float[Tensor, "batch samples"],
    ) -> Float[Tensor, "batch samples"]:
        """Harmonics, noise and room of :meth:`synthesise`."""
        hop = self.spec.hop_length
        f0 = boundary_values(f0_hz, hop, self.spec.center_offset)
        phase = sample_phase(boundary_phase(f0, self.sample_rate, hop), f0, self.sample_rate, hop)
        # The last step is held.
        amplitudes = torch.cat([harmonic, harmonic[:, -1:]], dim=1)
        voice = harmonic_bank(phase, interpolate_linear(f0, hop), amplitudes, self.sample_rate)
        breath = filter_frames(noise, frequency_sampled_fir(magnitudes))
        if self.reverb_tail is None:
            return voice + breath
        return add_reverb(voice + breath, self.reverb_tail)

    def forward(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        *,
        generator: Generators = None,
        f0_scale: float = 1.0,
    ) -> Float[Tensor, "batch samples"]:
        """Waveform of ``frames * hop_length`` samples.

        Args:
            mel: of this model's ``spec``.
            generator: of the noise.
            f0_scale: factor on F0.

        Raises:
            MelError: a wrong number of bins or a value that is not finite.
            PitchError: ``f0_scale`` takes F0 out of range.
        """
        mel = self.accept(mel)
        # Padding with silence as far as later frames affect the output.
        samples = mel.shape[2] * self.spec.hop_length
        mel = pad_silence(mel, self.spec, (0, self._reach_frames))
        return self.synthesise(mel, *self.excitation(mel, generator, f0_scale))[:, :samples]

    def _at_steps(self, values: Float[Tensor, "batch frames c"]) -> Float[Tensor, "batch steps c"]:
        """Linear interpolation between the frames' centres, at the beginning of each step."""
        rows = values.transpose(1, 2).flatten(0, 1)
        boundaries = boundary_values(rows, self.spec.hop_length, self.spec.center_offset)
        lines = interpolate_linear(boundaries, self.config.steps_per_frame)
        return lines.unflatten(0, (values.shape[0], values.shape[2])).transpose(1, 2)

    def _fade(self, f0_hz: Float[Tensor, "batch frames"]) -> Float[Tensor, "batch steps harmonics"]:
        """Fade of each harmonic near Nyquist."""
        order = torch.arange(1, self.config.harmonics + 1, device=f0_hz.device)
        ratio = TOP * 0.5 * self.sample_rate / self._at_steps(f0_hz[:, :, None])
        return (ratio - order).clamp(0, 1)
