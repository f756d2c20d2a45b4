"""The source-filter vocoder: harmonic and noise excitation through learned time-varying filters.

    mel ─▶ PitchPredictor ─▶ F0, voicing ─▶ pulse train ──▶ harmonic filter ─┐
      └──▶ FilterNetwork ──▶ filters             noise ──▶ noise filter ─────┴─▶ spectrum
    spectrum ─▶ its magnitudes moved to meet the given mel ─▶ waveform

Everything learned runs at frame rate and is real-valued; everything at sample rate is signal
processing. After the neural homomorphic vocoder (Liu, Chen and Yu, Interspeech 2020) and DDSP
(arXiv 2001.04643); departing from both, the filters are complex responses applied in the short-time
spectrum, and they start from the mel itself: each filter's log gain is the mel's own envelope,
interpolated in time and frequency, plus a learned correction. A silent mel is therefore silent,
and a louder mel louder, before anything is learned. Corrections and phases are learned on the mel's
own bands and interpolated to the filters' bins like the envelope. How harmonics and noise add up in
a mel band cannot be predicted at frame rate, but it can be measured: at the end the output's
spectrum is moved to meet the given mel (`vocoder.features.projection`), below 740 Hz often enough
for the phases to follow. Earlier models filter it smoothly by the difference of the two mels
instead (``mel_correction``).

With another F0 than the mel's, only the mel's envelope is met (`steering.py`).

A universal vocoder (``universal`` in the config) gives its networks canonical bands instead of the
mel's own, so that the same weights serve every mel: ``vocoder.for_mel(spec)``.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from vocoder.features.mel import MelSpec
from vocoder.features.pitch import PitchEstimate
from vocoder.models.base import Generators, Vocoder, VoiceChange
from vocoder.models.blocks.padding import pad_silence
from vocoder.models.blocks.pitch_predictor import PitchPredictor
from vocoder.models.source_filter.config import Meets, SourceFilterConfig
from vocoder.models.source_filter.networks import FilterNetwork
from vocoder.models.source_filter.rendering import Options
from vocoder.models.source_filter.steering import Steering
from vocoder.models.source_filter.streaming import CHUNK_FRAMES, Stream
from vocoder.models.source_filter.synthesis import Controls, Synthesis


class SourceFilter(Vocoder):
    """Mel in, waveform out.

    Latency: a sample depends on mel frames up to ``lookahead_frames`` later than its own, and on
    ``history_frames`` earlier ones; both include the filters' windows. Beyond the ends of the mel
    stands silence (the log floor), so padding a mel with the floor changes nothing before it.

    Args:
        config: sizes.
        spec: the mel it takes.
        networks: pitch predictor and filter network to share with another vocoder; fresh ones by
            default.
    """

    voice_changes = VoiceChange._fields
    streams = True
    half_precision = True

    def __init__(
        self,
        config: SourceFilterConfig,
        spec: MelSpec,
        networks: tuple[PitchPredictor, FilterNetwork] | None = None,
    ) -> None:
        super().__init__(spec)
        self.config, self.serves_any_mel = config, config.universal
        self.synthesis = Synthesis(config, spec)
        self.steering = Steering(self.synthesis)
        self.pitch_predictor, self.filter_network = networks or (
            PitchPredictor(config.pitch, self.synthesis.network_inputs),
            FilterNetwork(config, self.synthesis.network_inputs, self.synthesis.network_bands),
        )
        pitch, filters = self.pitch_predictor.context, self.filter_network.context
        # Filters lie between two frames, so that the envelope wants the next one.
        self.context = (max(pitch[0], filters[0], 1), max(pitch[1], filters[1], 1))
        self.lookahead_frames: int = self.context[1] + self.reach_frames()

    def _sibling(self, spec: MelSpec) -> "SourceFilter":
        sibling = SourceFilter(self.config, spec, (self.pitch_predictor, self.filter_network))
        weight = self.filter_network.output.weight
        for signals in (sibling.synthesis, sibling.steering):
            signals.to(weight.device, weight.dtype)
        return sibling.train(self.training)

    def reach_frames(self) -> int:
        """Mel frames over which signal processing reaches to one side, see `Synthesis`."""
        config = self.config
        return self.synthesis.reach_frames(config.mel_projection, config.low_band_projection)

    @property
    def latency_seconds(self) -> float:
        """Algorithmic latency, counted from the frame a sample lies in, without the mel's own
        window."""
        return self.lookahead_frames * self.spec.hop_length / self.sample_rate

    @property
    def history_frames(self) -> int:
        """Mel frames before its own that a sample may depend on, but for the excitation's phase,
        which counts the cycles of the whole past."""
        return self.context[0] + self.reach_frames()

    def log_gain(self, mel: Float[Tensor, "batch n_mels frames"]) -> Tensor:
        """(batch, frames, n_mels): nepers above the mel of white noise of unit power."""
        return self.synthesis.log_gain(mel)

    def pad_context(self, mel: Float[Tensor, "batch n_mels frames"]) -> Tensor:
        """Silence around a mel, as much as the networks look back and ahead."""
        return pad_silence(mel, self.spec, self.context)

    def predict_pitch(self, mel: Float[Tensor, "batch n_mels frames"]) -> PitchEstimate:
        """F0 and voicing of a mel, as :meth:`forward` takes them where none are given."""
        return self.estimate_pitch(self.log_gain(self.pad_context(self.accept(mel))))

    def estimate_pitch(self, gain: Float[Tensor, "batch padded_frames n_mels"]) -> PitchEstimate:
        """F0 and voicing from log gains that carry the model's context."""
        return self.pitch_predictor(self._network_input(gain, self.pitch_predictor.context))

    def controls(self, gain: Float[Tensor, "batch padded_frames n_mels"]) -> Controls:
        """Filters and modulation from log gains that carry the model's context."""
        output, depths = self.filter_network(self._network_input(gain, self.filter_network.context))
        left, right = self.context
        return self.synthesis.controls(
            gain[:, left - 1 : gain.shape[1] - right + 1], output, depths
        )

    def forward(
        self,
        mel: Float[Tensor, "batch n_mels frames"],
        f0_hz: Float[Tensor, "batch frames"] | None = None,
        voicing: Float[Tensor, "batch frames"] | None = None,
        *,
        f0_scale: float = 1.0,
        noise: Float[Tensor, "batch samples"] | None = None,
        generator: Generators = None,
        meets: Meets | None = None,
        mel_projection: int | None = None,
        low_band_projection: int | None = None,
        chunk_frames: int = CHUNK_FRAMES,
        formant_scale: float = 1.0,
        breath_db: float = 0.0,
    ) -> Float[Tensor, "batch samples"]:
        """Waveform of ``frames * hop_length`` samples: all of :meth:`Stream.chunks`, of a
        :meth:`stream` with these options; see there for arguments and errors. Without
        ``low_band_projection`` it is that of the config.
        """
        stream = self.stream(
            mel.shape[0],
            f0_scale=f0_scale,
            generator=generator,
            meets=meets,
            mel_projection=mel_projection,
            low_band_projection=low_band_projection,
            formant_scale=formant_scale,
            breath_db=breath_db,
        )
        return torch.cat(list(stream.chunks(mel, f0_hz, voicing, noise, chunk_frames)), dim=1)

    def stream(
        self,
        batch: int = 1,
        *,
        f0_scale: float = 1.0,
        generator: Generators = None,
        meets: Meets | None = None,
        mel_projection: int | None = None,
        low_band_projection: int | None = 0,
        formant_scale: float = 1.0,
        breath_db: float = 0.0,
    ) -> Stream:
        """A stream at its beginning, which turns mel frames into samples as they come.

        Args:
            batch: utterances in parallel.
            f0_scale: factor on F0.
            generator: source of the noise.
            meets: what of the given mel is met. "mel": all of it, by correction and projection as
                far as the config has them; the default where the voice is not to change.
                "envelope": its envelope only, see `Steering`; the default elsewhere. Ask for it too
                where F0 from outside is not that of the mel, whose harmonics would be forced upon
                it.
                "nothing": what the networks say is final.
            mel_projection: passes of the mel projection, where the mel is met; by default as many
                as the config says. Each costs a window of the mel, less one hop, of latency.
            low_band_projection: cost of further passes below 740 Hz, in the multiplications of
                whole ones (`low_band_passes`). Each of them
                adds as much latency as a whole one, one to two seconds together at a cost of 4;
                so a stream has none unless asked to. None: as the config says.
            formant_scale: factor on the frequencies of the filters, 0.5 to 2.
            breath_db: gain of the noise within voice, -40 to 40 dB.

        Raises:
            OptionError: a change of the voice out of range, passes below zero, a ``meets`` that is
                none of these, or a mel to be met without passes by a model without mel correction.
        """
        if low_band_projection is None:
            low_band_projection = self.config.low_band_projection
        change = VoiceChange(f0_scale, formant_scale, breath_db)
        options = Options.of(self.config, meets, mel_projection, low_band_projection, change)
        return Stream(self, batch, options, generator)

    def _network_input(self, gain: Tensor, context: tuple[int, int]) -> Tensor:
        """The networks' input, cropped to the context that one of them wants."""
        left, right = self.context
        cropped = gain[:, left - context[0] : gain.shape[1] - (right - context[1])]
        return self.synthesis.network_input(cropped)
