"""The harmonic-plus-noise neural source-filter model with trainable sinc filters, hn-sinc-NSF.

    mel ─▶ PitchPredictor ─▶ F0, voicing ─▶ sines ─▶ filter blocks ─▶ low-pass ─┐
      └──▶ condition module ─▶ features, cut-off    noise ─▶ block ─▶ high-pass ─┴─▶ waveform

After X. Wang, S. Takaki and J. Yamagishi, "Neural source-filter waveform models for statistical
parametric speech synthesis", arXiv 1904.12088 (source, condition and filter modules of hn-NSF), and
X. Wang and J. Yamagishi, "Neural harmonic-plus-noise waveform model with trainable maximum voice
frequency", arXiv 1908.10256 (the cut-off of the two filters that merge the branches is predicted:
around 0.7 of Nyquist in voiced frames and 0.3 in unvoiced ones, ± 0.2). Sizes are those of the
authors' own implementation (nii-yamagishilab/project-NN-Pytorch-scripts, hn-sinc-nsf-9), and so are
details missing in the papers: five layers in the noise branch, a factor of 0.1 before a block's
last layers.

Differences:

- F0 is an input there. Here the mel is the only input, so a jointly trained pitch predictor gives
  F0 and voicing; it gets no gradients from the waveform's loss.
- F0, features and cut-off are interpolated linearly between frames. There they are repeated and,
  except for the F0 of the sines, smoothed by moving averages: with mel frames of 16 ms instead of
  5 ms, F0 would be a staircase.
- The harmonics of the source fade out below Nyquist, where they alias in the papers, and phases do
  not drift. The two filters are centred; there they have a delay of 15 samples.
- Training uses segments instead of whole utterances; each starts from silence.
"""

from typing import Literal, Self

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import pad

from vocoder.config import Config
from vocoder.dsp.filters.fir import filter_samples, sinc_high_pass, sinc_low_pass
from vocoder.dsp.framing import boundary_values, interpolate_linear
from vocoder.dsp.sources.oscillators import TOP, boundary_phase, sample_phase, wrap
from vocoder.features.autocast import outside_autocast
from vocoder.features.mel import MelSpec
from vocoder.models.base import Generators, draw_normal, draw_uniform
from vocoder.models.blocks.pitch_driven import PitchDrivenVocoder
from vocoder.models.blocks.pitch_predictor import PitchPredictorConfig
from vocoder.models.blocks.precision import at_least_float32

F0_SCALE_HZ = 200.0
"""Divisor of F0 as a network input, which is 0 in unvoiced frames."""


class NSFConfig(Config):
    """Sizes of the three modules.

    The harmonic branch has ``blocks`` filter blocks of ``layers`` dilated convolutions each, the
    noise branch one block of ``noise_layers``. ``harmonics`` includes the fundamental. With
    ``trainable_cutoff: false`` the cut-off depends on voicing alone, as in hn-NSF.
    """

    name: Literal["nsf"] = "nsf"
    channels: int = Field(64, ge=4, multiple_of=4)
    blocks: int = Field(5, ge=1)
    layers: int = Field(10, ge=1)
    noise_layers: int = Field(5, ge=1)
    kernel_size: int = Field(3, ge=2)
    condition_channels: int = Field(64, ge=2, multiple_of=2)
    condition_kernel_size: int = Field(3, ge=1)
    harmonics: int = Field(8, ge=1)
    sine_amplitude: float = Field(0.1, gt=0)
    noise_deviation: float = Field(0.003, ge=0)
    sinc_taps: int = Field(31, ge=3)
    trainable_cutoff: bool = True
    pitch: PitchPredictorConfig = PitchPredictorConfig()

    @model_validator(mode="after")
    def _filters_have_a_middle(self) -> Self:
        for name in ("sinc_taps", "condition_kernel_size"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"{name} {getattr(self, name)} is even: choose an odd number")
        return self


