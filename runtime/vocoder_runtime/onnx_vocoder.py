"""Exported vocoders: whole utterances, and streams."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import onnxruntime

from vocoder_runtime.errors import VocoderError
from vocoder_runtime.mel import MelSpec


class OnnxVocoder:
    """A file that ``vocoder export`` has written.

    Args:
        path: the ONNX file.
        threads: of one call.

    Attributes:
        spec: the mel that it takes.
        sample_rate, hop_length: of what comes out, in Hz and samples.
        streams: whether the file is for `stream`; otherwise it is for whole utterances.
        meets: what of the mel the output is brought to meet: "mel", harmonics included,
            "envelope" or "nothing".
        metadata: all that the file says of itself.

    Raises:
        VocoderError: the file cannot be read, or no vocoder exported it.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # what it says of a constant or a bad file is said below
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise VocoderError(f"{path}: cannot be read ({error.strerror})") from error
        try:
            self.session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no narrower base
            raise VocoderError(
                f"{path}: ONNX Runtime {onnxruntime.__version__} cannot load it ({error}); "
                "write it with `vocoder export`"
            ) from error
        self.metadata: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
        missing = {"mel", "lookahead_frames", "meets", "silence"} - self.metadata.keys()
        if missing:
            raise VocoderError(
                f"{path}: no {', '.join(sorted(missing))} in its metadata; write it with the "
                "`vocoder export` that belongs to this vocoder-runtime"
            )
        try:
            self.spec = MelSpec.from_json(self.metadata["mel"])
        except ValueError as error:
            raise VocoderError(f"{path}: {error}") from error
        self.sample_rate, self.hop_length = self.spec.sample_rate, self.spec.hop_length
        self.streams = "state" in self.metadata
        self.meets = self.metadata["meets"]

    def mel(self, waveform: np.ndarray) -> np.ndarray:
        """The mel (batch, n_mels, frames) of a waveform (samples,) or (batch, samples): see
        `MelSpec.mel`."""
        return self.spec.mel(waveform)

    def __call__(
        self,
        mel: np.ndarray,
        f0_hz: np.ndarray | None = None,
        voicing: np.ndarray | None = None,
        noise: np.ndarray | None = None,
        seed: int = 0,
    ) -> np.ndarray:
        """The waveform (batch, frames * hop_length) of a mel.

        Args:
            mel: (batch, n_mels, frames).
            f0_hz: (batch, frames) in Hz; predicted where 0, and when absent.
            voicing: (batch, frames) from 0 (noise) to 1 (voice); predicted where negative, and when
                absent.
            noise: (batch, frames * hop_length), white, Gaussian, of unit power; when absent drawn
                from ``seed``.
            seed: of the noise.

        Raises:
            VocoderError: the file is for streams, the mel is not (batch, n_mels, frames) or not
                finite, or another input does not fit it.
        """
        self._require_whole()
        inputs = self.prepared(mel, f0_hz, voicing, noise, np.random.default_rng(seed))
        waveform: np.ndarray = self.session.run(["waveform"], inputs)[0]
        return waveform

    def predict_pitch(self, mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """F0 in Hz and voicing (0 to 1), (batch, frames) each, that the network reads from a mel.

        Raises:
            VocoderError: as a call.
        """
        self._require_whole()
        inputs = self.prepared(mel, noise=np.zeros((*mel.shape[::2], self.hop_length)))
        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = True
        f0_hz, voicing = self.session.run(["used_f0_hz", "used_voicing"], inputs, options)
        return f0_hz, voicing

    def stream(self, seed: int = 0) -> "OnnxStream":
        """A stream, with noise of a seed. Raises VocoderError if the file is not for streams."""
        return OnnxStream(self, seed)

    def prepared(
        self,
        mel: np.ndarray,
        f0_hz: np.ndarray | None = None,
        voicing: np.ndarray | None = None,
        noise: np.ndarray | None = None,
        generator: np.random.Generator | None = None,
    ) -> dict[str, np.ndarray]:
        """The graph's inputs, checked, by name; without noise it is drawn from a generator."""
        if mel.ndim != 3 or mel.shape[1] != self.spec.n_mels or 0 in mel.shape:
            raise VocoderError(
                f"the mel is {mel.shape}: (batch, {self.spec.n_mels}, frames) is expected"
            )
        if not np.isfinite(mel).all():
            raise VocoderError("the mel has NaN or infinite values")
        batch, _, frames = mel.shape
        if noise is None:
            generator = generator or np.random.default_rng(0)
            noise = generator.standard_normal((batch, frames * self.hop_length), np.float32)
        if noise.size != batch * frames * self.hop_length:
            raise VocoderError(
                f"noise is {noise.shape}: {(batch, frames * self.hop_length)} is expected"
            )
        inputs = {
            "mel": mel,
            "noise": noise.reshape(batch, frames, self.hop_length),
            "f0_hz": np.zeros((batch, frames)) if f0_hz is None else f0_hz,
            "voicing": np.full((batch, frames), -1.0) if voicing is None else voicing,
        }
        highest_hz = self.sample_rate / 2
        for name, lowest, highest, meaning in (
            ("f0_hz", 0.0, highest_hz, f"1 to {highest_hz:g} Hz, 0 where it is to be predicted"),
            ("voicing", -1.0, 1.0, "0 to 1, -1 where it is to be predicted"),
        ):
            values = inputs[name]
            if values.shape != (batch, frames):
                raise VocoderError(f"{name} is {values.shape}: one value per mel frame is expected")
            beyond = ~((values >= lowest) & (values <= highest))  # of NaN too
            if beyond.any() or (name == "f0_hz" and ((values > 0) & (values < 1)).any()):
                raise VocoderError(f"{name} is out of range: {meaning}")
        return {name: value.astype(np.float32) for name, value in inputs.items()}

    def _require_whole(self) -> None:
        if self.streams:
            raise VocoderError("this file is for streams: use `stream`, or export without it")


class OnnxStream:
    """One utterance after the other through a file that ``vocoder export --streaming`` has written.

    Args:
        vocoder: the file.
        seed: of the noise.

    Raises:
        VocoderError: the file is not for streams.
    """

    def __init__(self, vocoder: OnnxVocoder, seed: int = 0) -> None:
        if not vocoder.streams:
            raise VocoderError("not a streaming file: write it with `vocoder export --streaming`")
        self.vocoder, self.generator = vocoder, np.random.default_rng(seed)
        packed = base64.b64decode(vocoder.metadata["state"])
        with np.load(io.BytesIO(packed)) as state:
            self._start = {f"state {name}": state[name] for name in state.files}
            self._names = ["waveform", *(f"next {name}" for name in state.files)]
        self._delay = int(vocoder.metadata["delay_samples"])
        self._begin()

    def _begin(self) -> None:
        self.state, self._early, self._owed = self._start, self._delay, 0
        self._last_pitch: dict[str, np.ndarray] = {}

    def push(
        self,
        mel: np.ndarray,
        f0_hz: np.ndarray | None = None,
        voicing: np.ndarray | None = None,
        noise: np.ndarray | None = None,
    ) -> np.ndarray:
        """The samples (1, ready) that are ready after these frames, none after none; arguments and
        errors are those of `OnnxVocoder`, with a batch of one."""
        if mel.shape == (1, self.vocoder.spec.n_mels, 0):
            return np.zeros((1, 0), np.float32)
        inputs = self.vocoder.prepared(mel, f0_hz, voicing, noise, self.generator)
        if len(mel) != 1:
            raise VocoderError(f"the mel is {mel.shape}: a stream takes a batch of one")
        self._last_pitch = {name: inputs[name][:, -1:] for name in ("f0_hz", "voicing")}
        waveform, *state = self.vocoder.session.run(self._names, inputs | self.state)
        self.state = dict(zip(self._start, state, strict=True))
        ready: np.ndarray = waveform[:, self._early :]
        self._early = max(self._early - waveform.shape[1], 0)
        self._owed += waveform.shape[1] - ready.shape[1]
        return ready

    def flush(self) -> np.ndarray:
        """The rest (1, remaining) of the utterance, whose mel is followed by silence, its F0 and
        voicing from outside by their last values; the next push begins another."""
        if not self._last_pitch:
            return np.zeros((1, 0), np.float32)
        frames, owed = int(self.vocoder.metadata["lookahead_frames"]), self._owed
        noise = np.zeros((1, frames * self.vocoder.hop_length))
        silence = np.array(json.loads(self.vocoder.metadata["silence"]))
        mel = np.repeat(silence[None, :, None], frames, axis=2)
        held = {name: np.repeat(last, frames, axis=1) for name, last in self._last_pitch.items()}
        rest = self.push(mel, noise=noise, **held)[:, :owed]
        self._begin()
        return rest
