"""A vocoder in the place where a text-to-speech toolkit calls its own.

Toolkits differ in the name of the call, the layout of the mel and the shape of the waveform, which
are the classes of this module; none of the toolkits is imported. Mels differ in window, logarithm
and statistics, which are in the `MelSpec` that every class takes; `read_statistics` reads those of
a corpus.

>>> import torch, vocoder
>>> speak = TransformersVocoder(vocoder.load(), "speecht5_16k")
>>> speak(torch.full((10, 80), -10.0)).shape
torch.Size([2560])
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from vocoder.data.mels import DAMAGED_ARRAY
from vocoder.errors import MelError
from vocoder.features.mel import MelSpec, named_mel
from vocoder.models.base import Generators, Vocoder
from vocoder.models.blocks.padding import silence_after

Lengths = Tensor | Sequence[int] | None
"""Frames of each item of a padded batch; None where every item fills it."""


class Adapter(nn.Module):
    """What the adapters share: a vocoder, and the spec of the mels that it is given.

    Args:
        vocoder: a universal one serves any spec; another one serves its own, and specs that differ
            from it in the logarithm's base and the statistics.
        spec: of the mels that come in, or a preset's name; None for the class's ``default_spec``
            or, where it has none, the vocoder's own.
        options: arguments of every call of the vocoder, such as ``mel_projection=1,
            low_band_projection=0`` for mels that are smoother than speech, or ``f0_scale=1.1``.

    Raises:
        MelError: the vocoder does not serve mels of this spec.
    """

    default_spec: str | None = None

    def __init__(self, vocoder: Vocoder, spec: MelSpec | str | None = None, **options: Any) -> None:
        super().__init__()
        self.options = options
        if spec is None:
            spec = self.default_spec or vocoder.spec
        self.spec = named_mel(spec) if isinstance(spec, str) else spec
        self.vocoder = vocoder.for_mel(self.spec) if vocoder.serves_any_mel else vocoder
        self.spec.check_convertible(self.vocoder.spec)

    @property
    def sample_rate(self) -> int:
        """Samples per second of what comes out."""
        return self.vocoder.sample_rate

    def waveforms(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        lengths: Lengths = None,
        generator: Generators = None,
    ) -> Float[Tensor, "batch samples"]:
        """Waveforms of ``frames * hop_length`` samples.

        Args:
            mel: of this adapter's ``spec``.
            lengths: frames of each item. Whatever stands behind them is replaced by silence, so
                that an item sounds as it does alone; its waveform is zero after
                ``length * hop_length`` samples.
            generator: of the noise. One per item makes an item independent of its neighbours.

        Raises:
            MelError: not a mel of ``spec``, or lengths that do not fit it.
        """
        self.spec.check_shape(mel)
        if lengths is not None:
            lengths = self._checked(lengths, mel)
            mel = silence_after(mel, lengths, self.spec)
        waveform: Tensor = self.vocoder(
            self.spec.convert(mel, self.vocoder.spec), generator=generator, **self.options
        )
        if lengths is None:
            return waveform
        samples = torch.arange(waveform.shape[1], device=waveform.device)
        inside = samples < lengths[:, None].to(waveform.device) * self.spec.hop_length
        return torch.where(inside, waveform, 0.0)

    def _checked(self, lengths: Tensor | Sequence[int], mel: Tensor) -> Tensor:
        frames = torch.as_tensor(lengths)
        shape = tuple(mel.shape)
        if frames.is_floating_point() or tuple(frames.shape) != shape[:1]:
            raise MelError(
                f"lengths are {tuple(frames.shape)} {frames.dtype} for a mel of shape {shape}: "
                "give one whole number of frames per item"
            )
        if bool((frames < 1).any()) or bool((frames > shape[-1]).any()):
            raise MelError(f"lengths {frames.tolist()} must lie between 1 and {shape[-1]} frames")
        return frames

    def _bins_first(self, mel: Tensor) -> Float[Tensor, "batch n_mels frames"]:
        """(frames, bins) or (batch, frames, bins) to (batch, bins, frames)."""
        if mel.ndim not in (2, 3) or mel.shape[-1] != self.spec.n_mels:
            raise MelError(
                f"the mel has the shape {tuple(mel.shape)}; {type(self).__name__} takes (frames, "
                f"{self.spec.n_mels}) or (batch, frames, {self.spec.n_mels})"
            )
        return mel.mT if mel.ndim == 3 else mel.T[None]


class TransformersVocoder(Adapter):
    """In the place of ``SpeechT5HifiGan`` and ``FastSpeech2ConformerHifiGan`` of Hugging Face
    transformers: ``generate_speech(..., vocoder=adapter)``, ``with_hifigan.vocoder = adapter``.

    SpeechT5 predicts "speecht5_16k". FastSpeech2Conformer predicts ESPnet's mel ("espnet_22k")
    normalised by the statistics of its corpus: give ``spec.with_statistics(mean, scale)``, or the
    plain spec where ``config.normalize_before`` of its own vocoder is true.
    """

    default_spec = "speecht5_16k"

    def forward(
        self, spectrogram: Tensor, lengths: Lengths = None, generator: Generators = None
    ) -> Tensor:
        """(frames, bins) to (samples,), or (batch, frames, bins) to (batch, samples).

        Without ``lengths``, frames at the end of an item whose bins are all zero count as padding,
        which is what transformers fills batches with.
        """
        mel = self._bins_first(spectrogram)
        if lengths is None and spectrogram.ndim == 3:
            lengths = _frames_before_zeros(mel)
        waveform = self.waveforms(mel, lengths, generator)
        return waveform if spectrogram.ndim == 3 else waveform[0]


class EspnetVocoder(Adapter):
    """In the place of a Parallel WaveGAN generator: ``text2speech.vocoder = adapter`` in
    ESPnet2-TTS, ``adapter.inference(c)`` elsewhere.

    ``Text2Speech`` with ``prefer_normalized_feats`` gives its vocoder the mel after normalisation:
    ``spec.with_statistics(*read_statistics(path))``; otherwise the plain one, if its model knows
    the statistics.
    """

    default_spec = "espnet_24k"

    @property
    def fs(self) -> int:
        """Samples per second, by ESPnet's name."""
        return self.sample_rate

    def forward(
        self, feats: Tensor | np.ndarray, generator: Generators = None
    ) -> Float[Tensor, " samples"]:
        """(frames, bins) to (samples,)."""
        mel = torch.as_tensor(feats)
        return self.waveforms(self._bins_first(mel), generator=generator)[0]

    def inference(
        self,
        c: Tensor | np.ndarray,
        normalize_before: bool = False,
        generator: Generators = None,
    ) -> Float[Tensor, "samples 1"]:
        """(frames, bins) to (samples, 1); ``normalize_before`` where ``c`` has still to be
        normalised by the statistics of ``spec``."""
        mel = torch.as_tensor(c)
        if normalize_before:
            mel = (mel - mel.new_tensor(self.spec.mean)) / mel.new_tensor(self.spec.scale)
        return self.forward(mel, generator)[:, None]


