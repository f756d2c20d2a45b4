"""What vocoders share that synthesise by F0 and voicing, which they predict from the mel."""

from abc import abstractmethod

from jaxtyping import Float
from torch import Tensor

from vocoder.features.mel import MelSpec
from vocoder.features.pitch import PitchEstimate, validate_f0
from vocoder.models.base import Generators, Vocoder
from vocoder.models.blocks.layers import MelInput
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.blocks.pitch_predictor import PitchPredictor, PitchPredictorConfig


class PitchDrivenVocoder(Vocoder):
    """A vocoder with a jointly trained pitch predictor and a source that F0 controls."""

    voice_changes = ("f0_scale",)

    def __init__(self, spec: MelSpec, pitch: PitchPredictorConfig) -> None:
        super().__init__(spec)
        self.mel_input = MelInput(spec)
        self.pitch_predictor = PitchPredictor(pitch, spec.n_mels)
        self.context = self.pitch_predictor.context

    def estimate_pitch(self, mel: Float[Tensor, "batch n_mels padded_frames"]) -> PitchEstimate:
        """F0 and voicing from a mel with the model's context."""
        return self.pitch_predictor(self.mel_input(mel).transpose(1, 2))

    def predict_pitch(self, mel: Float[Tensor, "batch n_mels frames"]) -> PitchEstimate:
        return self._predict_pitch(self.accept(mel))

    @abstractmethod
    def draw(
        self, items: int, samples: int, generator: Generators, like: Tensor
    ) -> tuple[Tensor, ...]:
        """Random numbers of the synthesis."""

    def excitation(
        self, mel: Float[Tensor, "batch n_mels frames"], generator: Generators, f0_scale: float
    ) -> tuple[Tensor, ...]:
        """Predicted F0 times ``f0_scale``, voicing, and the output of :meth:`draw`.

        Raises:
            PitchError: ``f0_scale`` takes F0 out of range.
        """
        pitch = self._predict_pitch(mel)
        f0_hz = pitch.f0_hz * f0_scale
        validate_f0(f0_hz, self.sample_rate)
        drawn = self.draw(mel.shape[0], mel.shape[2] * self.spec.hop_length, generator, mel)
        return f0_hz, pitch.voicing, *drawn

    def _predict_pitch(self, mel: Tensor) -> PitchEstimate:
        return self.estimate_pitch(pad_silence(mel, self.spec, self.context))
