"""What normalising flows share: the waveform is a function of noise and the mel."""

from abc import abstractmethod

from jaxtyping import Float
from torch import Tensor

from vocoder.features.mel import MelSpec
from vocoder.models.base import Generators, Vocoder, draw_normal
from vocoder.models.blocks.padding import pad_silence


class FlowVocoder(Vocoder):
    """Waveform to noise with the exact likelihood in training, noise to waveform in use.

    ``temperature``: standard deviation of the noise in synthesis.
    """

    def __init__(self, spec: MelSpec, temperature: float) -> None:
        super().__init__(spec)
        self.temperature = temperature

    @abstractmethod
    def encode(
        self,
        waveform: Float[Tensor, "batch samples"],
        mel: Float[Tensor, "batch n_mels padded_frames"],
    ) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, " batch"]]:
        """Noise z of a waveform and ``ln |det ∂z/∂waveform|``, in one parallel pass.

        Args:
            mel: its mel, with ``context`` additional frames at either end.
        """

    @abstractmethod
    def decode(
        self, z: Float[Tensor, "batch samples"], mel: Float[Tensor, "batch n_mels padded_frames"]
    ) -> Float[Tensor, "batch samples"]:
        """The waveform whose noise is ``z``: the inverse of :meth:`encode`."""

    def forward(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        *,
        generator: Generators = None,
        temperature: float | None = None,
    ) -> Float[Tensor, "batch samples"]:
        """Waveform for a mel; ``temperature`` overrides the config's."""
        mel = self.accept(mel)
        chosen = self.temperature if temperature is None else temperature
        shape = (mel.shape[0], mel.shape[2] * self.spec.hop_length)
        z = chosen * draw_normal(shape, generator, mel)
        return self.decode(z, pad_silence(mel, self.spec, self.context))