class _FilterBlock(nn.Module):
    """Dilated causal convolutions with residuals, added to the input signal.

    ``h ← h + tanh(conv h) + c`` per layer with doubling dilation, c the features; then
    ``x + tanh(b tanh(a · 0.1 h))``. No biases, as in the authors' implementation.
    """

    def __init__(self, config: NSFConfig, layers: int) -> None:
        super().__init__()
        channels, self.kernel_size = config.channels, config.kernel_size
        self.expand = nn.Conv1d(1, channels, 1, bias=False)
        self.layers = nn.ModuleList(
            nn.Conv1d(channels, channels, self.kernel_size, dilation=2**layer, bias=False)
            for layer in range(layers)
        )
        self.compress = nn.Conv1d(channels, channels // 4, 1, bias=False)
        self.output = nn.Conv1d(channels // 4, 1, 1, bias=False)

    def forward(
        self, signal: Float[Tensor, "batch 1 samples"], features: Float[Tensor, "batch c samples"]
    ) -> Float[Tensor, "batch 1 samples"]:
        hidden = torch.tanh(self.expand(signal))
        for index, layer in enumerate(self.layers):
            past = pad(hidden, ((self.kernel_size - 1) * 2**index, 0))
            hidden = hidden + torch.tanh(layer(past)) + features
        hidden = torch.tanh(self.compress(0.1 * hidden))
        return signal + torch.tanh(self.output(hidden))


class NSF(PitchDrivenVocoder):
    """Mel in, waveform out. The condition module's bidirectional LSTM reads the whole utterance."""

    def __init__(self, config: NSFConfig, spec: MelSpec) -> None:
        super().__init__(spec, config.pitch)
        self.config = config
        hidden = config.condition_channels
        self.recurrent = nn.LSTM(spec.n_mels + 1, hidden // 2, batch_first=True, bidirectional=True)
        kernel = config.condition_kernel_size
        # The last feature channel is F0; the cut-off has a separate channel.
        outputs = config.channels - 1 + config.trainable_cutoff
        self.condition = nn.Conv1d(hidden, outputs, kernel, padding=kernel // 2)
        self.merge = nn.Linear(config.harmonics, 1)
        self.harmonic_blocks = nn.ModuleList(
            _FilterBlock(config, config.layers) for _ in range(config.blocks)
        )
        self.noise_block = _FilterBlock(config, config.noise_layers)

    @property
    def receptive_field(self) -> int:
        """Past samples seen by the filter blocks, the larger of both branches."""
        config = self.config
        harmonic = config.blocks * (2**config.layers - 1)
        return max(harmonic, 2**config.noise_layers - 1) * (config.kernel_size - 1)

    def draw(
        self, items: int, samples: int, generator: Generators, like: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Initial phases of the harmonics (items, harmonics), in cycles, zero for the fundamental,
        and white noise (items, harmonics + 1, samples), the last row for the noise branch."""
        phases = draw_uniform((items, self.config.harmonics), generator, like)
        phases = torch.cat([torch.zeros_like(phases[:, :1]), phases[:, 1:]], dim=1)
        return phases, draw_normal((items, self.config.harmonics + 1, samples), generator, like)

    def features(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        f0_hz: Float[Tensor, "batch frames"],
        voicing: Float[Tensor, "batch frames"],
    ) -> tuple[Float[Tensor, "batch frames c"], Float[Tensor, "batch frames"]]:
        """The condition module: features of the filter blocks, the last of which is F0, and the
        cut-off frequency as a fraction of Nyquist, 0.5 to 0.9 in voiced frames and 0.1 to 0.5
        elsewhere."""
        voiced = (voicing > 0.5).to(mel.dtype)
        scaled_f0 = (voiced * f0_hz / F0_SCALE_HZ)[:, :, None]
        x = torch.cat([self.mel_input(mel).transpose(1, 2), scaled_f0], dim=2)
        # On processors without AVX-512, oneDNN has no LSTM in bfloat16.
        with outside_autocast(x.device):
            x = self.recurrent(at_least_float32(x))[0]
        x = torch.tanh(self.condition(x.transpose(1, 2))).transpose(1, 2)
        cutoff = 0.3 + 0.4 * voiced
        if self.config.trainable_cutoff:
            cutoff = cutoff + 0.2 * x[:, :, -1]
            x = x[:, :, :-1]
        return torch.cat([x, scaled_f0], dim=2), cutoff

    def source(
        self,
        f0_hz: Float[Tensor, "batch frames"],
        voicing: Float[Tensor, "batch frames"],
        phases: Float[Tensor, "batch harmonics"],
        noise: Float[Tensor, "batch rows samples"],
    ) -> Float[Tensor, "batch harmonics samples"]:
        """The sines: ``α sin 2π(kφ + φ_k) + n`` if voiced, and ``n α / (3σ)`` otherwise, n normal
        with standard deviation σ (arXiv 1904.12088)."""
        config, hop, offset = self.config, self.spec.hop_length, self.spec.center_offset
        f0 = boundary_values(f0_hz, hop, offset)
        phase = sample_phase(boundary_phase(f0, self.sample_rate, hop), f0, self.sample_rate, hop)
        voiced = self._at_samples((voicing > 0.5).to(f0_hz.dtype)[:, :, None])
        order = torch.arange(1, config.harmonics + 1, dtype=phase.dtype, device=phase.device)
        cycles = wrap(order[:, None] * phase[:, None] + phases[:, :, None])
        top = TOP * 0.5 * self.sample_rate / interpolate_linear(f0, hop)[:, None]
        sines = (top - order[:, None]).clamp(0, 1) * torch.sin(2 * torch.pi * cycles)
        deviation = torch.lerp(
            torch.full_like(voiced, config.sine_amplitude / 3),
            torch.full_like(voiced, config.noise_deviation),
            voiced,
        )
        return config.sine_amplitude * voiced * sines + deviation * noise[:, : config.harmonics]

    def synthesise(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        f0_hz: Float[Tensor, "batch frames"],
        voicing: Float[Tensor, "batch frames"],
        phases: Float[Tensor, "batch harmonics"],
        noise: Float[Tensor, "batch rows samples"],
        *,
        chunk_frames: int | None = None,
    ) -> Float[Tensor, "batch samples"]:
        """Waveform for a mel without context and the output of :meth:`draw`.

        The filter blocks process ``chunk_frames`` frames at a time plus their past context, in
        bounded memory; None processes all at once, with the same result.

        Raises:
            ValueError: ``chunk_frames`` below one.
        """
        if chunk_frames is not None and chunk_frames < 1:
            raise ValueError(f"chunk_frames is {chunk_frames}: at least one frame at a time")
        features, cutoff = (x.to(f0_hz.dtype) for x in self.features(mel, f0_hz, voicing))
        # bfloat16 suffices for the controls, but not for the waveform.
        with outside_autocast(mel.device):
            return self._waveform(features, cutoff, f0_hz, voicing, phases, noise, chunk_frames)

    def _waveform(
        self,
        features: Float[Tensor, "batch frames c"],
        cutoff: Float[Tensor, "batch frames"],
        f0_hz: Float[Tensor, "batch frames"],
        voicing: Float[Tensor, "batch frames"],
        phases: Float[Tensor, "batch harmonics"],
        noise: Float[Tensor, "batch rows samples"],
        chunk_frames: int | None,
    ) -> Float[Tensor, "batch samples"]:
        """Source and filters of :meth:`synthesise`."""
        sines = self.source(f0_hz, voicing, phases, noise)
        harmonic = torch.tanh(self.merge(sines.transpose(1, 2))).transpose(1, 2)
        breath = self.config.sine_amplitude / 3 * noise[:, self.config.harmonics :]
        n_frames, hop = f0_hz.shape[1], self.spec.hop_length
        # The centred filters see as many samples on either side.
        reach = self.config.sinc_taps // 2
        past, future = -(-(self.receptive_field + reach) // hop), -(-reach // hop)
        chunk = n_frames if chunk_frames is None else chunk_frames
        pieces = []
        for start in range(0, n_frames, chunk):
            stop = min(start + chunk, n_frames)
            first, last = max(start - past, 0), min(stop + future, n_frames)
            span = slice(first * hop, last * hop)
            # Neighbouring frames, so that the interpolation does not depend on the span.
            left, right = max(first - 1, 0), min(last + 1, n_frames)
            within = slice((first - left) * hop, (last - left) * hop)
            piece = self._filtered(
                harmonic[:, :, span],
                breath[:, :, span],
                self._at_samples(features[:, left:right])[:, :, within],
                self._at_samples(cutoff[:, left:right, None])[:, 0, within],
            )
            pieces.append(piece[:, (start - first) * hop : (stop - first) * hop])
        return torch.cat(pieces, dim=1)

    def _filtered(
        self, harmonic: Tensor, breath: Tensor, features: Tensor, cutoff: Tensor
    ) -> Float[Tensor, "batch samples"]:
        """Both branches through their blocks and their low- and high-pass filters."""
        for block in self.harmonic_blocks:
            harmonic = block(harmonic, features)
        breath = self.noise_block(breath, features)
        low = sinc_low_pass(cutoff, self.config.sinc_taps)
        high = sinc_high_pass(cutoff, self.config.sinc_taps)
        return filter_samples(harmonic[:, 0], low) + filter_samples(breath[:, 0], high)

    def _at_samples(
        self, values: Float[Tensor, "batch frames c"]
    ) -> Float[Tensor, "batch c samples"]:
        """Linear interpolation between the frames' centres."""
        hop, offset = self.spec.hop_length, self.spec.center_offset
        rows = values.transpose(1, 2).flatten(0, 1)
        lines = interpolate_linear(boundary_values(rows, hop, offset), hop)
        return lines.unflatten(0, (values.shape[0], values.shape[2]))

    def forward(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        *,
        generator: Generators = None,
        f0_scale: float = 1.0,
        chunk_frames: int = 640,
    ) -> Float[Tensor, "batch samples"]:
        """Waveform of ``frames * hop_length`` samples, in bounded memory except for the source.

        Args:
            mel: of this model's ``spec``.
            generator: of phases and noise.
            f0_scale: factor on F0.
            chunk_frames: frames filtered at a time; no effect on the signal.

        Raises:
            MelError: a wrong number of bins or a value that is not finite.
            PitchError: ``f0_scale`` takes F0 out of range.
            ValueError: ``chunk_frames`` below one.
        """
        mel = self.accept(mel)
        excitation = self.excitation(mel, generator, f0_scale)
        return self.synthesise(mel, *excitation, chunk_frames=chunk_frames)
