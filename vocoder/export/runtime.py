"""Exported vocoders in ONNX Runtime: NumPy in, NumPy out, without PyTorch."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float


class OnnxVocoder:
    """A file that ``vocoder export`` has written.

    Args:
        path: the ONNX file.
        threads: of one call.

    Attributes:
        mel: fields of the `MelSpec` that it takes.
        sample_rate, hop_length: of what comes out, in Hz and samples.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors only: it warns of each constant it does not fold
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.metadata: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
        self.mel: dict[str, Any] = json.loads(self.metadata["mel"])
        self.sample_rate = int(self.metadata["sample_rate"])
        self.hop_length = int(self.metadata["hop_length"])

    def __call__(
        self,
        mel: Float[np.ndarray, "batch n_mels frames"],
        f0_hz: Float[np.ndarray, "batch frames"] | None = None,
        voicing: Float[np.ndarray, "batch frames"] | None = None,
        noise: Float[np.ndarray, "batch samples"] | None = None,
        seed: int = 0,
    ) -> Float[np.ndarray, "batch samples"]:
        """Waveform; F0 (Hz), voicing (0 to 1) and unit-power noise as `SourceFilter` takes them,
        predicted and drawn from ``seed`` when absent.

        Raises:
            ValueError: the mel is not (batch, n_mels, frames) or not finite, or another input does
                not fit it.
        """
        generator = np.random.default_rng(seed)
        inputs = self.prepared(mel, f0_hz, voicing, noise, generator)
        waveform: np.ndarray = self.session.run(["waveform"], inputs)[0]
        return waveform

    def prepared(
        self,
        mel: np.ndarray,
        f0_hz: np.ndarray | None,
        voicing: np.ndarray | None,
        noise: np.ndarray | None,
        generator: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        """The graph's inputs, checked, by name."""
        if mel.ndim != 3 or mel.shape[1] != self.mel["n_mels"] or 0 in mel.shape:
            raise ValueError(
                f"the mel is {mel.shape}: (batch, {self.mel['n_mels']}, frames) is expected"
            )
        if not np.isfinite(mel).all():
            raise ValueError("the mel has NaN or infinite values")
        batch, _, frames = mel.shape
        if noise is None:
            noise = generator.standard_normal((batch, frames * self.hop_length), np.float32)
        inputs = {
            "mel": mel,
            "noise": noise.reshape(batch, frames, self.hop_length),
            "f0_hz": np.zeros((batch, frames)) if f0_hz is None else f0_hz,
            "voicing": np.full((batch, frames), -1.0) if voicing is None else voicing,
        }
        for name in ("f0_hz", "voicing"):
            if inputs[name].shape != (batch, frames):
                raise ValueError(
                    f"{name} is {inputs[name].shape}: one value per mel frame is expected"
                )
        return {name: value.astype(np.float32) for name, value in inputs.items()}


class OnnxStream:
    """One utterance after the other through a file that ``vocoder export --streaming`` has written.

    Args:
        vocoder: the file.
        seed: of the noise.
    """

    def __init__(self, vocoder: OnnxVocoder, seed: int = 0) -> None:
        self.vocoder, self.generator = vocoder, np.random.default_rng(seed)
        if "state" not in vocoder.metadata:
            raise ValueError("not a streaming file: write it with `vocoder export --streaming`")
        packed = base64.b64decode(vocoder.metadata["state"])
        with np.load(io.BytesIO(packed)) as state:
            self._start = {f"state {name}": state[name] for name in state.files}
            self._names = ["waveform", *(f"next {name}" for name in state.files)]
        self._delay = int(vocoder.metadata["delay_samples"])
        self._begin()

    def _begin(self) -> None:
        self.state, self._early, self._owed = self._start, self._delay, 0

    def push(
        self,
        mel: Float[np.ndarray, "1 n_mels frames"],
        f0_hz: Float[np.ndarray, "1 frames"] | None = None,
        voicing: Float[np.ndarray, "1 frames"] | None = None,
        noise: Float[np.ndarray, "1 samples"] | None = None,
    ) -> Float[np.ndarray, "1 ready_samples"]:
        """The samples that are ready after these frames; arguments and errors are those of
        `OnnxVocoder`."""
        inputs = self.vocoder.prepared(mel, f0_hz, voicing, noise, self.generator)
        waveform, *state = self.vocoder.session.run(self._names, inputs | self.state)
        self.state = dict(zip(self._start, state, strict=True))
        ready: np.ndarray = waveform[:, self._early :]
        self._early = max(self._early - waveform.shape[1], 0)
        self._owed += waveform.shape[1] - ready.shape[1]
        return ready

    def flush(self) -> Float[np.ndarray, "1 remaining_samples"]:
        """The rest of the utterance, whose mel is followed by silence; the next push begins
        another."""
        frames, owed = int(self.vocoder.metadata["lookahead_frames"]), self._owed
        noise = np.zeros((1, frames * self.vocoder.hop_length))
        silence = np.array(json.loads(self.vocoder.metadata["silence"]))
        mel = np.repeat(silence[None, :, None], frames, axis=2)
        rest = self.push(mel, noise=noise)[:, :owed]
        self._begin()
        return rest