class CoquiVocoder(Adapter):
    """In the place of a vocoder model of Coqui TTS: ``synthesizer.vocoder_model = adapter``.

    Its ``Synthesizer`` hands over what ``vocoder_ap.normalize`` made: "coqui_22k" with the
    library's defaults; other settings in the vocoder's ``audio`` configuration are other specs.
    """

    default_spec = "coqui_22k"

    def inference(
        self, c: Tensor, lengths: Lengths = None, generator: Generators = None
    ) -> Float[Tensor, "batch 1 samples"]:
        """(batch, bins, frames) to (batch, 1, samples)."""
        return self.waveforms(c, lengths, generator)[:, None]


class VocosVocoder(Adapter):
    """In the place of ``vocos.Vocos``, which F5-TTS and others call: ``vocos.decode(mel)``."""

    default_spec = "vocos_24k"

    def decode(
        self, features_input: Tensor, lengths: Lengths = None, generator: Generators = None
    ) -> Float[Tensor, "batch samples"]:
        """(batch, bins, frames) to (batch, samples)."""
        return self.waveforms(features_input, lengths, generator)


class NemoVocoder(Adapter):
    """In the place of NVIDIA NeMo's ``HifiGanModel``:
    ``adapter.convert_spectrogram_to_audio(spec=mel)``."""

    def __init__(
        self, vocoder: Vocoder, mel_spec: MelSpec | str = "hifigan_22k", **options: Any
    ) -> None:
        super().__init__(vocoder, mel_spec, **options)

    def convert_spectrogram_to_audio(
        self, spec: Tensor, lengths: Lengths = None, generator: Generators = None
    ) -> Float[Tensor, "batch samples"]:
        """(batch, bins, frames) to (batch, samples)."""
        return self.waveforms(spec, lengths, generator)


class HifiganVocoder(Adapter):
    """In the place of a HiFi-GAN or BigVGAN generator, as in Matcha-TTS, CosyVoice and many others:
    ``generator(mel)``, then ``squeeze()``.

    Leave out a denoiser that subtracts what the generator makes of a mel of zeros: in this mel
    zeros are loud, and there is no constant tone to remove.
    """

    default_spec = "hifigan_22k"

    def forward(
        self, mel: Tensor, lengths: Lengths = None, generator: Generators = None
    ) -> Float[Tensor, "batch 1 samples"]:
        """(batch, bins, frames) to (batch, 1, samples)."""
        return self.waveforms(mel, lengths, generator)[:, None]


def read_statistics(path: str | Path) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each bin over a corpus, for `MelSpec.with_statistics`.

    Args:
        path: ESPnet's ``feats_stats.npz`` (count, sum and sum_square: scale is the root of
            ``sum_square / count - mean²``, at least 1e-10) or ParallelWaveGAN's ``stats.npy``
            (mean and scale, one row each).

    Raises:
        MelError: no such file, or neither of these.
    """
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            mean, scale = stored
        else:
            with stored:
                count, total, squares = (stored[key] for key in ("count", "sum", "sum_square"))
            mean = total / count
            scale = np.sqrt(np.maximum(squares / count - np.square(mean), 1e-20))
        if np.ndim(mean) != 1:
            raise ValueError("not one value per bin")
    except (*DAMAGED_ARRAY, OSError, KeyError) as error:
        raise MelError(
            f"{path}: no statistics ({error}); give ESPnet's feats_stats.npz or ParallelWaveGAN's "
            "stats.npy"
        ) from error
    return mean.astype(float).tolist(), scale.astype(float).tolist()


def _frames_before_zeros(mel: Float[Tensor, "batch n_mels frames"]) -> Tensor:
    """Frames of each item before those at its end that are zero in every bin; (batch,)."""
    position = torch.arange(1, mel.shape[2] + 1, device=mel.device)
    return (mel.ne(0).any(dim=1) * position).amax(dim=1).clamp(min=1)
