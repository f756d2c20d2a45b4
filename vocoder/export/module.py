"""The tensor arithmetic of a source-filter vocoder, without checks: what is exported.

Frames whose ``f0_hz`` is 0, and frames whose ``voicing`` is below 0, take what the model predicts:
one graph serves with pitch from outside, without, and with part of it, and its outputs tell the
prediction. All of it is arithmetic, so that any runtime can take it.
"""

import base64
import io
from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

import vocoder
from vocoder.dsp.carry import Carry
from vocoder.models.source_filter import SourceFilter
from vocoder.models.source_filter.rendering import Options, Rendering
from vocoder.models.source_filter.streaming import read_frames

INPUTS = ("mel", "noise", "f0_hz", "voicing")
OUTPUTS = ("waveform", "used_f0_hz", "used_voicing")
EXAMPLE_FRAMES = 40
"""Length that is traced; any other is served."""

Dimensions = dict[int, torch.export.Dim]


class ExportModule(nn.Module):
    """What the two exported forms of a vocoder have in common.

    Args:
        vocoder: on the CPU.
        options: what of the mel is met, and what changes of the voice but for F0, which comes from
            outside.
    """

    inputs: tuple[str, ...] = INPUTS
    outputs: tuple[str, ...] = OUTPUTS

    def __init__(self, vocoder: SourceFilter, options: Options) -> None:
        super().__init__()
        self.vocoder, self.options = vocoder, options
        self.rendering = Rendering(vocoder.synthesis, vocoder.steering, options)
        self.tail = self.rendering.reach_frames
        weight = vocoder.filter_network.output.weight
        floor = torch.as_tensor(vocoder.spec.log_floor).to(weight).expand(vocoder.spec.n_mels)
        self.floor: Tensor
        self.register_buffer("floor", floor[None, :, None].clone())

    @property
    def lookahead_frames(self) -> int:
        """Mel frames after its own that a sample depends on."""
        return self.vocoder.context[1] + self.tail

    def silence(self, batch: int, frames: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The first four inputs: a silent mel, whose pitch is to be predicted, without noise."""
        mel = self.floor.expand(batch, -1, frames).clone()
        noise = mel.new_zeros(batch, frames, self.vocoder.spec.hop_length)
        nothing = mel.new_zeros(batch, frames)
        return mel, noise, nothing, nothing - 1

    @abstractmethod
    def example(self) -> tuple[tuple[Tensor, ...], tuple[Dimensions, ...]]:
        """Inputs to trace with, and the dimensions of each that may change."""

    def metadata(self) -> dict[str, object]:
        """What a user of the file must know: the mel, rate, hop, latency, version."""
        spec = self.vocoder.spec
        return {
            "vocoder_version": vocoder.__version__,
            "mel": spec.model_dump(mode="json"),
            "mel_fingerprint": spec.fingerprint,
            "sample_rate": spec.sample_rate,
            "hop_length": spec.hop_length,
            "silence": self.floor.flatten().tolist(),
            "meets": self.options.meets,
            "mel_projection": self.options.mel_projection,
            "low_band_projection": self.options.low_band_projection,
            "formant_scale": self.options.change.formant_scale,
            "breath_db": self.options.change.breath_db,
            "lookahead_frames": self.lookahead_frames,
            "latency_seconds": self.lookahead_frames * spec.hop_length / spec.sample_rate,
        }


class WholeModule(ExportModule):
    """A whole utterance at once, any batch and length: the signal of `SourceFilter.forward`."""

    def example(self) -> tuple[tuple[Tensor, ...], tuple[Dimensions, ...]]:
        batch, frames = torch.export.Dim("batch"), torch.export.Dim("frames")
        one: Dimensions = {0: batch, 1: frames}
        return self.silence(2, EXAMPLE_FRAMES), ({0: batch, 2: frames}, one, one, one)

    def forward(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        noise: Float[Tensor, "batch frames hop"],
        f0_hz: Float[Tensor, "batch frames"],
        voicing: Float[Tensor, "batch frames"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        model, rendering = self.vocoder, self.rendering
        tail = rendering.excited_frames + rendering.silent_frames
        left, right = model.context
        frames, hop = mel.shape[2], model.spec.hop_length
        silence = self.floor.expand(mel.shape[0], -1, -1)
        before, after = silence.expand(-1, -1, left), silence.expand(-1, -1, right + tail)
        gain = model.log_gain(torch.cat([before, mel, after], dim=2))
        predicted = model.estimate_pitch(gain)
        f0_hz, voicing = _hold(f0_hz, tail), _hold(voicing, tail)
        f0_hz = torch.where(f0_hz > 0, f0_hz, predicted.f0_hz)
        voicing = torch.where(voicing >= 0, voicing, predicted.voicing)
        waveform = rendering(
            model.controls(gain),
            predicted.f0_hz,
            f0_hz,
            voicing,
            pad(noise, (0, 0, 0, tail)).flatten(1),
            gain[:, left : left + frames + tail],
            Carry(whole=True),
        )
        return waveform[:, : frames * hop], f0_hz[:, :frames], voicing[:, :frames]


class StreamModule(ExportModule):
    """The next frames of one utterance, and the state of its stream in and out.

    As many samples come out as the frames have, ``delay_samples`` late; those before the first
    sample of the utterance are to be dropped, and ``lookahead_frames`` of silence bring the last
    ones. The utterance begins in silence: its first sample is that of a `Stream` after
    ``silent_frames`` of silence.
    """

    def __init__(self, vocoder: SourceFilter, options: Options) -> None:
        super().__init__(vocoder, options)
        left, right = vocoder.context
        self.silent_frames = left + right + 2 * self.tail
        """As many as a sample depends on, so that the beginning of the silence is forgotten."""
        carry = Carry()
        with torch.no_grad():
            samples = self._advance(*self.silence(1, self.silent_frames), carry)[0].shape[1]
        self.delay_samples = self.silent_frames * vocoder.spec.hop_length - samples
        self._complex = [name for name, tensor in carry.tensors.items() if tensor.is_complex()]
        self.state = {name: _real(tensor).clone() for name, tensor in carry.tensors.items()}
        """The state in which an utterance begins, by name; of complex numbers both parts, as a last
        axis of two."""
        self.inputs = (*INPUTS, *(f"state {name}" for name in self.state))
        self.outputs = (*OUTPUTS, *(f"next {name}" for name in self.state))

    def example(self) -> tuple[tuple[Tensor, ...], tuple[Dimensions, ...]]:
        frames = torch.export.Dim("frames")
        one: Dimensions = {1: frames}
        fixed: tuple[Dimensions, ...] = ({},) * len(self.state)
        inputs = (*self.silence(1, EXAMPLE_FRAMES), *self.state.values())
        return inputs, ({2: frames}, one, one, one, *fixed)

    def metadata(self) -> dict[str, object]:
        """What `ExportModule.metadata` says, the delay, and the state in which an utterance begins:
        an .npz file in base64."""
        packed = io.BytesIO()
        arrays: Any = {name: tensor.numpy() for name, tensor in self.state.items()}
        np.savez(packed, **arrays)
        state = base64.b64encode(packed.getvalue()).decode()
        return {**super().metadata(), "delay_samples": self.delay_samples, "state": state}

    def forward(
        self,
        mel: Float[Tensor, "1 n_mels frames"],
        noise: Float[Tensor, "1 frames hop"],
        f0_hz: Float[Tensor, "1 frames"],
        voicing: Float[Tensor, "1 frames"],
        *state: Tensor,
    ) -> tuple[Tensor, ...]:
        carry = Carry(dict(zip(self.state, state, strict=True)))
        for name in self._complex:
            carry.tensors[name] = torch.view_as_complex(carry.tensors[name])
        outputs = self._advance(mel, noise, f0_hz, voicing, carry)
        return (*outputs, *(_real(carry.tensors[name]) for name in self.state))

    def _advance(
        self, mel: Tensor, noise: Tensor, f0_hz: Tensor, voicing: Tensor, carry: Carry
    ) -> tuple[Tensor, Tensor, Tensor]:
        controls, gain, predicted = read_frames(self.vocoder, carry, mel, predicts_pitch=True)
        assert predicted is not None
        f0_hz = carry.take("f0_hz", f0_hz, gain.shape[1])
        f0_hz = torch.where(f0_hz > 0, f0_hz, predicted.f0_hz)
        voicing = carry.take("voicing", voicing, gain.shape[1])
        voicing = torch.where(voicing >= 0, voicing, predicted.voicing)
        waveform = self.rendering(
            controls, predicted.f0_hz, f0_hz, voicing, noise.flatten(1), gain, carry
        )
        return waveform, f0_hz, voicing


def _hold(values: Tensor, tail: int) -> Tensor:
    """The last value held for ``tail`` frames more."""
    return torch.cat([values, values[:, -1:].expand(-1, tail)], dim=1)


def _real(values: Tensor) -> Tensor:
    return torch.view_as_real(values) if values.is_complex() else values
